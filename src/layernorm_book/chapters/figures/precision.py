"""In which bits is a number stored?"""

from matplotlib.patches import Rectangle

from layernorm_book.chapters.figures.style import (
    BLUE,
    GREEN,
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
