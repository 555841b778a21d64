"""The repository's address is stated once, and every place that repeats it agrees."""

import re
import shutil

import pytest
import repository
from conftest import ROOT

FORK = "https://github.com/someone/their-fork"


@pytest.fixture
def copied(tmp_path, monkeypatch):
    for name in {name for name, _, _ in repository.PLACES}:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    monkeypatch.setattr(repository, "ROOT", tmp_path)
    return tmp_path


def test_every_place_agrees():
    assert list(repository.differing(*repository.address())) == []


def test_moving_rewrites_every_place(copied):
    old, _ = repository.address()
    repository.move(FORK, "trunk")
    assert repository.address() == (FORK, "trunk")
    assert list(repository.differing(FORK, "trunk")) == []
    for name in {name for name, _, _ in repository.PLACES}:
        assert repository.slug(old) not in (copied / name).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "name", ["README.md", "pyproject.toml", "CITATION.cff", "book/bibliography.md"]
)
def test_a_place_that_differs_is_found(copied, name):
    path = copied / name
    text = path.read_text(encoding="utf-8")
    slug = repository.slug(repository.address()[0])
    path.write_text(text.replace(slug, "someone/else"), encoding="utf-8")
    assert any(name in line for line in repository.differing(*repository.address()))


@pytest.mark.parametrize(
    "url", ["https://example.com/a/b", "github.com/a/b", "https://github.com/a"]
)
def test_an_address_that_colab_cannot_open_is_refused(monkeypatch, capsys, url):
    monkeypatch.setattr("sys.argv", ["repository.py", url])
    with pytest.raises(SystemExit):
        repository.main()
    assert "OWNER/REPOSITORY" in capsys.readouterr().err


def test_each_colab_link_is_exact(built_book):
    url, branch = repository.address()
    base = f"https://colab.research.google.com/github/{repository.slug(url)}/blob/{branch}/book/"
    for notebook in sorted((ROOT / "book").glob("*.ipynb")):
        page = (built_book / "book" / f"{notebook.stem}.html").read_text(encoding="utf-8")
        links = re.findall(r'href="(https://colab[^"]+)"', page)
        assert links == [f"{base}{notebook.name}"], notebook.name
        assert f'href="{notebook.name}"' in page, notebook.name
        assert (built_book / "book" / notebook.name).read_bytes() == notebook.read_bytes()


def test_pages_that_are_no_notebooks_offer_no_colab(built_book):
    for page in ("notation", "bibliography", "build_status"):
        assert "colab.research" not in (built_book / "book" / f"{page}.html").read_text("utf-8")
