"""What do versions of the layer move and take, what do slots hold, how do threads add up a row?"""

import numpy as np
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from layernorm_book.chapters.figures.style import (
    BLUE,
    CENTRED,
    GREEN,
    INK,
    LINE,
    ORANGE,
    PURPLE,
    SKY,
    SOFT,
    VERMILION,
    X,
    name,
    name_all,
    new_picture,
)
from layernorm_book.chapters.timing import in_words

LOOKS = tuple(zip((SOFT, VERMILION, ORANGE, SKY, BLUE, GREEN, PURPLE), "oosD^vP", strict=True))


def ladder(times, copies):
    """Draw the copies that each version should move, and its measured time in copies.

    Args:
        times: a `Times`, whose medians are drawn.
        copies: {name: copies that must go through memory}. A version that is not in it gets no
            bar. The numbers stand in columns at the right.
    """
    names = sorted(times.seconds, key=lambda version: copies.get(version, 0))
    picture, ax = new_picture(height=1.1 + 0.4 * len(names))
    medians = {version: times.ratio(version)[0] for version in names}
    right = 1.1 * max(*medians.values(), *copies.values())
    columns = (
        (20, copies, "{:.2g}", "counted", SOFT),
        (68, medians, "{:.1f}", "measured", VERMILION),
    )
    for level, version in enumerate(names):
        ax.barh(level, copies.get(version, 0), height=0.62, color=SOFT, alpha=0.4)
        ax.plot(medians[version], level, marker="o", color=VERMILION, markersize=7)
        for away, values, form, _, colour in columns:
            text = form.format(values[version]) if version in values else ""
            name(ax, text, (right, level), colour, (away, 0), ha="center", weight="bold")
    for away, *_, words, colour in columns:
        name(ax, words, (right, len(names) - 0.4), colour, (away, 0), ha="center")
    ax.set(
        xlim=(0, right),
        ylim=(-0.55, len(names) - 0.15),
        xlabel="copies",
    )
    ax.set_yticks(range(len(names)), [in_words(version) for version in names])
    ax.tick_params(axis="y", length=0)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    return picture


def price(times, asked):
    """Draw how long versions take, in units, and say whether one of them takes longer than that.

    Args:
        times: a `Times`; bars are its medians, lines reach from quartile to quartile.
        asked: the version that the line above the bars tells about, timed or not.
    """
    names = sorted(times.seconds, key=lambda version: times.ratio(version)[0], reverse=True)
    picture, ax = new_picture(height=1.4 + 0.4 * len(names))
    for level, version in enumerate(names):
        median, low, high = times.ratio(version)
        colour = VERMILION if version == asked else SOFT
        ax.barh(level, median, height=0.62, color=colour, alpha=0.4)
        ax.plot([low, high], [level] * 2, color=colour, linewidth=2)
        name(ax, f"{median:.1f}", (max(median, high), level), colour, (6, 0), weight="bold")
    most = max(times.ratio(version)[2] for version in names)
    ax.set(xlim=(0, 1.15 * most), xlabel=f"times as long as {in_words(times.unit)}")
    ax.set_yticks(range(len(names)), [in_words(version) for version in names])
    ax.tick_params(axis="y", length=0)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    said = times.slower(asked).replace("? ", "?\n")  # on a phone one line would be too long
    ax.set_title(said, loc="left", weight="bold")
    return picture


def slots(row, block, masks=(True, False)):
    """Draw what the slots of a kernel hold, by its variables, with a mask on `centred` and without.

    Args:
        row: list of numbers, fewer than there are slots.
        block: how many slots there are.
        masks: a panel for each, with the mask or without; a title for each, if there are two.
    """
    picture, axes = new_picture(1, len(masks), width=6.4, height=2.8)
    mean = sum(row) / len(row)
    for ax, masked in zip(np.atleast_1d(axes), masks, strict=True):
        idle = 0.0 if masked else -mean
        centred = [value - mean for value in row] + [idle] * (block - len(row))
        loaded = [*row] + [0] * (block - len(row))
        squares = [value**2 for value in centred]
        for level, (words, held, colour) in enumerate(
            (("value", loaded, X), ("centred", centred, CENTRED), ("squared", squares, CENTRED))
        ):
            ax.text(-0.7, -level, words, ha="right", va="center")
            for slot, value in enumerate(held):
                _slot(ax, slot, -level, value, colour, slot < len(row), masked or not level)
        total = sum(squares)
        ends = SOFT if masked else VERMILION
        ax.text(-0.7, -3, "sum", ha="right", va="center")
        said = f"{total:g}, so σ² = {total:g}/{len(row)}"
        ax.text(-0.42, -3, said, color=INK if masked else VERMILION, va="center", weight="bold")
        ax.text(-0.7, 0.8, "slot i", color=SOFT, ha="right", va="center")
        for slot in range(block):
            ax.text(slot, 0.8, f"{slot}", color=SOFT, ha="center", va="center")
        ax.text(block - 1, 1.2, "idle", color=ends, ha="center", va="bottom")
        if len(masks) > 1:
            title = "with the mask" if masked else "without it"
            ax.text(-0.42, 2, title, weight="bold", va="center")
        else:  # the numbers of the comments in the kernel
            for level in range(4):
                ax.text(block - 0.3, -level, f"# {level + 1}", color=SOFT, va="center")
        wide, high = (block - 0.4, 2.4) if len(masks) > 1 else (block + 0.2, 1.7)
        ax.set(xlim=(-2.4, wide), ylim=(-3.45, high))
        ax.set_axis_off()
    return picture


def _slot(ax, slot, level, value, colour, busy, right):
    """Draw what one slot holds: filled where a number of the row is, hollow where none is."""
    edge = SOFT if right else VERMILION
    look = {"color": colour, "alpha": 0.3, "linewidth": 0}
    if not busy:
        look = {"facecolor": "none", "edgecolor": edge, "linewidth": 1.4, "linestyle": (0, (2, 2))}
    ax.add_patch(Rectangle((slot - 0.42, level - 0.38), 0.84, 0.76, **look))
    text = f"{value:g}".replace("-", "−")
    ink = INK if busy else edge
    ax.text(slot, level, text, color=ink, ha="center", va="center", weight="bold")


def hidden(measured):
    """Draw by how much a dropped mask makes x̂ too small, for every length of a row.

    Of BLOCK slots BLOCK − n are idle, and each adds μ² to the n squares: σ² becomes
    σ² + μ² (BLOCK − n) / n, where BLOCK is the next power of two.

    Args:
        measured: {n: share by which a kernel's x̂ was too small}, on rows with mean 1 and σ 1.
    """
    picture, ax = new_picture(height=3.3)
    for share, words, colour in (
        (1, "μ = σ", VERMILION),
        (0.5, "μ = σ/2", ORANGE),
        (0.25, "μ = σ/4", SKY),
    ):
        for block in (512, 1024, 2048):
            n = np.arange(block // 2 + 1, block + 1)
            lost = 100 - 100 / np.sqrt(1 + (block / n - 1) * share**2)
            ax.plot(n, lost, color=colour, linewidth=1.8)
            ax.plot([n[0]] * 2, [0, lost[0]], color=colour, linewidth=0.8, linestyle=(0, (1, 2)))
        where, offset = ((1060, lost[35]), (0, 9)) if share < 1 else ((1070, 28), (6, 0))
        name(ax, words, where, colour, offset, ha="left")
    for size, share in measured.items():
        found = share > 0.01
        look = {"markersize": 7, "color": INK if found else GREEN}
        ax.plot(size, 100 * share, marker="o", clip_on=False, zorder=3, **look)
        if found:
            name(ax, f"{size:,}", (size, 100 * share), INK, (7, 7), weight="bold")
    ax.set(xscale="log", xlim=(256, 2100), ylim=(0, 32), xlabel="n, the numbers in a row")
    ax.set_xticks([256, 512, 1024, 2048], ["256", "512", "1,024", "2,048"])
    ax.minorticks_off()
    ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}%")
    ax.set_title("x̂ too small by", loc="left")
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
        ends.append((in_words(version), (rows[-1], best[-1]), colour))
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
    said = ["the row, in memory", "a thread adds up its own", "a warp: thread reads from thread"]
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
