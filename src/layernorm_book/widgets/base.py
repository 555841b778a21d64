"""What is every lab in Python? A state that the reader and Python share, and PyTorch's answer."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, ClassVar

import anywidget
import torch
from traitlets import Dict, Int

BUNDLED = Path(__file__).parent / "bundled"  # the front ends, as `make bundle` makes them


class StaticFallback(anywidget.AnyWidget):
    """A widget that also shows as a table, by its `to_html`, where no script runs."""

    def to_html(self) -> str:
        """Return the state as an HTML table."""
        raise NotImplementedError

    def _repr_mimebundle_(self, **kwargs):
        """Add a table of the state, for whoever shows this output without running its script."""
        bundle = super()._repr_mimebundle_(**kwargs)
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        if data and "google.colab" not in sys.modules:  # Colab always runs scripts
            data["text/html"] = self.to_html()
        return bundle


class Lab(StaticFallback):
    """A lab: its state in traits, and what PyTorch says to it.

    The front end sends what the reader changes together with the next `revision`. PyTorch's
    answer goes back under the same number, so that no answer is shown beside another state.
    """

    STATE: ClassVar[tuple[str, ...]] = ()  # the traits that reader, link and Python may change

    revision = Int(0).tag(sync=True)
    answer = Dict(read_only=True).tag(sync=True)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.observe(self._answer, ["revision", *self.STATE])
        self._answer()

    def ask_pytorch(self) -> dict[str, Any]:
        """Return PyTorch's answer to the state as it is now, for JSON; by default there is none."""
        return {}

    def _answer(self, change=None):
        if pytorch_answer := self.ask_pytorch():
            self.set_trait("answer", {"revision": self.revision, **pytorch_answer})

    def notify_change(self, change):
        """Let a change and what follows from it leave in one message."""
        with self.hold_sync():
            super().notify_change(change)


def html_table(caption: str, header: Iterable[str], rows: Mapping[str, Iterable[object]]) -> str:
    """Return an HTML table.

    Args:
        caption: what the table shows, in a sentence.
        header: what stands above each column, the names of the rows included.
        rows: {name: what stands in the row}.
    """
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in header)
    body = "".join(
        f'<tr><th scope="row">{escape(name)}</th>'
        + "".join(f"<td>{escape(str(cell))}</td>" for cell in cells)
        + "</tr>"
        for name, cells in rows.items()
    )
    return (
        f'<table class="ln-still"><caption>{escape(caption)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )


def elements_table(caption: str, steps: Mapping[str, Sequence[float]], most: int = 12) -> str:
    """Return rows of n numbers as an HTML table: the first `most` elements of each."""
    n = min(len(next(iter(steps.values()))), most)
    rows = {name: [f"{values[i]:.4g}" for i in range(n)] for name, values in steps.items()}
    return html_table(caption, ["element", *map(str, range(n))], rows)


def shortest_decimals(tensor: torch.Tensor) -> list[float]:
    """Return float32 numbers as the shortest decimals that round back to them."""
    return [shortest_decimals(v) if v.ndim else float(str(v.numpy()[()])) for v in tensor]
