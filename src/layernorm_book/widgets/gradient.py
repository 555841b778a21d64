"""What becomes of the gradient that arrives at a row? The gradient lab: three terms go on to x."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from traitlets import Float, List

from layernorm_book.widgets.base import BUNDLED, elements_table, shortest_decimals
from layernorm_book.widgets.rows import RowsLab
from layernorm_book.widgets.traits import FloatVector

MOST = 20  # elements: as many as stand side by side
X = (5.0, 9.0, 2.0, 4.0, 7.0, 4.0, 5.0, 4.0)
GRAD_Y = (1.5, 3.5, -1.0, 1.0, 2.0, -0.5, 1.0, 0.5)

PRESETS = (
    {
        "label": "all equal",
        "x": X,
        "grad_y": (1.0,) * 8,
        "story": "This is what y.sum() sends back. g is all mean, the mean stays behind, and "
        "nothing goes on to x.",
    },
    {
        "label": "a straight line",
        "x": X,
        "grad_y": (1.0, 3.0, -0.5, 0.5, 2.0, 0.5, 1.0, 0.5),
        "story": "Every g lies on one line over x̂. The line stays behind; only ε lets about "
        "a millionth through.",
    },
    {
        "label": "one output",
        "x": X,
        "grad_y": (0.0, 0.0, 0.0, 0.0, 2.0, 0.0, 0.0, 0.0),
        "story": "One output alone has a gradient, and every x receives some: all of them "
        "share μ and σ².",
    },
    {
        "label": "constant row",
        "x": (7.0,) * 8,
        "grad_y": tuple(float(k) for k in range(8)),
        "story": "x̂ is 0, so the third term is 0 too. σ² is 0, and rstd is 1/√ε = 316, the largest "
        "that it can be. Move one x by 0.01.",
    },
    {
        "label": "n = 2",
        "x": (0.0, 2.0),
        "grad_y": (1.0, 0.0),
        "story": "A line passes through any two points. With two elements nothing is left to go "
        "on, up to ε.",
    },
)


def backward_at(x: Sequence[float], grad_y: Sequence[float], eps: float) -> torch.Tensor:
    """Let PyTorch's own kernel carry one gradient back, in float32, with γ = 1.

    Args:
        x, grad_y: sequences of n numbers.
        eps: a positive number.

    Returns:
        grad_x, a float32 tensor of n.
    """
    row = torch.tensor(x, dtype=torch.float32, requires_grad=True)  # n
    y = F.layer_norm(row, row.shape, eps=eps)  # n
    (grad_x,) = torch.autograd.grad(y, row, torch.tensor(grad_y, dtype=torch.float32))
    return grad_x


class GradientLab(RowsLab):
    """Drag x and the gradient that arrives, and see what goes on to x, term by term.

    grad_x = rstd · (g − mean(g) − x_hat · mean(g · x_hat)), where g is grad_y, since γ = 1.

    The browser computes in float32 by itself. With a live kernel PyTorch's backward answers every
    change; a static page carries its answers to the start at each stop of the slider of eps, and
    to each preset.

    Args:
        x: one row of 1 to 20 numbers.
        grad_y: as many numbers, the gradient of a loss with respect to y.
        eps: from 1e-12 to 10.

    Raises:
        TraitError: a value is not allowed; the message says what is, and nothing changes.

    Example:
        >>> lab = GradientLab(x=[1.0, 2.0, 3.0, 6.0], grad_y=[4.0, 0.0, 2.0, 2.0], eps=0.5)
        >>> lab.grad_x
        [0.875, -1.0625, 0.0, 0.1875]
    """

    _esm, _css = BUNDLED / "gradient.js", BUNDLED / "gradient.css"

    STATE = ("x", "grad_y", "eps")
    PRESETS, PARTNERS = PRESETS, {"grad_y": 0.0}

    x = FloatVector(X, MOST).tag(sync=True)
    grad_y = FloatVector(GRAD_Y, MOST).tag(sync=True)

    grad_x = List(Float(), read_only=True)  # what PyTorch says to the row as it is now

    def __init__(
        self,
        x: Sequence[float] | None = None,
        grad_y: Sequence[float] | None = None,
        eps: float = 1e-5,
        **kwargs: Any,
    ) -> None:
        super().__init__(x=x, grad_y=grad_y, eps=eps, **kwargs)

    def _usual(self, name, n):
        return (*self.grad_y, *super()._usual(name, n))[:n]  # what is there stays

    def pytorch(
        self, rows: Mapping[str, Sequence[float]], eps: float, placement: str = "inside"
    ) -> torch.Tensor:
        """Return grad_x: float32, of n."""
        return backward_at(**rows, eps=eps)

    def ask_pytorch(self) -> dict[str, Any]:
        """Let `grad_x` follow, and return it."""
        self.set_trait("grad_x", shortest_decimals(backward_at(self.x, self.grad_y, self.eps)))
        return {"values": self.grad_x}

    def to_html(self) -> str:
        """Return the state as an HTML table, with the three terms."""
        x, g = (torch.tensor(v, dtype=torch.float64) for v in (self.x, self.grad_y))  # n
        x_hat = F.layer_norm(x, x.shape, eps=self.eps)
        rstd = (x.var(correction=0) + self.eps).rsqrt().item()
        steps = {
            "x": self.x,
            "g": self.grad_y,
            "−mean(g)": (-g.mean()).expand_as(g).tolist(),
            "−x̂·mean(g·x̂)": (-x_hat * (g * x_hat).mean()).tolist(),
            "grad_x": self.grad_x,
        }
        caption = (
            "A gradient g on its way back through layer normalization: grad_x is the sum of "
            f"three terms, times rstd = {rstd:.4g}."
        )
        return elements_table(caption, steps, MOST)
