"""The lab: one row of numbers through layer normalization, with every number in reach of a hand."""

from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from traitlets import Dict, Enum, Float, List, TraitError, default, observe, validate

from layernorm_book.widgets.common import (
    EPS_STOPS,
    LARGEST_EPS,
    PRESET_EPS,
    SMALLEST_EPS,
    Number,
    Row,
    StillWidget,
    shortest_decimals,
    still_table,
)
from layernorm_book.widgets.joined import join_modules, read_style

RECORDED_N = 64  # up to this n a static page carries an answer for every stop

STAGES = ("statistics", "normalize", "affine")
PLACEMENTS = ("inside", "outside")


def _drawn(n, seed, mean=0.0, sigma=1.0, uniform=False):
    generator = torch.Generator().manual_seed(seed)
    draw = torch.rand if uniform else torch.randn
    return (mean + sigma * draw(n, generator=generator, dtype=torch.float64)).round(decimals=4)


PRESETS = (
    {
        "label": "torch.rand",
        "x": _drawn(20, seed=0, uniform=True).tolist(),
        "story": "Twenty numbers from torch.rand. σ is below ½, so ε outside the root gives the "
        "larger values, by about one part in ten thousand or less.",
    },
    {
        "label": "tiny variance",
        "x": _drawn(8, seed=1, mean=0.5, sigma=4.7e-3).tolist(),
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
        "x": _drawn(8, seed=2, mean=2000.0).tolist(),
        "story": "float32 spends its digits on the 2000. Neighbouring float32 numbers lie "
        "0.00012 apart here, so x is rounded before the first step.",
    },
    {
        "label": "one outlier",
        "x": [*_drawn(7, seed=3).tolist(), 100.0],
        "story": "One element cannot pass √(n − 1) = 2.65, however far out it lies. The others "
        "are pressed together near −0.4.",
    },
    {
        "label": "n = 2",
        "x": [0.3, 5.0],
        "story": "Two elements become −1 and 1, whatever they were. Only ε can keep them from it.",
    },
)


def layer_norm_at(x, weight, bias, eps, placement):
    """Let PyTorch compute one row in float32: with its own kernel, or with eps outside the root.

    Args:
        x, weight, bias: sequences of n numbers.
        eps: a positive number.
        placement: "inside" calls `torch.nn.functional.layer_norm`; "outside" divides by
            √var + eps, in torch operations.

    Returns:
        dict with mean, var and rstd (floats), x_hat and y (tensors of n, float32).
    """
    x, weight, bias = (torch.tensor(v, dtype=torch.float32) for v in (x, weight, bias))  # n
    var, mean = torch.var_mean(x, correction=0)
    if placement == "inside":
        rstd = torch.rsqrt(var + eps)
        x_hat = F.layer_norm(x, x.shape, eps=eps)
        y = F.layer_norm(x, x.shape, weight, bias, eps)
    else:
        rstd = 1 / (var.sqrt() + eps)
        x_hat = (x - mean) / (var.sqrt() + eps)
        y = x_hat * weight + bias
    return {"mean": mean.item(), "var": var.item(), "rstd": rstd.item(), "x_hat": x_hat, "y": y}


def _answer(stage, x, weight, bias, stops):
    """Return what PyTorch says to one row at each eps, both placements, in few digits of JSON."""
    shown = "y" if stage == "affine" else "x_hat"
    said = {
        placement: [
            shortest_decimals(layer_norm_at(x, weight, bias, eps, placement)[shown])
            for eps in stops
        ]
        for placement in PLACEMENTS
    }
    return {"x": x, "weight": weight, "bias": bias, "eps": stops, **said}


@cache
def _preset_answers(stage):
    """Return what PyTorch says to each preset; γ is 1, β is 0 and ε PyTorch's default."""
    return [
        _answer(stage, p["x"], [1.0] * len(p["x"]), [0.0] * len(p["x"]), [PRESET_EPS])
        for p in PRESETS
    ]


class LayerNormLab(StillWidget):
    """One instrument in three stages: drag x, eps, weight and bias, and watch every step.

    The browser computes in float32 by itself. With a live kernel the traits follow the reader's
    hand, PyTorch computes `mean`, `var`, `rstd`, `x_hat` and `y` on every change, and the lab
    compares both. On a static page it compares with what PyTorch said while the page was built.

    Args:
        x: one row of 1 to 4096 numbers.
        eps: from 1e-12 to 10.
        weight, bias: as many numbers as x; ones and zeros where they are not given.
        placement: "inside" for √(var + eps), "outside" for √var + eps.
        stage: "statistics", "normalize" or "affine": how far the instrument is open.

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

    _esm = join_modules(
        *("layernorm.js", "numbers.js", "page.js", "instrument.js", "bars.js", "epsilon.js"),
        "lab.js",
    )
    _css = read_style("base.css", "bars.css", "epsilon.css", "lab.css")

    x = Row((1.2, 0.4, 3.1, 2.0, -0.6, 1.7, 2.6, 0.8)).tag(sync=True)
    weight = Row().tag(sync=True)
    bias = Row().tag(sync=True)
    eps = Number(1e-5, SMALLEST_EPS, LARGEST_EPS).tag(sync=True)
    placement = Enum(PLACEMENTS, "inside").tag(sync=True)
    stage = Enum(STAGES, "affine").tag(sync=True)

    # What PyTorch says to the row as it is now; these follow, and nobody else sets them.
    mean = Float(read_only=True)
    var = Float(read_only=True)
    rstd = Float(read_only=True)
    x_hat = List(Float(), read_only=True)
    y = List(Float(), read_only=True)

    presets = List(Dict(), read_only=True).tag(sync=True)
    recorded = List(Dict(), read_only=True).tag(sync=True)  # the start at each stop; each preset
    answer = Dict(read_only=True).tag(sync=True)  # the row as it is now

    def __init__(self, x=None, eps=1e-5, weight=None, bias=None, stage="affine", **kwargs):
        given = {"x": x, "weight": weight, "bias": bias}
        kwargs |= {name: row for name, row in given.items() if row is not None}
        super().__init__(eps=eps, stage=stage, **kwargs)
        stops = EPS_STOPS if len(self.x) <= RECORDED_N else ()
        start = _answer(self.stage, *self._rows, sorted({*stops, self.eps}))
        self.set_trait("presets", [{"eps": PRESET_EPS, **preset} for preset in PRESETS])
        self.set_trait("recorded", [start, *_preset_answers(self.stage)])
        self._recompute()

    @property
    def _rows(self):
        return self.x, self.weight, self.bias

    @default("weight")
    def _ones(self):
        return (1.0,) * len(self.x)

    @default("bias")
    def _zeros(self):
        return (0.0,) * len(self.x)

    @validate("weight", "bias")
    def _one_for_each_element(self, proposal):
        row, n = proposal["value"], len(self.x)
        if len(row) != n:
            raise TraitError(
                f"{proposal['trait'].name} takes one number for each of the {n} elements of x, "
                f"got {len(row)}. Set x first when its length changes."
            )
        return row

    @observe("x")
    def _keep_lengths_equal(self, change):
        n = len(self.x)
        if len(self.weight) != n:
            self.weight = (1.0,) * n
        if len(self.bias) != n:
            self.bias = (0.0,) * n

    @observe("x", "weight", "bias", "eps", "placement")
    def _recompute(self, change=None):
        if not len(self.x) == len(self.weight) == len(self.bias):
            return  # x has a new length, and its weight and bias follow
        said = layer_norm_at(*self._rows, self.eps, self.placement)
        for name in ("mean", "var", "rstd"):
            self.set_trait(name, said[name])
        for name in ("x_hat", "y"):
            self.set_trait(name, shortest_decimals(said[name]))
        self.set_trait("answer", _answer(self.stage, *self._rows, [self.eps]))

    def to_html(self, most=12):
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
        return still_table(caption, steps, most)
