"""Which two directions does the backward pass lose, and what does that do to the weights before?"""

import numpy as np
from matplotlib.patches import Rectangle

from layernorm_book.chapters.figures.style import (
    AFFINE,
    BLUE,
    CENTRED,
    GRADIENT,
    INK,
    LINE,
    SOFT,
    VERMILION,
    X_HAT,
    X,
    name,
    new_picture,
)


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
    matrix, singular = np.asarray(matrix), np.asarray(singular)
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


def fading_rate(path, turn):
    """Draw how a weight matrix in front of the layer grows, and what that does to its steps.

    On the left the matrix is an arrow: its length, and its angle to the first one, are what they
    are in the space of its weights. Two steps that stand equally far from the first may be drawn
    on the same place.

    Args:
        path: the matrix before the first step and after each.
        turn: the step after which it only grows.
    """
    picture, (left, right) = new_picture(1, 2, width=6.4, height=3.1)
    points = np.stack([np.ravel(matrix) for matrix in path])  # (steps + 1, weights)
    sizes = np.linalg.norm(points, axis=1)  # (steps + 1,)
    grown = sizes / sizes[0]
    angle = np.arccos(np.clip(points @ points[0] / (sizes * sizes[0]), -1, 1))  # (steps + 1,)
    seen = grown * np.stack([np.cos(angle), np.sin(angle)])  # (2, steps + 1)
    quarter = np.linspace(0, np.pi / 2, 31)
    left.plot(np.cos(quarter), np.sin(quarter), color=SOFT, linewidth=1, linestyle=":")
    left.plot(*seen, color=GRADIENT, linewidth=1.2)
    left.plot(*seen[:, : turn + 1], "o", color=GRADIENT, markersize=3)
    for end in (0, turn, -1):
        look = {"arrowstyle": "-|>", "color": AFFINE, "linewidth": 2, "shrinkA": 0, "shrinkB": 0}
        left.annotate("", seen[:, end], (0, 0), arrowprops=look)
    name(left, "A", seen[:, 0] / 2, AFFINE, (0, -9), weight="bold")
    name(left, f"after {turn} steps", seen[:, turn], AFFINE, (8, 4), weight="bold")
    name(left, f"after {len(path) - 1}", seen[:, -1], AFFINE, (8, -3), weight="bold")
    middle = (turn + len(path)) // 4
    name(left, "to and fro", seen[:, middle], GRADIENT, (8, 0))
    high = 1.04 * grown[-1]
    left.set(aspect="equal", xlim=(-0.3, 2.3), ylim=(-0.3, high), xticks=[], yticks=[])
    left.spines[:].set_visible(False)
    left.set_anchor("NW")
    left.set_title("A, by length and angle", loc="left")
    steps = np.arange(len(path))
    shown = slice(None, None, max(1, len(path) // 50))
    for values, colour in ((grown, AFFINE), (grown**-2, GRADIENT)):
        right.plot(steps[shown], values[shown], color=colour, linewidth=2)
    middle = len(path) // 2
    name(right, "size of A", (middle, grown[middle]), AFFINE, (0, 14), ha="right")
    name(right, "learning rate that A feels", (middle, grown[middle] ** -2), GRADIENT, (0, 14))
    right.set(xlabel="steps", xlim=(0, steps[-1]), ylim=(0, 1.08 * grown[-1]))
    right.set_title("times what it was at the start", loc="left")
    return picture
