"""What are trained γ by layer, what does a channel cost, and what is it good for?"""

import numpy as np

from layernorm_book.chapters.figures.style import (
    BLUE,
    GREEN,
    INK,
    PURPLE,
    SOFT,
    VERMILION,
    dots,
    name,
    name_all,
    new_picture,
)


def gammas(weight, outliers, traced, below=("223",)):
    """Draw for each layer where its γ lie and its outliers, and follow a few channels.

    An outlier is a dot, and on the line of a channel that is followed it has a ring.

    Args:
        weight: array of shape (n, layers), the layers as in `chapters.trained.NAMES`.
        outliers: array of bool of that shape, true for the γ to mark.
        traced: list of up to four channels to follow.
        below: those whose name stands below their peak, where another line runs above.
    """
    picture, panels = new_picture(1, 2, width=7.0, height=3.3)
    rest = outliers.copy()
    rest[traced] = False
    sides = (
        ("γ after attention", slice(1, None, 2), 0),
        ("γ of emb, then after feed-forward", slice(0, None, 2), -1),  # emb follows no block
    )
    for ax, (title, layers, first) in zip(panels, sides, strict=True):
        part = weight[:, layers]  # (n, 6) or (n, 7)
        at = first + np.arange(part.shape[1])
        low, high = np.percentile(part, [1, 99], axis=0)  # (layers,) each
        ax.vlines(at, low, high, color=SOFT, linewidth=11, alpha=0.3)
        channel, layer = np.nonzero(rest[:, layers])
        dots(ax, at[layer], part[channel, layer], edgecolor=INK, linewidth=4)
        named = []
        marks = zip(traced, (VERMILION, BLUE, GREEN, PURPLE), "osD^", strict=False)
        for channel, colour, marker in marks:
            for stretch in (slice(0, -first), slice(-first, None)):  # no line joins emb to a block
                y = part[channel, stretch]
                ax.plot(at[stretch], y, color=colour, marker=marker, markersize=4.5)
            out = outliers[channel, layers]
            ax.plot(at[out], part[channel, out], "o", color=INK, markersize=9, fillstyle="none")
            # After attention the peaks are apart. After feed-forward parts, lines meet at the end.
            peak = int(part[channel].argmax())
            if first:
                others = np.delete(traced, traced.index(channel))
                peak = int(np.abs(part[others] - part[channel]).min(0).argmax())
            named.append((f"{channel}", (int(at[peak]), float(part[channel, peak])), colour))
        ax.set(xlim=(at[0] - 0.5, at[-1] + (1.1 if first else 0.6)), ylim=(-0.1, 1.8))
        ax.plot([at[0] - 0.5, at[-1] + 0.3], [1, 1], color=INK, linewidth=1, linestyle="--")
        for text, point, colour in named:
            under = (0, -14 if first or text in below else 12)
            name(ax, text, point, colour, (8, 0) if point[0] == at[-1] else under)
        name(ax, "fresh", (at[0], 1), INK, (0, 7))
        ax.set_xticks(at, ["emb" if block < 0 else f"{block}" for block in at])
        ax.set_title(title, loc="left")
        ax.set_xlabel("block")
    return picture


def attention(shares, even):
    """Draw which share of all attention goes to [CLS], block by block.

    Args:
        shares: dict, "untouched" and "without 99", each the shares by block.
        even: the share that it would get if all tokens got the same.
    """
    picture, ax = new_picture(height=2.4)
    blocks = range(len(shares["untouched"]))
    end = len(blocks) - 1
    ax.plot([0, end], [even, even], color=SOFT, linewidth=1, linestyle="--")
    named = [("an even share", (end, even), SOFT)]
    looks = (("untouched", "as trained", VERMILION), ("without 99", "without 99", BLUE))
    for key, words, colour in looks:
        ax.plot(blocks, shares[key], "o-", color=colour, markersize=4.5)
        named.append((words, (end, shares[key][-1]), colour))
    name_all(ax, named)
    ax.set(xlim=(-0.3, end + 1.9), ylim=(0, 0.7))
    ax.set_xticks(blocks)
    ax.set_yticks([0, 0.25, 0.5], ["0", "25%", "50%"])
    ax.set_title("attention that goes to [CLS]", loc="left")
    ax.set_xlabel("block")
    return picture


def marks(limit, low, high):
    """Draw what each LayerNorm gives in one channel of [CLS], and what it would if that filled it.

    Args:
        limit: √(n − 1) · γ + β by layer, array of shape (layers,) as in `chapters.trained.NAMES`.
        low, high: lists of the least and the largest number that the model gives, by layer.
    """
    picture, ax = new_picture(height=3.0)
    sides = (
        ("after attention", slice(1, None, 2), 0, BLUE),
        ("after feed-forward", slice(0, None, 2), -1, VERMILION),
    )
    for words, layers, first, colour in sides:
        at = first + np.arange(len(limit[layers]))
        ax.plot(at[-first:], limit[layers][-first:], color=SOFT, linewidth=1.5)
        if first:  # emb follows no block: a dash of its own
            ax.plot(at[0], limit[0], "_", color=SOFT, markersize=16)
        colours = [INK if block < 0 else colour for block in at]
        ax.vlines(at, low[layers], high[layers], color=colours, linewidth=3)
        middle = (np.array(low[layers]) + high[layers]) / 2
        ax.scatter(at, middle, 25, c=colours, zorder=3)
        name(ax, words, (at[-1], middle[-1]), colour, (8, 0))
    name(ax, "lines: √383 · γ + β", (1, limit[3]), SOFT, (0, 10))
    ax.set(xlim=(-1.3, 8.0), ylim=(0, 36))
    ax.set_xticks(range(-1, 6), ["emb", *map(str, range(6))])
    ax.set_yticks([0, 10, 20, 30])
    ax.set_title("channel 99 of [CLS] in 24 sentences", loc="left")
    ax.set_xlabel("block")
    return picture


def left_over(cosines):
    """Draw which cosines a channel leaves, silenced in different rows, as bars that begin at 1.

    Args:
        cosines: dict from the rows in words to (worst, median).
    """
    picture, ax = new_picture(height=1.9)
    for down, (words, (worst, median)) in enumerate(cosines.items()):
        ax.barh(down, 1 - worst, 0.62, worst, color=VERMILION, alpha=0.35)
        ax.barh(down, 1 - median, 0.62, median, color=VERMILION)
        name(ax, f"{worst:.2f}", (worst, down), INK, (-4, 0))
        at, offset = (median, (-4, 0)) if median - worst > 0.1 else (1, (5, 0))
        name(ax, f"{median:.2f}", (at, down), INK, offset)
        ax.text(-0.03, down, words, color=INK, ha="right", va="center")
    ax.spines["left"].set_visible(False)
    ax.set(xlim=(-0.02, 1.12), ylim=(len(cosines) - 0.5, -0.6))
    ax.set_title("cosine that is left: the median, and pale the worst", loc="left")
    ax.set_yticks([])
    ax.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    return picture


def costs(distance, cost, also, beside=(157, 249)):
    """Draw what silencing each channel costs by how far its γ strays, and name the outliers.

    Args:
        distance: of each channel's γ from the layer's mean, in standard deviations: array (n,).
        cost: 1 − the worst cosine, array (n,).
        also: list of channels to name besides.
        beside: those whose names stand at the left, where there is room.
    """
    picture, ax = new_picture(height=3.4)
    dots(ax, cost, np.round(distance, 1), edgecolor=SOFT, alpha=0.6, linewidth=4)
    for channel in [*np.flatnonzero(distance > 5), *also]:
        colour = VERMILION if distance[channel] > 5 else BLUE
        at = cost[channel], distance[channel]
        ax.plot(*at, color=colour, marker="o", markersize=6)
        name(ax, f"{channel}", at, colour, (-6 if channel in beside else 6, 0))
    ax.axhline(5, color=INK, linewidth=1, linestyle="--")
    name(ax, "outliers", (1.1, 5), VERMILION, (-1, 7))
    name(ax, "the other channels", (0.06, 1.2), SOFT, (6, 0))
    ax.set(xscale="log", xlim=(0.003, 1.2), ylim=(0, 12))
    ax.set_xticks([0.01, 0.1, 1], ["0.01", "0.1", "1"])
    ax.minorticks_off()
    ax.set_title("how far γ strays, in standard deviations", loc="left")
    ax.set_xlabel("cost of silencing: 1 − the worst cosine")
    return picture


def shrinkage(sigma):
    """Draw how much of x_hat is left, by σ, for three ε, and where a real encoder's σ lie.

    Args:
        sigma: dict, for each layer's name its smallest, median and largest σ.
    """
    picture, (upper, lower) = new_picture(2, 1, height=5.6, sharex=True, height_ratios=(1, 1.3))
    grid = np.logspace(-3, 1.3, 300)
    looks = ((1e-12, GREEN, "-"), (1e-5, BLUE, "--"), (1e-3, VERMILION, "-."))
    for (eps, colour, style), at in zip(looks, (2.0, 0.0012, 0.015), strict=True):
        upper.plot(grid, grid / np.sqrt(grid**2 + eps), color=colour, linestyle=style)
        label, level = f"ε = {eps:.0e}".replace("e-0", "e-"), at / np.sqrt(at**2 + eps)
        name(upper, label, (at, level), colour, (0, -9) if eps < 1e-6 else (5, 0))
    upper.set(ylim=(0, 1.05))
    upper.set_title("what is left of x̂: σ / √(σ² + ε)", loc="left")
    for position, (low, median, high) in enumerate(sigma.values()):
        colour = PURPLE if position == 0 else INK
        lower.plot([low, high], [position] * 2, color=colour, linewidth=2)
        lower.plot(median, position, color=colour, marker="o", markersize=5)
        for ax in (upper, lower) if position == 0 else ():
            ax.axvspan(low, high, color=PURPLE, alpha=0.15, linewidth=0)
    lower.set_yticks(range(len(sigma)), sigma)
    lower.invert_yaxis()
    lower.set(xscale="log", xlabel="σ of a row")
    return picture
