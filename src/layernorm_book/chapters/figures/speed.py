"""How near does each version come to the machine's limits?"""

import numpy as np

from layernorm_book.chapters.figures.style import (
    BLUE,
    GREEN,
    INK,
    ORANGE,
    PURPLE,
    SOFT,
    VERMILION,
    name_all,
    new_picture,
)

LOOKS = tuple(zip((BLUE, VERMILION, GREEN, ORANGE, PURPLE, INK), "osD^vP", strict=True))


def ladder(sizes, shares):
    """Draw the share of a copy's bandwidth that each version reaches, for each size.

    Args:
        sizes: list of (rows, n).
        shares: dict from a version's name to its share at each size, 1 being a copy's speed.
    """
    picture, ax = new_picture(height=3.8)
    position = np.arange(len(sizes))
    ends = []
    for (colour, mark), (name, values) in zip(LOOKS, shares.items(), strict=False):
        ax.plot(position, values, marker=mark, color=colour, markersize=5)
        ends.append((name, (position[-1], values[-1]), colour))
    ax.axhline(1, color=SOFT, linewidth=1, linestyle=":")
    ax.set_yscale("log")
    name_all(ax, ends)
    ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    ax.yaxis.set_minor_formatter("")
    ax.set_xticks(position, [f"{rows}\n×{n}" for rows, n in sizes])
    ax.set_title("share of a copy's bandwidth", loc="left")
    ax.set_xlabel("rows × n")
    return picture


def roofline(peak, bandwidth, points):
    """Draw the limits of arithmetic and memory, and where each version lies under them.

    Args:
        peak: operations a second, at most.
        bandwidth: bytes a second, at most.
        points: dict from a version's name to (operations a byte, operations a second).
    """
    picture, ax = new_picture(height=3.8)
    intensity = np.logspace(-1.5, 2.5, 100)  # (100,), operations a byte
    ax.plot(intensity, np.minimum(peak, bandwidth * intensity), color=INK, linewidth=1.5)
    above = {"textcoords": "offset points", "ha": "right", "color": INK}
    ax.annotate("matrix product, all cores", (intensity[-1], peak), (0, 6), **above)
    ax.annotate("copy, one core", (0.5, 0.5 * bandwidth), (-8, 2), **above)
    ends = []
    for (colour, mark), (name, point) in zip(LOOKS, points.items(), strict=False):
        ax.plot(*point, mark, color=colour, markersize=7)
        ends.append((name, point, colour))
    ax.set(xscale="log", yscale="log", xlabel="operations for each byte moved")
    name_all(ax, ends)
    ax.set_title("operations a second", loc="left")
    return picture
