"""On which input does which fault hide?"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from layernorm_book.parity.formula import Formula
from layernorm_book.widgets.bugs import RIGHT, TOLERANCES, formula, one_fault_each

NAMES = {  # by the choice that is wrong, as the black box lists its suspects
    "outside": "σ + ε",
    "no-root": "no root",
    "square": "a square",
    "squared": "ε²",
    "fixed": "ε is always 10⁻⁶",
    "zero": "no ε",
    "column": "columns share",
    "all": "all rows share",
    "none": "mean left in",
    "n-1": "÷ (n − 1)",
    "one-pass": "one pass",
    "bfloat16": "bfloat16",
    "shift-scale": "(x̂ + β)·γ",
    "one-plus": "x̂·(1 + γ)",
}


def layers_with_a_fault() -> dict[str, Formula]:
    """Return the layers that have one fault each, by its name."""
    found = {}
    for parts in one_fault_each()[1:]:
        ((_, choice),) = set(parts.items()) - set(RIGHT.items())
        found[NAMES[choice]] = formula(**parts)
    return found


def usual() -> tuple:
    """Return what a layer is tried on first: x of shape (8, 768), fresh parameters, ε = 1e-5."""
    x = torch.randn(8, 768, generator=torch.Generator().manual_seed(0))
    return x, (768,), torch.ones(768), torch.zeros(768), 1e-5


def turned_around() -> tuple:
    """Return the opposite in all: x of shape (6, 4) near 2000, drawn parameters, ε = 0.5."""
    g = torch.Generator().manual_seed(0)
    return 2000 + torch.randn(6, 4, generator=g), (4,), *torch.randn(2, 4, generator=g), 0.5


def error(layer: Formula, given: tuple, test: str = "1e-3") -> float:
    """Return a layer's largest error, as a multiple of what a test allows.

    Args:
        layer: called as `F.layer_norm` is.
        given: its arguments: x, normalized_shape, weight, bias and eps.
        test: one of `TOLERANCES`.
    """
    right: Tensor = F.layer_norm(*given)
    allowed = TOLERANCES[test]["atol"] + TOLERANCES[test]["rtol"] * right.abs()
    return ((layer(*given) - right).abs() / allowed).max().item()


class Errors(NamedTuple):
    """A layer's errors, each as a multiple of what a test allows."""

    strict: float  # on the usual input, by `assert_close`
    loose: float  # on the usual input, by atol = rtol = 1e-3
    telling: float  # on the telling input, by the same


def errors(usual: tuple, telling: tuple) -> dict[str, Errors]:
    """Return the errors of each layer with a fault on two inputs, by the fault's name."""
    return {
        name: Errors(
            error(layer, usual, "assert_close"), error(layer, usual), error(layer, telling)
        )
        for name, layer in layers_with_a_fault().items()
    }
