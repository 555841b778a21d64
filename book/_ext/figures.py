"""Give each picture its words, and write the rules for all of them once a page.

A picture comes as HTML with the rules for its colours, so that it looks the same in a notebook. Its
alternative text stands in its cell's metadata, where MyST-NB looks for it, but for images only.
"""

import re
from html import escape

from cells import is_code
from docutils import nodes
from sphinx.util import logging

LOGGER = logging.getLogger(__name__)
PICTURE = re.compile(r'(<style>.*?</style>)(<div class="ln-figure" role="img")', re.DOTALL)


def describe(app, doctree):
    """Label each picture of a page, and leave its rules to the first."""
    first = True
    for cell in doctree.findall(is_code):
        alt = cell["cell_metadata"].get("mystnb", {}).get("image", {}).get("alt", "")
        for node in list(cell.findall(nodes.raw)):
            found = PICTURE.match(node.astext())
            if not found:
                continue
            if not alt:
                where = f"{app.env.docname}.ipynb, cell {cell['cell_index']}"
                LOGGER.warning("%s: a picture without alt text in its metadata", where)
            style = found[1] if first else ""
            words = f'{style}{found[2]} aria-label="{escape(alt)}"'
            node.children = []
            node += nodes.Text(words + node.rawsource[found.end() :])
            first = False


def setup(app):
    app.connect("doctree-read", describe)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
