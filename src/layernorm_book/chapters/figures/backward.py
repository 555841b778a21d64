"""What does the backward pass lose: two directions, two ranks, digits in a sum over rows?"""

import numpy as np
from matplotlib.patches import Rectangle

from layernorm_book.chapters.figures.style import (
    AFFINE,
    BLUE,
    CENTRED,
    GRADIENT,
    GREEN,
    INK,
    LINE,
    SOFT,
    VERMILION,
    X_HAT,
    X,
    name,
    new_picture,
)

UNIT_ROUNDOFF = 2.0**-24  # float32: half a unit in the last place of 1


def three_pushes():
    """Draw the circle of x̂ in a space of three numbers, and three ways to push x̂ from there.

    The view is from the side, on the plane of rows that sum to 0. All x of the sheet, which stands
    on a ray of that plane, have the same x̂. Nothing is data: each length is the circle's, or free.
    """
    picture, ax = new_picture(height=2.75)
    ray, tilt, radius = np.radians(-28), np.radians(22), 3**0.5  # ε is 0

    def seen(outward, height, angle=ray):
        """Return where a point stands in the view, (2, ...): to the right, and up."""
        near = np.sin(angle) * np.sin(tilt)
        return np.array([outward * np.cos(angle), outward * near + height * np.cos(tilt)])

    around = np.linspace(0, 2 * np.pi, 91)
    ax.fill(*seen(2.6, 0 * around, around), color=CENTRED, alpha=0.14, linewidth=0)
    ax.plot(*seen(radius, 0 * around, around), color=X_HAT, linewidth=1.5)
    sheet = seen(np.array([0, 2.75, 2.75, 0]), np.array([-0.8, -0.8, 2.2, 2.2]))
    ax.fill(*sheet, color=X, alpha=0.13, linewidth=0)
    ax.plot(*seen(np.zeros(2), np.array([-0.8, 2.2])), color=SOFT, linewidth=1, linestyle=":")
    ax.plot(*seen(np.array([0, radius]), np.zeros(2)), color=X_HAT, linewidth=1.5)
    x, foot, x_hat = seen(0.95, 1.3), seen(0.95, 0), seen(radius, 0)
    ax.plot(*np.stack([x, foot]).T, color=X, linewidth=1, linestyle="--")
    ends = {"up": seen(radius, 1.2), "out": seen(radius + 0.95, 0)}
    along = x_hat + 1.25 * np.array([np.sin(ray), -np.cos(ray) * np.sin(tilt)])
    for end, colour in (*((end, VERMILION) for end in ends.values()), (along, GRADIENT)):
        look = {"arrowstyle": "-|>", "color": colour, "linewidth": 2, "shrinkA": 4, "shrinkB": 0}
        ax.annotate("", end, x_hat, arrowprops=look)
    ax.plot(*x, "o", color=X, markersize=6)
    ax.plot(*foot, "s", color=CENTRED, markersize=5)
    ax.plot(*x_hat, "^", color=X_HAT, markersize=8)
    name(ax, "x", x, X, (-7, 3))
    name(ax, "x − μ", foot, INK, (-5, 13))
    name(ax, "x̂", x_hat, X_HAT, (3, -13))
    name(ax, "up: stopped", ends["up"], VERMILION, (6, 4))
    name(ax, "out: stopped", ends["out"], VERMILION, (4, -9))
    name(ax, "along: goes on", along, GRADIENT, (0, -10), weight="bold")
    name(ax, "(1, 1, 1)", seen(0, 2.2), SOFT, (0, 8))
    name(ax, "all these x have this x̂", sheet[:, 2], X, (0, 8))
    name(ax, "length √3", seen(radius, 0, 2.2), X_HAT, (-2, 8))
    name(ax, "plane: sums to 0", seen(2.6, 0, -2.1), SOFT, (0, -9))
    ax.set(aspect="equal", xlim=(-2.65, 3.5), xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    return picture


def jacobian(matrix, singular):
    """Draw a Jacobian as a matrix of colours, and its singular values on a logarithmic scale.

    Args:
        matrix: array of shape (n, n).
        singular: array of shape (n,), largest first: n − 2 that are alike, then those of a
            direction along x̂ and of a flat one.
    """
    floor, zero, n = 1e-8, 1e-9, len(matrix)  # below the floor the axis is broken, for a 0
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
    left.set_anchor("N")  # the titles of both panels on one line
    left.set_title("J, in hundredths", loc="left")
    left.spines[:].set_visible(False)
    left.tick_params(length=0)
    shown = np.where(singular < floor, zero, singular)
    right.plot(position, shown, "o", color=GRADIENT, clip_on=False)
    alike = np.isclose(singular, singular[0]).sum()
    name(right, f"{alike} × {singular[0]:.3g}", ((alike - 1) / 2, shown[0]), INK, (0, 12))
    lost = position[alike:]  # the climax: larger, in another colour, and named
    right.plot(lost, shown[alike:], "o", color=VERMILION, markersize=11, clip_on=False)
    for k, direction in zip(lost, ("along x̂", "flat"), strict=True):
        text = "0" if singular[k] < floor else f"{singular[k]:.3g}".replace("e-0", "e−")
        name(right, f"{direction}: {text}", (k, shown[k]), VERMILION, (-9, 6), weight="bold")
    right.set(yscale="log", ylim=(zero / 3, 30), xlabel="largest first", xticks=[])
    right.set_yticks([zero, 1e-6, 1e-4, 1e-2, 1], ["0", "10⁻⁶", "10⁻⁴", "10⁻²", "1"])
    right.minorticks_off()
    right.spines["left"].set_visible(False)
    look = {"transform": right.get_yaxis_transform(), "clip_on": False, "linewidth": 1}
    for low, high in ((zero / 3, floor / 1.3), (floor * 1.3, 30)):  # the axis, with a gap
        right.plot([0, 0], [low, high], color=LINE, **look)
    for at in (floor / 1.3, floor * 1.3):
        right.plot([-0.02, 0.02], [at / 1.6, at * 1.6], color=SOFT, **look)
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
