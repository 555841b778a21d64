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
NAMES = {"layer_norm": "LayerNorm", "rms_norm": "RMSNorm"}


def agreement(rows):
    """Draw, of the layers that were judged, how many agree in which precision, and why not.

    Args:
        rows: those of census.json.
    """
    judged = [row for row in rows if "against" in row]
    picture, (precision, reasons) = new_picture(1, 2, width=7.0, height=2.7)
    bars = {NAMES[k]: _parts([row for row in judged if row["against"] == k]) for k in NAMES}
    hues = {"in all precisions": GREEN, "from float32 up": SKY, "nowhere": VERMILION}
    _stack(precision, bars, hues)
    precision.set_title("Layers that agree with PyTorch’s", loc="left")
    found = Counter(
        (family(row), row["confirmation"]["kind"]) for row in judged if row["verdict"] == "wrong"
    )
    bars = {name: [found[name, kind] for kind in KINDS] for name in FAMILIES}
    _stack(reasons, bars, KINDS)
    reasons.set_title("What the others do, and on purpose?", loc="left")
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
        ax.text(0, at - 0.32, f"{name}: {sum(parts)}", color=INK, va="bottom")
        for part, colour in zip(parts, hues.values(), strict=True):
            ax.barh(at, part, left=start, height=0.5, color=colour, alpha=0.8, edgecolor=GROUND)
            if part > most / 12:
                ax.text(start + part / 2, at, str(part), ha="center", va="center")
            start += part
    for k, (words, colour) in enumerate(hues.items()):
        at = len(bars) - 0.35 + 0.62 * most_lines(bars) * k
        ax.plot(most / 60, at, "s", color=colour, alpha=0.8, clip_on=False)
        ax.text(most / 22, at, words, va="center", color=INK)
    ax.set(xlim=(0, most), ylim=(len(bars) + 0.62 * most_lines(bars) * 2, -0.75))
    ax.axis("off")


def most_lines(bars):
    """Return how far apart the lines of the legend stand, in bars."""
    return len(bars) / 3.2
