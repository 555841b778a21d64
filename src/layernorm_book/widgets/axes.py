"""The axis picker: tick the axes that share statistics, and see which layer of PyTorch does it."""

from html import escape
from itertools import combinations

import numpy as np
from torch import nn
from traitlets import Bool, Dict, Enum, Int, List, TraitError, Unicode, observe, validate

from layernorm_book.widgets.common import StillWidget
from layernorm_book.widgets.joined import join_modules, read_style

LAYOUTS = {
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

_C_LAST = "{}(x.movedim(1, -1)).movedim(-1, 1)"
_C_MIDDLE = "{}(x.mT).mT"
_BATCH = "In training. After eval() it uses running averages and shares nothing within the batch."
_ALL = "The batch size is part of γ’s shape: it takes batches of two and no other."

# Layers that take x as it stands, or with its channels moved: (layout, axes, groups, centred)
# -> (layer, its arguments, how it is called, a remark).
_LAYERS = {
    ("images", "NHW", 1, True): (nn.BatchNorm2d, (4,), "{}(x)", _BATCH),
    ("images", "HW", 1, True): (
        nn.InstanceNorm2d,
        (4,),
        "{}(x)",
        "LayerNorm((2, 3)) shares the same, with another γ: one for each pixel.",
    ),
    ("images", "CHW", 1, True): (
        nn.LayerNorm,
        ((4, 2, 3),),
        "{}(x)",
        "GroupNorm with one group shares the same, with another γ: one for each channel.",
    ),
    ("images", "CHW", 2, True): (nn.GroupNorm, (2, 4), "{}(x)", "Two groups of two channels."),
    ("images", "CHW", 4, True): (
        nn.GroupNorm,
        (4, 4),
        "{}(x)",
        "One channel in each group: this is InstanceNorm.",
    ),
    ("images", "C", 1, True): (
        nn.LayerNorm,
        (4,),
        _C_LAST,
        "Each pixel is a token. The channels move to the end and back.",
    ),
    ("images", "W", 1, True): (
        nn.LayerNorm,
        (3,),
        "{}(x)",
        "Each line of pixels by itself, which is rarely meant.",
    ),
    ("images", "NCHW", 1, True): (nn.LayerNorm, ((2, 4, 2, 3),), "{}(x)", _ALL),
    ("images", "C", 1, False): (
        nn.RMSNorm,
        (4,),
        _C_LAST,
        "Each pixel is a token. The channels move to the end and back.",
    ),
    ("images", "W", 1, False): (nn.RMSNorm, (3,), "{}(x)", "Each line of pixels by itself."),
    ("images", "HW", 1, False): (nn.RMSNorm, ((2, 3),), "{}(x)", "Each channel by itself."),
    ("images", "CHW", 1, False): (nn.RMSNorm, ((4, 2, 3),), "{}(x)", "Each image by itself."),
    ("images", "NCHW", 1, False): (nn.RMSNorm, ((2, 4, 2, 3),), "{}(x)", _ALL),
    ("tokens", "C", 1, True): (
        nn.LayerNorm,
        (4,),
        "{}(x)",
        "What a transformer does: each token by itself.",
    ),
    ("tokens", "TC", 1, True): (
        nn.LayerNorm,
        ((3, 4),),
        "{}(x)",
        "Each sequence by itself: γ’s shape fixes its length.",
    ),
    ("tokens", "NTC", 1, True): (nn.LayerNorm, ((2, 3, 4),), "{}(x)", _ALL),
    ("tokens", "NT", 1, True): (nn.BatchNorm1d, (4,), _C_MIDDLE, _BATCH),
    ("tokens", "NC", 1, True): (
        nn.BatchNorm1d,
        (3,),
        "{}(x)",
        "A trap: BatchNorm1d takes the middle axis for the channels, here the tokens.",
    ),
    ("tokens", "T", 1, True): (
        nn.InstanceNorm1d,
        (4,),
        _C_MIDDLE,
        "Each channel of one sequence by itself.",
    ),
    ("tokens", "TC", 2, True): (nn.GroupNorm, (2, 4), _C_MIDDLE, "Two groups of two channels."),
    ("tokens", "TC", 4, True): (
        nn.GroupNorm,
        (4, 4),
        _C_MIDDLE,
        "One channel in each group: this is InstanceNorm.",
    ),
    ("tokens", "C", 1, False): (
        nn.RMSNorm,
        (4,),
        "{}(x)",
        "What many language models do: each token by itself, no mean.",
    ),
    ("tokens", "TC", 1, False): (nn.RMSNorm, ((3, 4),), "{}(x)", "Each sequence by itself."),
    ("tokens", "NTC", 1, False): (nn.RMSNorm, ((2, 3, 4),), "{}(x)", _ALL),
}
NO_LAYER = "No layer of PyTorch does this"


def group_numbers(layout, shared, groups=1):
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


def describe(layout, shared, groups=1, centred=True):
    """Say what PyTorch has for these axes.

    Args:
        layout, shared, groups: as in `group_numbers`.
        centred: whether the mean is subtracted.

    Returns:
        dict with the `name` of the layer, the `line` of code, γ's shape as `weight` (empty where
        there is no layer) and a `note`. Other lines share the same statistics; they are a layer's
        only where it is named.

    Example:
        >>> describe("images", "CHW", groups=2)["line"]
        'nn.GroupNorm(2, 4)(x)'
    """
    groups = groups if "C" in shared else 1
    found = _LAYERS.get((layout, shared, groups, centred))
    if found:
        cls, arguments, call, note = found
        named = {"affine": True} if "InstanceNorm" in cls.__name__ else {}
        said = ", ".join([*map(repr, arguments), *(f"{k}={v}" for k, v in named.items())])
        layer = cls(*arguments, **named)
        return {
            "name": cls.__name__,
            "line": call.format(f"nn.{cls.__name__}({said})"),
            "weight": str(tuple(layer.weight.shape)),
            "note": note,
        }
    line, note = _by_hand(layout, shared, groups, centred)
    return {"name": NO_LAYER, "line": line, "weight": "", "note": note}


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


def _answers():
    """Return what PyTorch has for every state, under the key that the front end looks up."""
    return {
        f"{layout} {shared} {groups} {int(centred)}": list(
            describe(layout, shared, groups, centred).values()
        )
        for layout, facts in LAYOUTS.items()
        for shared in _subsets(facts["axes"])
        for groups in (GROUPS if "C" in shared else GROUPS[:1])
        for centred in (True, False)
    }


class AxisPicker(StillWidget):
    """Tick the axes that share μ and σ², and see the groups, γ's shape and the layer's name.

    The browser needs no kernel. With one, the traits follow the reader's hand.

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

    _esm = join_modules("numbers.js", "page.js", "instrument.js", "axes.js")
    _css = read_style("base.css", "axes.css")

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

    def __init__(self, layout="images", **kwargs):
        kwargs = {"shared": PRESETS.get(layout, PRESETS["images"])["LayerNorm"][0]} | kwargs
        super().__init__(layout=layout, **kwargs)
        fixed = {
            "layouts": LAYOUTS,
            # Lists, for JSON that is sorted by key would sort the presets too.
            "presets": {
                where: [[name, *state] for name, state in presets.items()]
                for where, presets in PRESETS.items()
            },
            "answers": _answers(),
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
    def group_of(self):
        """Integer array of the layout's shape: the number of each cell's group."""
        return group_numbers(self.layout, self.shared, self.groups)

    @property
    def group_count(self):
        """How many groups there are."""
        return int(self.group_of.max()) + 1

    @property
    def n(self):
        """How many cells share one μ and one σ²."""
        return self.group_of.size // self.group_count

    @property
    def name(self):
        """The layer's class in torch.nn, or that there is none."""
        return self._said["name"]

    @property
    def line(self):
        """The line of PyTorch, or the lines where there is no layer; x is the input."""
        return self._said["line"]

    @property
    def weight_shape(self):
        """The shape of γ as text; empty where there is no layer."""
        return self._said["weight"]

    @property
    def _said(self):
        return describe(self.layout, self.shared, self.groups, self.centred)

    def to_html(self):
        """Return the layers that the presets name, for this layout, as an HTML table."""
        axes, shape = LAYOUTS[self.layout]["axes"], LAYOUTS[self.layout]["shape"]
        rows = ""
        for shared, groups, centred in PRESETS[self.layout].values():
            said = describe(self.layout, shared, groups, centred)
            numbers = group_numbers(self.layout, shared, groups)
            count = numbers.max() + 1
            cells = (", ".join(shared), count, numbers.size // count, said["weight"], said["line"])
            rows += f'<tr><th scope="row">{said["name"]}</th>'
            rows += "".join(f"<td>{escape(str(cell))}</td>" for cell in cells) + "</tr>"
        heads = ("layer", "axes that share", "groups", "n", "shape of γ", "PyTorch")
        header = "".join(f'<th scope="col">{head}</th>' for head in heads)
        caption = f"x has the axes ({', '.join(axes)}) and the shape {shape}."
        return (
            f'<table class="ln-still"><caption>{caption}</caption>'
            f"<thead><tr>{header}</tr></thead><tbody>{rows}</tbody></table>"
        )
