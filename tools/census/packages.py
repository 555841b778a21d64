"""The wheels that the census reads: which, from where, and where their source stands on the web."""

import hashlib
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from census.wheel import Wheel

LIST = Path(__file__).parent / "packages.json"


@dataclass(frozen=True)
class Package:
    """A published package at one version.

    Attributes:
        name, version, sha256: of its wheel.
        repository: the page of its source.
        tag: under which its authors tag that version; None where they tag none.
        root: the folder of the repository that holds what the wheel holds.
    """

    name: str
    version: str
    sha256: str
    repository: str
    tag: str | None
    root: str = ""

    def link(self, file, line):
        """Return where a line of the package can be read."""
        return link(self.repository, self.tag, self.root, file, line)


def link(repository, tag, root, file, line):
    """Return the page of one line at one version; of the repository where no version is tagged."""
    if not tag or not file:
        return repository
    return f"{repository}/blob/{tag}/{'/'.join(filter(None, [root, file]))}#L{line}"


def packages(path=LIST):
    """Return the Packages of the list, by name."""
    return [Package(**row) for row in json.loads(path.read_text())]


def fetch(chosen, folder):
    """Download the wheels that are not there yet, each with its digest checked.

    Args:
        chosen: list of Package.
        folder: Path where wheels are kept.

    Returns:
        list of (Package, Wheel).

    Raises:
        subprocess.CalledProcessError: pip could not get one, or a digest differs.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wanted = folder / "wanted.txt"
    there = _digests(folder)
    missing = [p for p in chosen if p.sha256 not in there]
    wanted.write_text("".join(f"{p.name}=={p.version} --hash=sha256:{p.sha256}\n" for p in missing))
    if missing:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
        only = ["--no-deps", "--only-binary", ":all:", "--require-hashes"]
        subprocess.run([*pip, *only, "--dest", folder, "--requirement", wanted], check=True)
    found = _digests(folder)
    return [(p, Wheel(found[p.sha256])) for p in chosen]


def _digests(folder):
    """Return {sha256: path} of the wheels in a folder."""
    return {hashlib.sha256(p.read_bytes()).hexdigest(): p for p in sorted(folder.glob("*.whl"))}
