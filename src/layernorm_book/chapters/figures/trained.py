"""What are trained γ by layer, and which rows does a wrong ε touch?"""

import numpy as np
from matplotlib.patches import PathPatch
from matplotlib.path import Path

from layernorm_book.chapters.figures.style import (
    BLUE,
    GREEN,
    INK,
    PURPLE,
    SOFT,
    VERMILION,
    name,
    name_all,
    new_picture,
)


def gammas(names, weight, traced):
    """Draw every γ of every layer as a dot, to two hundredths, and follow a few channels.

    Args:
        names: list of the layers' names.
        weight: array of shape (layers, n).
        traced: list of up to four channels to follow.
    """
    picture, ax = new_picture(height=4.2)
    layers, n = weight.shape
    # Neighbours in size stand in different columns, so that dots do not hide dots.
    offset = 0.2 * np.resize([-1, 0.33, -0.33, 1, -0.67, 0.67, 0], n)
    x = np.arange(layers)[:, None] + offset  # (layers, n)
    y = np.round(np.sort(weight) * 50) / 50  # (layers, n)
    _dots(ax, *np.unique([x.ravel(), y.ravel()], axis=1))  # what lies on another is not drawn
    marks = zip(traced, (VERMILION, BLUE, GREEN, PURPLE), "osD^", strict=False)
    ends = []
    for channel, colour, marker in marks:
        _trace(ax, weight[:, channel], colour, marker)
        ends.append((f"{channel}", (layers - 1, weight[-1, channel]), colour))
    ax.plot([0, layers - 1], [1, 1], color=INK, linewidth=1, linestyle="--")
    name_all(ax, [*ends, ("fresh", (layers - 1, 1), INK)])
    ax.set_xticks(range(layers), names, rotation=45, ha="right", rotation_mode="anchor")
    ax.set_title("γ of all channels, four of them traced", loc="left")
    ax.set_xlabel("LayerNorm: block, and what stands before it")
    return picture


def _trace(ax, values, colour, marker):
    """Join the layers after attention by a line, and those after feed-forward parts by dots."""
    look = {"color": colour, "marker": marker, "markersize": 4.5}
    ax.plot(0, values[0], **look)
    for first, style in ((1, "-"), (2, ":")):
        ax.plot(range(first, len(values), 2), values[first::2], linestyle=style, **look)


def first_token(names, rows):
    """Draw σ of the rows that reach each layer, of [CLS] and of all other tokens.

    Args:
        names: list of the layers' names.
        rows: for each layer a dict with "sigma" and "sigma of the others".
    """
    picture, ax = new_picture(height=3.2)
    last = len(names) - 1
    for key, text, colour, marker in (
        ("sigma", "[CLS]", VERMILION, "o"),
        ("sigma of the others", "elsewhere", SOFT, "s"),
    ):
        values = [row[key] for row in rows]
        _trace(ax, values, colour, marker)
        at = int(np.argmax(values)) if key == "sigma" else last  # where the other line is far
        name(ax, text, (at, values[at]), colour, (8, 2))
    ax.set(yscale="log", ylabel="σ of a row, median", xlim=(-0.4, 1.25 * last))
    ax.set_xticks(range(len(names)), names, rotation=45, ha="right", rotation_mode="anchor")
    ticks = [0.1, 1, 10]
    ax.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.minorticks_off()
    return picture


def _dots(ax, x, y):
    """Draw thousands of dots as one path: strokes of no length with round ends."""
    points = np.repeat(np.column_stack([x, y]), 2, axis=0)
    path = Path(points, np.tile([Path.MOVETO, Path.LINETO], len(x)))
    path.should_simplify = False  # or nothing would be left
    look = {"edgecolor": SOFT, "alpha": 0.45, "linewidth": 2, "capstyle": "round"}
    ax.add_patch(PathPatch(path, facecolor="none", **look))
    ax.update_datalim(points)
    ax.autoscale_view()


def shrinkage(sigma):
    """Draw how much of x_hat is left, by σ, for three ε, and where a real encoder's σ lie.

    Args:
        sigma: dict, for each layer's name its smallest, median and largest σ.
    """
    picture, (upper, lower) = new_picture(2, 1, height=5.6, sharex=True, height_ratios=(1, 1.3))
    grid = np.logspace(-3, 1.3, 300)
    looks = ((1e-12, GREEN, "-"), (1e-5, BLUE, "--"), (1e-3, VERMILION, "-."))
    for (eps, colour, style), at in zip(looks, (2.0, 0.0012, 0.015), strict=True):
        upper.plot(grid, grid / np.sqrt(grid**2 + eps), color=colour, linestyle=style)
        label, level = f"ε = {eps:.0e}".replace("e-0", "e-"), at / np.sqrt(at**2 + eps)
        name(upper, label, (at, level), colour, (0, -9) if eps < 1e-6 else (5, 0))
    upper.set(ylim=(0, 1.05))
    upper.set_title("what is left of x̂: σ / √(σ² + ε)", loc="left")
    for position, (low, median, high) in enumerate(sigma.values()):
        colour = PURPLE if position == 0 else INK
        lower.plot([low, high], [position] * 2, color=colour, linewidth=2)
        lower.plot(median, position, color=colour, marker="o", markersize=5)
        for ax in (upper, lower) if position == 0 else ():
            ax.axvspan(low, high, color=PURPLE, alpha=0.15, linewidth=0)
    lower.set_yticks(range(len(sigma)), sigma)
    lower.invert_yaxis()
    lower.set(xscale="log", xlabel="σ of a row")
    return picture
