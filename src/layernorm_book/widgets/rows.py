"""What do the labs of rows share? A row x, those that go with it, ε, presets, answers on record."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from traitlets import Dict, Int, List, TraitError, Unicode, observe, validate

from layernorm_book.widgets.base import Lab, shortest_decimals
from layernorm_book.widgets.traits import FloatRows, Number, flat

SMALLEST_EPS, LARGEST_EPS, PRESET_EPS = 1e-12, 10.0, 1e-5
# Where the slider stops: four stops a decade, rounded so that Python and JavaScript agree.
EPS_STOPS = tuple(float(f"{10 ** (quarter / 4):.3g}") for quarter in range(-48, 5))
RECORDED_N = 64  # up to this n a static page carries an answer for every stop


class RowsLab(Lab):
    """A lab of a row x, or of several, and its partners: rows of the same length.

    A static page carries PyTorch's answers to the start at each stop of the slider of eps, and to
    each preset.
    """

    PRESETS: ClassVar[Sequence[Mapping[str, Any]]]  # label, story, x, and partners if not as usual
    PARTNERS: ClassVar[Mapping[str, float]]  # a partner's name: what it usually holds
    PLACEMENTS: ClassVar[tuple[str, ...]] = ("inside",)  # where eps may stand

    rows = Int(1, read_only=True).tag(sync=True)  # how many x has
    x = FloatRows().tag(sync=True)
    eps = Number(PRESET_EPS, SMALLEST_EPS, LARGEST_EPS).tag(sync=True)

    hint = Unicode(read_only=True).tag(sync=True)  # what to do with it, until a story is told
    presets = List(Dict(), read_only=True).tag(sync=True)
    recorded = List(Dict(), read_only=True).tag(sync=True)  # the start at each stop; each preset

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{name: value for name, value in kwargs.items() if value is not None})
        stops = EPS_STOPS if self.n <= RECORDED_N else ()
        start = {name: getattr(self, name) for name in ("x", *self.PARTNERS)}
        presets = [{"eps": PRESET_EPS, **preset} for preset in self.chosen_presets()]
        recorded = [self._record(start, sorted({*stops, self.eps}))]
        states = []
        for preset in presets:
            rows = {name: self._usual(name, length(preset["x"])) for name in self.PARTNERS}
            rows |= {name: preset[name] for name in start if name in preset}
            recorded.append(self._record(rows, [preset["eps"]]))
            states.append({**preset, **rows, "x": flat(preset["x"])})
        self.set_trait("presets", states)
        self.set_trait("recorded", recorded)

    @property
    def n(self) -> int:
        """How many elements a row has."""
        return length(self.x)

    def chosen_presets(self) -> Sequence[Mapping[str, Any]]:
        """Return what this lab offers: label, story, x, and partners if not as usual."""
        return self.PRESETS

    def pytorch(
        self, rows: Mapping[str, Sequence[float]], eps: float, placement: str
    ) -> torch.Tensor:
        """Return PyTorch's numbers for a state, as the lab compares them: float32, of n."""
        raise NotImplementedError

    def _record(self, rows, stops):
        answers = {
            placement: [shortest_decimals(self.pytorch(rows, eps, placement)) for eps in stops]
            for placement in self.PLACEMENTS
        }
        return {**rows, "x": flat(rows["x"]), "eps": stops, **answers}

    def _usual(self, name, n):
        return (self.PARTNERS[name],) * n

    @validate("weight", "bias", "grad_y")
    def _one_for_each_element(self, proposal):
        row, n = proposal["value"], self.n
        if len(row) != n:
            raise TraitError(
                f"{proposal['trait'].name} takes one number for each of the {n} elements of x, "
                f"got {len(row)}. Set x first when its length changes."
            )
        return row

    @observe("x")
    def _keep_lengths_equal(self, change):
        n = self.n
        with self.hold_trait_notifications():  # all of them, before anybody looks
            for name in self.PARTNERS:
                if len(getattr(self, name)) != n:
                    setattr(self, name, self._usual(name, n))


def length(x: Sequence[Any]) -> int:
    """Return how many elements a row has: x, or each row in it."""
    return len(x[0]) if isinstance(x[0], (list, tuple)) else len(x)
