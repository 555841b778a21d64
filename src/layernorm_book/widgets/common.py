"""What the book's widgets share: traits that refuse what they cannot take, and the still table."""

import sys
from html import escape

import anywidget
import numpy as np
import torch
from traitlets import TraitError, TraitType, Undefined

LARGEST_N, LARGEST_SIZE = 4096, 1e9
SMALLEST_EPS, LARGEST_EPS, PRESET_EPS = 1e-12, 10.0, 1e-5
# Where the slider stops: four stops a decade, rounded so that Python and JavaScript agree.
EPS_STOPS = tuple(float(f"{10 ** (quarter / 4):.3g}") for quarter in range(-48, 5))


class Number(TraitType):
    """A finite number between two bounds."""

    def __init__(self, default_value, least, most):
        super().__init__(default_value)
        self.least, self.most = least, most

    def validate(self, obj, value):
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


class Row(TraitType):
    """One row of finite numbers: a list, tuple, array or tensor, kept as a tuple of floats."""

    def __init__(self, default_value=Undefined, most=LARGEST_N):
        super().__init__(default_value)
        self.most = most

    def validate(self, obj, value):
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


class StillWidget(anywidget.AnyWidget):
    """A widget that also shows as a table, by its `to_html`, where no script runs."""

    def _repr_mimebundle_(self, **kwargs):
        """Add a table of the state, for whoever shows this output without running its script."""
        bundle = super()._repr_mimebundle_(**kwargs)
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        if data and "google.colab" not in sys.modules:  # Colab always runs scripts
            data["text/html"] = self.to_html()
        return bundle


def still_table(caption, steps, most=12):
    """Return rows of numbers as an HTML table: the first `most` elements of each.

    Args:
        caption: what the table shows, in a sentence.
        steps: {name: sequence of n numbers}.
        most: how many elements are shown.
    """
    columns = range(min(len(next(iter(steps.values()))), most))
    header = "".join(f'<th scope="col">{i}</th>' for i in columns)
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th>'
        + "".join(f"<td>{values[i]:.4g}</td>" for i in columns)
        + "</tr>"
        for name, values in steps.items()
    )
    return (
        f'<table class="ln-still"><caption>{escape(caption)}</caption>'
        f'<thead><tr><th scope="col">element</th>{header}</tr></thead>'
        f"<tbody>{rows}</tbody></table>"
    )


def shortest_decimals(tensor):
    """Return float32 numbers as the shortest decimals that round back to them."""
    return [float(str(v)) for v in tensor.numpy()]


def _shortened(value):
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
