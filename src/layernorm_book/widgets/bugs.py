"""Which test sees which bug, and on which input? The bug lab."""

from dataclasses import replace
from functools import lru_cache
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from traitlets import Bool, Dict, Enum, List

from layernorm_book.calling.call import Inputs
from layernorm_book.parity.bugs import BUGS, one_pass, shift_then_scale
from layernorm_book.parity.cases import answer_to, max_abs
from layernorm_book.parity.formula import LAYER_NORM, Formula, Part, zero
from layernorm_book.widgets.base import BUNDLED, Lab, html_table
from layernorm_book.widgets.counter import noise
from layernorm_book.widgets.traits import Number

_ROOT, _SQUARE = (variant.parts for variant in BUGS["missing-sqrt"].variants)
_OUTSIDE = BUGS["eps-outside-sqrt"].variants[0].parts
_ONE_PLUS = BUGS["unit-offset-weight"].variants[0].parts
PARTS: dict[str, dict[str, dict[str, Part]]] = {
    "divide": {
        "inside": {},
        "outside": dict(_OUTSIDE),
        "no-root": dict(_ROOT),
        "square": dict(_SQUARE),
    },
    "size": {
        "given": {},
        "squared": {"eps": lambda eps, n: eps * eps},
        "fixed": {"eps": lambda eps, n: 1e-6},
        "zero": {"eps": lambda eps, n: 0.0},
    },
    "axes": {
        "row": {},
        "column": {"axes": lambda ndim, k: (0,)},
        "all": {"axes": lambda ndim, k: tuple(range(ndim))},
    },
    "centre": {"mean": {}, "none": {"centre": zero, "about": zero}},
    "count": {"n": {}, "n-1": {"count": lambda n: n - 1}},
    "squares": {"two-pass": {}, "one-pass": {"squares": one_pass}},
    "precision": {"float32": {}, "bfloat16": {"widen": lambda dtype: torch.bfloat16}},
    "affine": {
        "scale-shift": {},
        "shift-scale": {"affine": shift_then_scale},
        "one-plus": dict(_ONE_PLUS),
    },
}
"""The parts of the layer that a reader can exchange: the first choice of each is right."""
RIGHT = {part: next(iter(choices)) for part, choices in PARTS.items()}

ROWS, DRAWS = 6, 20
N = (2, 3, 4, 8, 16, 64, 256, 768)
TOLERANCES = {  # what a test allows; the judge works its own out
    "assert_close": {"rtol": 1.3e-6, "atol": 1e-5},
    "1e-3": {"rtol": 1e-3, "atol": 1e-3},
}
USUAL = {"n": 4, "mean": 0.0, "sigma": 1.0, "rows": "drawn", "parameters": "fresh", "eps": 1e-5}
PRESETS: dict[str, dict[str, float]] = {
    "short randn": {},
    "n = 768": {"n": 768},
    "mean 2000": {"mean": 2000.0},
    "ε = 0.5": {"eps": 0.5},
}


class Draw(NamedTuple):
    """One drawn input: x of shape (ROWS, n), and weight and bias of shape (n,), all float32."""

    x: Tensor
    weight: Tensor
    bias: Tensor


@lru_cache(maxsize=200)
def draw(seed: int, n: int, mean: float, sigma: float, rows: str, parameters: str) -> Draw:
    """Draw an input; fresh parameters are 1 and 0, trained ones spread by a half around them.

    Level rows have this mean and sigma each, and not only on average.
    """
    z = noise(seed, (ROWS + 2) * n).reshape(ROWS + 2, n)
    if rows == "level":
        z[:ROWS] -= _serial_mean(z[:ROWS])
        z[:ROWS] /= np.sqrt(_serial_mean(z[:ROWS] ** 2))
    spread = 0.5 if parameters == "trained" else 0.0
    drawn = (mean + sigma * z[:ROWS], 1 + spread * z[ROWS], spread * z[ROWS + 1])
    return Draw(*(torch.from_numpy(v.astype(np.float32)) for v in drawn))


def _serial_mean(z):
    return np.cumsum(z, -1)[:, -1:] / z.shape[-1]  # in the browser's order


def formula(**parts: str) -> Formula:
    """Return the layer with these choices; what is not named is right."""
    exchanged = {}
    for part, choice in parts.items():
        exchanged |= PARTS[part][choice]
    return replace(LAYER_NORM, **exchanged)


class Question(NamedTuple):
    """One draw with its ε, and what does not depend on who is asked: answers and a bound."""

    inputs: Inputs
    right: Tensor  # in float64, (ROWS, n)
    pytorch: Tensor  # in float32, (ROWS, n)
    allowed: float  # by the judge


@lru_cache(maxsize=400)
def question(seed: int, *asked: Any) -> Question:
    """Draw an input as `draw` does, for the ε that comes last, and work out the answers."""
    *drawn, eps = asked
    x, weight, bias = draw(seed, *drawn)
    inputs = Inputs(x, x.shape[-1:], weight, bias, eps, torch.ones_like(x))
    pytorch = F.layer_norm(x, x.shape[-1:], weight, bias, eps)
    answer = answer_to(inputs)
    right = answer.expected["y"]
    assert right is not None  # there is a y always
    return Question(inputs, right, pytorch, answer.allowed["y"])


class Seen(NamedTuple):
    """What came of one question: the largest error, and which tests pass the layer."""

    error: float
    passed: tuple[bool, ...]


def compare(layer: Formula, asked: Question) -> Seen:
    """Ask a layer, as a usual test does against PyTorch, and as the judge does."""
    y = layer.run(asked.inputs)
    error = max_abs(y.double() - asked.right)
    passed = [torch.allclose(y, asked.pytorch, **bound) for bound in TOLERANCES.values()]
    return Seen(error, (*passed, error <= asked.allowed))


@lru_cache(maxsize=400)
def passes(parts: tuple[str, ...], *asked: Any) -> list[int]:
    """Return in how many of the draws each test passes the layer: the two usual ones, the judge."""
    layer = formula(**dict(zip(PARTS, parts, strict=True)))
    seen = (compare(layer, question(seed, *asked)).passed for seed in range(DRAWS))
    return [sum(passed) for passed in zip(*seen, strict=True)]


class Asked(Lab):
    """What a layer is asked, for the two labs that ask one."""

    n = Enum(N, 4).tag(sync=True)
    mean = Number(0.0, 0.0, 1e4).tag(sync=True)
    sigma = Number(1.0, 1e-3, 100.0).tag(sync=True)
    rows = Enum(["drawn", "level"], "drawn").tag(sync=True)
    parameters = Enum(["fresh", "trained"], "fresh").tag(sync=True)
    eps = Number(1e-5, 1e-12, 10.0).tag(sync=True)

    presets = List(Dict(), read_only=True).tag(sync=True)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.set_trait("presets", [{"label": k} | USUAL | v for k, v in PRESETS.items()])

    def _input(self):
        return {key: getattr(self, key) for key in USUAL}


class BugLab(Asked):
    """Choose what is wrong with a layer and what it is asked, and see which tests pass it.

    The layer runs on 20 drawn inputs of six rows; its errors lie beside what two usual tests and
    the judge allow. The browser computes by itself, in float32. With a live kernel PyTorch runs
    the same layer on the same inputs.

    Args:
        divide, size, axes, centre, count, squares, precision, affine: the parts of the layer, as in
            `PARTS`.
        n: how many numbers a row has, one of `N`.
        mean, sigma: of the numbers that are drawn.
        rows: "drawn", or "level" where each row has exactly this mean and sigma.
        parameters: "fresh" for γ = 1 and β = 0, "trained" for drawn ones.
        eps: what the layer is given.
        brief: whether half of the parts stand behind "More", and the judge is left out.

    Raises:
        TraitError: a value is none of these; nothing changes.

    Example:
        >>> BugLab(divide="outside", eps=0.5).answer["passes"]
        [0, 0, 0]
    """

    _esm, _css = BUNDLED / "bugs.js", BUNDLED / "bugs.css"

    STATE = (*PARTS, *USUAL)

    divide = Enum(list(PARTS["divide"]), "outside").tag(sync=True)
    size = Enum(list(PARTS["size"]), "given").tag(sync=True)
    axes = Enum(list(PARTS["axes"]), "row").tag(sync=True)
    centre = Enum(list(PARTS["centre"]), "mean").tag(sync=True)
    count = Enum(list(PARTS["count"]), "n").tag(sync=True)
    squares = Enum(list(PARTS["squares"]), "two-pass").tag(sync=True)
    precision = Enum(list(PARTS["precision"]), "float32").tag(sync=True)
    affine = Enum(list(PARTS["affine"]), "scale-shift").tag(sync=True)
    brief = Bool(False).tag(sync=True)
    recorded = List(Dict(), read_only=True).tag(sync=True)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        records = [self._record()]
        for parts, changed in product(one_fault_each(), PRESETS.values()):
            records.append(record(parts, USUAL | changed))
        self.set_trait("recorded", records)

    def _record(self):
        parts = {part: getattr(self, part) for part in PARTS}
        return record(parts, self._input())

    def ask_pytorch(self) -> dict[str, Any]:
        """Return in how many of the draws each test passes the layer, run by PyTorch."""
        return {"passes": self._record()["passes"]}

    def to_html(self) -> str:
        """Return, as an HTML table, how many draws of each preset let each fault pass."""
        rows = {}
        for parts in one_fault_each():
            wrong = [choice for part, choice in parts.items() if choice != RIGHT[part]]
            cells = [record(parts, USUAL | v)["passes"][0] for v in PRESETS.values()]
            rows[wrong[0] if wrong else "nothing is wrong"] = cells
        caption = f"In how many of {DRAWS} draws assert_close passes a layer with one fault."
        return html_table(caption, ["fault", *PRESETS], rows)


def one_fault_each() -> list[dict[str, str]]:
    """Return the parts of the right layer, and of each layer with one fault."""
    faults = [{p: c} for p, choices in PARTS.items() for c in list(choices)[1:]]
    return [RIGHT | fault for fault in ({}, *faults)]


def record(parts: dict[str, str], asked: dict[str, Any]) -> dict[str, Any]:
    """Return parts and input with the counts of `passes`, for JSON."""
    found = passes(tuple(parts.values()), *(asked[key] for key in USUAL))
    return {**parts, **asked, "passes": found}
