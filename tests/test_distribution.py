"""The wheel and the source distribution: complete, valid, typed."""

import subprocess
import sys
import tarfile
import zipfile

import pytest
from conftest import ROOT


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """The folder that `python -m build` fills."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--outdir", str(folder), str(ROOT)],
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    return folder


def test_the_wheel_carries_everything_that_the_package_reads(built):
    (wheel,) = built.glob("*.whl")
    carried = set(zipfile.ZipFile(wheel).namelist())
    package = ROOT / "src" / "layernorm_book"
    wanted = {
        str(path.relative_to(package.parent))
        for path in package.rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert {p.rpartition(".")[2] for p in wanted} >= {"py", "js", "css", "csv", "typed"}
    assert wanted <= carried


def test_the_source_distribution_carries_the_licence(built):
    (archive,) = built.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        names = {name.partition("/")[2] for name in opened.getnames()}
    assert {"LICENSE", "README.md", "pyproject.toml"} <= names


def test_both_are_ready_for_an_index(built):
    done = subprocess.run(
        [sys.executable, "-m", "twine", "check", "--strict", *map(str, built.iterdir())],
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stdout


def test_the_public_names_are_typed(tmp_path):
    probe = tmp_path / "probe.py"
    probe.write_text("from layernorm_book import LayerNorm, check_parity, layer_norm\n")
    command = [sys.executable, "-m", "mypy", "--cache-dir", str(tmp_path), str(probe)]
    done = subprocess.run(
        [*command, str(ROOT / "src" / "layernorm_book")], stdout=subprocess.PIPE, encoding="utf-8"
    )
    assert done.returncode == 0, done.stdout
