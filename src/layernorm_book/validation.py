"""What a layer norm refuses, and the message that says why: shared by NumPy and torch.

Each function returns the problem as a sentence, or None. The caller raises it: ValueError or
TypeError from `reference`, RuntimeError from `LayerNorm`, as PyTorch does.
"""

from numbers import Integral
from typing import SupportsFloat

LOW_PRECISION = ("float16", "bfloat16")
ALLOWED = ("float64", "float32", *LOW_PRECISION)


def normalized_shape_problem(normalized_shape):
    """Return why this is no `normalized_shape`, or None."""
    if not isinstance(normalized_shape, (tuple, list)) or not all(
        isinstance(size, Integral) and not isinstance(size, bool) for size in normalized_shape
    ):
        return (
            f"normalized_shape must be a tuple of integers, got {normalized_shape!r}. "
            "For one axis of size 4 write (4,)."
        )
    return None


def shape_problem(shape, normalized_shape):
    """Return why an input of this shape cannot be normalized over `normalized_shape`, or None."""
    shape, normalized_shape = tuple(shape), tuple(normalized_shape)
    if not normalized_shape:
        return (
            "normalized_shape is empty, so there is nothing to take a mean over. "
            f"Name at least one trailing axis of x, which has shape {shape}."
        )
    trailing = shape[-len(normalized_shape) :]
    if trailing != normalized_shape:
        mend = f"Pass normalized_shape={trailing}" if len(shape) else "Give x at least one axis"
        return (
            f"x must end in normalized_shape={normalized_shape}, got x of shape {shape}. "
            f"{mend}, or move the axes to normalize to the end of x."
        )
    return None


def parameter_shape_problem(name, shape, normalized_shape):
    """Return why a weight or bias of this shape does not fit, or None."""
    shape, normalized_shape = tuple(shape), tuple(normalized_shape)
    if shape != normalized_shape:
        return (
            f"{name} must have the shape normalized_shape={normalized_shape}, got {shape}. "
            f"There is one {name} for each normalized position; reshape or expand it."
        )
    return None


def dtype_problem(x, **parameters):
    """Return why these dtypes (by name; None where there is no array) do not go together, or None.

    The weight and the bias share one dtype: that of `x`, or float32 where `x` has half precision.
    """
    if x not in ALLOWED:
        return f"x must be one of {', '.join(ALLOWED)}, got {x}. Convert it first, e.g. to float32."
    given = {name: dtype for name, dtype in parameters.items() if dtype is not None}
    allowed = [{x}, {"float32"}] if x in LOW_PRECISION else [{x}]
    if given and set(given.values()) not in allowed:
        got = " and ".join(f"{name} {dtype}" for name, dtype in given.items())
        rule = f"all {x}" + (" or all float32" if x in LOW_PRECISION else "")
        return f"with x of {x}, weight and bias must be {rule}; got {got}. Convert one of them."
    return None


def eps_problem(eps):
    """Return why this is no eps, or None: any number will do, in NumPy's and torch's types too."""
    if not isinstance(eps, SupportsFloat):
        return f"eps must be a number, got {eps!r}. PyTorch's default is 1e-5."
    return None


def grad_shape_problem(grad_y, x):
    """Return why a gradient of this shape does not belong to an input of that shape, or None."""
    if tuple(grad_y) != tuple(x):
        return f"grad_y must have the shape of x, {tuple(x)}, got {tuple(grad_y)}."
    return None


def grad_dtype_problem(grad_y, x):
    """Return why a gradient of this dtype does not belong to an input of that dtype, or None."""
    if grad_y != x:
        return f"grad_y must have the dtype of x, {x}, got {grad_y}. Convert one of them."
    return None
