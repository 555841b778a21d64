"""What do float32, float16 and bfloat16 store of one number? The bit lab."""

from typing import Any

import torch
from traitlets import Dict, List

from layernorm_book.widgets.base import BUNDLED, Lab, html_table
from layernorm_book.widgets.traits import Number

FORMATS = (torch.float32, torch.float16, torch.bfloat16)
EXPONENT_BITS = {torch.float32: 8, torch.float16: 5, torch.bfloat16: 8}
SMALLEST, LARGEST = 1e-50, 1e50
PRESETS = (  # the buttons: a value, and whose default it is
    ("1e-3", "Keras"),
    ("1e-5", "PyTorch"),
    ("1e-6", "flax"),
    ("1e-7", ""),
    ("1e-8", ""),
    ("1e-12", "BERT"),
    ("1e-40", ""),
)


def stored_bits(value: float, dtype: torch.dtype) -> str:
    """Return the bits in which PyTorch stores a number, as a string, the sign first.

    Example:
        >>> stored_bits(1.5, torch.float16)
        '0011111000000000'
    """
    size = torch.finfo(dtype).bits
    whole = torch.int32 if size == 32 else torch.int16
    word = torch.tensor(value, dtype=dtype).view(whole).item() % 2**size
    return f"{word:0{size}b}"


class BitLab(Lab):
    """Type or drag eps, and see sign, exponent and fraction of what three formats store.

    The browser rounds by itself, to nearest and to even from halfway. With a live kernel `eps`
    follows the reader and PyTorch's bits are compared on every change. On a static page they are
    on record for the starting value and for the buttons.

    Args:
        eps: a number from 1e-50 to 1e50.

    Raises:
        TraitError: eps is not such a number; nothing changes.

    Example:
        >>> lab = BitLab(eps=1e-8)
        >>> lab.answer["bits"][1]
        '0000000000000000'
    """

    _esm, _css = BUNDLED / "bits.js", BUNDLED / "bits.css"

    STATE = ("eps",)

    eps = Number(1e-8, SMALLEST, LARGEST).tag(sync=True)
    recorded = List(Dict(), read_only=True).tag(sync=True)  # for the buttons, and for the start

    def __init__(self, eps: float = 1e-8, **kwargs: Any) -> None:
        super().__init__(eps=eps, **kwargs)
        buttons = [{"label": label, "who": who, **_record(float(label))} for label, who in PRESETS]
        self.set_trait("recorded", [*buttons, _record(eps)])

    def ask_pytorch(self) -> dict[str, Any]:
        """Return PyTorch's bits for eps in each format, as strings."""
        return _record(self.eps)

    def to_html(self) -> str:
        """Return the state as an HTML table: for each format its bits and the stored number."""
        rows = {}
        for dtype, bits in zip(FORMATS, self.answer["bits"], strict=True):
            k, stored = EXPONENT_BITS[dtype], torch.tensor(self.eps, dtype=dtype).item()
            fields = (bits[0], bits[1 : 1 + k], bits[1 + k :], f"{stored:.6g}")
            rows[str(dtype).removeprefix("torch.")] = fields
        header = ("format", "sign", "exponent", "fraction", "stored")
        return html_table(f"ε = {self.eps:g} in three formats.", header, rows)


def _record(eps):
    return {"eps": eps, "bits": [stored_bits(eps, dtype) for dtype in FORMATS]}
