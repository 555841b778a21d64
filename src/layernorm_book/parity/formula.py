"""What does a layer norm compute? One formula, every part of which can be exchanged.

Each default is right, so `Formula()` is `torch.nn.functional.layer_norm` written out, and
`replace(Formula(), count=lambda n: n - 1)` is the layer that divides by n − 1. The parts in order:

    dims  = axes(ndim, k)                                  which axes share their statistics
    var   = squares(x, about(x, dims), dims) / count(n)
    x_hat = normalize(x − centre(x, dims), var, eps(eps, n))
    y     = affine(round_x_hat(x_hat, dtype), weight, bias)

`widen` chooses the precision of all of it, `keep_centre` and `keep_var` whether gradients flow
through the statistics. Exchanged parts, which make wrong layers, stand with their bugs, in `bugs`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from layernorm_book.calling.call import Inputs, gradients

HALF = (torch.float16, torch.bfloat16)
Part = Callable[..., Any]
Dims = tuple[int, ...]


def trailing(ndim: int, k: int) -> Dims:
    """Share statistics over the normalized axes, the last k."""
    return tuple(range(ndim - k, ndim))


def mean(x: Tensor, dims: Dims) -> Tensor:
    """Return the mean, with the axes kept: (*, 1, ..., 1)."""
    return x.mean(dims, keepdim=True)


def zero(x: Tensor, dims: Dims) -> Tensor:
    """Return no mean at all, which makes RMSNorm of LayerNorm."""
    return torch.zeros_like(x.mean(dims, keepdim=True))


def two_passes(x: Tensor, about: Tensor, dims: Dims) -> Tensor:
    """Return the sum of squared distances: (*, 1, ..., 1)."""
    return (x - about).square().sum(dims, keepdim=True)


def eps_inside(centred: Tensor, var: Tensor, eps: float) -> Tensor:
    """Divide by √(var + eps)."""
    return centred / torch.sqrt(var + eps)


def scale_then_shift(x_hat: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    """Return x_hat · weight + bias, either of which may be None."""
    y = x_hat if weight is None else x_hat * weight
    return y if bias is None else y + bias


def at_least_float32(dtype: torch.dtype) -> torch.dtype:
    """Compute half precision in float32, and the others as they are."""
    return torch.promote_types(dtype, torch.float32)


def unchanged(value: Any, *rest: Any) -> Any:
    """Leave n, eps, a statistic's graph or the digits of x_hat as they are."""
    return value


@dataclass(frozen=True)
class Formula:
    """A layer norm as the sum of its parts, called like `torch.nn.functional.layer_norm`.

    It computes in `widen(x.dtype)`, and y has the shape and dtype of x: (*, *normalized_shape).

    Example:
        >>> y = Formula()(torch.tensor([[1.0, 2.0, 3.0, 6.0]]), (4,), eps=0.5)
        >>> y.tolist()
        [[-1.0, -0.5, 0.0, 1.5]]
    """

    axes: Part = trailing
    centre: Part = mean
    about: Part = mean
    squares: Part = two_passes
    count: Part = unchanged
    eps: Part = unchanged
    normalize: Part = eps_inside
    affine: Part = scale_then_shift
    widen: Part = at_least_float32
    keep_centre: Part = unchanged
    keep_var: Part = unchanged
    round_x_hat: Part = unchanged

    def __call__(
        self,
        x: Tensor,
        normalized_shape: Dims,
        weight: Tensor | None = None,
        bias: Tensor | None = None,
        eps: float = 1e-5,
    ) -> Tensor:
        """Return y."""
        wide = x.to(self.widen(x.dtype))
        dims = self.axes(x.ndim, len(normalized_shape))
        n = math.prod(x.shape[d] for d in dims)
        centre = self.keep_centre(self.centre(wide, dims))  # (*, 1, ..., 1)
        squares = self.squares(wide, self.about(wide, dims), dims)  # (*, 1, ..., 1)
        var = self.keep_var(squares / (self.count(n) or math.nan))
        x_hat = self.normalize(wide - centre, var, self.eps(eps, n))
        y: Tensor = self.affine(self.round_x_hat(x_hat, x.dtype), weight, bias)
        return y.to(x.dtype)

    def run(self, inputs: Inputs) -> Tensor:
        """Return y for the tensors of a case, in their own dtype."""
        return self(inputs.x, inputs.normalized_shape, inputs.weight, inputs.bias, inputs.eps)

    def results(self, inputs: Inputs, dtype: torch.dtype = torch.float64) -> dict[str, Tensor]:
        """Return y and the gradients for the tensors of a case, handed over in this dtype."""
        inputs = inputs.to(dtype)
        names = [k for k in ("x", "weight", "bias") if getattr(inputs, k) is not None]
        leaves = {k: getattr(inputs, k).detach().clone().requires_grad_() for k in names}
        y = self.run(replace(inputs, **leaves))
        grads = gradients(y, list(leaves.values()), inputs.grad_y)
        return {"y": y.detach()} | {f"grad_{k}": g for k, g in zip(leaves, grads, strict=True)}


LAYER_NORM = Formula()
RMS_NORM = replace(LAYER_NORM, centre=zero, about=zero)
RIGHT = {"layer_norm": LAYER_NORM, "rms_norm": RMS_NORM}
"""What a candidate can be checked against: the names of PyTorch's functions."""
