"""What do centring and scaling do to a row, to points in space, and to rows as small as ε?"""

import numpy as np
from mpl_toolkits.mplot3d.art3d import Poly3DCollection

from layernorm_book.chapters.figures.style import (
    BLUE,
    CENTRED,
    GROUND,
    INK,
    SOFT,
    VERMILION,
    X_HAT,
    Picture,
    X,
    name,
    new_panel,
    new_picture,
)

# An orthonormal basis of the plane of all rows of three that sum to 0, seen along (1, 1, 1).
PLANE = np.array([[-1.0, 1.0, 0.0], [-1.0, -1.0, 2.0]])
PLANE /= np.linalg.norm(PLANE, axis=1, keepdims=True)

ANGLE = np.linspace(0, 2 * np.pi, 91)


def plane_and_circle(x, centred, x_hat):
    """Draw rows of three numbers as points, on their way to the plane and to the circle.

    Left, in space: each x, its projection on the plane, its place on the circle of radius √3.
    Right, the plane itself, seen along (1, 1, 1).

    Args:
        x, centred, x_hat: arrays of shape (rows, 3).
    """
    space = new_panel(3.5, 3.1, layout=None)
    _draw_space(space.add_axes((-0.15, -0.2, 1.3, 1.4), projection="3d"), x, centred, x_hat)
    plane = new_panel(3.5, 3.1)
    _draw_plane(plane.subplots(), centred @ PLANE.T, x_hat @ PLANE.T)
    return Picture([space, plane])


def knees(std, predicted, measured, eps):
    """Draw the output's standard deviation against the input's, for both places of eps.

    Args:
        std: array of shape (points,), the standard deviations of the input rows.
        predicted, measured: {"inside": array, "outside": array}, each of shape (points,).
        eps: the eps that both forms were given.
    """
    picture, ax = new_picture(height=3.6)
    knee = {
        "inside": (np.sqrt(eps), np.sqrt(0.5), BLUE, "o", "σ / √(σ² + ε)", 0.62),
        "outside": (eps, 0.5, VERMILION, "s", "σ / (σ + ε)", 0.28),
    }
    for place, (at, output, colour, marker, formula, level) in knee.items():
        ax.plot(std, predicted[place], color=colour, linewidth=1.5)
        ax.plot(std[::4], measured[place][::4], marker, color=colour, markersize=4)
        ax.plot([at, at], [1e-9, output], color=colour, linewidth=1, linestyle="--")
        ax.plot(at, output, marker, color=colour, markersize=9, markerfacecolor=GROUND)
        label = f"{place}: {formula}\n{output:.3g} at σ = {at:.3g}"
        ax.text(1, level, label, color=colour, ha="right", transform=ax.transAxes)
    ax.set(xscale="log", yscale="log", xlim=(std[0], 300))
    ax.set_ylim(predicted["inside"].min(), 2.5)
    ax.set_xlabel("standard deviation σ of the input row")
    ax.set_title("standard deviation of the output", loc="left")
    return picture


def _draw_space(ax, x, centred, x_hat):
    circle = np.sqrt(3) * (np.outer(np.cos(ANGLE), PLANE[0]) + np.outer(np.sin(ANGLE), PLANE[1]))
    ax.add_collection3d(Poly3DCollection([1.9 * circle], facecolor=SOFT, alpha=0.14))
    ax.plot(*circle.T, color=X_HAT, linewidth=1.5)
    ones = np.array([-1.6, 3.2])
    ax.plot(ones, ones, ones, color=SOFT, linewidth=1)
    ax.text(-1.6, -1.6, -1.9, "along (1, 1, 1)", color=SOFT, ha="center", va="top")
    for start, middle, end in zip(x, centred, x_hat, strict=True):
        ax.plot(*np.stack([start, middle]).T, color=X, linewidth=1, linestyle="--")
        ax.plot(*np.stack([middle, end]).T, color=CENTRED, linewidth=1.5)
    # One by one: a marker of a 3D scatter is written out again for each point.
    for points, colour, marker, size in ((x, X, "o", 6), (centred, CENTRED, "s", 5)):
        ax.plot(*points.T, marker, color=colour, markersize=size)
    ax.plot(*x_hat.T, "^", color=X_HAT, markersize=7)
    limits = (-2.9, 4.0)
    ax.set(xticks=[], yticks=[], zticks=[], xlim=limits, ylim=limits, zlim=limits)
    ax.set_box_aspect((1, 1, 1), zoom=1.2)
    ax.set_axis_off()
    ax.view_init(elev=12, azim=-24)
    top = x[np.argmax(x[:, 2])]
    ax.text(top[0], top[1], top[2] + 0.35, "x", color=X, ha="center")


def _draw_plane(ax, centred, x_hat):
    ax.plot(np.sqrt(3) * np.cos(ANGLE), np.sqrt(3) * np.sin(ANGLE), color=X_HAT, linewidth=1.5)
    for start, end in zip(centred, x_hat, strict=True):
        ax.annotate("", end, start, arrowprops={"arrowstyle": "->", "color": CENTRED})
    ax.plot(*centred.T, "s", color=CENTRED, markersize=5)
    ax.plot(*x_hat.T, "^", color=X_HAT, markersize=7)
    ax.plot(0, 0, "+", color=SOFT, markersize=9)
    far = np.argmax(np.linalg.norm(centred, axis=1))
    name(ax, "x − μ", centred[far], INK, (0, 11))
    left = np.argmin(x_hat[:, 0] - x_hat[:, 1])
    name(ax, "x̂", x_hat[left], X_HAT, (-8, 8))
    ax.text(0, -1.9, "radius √3", color=X_HAT, ha="center", va="top")
    ax.set(aspect="equal", xlim=(-3.3, 3.3), ylim=(-2.4, 2.2), xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    ax.set_title("the plane, seen along (1, 1, 1)")
