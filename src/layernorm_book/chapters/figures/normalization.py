"""What does normalization do to a row with an outlier, and to rows as small as ε?"""

import numpy as np

from layernorm_book.chapters.figures.style import (
    SOFT,
    X_HAT,
    Y,
    name,
    new_picture,
)


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
        seen: for each panel the indices of points whose two values are written down.
    """
    picture, axes = new_picture(columns=2, width=7, height=2.7)
    for ax, (title, other), marked in zip(axes, outside.items(), seen, strict=True):
        forms = (inside, X_HAT, "inside"), (other, Y, "outside")
        for leaves, colour, _ in forms:
            ax.plot(std, leaves, color=colour, linewidth=1.75)
        for at in marked:
            higher = max(inside[at], other[at])
            ax.plot([std[at]] * 2, [-0.08, higher], color=SOFT, linewidth=0.8, linestyle=":")
            together = f"{inside[at]:.0%}" == f"{other[at]:.0%}"
            for leaves, colour, where in forms:
                ax.plot(std[at], leaves[at], "o", color=colour, markersize=6)
                place = (-9, 4) if leaves[at] == higher else (9, -5)
                if not together:
                    name(ax, f"{where} {leaves[at]:.0%}", (std[at], leaves[at]), colour, place)
            if together:
                name(ax, f"both {higher:.0%}", (std[at], higher), SOFT, (-9, 4))
        ax.set(xscale="log", xlim=(std[0], std[-1]), ylim=(-0.08, 1.1), yticks=[0, 0.5, 1])
        ax.set_xlabel("σ of x")
        ax.set_title(title, loc="left")
    axes[0].set_ylabel("σ of x̂")
    return picture
