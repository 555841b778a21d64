"""Which of a trained model's channels carry it? The channel lab: silence one and see."""

from base64 import b64encode
from typing import Any

import numpy as np
from traitlets import Bool, Dict, Enum, Int, List, Unicode

from layernorm_book.chapters.trained import NAMES, load_layer_norms, load_measured
from layernorm_book.widgets.base import BUNDLED, Lab, html_table

VIEWS = ("weight", "bias", "share")
ROWS = {"all": "every token", "cls": "[CLS] alone", "others": "every token but [CLS]"}
CHANNELS = 384


def in_units(values: Any, unit: float) -> np.ndarray:
    """Return values as whole numbers of units, none of which ends in 5.

    The lab shows a digit less, and a 5 that has been rounded already would be rounded twice: 0.5449
    to 0.545 and then to 0.55. It becomes a 4 or a 6, by the side on which the value lies.
    """
    exact = np.asarray(values, dtype=float) / unit
    rounded = np.rint(exact)
    five = np.abs(rounded) % 10 == 5
    return rounded + five * np.where(exact >= rounded, 1, -1)


def packed() -> str:
    """Return all that the lab draws, as base64 of int16: first all low bytes, then all high ones.

    So it packs by a fifth better, for high bytes repeat. The numbers are, one after the
    other: γ and β in thousandths and the shares of x̂² in ten-thousandths, 13 × 384 each; then, for
    each of `ROWS`, the worst and the median cosine of all 384 channels, in ten-thousandths.
    """
    weight, bias = load_layer_norms()  # (13, 384) each
    measured = load_measured("silenced_channels")
    share = np.array(measured["share"])  # (13, 384)
    cosine = [measured["cosine"][rows][kind] for rows in ROWS for kind in ("worst", "median")]
    parts = (
        in_units(weight, 1e-3),
        in_units(bias, 1e-3),
        in_units(share, 1e-4),
        1e4 * np.array(cosine),
    )
    units = np.concatenate([np.rint(part).astype("<i2").ravel() for part in parts])
    return b64encode(units.view("u1").reshape(-1, 2).T.tobytes()).decode()


def too_small() -> dict[str, dict[str, float]]:
    """Return the γ and β that are 0 in thousandths, by their place among 13 · 384."""
    named = zip(("weight", "bias"), load_layer_norms(), strict=True)
    return {
        name: {
            str(at): float(f"{values.flat[at]:.1e}")
            for at in np.flatnonzero(np.abs(values) < 5e-4).tolist()
        }
        for name, values in named
    }


class ChannelLab(Lab):
    """Pick one of 384 channels of a trained encoder, and see what silencing it costs.

    The map shows of every channel in all 13 LayerNorms how far its γ is from the layer's mean, its
    β, or its share of x̂². Above it hangs the channel's bar: how far the embeddings of 24 sentences
    turn when γ and β of that channel are 0 in all layers. The other channels' bars are there once
    they are asked for. `make wild` measured each; nothing is computed here.

    Args:
        channel: from 0 to 383.
        rows: for which tokens the channel is silenced: "all", "cls" (the first token of each
            sentence) or "others".
        zoom: whether the bars end at a cosine of 0.9 and not at 0.
        every: whether the bars of all channels are drawn, and not the chosen one's alone.
        view: what the map shows: "weight" (γ), "bias" (β) or "share" (of all x̂²).

    Raises:
        TraitError: a value is not allowed; the message says what is, and nothing changes.

    Example:
        >>> lab = ChannelLab(channel=99)
        >>> lab.worst, lab.median
        (0.1522, 0.6059)
        >>> lab.rows = "others"
        >>> lab.worst
        0.936
    """

    _esm, _css = BUNDLED / "channel.js", BUNDLED / "channel.css"

    STATE = ("view", "rows", "zoom", "every", "channel")

    view = Enum(VIEWS, "weight").tag(sync=True)
    rows = Enum(tuple(ROWS), "all").tag(sync=True)
    zoom = Bool(False).tag(sync=True)
    every = Bool(False).tag(sync=True)
    channel = Int(0, min=0, max=CHANNELS - 1).tag(sync=True)

    names = List(read_only=True).tag(sync=True)
    numbers = Unicode(read_only=True).tag(sync=True)
    exact = Dict(read_only=True).tag(sync=True)  # what is too small for `numbers`
    date = Unicode(read_only=True).tag(sync=True)

    def __init__(self, channel: int = 0, **kwargs: Any) -> None:
        super().__init__(channel=channel, **kwargs)
        short = {"embeddings": "emb", "attention": "att", "feed-forward": "ff"}
        fixed = {
            "names": [" ".join(short.get(word, word) for word in name.split()) for name in NAMES],
            "numbers": packed(),
            "exact": too_small(),
            "date": load_measured("silenced_channels")["date"],
        }
        for name, value in fixed.items():
            self.set_trait(name, value)

    def _cosine(self, kind):
        return load_measured("silenced_channels")["cosine"][self.rows][kind][self.channel]

    @property
    def worst(self) -> float:
        """The cosine that the embedding of the sentence that suffers most keeps."""
        return self._cosine("worst")

    @property
    def median(self) -> float:
        """The median of the cosines of the 24 sentences."""
        return self._cosine("median")

    def to_html(self) -> str:
        """Return γ, β and the share of x̂² of the channel in all layers as an HTML table."""
        weight, bias = load_layer_norms()
        share = load_measured("silenced_channels")["share"]
        rows = {
            name: [
                f"{weight[k, self.channel]:.2g}",
                f"{bias[k, self.channel]:.2g}",
                f"{share[k][self.channel]:.1%}",
            ]
            for k, name in enumerate(NAMES)
        }
        caption = (
            f"Channel {self.channel} in the 13 LayerNorms of all-MiniLM-L6-v2. Silenced in "
            f"{ROWS[self.rows]}, it leaves the worst of 24 sentences a cosine of {self.worst:.4f} "
            f"to its embedding; the median is {self.median:.4f}."
        )
        return html_table(caption, ["LayerNorm", "γ", "β", "share of x̂²"], rows)
