"""Where does this book's repository lie? `_config.yml` says it; other files repeat it.

    python tools/repository.py                         print the address
    python tools/repository.py URL [--branch BRANCH]   move every tracked file to another
    python tools/repository.py --check                 exit 1 where it is not the one on GitHub

Until the book is moved, the address is one that nobody can register: GitHub allows no underscore
in an owner's name.
"""

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
GITHUB = "https://github.com/"


def address():
    """Return (url, branch) as _config.yml states them."""
    text = (ROOT / "_config.yml").read_text(encoding="utf-8")
    return re.search(r"^  url: (\S+)\n  branch: (\S+)$", text, re.MULTILINE).groups()


def move(url, branch):
    """Rewrite the address in every tracked file."""
    old_url, old_branch = address()
    old, old_branch = (re.escape(part) for part in (old_url.removeprefix(GITHUB), old_branch))
    # github.com/OWNER/REPOSITORY and Colab's github/OWNER/REPOSITORY, either with the branch
    place = rf"(github(?:\.com)?/){old}(?![\w-])(?:(@|/blob/|\n  branch: ){old_branch}(?![\w-]))?"

    def moved(match):
        return match[1] + url.removeprefix(GITHUB) + (match[2] + branch if match[2] else "")

    listed = subprocess.run(("git", "ls-files", "-z"), cwd=ROOT, check=True, stdout=subprocess.PIPE)
    for path in (ROOT / name for name in listed.stdout.decode().split("\0") if name):
        text = path.read_bytes().decode("utf-8", "surrogateescape")
        new = re.sub(place, moved, text.replace(pages(old_url), pages(url)))
        if new != text:
            path.write_bytes(new.encode("utf-8", "surrogateescape"))


def pages(url):
    """Return where GitHub Pages publishes a repository, from its address."""
    owner, name = url.removeprefix(GITHUB).split("/")
    return f"{owner}.github.io/{name}"


def refusal(slug):
    """Return why a book may not be published from the repository `slug`, or None."""
    if address()[0] == GITHUB + slug:
        return None
    return (
        f"The book's address is {address()[0]}, and this repository is another: "
        f"run `make repository URL={GITHUB}{slug}`, commit what it changes, and push."
    )


def main():
    """Move the book, check its address, or print it."""
    parser = argparse.ArgumentParser(description="Move the book to another repository.")
    parser.add_argument("url", nargs="?", help=f"{GITHUB}OWNER/REPOSITORY")
    parser.add_argument("--branch", help="the branch that Colab opens (default: as it is)")
    parser.add_argument("--check", action="store_true", help="is this the repository on GitHub?")
    arguments = parser.parse_args()
    if arguments.check:
        sys.exit(refusal(os.environ["GITHUB_REPOSITORY"]))
    if arguments.url is not None:
        url = arguments.url.removesuffix(".git")
        if not re.fullmatch(GITHUB + r"[A-Za-z0-9-]+/[\w.-]+", url):
            parser.error(
                f"{url!r} is not of the form {GITHUB}OWNER/REPOSITORY"
                " (Colab opens notebooks from GitHub only)"
            )
        move(url, arguments.branch or address()[1])
    print("{}, branch {}".format(*address()))


if __name__ == "__main__":
    main()
