"""How do different ways to x̂ round? Each computes in the dtype of x, one named step after another.

    from layernorm_book.chapters.ways import WAYS

All divide by n and use the same ε, so that on paper they agree. Where γ and β come in later, they
are left out here.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

EPS = 1e-5
STEPS = ("the sums", "in a tree", "μ", "x − μ", "σ²", "1/√(σ² + ε)", "the output")
"""The steps that `one_step_rounded` can round, in the order in which the layer takes them."""


def one_pass(x: Tensor) -> Tensor:
    """Return x̂ with σ² = E[x²] − μ², from two sums that one pass over the row collects.

    Args:
        x: tensor of shape (rows, n), floating point.

    Returns:
        x̂, of the shape and dtype of `x`; NaN where rounding makes σ² + ε negative.
    """
    mean = x.mean(-1, keepdim=True)  # (rows, 1)
    return _scaled(x - mean, x.square().mean(-1, keepdim=True) - mean.square())


def one_pass_shifted(x: Tensor) -> Tensor:
    """Return x̂ as `one_pass` does, after the first number of each row was taken off all of it.

    Source: Chan, Golub and LeVeque (1983), on shifted data. Arguments and result as in `one_pass`.
    """
    return one_pass(x - x[:, :1])


def welford(x: Tensor) -> Tensor:
    """Return x̂ from a mean and a sum of squares that each number of the row corrects.

    Source: Welford (1962). Arguments and result as in `one_pass`.
    """
    mean, squares = torch.zeros_like(x[:, :1]), torch.zeros_like(x[:, :1])  # (rows, 1)
    for count, value in enumerate(x.split(1, dim=-1), start=1):  # value (rows, 1)
        distance = value - mean
        mean = mean + distance / count
        squares = squares + distance * (value - mean)
    return _scaled(x - mean, squares / x.shape[-1])


def two_passes(x: Tensor) -> Tensor:
    """Return x̂ as the book's own layer does: first the mean, then the distances to it.

    Source: `layernorm_book.mean_and_variance`. Arguments and result as in `one_pass`.
    """
    centred = x - x.mean(-1, keepdim=True)  # (rows, n)
    return _scaled(centred, centred.square().mean(-1, keepdim=True))


def centred_twice(x: Tensor) -> Tensor:
    """Return x̂ as `two_passes` does, with the mean of the centred row taken off as well.

    Arguments and result as in `one_pass`.
    """
    centred = x - x.mean(-1, keepdim=True)  # (rows, n)
    centred = centred - centred.mean(-1, keepdim=True)  # what the rounded mean left in all of it
    return _scaled(centred, centred.square().mean(-1, keepdim=True))


def pytorch(x: Tensor) -> Tensor:
    """Return x̂ as PyTorch's own kernel does. Arguments and result as in `one_pass`."""
    return torch.nn.functional.layer_norm(x, x.shape[-1:], eps=EPS)


WAYS: dict[str, Callable[[Tensor], Tensor]] = {
    "one pass": one_pass,
    "shifted": one_pass_shifted,
    "Welford": welford,
    "PyTorch": pytorch,
    "two passes": two_passes,
    "centred twice": centred_twice,
}
"""The ways by the names that pictures give them."""


def error(way: Callable[..., Tensor], x: Tensor, *args: Any) -> float:
    """Return the largest absolute difference of a way's x̂ from the same row's in float64.

    Args:
        way: a function of `x` that returns x̂ in the shape of `x`.
        x: tensor of shape (rows, n). It is taken as it is, so its own rounding does not count.
        args: what `way` takes after `x`.
    """
    return errors(way, x, *args).abs().max().item()


def errors(way: Callable[..., Tensor], x: Tensor, *args: Any) -> Tensor:
    """Return how far a way's x̂ lies from the same row's in float64, number by number.

    Arguments as in `error`.

    Returns:
        the differences, float64, of shape (rows, n).
    """
    return way(x, *args).double() - pytorch(x.double())


def one_step_rounded(x: Tensor, step: str) -> Tensor:
    """Return x̂ of a 16-bit row, computed in float32 but for one step, whose result is rounded.

    Args:
        x: tensor of shape (rows, n), bfloat16 or float16.
        step: one of `STEPS`. "the sums" adds up number by number, as a plain loop does,
            and rounds each running sum; "in a tree" adds neighbours pair by pair, and rounds the
            sum of each pair. Both round the squares before they add them. The other steps round
            what they give, once.

    Returns:
        x̂, float32, of the shape of `x`. Only "the output" has it rounded to the dtype of `x`.

    Raises:
        ValueError: there is no such step.
    """
    if step not in STEPS:
        raise ValueError(f"no step is called {step!r}: choose one of {STEPS}")

    def kept(name: str, value: Tensor) -> Tensor:
        return value.to(x.dtype).float() if name == step else value

    average = {"the sums": _average_in_steps, "in a tree": _average_in_a_tree}.get(step, _average)
    wide = x.float()  # (rows, n)
    mean = kept("μ", average(wide, x.dtype))  # (rows, 1)
    centred = kept("x − μ", wide - mean)  # (rows, n)
    var = kept("σ²", average(centred.square(), x.dtype))  # (rows, 1)
    rstd = kept("1/√(σ² + ε)", torch.rsqrt(var + EPS))  # (rows, 1)
    return kept("the output", centred * rstd)


def _average(values: Tensor, _dtype: torch.dtype) -> Tensor:
    return values.mean(-1, keepdim=True)


def _average_in_steps(values: Tensor, dtype: torch.dtype) -> Tensor:
    total = torch.zeros_like(values[:, :1], dtype=dtype)  # (rows, 1)
    for column in values.to(dtype).split(1, dim=-1):
        total = total + column
    return total.float() / values.shape[-1]


def _average_in_a_tree(values: Tensor, dtype: torch.dtype) -> Tensor:
    parts = values.to(dtype)  # (rows, n)
    while parts.shape[-1] > 1:
        parts = torch.nn.functional.pad(parts, (0, parts.shape[-1] % 2))  # of an odd one, 0 is last
        parts = parts[:, ::2] + parts[:, 1::2]
    return parts.float() / values.shape[-1]


def _scaled(centred: Tensor, var: Tensor) -> Tensor:
    return centred * torch.rsqrt(var + EPS)
