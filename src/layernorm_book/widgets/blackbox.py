"""Which part of a layer is wrong, when all that one can do is ask it? The black box."""

from typing import Any

from traitlets import Bool, Int

from layernorm_book.widgets.base import BUNDLED, html_table
from layernorm_book.widgets.bugs import (
    DRAWS,
    PRESETS,
    RIGHT,
    USUAL,
    Asked,
    one_fault_each,
    record,
)

BOXES = [*one_fault_each()[1:], RIGHT]
"""The layers that a box may hold, in the order of the browser's list of suspects."""


class BlackBox(Asked):
    """Find out what is wrong with a layer by asking it: the game of the bug lab.

    The box holds a layer with one fault, or none. A suspect's errors appear as rings beside those
    of the box; an input on which they part rules it out. The browser needs no kernel.

    Args:
        secret: which box, a number from 0 to 14.
        suspect: who is suspected, a number from 0 to 14, or -1 for nobody yet.
        named: whether the reader has named the suspect.
        out: who has been ruled out, a number with a bit for each suspect.
        missed: how often a suspect was named who is not in the box, up to 99.
        n, mean, sigma, rows, parameters, eps: the input, as in `BugLab`.

    Raises:
        TraitError: a value is none of these; nothing changes.

    Example:
        >>> BlackBox(secret=0).parts["divide"]
        'outside'
    """

    _esm, _css = BUNDLED / "blackbox.js", BUNDLED / "blackbox.css"

    STATE = ("secret", "suspect", "named", "out", "missed", *USUAL)

    secret = Int(0, min=0, max=len(BOXES) - 1).tag(sync=True)
    suspect = Int(-1, min=-1, max=len(BOXES) - 1).tag(sync=True)
    named = Bool(False).tag(sync=True)
    out = Int(0, min=0, max=2 ** len(BOXES) - 1).tag(sync=True)
    missed = Int(0, min=0, max=99).tag(sync=True)

    def __init__(self, secret: int = 0, **kwargs: Any) -> None:
        super().__init__(secret=secret, **kwargs)

    @property
    def parts(self) -> dict[str, str]:
        """What is in the box: its choice for each part."""
        return BOXES[self.secret]

    def to_html(self) -> str:
        """Return, as an HTML table, how many draws of each preset pass, for this box."""
        rows = {}
        for name, changed in PRESETS.items():
            rows[name] = record(self.parts, USUAL | changed)["passes"]
        caption = f"In how many of {DRAWS} draws three tests pass the layer in the box."
        return html_table(caption, ["input", "assert_close", "10⁻³", "the judge’s bound"], rows)
