"""The package loads at once, says what its names mean, and its notebooks are in order."""

import doctest
import importlib
import inspect
import pkgutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

import layernorm_book

ROOT = Path(__file__).parents[1]
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


# --- documentation --------------------------------------------------------------------------------


def public_names(module):
    """Yield what a module defines for others: its functions, classes, methods and properties."""
    for name, thing in vars(module).items():
        if name.startswith("_") or getattr(thing, "__module__", None) != module.__name__:
            continue
        if inspect.isfunction(thing) or inspect.isclass(thing):
            yield name, thing
        if inspect.isclass(thing):
            for member, value in vars(thing).items():
                documented = inspect.isfunction(value) or isinstance(value, property)
                if documented and not member.startswith("_"):
                    yield f"{name}.{member}", value


@pytest.mark.parametrize("name", MODULES)
def test_every_public_name_is_documented(name):
    module = importlib.import_module(name)
    assert module.__doc__
    bare = [member for member, thing in public_names(module) if not (thing.__doc__ or "").strip()]
    assert not bare


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


def test_every_notebook_is_tidy():
    command = [sys.executable, "tools/tidy_notebooks.py", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_there_are_notebooks():
    assert NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_no_code_cell_is_longer_than_20_lines(path):
    cells = nbformat.read(path, as_version=4).cells
    long = [c.source for c in cells if c.cell_type == "code" and c.source.count("\n") >= 20]
    assert not long, long[0]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_no_three_code_cells_stand_in_a_row(path):
    cells = nbformat.read(path, as_version=4).cells
    for triple in zip(cells, cells[1:], cells[2:], strict=False):
        assert any(c.cell_type != "code" for c in triple), triple[0].source
