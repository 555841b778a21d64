"""How many published layers agree with PyTorch, and what do the others do?"""

from collections import Counter

from layernorm_book.chapters.census import FAMILIES, answer, family
from layernorm_book.chapters.figures.style import (
    BLUE,
    GREEN,
    GROUND,
    INK,
    ORANGE,
    PURPLE,
    SKY,
    SOFT,
    VERMILION,
    new_picture,
)

ANSWERS = {
    "agrees": GREEN,
    "agrees, with a limit": SKY,
    "agrees in float32, not below": BLUE,
    "differs in float32": PURPLE,
}
KINDS = {"convention": SOFT, "documented choice": ORANGE, "bug": VERMILION}
MOST_LINES = 6.4  # of the taller panel, in bars, so that a bar is as high in both
ACROSS = 19  # dots in a line


def each_layer(rows):
    """Draw each layer that was judged as a dot, in the colour of its verdict.

    Args:
        rows: those of census.json.
    """
    named = {"agrees": GREEN, "agrees, with a limit": SKY}
    named |= {f"differs: {kind}": colour for kind, colour in KINDS.items()}
    found = Counter(
        f"differs: {row['confirmation']['kind']}" if row["verdict"] == "wrong" else answer(row)
        for row in rows
        if "against" in row
    )
    dots = [name for name in named for _ in range(found[name])]
    picture, ax = new_picture(height=4.3)
    for name, colour in named.items():
        places = [divmod(at, ACROSS) for at, dot in enumerate(dots) if dot == name]
        down, across = zip(*places, strict=True)
        size = 11 if name.endswith("bug") else 8
        ax.plot(across, down, "o", color=colour, markersize=size, markeredgecolor=GROUND)
    lines = len(dots) // ACROSS
    for at, (name, colour) in enumerate(named.items()):
        ax.plot(0, lines + 0.6 + 1.05 * at, "o", color=colour, markersize=8)
        ax.text(0.8, lines + 0.6 + 1.05 * at, f"{name}: {found[name]}", va="center", color=INK)
    ax.set(xlim=(-0.6, ACROSS - 0.4), ylim=(lines + 5.3, -0.7))
    ax.axis("off")
    return picture


def agreement(rows):
    """Draw, of the layers that were judged, how many agree in which precision, and why not.

    Args:
        rows: those of census.json.
    """
    judged = [row for row in rows if "against" in row]
    picture, (precision, reasons) = new_picture(1, 2, width=7.0, height=3.7)
    groups = {
        "LayerNorm": [row for row in judged if row["against"] == "layer_norm"],
        "RMSNorm": [row for row in judged if row["against"] == "rms_norm"],
        "of PyTorch": [row for row in judged if row["framework"] == "pytorch"],
        "of other frameworks": [row for row in judged if row["framework"] != "pytorch"],
    }
    counts = {name: Counter(map(answer, group)) for name, group in groups.items()}
    parts = {name: [count[told] for told in ANSWERS] for name, count in counts.items()}
    _stack(precision, parts, ANSWERS)
    precision.set_title("Layers compared with PyTorch’s", loc="left")
    found = Counter(
        (family(row), row["confirmation"]["kind"]) for row in judged if row["verdict"] == "wrong"
    )
    bars = {name: [found[name, kind] for kind in KINDS] for name in FAMILIES}
    _stack(reasons, bars, KINDS)
    reasons.set_title("What those that differ do", loc="left")
    return picture


def _stack(ax, bars, hues):
    """Draw bars of named parts, one below the other, each part with its number."""
    most = max(map(sum, bars.values()))
    for at, (name, parts) in enumerate(bars.items()):
        start = 0
        ax.text(0, at - 0.24, f"{name}: {sum(parts)}", color=INK, va="bottom")
        for part, colour in zip(parts, hues.values(), strict=True):
            ax.barh(at, part, left=start, height=0.42, color=colour, alpha=0.8, edgecolor=GROUND)
            if part:
                ax.text(start + part / 2, at, str(part), ha="center", va="center")
            start += part
    for at, (words, colour) in enumerate(hues.items()):
        down = len(bars) - 0.4 + 0.48 * at
        ax.plot(most / 60, down, "s", color=colour, alpha=0.8, clip_on=False)
        ax.text(most / 22, down, words, va="center", color=INK)
    ax.set(xlim=(0, most), ylim=(MOST_LINES, -0.75))
    ax.axis("off")
