"""Whose mean is it, and which layer of PyTorch does that? The axis picker."""

from itertools import combinations
from typing import Any, NamedTuple, TypedDict

import numpy as np
import torch
import torch.nn.functional as F
from traitlets import Bool, Dict, Enum, Int, List, TraitError, Unicode, observe, validate

from layernorm_book.widgets.base import BUNDLED, Lab, html_table, shortest_decimals
from layernorm_book.widgets.traits import FloatVector


class Layout(TypedDict):
    """The axes of x, a letter and a word each, their sizes, and the numbers that x starts with."""

    axes: str
    names: tuple[str, ...]
    shape: tuple[int, ...]
    start: tuple[int, ...]


LAYOUTS: dict[str, Layout] = {
    "images": {
        "axes": "NCHW",
        "names": ("batch", "channel", "height", "width"),
        "shape": (2, 4, 2, 3),
        "start": (
            *(7, 9, 8, 9, 4, 9, 0, 2, 6, 0, 5, 2, 8, 8, 3, 5, 1, 4, 9, 9, 4, 6, 1, 8),
            *(2, 5, 3, 6, 2, 0, 7, 4, 1, 8, 3, 7, 0, 5, 9, 1, 6, 3, 2, 4, 0, 6, 5, 1),
        ),
    },
    "tokens": {
        "axes": "NTC",
        "names": ("batch", "token", "feature"),
        "shape": (2, 3, 4),
        "start": (
            *(1, 2, 3, 6, 2, 2, 6, 6, 0, 0, 0, 4),
            *(9, 5, 5, 1, 1, 3, 5, 7, 8, 4, 4, 0),
        ),
    },
}
GROUPS = (1, 2, 4)  # what four channels can be cut into
STATISTICS = ("variance", "square", "none")  # μ and σ², the mean square, or nothing at all
EPS, ALPHA = 1e-5, 0.5  # the same ε everywhere; DyT's α where it starts
LARGEST = 10  # a cell's value goes from -10 to 10

# The axes that share, the groups of channels and the statistics. The first four are buttons, and
# from one to the next only one of these changes.
RELATIVES = {
    where: {
        "BatchNorm": (axes.replace("C", ""), 1, "variance"),
        "LayerNorm": (own, 1, "variance"),
        "RMSNorm": (own, 1, "square"),
        "DyT": (own, 1, "none"),
        "InstanceNorm": (axes[1:].replace("C", ""), 1, "variance"),
        "GroupNorm": (axes[1:], 2, "variance"),
    }
    for where, axes, own in (("images", "NCHW", "CHW"), ("tokens", "NTC", "C"))
}
PRESETS = {where: dict(list(all_.items())[:4]) for where, all_ in RELATIVES.items()}

NO_LAYER = "No layer of PyTorch does this"
WHO = {  # what each group is, by the axes along which nothing is shared
    "images": {"N": "image", "NC": "channel of each image", "NHW": "pixel", "NCH": "line of pixels"}
    | {"": "batch"},
    "tokens": {"N": "sequence", "NT": "token", "NC": "feature of each sequence", "": "batch"},
}


def group_numbers(layout: str, shared: str, groups: int = 1) -> np.ndarray:
    """Number the groups of cells that share their statistics.

    Args:
        layout: "images" or "tokens".
        shared: the letters of the axes along which cells share, such as "CHW".
        groups: how many groups the channels are cut into, where they are shared.

    Returns:
        Integer array of the layout's shape.
    """
    axes, shape = LAYOUTS[layout]["axes"], LAYOUTS[layout]["shape"]
    number = np.zeros(shape, dtype=int)
    for axis, (letter, size) in enumerate(zip(axes, shape, strict=True)):
        parts = size if letter not in shared else groups if letter == "C" else 1
        part = np.arange(size) * parts // size
        number = number * parts + part.reshape(-1, *(1,) * (len(shape) - axis - 1))
    return number


class Answer(NamedTuple):
    """What PyTorch has for some axes."""

    name: str  # the layer's class, or that there is none
    line: str  # the line of code, or the lines where there is no layer; x is the input
    weight: str  # γ's shape; empty where there is no layer
    note: str


def find_layer(
    layout: str, shared: str, groups: int, centred: bool
) -> tuple[str, str, str, tuple[int, ...], str] | None:
    """Find PyTorch's layer for some axes, by five rules.

    Returns:
        its name, its arguments, how it is called, γ's shape and a note, or None where there is
        none.
    """
    axes, shape = LAYOUTS[layout]["axes"], LAYOUTS[layout]["shape"]
    alone = "".join(letter for letter in axes if letter not in shared)
    each = f"Each {WHO[layout].get(alone)} by itself."
    channel = LAYOUTS[layout]["names"][axes.index("C")]
    batch = f"Each {channel}, over all of the batch; after eval(), stored averages."
    d = len(axes) - 2  # the layers that take a batch first and channels second name the rest so
    channels = shape[axes.index("C")]
    second = "{}(x)" if axes[1] == "C" else "{}(x.mT).mT"
    if groups > 1:
        if alone == "N" and centred:
            note = f"Each {WHO[layout]['N']} by itself, in {groups} groups of channels."
            if groups == channels:
                note = "One channel in each group: this is InstanceNorm."
            return "GroupNorm", f"{groups}, {channels}", second, (channels,), note
    elif centred and alone == "C":
        return f"BatchNorm{d}d", f"{channels}", second, (channels,), batch
    elif centred and alone == axes[1]:
        note = "A trap: BatchNorm1d takes the middle axis for the channels, here the tokens."
        return f"BatchNorm{d}d", f"{shape[1]}", "{}(x)", (shape[1],), note
    elif centred and sorted(alone) == ["C", "N"]:
        return f"InstanceNorm{d}d", f"{channels}, affine=True", second, (channels,), each
    elif shared == "C" or (shared and axes.endswith(shared)):
        sizes = tuple(shape[axes.index(letter)] for letter in shared)
        call = "{}(x)" if axes.endswith(shared) else "{}(x.movedim(1, -1)).movedim(-1, 1)"
        arguments = f"{sizes[0]}" if len(sizes) == 1 else f"{sizes}"
        if not alone:
            each = "The batch size is part of γ’s shape: it takes batches of two and no other."
        elif alone == "NT":
            each += " This is what a transformer does."
        elif alone == "NCH":
            each += " This is rarely meant."
        if centred:
            return "LayerNorm", arguments, call, sizes, each
        return "RMSNorm", f"{arguments}, eps=1e-5", call, sizes, each
    return None


def describe(layout: str, shared: str, groups: int = 1, statistics: str = "variance") -> Answer:
    """Say what PyTorch has for these axes.

    Args:
        layout, shared, groups: as in `group_numbers`.
        statistics: "variance" (with the mean), "square" (RMSNorm's) or "none" (DyT).

    Returns:
        An `Answer`. Other lines share the same statistics; they are a layer's only where it is
        named.

    Example:
        >>> describe("images", "CHW", groups=2).line
        'nn.GroupNorm(2, 4)(x)'
    """
    if statistics == "none":
        note = "No statistics: no cell knows of another. α is learned, and starts at 0.5."
        return Answer("DyT", f"torch.tanh({ALPHA} * x)", "", note)
    groups = groups if "C" in shared else 1
    centred = statistics == "variance"
    found = find_layer(layout, shared, groups, centred)
    if not found:
        line, note = _by_hand(layout, shared, groups, centred)
        return Answer(NO_LAYER, line, "", note)
    name, arguments, call, weight, note = found
    return Answer(name, call.format(f"nn.{name}({arguments})"), str(weight), note)


def _by_hand(layout, shared, groups, centred):
    axes = LAYOUTS[layout]["axes"]
    if not shared or (shared == "C" and groups == GROUPS[-1]):
        alone = "n is 1: each cell is alone. "
        if centred:
            return "x - x", alone + "It is its own mean, and its output is 0."
        return "x / torch.sqrt(x.square() + 1e-5)", alone + "Little but its sign is left."
    dims = [axes.index(letter) for letter in shared]
    x, z, end = "", "x", ""  # x itself where nothing has to be cut: it reads like the chapter's
    if groups > 1:
        c = axes.index("C")
        dims = [d + (d >= c) for d in dims]
        x = f"z = x.unflatten({c}, ({groups}, {GROUPS[-1] // groups}))\n"
        z, end = "z", f".flatten({c}, {c + 1})"
    dims = f"{dims[0]}" if len(dims) == 1 else f"({', '.join(map(str, dims))})"
    if centred:
        line = (
            f"var, mean = torch.var_mean({z}, {dims}, correction=0, keepdim=True)\n"
            f"y = (({z} - mean) / torch.sqrt(var + 1e-5)){end}"
        )
    else:
        line = (
            f"square = {z}.square().mean({dims}, keepdim=True)\n"
            f"y = ({z} / torch.sqrt(square + 1e-5)){end}"
        )
    if groups > 1:
        return x + line, "By hand, with an axis for the groups."
    kind = "LayerNorm" if centred else "RMSNorm"
    return line, f"Not to x as it stands. Move these axes to the end, and {kind} does it."


def normalize_groups(
    layout: str, shared: str, groups: int, statistics: str, x: Any
) -> torch.Tensor:
    """Return PyTorch's outputs in memory order: its kernel on the cells of each group.

    Args:
        layout, shared, groups, statistics: as in `describe`.
        x: the values of all cells, in memory order.
    """
    values = torch.as_tensor(x, dtype=torch.float32)  # cells
    if statistics == "none":
        return torch.tanh(ALPHA * values)
    numbers = group_numbers(layout, shared, groups).flatten()
    order = torch.from_numpy(numbers.argsort(kind="stable"))  # cells
    rows = values[order].reshape(numbers.max() + 1, -1)  # groups, n
    layer = F.layer_norm if statistics == "variance" else F.rms_norm
    out = torch.empty_like(values)  # cells
    out[order] = layer(rows, rows.shape[1:], eps=EPS).flatten()
    return out


def _subsets(axes):
    return ["".join(s) for k in range(len(axes) + 1) for s in combinations(axes, k)]


STATES = (
    [  # every choice that a reader has: layout, shared, groups, statistics
        (layout, shared, groups, statistics)
        for layout, facts in LAYOUTS.items()
        for shared in _subsets(facts["axes"])
        for groups in (GROUPS if "C" in shared else GROUPS[:1])
        for statistics in STATISTICS[:2]
    ]
    + [(layout, "", 1, "none") for layout in LAYOUTS]
)


def _key(layout, shared, groups, statistics):
    """Return the text under which the front end looks a choice up."""
    if statistics == "none":
        shared, groups = "", 1
    return f"{layout} {shared} {groups if 'C' in shared else 1} {statistics}"


class AxisPicker(Lab):
    """Drag a cell, and see who moves with it: those that share its mean.

    Tick the axes along which cells share μ and σ²; the layer of PyTorch that does so is named. The
    browser computes in float32 by itself. With a kernel, the traits follow the reader and
    PyTorch's answer follows the traits; a static page carries it for the start and the presets.

    Args:
        layout: "images", of shape (N, C, H, W) = (2, 4, 2, 3), or "tokens", of shape
            (N, T, C) = (2, 3, 4).
        by_hand: three axes to tick and nothing else to choose: no presets, no other layout.
        shared: the letters of the axes along which cells share, in the order of the layout.
        groups: 1, 2 or 4 groups of channels.
        statistics: "variance" (with the mean), "square" (RMSNorm's mean square) or "none" (DyT).
        x: the values of all cells, in memory order, from -10 to 10.
        cell: the index of the cell whose group is framed, counted in memory order.

    Raises:
        TraitError: a value is not allowed; the message says what is, and nothing changes.

    Example:
        >>> picker = AxisPicker(shared="NHW")
        >>> picker.name, picker.group_count, picker.n, picker.weight_shape
        ('BatchNorm2d', 4, 12, '(4,)')
        >>> picker.shared = "NH"
        >>> picker.name
        'No layer of PyTorch does this'
    """

    _esm, _css = BUNDLED / "axes.js", BUNDLED / "axes.css"

    STATE = ("layout", "shared", "groups", "statistics", "x", "cell")

    layout = Enum(tuple(LAYOUTS), "images").tag(sync=True)
    shared = Unicode("CHW").tag(sync=True)
    groups = Enum(GROUPS, 1).tag(sync=True)
    statistics = Enum(STATISTICS, "variance").tag(sync=True)
    x = FloatVector(LAYOUTS["images"]["start"]).tag(sync=True)
    cell = Int(0).tag(sync=True)

    by_hand = Bool(False, read_only=True).tag(sync=True)
    layouts = Dict(read_only=True).tag(sync=True)
    presets = Dict(read_only=True).tag(sync=True)
    answers = Dict(read_only=True).tag(sync=True)
    recorded = List(Dict(), read_only=True).tag(sync=True)  # PyTorch's answers at the start's x
    group_choices: List = List(read_only=True).tag(sync=True)

    def __init__(self, layout: str = "images", by_hand: bool = False, **kwargs: Any) -> None:
        where = layout if layout in LAYOUTS else "images"
        start = {"shared": PRESETS[where]["LayerNorm"][0], "x": LAYOUTS[where]["start"]}
        super().__init__(layout=layout, **start | kwargs)
        own = (self.layout, self.shared, self.groups, self.statistics)
        buttons = [(at, *state) for at, row in PRESETS.items() for state in row.values()]
        on_record = [own, *(s for s in STATES if s[0] == layout and s[2:] == (1, "variance"))]
        fixed = {
            "by_hand": by_hand,
            "layouts": LAYOUTS,
            # Lists, for JSON that is sorted by key would sort the presets too.
            "presets": {
                at: [[name, *state] for name, state in row.items()] for at, row in PRESETS.items()
            },
            "answers": {_key(*state): list(describe(*state)) for state in STATES},
            "recorded": [
                {
                    "key": _key(*s),
                    "values": shortest_decimals(normalize_groups(*s, LAYOUTS[s[0]]["start"])),
                }
                for s in (on_record if by_hand else [own, *buttons])
            ],
            "group_choices": list(GROUPS),
        }
        for name, value in fixed.items():
            self.set_trait(name, value)

    @validate("shared")
    def _in_this_layout(self, proposal):
        shared, layout = proposal["value"], self.layout
        axes = LAYOUTS[layout]["axes"]
        if shared not in _subsets(axes):
            raise TraitError(
                f"shared takes letters of {axes} in this order, such as {axes[1:]!r}, "
                f"got {shared!r}."
            )
        return shared

    @validate("x")
    def _a_number_for_each_cell(self, proposal):
        x, size = proposal["value"], len(LAYOUTS[self.layout]["start"])
        if len(x) != size or max(map(abs, x)) > LARGEST:
            raise TraitError(f"x takes {size} numbers from -{LARGEST} to {LARGEST}.")
        return x

    @validate("cell")
    def _in_the_tensor(self, proposal):
        cell, size = proposal["value"], len(LAYOUTS[self.layout]["start"])
        if not 0 <= cell < size:
            raise TraitError(f"cell takes a whole number from 0 to {size - 1}, got {cell}.")
        return cell

    @observe("layout")
    def _keep_what_fits(self, change):
        axes, start = LAYOUTS[self.layout]["axes"], LAYOUTS[self.layout]["start"]
        if self.shared not in _subsets(axes):
            self.shared = PRESETS[self.layout]["LayerNorm"][0]
        if len(self.x) != len(start):
            self.x = start
        if self.cell >= len(start):
            self.cell = 0

    def ask_pytorch(self) -> dict[str, Any]:
        """Return PyTorch's outputs, in memory order."""
        out = normalize_groups(self.layout, self.shared, self._cut, self.statistics, self.x)
        return {"values": shortest_decimals(out)}

    @property
    def _cut(self):
        return self.groups if "C" in self.shared else 1

    @property
    def group_of(self) -> np.ndarray:
        """Integer array of the layout's shape: the number of each cell's group."""
        return group_numbers(
            self.layout, "" if self.statistics == "none" else self.shared, self._cut
        )

    @property
    def group_count(self) -> int:
        """How many groups there are."""
        return int(self.group_of.max()) + 1

    @property
    def n(self) -> int:
        """How many cells share one μ and one σ²."""
        return self.group_of.size // self.group_count

    @property
    def name(self) -> str:
        """The layer's class in torch.nn, DyT, or that there is none."""
        return self._pytorch_answer.name

    @property
    def line(self) -> str:
        """The line of PyTorch, or the lines where there is no layer; x is the input."""
        return self._pytorch_answer.line

    @property
    def weight_shape(self) -> str:
        """The shape of γ as text; empty where there is no layer."""
        return self._pytorch_answer.weight

    @property
    def _pytorch_answer(self):
        return describe(self.layout, self.shared, self.groups, self.statistics)

    def to_html(self) -> str:
        """Return the cells, or LayerNorm and its relatives for this layout, as an HTML table."""
        axes, shape = LAYOUTS[self.layout]["axes"], LAYOUTS[self.layout]["shape"]
        if self.by_hand:
            return self._cells_to_html()
        rows = {}
        for relative, (shared, groups, statistics) in RELATIVES[self.layout].items():
            _, line, weight, _ = describe(self.layout, shared, groups, statistics)
            shared = "" if statistics == "none" else shared
            numbers = group_numbers(self.layout, shared, groups)
            count = numbers.max() + 1
            rows[relative] = (", ".join(shared), count, numbers.size // count, weight, line)
        header = ("layer", "axes that share", "groups", "n", "shape of γ", "PyTorch")
        return html_table(
            f"x has the axes ({', '.join(axes)}) and the shape {shape}.", header, rows
        )

    def _cells_to_html(self):
        names, shape = LAYOUTS[self.layout]["names"], LAYOUTS[self.layout]["shape"]
        x = torch.tensor(self.x)  # cells
        numbers = torch.from_numpy(self.group_of).flatten()
        means = torch.stack([x[numbers == number].mean() for number in numbers])
        out = torch.tensor(self.ask_pytorch()["values"])
        columns = [v.reshape(-1, shape[-1]).tolist() for v in (x, means, out)]
        rows = {}
        for row, cells in enumerate(zip(*columns, strict=True)):
            at = np.unravel_index(row, shape[:-1])
            rows[f"sequence {at[0]}, {names[1]} {at[1]}"] = [
                "\u00a0\u00a0".join(f"{v:.3g}" for v in line) for line in cells
            ]
        shared = zip(names, LAYOUTS[self.layout]["axes"], strict=True)
        along = " and ".join(name for name, letter in shared if letter in self.shared) or "nothing"
        caption = f"Rows of {shape[-1]} {names[-1]}s. Cells share a mean along {along}."
        header = ("", "x", "the mean μ that each cell gets", "output (x − μ)/σ")
        return html_table(caption, header, rows)
