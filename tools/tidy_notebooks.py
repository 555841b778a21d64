"""Strip the book's notebooks of outputs, and of whatever metadata an editor left in them.

python tools/tidy_notebooks.py            rewrite book/*.ipynb in place
python tools/tidy_notebooks.py --check    change nothing, exit 1 where a notebook is not tidy

nbstripout knows by name what to drop, and each editor adds names; here, what stays is named.
"""

import sys
from pathlib import Path

import nbformat

METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def tidy(text):
    """Return the notebook `text` without outputs, ids by position."""
    notebook = nbformat.reads(text, as_version=4)
    notebook.metadata, notebook.nbformat_minor = METADATA, 5
    for position, cell in enumerate(notebook.cells):
        cell.id = f"cell-{position:02}"
        cell.metadata = {k: v for k, v in cell.metadata.items() if k in ("tags", "mystnb")}
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return nbformat.writes(notebook, indent=1) + "\n"


def main(arguments):
    """Tidy every notebook of the book, or say which are not tidy."""
    paths = sorted(Path(__file__).parents[1].glob("book/*.ipynb"))
    texts = {path: path.read_text(encoding="utf-8") for path in paths}
    untidy = [path for path, text in texts.items() if tidy(text) != text]
    print("\n".join(path.name for path in untidy) or "every notebook is tidy")
    if arguments == ["--check"]:
        return 1 if untidy else 0
    for path in untidy:
        path.write_text(tidy(texts[path]), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
