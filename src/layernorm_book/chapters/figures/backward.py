"""What does the backward pass lose: a line out of a gradient, a rank, digits in a sum over rows?"""

import matplotlib
import numpy as np

from layernorm_book.chapters.figures.style import (
    BLUE,
    GREY,
    INK,
    ORANGE,
    PURPLE,
    STYLE,
    VERMILION,
    Picture,
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
    ax.plot(ends, intercept + slope * ends, color=ORANGE, label="the line: stays behind")
    line = intercept + slope * x_hat
    # Elements with the same x_hat stand side by side, so that each rest is seen.
    place = x_hat.copy()
    for value in np.unique(x_hat):
        same = np.flatnonzero(x_hat == value)
        place[same] += 0.035 * (np.arange(len(same)) - (len(same) - 1) / 2)
    ax.vlines(place, line, g, color=VERMILION, linewidth=3, label="the rest: goes on to x")
    ax.plot(place, g, "o", color=BLUE, label="g")
    ax.axhline(0, color=GREY, linewidth=0.8)
    ax.set(xlabel=r"$\hat{x}$", ylabel="gradient")
    ax.legend(loc="upper left")
    return picture


def jacobian(matrix, singular):
    """Draw a Jacobian as a matrix of colours, and its singular values on a logarithmic scale.

    Args:
        matrix: array of shape (n, n).
        singular: array of shape (n,), largest first.
    """
    floor = 1e-9
    with matplotlib.rc_context(STYLE):
        picture = Picture(figsize=(8.0, 3.6), layout="constrained")
        left, right = picture.subplots(1, 2, width_ratios=(1, 1.15))
    largest = np.abs(matrix).max()
    image = left.imshow(matrix, cmap="PuOr", vmin=-largest, vmax=largest)
    picture.colorbar(image, ax=left, shrink=0.85, label="entry of J")
    position = np.arange(len(matrix))
    left.set(xlabel="element of x", ylabel=r"element of $\hat{x}$", xticks=position)
    left.set_yticks(position)
    shown = np.maximum(singular, floor)
    right.vlines(position, floor, shown, color=GREY, linewidth=1.5)
    right.plot(position, shown, "o", color=PURPLE)
    for k in (0, len(singular) - 2, len(singular) - 1):
        text = "0" if singular[k] < floor else f"{singular[k]:.3g}"
        offset = (0, 8) if k else (12, 8)
        right.annotate(
            text, (k, shown[k]), xytext=offset, textcoords="offset points", ha="center", color=INK
        )
    right.set(yscale="log", ylim=(floor, 10), xlabel="singular value, in order", xticks=position)
    right.set_ylabel("size")
    return picture


def sum_over_rows(rows, errors):
    """Draw the error of grad_weight against the number of rows in the sum, with two slopes.

    Args:
        rows: array of shape (sizes,).
        errors: {label: array of shape (sizes,)}, largest errors against float64.
    """
    picture, ax = new_picture(height=3.6)
    # The first marks are open and large, so that marks on top of them do not hide them.
    looks = (("o", 9, "none"), ("s", 5, "full"), ("^", 6, "full"))
    for (label, error), (marker, size, fill) in zip(errors.items(), looks, strict=True):
        ax.plot(rows, error, marker, markersize=size, fillstyle=fill, label=label)
    for factor, power, label in ((2, 1.0, "2u · rows"), (4, 0.5, "4u · √rows")):
        line = factor * UNIT_ROUNDOFF * rows**power
        ax.plot(rows, line, color=GREY, linewidth=1, linestyle="--")
        ax.annotate(
            label,
            (rows[-1], line[-1]),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            color=INK,
        )
    ax.set(xscale="log", yscale="log", xlabel="rows in the sum", xlim=(0.7, 4 * rows[-1]))
    ax.set_ylabel("largest error of grad_weight")
    ax.legend(loc="upper left")
    return picture
