"""Mean and variance: which cells share them, what they look like, and how one pass loses them."""

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.patches import Rectangle

from layernorm_book.figures.style import (
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


def variance_error(means, one_pass, two_pass, predicted):
    """Draw the relative error of a row's variance in float32 against the row's mean.

    Args:
        means: array of the means, in standard deviations.
        one_pass, two_pass: arrays of the errors found, of the shape of `means`.
        predicted: array of the errors expected of one pass, of the shape of `means`.
    """
    picture, ax = new_picture(height=3.6)
    ax.axhline(1, color=GREY, linewidth=1, linestyle=":")
    ax.annotate("100%: no digit of the variance is left", (means[0], 1), (0, 4), **_POINTS)
    ax.plot(means, predicted, color=INK, linewidth=1.2, linestyle="--")
    ax.annotate("expected: 2⁻²⁴ · μ²/σ²", (means[4], predicted[4]), (10, -12), **_POINTS)
    ax.plot(means, one_pass, "o-", color=VERMILION)
    ax.annotate("E[x²] − E[x]²", (means[6], one_pass[6]), (-12, 8), ha="right", **_POINTS)
    ax.plot(means, two_pass, "s-", color=BLUE)
    ax.annotate("two passes", (means[6], two_pass[6]), (0, 10), **_POINTS)
    ax.set(xscale="log", yscale="log")
    ax.set_xlabel("mean of the row, in standard deviations")
    ax.set_ylabel("relative error of the variance")
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
