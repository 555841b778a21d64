"""The package loads at once, says what its names mean, and its notebooks are in order."""

import doctest
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys

import nbformat
import pytest
import tidy_notebooks
from conftest import ROOT

import layernorm_book

NOTEBOOKS = sorted((ROOT / "book").glob("*.ipynb"))
MODULES = [
    "layernorm_book",
    *(m.name for m in pkgutil.walk_packages(layernorm_book.__path__, "layernorm_book.")),
]

IMPORT = """
import sys, time
start = time.process_time()
import layernorm_book.reference
seconds = time.process_time() - start
print(seconds, "torch" in sys.modules, "matplotlib" in sys.modules)
"""


# --- importing ------------------------------------------------------------------------------------


def test_the_numpy_half_loads_at_once_and_without_torch():
    tries = []
    while not tries or (min(tries) >= 0.3 and len(tries) < 10):  # the machine may be busy
        printed = subprocess.check_output([sys.executable, "-c", IMPORT], text=True).split()
        assert printed[1:] == ["False", "False"]
        tries.append(float(printed[0]))
    assert min(tries) < 0.3


def test_every_name_on_offer_is_there():
    for name in layernorm_book.__all__:
        assert getattr(layernorm_book, name).__name__ == name
    assert set(layernorm_book.__all__) <= set(dir(layernorm_book))
    assert layernorm_book.__version__[0].isdigit()
    with pytest.raises(AttributeError, match="no attribute 'batch_norm'"):
        _ = layernorm_book.batch_norm


# --- documentation: that every public name has some is for ruff to see ----------------------------


@pytest.mark.parametrize("name", MODULES)
def test_every_module_opens_with_one_sentence(name):
    first = importlib.import_module(name).__doc__.split("\n\n")[0].replace("\n", " ")
    assert re.search(r"[.?:]$", first.strip()), first


@pytest.mark.parametrize("name", [n for n in layernorm_book.__all__ if n[0].islower()])
def test_every_function_on_offer_says_all_there_is_to_say(name):
    text = inspect.getdoc(getattr(layernorm_book, name))
    for section in ("Args:", "Returns:", "Raises:", "Source:", "Example:"):
        assert f"\n{section}\n" in text or f"\n{section} " in text, section


@pytest.mark.parametrize("name", MODULES)
def test_every_example_runs(name):
    failed, _ = doctest.testmod(importlib.import_module(name))
    assert not failed


def test_there_are_examples():
    finder = doctest.DocTestFinder(exclude_empty=True)
    tried = [len(t.examples) for m in MODULES for t in finder.find(importlib.import_module(m))]
    assert sum(tried) >= 8


# --- notebooks ------------------------------------------------------------------------------------


def test_every_notebook_is_tidy(capsys):
    assert tidy_notebooks.main(["--check"]) == 0, capsys.readouterr().out
    assert NOTEBOOKS


def test_an_output_or_an_editors_key_is_untidy():
    text = NOTEBOOKS[0].read_text(encoding="utf-8")
    for right, wrong in (
        ('"execution_count": null', '"execution_count": 1'),
        ('"metadata": {}', '"metadata": {"collapsed": true}'),
        ('"outputs": []', '"outputs": [{"output_type": "stream", "name": "stdout", "text": "1"}]'),
        ('"language": "python"', '"language": "python", "vscode": 1'),
    ):
        assert right in text
        assert tidy_notebooks.tidy(text.replace(right, wrong, 1)) == text


def test_every_notebook_opens_with_the_same_installation():
    first = [nbformat.read(path, as_version=4).cells[0] for path in NOTEBOOKS]
    assert {cell.source for cell in first} == {first[0].source}
    assert "%pip install" in first[0].source
    assert all(cell.metadata.tags == ["colab", "remove-cell"] for cell in first)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_cells_are_short_and_prose_stands_between_them(path):
    cells = nbformat.read(path, as_version=4).cells
    long = [c.source for c in cells if c.cell_type == "code" and c.source.count("\n") >= 20]
    assert not long, long[0]
    for triple in zip(cells, cells[1:], cells[2:], strict=False):
        assert any(c.cell_type != "code" for c in triple), triple[0].source
