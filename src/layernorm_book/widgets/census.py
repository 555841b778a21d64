"""Is the layer that you import in it? The census as a table to sort and to filter."""

from html import escape
from os.path import commonprefix
from typing import Any

from traitlets import Dict, Enum, Int, TraitError, Unicode, validate

from layernorm_book.chapters.census import (
    COLUMNS,
    GROUPS,
    INPUTS,
    find,
    group_of,
    in_order,
    is_slip,
    load,
    off_on,
    told,
)
from layernorm_book.parity.bugs import BUGS
from layernorm_book.widgets.base import BUNDLED, Lab

SORTS = (*COLUMNS, *(f"-{column}" for column in COLUMNS))
LONGEST = 60  # characters of a query
NAN = 1e9  # for the page: JSON has no NaN


class CensusTable(Lab):
    """Every normalization layer of the census: how far off it is on an input, and the table.

    Args:
        query: words that a row must have, in its package, version, framework, class, codes or
            confirmation; at most 60 characters, without &, # and +.
        group: "all", "agrees", "limit", "one-plus", "half", "no-eps", "rest", "other" or "unasked".
        given: the input that sizes are about: "usual", "quiet", "far", "half" or "loud".
        chosen: the number of the row that is open, counted from 0 as in census.json, or −1.
        sort: "package", "class", "group" or "off", with a "-" before it for the other way.

    Raises:
        TraitError: a value is none of these; nothing changes.

    Example:
        >>> table = CensusTable(query="keras", group="agrees")
        >>> [row["class"] for row in table.shown if row["package"] == "keras"]
        ['LayerNormalization', 'RMSNormalization']
    """

    _esm, _css = BUNDLED / "census.js", BUNDLED / "census.css"

    STATE = ("query", "group", "given", "chosen", "sort")

    query = Unicode("").tag(sync=True)
    group = Enum(("all", *GROUPS), "all").tag(sync=True)
    given = Enum(tuple(INPUTS), "usual").tag(sync=True)
    chosen = Int(-1).tag(sync=True)
    sort = Enum(SORTS, "package").tag(sync=True)
    census = Dict(read_only=True).tag(sync=True)  # as `packed` says

    def __init__(
        self,
        query: str = "",
        group: str = "all",
        given: str = "usual",
        chosen: int = -1,
        sort: str = "package",
        **kwargs: Any,
    ) -> None:
        self._table = load()
        state = {"query": query, "group": group, "given": given, "chosen": chosen, "sort": sort}
        super().__init__(**state, **kwargs)
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
        found = find(self._table["rows"], self.query, self.group)
        return in_order(found, self.sort, self.given)

    def to_html(self) -> str:
        """Return the whole census as an HTML table, each class linked to its line."""
        columns = ("package", "class", "verdict", *(name for name, _ in INPUTS.values()))
        head = "".join(f'<th scope="col">{name}</th>' for name in columns)
        lines = []
        for row in in_order(self._table["rows"]):
            sizes = [told(off_on(row, given)) for given in INPUTS]
            if is_slip(row):
                sizes[0] += " (a slip)"
            lines.append(
                f'<tr><th scope="row">{escape(row["package"])} {row["version"]}</th>'
                f'<td><a href="{escape(row["link"])}">{escape(row["class"])}</a></td>'
                f"<td>{GROUPS[group_of(row)][0]}</td>"
                f"{''.join(f'<td>{size}</td>' for size in sizes)}</tr>"
            )
        caption = (
            f"The census of {self._table['date']}: {len(lines)} normalization layers, compared "
            f"with PyTorch {self._table['torch']}, and how far off each is on five inputs."
        )
        return (
            f'<table class="ln-still"><caption>{caption}</caption>'
            f"<thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"
        )


def packed(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the rows for a page: what repeats stands once, and a number means it.

    Returns:
        inputs: [key, name, what it is] each. groups: [key, name, what it means] each.
        packages: [name, version, framework, the address that all its links begin with] each.
        texts: sentences.
        rows: p: its package, c: class, f: the rest of its link, l: its line, g: its group, n: how
            many classes share the code, m: how far off it is on each input, NAN for NaN or infinity
            and −1 where it was not measured; and where they apply k: kind, o: codes, r: the rest
            of the confirmation's link, t: the witness's; as numbers of texts b: how it was built,
            w: what was found, s: what the code's reader says; h: whether it was asked in float32
            and float16 alone.
    """
    starts: dict[str, str] = {}
    for row in rows:
        address = row["link"].split("#")[0]
        start = commonprefix([starts.get(row["package"], address), address])  # noqa: RUF071
        starts[row["package"]] = start if start == row["link"] else start[: start.rindex("/") + 1]
    packages, texts, small = {}, {}, []
    for row in rows:
        package = (row["package"], row["version"], row["framework"], starts[row["package"]])
        confirmation = row.get("confirmation", {})
        sentences = {
            "b": row.get("call", ""),
            "w": found(row),
            "s": confirmation.get("sentence", ""),
        }
        values = {
            "p": packages.setdefault(package, len(packages)),
            "c": row["class"],
            "f": row["link"][len(package[3]) :],
            "l": row.get("line"),
            "g": list(GROUPS).index(group_of(row)),
            "n": row["copies"],
            "m": [min(off_on(row, given), NAN) for given in INPUTS] if "off" in row else None,
            "k": confirmation.get("kind"),
            "o": " ".join(row.get("codes", [])),
            "r": confirmation.get("link", "")[len(package[3]) :],
            "t": confirmation.get("witness"),
            "h": "dtypes" in row,
        } | {key: texts.setdefault(t, len(texts)) for key, t in sentences.items() if t}
        kept = {k: v for k, v in values.items() if v or (v == 0 and v is not False)}
        small.append(kept)
    return {
        "inputs": [[key, *words] for key, words in INPUTS.items()],
        "groups": [[key, *words] for key, words in GROUPS.items()],
        "packages": list(map(list, packages)),
        "texts": list(texts),
        "rows": small,
    }


def found(row: dict[str, Any]) -> str:
    """Return what the judge found, in a sentence or two; or why it was not asked."""
    if row["verdict"] in ("other", "not built"):
        return row["reason"]
    if row["verdict"] == "right":
        return "every comparison passes"
    if row["verdict"] == "wrong":
        says = "; ".join(text.partition(". It shows in")[0] for text in row["message"].values())
        return says + at_its_own_eps(row)
    told = {code: BUGS[code].variants[0].message for code in row["limits"] if BUGS[code].variants}
    told["float32-parameters"] = "its parameters stay in float32, whatever the dtype of x"
    return "; ".join(told[code] for code in row["limits"])


def at_its_own_eps(row: dict[str, Any]) -> str:
    """Return what came of comparing a layer whose ε is fixed at that ε; "" for the others."""
    own = row.get("own_eps")
    if own is None:
        return ""
    eps = " or ".join(f"{value:.3g}" for value in own["values"])
    if own["same"]:
        return f". With eps={eps}, PyTorch’s own layer gives the same bits"
    *most, last = own["passes"]
    names = f"{', '.join(most)} and {last}" if most else last
    return f". Compared at eps={eps}, it agrees in {names}"
