"""What does a layer norm refuse, and in which words? NumPy and torch both ask here.

Each check raises. `reference` asks for ValueError and TypeError, `LayerNorm` for RuntimeError.
"""

from numbers import Integral
from typing import Any, SupportsFloat

HALF = ("float16", "bfloat16")
FLOATS = ("float64", "float32", *HALF)
Error = type[Exception]


def dtype_name(array: Any) -> str:
    """Return the bare name of the dtype of an array or tensor, such as "float32"."""
    return str(getattr(array.dtype, "name", array.dtype)).removeprefix("torch.")


def check_dtypes(error: Error, x: Any, weight: Any, bias: Any, mixed: bool = False) -> None:
    """Refuse what is no float and, unless `mixed`, parameters not all of x's dtype or float32."""
    given = {k: dtype_name(a) for k, a in {"weight": weight, "bias": bias}.items() if a is not None}
    x_dtype = dtype_name(x)
    for name, dtype in {"x": x_dtype, **given}.items():
        if dtype not in FLOATS:
            got = f"{name} must be one of {', '.join(FLOATS)}, got {dtype}."
            raise error(f"{got} Convert it first, e.g. to float32.")
    allowed = (x_dtype, "float32") if x_dtype in HALF else (x_dtype,)
    if given and not mixed and set(given.values()) not in [{dtype} for dtype in allowed]:
        rule = " or ".join(f"all {dtype}" for dtype in allowed)
        got = " and ".join(f"{name} {dtype}" for name, dtype in given.items())
        problem = f"with x of {x_dtype}, weight and bias must be {rule}; got {got}."
        raise error(f"{problem} Convert one of them.")


def check_normalized_shape(sizes: object) -> None:
    """Refuse what is no tuple (or list) of integers."""
    if not isinstance(sizes, (tuple, list)) or not all(
        isinstance(size, Integral) and not isinstance(size, bool) for size in sizes
    ):
        got = f"normalized_shape must be a tuple of integers, got {sizes!r}."
        raise TypeError(f"{got} For one axis of size 4 write (4,).")


def check_shapes(error: Error, x: Any, normalized_shape: Any, weight: Any, bias: Any) -> None:
    """Refuse an x that does not end in `normalized_shape`, and parameters of another shape."""
    shape, wanted = tuple(x.shape), tuple(normalized_shape)
    trailing = shape[-len(wanted) :]
    if not wanted:
        problem = "normalized_shape is empty, so there is nothing to take a mean over."
        raise error(f"{problem} Name at least one trailing axis of x, which has shape {shape}.")
    if trailing != wanted:
        problem = f"x must end in normalized_shape={wanted}, got x of shape {shape}."
        fix = f"Pass normalized_shape={trailing}" if shape else "Give x at least one axis"
        raise error(f"{problem} {fix}, or move the axes to normalize to the end of x.")
    for name, array in {"weight": weight, "bias": bias}.items():
        if array is not None and tuple(array.shape) != wanted:
            got = f"must have the shape normalized_shape={wanted}, got {tuple(array.shape)}."
            fix = f"There is one {name} for each normalized position; reshape or expand it."
            raise error(f"{name} {got} {fix}")


def check_grad_y(grad_y: Any, x: Any) -> None:
    """Refuse a gradient that has not the dtype and the shape of `x`."""
    for what, error, fix in (("dtype", TypeError, "Convert"), ("shape", ValueError, "Reshape")):
        got, wanted = getattr(grad_y, what), getattr(x, what)
        if got != wanted:
            raise error(f"grad_y must have the {what} of x, {wanted}, got {got}. {fix} it.")


def check_eps(eps: object) -> None:
    """Refuse what is no number: any will do, in NumPy's and torch's types too."""
    if not isinstance(eps, SupportsFloat):
        raise TypeError(f"eps must be a number such as 1e-5, got {eps!r}.")
