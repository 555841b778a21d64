"""Is the layer that you import in it? The census as a table to sort and to filter."""

from html import escape
from os.path import commonprefix
from typing import Any

from traitlets import Dict, Enum, Int, TraitError, Unicode, validate

from layernorm_book.chapters.census import COLUMNS, VERDICTS, find, in_order, largest_effect, load
from layernorm_book.parity.bugs import BUGS
from layernorm_book.widgets.base import BUNDLED, Lab

SORTS = (*COLUMNS, *(f"-{column}" for column in COLUMNS))
LONGEST = 60  # characters of a query
# What the page calls a verdict: a layer may differ on purpose, and "wrong" would judge that too.
NAMES = {
    "right": "agrees",
    "limit": "agrees, with a limit",
    "wrong": "differs",
    "other": "another layer",
    "not built": "not judged",
}


class CensusTable(Lab):
    """Every normalization layer of the census: find yours, sort by a column, open a row.

    Args:
        query: words that a row must have, in its package, version, framework, class, codes or
            confirmation; at most 60 characters, without &, # and +.
        verdict: "all", "right", "limit", "wrong", "other" or "not built".
        chosen: the number of the row that is open, counted from 0 as in census.json, or −1.
        sort: "package", "class", "verdict" or "effect", with a "-" before it for the other way.

    Raises:
        TraitError: a value is none of these; nothing changes.

    Example:
        >>> table = CensusTable(query="keras", verdict="right")
        >>> [row["class"] for row in table.shown if row["package"] == "keras"]
        ['LayerNormalization', 'RMSNormalization']
    """

    _esm, _css = BUNDLED / "census.js", BUNDLED / "census.css"

    STATE = ("query", "verdict", "chosen", "sort")

    query = Unicode("").tag(sync=True)
    verdict = Enum(("all", *VERDICTS), "all").tag(sync=True)
    chosen = Int(-1).tag(sync=True)
    sort = Enum(SORTS, "package").tag(sync=True)
    census = Dict(read_only=True).tag(sync=True)  # packages, texts and rows, as `packed` says

    def __init__(
        self,
        query: str = "",
        verdict: str = "all",
        chosen: int = -1,
        sort: str = "package",
        **kwargs: Any,
    ) -> None:
        self._table = load()
        super().__init__(query=query, verdict=verdict, chosen=chosen, sort=sort, **kwargs)
        self.set_trait("census", packed(self._table["rows"]))

    @validate("query")
    def _is_fit_for_a_link(self, proposal):
        if len(proposal.value) > LONGEST or set("&#+") & set(proposal.value):
            sentence = f"query takes at most {LONGEST} characters, and no &, # or +"
            raise TraitError(f"{sentence}; got {proposal.value!r}.")
        return proposal.value

    @validate("chosen")
    def _is_a_row(self, proposal):
        most = len(self._table["rows"]) - 1
        if not -1 <= proposal.value <= most:
            raise TraitError(f"chosen takes a row from 0 to {most}, or −1, got {proposal.value}.")
        return proposal.value

    @property
    def shown(self) -> list[dict[str, Any]]:
        """The rows of census.json that the table shows, in its order."""
        return in_order(find(self._table["rows"], self.query, self.verdict), self.sort)

    def to_html(self) -> str:
        """Return the whole census as an HTML table, each class linked to its line."""
        columns = ("package", "class", "verdict", "largest effect")
        head = "".join(f'<th scope="col">{name}</th>' for name in columns)
        lines = [
            f'<tr><th scope="row">{escape(row["package"])} {row["version"]}</th>'
            f'<td><a href="{escape(row["link"])}">{escape(row["class"])}</a></td>'
            f"<td>{NAMES[row['verdict']]}</td><td>{escape(largest_effect(row)[1])}</td></tr>"
            for row in in_order(self._table["rows"])
        ]
        caption = (
            f"The census of {self._table['date']}: {len(lines)} normalization layers, compared "
            f"with PyTorch {self._table['torch']}."
        )
        return (
            f'<table class="ln-still"><caption>{caption}</caption>'
            f"<thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"
        )


def packed(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the rows for a page: what repeats stands once, and a number means it.

    Returns:
        packages: [name, version, framework, the address that all its links begin with] each.
        texts: sentences.
        rows: p: its package, c: class, f: the rest of its link, l: its line, v: its verdict, n: how
            many classes share the code, m: the largest effect in percent; and where they apply
            k: kind, o: codes, r: the rest of the confirmation's link; as numbers of texts
            b: how it was built, w: what was found, e: the largest effect, a: all effects, s: what
            the code's reader says; h: whether it was asked in float32 and float16 alone.
    """
    starts: dict[str, str] = {}
    for row in rows:
        address = row["link"].split("#")[0]
        start = commonprefix([starts.get(row["package"], address), address])  # noqa: RUF071
        starts[row["package"]] = start if start == row["link"] else start[: start.rindex("/") + 1]
    packages, texts, small = {}, {}, []
    for row in rows:
        package = (row["package"], row["version"], row["framework"], starts[row["package"]])
        size, clause = largest_effect(row)
        confirmation = row.get("confirmation", {})
        sentences = {
            "b": row.get("call", ""),
            "w": found(row),
            "e": clause,
            "a": "; ".join(row.get("effect", {}).values()),
            "s": confirmation.get("sentence", ""),
        }
        values = {
            "p": packages.setdefault(package, len(packages)),
            "c": row["class"],
            "f": row["link"][len(package[3]) :],
            "l": row.get("line"),
            "v": VERDICTS.index(row["verdict"]),
            "n": row["copies"],
            "m": size,
            "k": confirmation.get("kind"),
            "o": " ".join(row.get("codes", [])),
            "r": confirmation.get("link", "")[len(package[3]) :],
            "h": "dtypes" in row,
        } | {key: texts.setdefault(t, len(texts)) for key, t in sentences.items() if t}
        small.append({k: v for k, v in values.items() if not (v is None or v is False or v == "")})
    return {"packages": list(map(list, packages)), "texts": list(texts), "rows": small}


def found(row: dict[str, Any]) -> str:
    """Return what the judge found, in a sentence or two; or why it was not asked."""
    if row["verdict"] in ("other", "not built"):
        return row["reason"]
    if row["verdict"] == "right":
        return "every comparison passes"
    if row["verdict"] == "wrong":
        return "; ".join(row["message"].values())
    told = {code: BUGS[code].variants[0].message for code in row["limits"] if BUGS[code].variants}
    told["float32-parameters"] = "its parameters stay in float32, whatever the dtype of x"
    return "; ".join(told[code] for code in row["limits"])
