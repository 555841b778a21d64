"""The wheel and the source distribution are complete and valid, and what they offer is typed."""

import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from importlib.metadata import distribution

import pytest
from conftest import ROOT
from packaging.metadata import Metadata
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from layernorm_book.extra import COMMAND

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
        needed = {r.name for r in metadata.requires_dist if not r.marker}
        labs = {r.name for r in metadata.requires_dist if r.marker and "labs" in str(r.marker)}
        assert needed == {"torch", "numpy"}
        assert labs == set(COMMAND.split()[4:])  # what a refusal tells to install


def closure(*names):
    """The distributions that these ask for, themselves included."""
    found, waiting = {}, list(names)
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name not in found:
            found[name] = distribution(name)
            asked = map(Requirement, found[name].requires or ())
            waiting += [r.name for r in asked if not r.marker or r.marker.evaluate({"extra": ""})]
    return found.values()


@pytest.fixture(scope="session")
def light(built, tmp_path_factory):
    """The Python of an environment with NumPy, torch, what they ask for, and the wheel."""
    folder = tmp_path_factory.mktemp("light")
    venv.create(folder, symlinks=True)  # without pip: that of this environment serves
    python = folder / "bin" / "python"
    (site,) = folder.glob("lib/python*/site-packages")
    for wanted in closure("numpy", "torch"):
        for top in {file.parts[0] for file in wanted.files} - {".."}:
            if not (site / top).exists():  # a second torch takes 1.4 GB
                (site / top).symlink_to(wanted.locate_file(top))
    (wheel,) = built.glob("*.whl")
    command = (sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet")
    command += ("--no-index", str(wheel))
    subprocess.run(command, check=True, env={})  # it would find the package on PYTHONPATH
    return python


def test_the_judge_needs_numpy_and_torch_alone(light, tmp_path):
    """Without --no-deps: pip itself says that nothing is missing."""
    layer = tmp_path / "mine.py"
    layer.write_text("from torch.nn import LayerNorm\n", encoding="utf-8")
    check = (light, "-m", "layernorm_book", "check", f"{layer}:LayerNorm")
    done = subprocess.run(check, cwd=tmp_path, env={}, stdout=subprocess.PIPE, encoding="utf-8")
    assert done.returncode == 0, done.stdout
    assert "agrees with PyTorch" in done.stdout


@pytest.mark.parametrize("module", ["widgets", "chapters.figures"])
def test_labs_and_figures_say_what_they_need(light, module):
    load = (light, "-c", f"import layernorm_book.{module}")
    done = subprocess.run(load, env={}, stderr=subprocess.PIPE, encoding="utf-8")
    assert done.returncode == 1
    assert COMMAND in done.stderr.splitlines()[-1]


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
