"""How near does each version come to the machine's limits?"""

import numpy as np
from matplotlib.ticker import FuncFormatter

from layernorm_book.chapters.figures.style import GREY, INK, new_picture

MARKS = "osD^vP"


def ladder(sizes, shares):
    """Draw the share of a copy's bandwidth that each version reaches, for each size.

    Args:
        sizes: list of (rows, n).
        shares: dict from a version's name to its share at each size, 1 being a copy's speed.
    """
    picture, ax = new_picture(width=7.0, height=4.0)
    position = np.arange(len(sizes))
    for mark, (name, values) in zip(MARKS, shares.items(), strict=False):
        ax.plot(position, values, marker=mark, label=name)
    ax.axhline(1, color=GREY, linewidth=1, linestyle=":")
    ax.set_yscale("log")
    ax.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
    ax.set_xticks(position, [f"{rows}×{n}" for rows, n in sizes], fontsize=9.5)
    ax.set_ylabel("share of a copy's bandwidth")
    ax.set_xlabel("rows × n")
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return picture


def roofline(peak, bandwidth, points):
    """Draw the limits of arithmetic and memory, and where each version lies under them.

    Args:
        peak: operations a second, at most.
        bandwidth: bytes a second, at most.
        points: dict from a version's name to (operations a byte, operations a second).
    """
    picture, ax = new_picture(width=7.0, height=4.0)
    intensity = np.logspace(-1.5, 2.5, 100)  # (100,), operations a byte
    ax.plot(intensity, np.minimum(peak, bandwidth * intensity), color=INK, linewidth=1.5)
    offset = {"textcoords": "offset points", "ha": "right", "color": INK, "fontsize": 9.5}
    ax.annotate("matrix product, all cores", (intensity[-1], peak), (0, -14), **offset)
    ax.annotate("copy, one core", (0.5, 0.5 * bandwidth), (-8, 2), **offset)
    for mark, (name, (x, y)) in zip(MARKS, points.items(), strict=False):
        ax.plot(x, y, mark, markersize=8, label=name)
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlabel("operations for each byte moved")
    ax.set_ylabel("operations a second")
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return picture
