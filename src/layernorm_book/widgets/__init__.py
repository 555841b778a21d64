"""Which labs does the book have? Each is a Python class, with its JavaScript and CSS beside it."""

from layernorm_book.widgets.axes import AxisPicker
from layernorm_book.widgets.bits import BitLab
from layernorm_book.widgets.blackbox import BlackBox
from layernorm_book.widgets.bugs import BugLab
from layernorm_book.widgets.gradient import GradientLab
from layernorm_book.widgets.lab import LayerNormLab
from layernorm_book.widgets.sphere import SphereLab

<<<<<<< HEAD
__all__ = ["AxisPicker", "BitLab", "BlackBox", "BugLab", "GradientLab", "LayerNormLab"]
=======
__all__ = ["AxisPicker", "BitLab", "BugLab", "GradientLab", "LayerNormLab", "SphereLab"]
>>>>>>> 1f785e36955782eedf31a679f1e20a4223ad9e0e
