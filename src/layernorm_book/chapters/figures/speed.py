"""How long do versions of the layer take beside a copy, and how do many threads add up one row?"""

import numpy as np
from matplotlib.patches import Rectangle

from layernorm_book.chapters.figures.style import (
    BLUE,
    GREEN,
    INK,
    LINE,
    ORANGE,
    PURPLE,
    SKY,
    SOFT,
    VERMILION,
    name,
    name_all,
    new_picture,
)

LOOKS = tuple(zip((SOFT, VERMILION, ORANGE, SKY, BLUE, GREEN, PURPLE), "oosD^vP", strict=True))


def ladder(times, copies, fresh):
    """Draw each version's time in copies, and the copies that it was counted to move.

    Args:
        times: a `Times` with memory ready, whose medians and quartiles are drawn.
        copies: {name: copies counted}. A version that is not in it gets no mark.
        fresh: a `Times` of the same versions with new memory, whose medians are drawn.
    """
    picture, ax = new_picture(height=1.1 + 0.38 * len(times.seconds))
    names = list(times.seconds)[::-1]
    dot = {"marker": "o", "color": BLUE, "linestyle": "", "markersize": 6}
    upright = {"marker": "|", "color": INK, "linestyle": "", "markersize": 14}
    for level, version in enumerate(names):
        median, low, high = times.ratio(version)
        ax.plot([low, high], [level, level], color=BLUE, linewidth=5, alpha=0.45)
        ax.plot(fresh.ratio(version)[0], level, fillstyle="none", **dot)
        ax.plot(median, level, **dot)
        if version in copies:
            ax.plot(copies[version], level, markeredgewidth=2, **upright)
    ax.set(xscale="log", yticks=range(len(names)), xlabel="times as long as a copy")
    ax.set_yticks(range(len(names)), names)
    ax.tick_params(axis="y", length=0)
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    ax.xaxis.set_minor_formatter("")
    ax.plot([], [], markeredgewidth=2, label="counted", **upright)
    ax.plot([], [], label="measured", **dot)
    ax.plot([], [], fillstyle="none", label="with new memory", **dot)
    ax.set_title(" ")  # room for the key
    where = {"loc": "lower left", "bbox_to_anchor": (0, 1), "handlelength": 1}
    key = ax.legend(ncols=3, frameon=False, columnspacing=1.2, borderaxespad=0, **where)
    key.set_in_layout(False)
    return picture


def sizes(measured, n):
    """Draw what one number costs each version in its best round, and up to the median one.

    Args:
        measured: {rows: Times}, of the same versions.
        n: how many numbers a row has.
    """
    picture, ax = new_picture(height=3.4)
    rows, ends = list(measured), []
    for (colour, mark), version in zip(LOOKS, measured[rows[0]].seconds, strict=False):
        seconds = [np.percentile(measured[r].seconds[version], (0, 50)) for r in rows]
        best, median = (np.array(seconds) / (n * np.array(rows)[:, None]) * 1e9).T
        ax.fill_between(rows, best, median, color=colour, alpha=0.2, linewidth=0)
        ax.plot(rows, best, marker=mark, color=colour, markersize=5)
        ends.append((version, (rows[-1], best[-1]), colour))
    ax.set(xscale="log", yscale="log", xlabel=f"rows of {n}")
    ax.set_xticks(rows, [f"{r}" for r in rows])
    ax.xaxis.set_minor_formatter("")
    ax.minorticks_off()
    name_all(ax, ends)
    ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    ax.set_title("nanoseconds for each number, in the best round", loc="left")
    return picture


def reduction(threads=8, warp=4):
    """Draw how the threads of a block add up one row: thread, warp, block.

    Args:
        threads: how many there are, each with two numbers; a GPU has up to 1,024 for a row.
        warp: how many of them work in step and read one another's registers; 32 on NVIDIA's.
    """
    picture, ax = new_picture(height=3.3)
    place = 2 * np.arange(threads) + 0.5  # of each thread
    level = 10.0
    for i in range(2 * threads):
        ax.add_patch(_box(i, level, 0.86, _of(i % threads, warp), 0.5))
        _line(ax, (i, level - 0.4), (place[i % threads], level - 1.6), LINE)
    said = ["the row, in memory", "a thread adds up its own", "a warp: lane reads from lane"]
    _say(ax, 2 * threads, level, said[0])
    alive, level = list(range(threads)), level - 2
    _say(ax, 2 * threads, level, said[1])
    while True:
        across = len(alive) * warp <= threads
        for t in alive:
            ax.add_patch(_box(place[t], level, 1.1, _of(t, warp) if len(alive) > 1 else ORANGE, 1))
        if len(alive) == 1:
            break
        drop = 2.2 if across else 1.5
        for a, b in zip(alive[::2], alive[1::2], strict=True):
            for t in (a, b):
                _line(ax, (place[t], level - 0.4), (place[a], level - drop + 0.4), SOFT)
        alive, level = alive[::2], level - drop
        if across:
            _say(ax, 2 * threads, level + 1.1, "the block: one of each warp,\nin shared memory")
        elif len(alive) * 2 == threads:
            _say(ax, 2 * threads, level - 0.75, said[2])
    _say(ax, 2 * threads, level, "μ and σ², for all threads")
    ax.set(xlim=(-0.6, 2 * threads + 13), ylim=(level - 0.6, 10.6))
    ax.set_axis_off()
    return picture


def _of(thread, warp):
    """Return the colour of a thread's warp."""
    return GREEN if thread // warp else BLUE


def _say(ax, x, y, text):
    name(ax, text, (x - 0.6, y), INK, (4, 0))


def _box(x, y, width, colour, alpha):
    """Return a square of the colour, its middle at (x, y)."""
    return Rectangle((x - width / 2, y - 0.4), width, 0.8, color=colour, alpha=alpha, linewidth=0)


def _line(ax, start, end, colour):
    ax.plot(*zip(start, end, strict=True), color=colour, linewidth=1, zorder=0)
