"""Where does LayerNorm stand in a transformer, and what does that do to depth and to training?"""

import numpy as np
import torch
import torch.fx

from layernorm_book.chapters.figures.style import (
    BLUE,
    GREEN,
    GROUND,
    INK,
    LINE,
    SOFT,
    VERMILION,
    name,
    name_all,
    new_picture,
    power_of_ten,
)
from layernorm_book.chapters.placement import Sublayer
from layernorm_book.widgets.collapse import apart

LOOKS = {"post": (VERMILION, "s"), "pre": (BLUE, "o")}
"""Colour and marker of each place of the norm, told apart without colour too."""
WORDS = {"LayerNorm": "norm", "Attention": "attention", "FeedForward": "feed-forward"}
ONE = 1e-6  # tokens whose 1 − cosine is less are one
SIZES = {0.25: ("¼", BLUE, "o"), 2: ("2", VERMILION, "s")}
ENDS = ("h enters", "h leaves")


class _Parts(torch.fx.Tracer):
    """Records which parts a block's sublayers call, and looks into none of those parts."""

    def is_leaf_module(self, m, module_qualified_name):
        return not isinstance(m, (torch.nn.Sequential, Sublayer))


def wiring(blocks):
    """Draw what each block does, top to bottom, by running its own forward on a recording input.

    Args:
        blocks: dict, for each title a `torch.nn.Sequential` of sublayers that call their parts
            and add.
    """
    graphs = [list(_Parts().trace(block).nodes) for block in blocks.values()]
    height = 0.46 * max(len(nodes) for nodes in graphs) + 0.3
    picture, axes = new_picture(1, len(graphs), width=2.6 * len(graphs), height=height)
    for ax, (title, block), nodes in zip(np.atleast_1d(axes), blocks.items(), graphs, strict=True):
        _draw_wiring(ax, nodes, block)
        ax.set_title(title)
    return picture


def _draw_wiring(ax, nodes, block):
    """Draw one traced block: the stream straight down at the left, branches beside it."""
    row = {node: position for position, node in enumerate(nodes)}
    stream, node = [], nodes[-1]
    while True:  # back along the older input of each sum
        stream.append(node)
        if not node.all_input_nodes:
            break
        node = min(node.all_input_nodes, key=row.get)
    line = {"color": BLUE, "linewidth": 2.4, "zorder": 1}
    ax.plot([0, 0], [0, len(nodes) - 1], **line)
    arrow = {"arrowstyle": "-|>", "color": INK, "linewidth": 1.3, "shrinkA": 0, "shrinkB": 0}
    for node, y in row.items():
        x = 0 if node in stream else 1
        is_sum = node.op == "call_function"
        label = {"placeholder": "h enters", "output": "h leaves"}.get(node.op, "+")
        if node.op == "call_module":
            part = block.get_submodule(node.target)
            label = WORDS[type(part).__name__]
        is_norm = label == "norm"
        framed = {"boxstyle": "circle" if is_sum else "round,pad=0.4", "facecolor": GROUND}
        framed["edgecolor"] = VERMILION if is_norm else INK if label not in ENDS else GROUND
        framed["linewidth"] = 2 if is_norm else 1
        ax.text(x, y, label, ha="center", va="center", color=INK, bbox=framed, zorder=3)
        above = y - 0.75 if row.get(node.prev) == y - 1 and node.prev not in stream else y - 0.5
        if x and above == y - 0.5:
            ax.plot([0, 1], [above, above], color=INK, linewidth=1.3, zorder=1)
        if x:
            ax.annotate("", (1, y - 0.28), (1, above), arrowprops=arrow, zorder=2)
        if is_sum:
            ax.plot([1, 1], [y - 0.7, y], color=INK, linewidth=1.3, zorder=1)
            ax.annotate("", (0.13, y), (1, y), arrowprops=arrow, zorder=2)
    ax.set(xlim=(-0.55, 1.6), ylim=(len(nodes) - 0.6, -0.4))
    ax.set_axis_off()


def curves(runs, levels, window=8):
    """Draw learning curves, and the losses of models that only count.

    Args:
        runs: dict, for "post" and "pre" the loss of each step.
        levels: dict, for each name the loss to draw as a horizontal line.
        window: steps that are averaged for one point.
    """
    picture, ax = new_picture(height=2.9)
    for place, losses in runs.items():
        colour, _ = LOOKS[place]
        smooth = np.convolve(losses, np.ones(window) / window, mode="valid")
        steps = np.arange(len(losses))[window - 1 :]
        some = slice((len(steps) - 1) % 3, None, 3)  # as good a line of a third of the points
        ax.plot(steps[some], smooth[some], color=colour, linewidth=1.8)
        name(ax, f"{place}-LN", (steps[-1], smooth[-1]), colour)
    for what, level in levels.items():
        ax.plot([0, len(losses)], [level, level], color=SOFT, linewidth=1, linestyle="--")
        name(ax, what, (0.45 * len(losses), level), SOFT, (0, -14), ha="left")
    ax.set(xlabel="step", ylabel=f"loss, mean of {window} steps", xlim=(0, 1.17 * len(losses)))
    ax.set_ylim(bottom=min(levels.values()) - 0.3)
    return picture


def rows(runs, level, words):
    """Draw the loss at the end of several runs, a row for each place of the norm, in their order.

    Runs whose tokens are one have square marks. On the right stands how far apart the tokens are.

    Args:
        runs: dict, for each name two arrays of shape (1,), as `ends` gives them for one run: the
            loss, and 1 − cosine.
        level: the loss to draw as a vertical line.
        words: dict, for each name what stands below it.
    """
    picture, ax = new_picture(height=0.42 * len(runs) + 0.95)
    side = {"xycoords": ax.get_yaxis_transform()}
    for y, (key, (losses, distances)) in enumerate(runs.items()):
        stuck = distances.max() < ONE
        colour, marker = LOOKS["post" if stuck else "pre"]
        ax.plot(losses, [y] * len(losses), marker, color=colour, markersize=6, markeredgewidth=0)
        name(ax, key, (0, y), colour if stuck else INK, (-8, 6), **side)
        name(ax, words[key], (0, y), SOFT, (-8, -6), **side)
        name(ax, in_words(distances.min()), (1, y), colour, (10, 0), **side)
    ax.axvline(level, color=SOFT, linewidth=1, linestyle="--", zorder=0)
    top = {"annotation_clip": False}
    name(ax, "1 − cosine", (1, -0.95), SOFT, (10, 0), **side, **top)
    name(ax, "character frequencies", (level, -0.95), SOFT, (0, 0), ha="right", **top)
    ax.set(xlabel="loss after 60 steps", ylim=(len(runs) - 0.5, -0.6), yticks=[])
    ax.spines["left"].set_visible(False)
    return picture


def in_words(size):
    """Return a small size in words: 0.4, 0.003, 6 · 10⁻¹³."""
    if size >= 0.001:
        return f"{size:.1g}"
    digit, power = f"{max(size, 1e-99):.0e}".split("e")
    return f"{digit} · {power_of_ten(10.0 ** int(power))}"


def divided(steps, runs):
    """Draw s² step by step, and beside it how far apart tokens are, measured and by the formula.

    Args:
        steps: the steps that were looked at, 0 before the first: (frames,).
        runs: dict, for "constant rate" and "warm-up" two arrays: s² of each sublayer, (frames,
            sublayers), and the 1 − cosine that was measured, (frames,).
    """
    picture, (left, right) = new_picture(1, 2, width=6.2, height=2.8)
    at = np.array(steps[1:])
    for (shared, measured), colour, marker in zip(
        runs.values(), (VERMILION, GREEN), "so", strict=True
    ):
        look = {"color": colour, "marker": marker, "markersize": 4}
        left.plot(at, shared.mean(1)[1:], **look, linewidth=1.8)
        right.plot(at, measured[1:], **look, linewidth=0)
        right.plot(at, np.prod(1 / (1 + shared), 1)[1:], "--", color=colour, linewidth=1.4)
    (fast, far), (slow, near) = runs.values()
    five, twelve, twenty = (list(steps).index(step) for step in (5, 12, 20))
    constant, warm = runs
    name(left, constant, (5, fast.mean(1)[five]), VERMILION, (8, -7))
    name(left, warm, (1, slow.mean(1)[1]), GREEN, (-3, 11), ha="left")
    name(right, constant, (12, far[twelve]), VERMILION, (-8, -8), ha="right")
    name(right, warm, (5, near[five]), GREEN, (-2, -15), ha="center")
    name(right, "dashed: formula", (20, np.prod(1 / (1 + fast), 1)[twenty]), SOFT, (6, 10))
    left.set(title="mean s² of 12 sublayers", yscale="log")
    right.set(title="1 − cosine in the last block", yscale="log", ylim=(1e-13, 5))
    right.set_yticks([1, 1e-3, 1e-6, 1e-9, 1e-12])
    for ax in (left, right):
        ax.set(xscale="log", xlabel="step")
        ax.set_xticks([1, 10, 100], ["1", "10", "100"])
        ax.minorticks_off()
    return picture


def parts(s2, sublayers):
    """Draw what two tokens are made of: a part of their own, of variance 1 at first, and a shared.

    Each sublayer adds a shared part of variance `s2`; post-LN then divides by the variance.
    """
    picture, axes = new_picture(1, 2, width=6.6, height=2.9)
    for ax, divides in zip(axes, (True, False), strict=True):
        own, shared, bars = 1.0, 0.0, [("start", 1.0, 0.0)]
        for _ in range(sublayers):
            shared += s2
            bars.append(("+ c", own, shared))
            if divides:
                own, shared = own / (own + shared), shared / (own + shared)
                bars.append((f"÷ {(1 + s2) ** 0.5:g}", own, shared))
        words, below, above = zip(*bars, strict=True)
        at = np.arange(len(bars))
        ax.bar(at, above, 0.62, bottom=below, color=LINE)
        ax.bar(at, below, 0.62, color=GREEN)
        for x, (_, own, shared) in enumerate(bars):
            share = (own + shared) / own
            text = "1" if share == 1 else f"1/{share:.0f}"
            name(ax, text, (x, own + shared), INK, (0, 8), ha="center")
        ax.set_xticks(at, words)
        ax.set(ylim=(0, 1.15 * (1 + s2 * sublayers)), title=f"{'post' if divides else 'pre'}-LN")
        ax.tick_params(axis="x", length=0)
    left, _ = axes
    left.set_ylabel("variance of a token")
    top = ax.get_ylim()[1]
    for text, colour, height in (("shared part", SOFT, 0.82), ("its own part", GREEN, 0.7)):
        name(left, text, (-0.4, top * height), colour, (0.1, 0), ha="left")
    return picture


def by_step(places, recorded, steps):
    """Draw the gradient of each block, a panel for each place and a line for each step.

    Args:
        places: dict, for "post" and "pre" an array of shape (frames, blocks).
        recorded: the step of each frame.
        steps: three of them, to draw.
    """
    picture, axes = new_picture(1, len(places), width=3.5 * len(places), height=2.8)
    for ax, (place, values) in zip(np.atleast_1d(axes), places.items(), strict=True):
        colour, marker = LOOKS[place]
        ends, block = [], np.arange(1, values.shape[1] + 1)
        for step, dash in zip(steps, ("-", "--", ":"), strict=True):
            sizes = values[list(recorded).index(step)]
            ax.plot(block, sizes, dash, color=colour, marker=marker, markersize=4, linewidth=1.4)
            ends.append((f"step {step}", (block[-1], sizes[-1]), colour))
        ax.set(yscale="log", xlabel="block", title=f"gradient in {place}-LN", ylim=(5e-8, 5))
        ax.set_xlim(0.6, 1.35 * block[-1])
        name_all(ax, ends)
        ax.set_xticks(block)
    return picture


def by_size(runs, level):
    """Draw the loss, and how far apart tokens are, step by step for branches of fixed sizes.

    Args:
        runs: dict, for each (size, whether the shared part is in) a `Recording`.
        level: the loss to draw as a horizontal line.
    """
    picture, (left, right) = new_picture(1, 2, width=6.6, height=3.1)
    beside = {(0.25, True): (0, (2, -14)), (2, True): (-1, (7, 0)), (2, False): (-1, (7, 2))}
    for (size, shared), seen in runs.items():
        fraction, colour, marker = SIZES[size]
        look = {"color": colour, "marker": marker, "markersize": 4, "linewidth": 1.7}
        look |= {} if shared else {"linestyle": (0, (3, 1.6)), "markerfacecolor": GROUND}
        left.plot(seen.steps, seen.losses, **look)
        far = apart(seen.cosines)[:, -1]  # (frames,)
        right.plot(seen.steps, far, **look)
        if shared:
            said = f"size {fraction}"
            name(left, said, (seen.steps[-1], seen.losses[-1]), colour, (7, 2))
        if (size, shared) in beside:  # not among other lines
            at, offset = beside[size, shared]
            said = f"size {fraction}" if shared else f"size {fraction}, out"
            name(right, said, (seen.steps[at], far[at]), colour, offset)
    left.plot([0, 120], [level, level], ":", color=SOFT, linewidth=1, zorder=0)
    name(left, "character frequencies", (62, level), SOFT, (0, -12), ha="left")
    top = max(max(seen.losses) for seen in runs.values()) + 0.2
    name(left, "dashed: shared part out", (62, top - 0.3), SOFT, (0.1, 0))
    left.set(title="loss", ylim=(level - 0.95, top))
    right.set(title="1 − cosine in the last block", yscale="log", ylim=(1e-10, 8))
    right.set_yticks([1, 1e-3, 1e-6, 1e-9])
    for ax in (left, right):
        ax.set(xlabel="step", xlim=(0, 165))
        ax.set_xticks([0, 60, 120])
        ax.minorticks_off()
    return picture
