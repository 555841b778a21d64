"""What does the LayerNorm book offer? A reference implementation, and the judge of any other.

    layer_norm, layer_norm_backward    NumPy, in `reference`
    rms_norm, rms_norm_backward        its relative that does not centre, beside it
    LayerNorm                          a torch.nn.Module, in `layer`
    check_parity                       compares any LayerNorm with PyTorch, in `parity`

What needs torch is imported when it is first asked for, so that the NumPy half loads at once.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from layernorm_book.reference import (
    layer_norm,
    layer_norm_backward,
    mean_and_variance,
    normalize,
    rms_norm,
    rms_norm_backward,
    scale_and_shift,
)

if TYPE_CHECKING:
    from layernorm_book.layer import LayerNorm
    from layernorm_book.parity import ParityError, ParityReport, check_parity

_NEEDS_TORCH = {
    "LayerNorm": "layernorm_book.layer",
    "ParityError": "layernorm_book.parity",
    "ParityReport": "layernorm_book.parity",
    "check_parity": "layernorm_book.parity",
}

__all__ = [
    "LayerNorm",
    "ParityError",
    "ParityReport",
    "check_parity",
    "layer_norm",
    "layer_norm_backward",
    "mean_and_variance",
    "normalize",
    "rms_norm",
    "rms_norm_backward",
    "scale_and_shift",
]


def __getattr__(name: str) -> Any:
    """Look up on first use what takes time: the version, and all that needs torch (PEP 562)."""
    if name == "__version__":
        return import_module("importlib.metadata").version("layernorm-book")
    if name not in _NEEDS_TORCH:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_NEEDS_TORCH[name]), name)


def __dir__() -> list[str]:
    """List the lazy names too, so that completion finds them."""
    return sorted({*globals(), *__all__})
