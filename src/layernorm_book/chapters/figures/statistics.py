"""Which cells share a mean and a variance, how do these look, and how is a variance lost?"""

from functools import partial

import numpy as np
from matplotlib.patches import Rectangle

from layernorm_book.chapters.figures.style import (
    BLUE,
    GREEN,
    INK,
    ORANGE,
    PURPLE,
    SKY,
    SOFT,
    VERMILION,
    Picture,
    name,
    name_all,
    new_panel,
    new_picture,
    power_of_ten,
)

WAYS = {
    "one pass": (VERMILION, "o"),
    "shifted": (SKY, "v"),
    "Welford": (PURPLE, "^"),
    "PyTorch": (ORANGE, "D"),
    "two passes": (INK, "s"),
    "centred twice": (GREEN, "X"),
}
"""Colour and marker of each way, told apart without colour too; colours as in the rounding lab."""

_NO_DIGIT = "100%: no digit is left"
_TINTS = (BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILION)
_GAP = 0.6  # between two blocks of cells, in cells
_CELL = 0.27  # inches


def shared_cells(panels, names):
    """Draw arrays cell by cell; cells with the same number share one mean and one variance.

    The last two axes are a block of cells. Blocks are stacked along the third axis from the end
    and set side by side along the fourth.

    Args:
        panels: list of (title, groups), with `groups` an integer array of rank 2 to 4 that gives,
            for each cell, the number of the mean it shares.
        names: tuple with the name of each axis, for the longest of the arrays, last axis last.
    """
    return Picture([_panel(title, groups, names[-groups.ndim :]) for title, groups in panels])


def variance_errors(means, measured, predicted):
    """Draw the relative error of the variance against the mean of the row, for several ways.

    Args:
        means: array of the means, in standard deviations.
        measured: {way: array of the errors found}, of the shape of `means`; the ways are those of
            `WAYS`. NaN is not drawn.
        predicted: {label: array of the errors expected}, of the shape of `means`.
    """
    picture, ax = new_picture(height=4.2)
    name(ax, _NO_DIGIT, (means[0], 1), SOFT, (2, 8))
    lines = _lines(ax, means, measured, predicted, width=1.5)
    ax.set(ylim=(1e-8, 3e5), xlabel="mean of the row, in standard deviations")
    ax.set_title("relative error of the variance, median", loc="left")
    _name(ax, means, lines, (7, 0))
    return picture


def errors_of_ways(means, measured, predicted, limits):
    """Draw the error of x̂ against κ: the two ways that lie on each other share a band and a line.

    Args:
        means: array of the means, in standard deviations, which is κ.
        measured: {way: array of the errors found}, of the shape of `means`; the ways of `WAYS`,
            of which "shifted" is left out.
        predicted: {label: array of the errors expected}, of the shape of `means`.
        limits: the smallest and the largest error that is shown.
    """
    picture, ax = new_picture(height=3.9)
    name(ax, _NO_DIGIT, (means[-1], 1), SOFT, (-2, 8))
    alike = np.array([measured[way] for way in ("two passes", "PyTorch")])
    low, high = alike.min(0), alike.max(0)  # (means,)
    middle = np.sqrt(low * high)
    ax.fill_between(means, low, high, color=INK, alpha=0.25, linewidth=0)
    look = {"color": INK, "marker": "s", "markersize": 4.5, "linewidth": 1.8}
    ax.plot(means, middle, **look)
    own = {way: measured[way] for way in ("one pass", "Welford", "centred twice")}
    lines = _lines(ax, means, own, predicted, width=1.8)[len(predicted) :]
    for label, errors in predicted.items():  # below the line, where nothing else is
        name(ax, label, (means[8], errors[8]), SOFT, (8, -6))
    ax.set(ylim=limits, xlabel="κ: mean of the row, in standard deviations")
    ax.yaxis.set_major_formatter(partial(power_of_ten, plain=0))
    ax.yaxis.set_minor_formatter("")
    ax.set_title("largest error of x̂", loc="left")
    ends = [(w if np.isfinite(e[-1]) else f"{w},\nthen NaN", e, c) for w, e, c in lines]
    _name(ax, means, [("two passes, PyTorch", middle, INK), *ends], (-14, -9))
    return picture


def _lines(ax, means, measured, predicted, width):
    """Draw a line for each array of errors, on logarithmic axes; return (label, errors, colour)."""
    ax.set(xscale="log", yscale="log")
    ax.axhline(1, color=SOFT, linewidth=1, linestyle=":")
    for errors in predicted.values():
        ax.plot(means, errors, color=SOFT, linewidth=1, linestyle="--")
    lines = [(label, errors, SOFT) for label, errors in predicted.items()]
    for way, errors in measured.items():
        colour, marker = WAYS[way]
        ax.plot(means, errors, color=colour, marker=marker, markersize=4.5, linewidth=width)
        lines.append((way, errors, colour))
    return lines


def _name(ax, means, lines, offset):
    """Name lines at their ends: in the margin, or beside the last point where NaN follows it."""
    lasts = [np.flatnonzero(np.isfinite(errors))[-1] for _, errors, _ in lines]
    ends = [
        (label, (means[last], errors[last]), colour)
        for (label, errors, colour), last in zip(lines, lasts, strict=True)
    ]
    name_all(ax, [end for end in ends if end[1][0] == means[-1]])
    for end in ends:
        if end[1][0] != means[-1]:
            name(ax, *end, offset)


def _blocks(groups):
    """Return `groups` with exactly four axes: side by side, stacked, rows, columns."""
    return groups.reshape((1,) * (4 - groups.ndim) + groups.shape)


def _extent(groups):
    """Return the width and the depth of a panel, in cells, with room for labels on the left."""
    across, down, rows, columns = _blocks(groups).shape
    return across * (columns + _GAP) + 1, down * (rows + _GAP) + 0.6


def _panel(title, groups, names):
    """Return a figure of one array: its title, its blocks of cells, the names of its axes."""
    width, depth = _extent(groups)
    lines = title.count("\n") + 1
    top = 0.75 * lines + 0.7 * (groups.ndim == 4) + 0.3
    # A long title makes the panel wider, by what a letter takes.
    wide = max(width, 0.26 * max(map(len, title.split("\n"))) + 1)
    panel = new_panel(_CELL * wide, _CELL * (depth + top), layout=None)
    ax = panel.add_axes((0, 0, 1, 1))
    ax.set(xlim=(-1, wide - 1), ylim=(depth, -top))
    ax.set_axis_off()
    ax.text(-0.9, -top + 0.1, title, va="top", linespacing=1.35)
    blocks = _blocks(groups)
    across, down, rows, columns = blocks.shape
    label = {"color": SOFT, "ha": "center", "fontsize": 9}
    for j, i in np.ndindex(across, down):
        left, top = j * (columns + _GAP), i * (rows + _GAP)
        for row, column in np.ndindex(rows, columns):
            _draw_cell(ax, left + column, top + row, blocks[j, i, row, column])
        if j == 0:
            text = f"{names[-3]} {i}" if groups.ndim > 2 else f"{names[-2]} ↓"
            ax.text(-0.45, top + rows / 2, text, rotation=90, va="center", **label)
        if i == 0 and groups.ndim == 4:
            ax.text(left + columns / 2, -0.2, f"{names[0]} {j}", va="bottom", **label)
    middle = (across * (columns + _GAP) - _GAP) / 2
    ax.text(middle, down * (rows + _GAP) - _GAP + 0.2, f"{names[-1]} →", va="top", **label)
    return panel


def _draw_cell(ax, left, top, number):
    """Draw one cell, tinted and numbered, so that colour is never the only sign."""
    tint = {"facecolor": _TINTS[number % len(_TINTS)], "alpha": 0.35, "linewidth": 0}
    ax.add_patch(Rectangle((left + 0.03, top + 0.03), 0.94, 0.94, **tint))
    look = {"ha": "center", "va": "center", "color": INK, "fontsize": 9}
    ax.text(left + 0.5, top + 0.5, str(number), **look)
