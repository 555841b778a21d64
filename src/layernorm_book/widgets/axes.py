"""Which axes share statistics, and which layer of PyTorch does that? The axis picker."""

from itertools import combinations
from typing import Any, NamedTuple, TypedDict

import numpy as np
from traitlets import Bool, Dict, Enum, Int, List, TraitError, Unicode, observe, validate

from layernorm_book.widgets.base import BUNDLED, Lab, html_table


class Layout(TypedDict):
    """The axes of x, a letter each, and their sizes."""

    axes: str
    shape: tuple[int, ...]


LAYOUTS: dict[str, Layout] = {
    "images": {"axes": "NCHW", "shape": (2, 4, 2, 3)},
    "tokens": {"axes": "NTC", "shape": (2, 3, 4)},
}
AXES = {
    "N": "batch",
    "T": "token",
    "C": "channel",
    "H": "height",
    "W": "width",
}
GROUPS = (1, 2, 4)  # what four channels can be cut into
PRESETS = {
    "images": {
        "BatchNorm": ("NHW", 1, True),
        "LayerNorm": ("CHW", 1, True),
        "InstanceNorm": ("HW", 1, True),
        "GroupNorm": ("CHW", 2, True),
        "RMSNorm": ("C", 1, False),
    },
    "tokens": {
        "BatchNorm": ("NT", 1, True),
        "LayerNorm": ("C", 1, True),
        "InstanceNorm": ("T", 1, True),
        "GroupNorm": ("TC", 2, True),
        "RMSNorm": ("C", 1, False),
    },
}

NO_LAYER = "No layer of PyTorch does this"

# What is to be said of a layer: by layout, the axes that share and the layer; without its class
# where that makes no difference.
_PIXELS = "Each pixel is a token. The channels move to the end and back."
_BATCH = "In training. After eval() it uses running averages and shares nothing within the batch."
_ALL = "The batch size is part of γ’s shape: it takes batches of two and no other."
NOTES = {
    ("images", "C"): _PIXELS,
    ("images", "W"): "Each line of pixels by itself.",
    ("images", "W", "LayerNorm"): "Each line of pixels by itself, which is rarely meant.",
    ("images", "HW"): "Each channel by itself.",
    ("images", "HW", "InstanceNorm2d"): "LayerNorm((2, 3)) shares the same, with another γ: one "
    "for each pixel.",
    ("images", "CHW"): "Each image by itself.",
    ("images", "CHW", "LayerNorm"): "GroupNorm with one group shares the same, with another γ: "
    "one for each channel.",
    ("images", "NCHW"): _ALL,
    ("images", "NHW"): _BATCH,
    ("tokens", "C", "LayerNorm"): "What a transformer does: each token by itself.",
    ("tokens", "C"): "What many language models do: each token by itself, no mean.",
    ("tokens", "T"): "Each channel of one sequence by itself.",
    ("tokens", "TC"): "Each sequence by itself.",
    ("tokens", "TC", "LayerNorm"): "Each sequence by itself: γ’s shape fixes its length.",
    ("tokens", "NTC"): _ALL,
    ("tokens", "NT"): _BATCH,
    (
        "tokens",
        "NC",
    ): "A trap: BatchNorm1d takes the middle axis for the channels, here the tokens.",
}
GROUP_NOTES = {
    2: "Two groups of two channels.",
    4: "One channel in each group: this is InstanceNorm.",
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
        parts = groups if letter == "C" else 1
        if letter in shared and parts == 1:
            continue
        parts = parts if letter in shared else size
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
) -> tuple[str, str, str, tuple[int, ...]] | None:
    """Find PyTorch's layer for some axes, by five rules.

    Returns:
        its name, its arguments, how it is called and γ's shape, or None where there is none.
    """
    axes, shape = LAYOUTS[layout]["axes"], LAYOUTS[layout]["shape"]
    alone = "".join(letter for letter in axes if letter not in shared)
    d = len(axes) - 2  # the layers that take a batch first and channels second name the rest so
    channels = shape[axes.index("C")]
    second = "{}(x)" if axes[1] == "C" else "{}(x.mT).mT"
    if groups > 1:
        if alone == "N" and centred:
            return "GroupNorm", f"{groups}, {channels}", second, (channels,)
    elif centred and alone == "C":
        return f"BatchNorm{d}d", f"{channels}", second, (channels,)
    elif centred and alone == axes[1]:
        return f"BatchNorm{d}d", f"{shape[1]}", "{}(x)", (shape[1],)
    elif centred and sorted(alone) == ["C", "N"]:
        return f"InstanceNorm{d}d", f"{channels}, affine=True", second, (channels,)
    elif shared == "C" or (shared and axes.endswith(shared)):
        sizes = tuple(shape[axes.index(letter)] for letter in shared)
        call = "{}(x)" if axes.endswith(shared) else "{}(x.movedim(1, -1)).movedim(-1, 1)"
        arguments = f"{sizes[0]}" if len(sizes) == 1 else f"{sizes}"
        return "LayerNorm" if centred else "RMSNorm", arguments, call, sizes
    return None


def describe(layout: str, shared: str, groups: int = 1, centred: bool = True) -> Answer:
    """Say what PyTorch has for these axes.

    Args:
        layout, shared, groups: as in `group_numbers`.
        centred: whether the mean is subtracted.

    Returns:
        An `Answer`. Other lines share the same statistics; they are a layer's only where it is
        named.

    Example:
        >>> describe("images", "CHW", groups=2).line
        'nn.GroupNorm(2, 4)(x)'
    """
    groups = groups if "C" in shared else 1
    found = find_layer(layout, shared, groups, centred)
    if not found:
        line, note = _by_hand(layout, shared, groups, centred)
        return Answer(NO_LAYER, line, "", note)
    name, arguments, call, weight = found
    note = GROUP_NOTES.get(groups) or NOTES.get((layout, shared, name)) or NOTES[layout, shared]
    return Answer(name, call.format(f"nn.{name}({arguments})"), str(weight), note)


def _by_hand(layout, shared, groups, centred):
    axes = LAYOUTS[layout]["axes"]
    if not shared or (shared == "C" and groups == GROUPS[-1]):
        alone = "n is 1: each cell is alone. "
        if centred:
            return "x - x", alone + "It is its own mean, and x̂ is 0."
        return "x / torch.sqrt(x.square() + 1e-5)", alone + "Little but its sign is left."
    dims = [axes.index(letter) for letter in shared]
    x, end = "x", ""
    if groups > 1:
        c = axes.index("C")
        dims = [d + (d >= c) for d in dims]
        x = f"x.unflatten({c}, ({groups}, {GROUPS[-1] // groups}))"
        end = f".flatten({c}, {c + 1})"
    dims = f"{dims[0]}" if len(dims) == 1 else f"({', '.join(map(str, dims))})"
    if centred:
        lines = [
            f"var, mean = torch.var_mean(z, {dims}, correction=0, keepdim=True)",
            f"y = ((z - mean) / torch.sqrt(var + 1e-5)){end}",
        ]
    else:
        lines = [
            f"square = z.square().mean({dims}, keepdim=True)",
            f"y = (z / torch.sqrt(square + 1e-5)){end}",
        ]
    # x itself where nothing has to be cut, so that the lines read like the chapter's.
    if groups > 1:
        return "\n".join([f"z = {x}", *lines]), "By hand, with an axis for the groups."
    kind = "LayerNorm" if centred else "RMSNorm"
    note = f"To x as it stands, that is. Move these axes to the end, and {kind} takes them."
    return "\n".join(lines).replace("z", "x"), note


def _subsets(axes):
    return ["".join(s) for k in range(len(axes) + 1) for s in combinations(axes, k)]


STATES = [  # every choice that a reader has: layout, shared, groups, centred
    (layout, shared, groups, centred)
    for layout, facts in LAYOUTS.items()
    for shared in _subsets(facts["axes"])
    for groups in (GROUPS if "C" in shared else GROUPS[:1])
    for centred in (True, False)
]


class AxisPicker(Lab):
    """Tick the axes that share μ and σ², and see the groups, γ's shape and the layer's name.

    The browser needs no kernel. With one, the traits follow the reader.

    Args:
        layout: "images", of shape (N, C, H, W) = (2, 4, 2, 3), or "tokens", of shape
            (N, T, C) = (2, 3, 4).
        shared: the letters of the axes along which cells share, in the order of the layout.
        groups: 1, 2 or 4 groups of channels.
        centred: whether the mean is subtracted; without it the statistic is the mean square.
        cell: the index of the cell whose group is lit, counted in memory order.

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

    STATE = ("layout", "shared", "groups", "centred", "cell")

    layout = Enum(tuple(LAYOUTS), "images").tag(sync=True)
    shared = Unicode("CHW").tag(sync=True)
    groups = Enum(GROUPS, 1).tag(sync=True)
    centred = Bool(True).tag(sync=True)
    cell = Int(0).tag(sync=True)

    layouts = Dict(read_only=True).tag(sync=True)
    presets = Dict(read_only=True).tag(sync=True)
    answers = Dict(read_only=True).tag(sync=True)
    axis_names = Dict(read_only=True).tag(sync=True)
    group_choices: List = List(read_only=True).tag(sync=True)

    def __init__(self, layout: str = "images", **kwargs: Any) -> None:
        kwargs = {"shared": PRESETS.get(layout, PRESETS["images"])["LayerNorm"][0]} | kwargs
        super().__init__(layout=layout, **kwargs)
        fixed = {
            "layouts": LAYOUTS,
            # Lists, for JSON that is sorted by key would sort the presets too.
            "presets": {
                where: [[name, *state] for name, state in presets.items()]
                for where, presets in PRESETS.items()
            },
            # Under the key that the front end looks up.
            "answers": {
                f"{where} {shared} {groups} {int(centred)}": list(
                    describe(where, shared, groups, centred)
                )
                for where, shared, groups, centred in STATES
            },
            "axis_names": AXES,
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

    @validate("cell")
    def _in_the_tensor(self, proposal):
        cell, size = proposal["value"], self.group_of.size
        if not 0 <= cell < size:
            raise TraitError(f"cell takes a whole number from 0 to {size - 1}, got {cell}.")
        return cell

    @observe("layout")
    def _keep_what_fits(self, change):
        axes = LAYOUTS[self.layout]["axes"]
        if self.shared not in _subsets(axes):
            self.shared = PRESETS[self.layout]["LayerNorm"][0]
        if self.cell >= self.group_of.size:
            self.cell = 0

    @property
    def group_of(self) -> np.ndarray:
        """Integer array of the layout's shape: the number of each cell's group."""
        return group_numbers(self.layout, self.shared, self.groups)

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
        """The layer's class in torch.nn, or that there is none."""
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
        return describe(self.layout, self.shared, self.groups, self.centred)

    def to_html(self) -> str:
        """Return the layers that the presets name, for this layout, as an HTML table."""
        axes, shape = LAYOUTS[self.layout]["axes"], LAYOUTS[self.layout]["shape"]
        rows = {}
        for shared, groups, centred in PRESETS[self.layout].values():
            name, line, weight, _ = describe(self.layout, shared, groups, centred)
            numbers = group_numbers(self.layout, shared, groups)
            count = numbers.max() + 1
            rows[name] = (", ".join(shared), count, numbers.size // count, weight, line)
        header = ("layer", "axes that share", "groups", "n", "shape of γ", "PyTorch")
        return html_table(
            f"x has the axes ({', '.join(axes)}) and the shape {shape}.", header, rows
        )
