"""What does layer normalization do to a row of numbers? The lab: each is in the reader's reach."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from traitlets import Any as AnyTrait
from traitlets import Enum, List, TraitError, default, observe

from layernorm_book.widgets.base import BUNDLED, elements_table, shortest_decimals
from layernorm_book.widgets.rows import RowsLab
from layernorm_book.widgets.traits import FloatVector

STAGES = ("statistics", "normalize", "affine")
X = (1.2, 0.4, 3.1, 2.0, -0.6, 1.7, 2.6, 0.8)


def _sample(n, seed, mean=0.0, sigma=1.0, uniform=False):
    generator = torch.Generator().manual_seed(seed)
    sample = torch.rand if uniform else torch.randn
    return (mean + sigma * sample(n, generator=generator, dtype=torch.float64)).round(decimals=4)


# What a lab can start from, by label. A lab shows four at most: CHOSEN says which, by its stage.
PRESETS = {
    preset["label"]: preset
    for preset in (
        {
            "label": "1, 2, 3, 6",
            "x": [1.0, 2.0, 3.0, 6.0],
            "story": "The mean is 3. The differences from it are −2, −1, 0 and 3, their squares 4, "
            "1, 0 and 9, and the mean of those is σ² = 3.5.",
        },
        {
            "label": "one outlier",
            "x": [0.5, -1.2, 0.9, -0.3, 1.1, -0.8, 0.2, 100.0],
            "story": "Seven numbers near 0, and one far away. Drag the last bar, and watch what "
            "its seven neighbours do.",
        },
        {
            "label": "1000",
            "x": [0.2, -0.3, 0.1, -0.1, 0.3, -0.2, 0.0, 1000.0],
            "story": "The last number is 1000 now. The seven others are what they were: look at "
            "their x̂.",
        },
        {
            "label": "constant row",
            "x": [3.0] * 8,
            "story": "Nothing varies: σ² is 0, and ε alone keeps 0/0 away. Every x̂ is 0. Now move "
            "one element a little.",
        },
        {
            "label": "tiny variance",
            "x": _sample(8, seed=1, mean=0.5, sigma=4.7e-3).tolist(),
            "story": "Here σ² is about as large as ε, so x̂ comes out with a standard deviation of "
            "about 0.7 instead of 1.",
        },
        {
            "label": "mean 2000",
            "x": _sample(8, seed=2, mean=2000.0).tolist(),
            "story": "Near 2000, float32 numbers lie 0.00012 apart. Each x is rounded to one of "
            "them before the first step.",
        },
        {
            "label": "mean 10,000",
            "x": [10_001.0, 10_002.0, 10_003.0, 10_006.0],
            "story": "Squares near 100 million lie 8 apart in float32, so E[x²] − μ², the one-pass "
            "variance, has no room for 3.5.",
        },
        {
            "label": "mean 40,000",
            "x": [40_000.0, 40_001.0, 40_002.0, 40_003.0],
            "story": "The average of the squares is stored below the square of the average. Their "
            "difference has no real root.",
        },
        {
            "label": "two numbers",
            "x": [0.3, 5.0],
            "story": "Two numbers that differ become −1 and 1, however far apart they are. Only ε "
            "can keep them from it, where their distance is small.",
        },
    )
}
TWO_ROWS = {
    preset["label"]: preset
    for preset in (
        {
            "label": "two rows",
            "x": [[1.0, 2.0, 3.0, 6.0], [-0.5, 2.5, 0.5, 1.5]],
            "story": "Each row has its own μ and σ². One γ and one β stand under both: drag one, "
            "and both rows follow.",
        },
        {
            "label": "same pattern",
            "x": [[1.0, 2.0, 3.0, 6.0], [40.0, 60.0, 80.0, 140.0]],
            "story": "Row 2 is 20 times row 1, plus 20. To the layer they are one and the same "
            "row, so no γ and no β can tell them apart.",
        },
        {
            "label": "constant row",
            "x": [[1.0, 2.0, 3.0, 6.0], [5.0, 5.0, 5.0, 5.0]],
            "weight": (1.0, 0.5, 1.5, 1.0),
            "bias": (0.5, -0.5, 0.0, 1.0),
            "story": "Row 2 does not vary, so its x̂ is 0 whatever γ is. All that is left of it is "
            "β.",
        },
    )
}
CHOSEN = {
    "statistics": ("1, 2, 3, 6", "one outlier", "mean 10,000", "mean 40,000"),
    "normalize": ("1, 2, 3, 6", "one outlier", "constant row", "tiny variance"),
    "affine": ("1, 2, 3, 6", "one outlier", "tiny variance", "mean 2000"),
}
HINTS = {  # what to do with a lab of each stage; of two rows
    "statistics": "Take the whole row: shift it, stretch it, or drag one bar.",
    "normalize": "μ is taken off x, and what is left is divided by √(σ² + ε): that is x̂.",
    "affine": "Drag γ and β. Then shift and stretch the row, and look at y.",
    "two": "Each row has its own μ and σ; one γ and one β serve both. Compare the two y.",
}


def layer_norm_at(
    x: Sequence[Any],
    weight: Sequence[float],
    bias: Sequence[float],
    eps: float,
    placement: str,
) -> dict[str, Any]:
    """Let PyTorch compute in float32: with its own kernel, or with eps outside the root.

    Args:
        x: one row of n numbers, or several.
        weight, bias: sequences of n numbers.
        eps: a positive number.
        placement: "inside" calls `torch.nn.functional.layer_norm`; "outside" divides by
            √var + eps, in torch operations, since PyTorch's kernel has no such form.

    Returns:
        dict with mean, var and rstd (a number for each row), x_hat and y (x's shape), in float32.
    """
    rows, scale, shift = (torch.tensor(v, dtype=torch.float32) for v in (x, weight, bias))
    shape = scale.shape  # n
    var, mean = torch.var_mean(rows, dim=-1, correction=0)
    if placement == "inside":
        rstd = torch.rsqrt(var + eps)
        x_hat = F.layer_norm(rows, shape, eps=eps)
        y = F.layer_norm(rows, shape, scale, shift, eps)
    else:
        rstd = 1 / (var.sqrt() + eps)
        x_hat = (rows - mean[..., None]) / (var.sqrt() + eps)[..., None]
        y = x_hat * scale + shift
    return {"mean": mean, "var": var, "rstd": rstd, "x_hat": x_hat, "y": y}


class LayerNormLab(RowsLab):
    """One lab in three stages: take the whole row, or one bar, and watch every step.

    The browser computes in float32 by itself. With a live kernel the traits follow the reader,
    PyTorch computes `mean`, `var`, `rstd`, `x_hat` and `y` on every change, and the lab compares
    both. On a static page it compares with what PyTorch said while the page was built.

    Args:
        x: one row of 1 to 4096 numbers, or two of 1 to 10 that share weight and bias.
        eps: from 1e-12 to 10.
        weight, bias: as many numbers as a row of x; ones and zeros where they are not given.
        placement: "inside" for √(var + eps), "outside" for √var + eps.
        stage: "statistics", "normalize" or "affine": how far the lab is open.
        rows: 1 or 2; follows from x where x is given. Two need the stage "affine".
        presets: labels out of `PRESETS`, four at most; by default those of the stage.

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
    PARTNERS, PLACEMENTS = {"weight": 1.0, "bias": 0.0}, ("inside", "outside")

    weight = FloatVector().tag(sync=True)
    bias = FloatVector().tag(sync=True)
    placement = Enum(PLACEMENTS, "inside").tag(sync=True)
    stage = Enum(STAGES, "affine").tag(sync=True)

    # What PyTorch says to the rows as they are now; these follow, and nobody else sets them. Of two
    # rows they are lists.
    mean = AnyTrait(read_only=True)
    var = AnyTrait(read_only=True)
    rstd = AnyTrait(read_only=True)
    x_hat = List(read_only=True)
    y = List(read_only=True)

    def __init__(
        self,
        x: Sequence[Any] | None = None,
        eps: float = 1e-5,
        weight: Sequence[float] | None = None,
        bias: Sequence[float] | None = None,
        stage: str = "affine",
        rows: int | None = None,
        presets: Sequence[str] | None = None,
        **kwargs: Any,
    ) -> None:
        rows = rows or (2 if _is_nested(x) else 1)
        if rows not in (1, 2) or (rows == 2 and stage != "affine"):
            raise TraitError(f"rows takes 1, or 2 at the stage 'affine'; got {rows} at {stage!r}.")
        self._labels = presets
        if stage == "statistics":
            self._esm, self._css = _front_end(stage)
        self.set_trait("rows", rows)
        if x is None:
            x = TWO_ROWS["two rows"]["x"] if rows == 2 else X
        super().__init__(x=x, eps=eps, weight=weight, bias=bias, stage=stage, **kwargs)

    def chosen_presets(self) -> Sequence[Mapping[str, Any]]:
        """Return the presets of the stage, or those that were asked for."""
        if self.rows == 2:
            return [TWO_ROWS[label] for label in self._labels or TWO_ROWS]
        return [PRESETS[label] for label in self._labels or CHOSEN[self.stage]]

    @observe("stage")
    def _change_front_end(self, change):
        if self.has_trait("_esm"):
            self._esm, self._css = _front_end(change["new"])

    @default("hint")
    def _what_to_do(self):
        return HINTS["two" if self.rows == 2 else self.stage]

    @default("weight")
    def _ones(self):
        return self._usual("weight", self.n)

    @default("bias")
    def _zeros(self):
        return self._usual("bias", self.n)

    @property
    def _compared(self):
        return "y" if self.stage == "affine" else "x_hat"

    def pytorch(
        self, rows: Mapping[str, Sequence[float]], eps: float, placement: str
    ) -> torch.Tensor:
        """Return y, or x_hat before the last stage: float32, row after row."""
        return layer_norm_at(**rows, eps=eps, placement=placement)[self._compared].flatten()

    def ask_pytorch(self) -> dict[str, Any]:
        """Let `mean`, `var`, `rstd`, `x_hat` and `y` follow; return what is compared of them."""
        pytorch_answer = layer_norm_at(*(getattr(self, name) for name in self.STATE))
        for name, value in pytorch_answer.items():
            exact = shortest_decimals(value) if name in ("x_hat", "y") else value.tolist()
            self.set_trait(name, exact)
        return {"values": shortest_decimals(pytorch_answer[self._compared].flatten())}

    def to_html(self, most: int = 12) -> str:
        """Return the state as an HTML table: the first `most` elements at each step."""
        steps = {}
        for r in range(self.rows):
            of = f" (row {r + 1})" if self.rows > 1 else ""
            x, x_hat, y, mean = (
                value[r] if self.rows > 1 else value
                for value in (self.x, self.x_hat, self.y, self.mean)
            )
            steps |= {f"x{of}": x, f"x − μ{of}": np.asarray(x) - mean}
            if self.stage != "statistics":
                steps[f"x̂{of}"] = x_hat
            if self.stage == "affine":
                steps |= {"γ": self.weight, "β": self.bias, f"y{of}": y}
        shown = f"first {most} of {self.n}" if self.n > most else f"{self.n}"
        mean, var = (
            " and ".join(f"{v:.4g}" for v in np.atleast_1d(value))
            for value in (self.mean, self.var)
        )
        caption = (
            f"Layer normalization of {shown} elements: mean μ = {mean}, "
            f"variance σ² = {var}, ε = {self.eps:g} {self.placement} the root."
        )
        return elements_table(caption, steps, most)


def _front_end(stage):
    name = "statistics" if stage == "statistics" else "lab"
    return [(BUNDLED / f"{name}.{kind}").read_text(encoding="utf-8") for kind in ("js", "css")]


def _is_nested(x):
    return x is not None and not isinstance(x, str) and len(np.shape(x)) == 2
