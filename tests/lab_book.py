"""A small book with the lab in every stage, for the tests of its pages."""

import nbformat

STAGES = {
    "whole": "LayerNormLab()",
    "statistics": 'LayerNormLab(x=[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0], stage="statistics")',
    "normalize": 'LayerNormLab(x=[0.01, 0.02, 0.0, 0.03], eps=1e-4, stage="normalize")',
    "affine": "LayerNormLab(x=[1.0, 2.0, 3.0, 6.0], eps=0.5, weight=[1.0, 2.0, 1.0, 0.5], "
    'bias=[0.0, 0.0, 1.0, 0.0], stage="affine")',
    "placement": 'LayerNormLab(x=[0.1, 0.9, 0.4, 0.7], placement="outside", stage="normalize")',
}
PLAIN = "import ipywidgets\n\nipywidgets.IntSlider()"


def write_book(tree):
    """Write the chapters and their table of contents into a tree that has all else."""
    chapters = {name: [code] for name, code in STAGES.items()}
    chapters["together"] = [STAGES["statistics"], PLAIN, STAGES["affine"]]
    for name, codes in chapters.items():
        cells = [nbformat.v4.new_markdown_cell(f"# {name.capitalize()}\n\nA chapter with the lab.")]
        cells.append(nbformat.v4.new_code_cell("from layernorm_book.widgets import LayerNormLab"))
        cells += [
            nbformat.v4.new_code_cell(code, metadata={"tags": ["hide-input", "lab"]})
            for code in codes
        ]
        notebook = nbformat.v4.new_notebook(cells=cells)
        (tree / "book" / f"{name}.ipynb").write_text(nbformat.writes(notebook), encoding="utf-8")
    listed = "".join(f"  - file: book/{name}\n" for name in chapters)
    toc = f"format: jb-book\nroot: book/notation\nchapters:\n{listed}"
    (tree / "_toc.yml").write_text(toc, encoding="utf-8")
