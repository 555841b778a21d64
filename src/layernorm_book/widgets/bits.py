"""What is left of σ² + ε in float32, bfloat16 and float16? The bit lab."""

from typing import Any

import torch
from torch import Tensor
from traitlets import Dict, Enum, Int, List

from layernorm_book.widgets.base import BUNDLED, Lab, html_table
from layernorm_book.widgets.traits import Number

FORMATS = (torch.float32, torch.float16, torch.bfloat16)
EXPONENT_BITS = {torch.float32: 8, torch.float16: 5, torch.bfloat16: 8}
LARGEST = 1e50
NAMES = {str(dtype).removeprefix("torch."): dtype for dtype in FORMATS}  # {name: dtype}
PRESETS: dict[str, dict[str, Any]] = {
    "σ² = 0, ε = 10⁻⁵": {"format": "float16", "var": 0.0, "eps": 1e-5},
    "σ² = 1, ε = 10⁻⁵": {"format": "float16", "var": 1.0, "eps": 1e-5},
    "σ² = 1, ε = 10⁻⁸": {"format": "float32", "var": 1.0, "eps": 1e-8},
    "σ² = 10⁻⁷, ε = 10⁻⁸": {"format": "float16", "var": 1e-7, "eps": 1e-8},
}


def stored_bits(value: float | Tensor, dtype: torch.dtype) -> str:
    """Return the bits in which PyTorch stores a number, as a string, the sign first.

    Example:
        >>> stored_bits(1.5, torch.float16)
        '0011111000000000'
    """
    size = torch.finfo(dtype).bits
    whole = torch.int32 if size == 32 else torch.int16
    word = torch.as_tensor(value, dtype=dtype).view(whole).item() % 2**size
    return f"{word:0{size}b}"


def stored_value(word: int, dtype: torch.dtype) -> Tensor:
    """Return the number, of shape (), whose bits are those of a whole number."""
    size = torch.finfo(dtype).bits
    whole = torch.int32 if size == 32 else torch.int16
    return torch.tensor((word + 2 ** (size - 1)) % 2**size - 2 ** (size - 1), dtype=whole).view(
        dtype
    )


class BitLab(Lab):
    """Flip the bits of σ² and ε, and see what one format keeps of σ² + ε and of 1/√(σ² + ε).

    The browser rounds by itself, to nearest and to even from halfway. With a live kernel PyTorch's
    bits of the four numbers are compared on every change. On a static page they are on record for
    the start and for the buttons.

    Args:
        eps: ε as it is asked for, from -1e50 to 1e50; the format stores the nearest number.
        var: σ², likewise. A row of equal numbers has 0.
        format: "float32", "bfloat16" or "float16".

    Raises:
        TraitError: a value is none of these; nothing changes.

    Example:
        >>> lab = BitLab(eps=1e-8)
        >>> lab.answer["bits"][1]
        '0000000000000000'
        >>> lab.stored["rstd"].item()
        inf
    """

    _esm, _css = BUNDLED / "bits.js", BUNDLED / "bits.css"

    STATE = ("format", "var", "eps", "var_bits", "eps_bits")

    format = Enum(tuple(NAMES), "float16").tag(sync=True)
    var = Number(0.0, -LARGEST, LARGEST).tag(sync=True)
    eps = Number(1e-8, -LARGEST, LARGEST).tag(sync=True)
    # Where the number is 0: the bits that the reader flipped to ∞, NaN or −0, as a whole number.
    var_bits = Int(-1, min=-1, max=2**32 - 1).tag(sync=True)
    eps_bits = Int(-1, min=-1, max=2**32 - 1).tag(sync=True)

    presets = List(Dict(), read_only=True).tag(sync=True)
    recorded = List(Dict(), read_only=True).tag(sync=True)  # the start and the buttons

    def __init__(
        self, eps: float = 1e-8, var: float = 0.0, format: str = "float16", **kwargs: Any
    ) -> None:
        super().__init__(eps=eps, var=var, format=format, **kwargs)
        self.set_trait("presets", [{"label": label, **preset} for label, preset in PRESETS.items()])
        states = [{key: getattr(self, key) for key in ("format", "var", "eps")}, *PRESETS.values()]
        self.set_trait("recorded", [state | _bits(_stored(**state)) for state in states])

    @property
    def stored(self) -> dict[str, Tensor]:
        """What PyTorch makes of the state: {"var", "eps", "sum", "rstd"}, each of shape ()."""
        return _stored(*(getattr(self, key) for key in self.STATE))

    def ask_pytorch(self) -> dict[str, Any]:
        """Return PyTorch's bits of σ², ε, their sum and 1/√(σ² + ε), as strings."""
        return _bits(self.stored)

    def to_html(self) -> str:
        """Return the state as an HTML table: the bits and the value of each of the four numbers."""
        rows = {}
        k = EXPONENT_BITS[NAMES[self.format]]
        symbols = ("σ²", "ε", "σ² + ε", "1/√(σ² + ε)")
        for symbol, bits, value in zip(
            symbols, self.answer["bits"], self.stored.values(), strict=True
        ):
            rows[symbol] = (bits[0], bits[1 : 1 + k], bits[1 + k :], f"{value.item():.6g}")
        caption = f"σ² = {self.var:g} and ε = {self.eps:g} in {self.format}."
        return html_table(caption, ("number", "sign", "exponent", "fraction", "stored"), rows)


def _stored(format, var, eps, var_bits=-1, eps_bits=-1):
    dtype = NAMES[format]
    pairs = ((var, var_bits), (eps, eps_bits))
    variance, epsilon = (
        stored_value(word, dtype) if word >= 0 and not value else torch.tensor(value, dtype=dtype)
        for value, word in pairs
    )
    total = variance + epsilon
    # PyTorch's float32 root can be off in its last bit on some machines; float64's, cast, is not.
    rstd = 1 / total.double().sqrt().to(dtype)
    return {"var": variance, "eps": epsilon, "sum": total, "rstd": rstd}


def _bits(stored):
    return {"bits": [stored_bits(value, value.dtype) for value in stored.values()]}
