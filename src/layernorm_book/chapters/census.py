"""What did the judge say of layers that others publish? The census, as `make census` wrote it."""

import json
import re
from collections.abc import Iterable
from importlib.resources import files
from typing import Any

VERDICTS = ("right", "limit", "wrong", "other", "not built")
COLUMNS = ("package", "class", "verdict", "effect")  # what the table sorts by
FAMILIES = {  # what the layers that differ do: its name, and the codes that belong to it
    "another ε": ("wrong-eps", "missing-eps", "eps-outside-sqrt"),
    "1 + γ": ("unit-offset-weight",),
    "half precision": ("low-precision-statistics",),
    "one-pass variance": ("one-pass-variance",),
    "no known formula": ("unknown",),
}
_CLAUSE = re.compile(
    r"(?P<size>[\d.,]+(?:%|-fold)|everything) (?:at|in|where|from) .*?(?=, [\d.,]+(?:%|-fold)|$)"
)

Row = dict[str, Any]


def load() -> dict[str, Any]:
    """Return its date, versions, counts and rows; `tools/census/table.py` names the fields."""
    data = files("layernorm_book.chapters") / "data" / "census.json"
    return json.loads(data.read_text(encoding="utf-8"))


def find(rows: Iterable[Row], query: str = "", verdict: str = "all") -> list[Row]:
    """Return the rows that have every word of a query, and a verdict.

    A word may stand anywhere in the package's name or version, the framework, the class, the
    judge's codes or what a reader of the code confirmed: "bug", "convention", "documented choice".

    Args:
        verdict: one of VERDICTS, or "all".
    """
    words = query.lower().split()
    return [
        row
        for row in rows
        if verdict in ("all", row["verdict"]) and all(word in _text(row) for word in words)
    ]


def _text(row):
    parts = [row[key] for key in ("package", "version", "framework", "class")]
    parts += row.get("codes", [])
    return " ".join([*parts, row.get("confirmation", {}).get("kind", "")]).lower()


def in_order(rows: Iterable[Row], sort: str = "package") -> list[Row]:
    """Return the rows sorted by one of COLUMNS, or the other way round where a "-" stands before.

    Rows without an effect come last either way.
    """
    column, down = sort.removeprefix("-"), sort.startswith("-")
    keys = {
        "package": lambda row: row["package"].lower(),
        "class": lambda row: row["class"].lower(),
        "verdict": lambda row: VERDICTS.index(row["verdict"]),
        "effect": lambda row: largest_effect(row)[0],
    }
    ordered = sorted(rows, key=keys[column], reverse=down)
    return sorted(ordered, key=lambda row: column == "effect" and largest_effect(row)[0] < 0)


def largest_effect(row: Row) -> tuple[float, str]:
    """Return how far off a layer is where the judge saw it farthest: percent, and the words.

    "everything" (NaN or infinity came out) counts as a million; without an effect it is (-1, "").
    The judge measures in float64 where it names no other precision; the words name each.
    """
    found = [part for told in row.get("effect", {}).values() for part in _CLAUSE.finditer(told)]
    words = [part[0] if "float" in part[0] else f"{part[0]} in float64" for part in found]
    sizes = [(_percent(part["size"]), told) for part, told in zip(found, words, strict=True)]
    return max(sizes, default=(-1.0, ""), key=lambda pair: pair[0])


def _percent(text):
    if text == "everything":
        return 1e6
    number = float(text.removesuffix("%").removesuffix("-fold").replace(",", ""))
    return number if text.endswith("%") else 100 * number


def family(row: Row) -> str:
    """Return which of FAMILIES a row that differs belongs to: the first that has a code of it."""
    codes = set(row["codes"])
    return next(name for name, members in FAMILIES.items() if codes & set(members))


def answer(row: Row) -> str:
    """Return what came of a comparison with PyTorch, and where half precision alone differs.

    Returns:
        "agrees", "agrees, with a limit", "agrees in float32, not below" or "differs in float32".

    Raises:
        KeyError: the row was not compared.
    """
    if row.get("in_single") == "right":
        return "agrees in float32, not below"
    names = {"right": "agrees", "limit": "agrees, with a limit", "wrong": "differs in float32"}
    return names[row["verdict"]]
