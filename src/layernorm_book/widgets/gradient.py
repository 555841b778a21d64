"""What becomes of the gradient that arrives at a row? The gradient lab: two parts stay behind."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from traitlets import Enum, Float, List

from layernorm_book.widgets.base import BUNDLED, elements_table, shortest_decimals
from layernorm_book.widgets.rows import PRESET_EPS, RowsLab
from layernorm_book.widgets.traits import FloatVector

MOST = 20  # elements: as many as stand side by side
MU, SIGMA = ("used", "detached", "absent"), ("used", "detached")
WAYS = tuple(f"{mu} {sigma}" for mu in MU for sigma in SIGMA)
X = (5.0, 9.0, 2.0, 4.0, 7.0, 4.0, 5.0, 4.0)
GRAD_Y = (1.5, 3.5, -1.0, 1.0, 2.0, -0.5, 1.0, 0.5)

PRESETS = (
    {"label": "all equal", "x": X, "grad_y": (1.0,) * 8},
    {"label": "1 + x̂", "x": X, "grad_y": (1.0, 3.0, -0.5, 0.5, 2.0, 0.5, 1.0, 0.5)},
    {
        "label": "other γ",
        "x": X,
        "grad_y": GRAD_Y,
        "weight": (2.0, 3.0, 2.0, 1.0, 0.5, 1.0, 1.0, 1.5),
    },
    {"label": "constant row", "x": (7.0,) * 8, "grad_y": tuple(float(k) for k in range(8))},
)


def forward(
    x: Tensor, weight: Tensor, eps: float = 1e-5, mu: str = "used", sigma: str = "used"
) -> Tensor:
    """Normalize a row and scale it, with or without a way back through its statistics.

    Args:
        x, weight: tensors of n.
        eps: a positive number.
        mu: "used" for LayerNorm's mean; "detached", where it is a constant on the way back; or
            "absent", where nothing is subtracted and the mean square takes the variance's place:
            RMSNorm.
        sigma: "used" or "detached", of what the row is divided by.

    Returns:
        y, of n: from PyTorch's own kernel where it has one, else from its operations.
    """
    if mu == sigma == "used":
        return F.layer_norm(x, x.shape, weight, eps=eps)
    if mu == "absent" and sigma == "used":
        return F.rms_norm(x, x.shape, weight, eps=eps)
    mean = {"used": x.mean(), "detached": x.mean().detach(), "absent": 0.0}[mu]
    var = (x - mean).square().mean()
    return (x - mean) * ((var if sigma == "used" else var.detach()) + eps).rsqrt() * weight


def backward_at(
    x: Sequence[float],
    grad_y: Sequence[float],
    weight: Sequence[float],
    eps: float = 1e-5,
    mu: str = "used",
    sigma: str = "used",
) -> Tensor:
    """Let PyTorch carry one gradient back, in float32.

    Args:
        x, grad_y, weight: sequences of n numbers.
        eps, mu, sigma: as `forward` takes them.

    Returns:
        grad_x, a float32 tensor of n.
    """
    row, gradient, scale = (torch.tensor(v, dtype=torch.float32) for v in (x, grad_y, weight))
    row.requires_grad_()
    return torch.autograd.grad(forward(row, scale, eps, mu, sigma), row, gradient)[0]


class GradientLab(RowsLab):
    """Drag x, γ and the gradient that arrives, and see what goes on to x.

    grad_x = rstd · (g − mean(g) − x_hat · mean(g · x_hat)), where g = grad_y · weight. The two
    means came through μ and σ²: detach one, and its term is gone.

    The browser computes in float32 by itself. With a live kernel PyTorch's backward answers every
    change; a static page carries its answers to the start at each stop of the slider of eps, and
    to the start and each preset with every way through μ and σ.

    Args:
        x: one row of 1 to 20 numbers.
        grad_y: as many numbers, the gradient of a loss with respect to y.
        eps: from 1e-12 to 10.
        weight: γ, as many numbers; ones, if it is not given.
        mu: "used", "detached" (a constant on the way back) or "absent" (RMSNorm).
        sigma: "used" or "detached".

    Raises:
        TraitError: a value is not allowed; the message says what is, and nothing changes.

    Example:
        >>> lab = GradientLab(x=[1.0, 2.0, 3.0, 6.0], grad_y=[4.0, 0.0, 2.0, 2.0], eps=0.5)
        >>> lab.grad_x
        [0.875, -1.0625, 0.0, 0.1875]
        >>> lab.sigma = "detached"
        >>> lab.grad_x
        [1.0, -1.0, 0.0, 0.0]
    """

    _esm, _css = BUNDLED / "gradient.js", BUNDLED / "gradient.css"

    STATE = ("x", "grad_y", "weight", "eps", "mu", "sigma")
    PRESETS, PARTNERS = PRESETS, {"grad_y": 0.0, "weight": 1.0}
    PLACEMENTS = WAYS  # what a record may hold

    x = FloatVector(X, MOST).tag(sync=True)
    grad_y = FloatVector(GRAD_Y, MOST).tag(sync=True)
    weight = FloatVector((1.0,) * 8, MOST).tag(sync=True)
    mu = Enum(MU, "used").tag(sync=True)
    sigma = Enum(SIGMA, "used").tag(sync=True)

    grad_x = List(Float(), read_only=True)  # what PyTorch says to the row as it is now

    def __init__(
        self,
        x: Sequence[float] | None = None,
        grad_y: Sequence[float] | None = None,
        eps: float = 1e-5,
        weight: Sequence[float] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(x=x, grad_y=grad_y, eps=eps, weight=weight, **kwargs)

    def chosen_presets(self) -> list[dict[str, Any]]:
        """Return the presets as whole states."""
        return [{"weight": (1.0,) * 8, "mu": "used", "sigma": "used", **p} for p in self.PRESETS]

    def _usual(self, name, n):
        there = self.grad_y if name == "grad_y" else ()  # what is there stays
        return (*there, *super()._usual(name, n))[:n]

    def _record(self, rows, stops):
        """Ask for the way through both statistics everywhere, for the others at two eps alone."""
        record = {**rows, "eps": stops}
        for way in WAYS:
            asked = stops if way == WAYS[0] else {self.eps, PRESET_EPS}
            record[way] = [
                shortest_decimals(self.pytorch(rows, eps, way)) if eps in asked else None
                for eps in stops
            ]
        return record

    def pytorch(
        self, rows: Mapping[str, Sequence[float]], eps: float, placement: str = WAYS[0]
    ) -> Tensor:
        """Return grad_x: float32, of n, by the ways that `placement` names."""
        return backward_at(
            **rows, eps=eps, **dict(zip(("mu", "sigma"), placement.split(), strict=True))
        )

    def ask_pytorch(self) -> dict[str, Any]:
        """Let `grad_x` follow, and return it."""
        state = {name: getattr(self, name) for name in self.STATE}
        self.set_trait("grad_x", shortest_decimals(backward_at(**state)))
        return {"values": self.grad_x}

    @property
    def singular_values(self) -> list[float]:
        """By what factors a gradient can be stretched on its way back, the largest first."""
        x, weight = (torch.tensor(v, dtype=torch.float64) for v in (self.x, self.weight))  # n
        ways = self.eps, self.mu, self.sigma
        jacobian = torch.autograd.functional.jacobian(lambda row: forward(row, weight, *ways), x)
        return torch.linalg.svdvals(jacobian).tolist()

    def to_html(self) -> str:
        """Return the state as an HTML table, with the two singular values that say what is lost."""
        steps = {"x": self.x, "grad_y": self.grad_y, "γ": self.weight, "grad_x": self.grad_x}
        values = ", ".join(f"{v:.3g}" if v > 1e-14 else "0" for v in self.singular_values)
        caption = (
            "A gradient on its way back through layer normalization, from y to x. What arrives is "
            f"stretched by these factors, one for each direction: {values}."
        )
        return elements_table(caption, steps, MOST)
