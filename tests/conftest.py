"""What several test files share: the book, built once for all of them."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import hypothesis
import pytest
import torch

# The inputs are small: a second thread costs more than it gives, above all on shared cores.
torch.set_num_threads(1)
# Before anything imports Triton, torch.compile too: its kernels are tested without a GPU.
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")
# The same examples on every run, and no deadline: a slow machine is not a wrong answer.
hypothesis.settings.register_profile(
    "book", derandomize=True, deadline=None, database=None, max_examples=100
)
hypothesis.settings.load_profile("book")

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent

pytest_plugins = ("browser",)  # a page in a real browser


def pytest_addoption(parser):
    help = "use the book that was built in this folder before (--book=PATH, with the sign)"
    try:
        parser.addoption("--book", metavar="PATH", help=help)
    except ValueError:  # pytest took the folder for one of tests, and read its conftest.py too
        raise pytest.UsageError("write --book=PATH") from None


def pytest_configure(config):
    config.addinivalue_line("markers", "tries(id, line): performs a line of a 'Try this' list")


def build(tree):
    """Build the book of a tree; return (exit status, everything it printed)."""
    done = subprocess.run(
        (sys.executable, "tools/build_book.py"),
        cwd=tree,
        env=os.environ | {"PYTHONPATH": str(tree / "src")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    )
    return done.returncode, done.stdout


@pytest.fixture(scope="session")
def built_book(request):
    """The folder of HTML pages of this very tree, every notebook executed."""
    if given := request.config.getoption("--book"):
        folder = Path(given) / "_build" / "html"
        return folder if folder.is_dir() else Path(given)
    status, printed = build(ROOT)
    assert status == 0, printed
    return ROOT / "_build" / "html"


def copy_tree(target):
    """Copy what a book needs besides its chapters into an empty folder."""
    kept = ("_config.yml", "pyproject.toml", "requirements.txt", "src", "tools", "book/_ext")
    kept += ("book/_static", "book/_templates", "book/references.bib", "book/notation.md")
    for name in kept:
        source, copy = ROOT / name, target / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "node_modules")
            shutil.copytree(source, copy, ignore=ignored)
        else:
            shutil.copy(source, copy)
