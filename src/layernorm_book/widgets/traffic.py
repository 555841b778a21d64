"""How many bytes does a LayerNorm move? Its loops as tables, and one cache to run them on.

The unit is one row of an array. A loop takes its rows from the cache, which fetches what it does
not hold from memory, and leaves its result in the cache. When room is needed, the row that was used
longest ago leaves, and is written to memory if memory has not got it.

Statistics, γ, β and their gradients are not counted: beside 8,192 rows of 768 numbers, two numbers
for each row and two rows of 768 are less than 0.3% of an array.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

WAYS = ("plain", "in place", "in blocks", "fused")
DIRECTIONS = ("forward", "backward")
BYTES = 4  # of a float32
AUTOGRAD = 20
"""Copies that autograd makes of the plain formula; the chapter on speed counts them."""


def _loop(name, mark, reads, writes="", kind=""):
    """A loop over rows: its name, a short mark, the arrays read and written, what is written."""
    return {"name": name, "mark": mark, "reads": reads.split(), "writes": writes, "kind": kind}


def _program(arrays, result, *groups):
    """A program: {array: what it holds at first}, which one is the result, and groups of loops."""
    loops = [dict(zip(("over", "local", "loops"), group, strict=True)) for group in groups]
    return {"arrays": arrays, "result": result, "groups": loops}


# What PyTorch runs for (x - mean) / sqrt(var + eps) * weight + bias: six new arrays, but never more
# than two at once, and memory that was freed is handed out again.
_PLAIN = (
    _loop("the mean of x", "μ", "x"),
    _loop("x − μ", "−μ", "x", "a", "centred"),
    _loop("its square", "( )²", "a", "b", "square"),
    _loop("the mean of the squares", "σ²", "b"),
    _loop("x − μ once more", "−μ", "x", "a", "centred"),
    _loop("divided by √(σ² + ε)", "÷σ", "a", "b", "x_hat"),
    _loop("times γ", "·γ", "b", "a", "scaled"),
    _loop("plus β", "+β", "a", "b", "y"),
)
_IN_PLACE = (
    _loop("the mean of x", "μ", "x"),
    _loop("x − μ", "−μ", "x", "y", "centred"),
    _loop("the sum of the squares", "σ²", "y"),
    _loop("divided by √(σ² + ε)", "÷σ", "y", "y", "x_hat"),
    _loop("times γ", "·γ", "y", "y", "scaled"),
    _loop("plus β", "+β", "y", "y", "y"),
)
_FUSED = (
    _loop("the mean and the variance", "μσ", "x"),
    _loop("x̂, times γ, plus β", "y", "x", "y", "y"),
)

# The three terms of grad_x, each operation an array; μ and 1/σ were kept.
_PLAIN_BACK = (
    _loop("x − μ", "−μ", "x", "a", "centred"),
    _loop("x̂", "÷σ", "a", "b", "x_hat"),
    _loop("grad_y · x̂", "·x̂", "grad_y b", "a", "share"),
    _loop("its sum over the rows, for γ", "Σγ", "a"),
    _loop("the sum of grad_y over the rows, for β", "Σβ", "grad_y"),
    _loop("g = grad_y · γ", "·γ", "grad_y", "a", "g"),
    _loop("the mean of g", "ḡ", "a"),
    _loop("g · x̂", "·x̂", "a b", "c", "product"),
    _loop("its mean", "m", "c"),
    _loop("x̂ times that mean", "·m", "b", "c", "line"),
    _loop("g minus its mean", "−ḡ", "a", "b", "g"),
    _loop("minus x̂ times that mean", "−", "b c", "a", "g"),
    _loop("divided by σ", "÷σ", "a", "b", "grad_x"),
)
_IN_PLACE_BACK = (
    _loop("x − μ", "−μ", "x", "a", "centred"),
    _loop("x̂", "÷σ", "a", "a", "x_hat"),
    _loop("the sum of grad_y · x̂ over the rows, for γ", "Σγ", "grad_y a"),
    _loop("the sum of grad_y over the rows, for β", "Σβ", "grad_y"),
    _loop("g = grad_y · γ", "·γ", "grad_y", "d", "g"),
    _loop("the mean of g", "ḡ", "d"),
    _loop("the mean of g · x̂", "m", "d a"),
    _loop("x̂ times that mean", "·m", "a", "a", "line"),
    _loop("g minus its mean", "−ḡ", "d", "d", "g"),
    _loop("minus x̂ times that mean", "−", "d a", "d", "g"),
    _loop("divided by σ", "÷σ", "d", "d", "grad_x"),
)
# As PyTorch's CUDA kernels: compute_gI, then GammaBetaBackwardCUDAKernel.
_MEANS = _loop("the means of g and of g · x̂", "m", "x grad_y")
_GRAD_X = _loop("grad_x", "gx", "x grad_y", "d", "grad_x")
_SUMS = _loop("the sums over the rows, for γ and β", "Σ", "x grad_y")
# As its CPU kernel, which adds each row to partial sums for γ and β, one for each thread.
_FUSED_BACK = (
    _loop("grad_y · x̂, added up for γ", "Σγ", "grad_y x"),
    _loop("grad_y, added up for β", "Σβ", "grad_y"),
    _loop("the mean of g · x", "m", "grad_y x"),
    _loop("the mean of g", "ḡ", "grad_y"),
    _loop("grad_x", "gx", "grad_y x", "d", "grad_x"),
)

_TWO = {"x": "x", "y": ""}
_FOUR = {"x": "x", "grad_y": "grad_y", "a": "", "d": ""}
_THREE = {"x": "x", "grad_y": "grad_y", "d": ""}
# A group's loops run over the whole array one after the other; or all of them over a block of rows,
# then over the next; or all over a row. A local array is as long as the block and is used again.
PROGRAMS = {
    "forward plain": _program({"x": "x", "a": "", "b": ""}, "b", ("array", "", _PLAIN)),
    "forward in place": _program(_TWO, "y", ("array", "", _IN_PLACE)),
    "forward in blocks": _program(_TWO, "y", ("block", "", _IN_PLACE)),
    "forward fused": _program(_TWO, "y", ("row", "", _FUSED)),
    "backward plain": _program(
        {"x": "x", "grad_y": "grad_y", "a": "", "b": "", "c": ""}, "b", ("array", "", _PLAIN_BACK)
    ),
    "backward in place": _program(_FOUR, "d", ("array", "", _IN_PLACE_BACK)),
    "backward in blocks": _program(_FOUR, "d", ("block", "a", _IN_PLACE_BACK)),
    "backward fused": _program(
        _THREE, "d", ("row", "", (_MEANS, _GRAD_X)), ("array", "", (_SUMS,))
    ),
    "backward fused, one kernel": _program(_THREE, "d", ("row", "", _FUSED_BACK)),
}


def program(way: str, direction: str = "forward", kernels: int = 2) -> dict[str, Any]:
    """Return a row of `PROGRAMS`: the arrays, which one is the result, and the loops."""
    one = kernels == 1 and way == "fused" and direction == "backward"
    return PROGRAMS[f"{direction} {way}" + (", one kernel" if one else "")]


def ticks(groups: Any, rows: int, block: int) -> Iterator[tuple[dict[str, Any], int, int, str]]:
    """Yield what is done, in order: (loop, row, first row of its block, the local array)."""
    for group in groups:
        size = {"array": rows, "block": min(block, rows), "row": 1}[group["over"]]
        for start in range(0, rows, size):
            for loop in group["loops"]:
                for row in range(start, min(start + size, rows)):
                    yield loop, row, start, group["local"]


@dataclass
class Traffic:
    """What has moved, in rows, and where things stand.

    Attributes:
        read, written: rows that came from memory into the cache, and went back.
        loaded, stored: rows that came from the cache into registers, and went back.
        cache: {(array, row): (what it is, whether memory has not got it)}, the oldest use first.
        memory: {(array, row): what memory holds there}.
    """

    read: int
    written: int
    loaded: int
    stored: int
    cache: dict[tuple[str, int], tuple[str, bool]]
    memory: dict[tuple[str, int], str]


def traffic(
    way: str,
    direction: str = "forward",
    *,
    rows: int = 12,
    cache: int = 8,
    block: int = 2,
    kernels: int = 2,
    allocate: bool = False,
    until: int | None = None,
) -> Traffic:
    """Count the rows that a LayerNorm moves until its result is in memory.

    Args:
        way, direction: one of `WAYS` and of `DIRECTIONS`.
        rows: how many rows x has.
        cache: how many rows the cache holds.
        block: how many rows `in blocks` takes at a time.
        kernels: 2 where a fused backward sums γ's and β's gradients in a kernel of its own.
        allocate: whether a row that is written is fetched first, if the cache does not hold it.
        until: after how many rows of loops to stop; by default when the result is in memory.

    Example:
        >>> plain, fused = traffic("plain"), traffic("fused")
        >>> (plain.read + plain.written) / (fused.read + fused.written)
        7.0
    """
    what = program(way, direction, kernels)
    done = Traffic(0, 0, 0, 0, {}, {})
    for array, kind in what["arrays"].items():
        if kind:
            done.memory.update({(array, row): kind for row in range(rows)})

    def put(key, kind, dirty):
        done.cache.pop(key, None)
        done.cache[key] = (kind, dirty)
        if len(done.cache) > cache:
            write(next(iter(done.cache)))

    def write(key, leave=True):
        kind, dirty = done.cache.pop(key) if leave else done.cache[key]
        if dirty:
            done.memory[key] = kind
            done.written += 1
            if not leave:
                done.cache[key] = (kind, False)

    steps = list(ticks(what["groups"], rows, block))
    for loop, row, start, local in steps[:until]:
        for array in loop["reads"]:
            key = (array, row - start if array == local else row)
            if key not in done.cache:
                done.read += 1
            put(key, *done.cache.get(key, (done.memory.get(key, ""), False)))
            done.loaded += 1
        if array := loop["writes"]:
            key = (array, row - start if array == local else row)
            done.read += allocate and key not in done.cache
            put(key, loop["kind"], True)
            done.stored += 1
    if until is None or until > len(steps):
        for key in [key for key in done.cache if key[0] == what["result"]]:
            write(key, leave=False)
    return done


def copies(way: str, direction: str = "forward", **machine: Any) -> float:
    """Return what moves to and from memory, as multiples of one copy, which reads and writes x."""
    moved = traffic(way, direction, **machine)
    return (moved.read + moved.written) / (2 * machine.get("rows", 12))
