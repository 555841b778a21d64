"""What does a bug do to an ordinary row, and to the row that gives it away?"""

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.patches import FancyBboxPatch
from torch import Tensor

from layernorm_book.chapters.figures.style import (
    ALONE,
    BLUE,
    GREEN,
    INK,
    LINE,
    SOFT,
    VERMILION,
    Picture,
    X,
    name,
    new_panel,
    new_picture,
)
from layernorm_book.parity.formula import Formula
from layernorm_book.widgets.bugs import formula

HEIGHT = 1.95  # of a card, in inches
STAMPS = {"shipped bug": VERMILION, "documented choice": BLUE}


class Exhibit(NamedTuple):
    """What stands on the label, the layer, and what it is given, as `F.layer_norm` is."""

    maker: str
    when: str
    label: str
    told_by: str  # what about the input gives the layer away
    layer: Formula
    x: Tensor
    weight: Tensor = torch.ones(4)
    bias: Tensor = torch.zeros(4)

    def given(self):
        """Return the arguments of the layer."""
        return self.x, (4,), self.weight, self.bias, 1e-5


ROW = torch.tensor([[1.0, 2, 3, 6]])
SENTENCE = torch.tensor([[1.0, 2, 3, 6], [0, 5, 4, 5], [-1, 8, 2, 1]])  # of three tokens
FAR = 2000 + torch.randn(2000, 4, generator=torch.Generator().manual_seed(0))
TRAINED = torch.tensor([1.0, 2, 0.5, 2]), torch.tensor([1.0, -1, 1, -1])
ONE_PASS = formula(squares="one-pass")


def loudest():
    """Return the row of `FAR` whose last number comes out largest from one pass, as (1, 4)."""
    last = ONE_PASS(FAR, (4,), torch.ones(4), torch.zeros(4), 1e-5)[:, -1]
    return FAR[last.nan_to_num().argmax()][None]


EXHIBITS = {
    "ε": Exhibit(
        "PyTorch Geometric",
        "fixed for batches in July 2021",
        "shipped bug",
        "a quiet row",
        formula(divide="outside"),
        ROW / 10_000,
    ),
    "axes": Exhibit(
        "attention-is-all-you-need-pytorch",
        "fixed in July 2017",
        "shipped bug",
        "one of three tokens",
        formula(axes="column", count="n-1", divide="outside"),
        SENTENCE,
    ),
    "precision": Exhibit(
        "PyTorch",
        "reported in January 2021, replaced in June",
        "shipped bug",
        "far from 0",
        ONE_PASS,
        loudest(),
    ),
    "order": Exhibit(
        "Apple’s layer",
        "2022, here without its hook",
        "documented choice",
        "γ not 1, β not 0",
        formula(affine="shift-scale"),
        ROW,
        *TRAINED,
    ),
}


def exhibit(room):
    """Draw an exhibit's label, and what its layer makes of the first row that it is given."""
    found = EXHIBITS[room]
    panel, colour = new_panel(ALONE, HEIGHT, layout=None), STAMPS[found.label]
    edge = {"boxstyle": "round,pad=0,rounding_size=0.02", "edgecolor": LINE, "facecolor": "none"}
    place = {"transform": panel.transFigure, "mutation_aspect": panel.get_figwidth() / HEIGHT}
    panel.add_artist(FancyBboxPatch((0.005, 0.01), 0.99, 0.98, **edge, **place))
    panel.text(0.035, 0.875, found.maker, weight="bold", va="center")
    panel.text(0.035, 0.76, found.when, color=SOFT, va="center")
    stamp = {"boxstyle": "round,pad=0.35", "facecolor": "none", "edgecolor": colour, "linewidth": 2}
    turned = {"rotation": 4, "rotation_mode": "anchor", "ha": "center", "va": "center"}
    middle = 0.96 - 0.0125 * len(found.label)
    panel.text(middle, 0.82, found.label.upper(), color=colour, weight="bold", bbox=stamp, **turned)
    outs = (found.x, F.layer_norm(*found.given()), found.layer(*found.given()))
    rows = [values[0].tolist() for values in outs]
    names = ("comes in", "should come out", "comes out")
    mean = found.x[0].double().mean().item()
    if far := min(abs(v) for v in rows[0]) > 100:  # its bars would all be of one height
        rows[0] = [v - mean for v in rows[0]]
    for k, (row, title, hue) in enumerate(zip(rows, names, (X, GREEN, VERMILION), strict=True)):
        most = max(abs(v) for v in (rows[0] if k == 0 else rows[1] + rows[2]))
        ax = panel.add_axes((0.035 + 0.31 * k, 0.265, 0.3, 0.37))
        ax.set(xlim=(-0.6, len(row) + 2.2), ylim=(-most if k or far else 0, most))
        ax.set_axis_off()
        ax.bar(range(len(row)), row, width=0.8, color=hue)
        ax.plot([-0.6, len(row) - 0.4], [0, 0], color=LINE, linewidth=1)
        written = f"{row[-1]:,.0f}" if abs(row[-1]) >= 10 else f"{row[-1]:.2g}"
        if far and k == 0:
            written = f"+ {written}"
            name(ax, f"{mean:,.0f}", (len(row) - 0.6, 0), SOFT, (4, 0))
        name(ax, written.replace("-", "−"), (len(row) - 0.6, row[-1]), hue, (4, 0))
        panel.text(0.037 + 0.31 * k, 0.185, title, color=hue, va="center")
    panel.text(0.037, 0.085, found.told_by, color=SOFT, va="center")
    return Picture([panel])


def hidden_and_plain(errors):
    """Draw how far each layer with a fault is off, on an ordinary input and on a telling one.

    Args:
        errors: dict from a name to (ordinary, telling), each as a multiple of what a test allows.
    """
    names = sorted(errors, key=lambda name: -errors[name][0])
    picture, ax = new_picture(height=0.3 * len(names) + 1.2)
    least, most = 3e-5, 1e4
    ax.axvspan(least, 1, color=LINE, alpha=0.3, linewidth=0)
    ax.axvline(1, color=SOFT, linewidth=1)
    for place, fault in enumerate(names):
        ordinary, telling = errors[fault]
        ax.plot([ordinary, telling], [place, place], color=LINE, linewidth=1.5, zorder=1)
        ax.plot(ordinary, place, "o", color=VERMILION if ordinary <= 1 else GREEN, markersize=6.5)
        ax.plot(telling, place, "D", color=VERMILION if telling <= 1 else GREEN, markersize=6)
    for mark, label in (("o", "torch.randn(8, 768)"), ("D", "one other input")):
        ax.plot([], [], mark, color=INK, markersize=6, label=label)
    ax.legend(ncols=2, loc="lower right", bbox_to_anchor=(1, 1), handlelength=1, borderpad=0)
    name(ax, "passes", (least, -0.9), VERMILION, (4, 0))
    name(ax, "is caught", (1, -0.9), GREEN, (6, 0))
    ax.set(xscale="log", xlim=(least, most), ylim=(-1.4, len(names) - 0.3))
    ax.set_yticks(np.arange(len(names)), names)
    ax.tick_params(axis="y", length=0)
    ax.set_xlabel("largest error, in units of what the test allows")
    return picture
