"""Which labs does the book have? Each is a Python class, with its JavaScript and CSS beside it."""

# ruff: noqa: E402 - what is missing is named before an import fails

from layernorm_book.extra import need

need("The labs", "ipywidgets", "anywidget")

from layernorm_book.widgets.axes import AxisPicker
from layernorm_book.widgets.bits import BitLab
from layernorm_book.widgets.blackbox import BlackBox
from layernorm_book.widgets.bugs import BugLab
from layernorm_book.widgets.channel import ChannelLab
from layernorm_book.widgets.collapse import CollapseLab
from layernorm_book.widgets.depth import DepthLab
from layernorm_book.widgets.descent import DescentLab
from layernorm_book.widgets.gradient import GradientLab
from layernorm_book.widgets.kernel import KernelLab
from layernorm_book.widgets.lab import LayerNormLab
from layernorm_book.widgets.rounding import RoundingLab
from layernorm_book.widgets.sphere import SphereLab

__all__ = [
    "AxisPicker",
    "BitLab",
    "BlackBox",
    "BugLab",
    "ChannelLab",
    "CollapseLab",
    "DepthLab",
    "DescentLab",
    "GradientLab",
    "KernelLab",
    "LayerNormLab",
    "RoundingLab",
    "SphereLab",
]
