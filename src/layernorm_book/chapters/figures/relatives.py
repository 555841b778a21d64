"""Where does the mean go, what is like a tanh, and what does each relative not see?"""

import numpy as np
from matplotlib.patches import Rectangle

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


def two_ways(row):
    """Draw, to scale, what LayerNorm and RMSNorm do to a row as an arrow.

    Upwards is (1, …, 1), and on the floor lie the rows of mean 0. Both layers put the arrow on the
    circle of radius √n; LayerNorm drops it to the floor first.

    Args:
        row: array of shape (n,).
    """
    row = np.asarray(row, dtype=float)
    mean, across = np.sqrt(len(row)) * row.mean(), np.sqrt(len(row)) * row.std()
    radius, length = np.sqrt(len(row)), np.hypot(mean, across)
    below = -0.16  # x̂ lies along x − μ, and is drawn beside it
    picture, ax = new_picture(height=3.35)
    turn = np.linspace(0, np.pi / 2, 60)
    ax.plot(radius * np.cos(turn), radius * np.sin(turn), color=SOFT, linestyle=":")
    ax.plot([0, 0, 1.9 * across], [1.08 * mean, 0, 0], color=LINE, linewidth=1)
    ax.plot([0, across], [mean, mean], color=LINE, linewidth=1, linestyle="--")
    for start, end, colour, width in (
        ((across, mean), (across, 0), SOFT, 1.2),
        ((0, 0), (across, mean), X, 2.2),
        ((0, 0), (across, 0), CENTRED, 2.6),
        ((0, 0), (radius * across / length, radius * mean / length), VERMILION, 2.6),
        ((0, below), (radius, below), X_HAT, 2.6),
    ):
        look = {"arrowstyle": "->", "color": colour, "lw": width, "shrinkA": 0, "shrinkB": 0}
        ax.annotate("", end, start, arrowprops=look)
    share = row.mean() ** 2 / np.square(row).mean()
    name(ax, f"x = [{', '.join(f'{v:g}' for v in row)}]", (across, mean), X, (7, 4))
    name(ax, f"its mean: {share:.0%} of\nthe squared length", (across, mean / 2))
    name(ax, "RMSNorm", (radius * across / length, radius * mean / length), VERMILION, (9, -3))
    name(ax, "x − μ", (across, 0), CENTRED, (8, 9))
    name(ax, "rows of mean 0", (1.9 * across, 0), SOFT, (3, 0))
    name(ax, "x̂: LayerNorm of x, and RMSNorm of x − μ", (0, below), X_HAT, (1, -13))
    name(ax, "√n", (radius * np.cos(1.35), radius * np.sin(1.35)), SOFT, (2, 9))
    name(ax, "(1, …, 1)", (0, 1.08 * mean), SOFT, (7, 0))
    ax.set(xlim=(-0.15, 2.6 * across), ylim=(-0.6, 1.14 * mean), aspect="equal")
    ax.axis("off")
    return picture


def fan(h, x_hat, alpha, scale, lines=60):
    """Draw what a LayerNorm makes of numbers: a line a row, the mean at each number, and a tanh.

    Args:
        h, x_hat: arrays of shape (*, d), what it is given and x̂.
        alpha, scale: of scale · tanh(alpha · h).
        lines: how many rows are drawn, from the smallest σ to the largest.
    """
    h, x_hat = (np.asarray(v).reshape(-1, v.shape[-1]) for v in (h, x_hat))  # (rows, d) each
    order = h.std(axis=1).argsort()
    chosen = order[np.linspace(0, len(order) - 1, lines).round().astype(int)]
    picture, ax = new_picture(height=3.4)
    for rows, colour, width, alpha_ in (
        (chosen, X_HAT, 1, 0.45),
        (order[:1], INK, 1.8, 1),
        (order[-1:], INK, 1.8, 1),
    ):
        ends = [
            np.stack([v[rows].min(axis=1), v[rows].max(axis=1), np.full(len(rows), np.nan)], 1)
            for v in (h, x_hat)
        ]
        ax.plot(*(v.ravel() for v in ends), color=colour, linewidth=width, alpha=alpha_)
    given = np.linspace(h[chosen].min(), h[chosen].max(), 80)
    ax.plot(given, scale * np.tanh(alpha * given), color=VERMILION, linewidth=2.6)
    near = [k for k in range(-10, 11) if (np.abs(h - k) < 0.5).sum() >= 30]
    means = [x_hat[np.abs(h - k) < 0.5].mean() for k in near]
    ax.plot(near, means, "o", color=INK, markersize=4)
    at = near.index(-1)
    name(ax, "dots: mean of x̂", (near[at], means[at]), INK, (14, -5))
    for text, row, offset in (("row of the smallest σ", 0, (-5, 3)), ("largest σ", -1, (7, -9))):
        end = h[order[row]].argmax()
        name(ax, text, (h[order[row]][end], x_hat[order[row]][end]), INK, offset)
    name(ax, "nearest tanh", (given[-1], scale * np.tanh(alpha * given[-1])), VERMILION, (7, 0))
    ticks = np.arange(-10, 11, 5)
    ax.set_xticks(ticks, [f"{tick}".replace("-", "−") for tick in ticks])
    ax.set(xlabel="number that the LayerNorm is given")
    ax.set_title(f"x̂, and {scale:.1f} · tanh({alpha:.1f} · x)", loc="left")
    return picture


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
            text, colour, alpha = ("=", GREEN, 0.85) if same else ("≠", VERMILION, 0.3)
            look = {"facecolor": colour, "alpha": alpha, "edgecolor": GROUND}
            ax.add_patch(Rectangle((across - 0.46, down - 0.44), 0.92, 0.88, **look))
            ax.text(across, down, text, ha="center", va="center", color=INK)
    for across, norm in enumerate(norms):
        words = norm.replace(" ", "\n")
        ax.text(across, -0.6, words, ha="center", va="bottom", color=INK, linespacing=1.1)
    ax.set(xlim=(-5.9, len(norms) - 0.5), ylim=(len(table) - 0.4, -1.9))
    ax.axis("off")
    return picture
