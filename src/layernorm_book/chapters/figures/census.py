"""How many published layers agree with PyTorch, and what do the others do?"""

from collections import Counter

from layernorm_book.chapters.census import FAMILIES, agrees, family
from layernorm_book.chapters.figures.style import (
    GREEN,
    GROUND,
    INK,
    ORANGE,
    SKY,
    SOFT,
    VERMILION,
    new_picture,
)

KINDS = {"convention": SOFT, "documented choice": ORANGE, "bug": VERMILION}
MOST_LINES = 5.9  # of the taller panel, in bars, so that a bar is as high in both


def agreement(rows):
    """Draw, of the layers that were judged, how many agree in which precision, and why not.

    Args:
        rows: those of census.json.
    """
    judged = [row for row in rows if "against" in row]
    picture, (precision, reasons) = new_picture(1, 2, width=7.0, height=3.4)
    groups = {
        "LayerNorm": [row for row in judged if row["against"] == "layer_norm"],
        "RMSNorm": [row for row in judged if row["against"] == "rms_norm"],
        "of PyTorch": [row for row in judged if row["framework"] == "pytorch"],
        "of other frameworks": [row for row in judged if row["framework"] != "pytorch"],
    }
    hues = {
        "agree in every precision": GREEN,
        "in float32, not below": SKY,
        "differ in float32 too": VERMILION,
    }
    _stack(precision, {name: _parts(group) for name, group in groups.items()}, hues)
    precision.set_title("Layers compared with PyTorch’s", loc="left")
    found = Counter(
        (family(row), row["confirmation"]["kind"]) for row in judged if row["verdict"] == "wrong"
    )
    bars = {name: [found[name, kind] for kind in KINDS] for name in FAMILIES}
    _stack(reasons, bars, KINDS)
    reasons.set_title("What those that differ do", loc="left")
    return picture


def _parts(rows):
    """Return how many agree in every precision, how many in float32 alone, and the rest."""
    everywhere = sum(map(agrees, rows))
    single = sum(agrees(row, in_single=True) for row in rows)
    return [everywhere, single - everywhere, len(rows) - single]


def _stack(ax, bars, hues):
    """Draw bars of named parts, one below the other, each part with its number."""
    most = max(map(sum, bars.values()))
    for at, (name, parts) in enumerate(bars.items()):
        start = 0
        ax.text(0, at - 0.24, f"{name}: {sum(parts)}", color=INK, va="bottom")
        for part, colour in zip(parts, hues.values(), strict=True):
            ax.barh(at, part, left=start, height=0.42, color=colour, alpha=0.8, edgecolor=GROUND)
            if part > most / 12:
                ax.text(start + part / 2, at, str(part), ha="center", va="center")
            start += part
    for at, (words, colour) in enumerate(hues.items()):
        down = len(bars) - 0.4 + 0.48 * at
        ax.plot(most / 60, down, "s", color=colour, alpha=0.8, clip_on=False)
        ax.text(most / 22, down, words, va="center", color=INK)
    ax.set(xlim=(0, most), ylim=(MOST_LINES, -0.75))
    ax.axis("off")
