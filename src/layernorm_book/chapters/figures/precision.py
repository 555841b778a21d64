"""In which bits is a number stored, and how do parts of a row merge?"""

from matplotlib.patches import Rectangle

from layernorm_book.chapters.figures.style import (
    BLUE,
    GREEN,
    LINE,
    SOFT,
    VERMILION,
    Picture,
    new_panel,
)


def bit_fields(rows):
    """Draw numbers as they are stored: a cell for each bit, tinted by field.

    Args:
        rows: list of (name, (sign, exponent, fraction), text), the fields being strings of bits
            and the text what stands below them.
    """
    widest = max(sum(map(len, fields)) for _, fields, _ in rows) + 0.8
    panel = new_panel(4.5, 0.78 * len(rows) + 0.25, layout=None)
    ax = panel.add_axes((0, 0, 1, 1))
    for line, (name, fields, text) in enumerate(rows):
        top, left = 5.6 * line + 2.4, 0.0
        ax.text(0, top - 0.5, name, weight="bold")
        ax.text(7, top - 0.5, text, color=SOFT)
        for field, tint in zip(fields, (VERMILION, GREEN, BLUE), strict=True):
            for bit in field:
                style = {"facecolor": tint, "alpha": 0.6 if bit == "1" else 0.18}
                ax.add_patch(Rectangle((left + 0.05, top), 0.9, 2, linewidth=0, **style))
                ax.text(left + 0.5, top + 1.05, bit, ha="center", va="center")
                left += 1
            left += 0.4
    below = 5.6 * len(rows) - 0.4
    sign, exponent, _ = map(len, rows[-1][1])
    for left, field, tint in (
        (0, "sign", VERMILION),
        (sign + 3, "exponent", GREEN),
        (sign + exponent + 3, "fraction", BLUE),
    ):
        ax.text(left, below, field, color=tint, va="top")
    ax.set(xlim=(0, widest), ylim=(below + 2, 0.2))
    ax.set_axis_off()
    return Picture([panel])


def tournament(rounds):
    """Draw how numbers merge in pairs, up to the mean and the sum of squares of them all.

    Args:
        rounds: list of rounds, each a list of (count, mean, sum of squares). The first has an entry
            for each number, the next ones half as many, the last one entry.
    """
    first = len(rounds[0])
    panel = new_panel(4.5, 0.75 * len(rounds) + 0.1, layout=None)
    ax = panel.add_axes((0, 0, 1, 1))
    middle = {"ha": "center", "va": "center"}
    centres = [k + 0.5 for k in range(first)]
    for at, (_, mean, _) in zip(centres, rounds[0], strict=True):
        ax.text(at, 0, f"{mean:g}", **middle)
    for level, parts in enumerate(rounds[1:], start=1):
        below = list(zip(centres[::2], centres[1::2], strict=True))
        centres = [sum(pair) / 2 for pair in below]
        for pair, at, (count, mean, squares) in zip(below, centres, parts, strict=True):
            for end in pair:
                ax.plot([end, at], [level - 0.8, level - 0.25], color=LINE, linewidth=1.5)
            ax.text(at, level + 0.12, f"mean {mean:g}", **middle)
            last = f", σ² = {squares:g}/{count:g}" if count == first else ""
            ax.text(at, level - 0.12, f"squares {squares:g}{last}", color=SOFT, **middle)
    ax.set(xlim=(0, first), ylim=(-0.3, len(rounds) - 0.5))
    ax.set_axis_off()
    return Picture([panel])
