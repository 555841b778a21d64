"""Strip outputs from the book's notebooks and give them the one fixed metadata.

python tools/tidy_notebooks.py            rewrite book/*.ipynb in place
python tools/tidy_notebooks.py --check    change nothing, exit 1 where a notebook is not tidy
"""

import sys
from pathlib import Path

import nbformat

METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def tidy(text):
    """Return the notebook `text` without outputs, counts and stray metadata; ids by position."""
    notebook = nbformat.reads(text, as_version=4)
    notebook.metadata = nbformat.from_dict(METADATA)
    notebook.nbformat_minor = 5
    for position, cell in enumerate(notebook.cells):
        cell.id = f"cell-{position:02}"
        cell.metadata = {k: v for k, v in cell.metadata.items() if k in ("tags", "mystnb")}
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return nbformat.writes(notebook, indent=1) + "\n"


def main(arguments):
    """Tidy every notebook of the book, or say which are not tidy."""
    check = arguments == ["--check"]
    untidy = []
    for path in sorted(Path(__file__).parents[1].glob("book/*.ipynb")):
        text = path.read_text(encoding="utf-8")
        if tidy(text) != text:
            untidy.append(path.name)
            if not check:
                path.write_text(tidy(text), encoding="utf-8")
    print("\n".join(untidy) or "every notebook is tidy")
    return 1 if check and untidy else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
