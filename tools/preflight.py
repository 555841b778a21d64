"""Say in one line what this machine lacks for the book, before anything is installed.

It must run on any Python, however old: so nothing newer than 2.7 below, and no import up here
that could fail.
"""

import os
import sys

NEEDED_PYTHON = (3, 11)
NEEDED_BYTES = (
    3 * 10**9
)  # the environment takes 1.6 GB with the CPU build of torch, and room to unpack


def missing(folder):
    """Return what is missing and what to do, in one line, or None."""
    version = "%d.%d" % sys.version_info[:2]
    if sys.version_info < NEEDED_PYTHON:
        return (
            "The book needs Python 3.11 or newer, and %s is %s. "
            "Install one and name it: make PYTHON=python3.11" % (sys.executable, version)
        )
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        return (
            "This Python has no venv module. On Debian and Ubuntu: apt install python%s-venv"
            % version
        )
    disk = os.statvfs(folder) if hasattr(os, "statvfs") else None
    if disk and disk.f_bavail * disk.f_frsize < NEEDED_BYTES:
        return "The book needs %.0f GB of free disk in %s, and %.1f GB are left. Free some." % (
            NEEDED_BYTES / 1e9,
            os.path.abspath(folder),
            disk.f_bavail * disk.f_frsize / 1e9,
        )
    return None


if __name__ == "__main__":
    sys.exit(missing("."))
