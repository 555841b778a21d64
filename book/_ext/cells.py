"""Draw the cells of a chapter as their tags ask: lab, check, predict, deeper, solution.

In Colab they are plain cells, one after the other. On a page a `lab` or a figure (`hide-input`)
comes before the code that makes it, a `check` is one line that says how much was checked, and
`predict`, `deeper` and `solution` fold what belongs together into one box. The boxes are <details>:
the browser opens and closes them, with the keyboard too, without a script, and paper shows them
open. A tag that is used wrongly is a warning, which fails the build.

MyST-NB forgets which Markdown cell a paragraph came from. So each one starts, before it is parsed,
with a block break that says so: a comment, which no page shows.
"""

import ast
import json
import re

from disclosure import details, summary
from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.util import logging

LOGGER = logging.getLogger(__name__)

BOXES = {"predict": "See the answer", "deeper": None, "solution": "Solution"}
SHOWN = {"lab": "lab", "hide-input": "figure"}
# Tags for the machinery; they change nothing on the page, or what MyST-NB itself does with them.
OTHERS = {"colab", "remove-cell", "long", "timing", "ladder"}
TAGS = {"check", *SHOWN, *BOXES, *OTHERS}

LINKS = (nodes.reference, pending_xref)
BREAK = re.compile(r"cell (\d+)\b *(.*)")
# What fails a cell: an assert, or a function that raises for the caller.
RAISES = re.compile(r"assert_\w+|raise_for_failure")
MAGIC = re.compile(r"^(\s*)[%!].*", re.MULTILINE)


class div(nodes.Element):
    """A plain block; docutils' own container would bring classes of the theme with it."""


class Cell:
    """The top-level nodes that one cell became, in a row of siblings."""

    def __init__(self, index, tags, code=None):
        self.index, self.tags, self.code, self.nodes = index, tags, code, []

    @property
    def box(self):
        """The box that the cell lies in, if any."""
        return next((tag for tag in self.tags if tag in BOXES), None)


def mark(app, docname, source):
    """Begin each Markdown cell with a block break that names its number and its tags."""
    if not str(app.env.doc2path(docname)).endswith(".ipynb"):
        return
    notebook = json.loads(source[0])
    for index, cell in enumerate(notebook["cells"]):
        tags = cell["metadata"].get("tags", [])
        for tag in sorted({*tags} - TAGS):
            known = ", ".join(sorted(TAGS))
            complain(docname, index, f"the tag `{tag}` is not one of the book's: {known}")
        if cell["cell_type"] == "markdown":
            text = "".join(cell["source"])
            cell["source"] = f"+++ cell {index} {' '.join(tags)}\n{text}"
            for tag in {"lab", "check"} & {*tags}:
                complain(docname, index, f"`{tag}` is for cells with code, and this one is text")
    source[0] = json.dumps(notebook)


def complain(docname, index, sentence):
    LOGGER.warning("%s.ipynb, cell %d: %s", docname, index, sentence, location=docname)


def draw(app, doctree):
    """Draw each cell as its tags ask."""
    docname = app.env.docname
    for parent in [doctree, *doctree.findall(nodes.section)]:
        cells = list(split(parent, docname))
        for cell in cells:
            if cell.code and (shown := next((t for t in SHOWN if t in cell.tags), None)):
                show(cell, docname, shown)
        for run in runs(cells, lambda c: "check" in c.tags and c.code and (c.box or "main path")):
            check(run, docname)
        for run in runs(cells, lambda cell: cell.box):
            for box in split_boxes(run):
                fold(box, docname)
        exercises(parent, docname)


def is_break(node):
    return isinstance(node, nodes.comment) and "block_break" in node.get("classes", ())


def split(parent, docname):
    """Yield the cells among a section's children; what precedes the first is a heading's."""
    cell = Cell(None, [])
    for node in parent.children:
        if is_break(node) and (found := BREAK.match(node.astext())):
            yield cell
            cell = Cell(int(found[1]), found[2].split())
        elif is_code(node):
            yield cell
            code = Cell(node["cell_index"], node["cell_metadata"].get("tags", []), node)
            code.nodes = [node]
            yield code
            cell = Cell(None, [])
        elif is_section(node):
            if cell.box:
                complain(docname, cell.index, f"a `{cell.box}` box has no headings: use bold type")
            cell.nodes.append(node)
        else:
            cell.nodes.append(node)
    yield cell


def runs(cells, key):
    """Yield each run of neighbouring cells with the same key, where that is something."""
    run = []
    for cell in [c for c in cells if c.nodes]:
        if run and key(cell) != key(run[-1]):
            yield run
            run = []
        if key(cell):
            run.append(cell)
    if run:
        yield run


def split_boxes(run):
    """Two boxes may stand together: each Markdown cell that opens with a title begins one."""
    box = []
    for cell in run:
        if box and title_of(cell, "Deeper"):
            yield box
            box = []
        box.append(cell)
    yield box


def title_of(cell, kind):
    """Return the paragraph that opens a cell, if it begins with such a title."""
    first = cell.nodes[0] if cell.nodes else None
    return first if is_title(first, kind) else None


def is_title(node, kind):
    """Return whether a paragraph begins with **Kind: ...** in bold."""
    if not isinstance(node, nodes.paragraph):
        return False
    bold = next((part for part in node.children if part.astext()), None)
    return isinstance(bold, nodes.strong) and bold.astext().startswith(f"{kind}: ")


def take_title(paragraph, kind):
    """Take the bold title out of a paragraph; return its parts, the kind a part of its own."""
    bold = paragraph.next_node(nodes.strong)
    paragraph.remove(bold)
    if not paragraph.astext().strip():
        paragraph.parent.remove(paragraph)
        paragraph.parent = None
    bold[0] = nodes.Text(bold[0].removeprefix(f"{kind}: "))
    if isinstance(bold[-1], nodes.Text):
        bold[-1] = nodes.Text(bold[-1].removesuffix("."))
    return [nodes.inline("", f"{kind}: ", classes=["ln-kind"]), *bold.children]


def box_around(kind, content, title):
    """Put `content`, neighbours in the page, into a <details> where the first of them stands."""
    box = details(classes=["ln-fold", f"ln-{kind}"])
    parent = content[0].parent
    parent.insert(parent.index(content[0]), box)
    for node in content:
        parent.remove(node)
    line = summary("", "")
    line += title
    box += line
    box += content
    return box


def show(cell, docname, tag):
    """Show what the cell shows, and below it, closed, the code."""
    code, *output = cell.code.children
    if not output and tag == "lab":
        complain(docname, cell.index, "a cell tagged `lab` shows a lab, and this one shows nothing")
        return
    cell.code.attributes.pop("hide_mode", None)
    cell.code.children = []
    cell.code += [*output, code]
    box_around(
        "code", [code], [nodes.Text(f"Python behind this {SHOWN[tag]}" if output else "Python")]
    )


def check(run, docname):
    """Put a run of checks into one line, which counts their claims."""
    counts = [claims_in(cell.code.children[0].astext()) for cell in run]
    for cell in (cell for cell, count in zip(run, counts, strict=True) if not count):
        complain(docname, cell.index, "a cell tagged `check` asserts something; this one does not")
    claims = f"{sum(counts)} claim{'s' * (sum(counts) != 1)}"
    tick = nodes.inline("", "✓", classes=["ln-tick"])
    line = nodes.Text(f" checked while this page was built: {claims}")
    box = box_around("check", [cell.code for cell in run], [tick, line])
    for cell in run:
        cell.nodes = []
    run[0].nodes = [box]


def claims_in(code):
    """Count the statements of a cell that fail it where a claim is false."""

    def called(node):
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        return bool(RAISES.fullmatch(name))

    found = ast.walk(parsed(code))
    return sum(isinstance(n, ast.Assert) or (isinstance(n, ast.Call) and called(n)) for n in found)


def parsed(code):
    """Return the syntax tree of a cell's code, its magic commands left out."""
    return ast.parse(MAGIC.sub(r"\1pass", code))


def fold(cells, docname):
    """Fold what a run of cells shows into one box."""
    kind, first = cells[0].box, cells[0]
    title = [nodes.Text(BOXES[kind] or "")]
    if kind == "deeper":
        paragraph = title_of(first, "Deeper")
        if not paragraph:
            sentence = "a `deeper` box opens with a line **Deeper: what it gives.**"
            complain(docname, first.index, f"{sentence} This one does not")
            return
        title = take_title(paragraph, "Deeper")
        if any(isinstance(n, LINKS) for part in title for n in part.findall()):
            complain(docname, first.index, "the title of a box opens it, so it holds no link")
    content = [node for cell in cells for node in cell.nodes if node.parent]
    if not content:
        complain(docname, first.index, f"a `{kind}` box with nothing in it")
        return
    box_around(kind, content, title)["cell"] = first.index


def exercises(parent, docname):
    """Put each exercise into one block, with its solution and with what stands between them.

    One without a solution ends with the cell that poses it.
    """
    for title in [node for node in parent.children if is_title(node, "Exercise")]:
        start = parent.index(title)
        rest = parent.children[start + 1 :]
        rest = rest[: first(rest, lambda n: is_section(n) or is_title(n, "Exercise"))]
        solution = first(rest, is_solution)
        end = first(rest, is_other_cell) if solution is None else solution + 1
        block, line = div(classes=["ln-exercise"]), nodes.paragraph(classes=["ln-exercise-title"])
        parent.insert(start, block)
        for node in [title, *rest[:end]]:
            parent.remove(node)
            block += node
        line += take_title(title, "Exercise")
        block.insert(0, line)
    for node in filter(is_solution, parent.children):
        sentence = "a `solution` follows an exercise, text that opens **Exercise: title.**"
        complain(docname, node["cell"], sentence)


def first(siblings, wanted):
    """Return the place of the first node that is wanted, or None."""
    return next((place for place, node in enumerate(siblings) if wanted(node)), None)


def is_section(node):
    return isinstance(node, nodes.section)


def is_other_cell(node):
    return is_section(node) or is_break(node) or is_code(node) or is_box(node)


def is_code(node):
    return isinstance(node, nodes.container) and node.get("nb_element") == "cell_code"


def is_box(node):
    return isinstance(node, details) and "ln-fold" in node["classes"]


def is_solution(node):
    return is_box(node) and "ln-solution" in node["classes"]


def visit(self, node):
    self.body.append(self.starttag(node, "div"))


def depart(self, node):
    self.body.append("</div>\n")


def setup(app):
    app.add_node(div, html=(visit, depart))
    app.connect("source-read", mark)
    app.connect("doctree-read", draw)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
