"""What do centring and scaling do to a row, to points in space, and to rows as small as ε?"""

import numpy as np

from layernorm_book.chapters.figures.style import (
    CENTRED,
    INK,
    SOFT,
    X_HAT,
    X,
    Y,
    name,
    new_picture,
)

# Right, towards the viewer and up: (1, 1, 1) points up, so that centring lets a row drop onto the
# plane of all rows that sum to 0.
BASIS = np.array([[-1.0, 1.0, 0.0], [-1.0, -1.0, 2.0], [1.0, 1.0, 1.0]])
BASIS /= np.linalg.norm(BASIS, axis=1, keepdims=True)
TURN, TILT = np.radians(-25), np.radians(24)  # of the viewer, about (1, 1, 1) and above the plane

ANGLE = np.linspace(0, 2 * np.pi, 91)
CIRCLE = np.sqrt(3) * np.stack([np.cos(ANGLE), np.sin(ANGLE), 0 * ANGLE], axis=-1) @ BASIS


def plane_and_circle(x, centred, x_hat):
    """Draw rows of three numbers as points, on their way to the plane and to the circle.

    Left, in space: each x, its drop onto the plane, its slide to the circle of radius √3.
    Right, the plane itself, seen along (1, 1, 1).

    Args:
        x, centred, x_hat: arrays of shape (rows, 3).
    """
    picture, (space, plane) = new_picture(columns=2, width=7, height=3.1)
    for ax, tilt, title in (
        (space, TILT, "in space"),
        (plane, np.pi / 2, "straight down (1, 1, 1)"),
    ):
        ax.set_title(title)
        _draw(ax, tilt, x, centred, x_hat)
    return picture


def before_and_after(rows, limit):
    """Draw rows of x̂ as bars, a panel each, under a line that none of them can pass.

    Args:
        rows: {title: array of shape (n,)}.
        limit: the most that one number of x̂ can be.
    """
    picture, axes = new_picture(columns=len(rows), width=6, height=2.1)
    for ax, (title, x_hat) in zip(axes, rows.items(), strict=True):
        ax.bar(np.arange(len(x_hat)), x_hat, width=0.6, color=X_HAT)
        ax.axhline(0, color=SOFT, linewidth=1)
        ax.axhline(limit, color=SOFT, linewidth=1, linestyle="--")
        ax.set_title(title, loc="left")
        ax.set(xticks=[], ylim=(-1.8, limit + 0.4))
        ax.spines["bottom"].set_visible(False)
    name(axes[0], f"√{len(x_hat) - 1}", (0, limit), SOFT, (0, -8))
    return picture


def inside_and_outside(std, inside, outside, seen):
    """Draw with which σ a row leaves two forms of normalization, against the σ it arrives with.

    Args:
        std: array of shape (points,), the standard deviations of the rows that arrive.
        inside: array of shape (points,), of the rows that leave, with ε inside the root.
        outside: {title: array of shape (points,)}, with ε outside, a panel each.
        seen: for each panel the index of a point whose two values are written down.
    """
    picture, axes = new_picture(columns=2, width=7, height=2.7)
    for ax, (title, other), at in zip(axes, outside.items(), seen, strict=True):
        forms = (inside, X_HAT, "inside"), (other, Y, "outside")
        higher = max(inside[at], other[at])
        ax.axvline(std[at], color=SOFT, linewidth=0.8, linestyle=":")
        for leaves, colour, where in forms:
            ax.plot(std, leaves, color=colour, linewidth=1.75)
            ax.plot(std[at], leaves[at], "o", color=colour, markersize=6)
            place = (-9, 4) if leaves[at] == higher else (9, -5)
            name(ax, f"{where} {leaves[at]:.0%}", (std[at], leaves[at]), colour, place)
        ax.set(xscale="log", xlim=(std[0], std[-1]), ylim=(-0.08, 1.1), yticks=[0, 0.5, 1])
        ax.set_xlabel("σ of x")
        ax.set_title(title, loc="left")
    axes[0].set_ylabel("σ of x̂")
    return picture


def _seen(points, tilt):
    """Return where points stand in a view: to the right and up."""
    right, near, up = BASIS
    right, near = (
        np.cos(TURN) * right + np.sin(TURN) * near,
        np.cos(TURN) * near - np.sin(TURN) * right,
    )
    return points @ np.stack([right, np.cos(tilt) * up - np.sin(tilt) * near]).T


def _draw(ax, tilt, x, centred, x_hat):
    edge, circle = _seen(1.9 * CIRCLE, tilt), _seen(CIRCLE, tilt)
    ax.fill(*edge.T, color=CENTRED, alpha=0.14, linewidth=0)
    ax.plot(*circle.T, color=X_HAT, linewidth=1.5)
    x, centred, x_hat = (_seen(points, tilt) for points in (x, centred, x_hat))
    for middle, end in zip(centred, x_hat, strict=True):
        ax.annotate("", end, middle, arrowprops={"arrowstyle": "->", "color": X_HAT})
    ax.plot(*centred.T, "s", color=CENTRED, markersize=5)
    ax.plot(*x_hat.T, "^", color=X_HAT, markersize=7)
    ax.plot(0, 0, "+", color=SOFT, markersize=9)
    ax.set(aspect="equal", xlim=(-3.4, 3.4), xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    if tilt < np.pi / 2:  # from straight above, a row and its foot are one point
        for start, middle in zip(x, centred, strict=True):
            ax.plot(*np.stack([start, middle]).T, color=X, linewidth=1, linestyle="--")
        ax.plot(*x.T, "o", color=X, markersize=6)
        name(ax, "x", x[np.argmax(x[:, 1])], X, (0, 10))
        name(ax, "plane: sums to 0", (0, edge[:, 1].min()), SOFT, (0, -9))
    else:
        name(ax, "x − μ", centred[np.argmax(centred[:, 1])], INK, (0, 11))
        name(ax, "x̂", x_hat[np.argmin(x_hat[:, 0])], X_HAT, (-9, 6))
        name(ax, "radius √3", (0, circle[:, 1].min()), X_HAT, (0, -10))
