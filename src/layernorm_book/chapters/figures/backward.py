"""Which two directions does the backward pass lose, and what does that do to the weights before?"""

import numpy as np

from layernorm_book.chapters.figures.style import (
    AFFINE,
    CENTRED,
    GRADIENT,
    INK,
    LINE,
    SOFT,
    VERMILION,
    X_HAT,
    X,
    dots,
    name,
    new_picture,
)


def three_pushes():
    """Draw the circle of x̂ in a space of three numbers, and three ways to push x̂ from there.

    On the left the view is from the side, on the plane of rows that sum to 0. All x of the sheet,
    which stands on a ray of that plane, have the same x̂. No length there is data: each is the
    circle's, or free. On the right the x̂ of 1, 2, 6 and the same pushes, as the gradient lab draws
    them: a dot for each number, over its x̂.
    """
    picture, (ax, right) = new_picture(1, 2, width=7, height=2.7)
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
    name(ax, "up: stopped", ends["up"], VERMILION, (-2, 7), ha="left")
    name(ax, "out: stopped", ends["out"], VERMILION, (6, 0))
    name(ax, "along: goes on", along, GRADIENT, (16, -14), ha="center", weight="bold")
    name(ax, "(1, 1, 1)", seen(0, 2.2), SOFT, (0, 8))
    name(ax, "all these x have this x̂", sheet[:, 2], X, (0, 8))
    name(ax, "length √3", seen(radius, 0, 2.2), X_HAT, (-2, 8))
    name(ax, "plane: sums to 0", (-2.6, -1.05), SOFT, (0, 0), ha="left")
    ax.set(aspect="equal", xlim=(-2.65, 3.5), xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    _over_x_hat(right)
    return picture


def _over_x_hat(ax):
    """Draw the three pushes of the x̂ of 1, 2, 6 over x̂: two are straight lines."""
    x_hat = np.array([-2.0, -1.0, 3.0]) / (14 / 3) ** 0.5  # (3,), ε is 0
    along = np.cross(np.ones(3), x_hat) / 3**0.5  # (3,), as long as x̂
    ends = np.array([-1.4, 1.7])
    ax.plot(ends, 0 * ends, color=LINE, linewidth=1)
    ax.plot([0, 0], [-1.15, 1.6], color=LINE, linewidth=1)
    name(ax, "0", (0, 0), SOFT, (5, -8))
    up = 0.6 * np.ones(2)
    for push, line, text in ((up[[0, 0, 0]], up, "up"), (x_hat, ends, "out")):
        ax.plot(ends, line, color=VERMILION, linewidth=1.2)
        ax.plot(x_hat, push, "o", color=VERMILION, markersize=5)
        name(ax, text, (ends[1], line[1]), VERMILION, (4, 0))
    ax.plot(x_hat, along, "o", color=GRADIENT, markersize=8)
    name(ax, "along: no line", (x_hat[1], along[1]), GRADIENT, (9, 0), weight="bold")
    ax.plot(x_hat, 0 * x_hat, "^", color=X_HAT, markersize=6)
    name(ax, "x̂", (ends[1], 0), X_HAT, (4, 0))
    ax.set(xlim=(-1.5, 2.1), ylim=(-1.6, 1.8), xticks=[], yticks=[])
    ax.spines[:].set_visible(False)


def eight_directions(x, matrix):
    """Draw n gradients at right angles, as bars, and what becomes of the length of each.

    Args:
        x: the row, array of shape (n,). Its flat gradient comes first, then that along x̂.
        matrix: the Jacobian, array of shape (n, n).
    """
    n = len(x)
    picture, ax = new_picture(height=2.3)
    ways, _ = np.linalg.qr(np.column_stack([np.ones(n), x - x.mean(), np.eye(n)]))  # (n, n)
    places = [(0, 0), (0, 1)] + [(k // 2, k % 2) for k in range(2, n)]  # column, row
    for k, (way, place) in enumerate(zip(ways.T, places, strict=True)):
        across, up = 1.25 * place[0], -2.3 * place[1]
        heights = way * np.sign(way[np.abs(way).argmax()]) / 2**0.5  # the largest bar points up
        colour = VERMILION if k < 2 else GRADIENT
        ax.plot(across + np.array([0, 1]), [up, up], color=LINE, linewidth=1)
        bars = np.repeat(across + (np.arange(n) + 0.5) / n, 3)  # one path: from, to, a gap
        tops = np.stack([0 * heights, heights, np.full(n, np.nan)], 1).ravel()
        ax.plot(bars, up + tops, color=colour, linewidth=6, solid_capstyle="butt")
        factor = np.linalg.norm(matrix @ way)
        text = "0" if factor < 1e-12 else f"{factor:.3g}".replace("e-0", "e−")
        who = ("flat ", "x̂ ", "")[min(k, 2)]
        look = {"weight": "bold"} if k < 2 else {}
        name(ax, f"{who}× {text}", (across + 0.5, up + 1.0), colour, (0, 0), **look)
    ax.set(xticks=[], yticks=[], ylim=(-3, 1.35))
    ax.spines[:].set_visible(False)
    return picture


def fading_rates(paths):
    """Draw how a weight matrix before the layer grows, and by that slows down, at several rates.

    Args:
        paths: for each learning rate, the matrix before the first step and after each, array of
            shape (steps + 1, ...).
    """
    picture, (size, felt) = new_picture(1, 2, width=6.8, height=2.5)
    for rate, path in paths.items():
        points = np.reshape(path, (len(path), -1))  # (steps + 1, weights)
        grown = np.linalg.norm(points, axis=1) / np.linalg.norm(points[0])  # (steps + 1,)
        steps = np.unique(np.geomspace(1, len(path), 60).astype(int)) - 1
        size.plot(steps, grown[steps], color=AFFINE, linewidth=1.6)
        name(size, f"rate {rate}", (steps[-1], grown[-1]), AFFINE, (5, 0))
        felt.plot(steps, rate / grown[steps] ** 2, color=GRADIENT, linewidth=1.6)
        name(felt, f"{rate}", (0, rate), GRADIENT, (-5, 0), ha="right")
    name(felt, f"{rate / grown[-1] ** 2:.1f}", (steps[-1], rate / grown[-1] ** 2), GRADIENT, (5, 0))
    size.set(ylim=(0, 7), yticks=[1, 3, 5, 7])
    felt.set(yscale="log", ylim=(1, 130), yticks=[], yticklabels=[])
    felt.minorticks_off()
    size.set_title("size of A, 1 at the start", loc="left")
    felt.set_title("rate that A feels", loc="left")
    for ax in (size, felt):
        ax.set(xlabel="steps", xlim=(0, steps[-1]))
    return picture


def leaps(path, loss_of):
    """Draw how the steps of gradient descent turn to and fro, and what the loss makes of it.

    Args:
        path: the matrix before the first step and after each, array of shape (steps + 1, ...).
        loss_of: what gives the loss of a matrix.
    """
    picture, (turned, loss) = new_picture(1, 2, width=6.8, height=2.4)
    points = np.reshape(path, (len(path), -1))  # (steps + 1, weights)
    moves = np.diff(points, axis=0)
    moves /= np.linalg.norm(moves, axis=1, keepdims=True)  # (steps, weights)
    turns = np.degrees(np.arccos((moves[1:] * moves[:-1]).sum(1)))  # (steps − 1,)
    steps = np.arange(len(path))
    turned.axhline(90, color=LINE, linewidth=1)
    dots(turned, steps[2:], turns, edgecolor=GRADIENT, linewidth=3)
    turned.set(ylim=(-8, 188))
    turned.set_yticks([0, 90, 180], ["straight on", "sideways", "straight back"])
    turned.set_title("turn since the step before", loc="left")
    losses = np.array([float(loss_of(matrix)) for matrix in path])  # (steps + 1,)
    loss.plot(steps, losses, color=INK, linewidth=1.2)
    loss.set(ylim=(1.02, 1.24))
    name(loss, f"from {losses[0]:.2f} at the start", (0, 1.225), INK, (12, 0))
    loss.set_title("loss", loc="left")
    for ax in (turned, loss):
        ax.set(xlabel="steps", xlim=(0, steps[-1]))
    return picture
