"""Keep a short formula in running text on one line: 6 × 10⁻¹⁵, σ = 0.1, [1, 2, 3, 6]."""

import re

from docutils import nodes

NBSP = "\N{NO-BREAK SPACE}"
# A space beside a sign that stands by itself, with something on its other side.
BESIDE_A_SIGN = re.compile(r"(?<=\S) (?=[=×·+−≈<>≤≥±/] \S)|(?<= [=×·+−≈<>≤≥±/]) (?=\S)")
A_SHORT_ROW = re.compile(r"\[[\d., −]{1,24}\]")
TOO_LONG = re.compile(r"[^ \n]{25,}")  # for a phone


def unbroken(text):
    """Return the text with no-break spaces in what reads as one formula."""
    text = A_SHORT_ROW.sub(lambda row: row[0].replace(" ", NBSP), text)
    text = BESIDE_A_SIGN.sub(NBSP, text)
    return TOO_LONG.sub(lambda long: long[0].replace(f"{NBSP}=", " ="), text)


def join(app, doctree, name):
    """Do so wherever a page has text that is not code."""
    for text in list(doctree.findall(nodes.Text)):
        if isinstance(text.parent, nodes.literal | nodes.literal_block | nodes.math | nodes.raw):
            continue
        joined = unbroken(text.astext())
        if joined != text.astext():
            text.parent.replace(text, nodes.Text(joined))


def setup(app):
    app.connect("doctree-resolved", join)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
