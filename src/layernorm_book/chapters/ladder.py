"""How few copies can a layer norm do with? The versions that the chapter on speed times.

The chapter types the plain formula itself; these move less. Those that write into y do so to save
what a new array costs.
"""

from inspect import getsource
from textwrap import dedent

import torch
import torch.nn.functional as F
from torch import Tensor

from layernorm_book.chapters.timing import in_words

ROWS = 512
"""How many rows a block has."""
COPIES = {
    "one_block": ROWS / 40960,  # of the chapter's rows: it comes in once, and stays
    "copy": 1,
    "fused": 1,
    "compiled": 1,
    "in_blocks": 1,
    "in_place": 5,
    "plain": 7,
}
"""How many copies must pass through memory, if a block stays in the cache and x does not."""
FETCHED = {"plain": 20 / 3, "in_place": 11 / 3}
"""The same on a machine that fetches what it is about to overwrite, if the cache lacks it.

A copy then moves three arrays. Plain reads eight and writes six; in place reads six and writes
four, three of them over what it has just read. For the others the count stays what it is.
"""


def in_place(x: Tensor, weight: Tensor, bias: Tensor, y: Tensor) -> None:
    """Write the layer norm of x into y: x − μ is computed once, one operation squares and adds.

    The comments count copies.

    Args:
        x: tensor of shape (rows, n).
        weight, bias: tensors of shape (n,).
        y: tensor of the shape of x.
    """
    torch.sub(x, x.mean(-1, keepdim=True), out=y)  # ½ + 1
    norm = torch.linalg.vector_norm(y, dim=-1, keepdim=True)  # ½
    y *= torch.rsqrt(norm.square() / x.shape[-1] + 1e-5)  # 1
    y.mul_(weight).add_(bias)  # 1 + 1


def in_blocks(x: Tensor, weight: Tensor, bias: Tensor, y: Tensor) -> None:
    """Write the same into y, a block of rows at a time; see `in_place`."""
    for part, out in zip(x.split(ROWS), y.split(ROWS), strict=True):
        in_place(part, weight, bias, out)


def one_block(x: Tensor, weight: Tensor, bias: Tensor, y: Tensor) -> None:
    """Do as much work as `in_blocks` on the first block alone, which need not leave the cache."""
    for _ in x.split(ROWS):
        in_place(x[:ROWS], weight, bias, y[:ROWS])


def fused(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return PyTorch's own layer norm, one loop in C++; shapes as in `in_place`."""
    return F.layer_norm(x, x.shape[-1:], weight, bias)


WRITING = in_place, in_blocks, one_block
"""The versions that write into a y that is there."""


def body(function):
    """Return the lines of a function below its docstring, as text."""
    return dedent(getsource(function).split('"""')[-1]).strip()


def fetches(times):
    """Return a table of what two versions took, beside both counts; in place tells them apart.

    Args:
        times: a `Times`, with the copy as its unit.
    """
    lines = [f"{'copies':9} counted  with fetches  measured"]
    for name, fetched in FETCHED.items():
        took = times.ratio(name)[0]
        lines.append(f"{in_words(name):9}{COPIES[name]:8}{fetched:14.1f}{took:10.1f}")
    return "\n".join(lines)
