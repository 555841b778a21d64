"""Which cells share statistics in LayerNorm's relatives, and what does company do to BatchNorm?"""

import numpy as np

from layernorm_book.chapters.figures.statistics import shared_cells
from layernorm_book.chapters.figures.style import SOFT, VERMILION, name, new_picture


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


def _counted(groups):
    """Return how many groups there are, and how many cells each has."""
    count = int(groups.max()) + 1
    n = groups.numel() // count
    return f"{count} groups, n = {n}"
