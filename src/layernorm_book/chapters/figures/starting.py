"""From which scales of its weights does a deep network learn, and how far does it get?"""

import numpy as np

from layernorm_book.chapters.figures.style import SOFT, X_HAT, Y, name, new_picture

LEAST, MOST = 1e-7, 1e7  # of the error; what is above leaves the picture
TICKS = {-3: "⅛", -2: "¼", -1: "½", 0: "1", 1: "2", 2: "4", 3: "8"}


def errors_by_scale(scales, without, with_layer):
    """Draw the error after training against the scale of the weights before it.

    Args:
        scales: the scales, powers of 2.
        without, with_layer: the errors, (draws, scales), a thin line for each draw and a thick
            one for their median.
    """
    picture, ax = new_picture(height=3.3)
    ax.axhline(0.5, color=SOFT, linewidth=1, linestyle=":")
    at = np.log2(scales)
    for errors, colour in ((without, Y), (with_layer, X_HAT)):
        draws = np.clip(np.nan_to_num(errors, nan=np.inf), LEAST, 1e30)
        for line in draws:
            ax.plot(at, line, color=colour, linewidth=0.8, alpha=0.7)
        ax.plot(at, np.median(draws, axis=0), color=colour, linewidth=2.6, marker=".")
    name(ax, "without LayerNorm", (0.8, 1e5), Y, (-6, 0), fontweight="bold")
    name(ax, "with LayerNorm", (1.3, 1e-6), X_HAT, (0, 0), fontweight="bold")
    name(ax, "always answers 0", (3, 0.5), SOFT, (-2, 8), ha="right")
    ax.set(yscale="log", ylim=(LEAST, MOST), xticks=list(TICKS), xticklabels=TICKS.values())
    ax.set(xlabel="scale of the weights at the start")
    ax.set_title("mean square error after 100 steps", loc="left")
    return picture
