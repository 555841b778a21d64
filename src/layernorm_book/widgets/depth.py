"""Why normalize at all? A row on its way through many blocks: the depth lab."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import layer_norm
from traitlets import Bool, Dict, Enum, Int, List, TraitError, Unicode, validate

from layernorm_book.widgets.base import BUNDLED, Lab, html_table
from layernorm_book.widgets.counter import noise
from layernorm_book.widgets.traits import Number

WIDTH, MOST = 32, 48  # numbers in a row, blocks
SEEDS = 8
NORMS = ("none", "layernorm")  # before each block x → f(x)
PLACES = ("none", "post", "pre", "peri")  # with a skip around each block: x → x + f(x)
NAMES = {"none": "without LayerNorm", "layernorm": "with LayerNorm"} | {
    place: f"{place}-LN" for place in PLACES[1:]
}
PRESETS: dict[str, dict[str, float]] = {
    "weights × ½": {"scale": 0.5},
    "× 1": {"scale": 1.0},
    "× 8": {"scale": 8.0},
}


@lru_cache(maxsize=SEEDS)
def draw(seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return what a seed stands for, float32: a row, an upstream gradient, weights.

    Returns:
        Of shape (WIDTH,), (WIDTH,) and (MOST, WIDTH, WIDTH); the weights have the standard
        deviation √(2/WIDTH), which makes up for the half of the mean square that relu takes away.
    """
    z = noise(seed, (2 + MOST * WIDTH) * WIDTH).reshape(-1, WIDTH)
    weights = np.sqrt(2 / WIDTH) * z[2:].reshape(MOST, WIDTH, WIDTH)
    return tuple(torch.from_numpy(v.astype(np.float32)) for v in (z[0], z[1], weights))


def run(
    scale: float, depth: int, norm: str, seed: int = 6, skip: bool = False
) -> tuple[list[Tensor], list[Tensor]]:
    """Send a row through blocks, with f(x) = W·relu(x) and N for LayerNorm, in PyTorch.

    Each number is stored as float32, and each sum of a product runs in float64: at the edge of
    float32 the order in which a machine adds would otherwise decide between ∞ and NaN.

    Args:
        scale: what all weights are multiplied by.
        depth: how many blocks.
        norm: without a skip "none", f(x), or "layernorm", f(N(x)); with it "none", x + f(x),
            "post", N(x + f(x)), "pre", x + f(N(x)), or "peri", x + N(f(N(x))).
        seed: which weights.
        skip: whether x is added to what the block makes of it.

    Returns:
        The row before the first block and after each, and the gradient that comes back to each of
        these: depth + 1 tensors of shape (WIDTH,), float32.
    """
    x, upstream, weights = draw(seed)
    rows = [x.clone().requires_grad_()]  # the drawn row itself is kept for the next call
    for weight in (scale * weights)[:depth]:
        row = _norm(rows[-1]) if norm in ("layernorm", "pre", "peri") else rows[-1]
        out = torch.mv(weight.double(), torch.relu(row).double()).float()
        out = _norm(out) if norm == "peri" else out
        out = rows[-1] + out if skip else out
        rows.append(_norm(out) if norm == "post" else out)
    grads = torch.autograd.grad(rows[-1], rows, upstream)
    return [row.detach() for row in rows], list(grads)


def _norm(row):
    return layer_norm(row, (WIDTH,))


def sizes(rows: list[Tensor]) -> list[float]:
    """Return the root of the mean square of each row, worked out in float64."""
    return [row.double().square().mean().sqrt().item() for row in rows]


class DepthLab(Lab):
    """Send a row of 32 numbers through up to 48 blocks, with LayerNorm or without.

    The browser computes every block in float32. With a live kernel PyTorch sends the same row
    through the same weights on every change. On a static page its answers to the buttons are on
    record.

    Args:
        scale: what all weights are multiplied by, from 1/8 to 8; at 1 they have the standard
            deviation √(2/32), at which rows hardly grow or shrink.
        depth: blocks, from 1 to 48.
        norm: what stands before each block, "none" or "layernorm"; or one of `norms`.
        seed: which weights are drawn, from 0 to 7.
        own: whether the map shows each row divided by its own size.
        norms: what the reader may choose from: ("none", "layernorm"), or some of "none", "post",
            "pre" and "peri". With one of the last three, each block is x → x + f(x), and they are
            the places where LayerNorm may stand in it.

    Raises:
        TraitError: a value is none of these; nothing changes.

    Example:
        >>> lab = DepthLab(scale=4.0, norm="layernorm")
        >>> 1 < lab.sizes[-1] < 10
        True
        >>> lab = DepthLab(scale=1.0, norm="post", norms=("none", "post", "pre"))
        >>> round(lab.sizes[-1], 3)
        1.0
    """

    _esm, _css = BUNDLED / "depth.js", BUNDLED / "depth.css"

    STATE = ("scale", "depth", "norm", "own", "seed")

    scale = Number(4.0, 0.125, 8.0).tag(sync=True)
    depth = Int(MOST, min=1, max=MOST).tag(sync=True)
    norm = Enum(("none", "layernorm", *PLACES[1:]), "none").tag(sync=True)
    seed = Int(6, min=0, max=SEEDS - 1).tag(sync=True)
    own = Bool(False).tag(sync=True)
    sizes = List(read_only=True)  # of the row before the first block and after each

    norms = List(Unicode(), list(NORMS), read_only=True).tag(sync=True)
    presets = List(Dict(), read_only=True).tag(sync=True)
    recorded = List(Dict(), read_only=True).tag(sync=True)  # the start and the buttons, both norms

    def __init__(
        self,
        scale: float = 4.0,
        depth: int = MOST,
        norm: str = "none",
        seed: int = 6,
        norms: Sequence[str] = NORMS,
        **kwargs: Any,
    ) -> None:
        if not (set(norms) <= set(NORMS) or set(norms) <= set(PLACES)) or not norms:
            raise TraitError(f"norms takes some of {NORMS}, or some of {PLACES}; got {norms}.")
        self.set_trait("norms", list(norms))
        super().__init__(scale=scale, depth=depth, norm=norm, seed=seed, **kwargs)
        self.set_trait("presets", [{"label": label, **preset} for label, preset in PRESETS.items()])
        scales = {scale, *(preset["scale"] for preset in PRESETS.values())}
        states = [(scale, norm) for scale in sorted(scales) for norm in norms]
        records = [_record(scale, MOST, norm, seed, self.skip) for scale, norm in states]
        self.set_trait("recorded", records)

    @validate("norm")
    def _is_on_offer(self, proposal):
        if proposal["value"] not in self.norms:
            given = ", ".join(self.norms)
            raise TraitError(f"norm takes any of {given} here, got {proposal['value']!r}.")
        return proposal["value"]

    @property
    def skip(self) -> bool:
        """Whether each block adds its row to what it makes of it."""
        return bool(set(self.norms) & set(PLACES[1:]))

    def ask_pytorch(self) -> dict[str, Any]:
        """Let `sizes` follow; return them, as text where JSON has no number."""
        record = _record(self.scale, self.depth, self.norm, self.seed, self.skip)
        self.set_trait("sizes", [float(size) for size in record["sizes"]])
        return {"sizes": record["sizes"]}

    def to_html(self) -> str:
        """Return an HTML table: the size after some blocks, without the layer and with it."""
        blocks = [block for block in (1, 6, 12, 24, 48) if block <= self.depth]
        rows = {}
        for norm in self.norms:
            found = sizes(run(self.scale, self.depth, norm, self.seed, self.skip)[0])
            rows[NAMES[norm]] = [f"{found[block]:.2g}" for block in blocks]
        finding = (
            "A stream that is never normalized grows."
            if self.skip
            else "Without the layer it explodes or vanishes, with it it stays."
        )
        caption = (
            f"Size (root mean square) of a row after each block, weights × {self.scale:g}. "
            f"{finding}"
        )
        return html_table(caption, ["after block", *map(str, blocks)], rows)


def _record(scale, depth, norm, seed, skip):
    found = sizes(run(scale, depth, norm, seed, skip)[0])
    shown = [float(f"{v:.6g}") if np.isfinite(v) else str(v) for v in found]
    return {"scale": scale, "norm": norm, "seed": seed, "sizes": shown}
