"""One row of numbers at each of the three steps."""

import numpy as np

from layernorm_book.figures.style import BLUE, GREEN, GREY, INK, VERMILION, new_picture


def three_steps(x, x_hat, y):
    """Draw one row at each step, element above element: x with its mean and ±σ, x_hat, y.

    Args:
        x, x_hat, y: arrays of shape (n,).
    """
    picture, axes = new_picture(3, 1, height=5.2, sharex=True)
    position = np.arange(len(x))
    steps = (("x", x, BLUE), (r"$\hat{x}$", x_hat, GREEN), ("y", y, VERMILION))
    for ax, (name, values, colour) in zip(axes, steps, strict=True):
        ax.bar(position, values, color=colour, width=0.6)
        ax.axhline(0, color=GREY, linewidth=0.8)
        ax.set_ylabel(name, rotation=0, labelpad=14, va="center")
    mean, std = x.mean(), x.std()
    axes[0].axhline(mean, color=INK, linewidth=1.5)
    axes[0].axhspan(mean - std, mean + std, color=INK, alpha=0.12, linewidth=0)
    axes[0].annotate(
        f"mean {mean:.3g}, band ±σ = {std:.3g}",
        (1, 1),
        xycoords="axes fraction",
        ha="right",
        va="bottom",
    )
    axes[-1].set_xlabel("element")
    axes[-1].set_xticks(position)
    return picture
