"""The promises of the "Try this" lists, and the tests that keep them.

    @tries("02-shift", "Drag shift from end to end: no bar of x̂ moves.")
    def test_shift_leaves_x_hat_alone(lab_page):
        ...  # do what the line says on the built page, assert what it promises

The id is that of the bullet in the notebook, `<a id="try-02-shift"></a>`; its first two digits name
the chapter, 00 the landing page. The line is the bullet's text, without its anchor. `lab_page`
(conftest.py) is that chapter in a browser. test_tries.py holds notebooks and tests together.
"""

import ast
import json
import re
from collections import Counter
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

ANCHOR = re.compile(r'<a id="try-([^"]*)"></a>')
_MARKDOWN = MarkdownIt()


def tries(id, line):
    """Mark a test as the one that performs a line of a "Try this" list."""
    return pytest.mark.tries(id=id, line=line)


def chapter_of(id, book):
    """Return the name of the chapter that an id belongs to, such as 02_normalize."""
    number = id[:2]
    if number == "00":
        return "index"
    return next(path.stem for path in sorted(book.glob(f"{number}_*.ipynb")))


def markdown_cells(path):
    """Return the sources of a notebook's Markdown cells."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"]


def plain(line):
    """Return a line of Markdown without anchor, markup and line breaks."""
    kinds = {"softbreak": " ", "hardbreak": " ", "html_inline": ""}
    (inline,) = _MARKDOWN.parseInline(line)
    text = "".join(kinds.get(node.type, node.content) for node in inline.children)
    return " ".join(text.split())


def lists(source):
    """Find the lists of a cell that follow the words "Try this".

    Returns:
        The lines of the lists under a paragraph that is `**Try this**` and nothing else, and the
        number of those lists that are introduced in other words ("Try this:", say).
    """
    tokens = _MARKDOWN.parse(source)
    lines, others = [], 0
    for i, token in enumerate(tokens):
        if token.type != "inline" or tokens[i - 1].type != "paragraph_open":
            continue
        follows = tokens[i + 2 :][:1]
        is_list = bool(follows) and follows[0].type == "bullet_list_open"
        if token.content == "**Try this**":
            lines += _items(tokens[i + 2 :]) if is_list else ["(no list follows)"]
        elif is_list and re.search(r"\btry( this| it)?\W*$", token.content, re.IGNORECASE):
            others += 1
    return lines, others


def _items(tokens):
    items, depth = [], 0
    for token in tokens:
        depth += token.nesting
        if token.type == "inline":
            items.append(token.content)
        if depth == 0:
            break
    return items


def promises(number, sources):
    """Return ({id: line}, complaints, number of lists in the old form) of a chapter's cells."""
    found, complaints, old = {}, [], 0
    for source in sources:
        lines, others = lists(source)
        old += others
        if len(ANCHOR.findall(source)) != sum(len(ANCHOR.findall(line)) for line in lines):
            complaints.append(f"{number}: an id stands outside the lists: {source[:60]!r}")
        for line in lines:
            anchor = ANCHOR.match(line)
            if not anchor:
                complaints.append(f"{number}: no id opens the line {line!r}")
            elif not re.fullmatch(rf"{number}(-[a-z0-9]+)+", id := anchor[1]):
                complaints.append(f"{number}: try-{id} is no id of this chapter")
            elif id in found:
                complaints.append(f"{id}: two lines have this id")
            else:
                found[id] = plain(line)
    return found, complaints, old


def marked_tests(source):
    """Return (id, line, complaint or None) for each test that is marked in a file's source."""
    found = []
    for node in ast.walk(ast.parse(source)):
        for mark in getattr(node, "decorator_list", ()):
            if not (isinstance(mark, ast.Call) and ast.unparse(mark.func).endswith("tries")):
                continue
            id, line = (ast.literal_eval(value) for value in mark.args)
            others = " ".join(ast.unparse(other) for other in node.decorator_list)
            complaint = None
            if not node.name.startswith("test_"):
                complaint = "pytest does not collect it"
            elif re.search(r"\b(skip|skipif|xfail)\b", others):
                complaint = "it may not be skipped"
            elif "lab_page" not in {arg.arg for arg in node.args.args}:
                complaint = "it does not ask for lab_page"
            elif not any(isinstance(part, ast.Assert) for part in ast.walk(node)):
                complaint = "it asserts nothing"
            found.append((id, plain(line), complaint and f"{id}, {node.name}: {complaint}"))
    return found


def compare(promised, tested):
    """Return what is wrong between {id: line} of the notebooks and the tests' (id, line, ...)."""
    counts = Counter(id for id, *_ in tested)
    complaints = [complaint for *_, complaint in tested if complaint]
    complaints += [f"{id}: no test performs this line" for id in promised if id not in counts]
    complaints += [f"{id}: {count} tests have this id" for id, count in counts.items() if count > 1]
    for id, line, _ in tested:
        if id not in promised:
            complaints.append(f"{id}: a test, and no line in the chapter")
        elif line != promised[id]:
            complaints.append(f"{id}: the chapter says {promised[id]!r}, the test {line!r}")
    return complaints


def chapters(book: Path):
    """Return {two digits: cells} for each notebook of the book."""
    found = {}
    for path in sorted(book.glob("*.ipynb")):
        found["00" if path.stem == "index" else path.stem[:2]] = markdown_cells(path)
    return found
