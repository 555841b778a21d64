"""The repository's address: stated once, repeated everywhere, and impossible until it is set."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

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
    assert "(https://someone.github.io/their-fork/)" in text
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


def git(tree, *arguments):
    who = ("-c", "user.name=A reader", "-c", "user.email=reader@example.com")
    done = subprocess.run(("git", *who, *arguments), cwd=tree, check=True, stdout=subprocess.PIPE)
    return done.stdout.decode()


def test_the_three_steps_to_publish_from_an_account_of_ones_own(tmp_path):
    """README's steps, in a clone of a fork (a bare repository), with README's own commands."""
    steps = (ROOT / "README.md").read_text("utf-8").split("## Publish your own")[1]
    move, commit, push = re.findall(r"`((?:make repo|git )[^`]+)`", steps)
    fork, clone = tmp_path / "fork.git", tmp_path / "clone"
    git(ROOT, "clone", "--quiet", "--bare", str(ROOT), str(fork))
    git(tmp_path, "clone", "--quiet", str(fork), str(clone))
    for name in git(ROOT, "ls-files", "--modified").split():  # what is not committed yet
        shutil.copy(ROOT / name, clone / name)
    reader = os.environ | {"GITHUB_REPOSITORY": "Reader-1/the.book"}
    check = (sys.executable, "tools/repository.py", "--check")
    refused = subprocess.run(check, cwd=clone, env=reader, stderr=subprocess.PIPE, encoding="utf-8")
    assert refused.returncode == 1
    assert refused.stderr.count("\n") == 1
    assert "make repository URL=https://github.com/Reader-1/the.book" in refused.stderr

    venv = Path(sys.prefix)  # make would install a second one
    made = (
        f"{move.replace('YOU/YOUR-FORK', 'Reader-1/the.book')} VENV={venv} --old-file={venv}/.ready"
    )
    subprocess.run(made.split(), cwd=clone, check=True, stdout=subprocess.DEVNULL)
    git(clone, *shlex.split(commit)[1:])
    git(clone, *push.split()[1:])
    published = tmp_path / "published"
    git(tmp_path, "clone", "--quiet", str(fork), str(published))
    assert stated(published) == {"Reader-1/the.book"}
    assert "https://Reader-1.github.io/the.book/" in (published / "README.md").read_text("utf-8")
    assert "YOUR_NAME/layernorm-book" not in git(published, "grep", "-h", "github", "--", "book")
    assert subprocess.run(check, cwd=published, env=reader).returncode == 0


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
