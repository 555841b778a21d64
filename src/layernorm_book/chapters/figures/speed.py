"""How long do versions of the layer take beside a copy, and how do many threads add up one row?"""

import numpy as np

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
    X_HAT,
    X,
    name,
    name_all,
    new_picture,
)

LOOKS = tuple(zip((SOFT, VERMILION, ORANGE, SKY, BLUE, GREEN, PURPLE), "oosD^vP", strict=True))


def ladder(times, passes):
    """Draw each version's time in copies, and what its passes let expect.

    Args:
        times: a `Times`, whose medians and quartiles are drawn.
        passes: {name: passes over memory}; a copy has 2. A version without them gets no mark.
    """
    picture, ax = new_picture(height=0.7 + 0.33 * len(times.seconds))
    names = list(times.seconds)[::-1]
    for level, version in enumerate(names):
        median, low, high = times.ratio(version)
        ax.plot([low, high], [level, level], color=BLUE, linewidth=5, alpha=0.45)
        ax.plot(median, level, "o", color=BLUE, markersize=6)
        if version in passes:
            ax.plot(passes[version] / 2, level, "|", color=INK, markersize=14, markeredgewidth=2)
    ax.axvline(1, color=SOFT, linewidth=1, linestyle=":")
    ax.set(xscale="log", yticks=range(len(names)), xlabel="times as long as a copy")
    ax.set_yticks(range(len(names)), names)
    ax.tick_params(axis="y", length=0)
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    ax.xaxis.set_minor_formatter("")
    ax.set_title("● measured, its bar half of the rounds   | by its passes", loc="left", fontsize=10)
    return picture


def sizes(measured, n):
    """Draw what one number costs each version, for arrays of different size.

    Args:
        measured: {rows: Times}, of the same versions.
        n: how many numbers a row has.
    """
    picture, ax = new_picture(height=3.4)
    rows, ends = list(measured), []
    for (colour, mark), version in zip(LOOKS, measured[rows[0]].seconds, strict=False):
        seconds = [np.percentile(measured[r].seconds[version], (25, 50, 75)) for r in rows]
        low, median, high = (np.array(seconds) / (n * np.array(rows)[:, None]) * 1e9).T
        ax.fill_between(rows, low, high, color=colour, alpha=0.2, linewidth=0)
        ax.plot(rows, median, marker=mark, color=colour, markersize=5)
        ends.append((version, (rows[-1], median[-1]), colour))
    ax.set(xscale="log", yscale="log", xlabel=f"rows of {n}")
    ax.set_xticks(rows, [f"{r}" for r in rows])
    ax.xaxis.set_minor_formatter("")
    ax.minorticks_off()
    name_all(ax, ends)
    ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    ax.set_title("nanoseconds for each number", loc="left")
    return picture


def reduction(threads=8, warp=4, steps=2):
    """Draw how the threads of a block add up one row: thread, warp, block.

    Args:
        threads: how many there are; a GPU has up to 1,024 for a row.
        warp: how many of them work in step and read one another's registers; 32 on NVIDIA's.
        steps: how many numbers of the row each thread takes.
    """
    picture, ax = new_picture(height=3.6)
    width = threads * steps
    place = (np.arange(threads) + 0.5) * steps - 0.5  # of each thread's register
    levels = iter(np.arange(10, 0, -1.0))
    y = next(levels)
    for i in range(width):
        colour = GREEN if i % threads // warp else BLUE
        ax.add_patch(_box(i, y, 0.86, colour, 0.55))
    ax.annotate("the row, in memory", (0, y + 0.75), color=INK)
    below = next(levels) - 0.6
    for t in range(threads):
        colour = GREEN if t // warp else BLUE
        for k in range(steps):
            _line(ax, (t + k * threads, y - 0.4), (place[t], below + 0.4), LINE)
        ax.add_patch(_box(place[t], below, 1.1, colour, 1))
    ax.annotate("each thread: its numbers, in a register", (0, below - 1.0), color=INK)
    alive, y = list(range(threads)), below
    next(levels)
    while len(alive) > 1:
        y, below = next(levels) + 0.1, y
        half = [alive[k : k + 2] for k in range(0, len(alive), 2)]
        across = half[0][0] // warp != half[0][1] // warp
        y = y - 0.9 if across else y
        for a, b in half:
            colour = GREEN if a // warp else BLUE
            colour = X_HAT if across else colour
            for t in (a, b):
                _line(ax, (place[t], below - 0.4), (place[a], y + 0.4), SOFT)
            ax.add_patch(_box(place[a], y, 1.1, ORANGE if across else colour, 1))
        if across:
            ax.annotate("the block: one for each warp,\nin shared memory", (place[warp] - 1, y - 0.2), color=INK)
        elif len(alive) == threads:
            ax.annotate("a warp: from lane to lane", (place[warp] + 3.2, y - 1.3), color=INK)
        alive = [a for a, _ in half]
    ax.annotate("μ and σ², read by all", (place[0] + 1.1, y - 1.5), color=INK)
    ax.set(xlim=(-1, width), ylim=(y - 2, 11.2))
    ax.set_axis_off()
    return picture


def _box(x, y, width, colour, alpha):
    """Return a square of the colour, its middle at (x, y)."""
    from matplotlib.patches import Rectangle

    return Rectangle((x - width / 2, y - 0.4), width, 0.8, color=colour, alpha=alpha, linewidth=0)


def _line(ax, start, end, colour):
    ax.plot(*zip(start, end, strict=True), color=colour, linewidth=1, zorder=0)
