"""What does a bug do to an ordinary row, and to the row that gives it away?"""

import numpy as np

from layernorm_book.chapters.figures.style import (
    BLUE,
    LINE,
    SOFT,
    VERMILION,
    name,
    new_picture,
)


def hidden_and_plain(effects, threshold):
    """Draw, for each bug, how far it moves the output of an ordinary input and of a telling one.

    Args:
        effects: dict from a name to (ordinary, telling), each the largest difference from the
            right output.
        threshold: a tolerance that a test might use.
    """
    names = sorted(effects, key=lambda name: effects[name][0])
    ordinary, telling = np.array([effects[name] for name in names], dtype=float).T
    picture, ax = new_picture(height=0.3 * len(names) + 1.1)
    position = np.arange(len(names))
    ax.hlines(position, ordinary, telling, color=LINE, linewidth=1.5)
    ax.axvline(threshold, color=SOFT, linestyle="--", linewidth=1)
    ax.plot(ordinary, position, "o", color=BLUE, markersize=6.5, label="ordinary input")
    ax.plot(telling, position, "D", color=VERMILION, markersize=6, label="telling input")
    ax.legend(ncols=2, loc="lower right", bbox_to_anchor=(1, 1), handlelength=1, borderpad=0)
    name(ax, f"tolerance {threshold:g}", (threshold, -0.9), SOFT, (4, 0))
    ax.set(xscale="log", xlim=(1e-7, 1e4), ylim=(-1.4, len(names) - 0.3))
    ax.set_yticks(position, names)
    ax.tick_params(axis="y", length=0)
    ax.set_xlabel("largest difference from the right output")
    return picture
