"""Which values does a lab take? Traits that refuse the others and say what is allowed."""

from typing import Any

import numpy as np
import torch
from traitlets import TraitError, TraitType, Undefined

LARGEST_N, LARGEST_SIZE = 4096, 1e9


class Number(TraitType):
    """A finite number between two bounds."""

    def __init__(self, default_value: float, least: float, most: float) -> None:
        super().__init__(default_value)
        self.least, self.most = least, most

    def validate(self, obj: object, value: Any) -> float:
        """Return the value as a float, or raise a TraitError that says what is allowed."""
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = float("nan")
        if isinstance(value, (str, bool)) or not self.least <= number <= self.most:
            raise TraitError(
                f"{self.name} takes a number from {self.least:g} to {self.most:g}, got {value!r}."
            )
        return number


class FloatVector(TraitType):
    """One row of finite numbers: a list, tuple, array or tensor, kept as a tuple of floats."""

    def __init__(self, default_value: Any = Undefined, most: int = LARGEST_N) -> None:
        super().__init__(default_value)
        self.most = most

    def validate(self, obj: object, value: Any) -> tuple[float, ...]:
        """Return the row as a tuple, which cannot change unseen; or raise a TraitError."""
        try:
            given = value.detach().cpu() if isinstance(value, torch.Tensor) else value
            row = np.asarray(given)
            good = row.dtype.kind in "iuf" and row.ndim == 1 and 1 <= row.size <= self.most
        except (TypeError, ValueError):
            good = False
        if not good or not (np.abs(row) <= LARGEST_SIZE).all():
            raise TraitError(
                f"{self.name} takes one row of 1 to {self.most} finite numbers, none larger than "
                f"{LARGEST_SIZE:g}, such as [1.0, 2.0, 4.0]; got {_shortened(value)}."
            )
        return tuple(float(v) for v in row)


class FloatRows(FloatVector):
    """One row of numbers, or as many of one length as the widget has `rows`; sent as one list."""

    def __init__(self, default_value: Any = Undefined, most: int = LARGEST_N) -> None:
        super().__init__(default_value, most)
        self.tag(to_json=lambda value, _: flat(value), from_json=_cut)

    def validate(self, obj: object, value: Any) -> tuple[Any, ...]:
        """Return one row as a tuple of floats, several as a tuple of those; or raise."""
        rows = getattr(obj, "rows", 1)
        if rows == 1:
            return super().validate(obj, value)
        try:
            given = (
                value.detach().cpu().tolist() if isinstance(value, torch.Tensor) else list(value)
            )
            parts = tuple(super(FloatRows, self).validate(obj, row) for row in given)
        except TypeError:
            parts = ()
        if len(parts) != rows or len({len(part) for part in parts}) != 1:
            raise TraitError(
                f"{self.name} takes {rows} rows of one length here, such as "
                f"[[1.0, 2.0, 4.0], [0.0, 5.0, 1.0]]; got {_shortened(value)}."
            )
        return parts


def flat(rows: tuple[Any, ...]) -> tuple[float, ...]:
    """Return one row, or several one after the other, as one tuple."""
    nested = isinstance(rows[0], (tuple, list))
    return tuple(v for row in rows for v in row) if nested else rows


def _cut(values, widget):
    rows = widget.rows
    if rows == 1:
        return values
    n = len(values) // rows
    return tuple(tuple(values[r * n : (r + 1) * n]) for r in range(rows))


def _shortened(value):
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
