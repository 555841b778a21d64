"""What does a bug do to an ordinary row, and to the row that gives it away?"""

import numpy as np

from layernorm_book.chapters.figures.style import BLUE, GREY, INK, VERMILION, new_picture


def hidden_and_plain(effects, threshold):
    """Draw, for each bug, how far it moves the output of an ordinary input and of a telling one.

    Args:
        effects: dict from a name to (ordinary, telling), each the largest difference from the
            right output.
        threshold: a tolerance that a test might use.
    """
    names = sorted(effects, key=lambda name: effects[name][0])
    ordinary, telling = np.array([effects[name] for name in names], dtype=float).T
    picture, ax = new_picture(height=0.36 * len(names) + 1.1)
    position = np.arange(len(names))
    ax.hlines(position, ordinary, telling, color=GREY, linewidth=1.2)
    ax.plot(ordinary, position, "o", color=BLUE, markersize=7, label="ordinary input")
    ax.plot(telling, position, "D", color=VERMILION, markersize=7, label="telling input")
    ax.axvline(threshold, color=INK, linestyle="--", linewidth=1)
    ax.annotate(
        f"tolerance {threshold:g}",
        (threshold, 1),
        (0, 3),
        xycoords=("data", "axes fraction"),
        textcoords="offset points",
        ha="center",
    )
    ax.set(xscale="log", xlim=(1e-7, 1e4), ylim=(-0.7, len(names) - 0.3))
    ax.set_yticks(position, names)
    ax.set_xlabel("largest difference from the right output")
    ax.legend(loc="upper center", bbox_to_anchor=(0.4, -0.14), ncols=2)
    return picture
