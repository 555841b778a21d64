"""Where do the digits of x̂ go? LayerNorm with every operation rounded: the rounding lab."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import layer_norm
from traitlets import Dict, Enum, List

from layernorm_book.widgets.base import BUNDLED, Lab, html_table
from layernorm_book.widgets.counter import noise
from layernorm_book.widgets.traits import Number

N, EPS, SEED = 768, 1e-5, 1596
FORMATS = {
    name: getattr(torch, name) for name in ("float32", "float16", "bfloat16")
}  # {name: dtype}
# The steps of each way, in their order.
STEPS = {
    "one": ("mean", "var", "centred", "rstd", "x_hat"),
    "two": ("mean", "centred", "var", "rstd", "x_hat"),
    "twice": ("mean", "centred", "again", "var", "rstd", "x_hat"),
    "welford": ("mean", "var", "centred", "rstd", "x_hat"),
}
WAYS = {
    "one": "one pass",
    "two": "two passes",
    "twice": "centred twice",
    "welford": "Welford",
}
PRESETS: dict[str, dict[str, Any]] = {
    "mean 10⁶": {"mean": 1e6, "sigma": 1.0, "format": "float32", "way": "two"},
    "σ = 10 in float16": {"mean": 1.0, "sigma": 10.0, "format": "float16", "way": "two"},
    "σ = 9 in float16": {"mean": 1.0, "sigma": 9.0, "format": "float16", "way": "two"},
}


def nearest(values: Any, format: str) -> np.ndarray:
    """Round float64 once to the nearest numbers of a format, ties to even; any shape."""
    info = torch.finfo(FORMATS[format])
    values = np.asarray(values, dtype=np.float64)
    least = int(np.log2(info.smallest_normal)) + 1
    with np.errstate(invalid="ignore", over="ignore"):
        step = np.ldexp(info.eps / 2, np.maximum(np.frexp(values)[1], least))
        rounded = np.rint(values / step) * step
        rounded = np.where(np.isfinite(values), rounded, values)
        return np.where(np.abs(rounded) > info.max, np.copysign(np.inf, values), rounded)


def row(mean: float, sigma: float, format: str) -> np.ndarray:
    """Return the row that goes in, as the format stores it: float64, of shape (N,)."""
    return nearest(mean + sigma * noise(SEED, N), format)


def normalize(
    x: np.ndarray, format: str, way: str, rounded: Iterable[str] | None = None
) -> np.ndarray:
    """Return x̂ with every operation of the rounded steps rounded to the format.

    Args:
        x: float64, of shape (N,).
        way: one of `WAYS`.
        rounded: which of the way's steps round; all of them where None is given. The others run
            in float64.

    Returns:
        float64, of shape (N,).
    """
    rounded = STEPS[way] if rounded is None else tuple(rounded)

    def rounder(step):
        if step not in rounded:
            return np.asarray
        return lambda values: nearest(values, format)

    mean_r, centred_r, again_r, var_r, rstd_r, x_hat_r = map(rounder, STEPS["twice"])
    n = x.shape[-1]
    with np.errstate(all="ignore"):
        if way == "welford":
            mean, var = np.float64(0), np.float64(0)
            for k, value in enumerate(x, start=1):
                distance = mean_r(value - mean)
                mean = mean_r(mean + mean_r(distance / k))
                var = var_r(var + var_r(distance * var_r(value - mean)))
            var = var_r(var / n)
        else:
            mean = mean_r(_sum(x, mean_r) / n)
        centred = centred_r(x - mean)
        if way == "twice":
            centred = again_r(centred - again_r(_sum(centred, again_r) / n))
        if way == "one":
            var = var_r(var_r(_sum(var_r(x * x), var_r) / n) - var_r(mean * mean))
        elif way != "welford":
            var = var_r(_sum(var_r(centred * centred), var_r) / n)
        rstd = rstd_r(1 / rstd_r(np.sqrt(rstd_r(var + rstd_r(EPS)))))
        return x_hat_r(centred * rstd)


def _sum(values, r):
    """Sum in halves down to six numbers, which are added one by one: the browser's order."""
    parts = values.reshape(N // 6, 6)
    total = np.zeros(N // 6)
    for column in parts.T:
        total = r(total + column)
    while total.size > 1:
        total = r(total[0::2] + total[1::2])
    return total[0]


def largest_error(x_hat: np.ndarray, x: np.ndarray) -> float:
    """Return the largest difference of x̂ from float64's x̂ of the same x, or NaN."""
    with np.errstate(all="ignore"):
        return float(np.abs(x_hat - normalize(x, "float32", "two", ())).max())


class RoundingLab(Lab):
    """Normalize one row of 768 numbers with every operation rounded, and see what that costs.

    The row is mean + σ·z for a fixed z, stored in the format. The browser rounds by itself, bit
    for bit like Python. PyTorch's kernel is asked for the same row: with a live kernel on every
    change, on a static page its answers to the start and the buttons are on record.

    Args:
        mean: the row's mean, from 1 to 1e6.
        sigma: its standard deviation, from 0.01 to 100.
        format: "float32", "bfloat16" or "float16".
        way: "one" (variance in one pass), "two" (two passes), "twice" (two passes, and the
            centred row centred again) or "welford".

    Raises:
        TraitError: a value is none of these; nothing changes.

    Example:
        >>> 1000 * RoundingLab(way="twice").error < RoundingLab(way="two").error < 1e-2
        True
    """

    _esm, _css = BUNDLED / "rounding.js", BUNDLED / "rounding.css"

    STATE = ("mean", "sigma", "format", "way")

    mean = Number(1e4, 1.0, 1e6).tag(sync=True)
    sigma = Number(1.0, 0.01, 100.0).tag(sync=True)
    format = Enum(tuple(FORMATS), "float32").tag(sync=True)
    way = Enum(tuple(WAYS), "two").tag(sync=True)

    presets = List(Dict(), read_only=True).tag(sync=True)
    recorded = List(Dict(), read_only=True).tag(sync=True)  # the start and the buttons

    def __init__(
        self,
        mean: float = 1e4,
        sigma: float = 1.0,
        format: str = "float32",
        way: str = "two",
        **kwargs: Any,
    ) -> None:
        super().__init__(mean=mean, sigma=sigma, format=format, way=way, **kwargs)
        self.set_trait("presets", [{"label": label, **preset} for label, preset in PRESETS.items()])
        start = {"mean": self.mean, "sigma": self.sigma, "format": self.format}
        self.set_trait("recorded", [_record(**start), *map(_of_preset, PRESETS.values())])

    @property
    def x(self) -> Tensor:
        """The row that goes in, of shape (768,), in the format's dtype."""
        return torch.tensor(row(self.mean, self.sigma, self.format)).to(FORMATS[self.format])

    @property
    def x_hat(self) -> Tensor:
        """The normalized row with every operation rounded, of shape (768,), in the same dtype."""
        x = self.x.double().numpy()
        return torch.tensor(normalize(x, self.format, self.way)).to(FORMATS[self.format])

    @property
    def error(self) -> float:
        """The largest difference between `x_hat` and float64's x̂ of the same row."""
        return largest_error(self.x_hat.double().numpy(), self.x.double().numpy())

    @property
    def alone(self) -> dict[str, float]:
        """The error that is left when one step alone rounds: {step: error}."""
        x = self.x.double().numpy()
        steps = STEPS[self.way]
        return {s: largest_error(normalize(x, self.format, self.way, (s,)), x) for s in steps}

    def ask_pytorch(self) -> dict[str, Any]:
        """Return the error of PyTorch's kernel on the same row; as text if JSON has no number."""
        return _record(self.mean, self.sigma, self.format)

    def to_html(self) -> str:
        """Return an HTML table: the error of each way in each format, for this mean and σ."""
        rows = {words: [] for words in (*WAYS.values(), "PyTorch's kernel")}
        for format in FORMATS:
            x = row(self.mean, self.sigma, format)
            if (x == x[0]).all() and np.isfinite(x[0]):  # stored alike: any x̂ is an accident
                for errors in rows.values():
                    errors.append("no digits left")
                continue
            for way, words in WAYS.items():
                rows[words].append(f"{largest_error(normalize(x, format, way), x):.1e}")
            theirs = float(_record(self.mean, self.sigma, format)["error"])
            rows["PyTorch's kernel"].append(f"{theirs:.1e}")
        caption = (
            f"Largest error of x̂, against float64, for a row of {N} numbers with mean "
            f"{self.mean:g} and σ = {self.sigma:g}."
        )
        return html_table(caption, ["way to the statistics", *FORMATS], rows)


def _record(mean, sigma, format):
    x = torch.tensor(row(mean, sigma, format))
    theirs = layer_norm(x.to(FORMATS[format]), (N,), eps=EPS).double().numpy()
    error = largest_error(theirs, x.numpy())
    shown = float(f"{error:.2g}") if np.isfinite(error) else str(error)
    return {"mean": mean, "sigma": sigma, "format": format, "error": shown}


def _of_preset(preset):
    return _record(preset["mean"], preset["sigma"], preset["format"])
