"""LayerNorm as a torch.nn.Module: `torch.nn.LayerNorm`, with its arithmetic written out."""

from numbers import Integral

import torch

from layernorm_book import validation


class LayerNorm(torch.nn.Module):
    """Normalize over the trailing axes, then give each position its own scale and shift.

    y = (x − mean) / √(var + eps) · weight + bias, with the biased variance. A drop-in replacement
    for `torch.nn.LayerNorm`: the same arguments, parameters and state dict.

    Args:
        normalized_shape: int or tuple: the trailing sizes of x that share mean and variance.
        eps: added to the variance, inside the square root; in the units of x squared.
        elementwise_affine: if False, there is neither weight nor bias.
        bias: if False, there is a weight (γ) but no bias (β).
        device, dtype: where and as what the parameters are made.

    Attributes:
        weight: γ, of shape `normalized_shape`, starts at 1.
        bias: β, of shape `normalized_shape`, starts at 0.

    Raises:
        RuntimeError: when called with an x that does not end in `normalized_shape`, or whose dtype
            is not floating point or does not go with the parameters.
        TypeError: when called while eps is not a number.

    Source: the interface of `torch.nn.LayerNorm`; the formula of Ba, Kiros and Hinton (2016).

    Example:
        >>> layer = LayerNorm(4, eps=0.5)
        >>> layer(torch.tensor([[1.0, 2.0, 3.0, 6.0]])).tolist()
        [[-1.0, -0.5, 0.0, 1.5]]
    """

    def __init__(
        self,
        normalized_shape,
        eps=1e-5,
        elementwise_affine=True,
        bias=True,
        device=None,
        dtype=None,
    ):
        super().__init__()
        if isinstance(normalized_shape, Integral):
            normalized_shape = (normalized_shape,)
        self.normalized_shape = tuple(normalized_shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine

        def empty():
            shape = self.normalized_shape
            return torch.nn.Parameter(torch.empty(shape, device=device, dtype=dtype))

        self.register_parameter("weight", empty() if elementwise_affine else None)
        self.register_parameter("bias", empty() if elementwise_affine and bias else None)
        self.reset_parameters()

    def reset_parameters(self):
        """Set weight to 1 and bias to 0: a fresh layer is the plain normalization."""
        if self.weight is not None:
            torch.nn.init.ones_(self.weight)
        if self.bias is not None:
            torch.nn.init.zeros_(self.bias)

    def forward(self, x):
        """Return y, of the shape and dtype of `x`, which must end in `normalized_shape`."""
        wide = self._checked(x)  # in at least float32
        dims = tuple(range(-len(self.normalized_shape), 0))

        mean = wide.mean(dims, keepdim=True)  # (*, 1, ..., 1)
        centred = wide - mean  # (*, *normalized_shape)
        var = centred.square().mean(dims, keepdim=True)  # (*, 1, ..., 1)
        rstd = torch.rsqrt(var + self.eps)  # (*, 1, ..., 1)
        y = centred * rstd  # (*, *normalized_shape), x_hat so far
        if self.weight is not None:
            y = y * self.weight
        if self.bias is not None:
            y = y + self.bias
        return y.to(x.dtype)

    def extra_repr(self):
        """Return what `print(layer)` shows between the parentheses, as PyTorch does."""
        return (
            f"{self.normalized_shape}, eps={self.eps}, "
            f"elementwise_affine={self.elementwise_affine}, bias={self.bias is not None}"
        )

    def _checked(self, x):
        """Refuse what PyTorch refuses, with a message that names the mend; else widen `x`."""
        shape = self.normalized_shape
        both = {"weight": self.weight, "bias": self.bias}
        given = {k: p for k, p in both.items() if p is not None}
        dtypes = {k: _name(p.dtype) for k, p in given.items()}
        problems = (
            validation.dtype_problem(_name(x.dtype), **dtypes),
            validation.shape_problem(x.shape, shape),
            *(validation.parameter_shape_problem(k, p.shape, shape) for k, p in given.items()),
        )
        for problem in filter(None, problems):
            raise RuntimeError(problem)
        problem = validation.eps_problem(self.eps)
        if problem:
            raise TypeError(problem)
        return x.float() if _name(x.dtype) in validation.LOW_PRECISION else x


def _name(dtype):
    """Return the bare name of a torch dtype: torch.float32 gives "float32"."""
    return str(dtype).removeprefix("torch.")
