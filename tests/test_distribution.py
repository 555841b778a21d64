"""The wheel and the source distribution are complete and valid, and what they offer is typed."""

import shutil
import subprocess
import sys
import tarfile
import zipfile

import pytest
from conftest import ROOT
from packaging.metadata import Metadata

PROBE = """
from layernorm_book import LayerNorm, check_parity, layer_norm
reveal_type(LayerNorm(4))
reveal_type(check_parity(LayerNorm).ok)
layer_norm(1, (2,))
"""


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """The folder that `python -m build` fills."""
    # setuptools takes along what an earlier build listed here, and so hides what is missing now.
    shutil.rmtree(ROOT / "src" / "layernorm_book.egg-info", ignore_errors=True)
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
    """What twine would look at: valid metadata, and a description that an index can show."""
    (wheel,) = built.glob("*.whl")
    (archive,) = built.glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as opened, tarfile.open(archive) as packed:
        (in_wheel,) = (name for name in opened.namelist() if name.endswith("/METADATA"))
        (in_archive,) = (
            name for name in packed.getnames() if name.count("/") == 1 and "PKG" in name
        )
        texts = opened.read(in_wheel), packed.extractfile(in_archive).read()
    for text in texts:
        metadata = Metadata.from_email(text, validate=True)
        assert metadata.description.startswith("# LayerNorm")
        assert metadata.description_content_type == "text/markdown"
        assert {"torch", "numpy", "anywidget"} <= {r.name for r in metadata.requires_dist}


def mypy(*arguments):
    command = (sys.executable, "-m", "mypy", "--cache-dir", str(ROOT / ".mypy_cache"), *arguments)
    return subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, encoding="utf-8")


def test_the_public_modules_pass_strict_type_checking():
    done = mypy()  # the files and the strictness are in pyproject.toml
    assert done.returncode == 0, done.stdout


def test_whoever_imports_the_package_gets_its_types(tmp_path):
    probe = tmp_path / "probe.py"
    probe.write_text(PROBE, encoding="utf-8")
    printed = mypy(str(probe)).stdout
    assert 'Revealed type is "layernorm_book.layer.LayerNorm"' in printed
    assert 'Revealed type is "bool"' in printed
    assert 'Argument 1 to "layer_norm" has incompatible type "int"' in printed
