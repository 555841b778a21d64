"""Repeat the measurements of the chapter on speed on this machine, and print them as one table.

The versions are those of the chapter, whose plain one stands in its cell tagged `ladder`, and they
are measured as there: in turns, each beside a copy of the same round, with memory ready. More
rounds, and one size more.
"""

import platform
from pathlib import Path

import nbformat
import torch

from layernorm_book.chapters.ladder import WRITING, fused
from layernorm_book.chapters.timing import backward, calls, compiled, keep_memory, measure

CHAPTER = Path(__file__).parents[1] / "book" / "07_speed.ipynb"
SIZES = {(1, 768): 401, (64, 768): 401, (1024, 768): 101, (8192, 768): 31, (40960, 768): 15}


def from_the_chapter():
    """Return the plain version, which its tagged cell defines."""
    names = {}
    for cell in nbformat.read(CHAPTER, as_version=4).cells:
        if "ladder" in cell.metadata.get("tags", []):
            exec(cell.source, names)
    return names["plain"]


def main():
    """Measure every version at every size; print medians and quartiles, in copies."""
    plain = from_the_chapter()
    ready = "is kept" if keep_memory() else "is what the C library makes of it"
    print(f"{platform.machine()}, torch {torch.__version__}, one core")
    print(f"the memory of arrays {ready}")
    print("times as long as a copy: the median, and the middle half of the rounds")
    for (rows, n), rounds in SIZES.items():
        x = torch.randn(rows, n)  # (rows, n)
        weight, bias = torch.randn(2, n)  # (n,) each
        ways = calls((plain, fused), WRITING, x, weight, bias) | compiled(plain, x, weight, bias)
        print(f"\n{rows} × {n}, {rounds} rounds")
        print(measure(ways, rounds=rounds).table())
        if rows > 8192:
            continue  # the backward pass of the plain one would take gigabytes
        back = {"copy": ways["copy"]}
        for function in (plain, fused):
            back[f"{function.__name__}, backward"] = backward(function, x, weight, bias)
        print(measure(back, rounds=max(9, rounds // 3)).table().partition("\n")[2])


if __name__ == "__main__":
    main()
