"""What does layer normalization do to a row of numbers? The lab: each is in the reader's reach."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from traitlets import Enum, Float, List, default

from layernorm_book.widgets.base import BUNDLED, elements_table, shortest_decimals
from layernorm_book.widgets.rows import RowsLab
from layernorm_book.widgets.traits import FloatVector

STAGES = ("statistics", "normalize", "affine")


def _sample(n, seed, mean=0.0, sigma=1.0, uniform=False):
    generator = torch.Generator().manual_seed(seed)
    sample = torch.rand if uniform else torch.randn
    return (mean + sigma * sample(n, generator=generator, dtype=torch.float64)).round(decimals=4)


PRESETS = (
    {
        "label": "torch.rand",
        "x": _sample(20, seed=0, uniform=True).tolist(),
        "story": "Twenty numbers from torch.rand. σ is below ½, so ε outside the root gives the "
        "larger values, by about one part in ten thousand or less.",
    },
    {
        "label": "tiny variance",
        "x": _sample(8, seed=1, mean=0.5, sigma=4.7e-3).tolist(),
        "story": "σ is about √ε. Now ε is as large as the variance, and the standard deviation "
        "of x̂ is about 0.7 instead of 1.",
    },
    {
        "label": "constant row",
        "x": [3.0] * 8,
        "story": "The variance is 0, and ε alone keeps the division from 0/0. Every x̂ is 0. "
        "Move one element a little.",
    },
    {
        "label": "mean 2000",
        "x": _sample(8, seed=2, mean=2000.0).tolist(),
        "story": "float32 spends its digits on the 2000. Neighbouring float32 numbers lie "
        "0.00012 apart here, so x is rounded before the first step.",
    },
    {
        "label": "one outlier",
        "x": [*_sample(7, seed=3).tolist(), 100.0],
        "story": "One element cannot pass √(n − 1) = 2.65, however far out it lies. The others "
        "are pressed together near −0.4.",
    },
    {
        "label": "n = 2",
        "x": [0.3, 5.0],
        "story": "Two elements become −1 and 1, whatever they were. Only ε can keep them from it.",
    },
)


def layer_norm_at(
    x: Sequence[float],
    weight: Sequence[float],
    bias: Sequence[float],
    eps: float,
    placement: str,
) -> dict[str, Any]:
    """Let PyTorch compute one row in float32: with its own kernel, or with eps outside the root.

    Args:
        x, weight, bias: sequences of n numbers.
        eps: a positive number.
        placement: "inside" calls `torch.nn.functional.layer_norm`; "outside" divides by
            √var + eps, in torch operations.

    Returns:
        dict with mean, var and rstd (floats), x_hat and y (tensors of n, float32).
    """
    row, scale, shift = (torch.tensor(v, dtype=torch.float32) for v in (x, weight, bias))  # n
    var, mean = torch.var_mean(row, correction=0)
    if placement == "inside":
        rstd = torch.rsqrt(var + eps)
        x_hat = F.layer_norm(row, row.shape, eps=eps)
        y = F.layer_norm(row, row.shape, scale, shift, eps)
    else:
        rstd = 1 / (var.sqrt() + eps)
        x_hat = (row - mean) / (var.sqrt() + eps)
        y = x_hat * scale + shift
    return {"mean": mean.item(), "var": var.item(), "rstd": rstd.item(), "x_hat": x_hat, "y": y}


class LayerNormLab(RowsLab):
    """One lab in three stages: drag x, eps, weight and bias, and watch every step.

    The browser computes in float32 by itself. With a live kernel the traits follow the reader,
    PyTorch computes `mean`, `var`, `rstd`, `x_hat` and `y` on every change, and the lab compares
    both. On a static page it compares with what PyTorch said while the page was built.

    Args:
        x: one row of 1 to 4096 numbers.
        eps: from 1e-12 to 10.
        weight, bias: as many numbers as x; ones and zeros where they are not given.
        placement: "inside" for √(var + eps), "outside" for √var + eps.
        stage: "statistics", "normalize" or "affine": how far the lab is open.

    Raises:
        TraitError: a value is not allowed; the message says what is, and nothing changes.

    Example:
        >>> lab = LayerNormLab(x=[1.0, 2.0, 3.0, 6.0], eps=0.5)
        >>> lab.y
        [-1.0, -0.5, 0.0, 1.5]
        >>> lab.bias = [1.0, 1.0, 1.0, 1.0]
        >>> lab.y
        [0.0, 0.5, 1.0, 2.5]
    """

    _esm, _css = BUNDLED / "lab.js", BUNDLED / "lab.css"

    STATE = ("x", "weight", "bias", "eps", "placement")
    PRESETS, PARTNERS, PLACEMENTS = PRESETS, {"weight": 1.0, "bias": 0.0}, ("inside", "outside")

    x = FloatVector((1.2, 0.4, 3.1, 2.0, -0.6, 1.7, 2.6, 0.8)).tag(sync=True)
    weight = FloatVector().tag(sync=True)
    bias = FloatVector().tag(sync=True)
    placement = Enum(PLACEMENTS, "inside").tag(sync=True)
    stage = Enum(STAGES, "affine").tag(sync=True)

    # What PyTorch says to the row as it is now; these follow, and nobody else sets them.
    mean = Float(read_only=True)
    var = Float(read_only=True)
    rstd = Float(read_only=True)
    x_hat = List(Float(), read_only=True)
    y = List(Float(), read_only=True)

    def __init__(
        self,
        x: Sequence[float] | None = None,
        eps: float = 1e-5,
        weight: Sequence[float] | None = None,
        bias: Sequence[float] | None = None,
        stage: str = "affine",
        **kwargs: Any,
    ) -> None:
        super().__init__(x=x, eps=eps, weight=weight, bias=bias, stage=stage, **kwargs)

    @default("weight")
    def _ones(self):
        return self._usual("weight", len(self.x))

    @default("bias")
    def _zeros(self):
        return self._usual("bias", len(self.x))

    @property
    def _compared(self):
        return "y" if self.stage == "affine" else "x_hat"

    def pytorch(
        self, rows: Mapping[str, Sequence[float]], eps: float, placement: str
    ) -> torch.Tensor:
        """Return y, or x_hat before the last stage: float32, of n."""
        return layer_norm_at(**rows, eps=eps, placement=placement)[self._compared]

    def ask_pytorch(self) -> dict[str, Any]:
        """Let `mean`, `var`, `rstd`, `x_hat` and `y` follow; return what is compared of them."""
        pytorch_answer = layer_norm_at(*(getattr(self, name) for name in self.STATE))
        for name, value in pytorch_answer.items():
            exact = shortest_decimals(value) if name in ("x_hat", "y") else value
            self.set_trait(name, exact)
        return {"values": getattr(self, self._compared)}

    def to_html(self, most: int = 12) -> str:
        """Return the state as an HTML table: the first `most` elements at each step."""
        steps = {"x": self.x, "x − μ": np.asarray(self.x) - self.mean}
        if self.stage != "statistics":
            steps["x̂"] = self.x_hat
        if self.stage == "affine":
            steps |= {"γ": self.weight, "β": self.bias, "y": self.y}
        shown = f"first {most} of {len(self.x)}" if len(self.x) > most else f"{len(self.x)}"
        caption = (
            f"Layer normalization of {shown} elements: mean μ = {self.mean:.4g}, "
            f"variance σ² = {self.var:.4g}, ε = {self.eps:g} {self.placement} the root."
        )
        return elements_table(caption, steps, most)
