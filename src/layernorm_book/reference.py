"""Layer normalization in NumPy, one function per step.

The forward pass is three steps, named here as in the book:

    mean, var = mean_and_variance(x, normalized_shape)
    x_hat     = normalize(x, mean, var, eps)
    y         = scale_and_shift(x_hat, weight, bias)

Shapes below write `*` for the leading axes, which are left alone, and `normalized_shape` for the
trailing axes, whose n elements share one mean and one variance.
"""

import numpy as np

from layernorm_book import validation

# NaN, infinities and eps = 0 give what IEEE arithmetic gives, without a warning: PyTorch's rule.
_quiet = np.errstate(all="ignore")


@_quiet
def mean_and_variance(x, normalized_shape):
    """Return the mean and the biased variance that each group of n elements shares.

    mean = Σ x / n and var = Σ (x − mean)² / n, in two passes over `x`.

    Args:
        x: array of shape (*, *normalized_shape); float64, float32, float16 or bfloat16.
        normalized_shape: tuple of the trailing sizes that share their statistics.

    Returns:
        (mean, var), each of shape (*, 1, ..., 1); float32 for float16 and bfloat16 input, else the
        dtype of `x`.

    Raises:
        ValueError: `x` does not end in `normalized_shape`, or `normalized_shape` is empty.
        TypeError: `x` is not floating point, or `normalized_shape` is not a tuple of integers.

    Source: Ba, Kiros and Hinton (2016), equation 3; `torch.native_layer_norm` returns the same
    mean, and 1/√(var + eps) in place of the variance.

    Example:
        >>> mean_and_variance(np.array([[1.0, 2.0, 3.0, 6.0]]), (4,))
        (array([[3.]]), array([[3.5]]))
    """
    x, axes = _prepare(x, normalized_shape)
    n = np.prod(normalized_shape, dtype=x.dtype)
    mean = x.sum(axis=axes, keepdims=True) / n  # (*, 1, ..., 1)
    var = ((x - mean) ** 2).sum(axis=axes, keepdims=True) / n  # (*, 1, ..., 1)
    return mean, var


@_quiet
def normalize(x, mean, var, eps=1e-5):
    """Centre `x` and scale it to unit variance: x_hat = (x − mean) / √(var + eps).

    Args:
        x: array of shape (*, *normalized_shape).
        mean, var: arrays of shape (*, 1, ..., 1), from `mean_and_variance`.
        eps: added to the variance, inside the square root; in the units of `x` squared.

    Returns:
        x_hat, of the shape of `x` and of the dtype that `x` and `mean` promote to.

    Raises:
        ValueError: the shapes of `x`, `mean` and `var` do not broadcast.
        TypeError: `eps` is not a number.

    Source: Ba, Kiros and Hinton (2016), equation 4, with eps as in `torch.nn.LayerNorm`.

    Example:
        >>> normalize(np.array([1.0, 3.0]), mean=2.0, var=1.0, eps=0.0)
        array([-1.,  1.])
    """
    rstd = 1 / np.sqrt(var + _eps(eps))  # (*, 1, ..., 1)
    return (x - mean) * rstd  # (*, *normalized_shape)


@_quiet
def scale_and_shift(x_hat, weight=None, bias=None):
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
        >>> scale_and_shift(np.array([-1.0, 1.0]), weight=np.array([2.0, 3.0]), bias=1.0)
        array([-1.,  4.])
    """
    y = x_hat if weight is None else x_hat * weight
    return y if bias is None else y + bias


def layer_norm(x, normalized_shape, weight=None, bias=None, eps=1e-5):
    """Normalize over the trailing axes, then scale and shift: all three steps in one.

    y = (x − mean) / √(var + eps) · weight + bias

    Args:
        x: array of shape (*, *normalized_shape); float64, float32, float16 or bfloat16.
        normalized_shape: tuple of the trailing sizes that share their statistics.
        weight, bias: arrays of shape `normalized_shape` or None; of the dtype of `x`, or both
            float32 where `x` is float16 or bfloat16.
        eps: added to the variance, inside the square root; in the units of `x` squared.

    Returns:
        y, of the shape and dtype of `x`. Half-precision input is computed in float32 and rounded
        once, at the end.

    Raises:
        ValueError: a shape does not fit (the message names both shapes and the mend).
        TypeError: a dtype does not fit, or `eps` or `normalized_shape` is of the wrong type.

    Source: the signature and the behaviour of `torch.nn.functional.layer_norm`.

    Example:
        >>> layer_norm(np.array([[1.0, 2.0, 3.0, 6.0]]), (4,), eps=0.5)
        array([[-1. , -0.5,  0. ,  1.5]])
    """
    x, weight, bias, dtype = _checked(x, normalized_shape, weight=weight, bias=bias)
    mean, var = mean_and_variance(x, normalized_shape)
    x_hat = normalize(x, mean, var, eps)
    y = scale_and_shift(x_hat, weight, bias)
    return _round(y, dtype)


@_quiet
def layer_norm_backward(grad_y, x, normalized_shape, weight=None, eps=1e-5):
    """Return the gradients of a loss with respect to `x`, `weight` and `bias`.

    With g = grad_y · weight, and means over the n elements that share their statistics:

        grad_x      = rstd · (g − mean(g) − x_hat · mean(g · x_hat))
        grad_weight = Σ grad_y · x_hat      over the leading axes
        grad_bias   = Σ grad_y              over the leading axes

    Args:
        grad_y: array of the shape and dtype of `x`: the gradient of the loss with respect to y.
        x, normalized_shape, weight, eps: as given to `layer_norm`.

    Returns:
        (grad_x, grad_weight, grad_bias), of the shapes and dtypes of `x`, `weight` and `weight`.
        Without a `weight` the last two are what a weight of ones and a bias of zeros would get, in
        the dtype of `x`.

    Raises:
        ValueError: a shape does not fit.
        TypeError: a dtype does not fit, or `eps` or `normalized_shape` is of the wrong type.

    Source: the derivation in the chapter on the backward pass; `torch.nn.LayerNorm` under autograd.

    Example:
        >>> grad_x, grad_weight, grad_bias = layer_norm_backward(
        ...     np.array([[1.0, 0.0]]), np.array([[1.0, 3.0]]), (2,), eps=3.0
        ... )
        >>> grad_x
        array([[ 0.1875, -0.1875]])
    """
    x, weight, dtype = _checked(x, normalized_shape, weight=weight)
    mean, var = mean_and_variance(x, normalized_shape)
    x_hat = normalize(x, mean, var, eps)
    rstd = 1 / np.sqrt(var + _eps(eps))  # (*, 1, ..., 1)

    grad_y, axes = _prepare(_checked_grad_y(grad_y, x), normalized_shape)
    g = scale_and_shift(grad_y, weight)  # (*, *normalized_shape)
    n = np.prod(normalized_shape, dtype=x_hat.dtype)
    mean_g = g.sum(axis=axes, keepdims=True) / n  # (*, 1, ..., 1)
    mean_g_x_hat = (g * x_hat).sum(axis=axes, keepdims=True) / n  # (*, 1, ..., 1)
    grad_x = rstd * (g - mean_g - x_hat * mean_g_x_hat)  # (*, *normalized_shape)

    rows = tuple(range(x.ndim - len(normalized_shape)))  # the leading axes
    grad_weight = (grad_y * x_hat).sum(axis=rows)  # normalized_shape
    grad_bias = grad_y.sum(axis=rows)  # normalized_shape

    parameter_dtype = dtype if weight is None else weight.dtype
    return (
        _round(grad_x, dtype),
        _round(grad_weight, parameter_dtype),
        _round(grad_bias, parameter_dtype),
    )


def _prepare(x, normalized_shape):
    """Check `x`, widen half precision to float32, and return it with the axes to reduce over.

    The result is contiguous, because NumPy sums pairwise (error growing as log n) only along
    contiguous memory; over strides it adds one by one.
    """
    x, dtype = _checked(x, normalized_shape)
    half = dtype.name in validation.LOW_PRECISION
    x = np.ascontiguousarray(x, dtype=np.float32 if half else dtype)
    return x, tuple(range(-len(normalized_shape), 0))


def _checked(x, normalized_shape, **parameters):
    """Return `x` and the parameters as arrays, and the dtype of `x`; raise if they do not fit."""
    x = np.asarray(x)
    arrays = {k: None if v is None else np.asarray(v) for k, v in parameters.items()}
    dtypes = {k: None if v is None else v.dtype.name for k, v in arrays.items()}
    _refuse(TypeError, validation.dtype_problem(x.dtype.name, **dtypes))
    _refuse(TypeError, validation.normalized_shape_problem(normalized_shape))
    _refuse(ValueError, validation.shape_problem(x.shape, normalized_shape))
    for name, array in arrays.items():
        if array is not None:
            problem = validation.parameter_shape_problem(name, array.shape, normalized_shape)
            _refuse(ValueError, problem)
    return x, *arrays.values(), x.dtype


def _checked_grad_y(grad_y, x):
    """Return `grad_y` as an array of the shape and dtype of `x`, or raise."""
    grad_y = np.asarray(grad_y)
    _refuse(TypeError, validation.grad_dtype_problem(grad_y.dtype.name, x.dtype.name))
    _refuse(ValueError, validation.grad_shape_problem(grad_y.shape, x.shape))
    return grad_y


def _refuse(error, problem):
    if problem:
        raise error(problem)


def _eps(eps):
    """Return `eps` as a Python float, which leaves the dtype of what it is added to alone."""
    _refuse(TypeError, validation.eps_problem(eps))
    return float(eps)


@_quiet
def _round(array, dtype):
    """Round to `dtype`; what float16 cannot hold becomes infinite, as in PyTorch."""
    return array.astype(dtype)
