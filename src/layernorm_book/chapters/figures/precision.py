"""In which bits is a number stored?"""

from matplotlib.patches import Rectangle

from layernorm_book.chapters.figures.style import INK, ORANGE, PURPLE, SKY, new_picture


def bit_fields(rows):
    """Draw numbers as they are stored: a cell for each bit, tinted by field.

    Args:
        rows: list of (name, (sign, exponent, fraction), text), the fields being strings of bits
            and the text what stands below them.
    """
    widest = max(sum(map(len, fields)) for _, fields, _ in rows)
    picture, ax = new_picture(height=0.85 * len(rows) + 0.3)
    for line, (name, fields, text) in enumerate(rows):
        top, left = 2.6 * line, 0.0
        ax.text(-0.5, top + 0.5, name, ha="right", va="center")
        for field, tint in zip(fields, (PURPLE, ORANGE, SKY), strict=True):
            for bit in field:
                style = {"facecolor": tint, "alpha": 0.75 if bit == "1" else 0.22}
                ax.add_patch(Rectangle((left + 0.05, top), 0.9, 1, linewidth=0, **style))
                ax.text(left + 0.5, top + 0.52, bit, ha="center", va="center", fontsize=9)
                left += 1
            left += 0.35
        ax.text(0.05, top + 1.2, text, va="top", fontsize=9.5)
    above = {"va": "bottom", "fontsize": 9, "color": INK}
    sign, exponent, fraction = map(len, rows[0][1])
    ax.text(0.5, -0.15, "sign", ha="center", **above)
    ax.text(sign + 0.35 + exponent / 2, -0.15, "exponent", ha="center", **above)
    ax.text(sign + exponent + 0.7 + fraction / 2, -0.15, "fraction", ha="center", **above)
    ax.set(xlim=(-5, widest + 1.2), ylim=(2.6 * len(rows) - 0.4, -1.1))
    ax.set_axis_off()
    return picture
