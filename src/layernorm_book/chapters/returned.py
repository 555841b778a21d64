"""How much of their rows do the best γ and β give back? The descent lab's job, with other rows."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import layer_norm

from layernorm_book.widgets.descent import task, wanted


def best_affine(
    n: int, sigma: Sequence[float] = (1,), mu: Sequence[float] = (0,)
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the x̂ of 512 rows, what they are to become, and what the best γ and β make of x̂.

    Best are those with the least squared error: for each feature a straight line over x̂, fitted
    to the target.

    Args:
        n: how many numbers a row has.
        sigma, mu: what the rows are drawn with. With several, the rows take them in turn.

    Returns:
        x_hat, target, y: tensors of shape (512, n), float64.

    Example:
        >>> _, target, y = best_affine(8)
        >>> round(((target - y).var(0).sum() / target.var(0).sum()).item(), 2)
        0.18
    """
    drawn, _ = task(n)  # (512, n)
    turn = torch.arange(len(drawn))[:, None]  # (512, 1)
    sigmas, mus = (torch.tensor(values)[turn % len(values)] for values in (sigma, mu))
    z = sigmas * drawn.double() + mus  # (512, n)
    target, x_hat = wanted(z), layer_norm(z, (n,))  # (512, n) each
    var, mean = torch.var_mean(x_hat, 0, correction=0)  # (n,) each
    weight = ((x_hat - mean) * target).mean(0) / var  # (n,), γ
    bias = target.mean(0) - weight * mean  # (n,), β
    return x_hat, target, weight * x_hat + bias
