"""What a bug does to an ordinary row, and to the row that gives it away."""

import numpy as np

from layernorm_book.figures.style import BLUE, GREY, INK, VERMILION, new_picture


def hidden_and_plain(effects, threshold):
    """Draw, for each bug, how far it moves the output of an ordinary input and of a telling one.

    Args:
        effects: dict from a name to (ordinary, telling), each the largest difference from the
            right output, in units of a right output's standard deviation; not-a-number counts as
            beyond the axis.
        threshold: a tolerance that a test might use.
    """
    names = sorted(effects, key=lambda name: effects[name][0])
    ordinary, telling = np.array([effects[name] for name in names], dtype=float).T
    low, high = 1e-8, 1e5
    picture, ax = new_picture(height=0.36 * len(names) + 1.1)
    position = np.arange(len(names))
    shown = [np.clip(np.nan_to_num(v, nan=high, posinf=high), low, high) for v in (ordinary, telling)]
    ax.hlines(position, *shown, color=GREY, linewidth=1.2)
    ax.plot(shown[0], position, "o", color=BLUE, markersize=7, label="ordinary input")
    ax.plot(shown[1], position, "D", color=VERMILION, markersize=7, label="telling input")
    for i in np.flatnonzero(np.isnan(telling)):
        note = {"textcoords": "offset points", "va": "center", "ha": "right", "color": INK}
        ax.annotate("NaN", (high, i), (-9, 0), **note)
    ax.axvline(threshold, color=INK, linestyle="--", linewidth=1)
    ax.annotate(
        f"tolerance {threshold:g}",
        (threshold, 1),
        (0, 3),
        xycoords=("data", "axes fraction"),
        textcoords="offset points",
        ha="center",
    )
    ax.set(xscale="log", xlim=(low / 2, high * 3), ylim=(-0.7, len(names) - 0.3))
    ax.set_yticks(position, names)
    ax.set_xlabel("largest difference from the right output")
    ax.legend(loc="upper center", bbox_to_anchor=(0.4, -0.14), ncols=2, frameon=False)
    return picture
