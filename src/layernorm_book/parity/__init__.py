"""The judge: does this layer norm agree with PyTorch, and if not, which bug is it?"""

from layernorm_book.parity.check import ParityError, ParityReport, check_parity

__all__ = ["ParityError", "ParityReport", "check_parity"]
