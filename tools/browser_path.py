"""Where are the browsers of this machine, for the tests and the audit?

    python tools/browser_path.py             print Chromium's path, or say how to get it and exit 1
    python tools/browser_path.py --install   install what is missing of all three engines

The audit and most tests need a Chromium or Chrome. Looked for in this order: the path in the
variable CHROMIUM, a browser of a known name, the one that Playwright keeps. tests/test_engines.py
also plays the labs in Firefox and in WebKitGTK, where they are. `--install` gives root on Debian or
Ubuntu the packages below; anybody else Playwright's own Chromium, and says what else is missing.
"""

import glob
import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "chrome")
FIREFOX = ("firefox-esr", "firefox")
WEBKIT = ("webkit2gtk-driver", "xvfb")  # packages: a driver with its browser, and a screen for it
MINI_BROWSERS = "/usr/lib/*/webkit2gtk-4.*/MiniBrowser"
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


def find_firefox():
    """Return the path of a Firefox that is here."""
    return _find("Firefox", FIREFOX, map(shutil.which, FIREFOX))


def find_webkit():
    """Return the paths of WebKitGTK's driver, of its MiniBrowser and of a screen for it, Xvfb."""
    driver, screen = shutil.which("WebKitWebDriver"), shutil.which("Xvfb")
    return (
        _find("WebKitWebDriver", WEBKIT, [driver]),
        _find("MiniBrowser", WEBKIT, sorted(glob.glob(MINI_BROWSERS))),
        _find("Xvfb", WEBKIT, [screen]),
    )


def _find(name, packages, paths):
    for path in filter(None, paths):
        return path
    raise NoBrowser(
        f"There is no {name} on this machine. As root: make browsers\n"
        f"or install it yourself; Debian has it in {packages[0]}."
    )


def missing_packages():
    """Return the names of Debian's packages for the engines that are not here."""
    packages = []
    for find, names in (
        (find_browser, ("chromium",)),
        (find_firefox, FIREFOX[:1]),
        (find_webkit, WEBKIT),
    ):
        try:
            find()
        except NoBrowser:
            packages += names
    return packages


def install_browsers():
    """Install what is missing; what cannot be installed says why and raises CalledProcessError."""
    if not (packages := missing_packages()):
        return
    if shutil.which("apt-get") and hasattr(os, "geteuid") and os.geteuid() == 0:
        subprocess.run(("apt-get", "update", "--quiet"), check=True)
        options = ("--quiet", "--yes", "--no-install-recommends")
        subprocess.run(("apt-get", "install", *options, *packages), check=True)
        return
    if "chromium" in packages:
        subprocess.run((sys.executable, "-m", "playwright", "install", "chromium"), check=True)
        packages.remove("chromium")
    if packages:
        print("To test the labs in every engine, install:", *packages, file=sys.stderr)


def main(arguments):
    """Print Chromium's path, having installed what is missing where that was asked for."""
    if arguments == ["--install"]:
        install_browsers()
    try:
        print(find_browser())
    except NoBrowser as problem:
        sys.exit(str(problem))


if __name__ == "__main__":
    main(sys.argv[1:])
