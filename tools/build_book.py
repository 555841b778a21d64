"""Build the book from nothing into _build/html, or leave no book behind and exit 1.

A stale _build would hide two things: with -W a warning fails the first build and passes the
second, and a page that is no longer written would still be there to read.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
BUILD = ROOT / "_build"
COMMAND = (
    str(Path(sys.executable).with_name("jupyter-book")),
    "build",
    "-W",
    "--keep-going",
    ".",
)


def main():
    """Build, then say where the book is or which cell of which notebook failed."""
    shutil.rmtree(BUILD, ignore_errors=True)
    # The kernels import this tree's package, whichever one the environment was installed from.
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    status = subprocess.run(COMMAND, cwd=ROOT, env=environment).returncode
    if status == 0 and (BUILD / "html" / "index.html").is_file():
        print(f"The book is in {BUILD / 'html' / 'index.html'}")
        return 0
    reports = sorted((BUILD / "html" / "reports").rglob("*.err.log"))
    for report in reports:
        print(f"\nFailed: {report.name.removesuffix('.err.log')}\n{report.read_text()}")
    shutil.rmtree(BUILD / "html", ignore_errors=True)
    print("No book was built. The cause stands above.", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
