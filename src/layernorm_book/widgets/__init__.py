"""Which labs does the book have? Each is a Python class, with its JavaScript and CSS beside it."""

from layernorm_book.widgets.axes import AxisPicker
from layernorm_book.widgets.bits import BitLab
from layernorm_book.widgets.blackbox import BlackBox
from layernorm_book.widgets.bugs import BugLab
from layernorm_book.widgets.collapse import CollapseLab
from layernorm_book.widgets.depth import DepthLab
from layernorm_book.widgets.descent import DescentLab
from layernorm_book.widgets.gradient import GradientLab
from layernorm_book.widgets.lab import LayerNormLab
from layernorm_book.widgets.sphere import SphereLab

__all__ = [
    "AxisPicker",
    "BitLab",
    "BlackBox",
    "BugLab",
    "CollapseLab",
    "DepthLab",
    "DescentLab",
    "GradientLab",
    "LayerNormLab",
    "SphereLab",
]
