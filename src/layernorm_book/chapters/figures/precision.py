"""In which bits is a number stored, and how many of its digits are right?"""

import math

from matplotlib.patches import Rectangle

from layernorm_book.chapters.figures.statistics import WAYS
from layernorm_book.chapters.figures.style import (
    BLUE,
    CENTRED,
    GREEN,
    INK,
    LINE,
    SOFT,
    VERMILION,
    Picture,
    X,
    new_panel,
)

ARROW = {"arrowstyle": "-|>", "color": VERMILION, "linewidth": 1.2, "shrinkA": 2, "shrinkB": 1}


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


def shifted_alike(row, rounded):
    """Draw a row, its mean, the mean as rounded, and how far that shifts each distance.

    Args:
        row: list of numbers, in order.
        rounded: the mean that the computer stores.
    """
    mean = sum(row) / len(row)
    panel = new_panel(4.5, 1.75, layout=None)
    ax = panel.add_axes((0, 0, 1, 1))
    middle = {"ha": "center", "va": "center"}
    ax.plot([row[0] - 0.3, row[-1] + 0.3], [2, 2], color=LINE, linewidth=1)
    for number in row:
        ax.plot([number, number], [1.85, 2.15], color=X, linewidth=2.5)
        ax.text(number, 2.42, f"{number}", color=X, **middle)
    ax.plot([mean, mean], [1.5, 2.15], color=INK, linewidth=1.5)
    ax.plot([rounded, rounded], [1.5, 1.85], color=VERMILION, linewidth=1.5, linestyle=":")
    ax.text(mean - 0.06, 1.45, f"mean {mean:g}", ha="right", va="center")
    ax.text(rounded + 0.06, 1.45, f"stored {rounded:g}", color=VERMILION, ha="left", va="center")
    ax.plot([row[0] - 0.55, row[-1] + 0.55], [0.7, 0.7], color=LINE, linewidth=1)
    for number in row:
        true, found = number - mean, number - rounded
        left = number + found - true
        ax.plot([number, number], [0.58, 0.82], color=CENTRED, linewidth=2.5)
        ax.plot([left, left], [0.58, 0.82], color=VERMILION, linewidth=2.5)
        ax.annotate("", (left, 0.7), (number, 0.7), arrowprops=ARROW)
        ax.text(number, 1.02, f"{true:g}".replace("-", "−"), **middle)
        ax.text(left, 0.36, f"{found:g}".replace("-", "−"), color=VERMILION, **middle)
    ax.text(row[-1] + 0.62, 1.02, "true", ha="left", va="center")
    ax.text(row[-1] + 0.62, 0.36, "found", color=VERMILION, ha="left", va="center")
    ax.set(xlim=(row[0] - 0.7, row[-1] + 1.15), ylim=(0.1, 2.65))
    ax.set_axis_off()
    return Picture([panel])


def digits(errors):
    """Draw how many digits each way gets right: a bar for each, none where the error is NaN.

    Args:
        errors: {way: its largest error of x̂}, from the top.
    """
    panel = new_panel(4.5, 0.3 * len(errors) + 0.6, layout=None)
    ax = panel.add_axes((0.22, 0.25, 0.58, 0.75))
    for line, (way, error) in enumerate(errors.items()):
        lost = not error < 1
        right = 0.0 if lost else -math.log10(error)
        ax.barh(line, right, height=0.62, color=WAYS[way][0])
        ax.text(-0.1, line, way, ha="right", va="center")
        text = "NaN: none" if math.isnan(error) else f"off by {error:.1e}".replace("e-0", "e-")
        ax.text(right + 0.1, line, text, color=SOFT, va="center")
    ax.set(xlim=(0, 7), ylim=(len(errors) - 0.5, -0.5), yticks=[])
    ax.set_xlabel("digits of x̂ that are right, at the worst place of 64 rows", color=SOFT)
    ax.spines[["left", "right", "top"]].set_visible(False)
    return Picture([panel])
