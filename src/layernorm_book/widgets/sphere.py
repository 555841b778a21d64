"""Where does a row of three numbers go? The sphere lab: each step is a move in space."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from traitlets import Float, List, TraitError

from layernorm_book.widgets.base import BUNDLED, elements_table, shortest_decimals
from layernorm_book.widgets.rows import RowsLab
from layernorm_book.widgets.traits import FloatVector, Number

LARGEST = 2.0  # x lies in the cube from −2 to 2, which the view holds at every angle

PRESETS = (
    {"label": "2·x − 2", "x": [1.0, -1.6, -0.6]},
    {"label": "nearly constant", "x": [1.0, 1.004, 0.998]},
    {"label": "constant", "x": [1.0, 1.0, 1.0]},
)


class _ThreeNumbers(FloatVector):
    """A point of the cube."""

    def validate(self, obj: object, value: Any) -> tuple[float, ...]:
        row = super().validate(obj, value)
        if len(row) != 3 or max(map(abs, row)) > LARGEST:
            raise TraitError(
                f"{self.name} takes three numbers from {-LARGEST:g} to {LARGEST:g}, got {row}."
            )
        return row


class SphereLab(RowsLab):
    """Three numbers as a point in space, and the two moves of normalization as a picture.

    Centring drops the point onto the plane of all rows that sum to 0. Scaling slides it along the
    plane onto the circle of radius √3, or as near to it as eps allows.

    Args:
        x: three numbers from −2 to 2.
        eps: from 1e-12 to 10.
        azimuth: how far the view is turned about (1, 1, 1), in degrees from −180 to 180.
        elevation: the viewer's height above the plane, in degrees from −90 to 90; at 90 the view
            goes straight along (1, 1, 1).

    Raises:
        TraitError: a value is not allowed; the message says what is, and nothing changes.

    Example:
        >>> lab = SphereLab(x=[0.0, 1.0, 2.0], eps=0.5)
        >>> [round(v, 4) for v in lab.x_hat], round(lab.radius, 4)
        ([-0.9258, 0.0, 0.9258], 1.3093)
        >>> lab.x = [0.5, 1.5, 1.0]
        >>> [round(v, 4) for v in lab.x_hat], round(lab.radius, 4)
        ([-0.6124, 0.6124, 0.0], 0.866)
    """

    _esm, _css = BUNDLED / "sphere.js", BUNDLED / "sphere.css"

    STATE = ("x", "eps", "azimuth", "elevation")
    PRESETS, PARTNERS = PRESETS, {}

    x = _ThreeNumbers((1.5, 0.2, 0.7)).tag(sync=True)
    azimuth = Number(35.0, -180.0, 180.0).tag(sync=True)
    elevation = Number(24.0, -90.0, 90.0).tag(sync=True)

    x_hat = List(Float(), read_only=True)  # PyTorch's; it follows

    def __init__(self, x: Sequence[float] | None = None, eps: float = 1e-5, **kwargs: Any) -> None:
        super().__init__(x=x, eps=eps, **kwargs)

    def pytorch(
        self, rows: Mapping[str, Sequence[float]], eps: float, placement: str
    ) -> torch.Tensor:
        """Return x_hat: float32, of 3."""
        return F.layer_norm(torch.tensor(rows["x"], dtype=torch.float32), (3,), eps=eps)

    def ask_pytorch(self) -> dict[str, Any]:
        """Let `x_hat` follow; return it as the answer."""
        values = shortest_decimals(self.pytorch({"x": self.x}, self.eps, "inside"))
        self.set_trait("x_hat", values)
        return {"values": values}

    @property
    def radius(self) -> float:
        """How far x_hat is from the centre: √3 on the circle, less where eps counts."""
        return float(np.linalg.norm(self.x_hat))

    def to_html(self) -> str:
        """Return the point, its foot on the plane and x̂ as an HTML table."""
        steps = {"x": self.x, "x − μ": np.asarray(self.x) - np.mean(self.x), "x̂": self.x_hat}
        caption = (
            f"Three numbers, centred and scaled at ε = {self.eps:g}. The centred row lies "
            f"{np.linalg.norm(steps['x − μ']):.4g} from the centre of the plane, and x̂ lies "
            f"{self.radius:.4g} from it; the circle’s radius is √3 = 1.732."
        )
        return elements_table(caption, steps)
