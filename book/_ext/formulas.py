r"""Turn every formula into MathML while the book is built.

MathJax at run time costs 262 kB and a script on every page, and draws nothing without it. MathML is
part of the page: it needs no script, prints, can be searched, and a screen reader speaks it. Bad
TeX becomes a warning, which fails the build, instead of red text that a reader finds.
"""

import re

from docutils import nodes
from math_core import LatexError, LatexToMathML
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number

LOGGER = logging.getLogger(__name__)
CONVERTER = LatexToMathML(fancy_error=False)

# amsmath's `split` is `aligned` to the converter; a numbered environment gets its number from
# Sphinx, so that references to it agree, and not a second one from the converter.
ENVIRONMENTS = {
    "split": "aligned",
    "equation": "equation*",
    "align": "align*",
    "gather": "gather*",
    "multline": "gather*",
    "multline*": "gather*",
}
# A label that MyST makes up for an unlabelled environment differs from build to build.
MADE_UP = re.compile(r"equation-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

# Brackets that need not grow keep their own size; grown, they would stand apart from one line.
ONE_LINE = re.compile(
    r"\\left([(\[])((?:(?!\\left|\\right|\\[td]?frac|\\sum|\\prod|\\sqrt|\\begin).)*)\\right([)\]])"
)


def to_mathml(tex, display):
    """Return `tex` as a <math> element, or raise LatexError."""

    def rename(match):
        return rf"\{match[1]}{{{ENVIRONMENTS.get(match[2], match[2])}}}"

    tex = re.sub(r"\\(begin|end)\{(\w+\*?)\}", rename, tex.strip())
    tex = re.sub(r"\\label\{[^}]*\}", "", tex)
    tex = ONE_LINE.sub(r"\1\2\3", tex)
    if display and r"\\" in tex and r"\begin" not in tex:
        tex = rf"\begin{{aligned}}{tex}\end{{aligned}}"
    return CONVERTER.convert_with_local_state(tex, displaystyle=display)


def converted(node, display):
    """Return the MathML of a node; where its TeX is bad, warn and return the TeX itself."""
    try:
        parts = [part for part in node.astext().split("\n\n") if part.strip()]
        return "".join(to_mathml(part, display) for part in parts)
    except LatexError as error:
        LOGGER.warning("bad formula: %s\n%s", node.astext(), error, location=node)
        return f"<code>{nodes.unescape(node.astext())}</code>"


def visit_math(self, node):
    self.body.append(converted(node, display=False))
    raise nodes.SkipNode


def visit_math_block(self, node):
    """Wide formulas scroll in their own box, which the theme's script makes focusable then."""
    ids = [i for i in node["ids"] if not MADE_UP.fullmatch(i)]
    anchor = f' id="{ids[0]}"' if ids else ""
    self.body.append(f'<div class="formula"{anchor}>')
    self.body.append('<div class="pst-scrollable-table-container">')
    self.body.append(converted(node, display=True))
    self.body.append("</div>")
    if node.get("number"):
        self.body.append(f'<span class="eqno">({get_node_equation_number(self, node)})')
        if ids:
            self.add_permalink_ref(node, "Link to this equation")
        self.body.append("</span>")
    self.body.append("</div>\n")
    raise nodes.SkipNode


def setup(app):
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_math_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
