"""How do γ and β learn? The descent lab: plain gradient descent, step by step."""

from functools import cached_property
from typing import Any

import torch
from traitlets import Dict, Int

from layernorm_book.layer import LayerNorm
from layernorm_book.widgets.base import BUNDLED, Lab, elements_table
from layernorm_book.widgets.traits import Number

STEPS = 40
LARGEST_RATE = 2.5


def task(n: int = 8, rows: int = 512, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Return rows z and what they are to become: each feature with a scale and a shift of its own.

    Returns:
        z, target: tensors of shape (rows, n). target is z · s + m, with s from 0.5 to 4 and m from
        −3 to 4.
    """
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(rows, n, generator=generator)  # (rows, n)
    return z, wanted(z)


def wanted(z: torch.Tensor) -> torch.Tensor:
    """Return what rows z of shape (rows, n) are to become, in the same shape and dtype."""
    n = z.shape[-1]
    scale, shift = torch.linspace(0.5, 4, n), torch.linspace(-3, 4, n)  # (n,) each
    return z * scale + shift


class DescentLab(Lab):
    """Drag the step and the learning rate, and watch γ, β and the loss.

    A LayerNorm gets rows drawn with mean 0 and variance 1, and is to give back eight features, each
    with a scale and a shift of its own. Its loss is half the squared error of a row, averaged over
    512 rows. Of these the browser needs five averages for each feature, and descends by itself.

    Args:
        step: from 0 to 40.
        rate: the learning rate, from 0.05 to 2.5.

    Raises:
        TraitError: a value is not allowed; the message says what is, and nothing changes.

    Example:
        >>> lab = DescentLab(step=0)
        >>> lab.weight
        [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    """

    _esm, _css = BUNDLED / "descent.js", BUNDLED / "descent.css"

    STATE = ("step", "rate")

    step = Int(0, min=0, max=STEPS).tag(sync=True)
    rate = Number(0.1, 0.05, LARGEST_RATE).tag(sync=True)
    # For each feature the averages over the rows of x̂, x̂², target, x̂ · target and target².
    averages = Dict(read_only=True).tag(sync=True)

    def __init__(self, step: int = 0, rate: float = 0.1, **kwargs: Any) -> None:
        super().__init__(step=step, rate=rate, **kwargs)
        z, target = (part.double() for part in task())
        x_hat = torch.nn.functional.layer_norm(z, z.shape[-1:])
        products = {
            "x": x_hat,
            "xx": x_hat * x_hat,
            "t": target,
            "xt": x_hat * target,
            "tt": target * target,
        }
        self.set_trait("averages", {name: v.mean(0).tolist() for name, v in products.items()})

    @cached_property
    def _runs(self):
        return {}

    def _run(self):
        """Let PyTorch take the steps, with an optimizer of its own."""
        if (self.step, self.rate) not in self._runs:
            layer = LayerNorm(8)
            *_, loss = descend(layer, self.rate, self.step)
            self._runs[self.step, self.rate] = layer.weight.tolist(), layer.bias.tolist(), loss
        return self._runs[self.step, self.rate]

    @property
    def weight(self) -> list[float]:
        """γ after so many steps of torch.optim.SGD."""
        return self._run()[0]

    @property
    def bias(self) -> list[float]:
        """β after so many steps of torch.optim.SGD."""
        return self._run()[1]

    @property
    def loss(self) -> float:
        """The loss after so many steps of torch.optim.SGD."""
        return self._run()[2]

    def to_html(self) -> str:
        """Return γ and β after the steps as an HTML table."""
        caption = (
            f"γ and β after {self.step} steps of gradient descent with learning rate "
            f"{self.rate:g}: the loss is {self.loss:.4g}."
        )
        return elements_table(caption, {"γ": self.weight, "β": self.bias})


def descend(layer: torch.nn.Module, rate: float, steps: int) -> list[float]:
    """Let torch.optim.SGD take steps; return the loss before each and after the last."""
    z, target = task()
    optimizer = torch.optim.SGD(layer.parameters(), lr=rate)
    losses = []
    for step in range(steps + 1):
        loss = (layer(z) - target).square().sum(-1).mean() / 2
        losses.append(loss.item())
        if step < steps:
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return losses
