"""What does the backward pass lose: a line out of a gradient, a rank, digits in a sum over rows?"""

import numpy as np
from matplotlib.patches import Rectangle

from layernorm_book.chapters.figures.style import (
    AFFINE,
    BLUE,
    GRADIENT,
    GREEN,
    INK,
    LINE,
    SOFT,
    VERMILION,
    X_HAT,
    name,
    new_picture,
)

UNIT_ROUNDOFF = 2.0**-24  # float32: half a unit in the last place of 1


def line_and_rest(x_hat, g, slope, intercept):
    """Draw g over x_hat, the line that the layer takes out, and what is left of each element.

    Args:
        x_hat, g: arrays of shape (n,).
        slope, intercept: of the line.
    """
    picture, ax = new_picture(height=3.6)
    ends = np.array([x_hat.min() - 0.25, x_hat.max() + 0.25])
    ax.axhline(0, color=LINE, linewidth=1)
    ax.plot(ends, intercept + slope * ends, color=X_HAT, linewidth=2)
    line = intercept + slope * x_hat
    ax.vlines(x_hat, line, g, color=GRADIENT, alpha=0.5, linewidth=5)
    ax.plot(x_hat, g, "o", color=GRADIENT)
    most = np.abs(g - line).argmax()
    middle = (x_hat[most], (g[most] + line[most]) / 2)
    name(ax, "goes on to x", middle, GRADIENT, (9, -5))
    name(ax, "stays behind", (ends[1], intercept + slope * ends[1]), X_HAT, (-34, -2))
    highest = g.argmax()
    name(ax, "g", (x_hat[highest], g[highest]), GRADIENT, (7, -9))
    ax.set(xlabel="x̂", xlim=(ends[0], ends[1]))
    ax.set_title("gradient", loc="left")
    return picture


def jacobian(matrix, singular):
    """Draw a Jacobian as a matrix of colours, and its singular values on a logarithmic scale.

    Args:
        matrix: array of shape (n, n).
        singular: array of shape (n,), largest first: n − 2 that are alike, then those of a
            direction along x̂ and of a flat one.
    """
    floor, n = 1e-9, len(matrix)
    picture, (left, right) = new_picture(1, 2, width=6.4, height=3.4)
    largest = np.abs(matrix).max()
    for (row, column), entry in np.ndenumerate(matrix):
        alpha = 0.65 * abs(entry) / largest  # light enough to read a number on it
        look = {"facecolor": BLUE if entry > 0 else VERMILION, "alpha": alpha, "linewidth": 0}
        left.add_patch(Rectangle((column - 0.48, row - 0.48), 0.96, 0.96, **look))
        text = f"{100 * entry:.0f}".replace("-0", "0").replace("-", "−")
        left.text(column, row + 0.03, text, ha="center", va="center")
    position = np.arange(n)
    left.set(xlabel="element of x", ylabel="element of x̂", xticks=position, yticks=position)
    left.set(xlim=(-0.6, n - 0.4), ylim=(n - 0.4, -0.6), aspect="equal")
    left.set_title("J, in hundredths", loc="left")
    left.spines[:].set_visible(False)
    left.tick_params(length=0)
    shown = np.maximum(singular, floor)
    right.plot(position, shown, "o", color=GRADIENT, clip_on=False)
    alike = np.isclose(singular, singular[0]).sum()
    name(right, f"{alike} × {singular[0]:.3g}", ((alike - 1) / 2, shown[0]), INK, (0, 12))
    lost = position[alike:]  # the climax: larger, in another colour, and named
    right.plot(lost, shown[alike:], "o", color=VERMILION, markersize=11, clip_on=False)
    for k, direction in zip(lost, ("along x̂", "flat"), strict=True):
        text = "0" if singular[k] < floor else f"{singular[k]:.3g}".replace("e-0", "e−")
        name(right, f"{direction}: {text}", (k, shown[k]), VERMILION, (-9, 6), weight="bold")
    right.set(yscale="log", ylim=(floor, 30), xlabel="largest first", xticks=[])
    right.set_title("singular values of J", loc="left")
    return picture


def fading_rate(sizes):
    """Draw how a weight matrix in front of the layer grows, and what that does to its steps.

    Args:
        sizes: the norms of the matrix, one for each step.
    """
    picture, ax = new_picture(height=2.6)
    grown = np.array(sizes)[:: max(1, len(sizes) // 50)] / sizes[0]
    steps = np.linspace(0, len(sizes) - 1, len(grown))
    felt = 1 / grown**2
    ax.plot(steps, grown, color=AFFINE, linewidth=2)
    ax.plot(steps, felt, color=GRADIENT, linewidth=2)
    middle = len(steps) // 2
    name(ax, "size of A", (steps[middle], grown[middle]), AFFINE, (0, 14), ha="right")
    name(ax, "learning rate that A feels", (steps[middle], felt[middle]), GRADIENT, (0, 14))
    ax.set(xlabel="steps", xlim=(0, steps[-1]), ylim=(0, 1.08 * grown[-1]))
    ax.set_title("times what it was at the start", loc="left")
    return picture


def sum_over_rows(rows, errors):
    """Draw the error of grad_weight against the number of rows in the sum, with two estimates.

    Args:
        rows: array of shape (sizes,).
        errors: {label: array of shape (sizes,)}, largest errors against float64.
    """
    picture, ax = new_picture(height=3.4)
    # The first marks are open and large, so that marks on top of them do not hide them.
    looks = ((BLUE, "o", 9, "none"), (VERMILION, "s", 5, "full"), (GREEN, "^", 6, "full"))
    for (label, error), (colour, marker, size, fill) in zip(errors.items(), looks, strict=True):
        look = {"color": colour, "markersize": size, "fillstyle": fill}
        ax.plot(rows, error, marker, label=label, **look)
    serial, paired = rows / 2**0.5, np.sqrt(rows * np.log2(rows))  # (sizes,) each, in units of u
    for line, label in ((serial, "u·R/√2"), (paired, "u·√(R·log₂ R)")):
        at = line > 0
        ax.plot(rows[at], UNIT_ROUNDOFF * line[at], color=SOFT, linewidth=1, linestyle="--")
        name(ax, label, (rows[-1], UNIT_ROUNDOFF * line[-1]), SOFT, (9, 0))
    ax.set(xscale="log", yscale="log", xlabel="R, rows in the sum", xlim=(0.7, 2 * rows[-1]))
    ax.set_title("largest error of grad_weight", loc="left")
    ax.legend(loc="upper left", handlelength=1)
    return picture
