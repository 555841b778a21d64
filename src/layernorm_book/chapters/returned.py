"""How much of their rows do the best γ and β give back? The descent lab's job, at any length."""

import torch
from torch import Tensor
from torch.nn.functional import layer_norm

from layernorm_book.widgets.descent import task


def best_affine(n: int) -> tuple[Tensor, Tensor]:
    """Return what rows of n numbers are to become, and what the best γ and β make of their x̂.

    Best are those with the least squared error: for each feature a straight line over x̂, fitted
    to the target.

    Returns:
        target, y: tensors of shape (512, n), float64.

    Example:
        >>> target, y = best_affine(8)
        >>> round(((target - y).var(0).sum() / target.var(0).sum()).item(), 2)
        0.18
    """
    z, target = (part.double() for part in task(n))  # (512, n) each
    x_hat = layer_norm(z, (n,))  # (512, n)
    var, mean = torch.var_mean(x_hat, 0, correction=0)  # (n,) each
    weight = ((x_hat - mean) * target).mean(0) / var  # (n,), γ
    bias = target.mean(0) - weight * mean  # (n,), β
    return target, weight * x_hat + bias
