"""What does a bug do to an ordinary row, and to the row that gives it away?"""

import numpy as np
import torch.nn.functional as F
from matplotlib.patches import FancyBboxPatch

from layernorm_book.chapters.figures.style import (
    ALONE,
    BLUE,
    GREEN,
    INK,
    LINE,
    SOFT,
    VERMILION,
    Picture,
    X,
    name,
    new_panel,
    new_picture,
)

STAMPS = {"shipped bug": VERMILION, "documented choice": BLUE}


def card(maker, when, label, layer, given):
    """Draw an exhibit's label, and what its layer makes of the first row that it is given.

    Args:
        maker, when: as str.
        label: what is stamped on the card, a key of `STAMPS`.
        layer: called as `F.layer_norm` is.
        given: its arguments: x, normalized_shape, weight, bias and eps.
    """
    panel, colour = new_panel(ALONE, 1.75, layout=None), STAMPS[label]
    edge = {"boxstyle": "round,pad=0,rounding_size=0.02", "edgecolor": LINE, "facecolor": "none"}
    place = {"transform": panel.transFigure, "mutation_aspect": panel.get_figwidth() / 1.75}
    panel.add_artist(FancyBboxPatch((0.005, 0.01), 0.99, 0.98, **edge, **place))
    panel.text(0.035, 0.86, maker, weight="bold", va="center")
    panel.text(0.035, 0.73, when, color=SOFT, va="center")
    stamp = {"boxstyle": "round,pad=0.35", "facecolor": "none", "edgecolor": colour, "linewidth": 2}
    look = {"color": colour, "weight": "bold", "ha": "right", "va": "center", "rotation": 4}
    panel.text(0.955, 0.8, label.upper(), bbox=stamp, **look)
    rows = [values[0].tolist() for values in (given[0], F.layer_norm(*given), layer(*given))]
    names = ("comes in", "should come out", "comes out")
    for k, (row, title, hue) in enumerate(zip(rows, names, (X, GREEN, VERMILION), strict=True)):
        most = max(abs(v) for v in (rows[0] if k == 0 else rows[1] + rows[2]))
        ax = panel.add_axes((0.035 + 0.31 * k, 0.17, 0.3, 0.42))
        ax.set(xlim=(-0.6, len(row) + 2.2), ylim=(-most if k else 0, most))
        ax.set_axis_off()
        ax.bar(range(len(row)), row, width=0.8, color=hue)
        ax.plot([-0.6, len(row) - 0.4], [0, 0], color=LINE, linewidth=1)
        written = f"{row[-1]:,.0f}" if abs(row[-1]) >= 10 else f"{row[-1]:.2g}"
        name(ax, written.replace("-", "−"), (len(row) - 0.6, row[-1]), hue, (4, 0))
        panel.text(0.037 + 0.31 * k, 0.09, title, color=hue, va="center")
    return Picture([panel])


def hidden_and_plain(errors):
    """Draw how far each layer with a fault is off, on an ordinary input and on a telling one.

    Args:
        errors: dict from a name to (ordinary, telling), each as a multiple of what a test allows.
    """
    names = sorted(errors, key=lambda name: -errors[name][0])
    picture, ax = new_picture(height=0.3 * len(names) + 1.2)
    least, most = 3e-5, 1e4
    ax.axvspan(least, 1, color=LINE, alpha=0.3, linewidth=0)
    ax.axvline(1, color=SOFT, linewidth=1)
    for place, fault in enumerate(names):
        ordinary, telling = errors[fault]
        ax.plot([ordinary, telling], [place, place], color=LINE, linewidth=1.5, zorder=1)
        ax.plot(ordinary, place, "o", color=VERMILION if ordinary <= 1 else GREEN, markersize=6.5)
        ax.plot(telling, place, "D", color=VERMILION if telling <= 1 else GREEN, markersize=6)
    for mark, label in (("o", "torch.randn(8, 768)"), ("D", "the one input")):
        ax.plot([], [], mark, color=INK, markersize=6, label=label)
    ax.legend(ncols=2, loc="lower right", bbox_to_anchor=(1, 1), handlelength=1, borderpad=0)
    name(ax, "passes", (least, -0.9), VERMILION, (4, 0))
    name(ax, "is caught", (1, -0.9), GREEN, (6, 0))
    ax.set(xscale="log", xlim=(least, most), ylim=(-1.4, len(names) - 0.3))
    ax.set_yticks(np.arange(len(names)), names)
    ax.tick_params(axis="y", length=0)
    ax.set_xlabel("largest error, in units of what the test allows")
    return picture
