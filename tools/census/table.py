"""The census as rows: one for each distinct implementation, as census.json holds them.

census.json is an object with
    format: 2, raised when a field changes its meaning.
    date: the day of the run.
    torch, judge: the version of PyTorch that is compared with, and of this package.
    pytorch: how far off PyTorch's own layer_norm and rms_norm are, as `off` of a row.
    counts: implementations, copies, packages, frameworks, and one number for each verdict.
    rows: a list of objects with
        framework, package, version, class, file, line, link: where the source stands. A link
            follows the project's way of naming its tags.
        digest: of the code; copies (in the same package or others) share it.
        copies, copied_in: how many classes share it, and the packages that hold them.
        verdict: "right", "limit", "wrong", "other" or "not built".
        reason: why it was not built; or, for "other", which other normalization it is on purpose.
        call: how it was built, with n, shape and eps; config is an object that knows n and eps.
        against, dtypes, channels_last: what the judge was asked. No dtypes: all four.
        codes, limits, besides: what the judge found wrong; what it found limited; what is true as
            well and can wait.
        message, effect: {code: what was seen, how much it matters}, in the judge's words.
        off: {input of `measure`: how far off the layer itself is there, as a share}; null is NaN or
            infinity.
        own_eps: for one whose ε is fixed: {values, passes, same}, see `ask.at_its_own_eps`.
        fails_in: for a wrong one, the dtypes in which a comparison fails.
        confirmation: for a wrong one, what a person read: {line, link, kind, sentence}. kind is
            "documented choice" (code or documentation states it), "slip" (code of the same package
            and release does it otherwise, at witness), "convention" (nothing states it, and other
            packages do it too) or "alone" (nothing states it, and no other package that was read
            does it). No author was asked.
    Fields that do not apply are left out.
"""

import json
from collections import Counter

FORMAT = 2
NEAR, ROUNDING = 1.2, 1e-5  # sizes within this factor, or below this, are the same size
VERDICTS = ("right", "limit", "wrong", "other", "not built")


def row(framework, package, where, group, review, answer):
    """Return one row.

    Args:
        framework, package: their names; `package` has name, version and link(file, line).
        where: (class, file, line).
        group: the packages of all classes that share this code, one name each.
        review: dict, what a person read of it.
        answer: dict, what `ask` returned.
    """
    name, file, line = where
    made = {
        "framework": {"torch": "pytorch"}.get(framework, framework),
        "package": package.name,
        "version": package.version,
        "class": name,
        "file": file,
        "line": line,
        "link": package.link(file, line),
        "copies": len(group),
        "copied_in": sorted(set(group)),
    }
    if "other" in review:
        return made | {"verdict": "other", "reason": review["other"]}
    if "reason" in answer:
        return made | {"verdict": "not built", "reason": answer["reason"]}
    made |= answer
    confirmation = review.get("confirmation")
    if answer["verdict"] == "wrong" and confirmation:
        made["confirmation"] = confirmation | {"link": package.link(file, confirmation["line"])}
    return {key: value for key, value in made.items() if value not in ([], {}, None)}


def census(rows, date, torch_version, judge_version, own):
    """Return the whole of census.json; `own` is what `measure` finds of PyTorch's own layers."""
    verdicts = Counter(row["verdict"] for row in rows)
    counts = {
        "implementations": len(rows),
        "copies": sum(row["copies"] for row in rows),
        "packages": len({row["package"] for row in rows}),
        "frameworks": len({row["framework"] for row in rows}),
    }
    return {
        "format": FORMAT,
        "date": date,
        "torch": torch_version.partition("+")[0],
        "judge": judge_version,
        "pytorch": own,
        "counts": counts | {verdict: verdicts[verdict] for verdict in VERDICTS},
        "rows": rows,
    }


def dumps(table):
    """Return census.json as text, one row a line, so that a change reads as one."""
    head = json.dumps({k: v for k, v in table.items() if k != "rows"}, ensure_ascii=False)
    rows = ",\n".join(json.dumps(row, ensure_ascii=False) for row in table["rows"])
    return f'{head[:-1]}, "rows": [\n{rows}\n]}}\n'


def unconfirmed(table):
    """Return the wrong rows that no person has confirmed, as text lines."""
    return [
        f"{r['package']} {r.get('file')}:{r.get('line')} {r['class']}: {', '.join(r['codes'])}"
        for r in table["rows"]
        if r["verdict"] == "wrong" and "confirmation" not in r
    ]


def differences(old, new):
    """Return what changed between two censuses, as text lines.

    Dates may differ, and sizes by as much as two machines round them.
    """
    found = []
    rows = [
        {(r["package"], r.get("file"), r["class"], r.get("call")): r for r in table["rows"]}
        for table in (old, new)
    ]
    for key in sorted(rows[0].keys() | rows[1].keys(), key=str):
        was, now = (side.get(key, {}) for side in rows)
        fields = sorted((was.keys() | now.keys()) - {"message"})  # it quotes sizes
        changed = [f for f in fields if not _same(was.get(f), now.get(f))]
        found += [f"{' '.join(map(str, key))}: {f}: {was.get(f)} -> {now.get(f)}" for f in changed]
    return found


def _same(was, now):
    """Tell whether two fields are equal, or are sizes that rounding sets apart."""
    if isinstance(was, dict) and isinstance(now, dict):
        return was.keys() == now.keys() and all(_same(was[key], now[key]) for key in was)
    if isinstance(was, float) and isinstance(now, float):
        small, large = sorted((was, now))
        return large <= max(ROUNDING, NEAR * small)
    return was == now
