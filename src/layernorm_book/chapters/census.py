"""What did the judge say of layers that others publish? The census, as `make census` wrote it."""

import json
import math
from collections.abc import Iterable
from importlib.resources import files
from typing import Any

COLUMNS = ("package", "class", "group", "off")  # what the table sorts by
INPUTS = {  # what every layer is measured on: how the table calls it, and what it is
    "usual": ("usual rows", "mean 0 and σ = 1, in float32"),
    "quiet": ("quiet rows", "mean 0 and σ = 0.01, in float32"),
    "far": ("rows far from 0", "a mean of 1000 and σ = 1, in float32"),
    "half": ("float16 rows", "mean 0 and σ = 1, in float16"),
    "loud": ("loud float16 rows", "mean 0 and σ = 1000, in float16"),
}
LEAST = 1e-5  # a share that is no longer told in digits
GROUPS = {  # what came of it, in the order of the legend: a key, what the page says, what it means
    "agrees": ("agrees", "every comparison passes"),
    "limit": ("agrees, with a limit", "right, but most of these compute float64 in float32"),
    "one-plus": ("differs: 1 + weight", "scaled by 1 + weight, where PyTorch scales by weight"),
    "half": ("differs: only in float16", "right in float32, with float16 statistics in float16"),
    "no-eps": (
        "differs: fixed or no ε",
        "its constructor takes no ε, and the judge names only that",
    ),
    "rest": ("differs: another way", "each row says which"),
    "other": ("another layer", "another normalization on purpose, so it was not judged"),
    "unasked": ("not judged", "the census could not run it on its own"),
}
_OF_VERDICT = {"right": "agrees", "limit": "limit", "other": "other", "not built": "unasked"}
_OF_CODES = {("unit-offset-weight",): "one-plus", ("low-precision-statistics",): "half"}

Row = dict[str, Any]


def load() -> dict[str, Any]:
    """Return its date, versions, counts and rows; `tools/census/table.py` names the fields."""
    data = files("layernorm_book.chapters") / "data" / "census.json"
    return json.loads(data.read_text(encoding="utf-8"))


def find(rows: Iterable[Row], query: str = "", group: str = "all") -> list[Row]:
    """Return the rows that have every word of a query, and belong to a group.

    A word may stand anywhere in the package's name or version, the framework, the class, the
    judge's codes or what a reader of the code called it: "slip", "convention", "documented choice".

    Args:
        group: a key of GROUPS, or "all".
    """
    words = query.lower().split()
    return [
        row
        for row in rows
        if group in ("all", group_of(row)) and all(word in _text(row) for word in words)
    ]


def _text(row):
    parts = [row[key] for key in ("package", "version", "framework", "class")]
    parts += row.get("codes", [])
    return " ".join([*parts, row.get("confirmation", {}).get("kind", "")]).lower()


def in_order(rows: Iterable[Row], sort: str = "package", given: str = "usual") -> list[Row]:
    """Return the rows sorted by one of COLUMNS, or the other way round where a "-" stands before.

    Rows that were not measured come last either way.

    Args:
        given: which of INPUTS "off" is about.
    """
    column, down = sort.removeprefix("-"), sort.startswith("-")
    keys = {
        "package": lambda row: row["package"].lower(),
        "class": lambda row: row["class"].lower(),
        "group": lambda row: list(GROUPS).index(group_of(row)),
        "off": lambda row: off_on(row, given),
    }
    ordered = sorted(rows, key=keys[column], reverse=down)
    return sorted(ordered, key=lambda row: column == "off" and off_on(row, given) < 0)


def off_on(row: Row, given: str) -> float:
    """Return how far off a layer is on one of INPUTS, as a share; −1 where it was not measured."""
    size = row.get("off", {}).get(given, -1.0)
    return math.inf if size is None else size


def told(size: float) -> str:
    """Return a size in words.

    Example:
        >>> [told(size) for size in (-1, 6.1e-8, 0.00021, 0.97, 12.0, math.inf)]
        ['', 'under 0.001%', '0.021%', '97%', '12-fold', 'NaN or ∞']
    """
    if size < 0:
        return ""
    if size < LEAST:
        return "under 0.001%"
    if size == math.inf:
        return "NaN or ∞"
    return f"{size:.0f}-fold" if size >= 10 else f"{float(f'{100 * size:.2g}'):g}%"


def is_slip(row: Row) -> bool:
    """Return whether code of the same package does otherwise, elsewhere."""
    return row.get("confirmation", {}).get("kind") == "slip"


def takes_no_eps(row: Row) -> bool:
    """Return whether no ε can be given, and its own, or none, is all that the judge names."""
    return "eps" not in row["call"] and set(row["codes"]) <= {"wrong-eps", "missing-eps"}


def group_of(row: Row) -> str:
    """Return which of GROUPS a row belongs to."""
    if row["verdict"] != "wrong":
        return _OF_VERDICT[row["verdict"]]
    alone = _OF_CODES.get(tuple(row["codes"]), "rest")
    return "no-eps" if takes_no_eps(row) else alone
