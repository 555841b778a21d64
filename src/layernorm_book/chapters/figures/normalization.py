"""What do centring and scaling do to a row, to points in space, and to rows as small as ε?"""

import matplotlib
import numpy as np

from layernorm_book.chapters.figures.style import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    STYLE,
    VERMILION,
    Picture,
    new_picture,
)

# An orthonormal basis of the plane of all rows of three that sum to 0, seen along (1, 1, 1).
PLANE = np.array([[-1.0, 1.0, 0.0], [-1.0, -1.0, 2.0]])
PLANE /= np.linalg.norm(PLANE, axis=1, keepdims=True)

LABEL_GROUND = {"facecolor": "white", "linewidth": 0, "alpha": 0.8, "pad": 0.5}


def plane_and_circle(x, centred, x_hat):
    """Draw rows of three numbers as points, on their way to the plane and to the circle.

    Left, in space: each x, its projection on the plane, its place on the circle of radius √3.
    Right, the plane itself, seen along (1, 1, 1).

    Args:
        x, centred, x_hat: arrays of shape (rows, 3).
    """
    with matplotlib.rc_context(STYLE):
        picture = Picture(figsize=(8.0, 4.4), layout="constrained")
        picture.get_layout_engine().set(w_pad=0.2)
        space = picture.add_subplot(1, 2, 1, projection="3d")
        plane = picture.add_subplot(1, 2, 2)
    _draw_space(space, x, centred, x_hat)
    _draw_plane(plane, centred @ PLANE.T, x_hat @ PLANE.T)
    handles, labels = space.get_legend_handles_labels()
    picture.legend(handles, labels, loc="outside lower center", ncols=3)
    return picture


def knees(std, predicted, measured, eps):
    """Draw the output's standard deviation against the input's, for both places of eps.

    Args:
        std: array of shape (points,), the standard deviations of the input rows.
        predicted, measured: {"inside": array, "outside": array}, each of shape (points,).
        eps: the eps that both forms were given.
    """
    picture, ax = new_picture(height=3.8)
    knee = {
        "inside": (np.sqrt(eps), np.sqrt(0.5), BLUE, "o", "inside: σ / √(σ² + ε)", (9, -14)),
        "outside": (eps, 0.5, VERMILION, "s", "outside: σ / (σ + ε)", (-96, 12)),
    }
    for place, (at, output, colour, marker, label, offset) in knee.items():
        ax.plot(std, predicted[place], color=colour, linewidth=1.5, label=label)
        ax.plot(std[::4], measured[place][::4], marker, color=colour, markersize=4)
        ax.plot([at, at], [1e-9, output], color=colour, linewidth=1, linestyle="--")
        ax.plot(at, output, marker, color=colour, markersize=10, markerfacecolor="white")
        ax.annotate(
            f"σ = {at:.3g}, output {output:.3g}",
            (at, output),
            xytext=offset,
            textcoords="offset points",
            color=colour,
        )
    ax.set(xscale="log", yscale="log", ylim=(predicted["inside"].min(), 2.5))
    ax.set_xlabel("standard deviation σ of the input row")
    ax.set_ylabel("standard deviation of the output")
    ax.legend(loc="lower right", handlelength=1.2)
    return picture


def _draw_space(ax, x, centred, x_hat):
    angle = np.linspace(0, 2 * np.pi, 181)
    circle = np.sqrt(3) * (np.outer(np.cos(angle), PLANE[0]) + np.outer(np.sin(angle), PLANE[1]))
    ax.plot_trisurf(*(1.9 * circle).T, color=GREY, alpha=0.15, linewidth=0, shade=False)
    ax.plot(*circle.T, color=GREEN, linewidth=1.5)
    ones = np.array([-1.6, 3.2])
    ax.plot(ones, ones, ones, color=INK, linewidth=1)
    ax.text(-1.6, -1.6, -1.9, "along (1, 1, 1)", color=INK, ha="center", va="top")
    for start, middle, end in zip(x, centred, x_hat, strict=True):
        ax.plot(*np.stack([start, middle]).T, color=BLUE, linewidth=1, linestyle="--")
        ax.plot(*np.stack([middle, end]).T, color=ORANGE, linewidth=1)
    ax.scatter(*x.T, color=BLUE, marker="o", s=28, depthshade=False, label="x")
    ax.scatter(*centred.T, color=ORANGE, marker="s", s=24, depthshade=False, label="x − μ")
    ax.scatter(
        *x_hat.T, color=GREEN, marker="^", s=40, depthshade=False, label=r"$\hat{x}$, on the circle"
    )
    limits = (-2.9, 4.0)
    ax.set(xticks=[], yticks=[], zticks=[], xlim=limits, ylim=limits, zlim=limits)
    ax.set_box_aspect((1, 1, 1), zoom=1.15)
    ax.set_xlabel("first", labelpad=-12)
    ax.set_ylabel("second", labelpad=-12)
    ax.set_zlabel("third", labelpad=-12)
    ax.view_init(elev=12, azim=-24)


def _draw_plane(ax, centred, x_hat):
    angle = np.linspace(0, 2 * np.pi, 181)
    ax.plot(np.sqrt(3) * np.cos(angle), np.sqrt(3) * np.sin(angle), color=GREEN, linewidth=1.5)
    for start, end in zip(centred, x_hat, strict=True):
        ax.annotate("", end, start, arrowprops={"arrowstyle": "->", "color": ORANGE})
    ax.plot(*centred.T, "s", color=ORANGE, markersize=5)
    ax.plot(*x_hat.T, "^", color=GREEN, markersize=7)
    ax.plot(0, 0, "+", color=INK, markersize=9)
    ax.text(0, -1.85, "radius √3", color=GREEN, ha="center", va="top")
    ax.set(aspect="equal", xlim=(-3.3, 3.3), ylim=(-2.6, 2.6))
    ax.set(xlabel="along (−1, 1, 0)", ylabel="along (−1, −1, 2)")
    ax.set_title("the plane, seen along (1, 1, 1)")
