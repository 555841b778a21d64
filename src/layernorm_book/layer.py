"""What does `torch.nn.LayerNorm` do? The same module, with its arithmetic written out."""

from collections.abc import Sequence
from numbers import Integral

import torch
from torch.nn import Parameter

from layernorm_book.validation import HALF, check_dtypes, check_eps, check_shapes, dtype_name


class LayerNorm(torch.nn.Module):
    """Normalize over the trailing axes, then give each position its own scale and shift.

    y = (x − mean) / √(var + eps) · weight + bias, with the biased variance. A drop-in replacement
    for `torch.nn.LayerNorm`: the same arguments, parameters and state dict.
    Source: the interface of `torch.nn.LayerNorm`; the formula of Ba, Kiros and Hinton (2016).

    Args:
        normalized_shape: int or tuple: the trailing sizes of x that share mean and variance.
        eps: added to the variance, inside the square root; in the units of x squared.
        elementwise_affine: if False, there is neither weight nor bias.
        bias: if False, there is a weight (γ) but no bias (β).
        device, dtype: where and as what the parameters are made.

    Attributes:
        weight, bias: γ and β, of shape `normalized_shape`; they start at 1 and 0.

    Raises:
        RuntimeError: when called with an x whose shape or dtype does not go with the parameters.
        TypeError: when called while eps is not a number.

    Example:
        >>> layer = LayerNorm(4, eps=0.5)
        >>> layer(torch.tensor([[1.0, 2.0, 3.0, 6.0]])).tolist()
        [[-1.0, -0.5, 0.0, 1.5]]
    """

    weight: Parameter | None
    bias: Parameter | None

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        if isinstance(normalized_shape, int | Integral):  # Integral: NumPy's integers too
            normalized_shape = (normalized_shape,)
        self.normalized_shape = tuple(normalized_shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine

        def empty() -> Parameter:
            return Parameter(torch.empty(self.normalized_shape, device=device, dtype=dtype))

        self.register_parameter("weight", empty() if elementwise_affine else None)
        self.register_parameter("bias", empty() if elementwise_affine and bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set weight to 1 and bias to 0: a fresh layer is the plain normalization."""
        if self.weight is not None:
            torch.nn.init.ones_(self.weight)
        if self.bias is not None:
            torch.nn.init.zeros_(self.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return y, of the shape and dtype of `x`, which must end in `normalized_shape`."""
        check_dtypes(RuntimeError, x, self.weight, self.bias)
        check_shapes(RuntimeError, x, self.normalized_shape, self.weight, self.bias)
        check_eps(self.eps)
        wide = x.float() if dtype_name(x) in HALF else x
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

    def extra_repr(self) -> str:
        """Return what `print(layer)` shows between the parentheses, as PyTorch does."""
        affine = f"elementwise_affine={self.elementwise_affine}, bias={self.bias is not None}"
        return f"{self.normalized_shape}, eps={self.eps}, {affine}"
