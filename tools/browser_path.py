"""Where is a Chromium or Chrome on this machine, for the tests and the audit?

    python tools/browser_path.py             print its path, or say how to get one and exit 1
    python tools/browser_path.py --install   install one where there is none

Looked for in this order: the path in the variable CHROMIUM, a browser of a known name, the one
that Playwright keeps. `--install` gives root on Debian or Ubuntu the package `chromium`, anybody
else Playwright's own build.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "chrome")
MAC = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"


class NoBrowser(Exception):
    """There is no browser; the message says what to run."""


def find_browser():
    """Return the path of a browser that is here.

    Raises:
        NoBrowser: there is none.
    """
    named = os.environ.get("CHROMIUM")
    if named and not Path(named).is_file():
        raise NoBrowser(f"CHROMIUM names {named}, and there is no such file.")
    for path in (named, *map(shutil.which, NAMES), MAC):
        if path and Path(path).is_file():
            return path
    if Path(path := _playwrights_own()).is_file():
        return path
    raise NoBrowser(
        "There is no Chromium or Chrome on this machine. Install one with: make browsers\n"
        "or name one: CHROMIUM=/path/to/it"
    )


def _playwrights_own():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        return playwright.chromium.executable_path


def install_browser():
    """Install a browser; what cannot be installed says why and raises CalledProcessError."""
    if shutil.which("apt-get") and hasattr(os, "geteuid") and os.geteuid() == 0:
        subprocess.run(("apt-get", "update", "--quiet"), check=True)
        packages = ("install", "--quiet", "--yes", "--no-install-recommends", "chromium")
        subprocess.run(("apt-get", *packages), check=True)
    else:
        subprocess.run((sys.executable, "-m", "playwright", "install", "chromium"), check=True)


def main(arguments):
    """Print the path, having installed a browser where that was asked for."""
    try:
        print(find_browser())
    except NoBrowser as problem:
        if arguments != ["--install"]:
            sys.exit(str(problem))
        install_browser()
        print(find_browser())


if __name__ == "__main__":
    main(sys.argv[1:])
