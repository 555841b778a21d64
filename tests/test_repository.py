"""The repository's address: stated once, repeated everywhere, and impossible until it is set."""

import re
import shutil
import subprocess

import pytest
import repository
from conftest import ROOT

PLACES = {
    "README.md": r"git\+https://github\.com/(\S+)\"|colab\.research\.google\.com/github/(\S+?)/book/",
    "pyproject.toml": r'^Repository = "https://github\.com/(\S+)"$',
    "CITATION.cff": r"^repository-code: https://github\.com/(\S+)$",
    "book/bibliography.md": r"^  url = \{https://github\.com/(\S+)\}$",
} | {
    f"book/{path.name}": r"git\+https://github\.com/(\S+)\\\"" for path in ROOT.glob("book/*.ipynb")
}


def stated(root):
    """Return every address that the places state, the branch aside."""
    found = set()
    for name, pattern in PLACES.items():
        matches = list(re.finditer(pattern, (root / name).read_text("utf-8"), re.MULTILINE))
        assert matches, name
        found |= {re.split("@|/blob/", next(filter(None, m.groups())))[0] for m in matches}
    return found


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """A repository of the files that name the address; one of them is no text."""
    for name in ("_config.yml", "book/_static/card.png", *PLACES):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    for command in (("init", "-q"), ("add", "-A")):
        subprocess.run(("git", *command), cwd=tmp_path, check=True)
    monkeypatch.setattr(repository, "ROOT", tmp_path)
    return tmp_path


def test_every_place_agrees():
    assert stated(ROOT) == {repository.address()[0].removeprefix(repository.GITHUB)}


def test_moving_rewrites_every_place_and_nothing_else(copied):
    old, branch = repository.address()
    repository.move("https://github.com/someone/their-fork", "trunk")
    assert repository.address() == ("https://github.com/someone/their-fork", "trunk")
    assert stated(copied) == {"someone/their-fork"}
    text = (copied / "README.md").read_text(encoding="utf-8")
    assert "their-fork@trunk" in text
    assert "their-fork/blob/trunk/book" in text
    repository.move(old, branch)
    for name in ("_config.yml", "book/_static/card.png", *PLACES):
        assert (copied / name).read_bytes() == (ROOT / name).read_bytes(), name


REFUSED = ("https://example.com/a/b", "github.com/a/b", "https://github.com/a")


@pytest.mark.parametrize("url", [*REFUSED, "https://github.com/YOUR_NAME/b"])
def test_an_address_that_colab_cannot_open_is_refused(copied, monkeypatch, capsys, url):
    monkeypatch.setattr("sys.argv", ["repository.py", url])
    with pytest.raises(SystemExit):
        repository.main()
    assert "OWNER/REPOSITORY" in capsys.readouterr().err


def test_a_book_is_published_from_its_own_repository_alone(copied, monkeypatch):
    monkeypatch.setattr("sys.argv", ["repository.py", "--check"])
    monkeypatch.setenv("GITHUB_REPOSITORY", "someone/their-fork")
    with pytest.raises(SystemExit, match=r"run `make repository URL=https://github.com/someone/"):
        repository.main()
    repository.move("https://github.com/someone/their-fork", "main")
    with pytest.raises(SystemExit) as leaving:
        repository.main()
    assert leaving.value.code is None


def test_each_colab_link_is_exact(built_book):
    url, branch = repository.address()
    base = url.replace("https://github.com", "https://colab.research.google.com/github")
    for notebook in sorted((ROOT / "book").glob("*.ipynb")):
        page = (built_book / "book" / f"{notebook.stem}.html").read_text(encoding="utf-8")
        links = re.findall(r'href="(https://colab[^"]+)"', page)
        assert links == [f"{base}/blob/{branch}/book/{notebook.name}"], notebook.name
        assert f'href="{notebook.name}"' in page, notebook.name
        assert (built_book / "book" / notebook.name).read_bytes() == notebook.read_bytes()


def test_pages_that_are_no_notebooks_offer_no_colab(built_book):
    for page in ("notation", "bibliography", "build_status"):
        assert "colab.research" not in (built_book / "book" / f"{page}.html").read_text("utf-8")
