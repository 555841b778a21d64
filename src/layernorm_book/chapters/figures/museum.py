"""What does a bug do to an ordinary row, and to the row that gives it away?"""

import numpy as np

from layernorm_book.chapters.figures.style import (
    GREEN,
    INK,
    LINE,
    SOFT,
    VERMILION,
    name,
    new_picture,
)


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
