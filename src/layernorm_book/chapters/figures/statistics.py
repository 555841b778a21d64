"""Which cells share a mean and a variance, how do these look, and how is a variance lost?"""

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.patches import Rectangle

from layernorm_book.chapters.figures.style import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PURPLE,
    SKY,
    VERMILION,
    new_picture,
)

WAYS = {
    "one pass": (VERMILION, "o"),
    "Welford": (GREEN, "^"),
    "PyTorch": (ORANGE, "D"),
    "two passes": (BLUE, "s"),
}
"""Colour and marker of each way to a variance, told apart without colour too."""

_TINTS = (BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILION)
_GAP = 0.6  # between two blocks of cells, in cells
_POINTS = {"textcoords": "offset points"}


def shared_cells(panels, names, columns=None):
    """Draw arrays cell by cell; cells with the same number share one mean and one variance.

    The last two axes are a block of cells. Blocks are stacked along the third axis from the end
    and set side by side along the fourth.

    Args:
        panels: list of (title, groups), with `groups` an integer array of rank 2 to 4 that gives,
            for each cell, the number of the mean it shares.
        names: tuple with the name of each axis, for the longest of the arrays, last axis last.
        columns: panels side by side; all of them unless given.
    """
    columns = columns or len(panels)
    rows = -(-len(panels) // columns)
    extents = [_extent(groups) for _, groups in panels]
    widths = [max(width for width, _ in extents[j::columns]) for j in range(columns)]
    depth = max(depth for _, depth in extents)
    cell = 6.6 / sum(widths)  # inches
    picture, axes = new_picture(
        rows,
        columns,
        height=rows * (cell * (depth + 0.8) + 0.6),
        squeeze=False,
        gridspec_kw={"width_ratios": widths},
    )
    for ax in axes.flat[len(panels) :]:
        ax.set_axis_off()
    for ax, (title, groups) in zip(axes.flat, panels, strict=False):
        _draw_panel(ax, groups, names[-groups.ndim :])
        ax.set_title(title, fontsize=10)
        width, depth = _extent(groups)
        ax.set(xlim=(-1, width - 1), ylim=(depth, -0.8), aspect="equal", anchor="N")
        ax.set_axis_off()
    return picture


def variance_errors(means, measured, predicted):
    """Draw the relative error of the variance against the mean of the row, for several ways.

    Args:
        means: array of the means, in standard deviations.
        measured: {way: array of the errors found}, of the shape of `means`; the ways are those of
            `WAYS`.
        predicted: {label: array of the errors expected}, of the shape of `means`.
    """
    picture, ax = new_picture(height=4.6)
    ax.axhline(1, color=GREY, linewidth=1, linestyle=":")
    ax.annotate("100%: no digit is left", (means[0], 1), (0, 4), fontsize=9, **_POINTS)
    for label, errors in predicted.items():
        ax.plot(means, errors, color=INK, linewidth=1, linestyle="--")
        ax.annotate(label, (means[-1], errors[-1]), (6, 0), va="center", fontsize=9, **_POINTS)
    for way, errors in measured.items():
        colour, marker = WAYS[way]
        ax.plot(means, errors, marker=marker, color=colour, markersize=5, label=way)
    ax.set(xscale="log", yscale="log", ylim=(1e-8, 3e5))
    ax.set_xlabel("mean of the row, in standard deviations")
    ax.set_ylabel("relative error of the variance, median")
    ax.legend(loc="upper left", bbox_to_anchor=(0, 0.88), fontsize=9.5)
    return picture


def _blocks(groups):
    """Return `groups` with exactly four axes: side by side, stacked, rows, columns."""
    return groups.reshape((1,) * (4 - groups.ndim) + groups.shape)


def _extent(groups):
    """Return the width and the depth of a panel, in cells, with room for labels on the left."""
    across, down, rows, columns = _blocks(groups).shape
    return across * (columns + _GAP) + 1, down * (rows + _GAP) + 0.6


def _draw_panel(ax, groups, names):
    blocks = _blocks(groups)
    across, down, rows, columns = blocks.shape
    label = {"fontsize": 8, "color": INK, "ha": "center"}
    for j, i in np.ndindex(across, down):
        left, top = j * (columns + _GAP), i * (rows + _GAP)
        for row, column in np.ndindex(rows, columns):
            number = blocks[j, i, row, column]
            _draw_cell(ax, left + column, top + row, number)
        if j == 0:
            text = f"{names[-3]} {i}" if groups.ndim > 2 else f"{names[-2]} ↓"
            ax.text(-0.45, top + rows / 2, text, rotation=90, va="center", **label)
        if i == 0 and groups.ndim == 4:
            ax.text(left + columns / 2, -0.2, f"{names[0]} {j}", va="bottom", **label)
    middle = (across * (columns + _GAP) - _GAP) / 2
    ax.text(middle, down * (rows + _GAP) - _GAP + 0.25, f"{names[-1]} →", va="top", **label)


def _draw_cell(ax, left, top, number):
    """Draw one cell, tinted and numbered, so that colour is never the only sign."""
    tint = 1 - 0.5 * (1 - np.array(to_rgb(_TINTS[number % len(_TINTS)])))
    ax.add_patch(Rectangle((left + 0.03, top + 0.03), 0.94, 0.94, facecolor=tint))
    ax.text(left + 0.5, top + 0.5, str(number), fontsize=8, ha="center", va="center", color=INK)
