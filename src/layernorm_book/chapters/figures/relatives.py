"""Who shares, what does each relative not see, and where does the mean go?"""

import numpy as np
from matplotlib.patches import Rectangle

from layernorm_book.chapters.figures.statistics import shared_cells
from layernorm_book.chapters.figures.style import (
    CENTRED,
    GREEN,
    GROUND,
    INK,
    LINE,
    SOFT,
    VERMILION,
    X_HAT,
    X,
    name,
    new_picture,
)


def sharing(panels):
    """Draw image batches cell by cell; cells with the same number share their statistics.

    Args:
        panels: list of (title, groups), with `groups` an integer tensor of shape (N, C, H, W) that
            gives the number of each cell's group.
    """
    panels = [(f"{title}\n{_counted(groups)}", np.asarray(groups)) for title, groups in panels]
    return shared_cells(panels, ("image", "channel", "height", "width"))


def company(sizes, batch_norm):
    """Draw how far one image's output under BatchNorm scatters with its company, by batch size.

    Args:
        sizes: list of batch sizes.
        batch_norm: list of BatchNorm's standard deviations, one a size.
    """
    sizes, batch_norm = np.asarray(sizes), np.asarray(batch_norm)
    picture, ax = new_picture(height=3.2)
    line = batch_norm[-1] * np.sqrt(sizes[-1] / sizes)
    ax.plot(sizes, line, color=SOFT, linewidth=1.2, linestyle="--")
    ax.plot(sizes, batch_norm, "o-", color=VERMILION)
    name(ax, "1/√N", (sizes[0], line[0]), SOFT, (8, 0))
    name(ax, "BatchNorm", (sizes[1], batch_norm[1]), VERMILION, (-8, -13))
    ax.set(xscale="log", yscale="log", xlabel="batch size N, images")
    ax.set_title("scatter of one image’s output", loc="left")
    ax.set_xticks(sizes, [str(size) for size in sizes])
    ax.minorticks_off()
    ticks = [0.1, 0.2, 0.5, 1.0]
    ax.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.set_ylim(0.8 * batch_norm[-1], 1.2 * line[0])
    return picture


def writers_centred(row):
    """Draw that a row gives the same by LayerNorm, and by RMSNorm once its mean is gone.

    Left, the row as an arrow: its mean lies along (1, …, 1), and what is left lies across.
    Right, the two ways from the row to x̂.

    Args:
        row: array of shape (n,).
    """
    row = np.asarray(row, dtype=float)
    centred = row - row.mean()
    x_hat = centred / centred.std()
    picture, (space, ways) = new_picture(1, 2, width=7.0, height=3.4)
    lengths = [np.sqrt((part**2).sum()) for part in (row - centred, centred, x_hat)]
    _arrow_of_a_row(space, *lengths)
    for left, low, numbers, colour, words in (
        (0, 6, row, X, "written: x"),
        (0, 0, centred, CENTRED, "written without its mean"),
        (7.6, 3, x_hat, X_HAT, "x̂"),
    ):
        ways.bar(left + 0.8 * np.arange(len(row)), numbers / 2.5, 0.6, low, color=colour)
        ways.hlines(low, left - 0.4, left + 2.8, color=SOFT, linewidth=1)
        ways.text(left - 0.4, low + numbers.max() / 2.5 + 0.3, words, color=INK, va="bottom")
    for start, end, words, at in (
        ((3.0, 6.6), (7.0, 3.9), "LayerNorm", (5.3, 6.0)),
        ((3.0, 0.3), (7.0, 2.5), "RMSNorm", (5.2, 0.5)),
        ((0.3, 5.8), (0.3, 2.2), "take off the mean", (0.6, 4.3)),
    ):
        ways.annotate("", end, start, arrowprops={"arrowstyle": "->", "color": INK})
        ways.text(*at, words, color=INK, va="center")
    ways.set(xlim=(-0.6, 10.9), ylim=(-1.2, 9.6))
    ways.axis("off")
    return picture


def _arrow_of_a_row(ax, mean, centred, x_hat):
    """Draw a row's arrow, the part along (1, …, 1) and the part across, given their lengths."""
    ax.plot([0, 0], [0, 1.35 * mean], color=LINE, linewidth=1)
    ax.axhline(0, color=LINE, linewidth=1)
    ax.plot([centred, centred], [mean, 0], color=SOFT, linestyle="--", linewidth=1.2)
    for end, colour, width in (
        ((centred, mean), X, 2),
        ((centred, 0), CENTRED, 4),
        ((x_hat, 0), X_HAT, 2),
    ):
        ax.annotate("", end, (0, 0), arrowprops={"arrowstyle": "->", "color": colour, "lw": width})
    name(ax, "x", (centred / 2, mean / 2), X, (-8, 6))
    name(ax, "its mean", (centred, mean / 2), SOFT, (6, 0))
    name(ax, "x − μ", (centred, 0), CENTRED, (4, -12))
    name(ax, "x̂", (x_hat, 0), X_HAT, (0, 10))
    name(ax, "(1, …, 1)", (0, mean * 1.28), SOFT, (7, 0))
    ax.text(0, -0.32 * mean, "rows of mean 0 lie on this line", color=SOFT, va="center")
    ax.set(xlim=(-0.4, 1.55 * centred), ylim=(-0.45 * mean, 1.35 * mean))
    ax.axis("off")


def senses(table, norms):
    """Draw which change a layer does not see, as a grid: green where its output stays the same.

    Args:
        table: dict from a change to one bool for each layer, whether it gives the same.
        norms: the layers' names.
    """
    picture, ax = new_picture(height=3.3)
    for down, (change, row) in enumerate(table.items()):
        ax.text(-0.7, down, change, ha="right", va="center", color=INK)
        for across, same in enumerate(row):
            colour = GREEN if same else VERMILION
            look = {"facecolor": colour, "alpha": 0.85 if same else 0.3, "edgecolor": GROUND}
            ax.add_patch(Rectangle((across - 0.46, down - 0.44), 0.92, 0.88, **look))
            ax.text(across, down, "=" if same else "≠", ha="center", va="center", color=INK)
    for across, norm in enumerate(norms):
        ax.text(across, -0.75, norm, ha="center", va="center", color=INK)
    ax.set(xlim=(-5.9, len(norms) - 0.5), ylim=(len(table) - 0.4, -1.2))
    ax.axis("off")
    return picture


def _counted(groups):
    """Return how many groups there are, and how many cells each has."""
    count = int(groups.max()) + 1
    n = groups.numel() // count
    return f"{count} groups, n = {n}"
