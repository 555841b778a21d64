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
    GROUND,
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
    names: tuple[str, str, str] = ("comes in", "should come out", "comes out")
    written: tuple[int, ...] = (-1,)  # which bars bear their number
    upstream: Tensor | None = None  # where the gradient is shown, in place of what comes out

    def given(self):
        """Return the arguments of the layer."""
        return self.x, (4,), self.weight, self.bias, 1e-5

    def rows(self):
        """Return what comes in, what should come out, and what does: the first row of each."""
        outs = [self.x]
        for layer in (F.layer_norm, self.layer):
            x = self.x.clone().requires_grad_()
            y = layer(x, *self.given()[1:])
            shown = y if self.upstream is None else torch.autograd.grad(y, x, self.upstream)[0]
            outs.append(shown.detach())
        return [values[0].tolist() for values in outs]


ROW = torch.tensor([[1.0, 2, 3, 6]])
SENTENCE = torch.tensor([[1.0, 2, 3, 6], [0, 5, 4, 5], [-1, 8, 2, 9]])  # of three tokens
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
        "a constant row, where the gradient of y is 1, 2, 3, 6",
        formula(divide="outside"),
        torch.full((1, 4), 2.0),
        names=("comes in", "gradient: right", "gradient: here"),
        upstream=ROW,
    ),
    "axes": Exhibit(
        "attention-is-all-you-need-pytorch",
        "fixed in July 2017",
        "shipped bug",
        "three tokens: their first numbers are 1, 0, −1",
        formula(axes="column", count="n-1", divide="outside"),
        SENTENCE,
        written=(0, -1),
    ),
    "precision": Exhibit(
        "PyTorch",
        "January 2021, replaced in June",
        "shipped bug",
        "far from 0",
        ONE_PASS,
        loudest(),
    ),
    "order": Exhibit(
        "Apple’s layer",
        "2022",
        "documented choice",
        "γ not 1, β not 0",
        formula(affine="shift-scale"),
        ROW,
        *TRAINED,
        names=("comes in", "with its hook", "without it"),
    ),
}


def said(value):
    """Return a number as a card has it: short, with a real minus, or NaN in words."""
    if value != value:
        return "all NaN"
    digits = ".1f" if 1000 < abs(value) < 10_000 else ".0f" if abs(value) >= 10 else ".2g"
    return f"{value:,{digits}}".replace("-", "−")


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
    rows = found.rows()
    mean = found.x[0].double().mean().item()
    if far := min(abs(v) for v in rows[0]) > 100:  # its bars would all be of one height
        rows[0] = [v - mean for v in rows[0]]
    for k, (row, title, hue) in enumerate(
        zip(rows, found.names, (X, GREEN, VERMILION), strict=True)
    ):
        most = max(abs(v) for v in (rows[0] if k == 0 else rows[1] + rows[2]) if v == v)
        ax = panel.add_axes((0.035 + 0.31 * k, 0.265, 0.3, 0.37))
        ax.set(xlim=(-0.6, len(row) + 2.2), ylim=(-most if k or far else 0, most))
        ax.set_axis_off()
        ax.bar(range(len(row)), row, width=0.8, color=hue)
        ax.plot([-0.6, len(row) - 0.4], [0, 0], color=LINE, linewidth=1)
        if far and k == 0:
            name(ax, f"{mean:,.0f}", (len(row) - 0.6, 0), SOFT, (4, 0))
        for at in found.written:
            text = said(found.x[0, at].item() if k == 0 else row[at])
            height = 0 if row[at] != row[at] else row[at]
            if at == -1:
                name(ax, text, (len(row) - 0.4, height), hue, (4, 0))
            else:
                name(ax, text, (at, max(height, 0)), hue, (0, 7))
        panel.text(0.037 + 0.31 * k, 0.185, title, color=hue, va="center")
    panel.text(0.037, 0.085, found.told_by, color=SOFT, va="center")
    return Picture([panel])


def hidden_and_plain(errors):
    """Draw how far each layer with a fault is off, on an ordinary input and on a telling one.

    Args:
        errors: dict from a name to what `hiding.errors` returns for it, each a multiple of what
            a test allows.
    """
    names = sorted(errors, key=lambda name: -errors[name].loose)
    picture, ax = new_picture(height=0.3 * len(names) + 1.2)
    least, most = 3e-5, 1e6
    ax.axvspan(least, 1, color=LINE, alpha=0.3, linewidth=0)
    ax.axvline(1, color=SOFT, linewidth=1)
    marks = {"loose": ("o", True, 6.5), "strict": ("o", False, 6), "telling": ("D", True, 6)}
    for place, fault in enumerate(names):
        found = errors[fault]
        ax.plot([min(found), max(found)], [place, place], color=LINE, linewidth=1.5, zorder=1)
        for quantity, (mark, filled, size) in marks.items():
            value = getattr(found, quantity)
            hue = VERMILION if value <= 1 else GREEN
            face = hue if filled else GROUND
            edge = GROUND if filled else hue  # parts a mark from one that it covers
            look = {"markerfacecolor": face, "markeredgecolor": edge, "markersize": size}
            ax.plot(value, place, mark, color=hue, zorder=3 - (mark == "D"), **look)
    for quantity, label in (
        ("loose", "randn, 10⁻³"),
        ("strict", "randn, assert_close"),
        ("telling", "other input, 10⁻³"),
    ):
        mark, filled, size = marks[quantity]
        face = INK if filled else GROUND
        ax.plot([], [], mark, color=INK, markerfacecolor=face, markersize=size, label=label)
    above = {"loc": "lower right", "bbox_to_anchor": (1, 1)}
    ax.legend(ncols=2, **above, handlelength=1, borderpad=0, columnspacing=1)
    name(ax, "passes", (least, -0.9), VERMILION, (4, 0))
    name(ax, "is caught", (1, -0.9), GREEN, (6, 0))
    ax.set(xscale="log", xlim=(least, most), ylim=(-1.4, len(names) - 0.3))
    ax.set_yticks(np.arange(len(names)), names)
    ax.tick_params(axis="y", length=0)
    ax.set_xlabel("largest error, in units of what the test allows")
    return picture
