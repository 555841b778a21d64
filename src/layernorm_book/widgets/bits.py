"""The bit-level lab: what float32, float16 and bfloat16 store of one number."""

import torch
from traitlets import Dict, List, observe

from layernorm_book.widgets.common import Number, StillWidget
from layernorm_book.widgets.joined import join_modules, read_style

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


def stored_bits(value, dtype):
    """Return the bits in which PyTorch stores a number, as a string, the sign first.

    Example:
        >>> stored_bits(1.5, torch.float16)
        '0011111000000000'
    """
    size = torch.finfo(dtype).bits
    whole = torch.int32 if size == 32 else torch.int16
    word = torch.tensor(value, dtype=dtype).view(whole).item() % 2**size
    return f"{word:0{size}b}"


def _answer(eps):
    return {"eps": eps, "bits": [stored_bits(eps, dtype) for dtype in FORMATS]}


class BitLab(StillWidget):
    """Type or drag eps, and see sign, exponent and fraction of what three formats store.

    The browser rounds by itself, to nearest and to even from halfway. With a live kernel `eps`
    follows the reader's hand and PyTorch's bits are compared on every change. On a static page
    they are on record for the starting value and for the buttons.

    Args:
        eps: a number from 1e-50 to 1e50.

    Raises:
        TraitError: eps is not such a number; nothing changes.

    Example:
        >>> lab = BitLab(eps=1e-8)
        >>> lab.answer["bits"][1]
        '0000000000000000'
    """

    _esm = join_modules("numbers.js", "page.js", "instrument.js", "formats.js", "bits.js")
    _css = read_style("base.css", "bits.css")

    eps = Number(1e-8, SMALLEST, LARGEST).tag(sync=True)
    answer = Dict(read_only=True).tag(sync=True)  # PyTorch's bits for eps as it is now
    recorded = List(Dict(), read_only=True).tag(sync=True)  # and for the buttons

    def __init__(self, eps=1e-8, **kwargs):
        super().__init__(eps=eps, **kwargs)
        recorded = [_answer(float(label)) | {"label": label, "who": who} for label, who in PRESETS]
        self.set_trait("recorded", recorded)
        self._recompute()

    @observe("eps")
    def _recompute(self, change=None):
        self.set_trait("answer", _answer(self.eps))

    def to_html(self):
        """Return the state as an HTML table: for each format its bits and the stored number."""
        rows = ""
        for dtype, bits in zip(FORMATS, self.answer["bits"], strict=True):
            name, k = str(dtype).removeprefix("torch."), EXPONENT_BITS[dtype]
            stored = torch.tensor(self.eps, dtype=dtype).item()
            fields = (bits[0], bits[1 : 1 + k], bits[1 + k :], f"{stored:.6g}")
            cells = "".join(f"<td>{field}</td>" for field in fields)
            rows += f'<tr><th scope="row">{name}</th>{cells}</tr>'
        header = "".join(
            f'<th scope="col">{name}</th>'
            for name in ("format", "sign", "exponent", "fraction", "stored")
        )
        return (
            f'<table class="ln-still"><caption>ε = {self.eps:g} in three formats.</caption>'
            f"<thead><tr>{header}</tr></thead><tbody>{rows}</tbody></table>"
        )
