"""What can γ and β give back? One feature's y is a straight line over its x_hat."""

import numpy as np

from layernorm_book.chapters.figures.style import AFFINE, INK, SOFT, X, Y, name, new_picture


def line_through_two(x_hat, x, weight, bias):
    """Draw one feature of three rows over its x_hat, and the line that gives two of them back.

    Args:
        x_hat, x: arrays of shape (3,): the feature in each row.
        weight, bias: γ and β, the line's slope and its height at 0.
    """
    picture, ax = new_picture(width=4.5, height=2.9)
    ends = np.array([min(x_hat) - 0.12, max(x_hat) + 0.12])
    ax.plot(ends, weight * ends + bias, color=AFFINE, linewidth=2)
    middle = np.mean(x_hat[1:])  # of the long way from row 2 to row 3
    name(ax, "y = γ · x̂ + β", (middle, weight * middle + bias), AFFINE, (-8, 3))
    landed = weight * x_hat[2] + bias
    ax.plot([x_hat[2]] * 2, [x[2], landed], color=INK, linestyle=":")
    ax.plot(x_hat[2], landed, "o", color=Y)
    name(ax, "y of row 3", (x_hat[2], landed), Y, (-9, 3))
    ax.plot(x_hat, x, "o", color=X, markersize=7)
    for row, point in enumerate(zip(x_hat, x, strict=True), start=1):
        name(ax, f"x of row {row}", point, X, (9, -5) if row < 3 else (-9, -2))
    ax.axvline(0, color=SOFT, linewidth=0.8)
    ax.set(xlabel="x̂ of the third feature", ylabel="x and y of the third feature")
    return picture


def one_line_for_all(rows, many=200):
    """Draw what one feature is to become over its x_hat, and the one line for all rows.

    Args:
        rows: {title: (names, x_hat, target, y)}; arrays of shape (rows,) each. The rows belong to
            the names in turn.
        many: how many rows are drawn.
    """
    picture, axes = new_picture(columns=len(rows), width=6.4, height=2.8)
    for ax, (title, (names, *parts)) in zip(axes, rows.items(), strict=True):
        x_hat, target, y = (np.asarray(part)[:many] for part in parts)
        ax.plot(x_hat, target, "o", color=X, markersize=3, alpha=0.6, markeredgewidth=0)
        ends = [x_hat.argmin(), x_hat.argmax()]
        ax.plot(x_hat[ends], y[ends], color=AFFINE, linewidth=2)
        for k, text in enumerate(names):
            last = x_hat[k :: len(names)].argmax() * len(names) + k
            away = (-7, 3) if target[last] > y[last] else (0, -19)
            name(ax, text, (x_hat[last], target[last]), X, away)
        ax.set_title(title, loc="left")
        ax.set(xlabel="x̂", xticks=[-2, 0, 2], xlim=(-3.3, 3.6), ylim=(-19, 28))
    axes[0].set_ylabel("what it is to become")
    name(axes[0], "y = γ · x̂ + β", (3.6, 0), AFFINE, (-1, -16))
    return picture
