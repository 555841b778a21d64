"""Where does LayerNorm stand in a transformer, and what does that do to depth and to training?"""

import numpy as np
import torch.fx

from layernorm_book.chapters.figures.style import (
    BLUE,
    GREEN,
    GROUND,
    INK,
    SOFT,
    VERMILION,
    name,
    new_picture,
)

LOOKS = {"post": (VERMILION, "s"), "pre": (BLUE, "o"), "none": (GREEN, "^")}
"""Colour and marker of each place of the norm, told apart without colour too."""


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


def toy_stream(mean_squares):
    """Draw one token's mean square block by block, and the factor its last norm has for gradients.

    Args:
        mean_squares: dict, for "pre" and "post" the mean square of what the norm gets, by block.
    """
    picture, (left, right) = new_picture(1, 2, width=7.0, height=3.0)
    for place, values in mean_squares.items():
        colour, marker = LOOKS[place]
        block = np.arange(1, len(values) + 1)
        style = {"color": colour, "marker": marker, "markevery": 6}
        for ax, shown in ((left, values), (right, 1 / np.sqrt(values))):
            ax.plot(block, shown, **style)
            middle = len(block) // 2
            name(ax, f"{place}-LN", (block[middle], shown[middle]), colour, (-4, 13))
    left.set(xlabel="block", ylim=(0, None), title="mean square before the norm")
    right.set(xlabel="block", ylim=(0, 1.2), title="its gradient factor, 1/σ")
    return picture


def at_initialization(depths, growth, gradients, predicted):
    """Draw how large the stream is, and how large the last gradient, by depth.

    Args:
        depths: list of numbers of blocks.
        growth: array of shape (depths, seeds), pre-LN's mean square behind the last block.
        gradients: dict, for "post" and "pre" an array of shape (depths, seeds).
        predicted: dict, for the same names an array of shape (depths,).
    """
    picture, (left, right) = new_picture(1, 2, width=7.0, height=3.2)
    depths = np.asarray(depths)
    left.fill_between(depths, 1 + 0.32 * depths, 1 + 0.82 * depths, color=SOFT, alpha=0.2)
    left.plot(depths, growth, "o", color=BLUE, markersize=4)
    name(left, "predicted band", (48, 4.5), SOFT, (0, 0), ha="right", va="top")
    left.set_title("mean square of the pre-LN stream")
    for place, values in gradients.items():
        colour, marker = LOOKS[place]
        right.plot(depths, predicted[place], "--", color=colour, linewidth=1.2)
        right.plot(depths, values, marker, color=colour, markersize=4)
        above = 13 if place == "post" else -17
        end = (depths[-1], predicted[place][-1])
        name(right, f"{place}-LN", end, colour, (0, above), ha="right")
    ticks = [1, 2, 5, 10]
    right.set(yscale="log", title="norm of the last gradient", ylim=(1, 14))
    right.set_yticks(ticks, [str(tick) for tick in ticks])
    for ax in (left, right):
        ax.set(xscale="log", xlabel="blocks, L")
        ax.set_xticks(depths, [str(depth) for depth in depths])
        ax.minorticks_off()
    left.set(yscale="log")
    left.set_yticks([1, 2, 5, 10, 20, 50], ["1", "2", "5", "10", "20", "50"])
    return picture


def curves(losses, levels, window=8):
    """Draw learning curves side by side, one panel for each place of the norm.

    Args:
        losses: dict, for "pre", "post", "none" an array of shape (seeds, steps).
        levels: dict, for each name a loss to draw as a horizontal line.
        window: steps that are averaged for one point.
    """
    picture, axes = new_picture(1, len(losses), width=6.8, height=2.9)
    for ax, (place, runs) in zip(axes, losses.items(), strict=True):
        steps = np.arange(runs.shape[1])[window - 1 :]
        for run in runs:
            smooth = np.convolve(run, np.ones(window) / window, mode="valid")
            ax.plot(steps, smooth, color=LOOKS[place][0], linewidth=1.2)
        for style, (level_name, level) in zip(("--", ":"), levels.items(), strict=False):
            ax.axhline(level, color=SOFT, linewidth=1, linestyle=style)
            above = 8 if style == "--" else -8  # the curves come down on the lower line
            if ax is axes[-1]:
                name(ax, level_name, (steps[-1], level), SOFT, (0, above), ha="right")
        title = "no LayerNorm" if place == "none" else f"{place}-LN"
        ax.set(xlabel="step", ylim=(2.2, 5.5), title=title)
    axes[0].set_ylabel("loss, nats a character")
    return picture
