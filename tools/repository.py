"""The address of the book's repository: stated once in _config.yml, repeated where it must be.

    python tools/repository.py                         print it, exit 1 where a place differs
    python tools/repository.py URL [--branch BRANCH]   move every place to another address

The notebooks repeat it too, in their first cell: tools/tidy_notebooks.py writes that.
"""

import argparse
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
CONFIG = (
    ("_config.yml", r"^  url: (\S+)$", "{url}"),
    ("_config.yml", r"^  branch: (\S+)$", "{branch}"),
)
PLACES = (
    *CONFIG,
    ("pyproject.toml", r'^Repository = "(\S+)"$', "{url}"),
    ("CITATION.cff", r"^repository-code: (\S+)$", "{url}"),
    ("book/bibliography.md", r"^  url = \{(\S+)\}$", "{url}"),
    ("README.md", r'"git\+(\S+)"', "{url}@{branch}"),
    ("README.md", r"colab\.research\.google\.com/github/(\S+?)/book/", "{slug}/blob/{branch}"),
)


def address():
    """Return (url, branch) as _config.yml states them."""
    text = (ROOT / "_config.yml").read_text(encoding="utf-8")
    return tuple(re.search(pattern, text, re.MULTILINE)[1] for _, pattern, _ in CONFIG)


def differing(url, branch):
    """Yield a line for each place that does not state this address."""
    for name, pattern, form in PLACES:
        wanted = form.format(url=url, branch=branch, slug=slug(url))
        found = re.findall(pattern, (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE)
        if not found:
            yield f"{name}: nothing matches {pattern}"
        yield from (f"{name}: {text}, expected {wanted}" for text in found if text != wanted)


def move(url, branch):
    """Rewrite every place to this address."""
    for name, pattern, form in PLACES:
        path = ROOT / name
        wanted = form.format(url=url, branch=branch, slug=slug(url))
        text = path.read_text(encoding="utf-8")
        moved = re.sub(
            pattern, lambda m, new=wanted: m[0].replace(m[1], new), text, flags=re.MULTILINE
        )
        path.write_text(moved, encoding="utf-8")


def slug(url):
    """Return owner/repository."""
    return url.removeprefix("https://github.com/")


def main():
    """Move the book, or check that every place agrees."""
    parser = argparse.ArgumentParser(description="Move the book to another repository.")
    parser.add_argument("url", nargs="?", help="https://github.com/OWNER/REPOSITORY")
    parser.add_argument("--branch", help="the branch that Colab opens (default: as it is)")
    arguments = parser.parse_args()
    if arguments.url is not None:
        if not re.fullmatch(r"https://github\.com/[\w.-]+/[\w.-]+", arguments.url):
            parser.error(
                f"{arguments.url!r} is not of the form https://github.com/OWNER/REPOSITORY"
                " (Colab opens notebooks from GitHub only)"
            )
        url = arguments.url.removesuffix(".git")
        move(url, arguments.branch or address()[1])
    url, branch = address()
    problems = list(differing(url, branch))
    print("\n".join(problems) or f"{url}, branch {branch}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
