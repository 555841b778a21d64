"""Where does LayerNorm stand in a transformer, and what does that do to depth and to training?"""

import numpy as np
import torch.fx

from layernorm_book.chapters.figures.style import (
    BLUE,
    GROUND,
    INK,
    SOFT,
    VERMILION,
    name,
    new_picture,
)

LOOKS = {"post": (VERMILION, "s"), "pre": (BLUE, "o")}
"""Colour and marker of each place of the norm, told apart without colour too."""
TICKS = [one * ten for ten in (0.01, 0.1, 1, 10) for one in (1, 2, 5)]


class _Children(torch.fx.Tracer):
    """Records which of a block's own parts are called, and looks into none of them."""

    def is_leaf_module(self, m, module_qualified_name):
        return True


def wiring(blocks):
    """Draw what each block does, top to bottom, by running its own forward on a recording input.

    Args:
        blocks: dict, for each title a `torch.nn.Module` whose forward calls its parts and adds.
    """
    graphs = [list(_Children().trace(block).nodes) for block in blocks.values()]
    height = 0.55 * max(len(nodes) for nodes in graphs) + 0.6
    picture, axes = new_picture(1, len(graphs), width=3.0 * len(graphs), height=height)
    for ax, title, nodes in zip(np.atleast_1d(axes), blocks, graphs, strict=True):
        _draw_wiring(ax, nodes)
        ax.set_title(title)
    return picture


def _draw_wiring(ax, nodes):
    """Draw one traced block: sums take their older input from the side."""
    row = {node: position for position, node in enumerate(nodes)}
    for node, y in row.items():
        is_sum, is_norm = node.op == "call_function", "norm" in str(node.target)
        label = {"placeholder": "h enters", "output": "h leaves"}.get(node.op, str(node.target))
        framed = {"boxstyle": "circle" if is_sum else "round,pad=0.4", "facecolor": GROUND}
        inner = node.op in ("call_module", "call_function")
        framed["edgecolor"] = VERMILION if is_norm else INK if inner else GROUND
        framed["linewidth"] = 2 if is_norm else 1
        label = "+" if is_sum else label.replace("_", " ")
        ax.text(0, y, label, ha="center", va="center", color=INK, bbox=framed, zorder=3)
        for source in node.all_input_nodes:
            if row[source] == y - 1:
                arrow = {"arrowstyle": "-|>", "color": INK, "linewidth": 1.4}
                ax.annotate("", (0, y - 0.27), (0, y - 0.73), arrowprops=arrow, zorder=2)
            else:
                start, side, arrow = row[source] + 0.4, 0.55, {"arrowstyle": "-|>", "color": BLUE}
                ax.plot([0, side, side], [start, start, y], color=BLUE, linewidth=1.4)
                arrow |= {"linewidth": 1.4, "shrinkA": 0, "shrinkB": 0}
                ax.annotate("", (0.08, y), (side, y), arrowprops=arrow, zorder=2)
    ax.set(xlim=(-1, 1), ylim=(len(nodes) - 0.5, -0.5))
    ax.set_axis_off()


def curves(runs, level, window=8):
    """Draw learning curves, and the loss that character frequencies alone give.

    Args:
        runs: dict, for "post" and "pre" the loss of each step.
        level: the loss to draw as a horizontal line.
        window: steps that are averaged for one point.
    """
    picture, ax = new_picture(height=2.7)
    for place, losses in runs.items():
        colour, _ = LOOKS[place]
        smooth = np.convolve(losses, np.ones(window) / window, mode="valid")
        steps = np.arange(len(losses))[window - 1 :]
        ax.plot(steps, smooth, color=colour, linewidth=1.8)
        name(ax, f"{place}-LN", (steps[-1], smooth[-1]), colour)
    ax.axhline(level, color=SOFT, linewidth=1, linestyle="--")
    name(ax, "character frequencies", (0.55 * len(losses), level), SOFT, (0, -12), ha="left")
    ax.set(xlabel="step", ylabel="loss, nats per character", xlim=(0, 1.17 * len(losses)))
    return picture


def by_block(panels):
    """Draw quantities block by block, each in a panel of its own, a line for each seed.

    Args:
        panels: dict, for each title a dict, for "post" and "pre" an array of (seeds, blocks).
    """
    picture, axes = new_picture(1, len(panels), width=3.5 * len(panels), height=2.8)
    for ax, (title, places) in zip(np.atleast_1d(axes), panels.items(), strict=True):
        for place, values in places.items():
            colour, marker = LOOKS[place]
            block = np.arange(1, values.shape[1] + 1)
            style = {"color": colour, "linewidth": 1.2, "marker": marker, "markevery": 8}
            ax.plot(block, values.T, **style, markersize=4)
            end = (block[-1], np.exp(np.log(values[:, -1]).mean()))
            name(ax, f"{place}-LN", end, colour)
        ax.set(yscale="log", xlabel="block", title=title, xlim=(0, 1.28 * block[-1]))
        ax.set_xticks([1, 12, 24, 36, 48])
        least, most = ax.get_ylim()
        ticks = [v for v in TICKS if least <= v <= most]
        ax.set_yticks(ticks, [f"{v:g}" for v in ticks])
        ax.minorticks_off()
    return picture
