"""How are LayerNorm and RMSNorm computed? In NumPy, one function per step, forward and backward.

    mean, var = mean_and_variance(x, normalized_shape)
    x_hat     = normalize(x, mean, var, eps)
    y         = scale_and_shift(x_hat, weight, bias)

RMSNorm takes the same steps with a mean of 0. Shapes below write `*` for the leading axes, which
are left alone, and `normalized_shape` for the trailing axes, whose n elements share statistics.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from layernorm_book import validation

Array = NDArray[Any]
Shape = Sequence[int]

# NaN, infinities and eps = 0 give what IEEE arithmetic gives, without a warning: PyTorch's rule.
_quiet = np.errstate(all="ignore")


@_quiet
def mean_and_variance(x: Array, normalized_shape: Shape) -> tuple[Array, Array]:
    """Return the mean and the biased variance that each group of n elements shares.

    mean = Σ x / n and var = Σ (x − mean)² / n, in two passes over `x`.
    Source: Ba, Kiros and Hinton (2016), equation 3; `torch.native_layer_norm` gives mean and rstd.

    Args:
        x: array of shape (*, *normalized_shape); float64, float32, float16 or bfloat16.
        normalized_shape: tuple of the trailing sizes that share their statistics.

    Returns:
        (mean, var), each of shape (*, 1, ..., 1); float32 for half precision, else the dtype of x.

    Raises:
        ValueError: `x` does not end in `normalized_shape`, or `normalized_shape` is empty.
        TypeError: `x` is not floating point, or `normalized_shape` is not a tuple of integers.

    Example:
        >>> mean_and_variance(np.array([[1.0, 2.0, 3.0, 6.0]]), (4,))
        (array([[3.]]), array([[3.5]]))
    """
    x, *_ = _arrays(x, normalized_shape)
    mean = _mean(x, normalized_shape)  # (*, 1, ..., 1)
    var = _mean((x - mean) ** 2, normalized_shape)  # (*, 1, ..., 1)
    return mean, var


@_quiet
def normalize(x: Array, mean: Array | float, var: Array | float, eps: float = 1e-5) -> Array:
    """Centre `x` and scale it to unit variance: x_hat = (x − mean) / √(var + eps).

    Args:
        x: array of shape (*, *normalized_shape).
        mean, var: arrays of shape (*, 1, ..., 1), from `mean_and_variance`.
        eps: added to the variance, inside the square root; in the units of `x` squared.

    Returns:
        x_hat, of the shape of `x` and of the dtype that `x` and `var` promote to.

    Raises:
        ValueError, TypeError: the shapes do not broadcast; `eps` is not a number.

    Source: Ba, Kiros and Hinton (2016), equation 4, with eps as in `torch.nn.LayerNorm`.

    Example:
        >>> normalize(np.array([1.0, 3.0]), mean=2.0, var=1.0, eps=0.0)
        array([-1.,  1.])
    """
    validation.check_eps(eps)
    rstd = 1 / np.sqrt(var + float(eps))  # (*, 1, ..., 1)
    return (x - mean) * rstd  # (*, *normalized_shape)


@_quiet
def scale_and_shift(x_hat: Array, weight: Array | None = None, bias: Array | None = None) -> Array:
    """Give each position its own scale γ and shift β: y = x_hat · weight + bias.

    Args:
        x_hat: array of shape (*, *normalized_shape).
        weight, bias: arrays of shape `normalized_shape`, or None for γ = 1 and β = 0.

    Returns:
        y, of the shape of `x_hat`.

    Raises:
        ValueError: `weight` or `bias` does not broadcast with `x_hat`.

    Source: Ba, Kiros and Hinton (2016), section 3.1, where γ is the gain g and β the bias b.

    Example:
        >>> scale_and_shift(np.array([-1.0, 1.0]), np.array([2.0, 3.0]), np.array([1.0, 1.0]))
        array([-1.,  4.])
    """
    y = x_hat if weight is None else x_hat * weight
    return y if bias is None else y + bias


@_quiet
def layer_norm(
    x: Array,
    normalized_shape: Shape,
    weight: Array | None = None,
    bias: Array | None = None,
    eps: float = 1e-5,
) -> Array:
    """Normalize over the trailing axes, then scale and shift: all three steps in one.

    y = (x − mean) / √(var + eps) · weight + bias
    Source: the signature and the behaviour of `torch.nn.functional.layer_norm`.

    Args:
        x: array of shape (*, *normalized_shape); float64, float32, float16 or bfloat16.
        normalized_shape: tuple of the trailing sizes that share their statistics.
        weight, bias: arrays of shape `normalized_shape` or None; of the dtype of `x`, or both
            float32 where `x` is float16 or bfloat16.
        eps: added to the variance, inside the square root; in the units of `x` squared.

    Returns:
        y, of the shape and dtype of `x`. Half precision is computed in float32 and rounded once.

    Raises:
        ValueError: a shape does not fit (the message names both shapes and the fix).
        TypeError: a dtype does not fit, or `eps` or `normalized_shape` is of the wrong type.

    Example:
        >>> layer_norm(np.array([[1.0, 2.0, 3.0, 6.0]]), (4,), eps=0.5)
        array([[-1. , -0.5,  0. ,  1.5]])
    """
    x, dtype, weight, bias = _arrays(x, normalized_shape, weight, bias)
    mean, var = mean_and_variance(x, normalized_shape)
    x_hat = normalize(x, mean, var, eps)
    y = scale_and_shift(x_hat, weight, bias)
    return y.astype(dtype)


@_quiet
def layer_norm_backward(
    grad_y: Array, x: Array, normalized_shape: Shape, weight: Array | None = None, eps: float = 1e-5
) -> tuple[Array, Array, Array]:
    """Return the gradients of a loss with respect to `x`, `weight` and `bias`.

    With g = grad_y · weight, and means over the n elements that share their statistics:

        grad_x      = rstd · (g − mean(g) − x_hat · mean(g · x_hat))
        grad_weight = Σ grad_y · x_hat      over the leading axes
        grad_bias   = Σ grad_y              over the leading axes

    Source: the derivation in the chapter on the backward pass; `torch.nn.LayerNorm` under autograd.

    Args:
        grad_y: array of the shape and dtype of `x`: the gradient of the loss with respect to y.
        x, normalized_shape, weight, eps: as given to `layer_norm`.

    Returns:
        (grad_x, grad_weight, grad_bias), of the shapes and dtypes of `x`, `weight` and `weight`.
        Without a `weight` the last two are what a weight of ones would get, in the dtype of `x`.

    Raises:
        ValueError, TypeError: as `layer_norm`, and where `grad_y` does not go with `x`.

    Example:
        >>> layer_norm_backward(np.array([[1.0, 0.0]]), np.array([[1.0, 3.0]]), (2,), eps=3.0)[0]
        array([[ 0.1875, -0.1875]])
    """
    validation.check_grad_y(np.asarray(grad_y), np.asarray(x))
    grad_y, *_ = _arrays(grad_y, normalized_shape)
    x, dtype, weight, _ = _arrays(x, normalized_shape, weight)
    mean, var = mean_and_variance(x, normalized_shape)
    x_hat = normalize(x, mean, var, eps)
    rstd = 1 / np.sqrt(var + float(eps))  # (*, 1, ..., 1)

    g = grad_y if weight is None else grad_y * weight  # (*, *normalized_shape)
    grad_x = rstd * (g - _mean(g, normalized_shape) - x_hat * _mean(g * x_hat, normalized_shape))
    rows = tuple(range(x.ndim - len(normalized_shape)))  # the leading axes
    grad_weight = (grad_y * x_hat).sum(axis=rows)  # normalized_shape
    grad_bias = grad_y.sum(axis=rows)  # normalized_shape
    to = dtype if weight is None else weight.dtype
    return grad_x.astype(dtype), grad_weight.astype(to), grad_bias.astype(to)


@_quiet
def rms_norm(
    x: Array, normalized_shape: Shape, weight: Array | None = None, eps: float | None = None
) -> Array:
    """Divide by the root mean square over the trailing axes, then scale: layer norm, not centred.

    y = x / √(mean(x²) + eps) · weight
    Source: Zhang and Sennrich (2019), equation 4; `torch.nn.functional.rms_norm`.

    Args:
        x, normalized_shape: as given to `layer_norm`.
        weight: array of shape `normalized_shape`, of any of the dtypes that `x` may have, or None.
        eps: added to the mean square, inside the root. None is the machine epsilon of the
            arithmetic: 2.2e-16 where `x` is float64, 1.2e-7 in float32 and in half precision.

    Returns:
        y, of the shape and dtype of `x`. Half precision is computed in float32 and rounded once.

    Raises:
        ValueError, TypeError: as `layer_norm`; complex `x` too, which PyTorch lets through.

    Example:
        >>> rms_norm(np.array([[1.0, 7.0]]), (2,), eps=0.0)
        array([[0.2, 1.4]])
    """
    x, dtype, weight, _ = _arrays(x, normalized_shape, weight, mixed=True)
    mean_square = _mean(x**2, normalized_shape)  # (*, 1, ..., 1)
    eps = float(np.finfo(x.dtype).eps) if eps is None else eps
    x_hat = normalize(x, 0.0, mean_square, eps)
    y = scale_and_shift(x_hat, weight)
    return y.astype(dtype)


@_quiet
def rms_norm_backward(
    grad_y: Array,
    x: Array,
    normalized_shape: Shape,
    weight: Array | None = None,
    eps: float | None = None,
) -> tuple[Array, Array]:
    """Return the gradients of a loss with respect to `x` and `weight`.

    grad_x = rstd · (g − x_hat · mean(g · x_hat)); the term mean(g) came from centring.
    Source: `torch.nn.functional.rms_norm` under autograd.

    Args:
        grad_y: array of the shape and dtype of `x`: the gradient of the loss with respect to y.
        x, normalized_shape, weight, eps: as given to `rms_norm`.

    Returns:
        (grad_x, grad_weight), of the shapes and dtypes of `x` and `weight` (without one, of `x`).

    Raises:
        ValueError, TypeError: as `layer_norm_backward`.

    Example:
        >>> rms_norm_backward(np.array([[1.0, 0.0]]), np.array([[1.0, 1.0]]), (2,), eps=0.0)[0]
        array([[ 0.5, -0.5]])
    """
    validation.check_grad_y(np.asarray(grad_y), np.asarray(x))
    grad_y, *_ = _arrays(grad_y, normalized_shape)
    x, dtype, weight, _ = _arrays(x, normalized_shape, weight, mixed=True)
    mean_square = _mean(x**2, normalized_shape)  # (*, 1, ..., 1)
    eps = float(np.finfo(x.dtype).eps) if eps is None else eps
    x_hat = normalize(x, 0.0, mean_square, eps)
    rstd = 1 / np.sqrt(mean_square + float(eps))  # (*, 1, ..., 1)

    g = grad_y if weight is None else grad_y * weight  # (*, *normalized_shape)
    grad_x = rstd * (g - x_hat * _mean(g * x_hat, normalized_shape))  # (*, *normalized_shape)
    rows = tuple(range(x.ndim - len(normalized_shape)))  # the leading axes
    grad_weight = (grad_y * x_hat).sum(axis=rows)  # normalized_shape
    return grad_x.astype(dtype), grad_weight.astype(dtype if weight is None else weight.dtype)


def _arrays(x: Any, shape: Shape, weight: Any = None, bias: Any = None, mixed: bool = False) -> Any:
    """Return `x` in at least float32, its own dtype, weight and bias; or raise."""
    x, weight, bias = (None if a is None else np.asarray(a) for a in (x, weight, bias))
    validation.check_dtypes(TypeError, x, weight, bias, mixed)
    validation.check_normalized_shape(shape)
    validation.check_shapes(ValueError, x, shape, weight, bias)
    # Contiguous, because only then does NumPy sum in pairs, where the error grows as log n.
    wide = np.ascontiguousarray(x, dtype=np.promote_types(x.dtype, np.float32))
    return wide, x.dtype, weight, bias


def _mean(x: Array, normalized_shape: Shape) -> Any:
    """Return Σ x / n over the trailing axes, kept with size 1; NaN, and no error, where n = 0."""
    axes = tuple(range(-len(normalized_shape), 0))
    return x.sum(axis=axes, keepdims=True) / np.prod(normalized_shape, dtype=x.dtype)
