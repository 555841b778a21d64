"""What does the backward pass lose: a line out of a gradient, a rank, digits in a sum over rows?"""

import numpy as np
from matplotlib.patches import Rectangle

from layernorm_book.chapters.figures.style import (
    BLUE,
    GRADIENT,
    GREEN,
    INK,
    LINE,
    SOFT,
    VERMILION,
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
    picture, ax = new_picture(height=3.2)
    ends = np.array([x_hat.min() - 0.25, x_hat.max() + 0.25])
    ax.plot(ends, intercept + slope * ends, color=SOFT)
    line = intercept + slope * x_hat
    # Elements with the same x_hat stand side by side, so that each rest is seen.
    place = x_hat.copy()
    for value in np.unique(x_hat):
        same = np.flatnonzero(x_hat == value)
        place[same] += 0.035 * (np.arange(len(same)) - (len(same) - 1) / 2)
    rest = ax.vlines(place, line, g, color=GRADIENT, alpha=0.5, linewidth=4)
    (marks,) = ax.plot(place, g, "o", color=GRADIENT)
    ax.axhline(0, color=LINE, linewidth=1)
    ax.set(xlabel="x̂", xlim=(ends[0], ends[1]))
    ax.set_title("gradient", loc="left")
    name(ax, "the line stays behind", (ends[1], intercept + slope * ends[1]), SOFT, (-2, -78))
    labels = ["g", "the rest of it: goes on to x"]
    ax.legend([marks, rest], labels, loc="upper left")
    return picture


def jacobian(matrix, singular):
    """Draw a Jacobian as a matrix of colours, and its singular values on a logarithmic scale.

    Args:
        matrix: array of shape (n, n).
        singular: array of shape (n,), largest first.
    """
    floor, n = 1e-9, len(matrix)
    picture, (left, right) = new_picture(1, 2, width=7.0, height=3.5)
    largest = np.abs(matrix).max()
    for (row, column), entry in np.ndenumerate(matrix):
        look = {"facecolor": BLUE if entry > 0 else VERMILION, "alpha": abs(entry) / largest}
        left.add_patch(Rectangle((column - 0.48, row - 0.48), 0.96, 0.96, linewidth=0, **look))
    position = np.arange(n)
    left.set(xlabel="element of x", ylabel="element of x̂", xticks=position, yticks=position)
    left.set(xlim=(-0.6, n - 0.4), ylim=(n - 0.4, -0.6), aspect="equal")
    left.set_title(f"J: blue up to {largest:.2f}, orange below 0")
    left.spines[:].set_visible(False)
    left.tick_params(length=0)
    shown = np.maximum(singular, floor)
    right.vlines(position, floor, shown, color=LINE, linewidth=1.5)
    right.plot(position, shown, "o", color=INK)
    for k in (0, n - 2, n - 1):
        text = "0" if singular[k] < floor else f"{singular[k]:.3g}"
        name(right, text, (k, shown[k]), INK, (0, 11))
    right.set(yscale="log", ylim=(floor, 30), xlabel="in order", xticks=position)
    right.set_title("singular values of J")
    return picture


def sum_over_rows(rows, errors):
    """Draw the error of grad_weight against the number of rows in the sum, with two slopes.

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
    for factor, power, label in ((2, 1.0, "2u · rows"), (4, 0.5, "4u · √rows")):
        line = factor * UNIT_ROUNDOFF * rows**power
        ax.plot(rows, line, color=SOFT, linewidth=1, linestyle="--")
        name(ax, label, (rows[-1], line[-1]), SOFT, (9, 0))
    ax.set(xscale="log", yscale="log", xlabel="rows in the sum", xlim=(0.7, 2 * rows[-1]))
    ax.set_title("largest error of grad_weight", loc="left")
    ax.legend(loc="upper left", handlelength=1)
    return picture
