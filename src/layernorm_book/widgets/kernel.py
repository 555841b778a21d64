"""Where does the time go? The kernel lab: rows on their way between memory, cache and registers."""

from typing import Any

from traitlets import Bool, Dict, Enum, Int

from layernorm_book.widgets.base import BUNDLED, Lab, html_table
from layernorm_book.widgets.traffic import (
    AUTOGRAD,
    BYTES,
    DIRECTIONS,
    PROGRAMS,
    WAYS,
    Traffic,
    traffic,
)
from layernorm_book.widgets.traits import Number

MACHINE = {"rows": (4, 12, 16), "n": (64, 768, 4096), "cache": (2, 8, 80), "block": (1, 2, 16)}


def _count(name):
    least, usual, most = MACHINE[name]
    return Int(usual, min=least, max=most).tag(sync=True)


class KernelLab(Lab):
    """Scrub through a LayerNorm, and count the bytes that move.

    A small machine: x has a dozen rows, and the cache holds eight. Counted is what passes between
    memory and the cache until the result is in memory, in copies: reading x once and writing as
    much once.

    Args:
        way: "plain", one array for each operation, as PyTorch runs the formula; "in place", one
            array for all; "in blocks", the same on a few rows at a time; or "fused", one loop.
        direction: "forward" or "backward".
        done: how much of it has run, from 0 to 1.
        rows, n: the shape of x, from 4 to 16 rows of 64 to 4096 float32 numbers.
        cache: how many rows the cache holds, from 2 to 80.
        block: how many rows a block has, from 1 to 16.
        kernels: 2 where a fused backward sums the gradients of γ and β in a kernel of its own, as
            PyTorch does on a GPU; 1 where it does not, as on a CPU.
        allocate: whether a row is fetched before it is written, if the cache does not hold it.

    Raises:
        TraitError: a value is not allowed; the message says what is, and nothing changes.

    Example:
        >>> KernelLab("plain").copies, KernelLab("fused").copies
        (7.0, 1.0)
    """

    _esm, _css = BUNDLED / "kernel.js", BUNDLED / "kernel.css"

    STATE = ("way", "direction", "kernels", "allocate", *MACHINE, "done")

    way = Enum(WAYS, "plain").tag(sync=True)
    direction = Enum(DIRECTIONS, "forward").tag(sync=True)
    kernels = Int(2, min=1, max=2).tag(sync=True)
    allocate = Bool(False).tag(sync=True)
    rows, n, cache, block = map(_count, MACHINE)
    done = Number(0.0, 0.0, 1.0).tag(sync=True)
    programs = Dict(PROGRAMS, read_only=True).tag(sync=True)
    autograd = Int(AUTOGRAD, read_only=True).tag(sync=True)

    def __init__(self, way: str = "plain", direction: str = "forward", **kwargs: Any) -> None:
        super().__init__(way=way, direction=direction, **kwargs)

    def traffic(self, way: str | None = None) -> Traffic:
        """Return what this way, or another on the same machine, has moved in the end."""
        machine = {name: getattr(self, name) for name in ("rows", "cache", "block")}
        return traffic(
            way or self.way,
            self.direction,
            **machine,
            kernels=self.kernels,
            allocate=self.allocate,
        )

    @property
    def copies(self) -> float:
        """What moves to and from memory in the end, as multiples of one copy."""
        moved = self.traffic()
        return (moved.read + moved.written) / (2 * self.rows)

    @property
    def bytes(self) -> int:
        """How many bytes move to and from memory in the end."""
        moved = self.traffic()
        return (moved.read + moved.written) * self.n * BYTES

    def to_html(self) -> str:
        """Return what each way moves as an HTML table."""
        caption = (
            f"{self.direction.capitalize()}: copies through memory, for {self.rows} rows of "
            f"{self.n} and a cache of {self.cache} rows."
        )
        rows = {}
        for way in WAYS:
            moved = self.traffic(way)
            counts = (moved.read, moved.written, moved.read + moved.written)
            rows[way] = [f"{count / (2 * self.rows):.4g}" for count in counts]
        return html_table(caption, ["way", "read", "written", "both"], rows)
