"""Run the census: fetch, find, cut, build, ask, write.

python -m census [--check] [PACKAGE ...]
    --check     compare with the committed census.json instead of writing it
    PACKAGE     only these, and no frameworks; the table is printed and not written
"""

import argparse
import json
import os
import sys
import tomllib
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

from census import ask, measure, packages, table
from census.cut import TooEntangled, cut_out
from census.find import layers_of
from census.frameworks import OWN

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
REVIEWED = HERE / "reviewed.json"
DATA = ROOT / "src/layernorm_book/chapters/data/census.json"
AT_ONCE = 2
ENVIRONMENT = {
    "PYTORCH_JIT": "0",  # layers that are scripted or compiled run as the Python that was published
    "TORCHDYNAMO_DISABLE": "1",
    "KERAS_BACKEND": "jax",
    "JAX_PLATFORMS": "cpu",
    "DEV": "PYTHON",  # tinygrad compiles for a CPU only where clang is
}


def main():
    """Run it, and return 0 when it wrote or agrees, else 1."""
    os.environ.update(ENVIRONMENT)
    options = argparse.ArgumentParser(prog="census", description=__doc__.partition("\n")[0])
    options.add_argument("--check", action="store_true")
    options.add_argument("packages", nargs="*")
    options = options.parse_args()
    chosen = [p for p in packages.packages() if p.name in options.packages or not options.packages]
    fetched = packages.fetch(chosen, ROOT / ".cache/census")
    reviews = json.loads(REVIEWED.read_text())
    rows = rows_of_wheels(fetched, reviews)
    rows += [] if options.packages else rows_of_frameworks(OWN, reviews)
    own = {norm: measure.pytorchs_own(norm) for norm in ("layer_norm", "rms_norm")}
    made = table.census(rows, date.today().isoformat(), version("torch"), _judge_version(), own)
    print(json.dumps(made["counts"], indent=1))
    if options.packages:
        print(table.dumps(made))
        return 0
    if options.check:
        return _report(
            "It differs from the committed census:",
            table.differences(json.loads(DATA.read_text()), made),
        )
    DATA.write_text(table.dumps(made))
    return _report("Wrong, and nobody has read why (reviewed.json):", table.unconfirmed(made))


def _judge_version():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def _report(head, lines):
    if lines:
        print(head, *lines, sep="\n  ")
    return bool(lines)


def rows_of_wheels(fetched, reviews):
    """Return the rows of all distinct layers in some wheels.

    Args:
        fetched: list of (Package, Wheel).
        reviews: {a layer's key: dict}, see `reviewed.json`.
    """
    first = {}  # (framework, digest) -> the first class with that code, which speaks for its copies
    holders = defaultdict(list)  # (framework, digest) -> the packages of all of them
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for package, wheel in fetched:
            for layer in layers_of(wheel):
                code = layer.framework, layer.digest
                holders[code].append(package.name)
                if code not in first:
                    where = layer.name, layer.module.file, layer.line
                    review = reviews.get(layer.key, {})
                    first[code] = package, where, review, _ask(pool, layer, review)
            wheel.close()
        rows = []
        for code, (package, where, review, answer) in first.items():
            made = table.row(code[0], package, where, holders[code], review, answer())
            rows.append(made | {"digest": code[1]})
            print(f"{made['verdict']:9} {package.name} {where[0]}", flush=True)
    return rows


def _ask(pool, layer, review):
    """Return a function that gives the answer about a layer once it is there."""
    if "other" in review:
        return dict
    try:
        source = cut_out(layer)
    except (TooEntangled, RecursionError) as error:
        reason = str(error)
        return lambda: {"reason": reason}
    asked = pool.submit(
        ask.in_process, ask.ask_about_cut, layer.framework, layer.name, source, review
    )
    return asked.result


def rows_of_frameworks(own, reviews):
    """Return the rows of layers that frameworks ship."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(lambda o: ask.in_process(ask.ask_about_own, o), own))
    rows = []
    for layer, answer in zip(own, answers, strict=True):
        package = SimpleNamespace(
            name=layer.package,
            version=version(layer.package),
            link=lambda file, line, layer=layer: packages.link(
                layer.repository,
                layer.tag.format(version=version(layer.package)),
                layer.root,
                file,
                line,
            ),
        )
        where = (layer.path.partition(":")[2], answer.pop("file", None), answer.pop("line", None))
        review = reviews.get(layer.key, {})
        rows.append(table.row(layer.package, package, where, [layer.package], review, answer))
        print(f"{rows[-1]['verdict']:9} {layer.key}", flush=True)
    return rows


if __name__ == "__main__":
    sys.exit(main())
