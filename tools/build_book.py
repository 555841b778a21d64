"""Build the book into _build/html, or leave no book behind and exit 1.

python tools/build_book.py           build
python tools/build_book.py --links   ask every address outside the book whether it still answers

The notebooks run first, side by side (see run_notebooks.py); Jupyter Book then makes the pages from
their outputs, with every warning an error. A stale _build would hide two things: with -W a warning
fails the first build and passes the second, and a page that is no longer written would still be
there to read. So the folders of _build are always made from nothing. A file that was packed or
printed from an earlier book stays.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import run_notebooks

ROOT = Path(__file__).parents[1]
BUILD = ROOT / "_build"
COMMAND = (str(Path(sys.executable).with_name("jupyter-book")), "build", "-W", "--keep-going", ".")
# Jupyter Book's own first page has no title and no language, and says nothing without a redirect.
FIRST_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8" />
<title>LayerNorm, step by step</title>
<meta name="viewport" content="width=device-width, initial-scale=1" />
<meta name="description" content="An interactive book about layer normalization." />
<meta http-equiv="refresh" content="0; url=book/index.html" />
<link rel="icon" href="_static/favicon.svg" />
</head>
<body><main><h1>LayerNorm, step by step</h1>
<p><a href="book/index.html">Open the book</a></p></main></body>
</html>
"""


def main(arguments):
    """Build, then say where the book is or which notebook failed; or ask what it links to."""
    links = arguments == ["--links"]
    for folder in BUILD.glob("*/"):
        if not (links and folder.name == "html"):
            shutil.rmtree(folder, ignore_errors=True)
    cache, failed = run_notebooks.run()
    if links:  # Sphinx's own check; it needs the network
        return 1 if failed else jupyter_book(cache, "--builder", "linkcheck")
    if not failed and jupyter_book(cache) == 0 and (BUILD / "html" / "index.html").is_file():
        (BUILD / "html" / "index.html").write_text(FIRST_PAGE, encoding="utf-8")
        print(f"The book is in {BUILD / 'html' / 'index.html'}")
        return 0
    shutil.rmtree(BUILD / "html", ignore_errors=True)
    print("No book was built. The cause stands above.", file=sys.stderr)
    return 1


def jupyter_book(cache, *arguments):
    """Make the pages from the outputs in `cache`; return 0 where that went without a warning."""
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src"), "BOOK_CACHE": str(cache)}
    return subprocess.run((*COMMAND, *arguments), cwd=ROOT, env=environment).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
