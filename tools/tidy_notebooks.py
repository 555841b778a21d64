"""Strip outputs from the book's notebooks and give them the one metadata and the one first cell.

python tools/tidy_notebooks.py            rewrite book/*.ipynb in place
python tools/tidy_notebooks.py --check    change nothing, exit 1 where a notebook is not tidy
"""

import sys
from pathlib import Path

import nbformat
from repository import address

METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
# The page does not show this cell; Colab does, and runs it first.
INSTALL = """\
# Colab does not have this book's package yet. Anywhere else, this cell does nothing.
from importlib.util import find_spec

if find_spec("google") and find_spec("google.colab") and not find_spec("layernorm_book"):
    %pip install --quiet "git+{url}@{branch}\""""
INSTALL_TAGS = ["colab", "remove-cell"]


def tidy(text):
    """Return the notebook `text` without outputs, ids by position, the install cell first."""
    notebook = nbformat.reads(text, as_version=4)
    notebook.metadata = nbformat.from_dict(METADATA)
    notebook.nbformat_minor = 5
    url, branch = address()
    install = nbformat.v4.new_code_cell(INSTALL.format(url=url, branch=branch))
    install.metadata["tags"] = INSTALL_TAGS
    chapter = [cell for cell in notebook.cells if cell.metadata.get("tags") != INSTALL_TAGS]
    notebook.cells = [install, *chapter]
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
