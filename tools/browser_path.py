"""Find a Chromium or Chrome on this machine, or install one: the browser tests' first step.

    python tools/browser_path.py      prints the browser's path, installing one if there is none

Looked for in this order: the path in the variable CHROMIUM, a browser of a known name, the one
that Playwright keeps. Where there is none, root on Debian or Ubuntu gets the package `chromium`,
anybody else Playwright's own build. Where neither can be had, it says so and fails.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "chrome")
MAC = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"


class NoBrowser(Exception):
    """There is no browser, and none could be installed; the message says what was tried."""


def find_browser():
    """Return the path of a browser that is here, or None."""
    named = os.environ.get("CHROMIUM")
    if named:
        if not Path(named).is_file():
            raise NoBrowser(f"CHROMIUM names {named}, and there is no such file.")
        return named
    for path in (*map(shutil.which, NAMES), MAC, _playwrights_own()):
        if path and Path(path).is_file():
            return path
    return None


def find_or_install_browser():
    """Return the path of a browser, installed now if need be.

    Raises:
        NoBrowser: there is none and none could be installed.
    """
    path = find_browser()
    if path:
        return path
    tried = []
    for command in _ways_to_install():
        print("No Chromium or Chrome here. Installing one:", *command, file=sys.stderr)
        done = subprocess.run(command, capture_output=True, encoding="utf-8")
        path = find_browser()
        if path:
            return path
        tried.append(f"{' '.join(command)}\n{(done.stdout + done.stderr).strip()[-600:]}")
    raise NoBrowser(
        "The browser tests need Chromium or Chrome. There is none on this machine, and it could "
        "not be installed. Install one, or name one with CHROMIUM=/path/to/it. Tried:\n\n"
        + "\n\n".join(tried)
    )


def _ways_to_install():
    if shutil.which("apt-get") and hasattr(os, "geteuid") and os.geteuid() == 0:
        yield ("apt-get", "update", "--quiet")
        yield ("apt-get", "install", "--quiet", "--yes", "--no-install-recommends", "chromium")
    yield (sys.executable, "-m", "playwright", "install", "chromium")


def _playwrights_own():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        return playwright.chromium.executable_path


if __name__ == "__main__":
    try:
        print(find_or_install_browser())
    except NoBrowser as problem:
        sys.exit(str(problem))
