"""What happens to the tokens of a model that is stuck? The collapse lab: recorded training runs."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from traitlets import Dict, Float, Int, List, TraitError, Unicode, validate

from layernorm_book.widgets.base import BUNDLED, Lab, html_table

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
STORED = Path(__file__).with_name("collapse.json")  # a small recording, for a lab without a kernel


class Recording(NamedTuple):
    """What was seen of a training run after some of its steps."""

    steps: Sequence[int]  # 0 is before the first
    losses: Sequence[float]
    cosines: np.ndarray  # (frames, blocks + 1, tokens, tokens): before the first block, after each


def pairs(tokens: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the row and the column of each pair of two different tokens, each pair once."""
    return np.triu_indices(tokens, 1)


def apart(cosines: np.ndarray) -> np.ndarray:
    """Return how far apart tokens are: 1 − cosine, averaged over all pairs of two.

    Args:
        cosines: (..., tokens, tokens).

    Returns:
        Array of shape (...,): 0 where all tokens point the same way.
    """
    first, second = pairs(cosines.shape[-1])
    return 1 - cosines[..., first, second].mean(-1)


def pack(cosines: np.ndarray) -> str:
    """Write 1 − cosine as text, a letter for each pair: A is 10⁻⁵ or less, four letters make ten.

    The browser draws its power of ten: even steps of the cosine would not tell 10⁻² from 10⁻⁵.
    """
    first, second = pairs(cosines.shape[-1])
    powers = np.log10((1 - cosines[..., first, second]).clip(1e-5, 2))
    levels = np.rint(4 * (powers + 5)).astype(int)
    return "".join(LETTERS[level] for level in levels.ravel())


class CollapseLab(Lab):
    """Scrub through training, and watch the tokens of each run merge and come apart.

    Args:
        runs: a `Recording` for each name, up to three, all after the same steps; without them a
            small stored recording of post-LN and pre-LN.
        tokens: the text of the tokens, one character each.
        level: the loss of a model that knows character frequencies and nothing else.
        frame: which of the recorded steps is shown, from 0; the last if it is not given.

    Raises:
        TraitError: the recordings do not go together, or there is no such frame.

    Example:
        >>> lab = CollapseLab()
        >>> [run["name"] for run in lab.runs], lab.steps[-1]
        (['post-LN', 'pre-LN'], 100)
        >>> [run["apart"][-1][-1] > 0.1 for run in lab.runs]
        [False, True]
    """

    _esm, _css = BUNDLED / "collapse.js", BUNDLED / "collapse.css"

    STATE = ("frame",)

    frame = Int(0, min=0).tag(sync=True)
    steps = List(Int(), read_only=True).tag(sync=True)
    level = Float(read_only=True).tag(sync=True)
    tokens = Unicode(read_only=True).tag(sync=True)
    runs = List(Dict(), read_only=True).tag(sync=True)

    def __init__(
        self,
        runs: Mapping[str, Recording] | None = None,
        tokens: str = "",
        level: float | None = None,
        frame: int | None = None,
        **kwargs: Any,
    ) -> None:
        kept = json.loads(STORED.read_text(encoding="utf-8")) if runs is None else None
        for name, value in (kept or _traits(runs, tokens, level)).items():
            self.set_trait(name, value)
        super().__init__(frame=len(self.steps) - 1 if frame is None else frame, **kwargs)

    @validate("frame")
    def _is_recorded(self, proposal):
        if proposal["value"] >= len(self.steps):
            last = len(self.steps) - 1
            raise TraitError(f"frame takes 0 to {last}, got {proposal['value']!r}.")
        return proposal["value"]

    def to_html(self) -> str:
        """Return an HTML table: how far apart the tokens of each run are, and its loss."""
        step = self.steps[self.frame]
        depth = len(self.runs[0]["apart"][0])
        rows = {
            run["name"]: [
                *(f"{value:.1g}" for value in run["apart"][self.frame]),
                f"{run['losses'][self.frame]:.2f}",
            ]
            for run in self.runs
        }
        caption = (
            f"How far apart the tokens are after {step} steps of training: 1 − cosine, averaged "
            "over all pairs, before the first block (0) and after each. Character frequencies "
            f"alone have the loss {self.level:.2f}."
        )
        return html_table(caption, ["after block", *map(str, range(depth)), "loss"], rows)


def _traits(runs, tokens, level):
    """Check recordings, and write them as the front end reads them."""
    parts = list(runs.values())
    shapes = {(tuple(part.steps), np.shape(part.cosines)) for part in parts}
    lengths = {len(part.losses) for part in parts}
    steps, shape = next(iter(shapes), ((), ()))
    if not 1 <= len(parts) <= 3 or len(shapes) > 1 or len(shape) != 4 or level is None:
        raise TraitError("runs takes one to three recordings after the same steps, and a level.")
    if not len(steps) == shape[0] == min(lengths) == max(lengths) or len(tokens) != shape[-1]:
        raise TraitError("runs takes a loss and cosines for each step, and tokens one for each.")
    return {
        "steps": list(steps),
        "tokens": tokens,
        "level": float(f"{level:.5g}"),
        "runs": [
            {
                "name": name,
                "losses": [float(f"{loss:.4g}") for loss in part.losses],
                "apart": [[float(f"{v:.2g}") for v in row] for row in apart(part.cosines)],
                "maps": pack(part.cosines),
            }
            for name, part in runs.items()
        ],
    }
