"""Repeat the ladder of the chapter on speed on this machine, and print it as one table.

The rungs are the chapter's own cells, those tagged `ladder`, so there is one copy of each.
"""

from pathlib import Path

import nbformat

CHAPTER = Path(__file__).parents[1] / "book" / "07_speed.ipynb"
SIZES = [(1, 768), (64, 768), (1024, 768), (8192, 768), (4096, 4096)]


def chapter():
    """Return the names that the tagged cells define."""
    names = {}
    for cell in nbformat.read(CHAPTER, as_version=4).cells:
        if "ladder" in cell.metadata.get("tags", []):
            exec(cell.source, names)
    return names


def main():
    """Measure every rung at every size; print the share of a copy's bandwidth it reaches."""
    names = chapter()
    rungs = names["numpy_rungs"]() | names["torch_rungs"]() | names["compiled_rung"]()
    forward = names["ladder"](SIZES, rungs, 0.5)
    backward = names["ladder"](SIZES, names["backward"], 0.5, names["ready_backward"])
    print("share of a copy's bandwidth, by rows × n")
    print(f"{'':24}" + "".join(f"{f'{rows}×{n}':>12}" for rows, n in SIZES))
    for way, shares in (("forward", forward), ("backward", backward)):
        print(way)
        for name, values in shares.items():
            print(f"  {name:22}" + "".join(f"{value:12.3f}" for value in values))


if __name__ == "__main__":
    main()
