"""Where do the digits of x̂ go, and which step loses them?"""

from layernorm_book.chapters.figures.statistics import WAYS
from layernorm_book.chapters.figures.style import (
    CENTRED,
    INK,
    LINE,
    SOFT,
    VERMILION,
    Picture,
    X,
    dots,
    name_all,
    new_panel,
    new_picture,
)

ARROW = {"arrowstyle": "-|>", "color": VERMILION, "linewidth": 1.2, "shrinkA": 2, "shrinkB": 1}


def shifted_alike(row, rounded):
    """Draw a row, its mean, the mean as rounded, and how far that shifts each distance.

    Args:
        row: list of numbers, in order.
        rounded: the mean that the computer stores.
    """
    mean = sum(row) / len(row)
    panel = new_panel(4.5, 1.75, layout=None)
    ax = panel.add_axes((0, 0, 1, 1))
    middle = {"ha": "center", "va": "center"}
    ax.plot([row[0] - 0.3, row[-1] + 0.3], [2, 2], color=LINE, linewidth=1)
    for number in row:
        ax.plot([number, number], [1.85, 2.15], color=X, linewidth=2.5)
        ax.text(number, 2.42, f"{number}", color=X, **middle)
    ax.plot([mean, mean], [1.5, 2.15], color=INK, linewidth=1.5)
    ax.plot([rounded, rounded], [1.5, 1.85], color=VERMILION, linewidth=1.5, linestyle=":")
    ax.text(mean - 0.06, 1.45, f"mean {mean:g}", ha="right", va="center")
    ax.text(rounded + 0.06, 1.45, f"stored {rounded:g}", color=VERMILION, ha="left", va="center")
    ax.plot([row[0] - 0.55, row[-1] + 0.55], [0.7, 0.7], color=LINE, linewidth=1)
    for number in row:
        true, found = number - mean, number - rounded
        left = number + found - true
        ax.plot([number, number], [0.58, 0.82], color=CENTRED, linewidth=2.5)
        ax.plot([left, left], [0.58, 0.82], color=VERMILION, linewidth=2.5)
        ax.annotate("", (left, 0.7), (number, 0.7), arrowprops=ARROW)
        ax.text(number, 1.02, f"{true:g}".replace("-", "−"), **middle)
        ax.text(left, 0.36, f"{found:g}".replace("-", "−"), color=VERMILION, **middle)
    ax.text(row[-1] + 0.62, 1.02, "true", ha="left", va="center")
    ax.text(row[-1] + 0.62, 0.36, "found", color=VERMILION, ha="left", va="center")
    ax.set(xlim=(row[0] - 0.7, row[-1] + 1.15), ylim=(0.1, 2.65))
    ax.set_axis_off()
    return Picture([panel])


def errors_along_a_row(errors, expected):
    """Draw the error of x̂ at each place of one row, a dot for each number, before a grey noise.

    Args:
        errors: {way: tensor of shape (n,)}, the ways being those of `statistics.WAYS`.
        expected: tensor of shape (n,), the noise. Every third dot of it is drawn.
    """
    picture, ax = new_picture(height=2.6)
    n = len(expected)
    dots(ax, range(0, n, 3), expected[::3], edgecolor=LINE, linewidth=3)
    for way, off in errors.items():
        dots(ax, range(n), off, edgecolor=WAYS[way][0], linewidth=2)
    _along(ax, n, 0.003, 0.001)
    named = [(way, (n, off.mean().item()), WAYS[way][0]) for way, off in errors.items()]
    name_all(ax, [*named, ("noise", (n, 0.0018), SOFT)])
    return picture


def zoomed(errors, way, step, times):
    """Draw the errors of one row as lines, and beside them one way's dots on a finer axis.

    Args:
        errors: {way: tensor of shape (n,)}; each way but `way` has hardly any scatter.
        way: the one that is drawn again, as dots.
        step: the mark of the coarse axis; it ends at 1.6 times as much.
        times: how much finer the other axis is.
    """
    picture, (coarse, fine) = new_picture(columns=2, width=7.2, height=2.5)
    for each, off in errors.items():
        width = 2.5 if each == way else 1.5
        coarse.plot(range(0, len(off), 16), off[::16], color=WAYS[each][0], linewidth=width)
    n = len(off)
    _along(coarse, n, 1.6 * step, step)
    named = [(each, (n, off.mean().item()), WAYS[each][0]) for each, off in errors.items()]
    name_all(coarse, named)
    dots(fine, range(n), errors[way], edgecolor=WAYS[way][0], linewidth=2)
    _along(fine, n, 1.6 * step / times, step / times)
    fine.set_title(f"the same, {times:,} times finer", loc="left")
    return picture


def _along(ax, n, top, step):
    """Dress an axis of errors, from −top to top, along the n places of a row."""
    ax.axhline(0, color=LINE, linewidth=1, zorder=0)
    ax.set(xlim=(-12, n + 4), ylim=(-top, top), xticks=(0, n // 2, n))
    ax.set_xlabel(f"the {n} numbers of the row", color=SOFT)
    marks = [k * step for k in range(-9, 10) if abs(k * step) <= 1.001 * top]
    ax.set_yticks(marks, [_signed(mark) for mark in marks])
    ax.set_title("error of x̂", loc="left")
    ax.spines["bottom"].set_visible(False)
    ax.tick_params(axis="x", length=0)


def _signed(number):
    """Return 0.001 as +0.001, and -1e-07 as −1e-7."""
    text = f"{abs(number):.3g}".replace("e-0", "e-")
    return text if number == 0 else ("+" if number > 0 else "−") + text


def harms(table):
    """Draw a table of errors with a dot in each cell, on one scale, the worst of each column lit.

    Args:
        table: {(step, mean): error of x̂ when this step alone is rounded}, row by row.
    """
    steps, means = (list(dict.fromkeys(key[k] for key in table)) for k in (0, 1))
    words = {"the sums": "sums, one by one", "in a tree": "sums, in a tree"}
    panel = new_panel(4.5, 0.28 * (len(steps) + 3), layout=None)
    decades = {0.001: "", 0.01: "0.01", 0.1: "", 1: "1"}  # for four labels there is no room
    for column, mean in enumerate(means):
        ax = panel.add_axes((0.27 + 0.38 * column, 0, 0.22, 1))
        worst = max(table[step, mean] for step in steps)
        for mark, label in decades.items():
            ax.plot([mark, mark], [-0.5, len(steps) - 0.5], color=LINE, linewidth=1)
            ax.text(mark, len(steps) - 0.1, label, color=SOFT, ha="center", va="center")
        for line, step in enumerate(steps):
            size = table[step, mean]
            colour, heavy = (VERMILION, "bold") if size == worst else (INK, "normal")
            ax.plot(size, line, "o", color=colour, markersize=6)
            number = f"{size:.3f}" if size >= 0.001 else f"{size:.1g}"
            ax.text(15, line, number, va="center", weight=heavy)
            if not column:
                ax.text(7e-5, line, words.get(step, step), ha="right", va="center")
        ax.text(0.001, -0.95, f"mean {mean}", color=SOFT, va="center")
        ax.set(xscale="log", xlim=(1.5e-4, 10), ylim=(len(steps) + 0.4, -2.2))
        ax.set_axis_off()
    panel.text(0, 1, "largest error of x̂, if one step alone is rounded", va="top")
    return Picture([panel])
