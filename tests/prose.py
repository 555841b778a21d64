"""What a chapter's prose must keep to: its length, its code, its numbers, its words.

A rule takes a chapter and yields one sentence for each place that breaks it.

Which numbers are results? Those in the prose of the main path that have a decimal point, a percent
sign, a power of ten or more than three digits (years and round numbers like 1000 aside), and that
no code outside the checks of their chapter contains: these the reader was given. A result has to
stand in a check of its own section, as a number or as arithmetic on numbers that rounds to it, so
that an assert holds what was computed against it. Lines to try have tests of their own, what an
exercise gives is given, the opening and the end may repeat what any section shows, and numbers in
code, formulas and rows in brackets are not prose.
"""

import ast
import re
from contextlib import suppress
from decimal import Decimal

from cells import RAISES, claims_in, parsed
from reading_time import EXERCISE, place, words

WORDS, WORDS_IN_A_BOX, LINES = 1400, 250, 6

BANNED = (
    "behind the sum",
    "front of the branch",
    "held against",
    "holds against",
    "numbers that are none",
    "one a case",
    "one a channel",
    "one a step",
    "one an image",
    "one line a case",
    "a layer that takes none",
    "chooses for itself",
    "these are the imports",
    "this chapter shows",
    "this section shows",
    "in this section we",
    "runs on these imports",
    "it is worth noting",
    "remarkable",
    "remarkably",
    "mend",
    "mends",
    "mended",
    "delve",
    "seamless",
    "powerful",
)
PHRASE = re.compile(rf"\b({'|'.join(BANNED)})\b", re.IGNORECASE)
QUESTION = re.compile(r"\b(predict|guess|before you (run|look|open|go on))\b", re.IGNORECASE)

SUPERSCRIPT = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")
NOT_PROSE = re.compile(
    r"`[^`]*`|\$\$.*?\$\$|\$[^$\n]*\$|<[^>]*>|\]\([^)]*\)|\[[-−\d.,;… ]*\]|https?:\S+"
    r"|\d+\.\d+\.[\d.]+|(?:version|release|Python|PyTorch|torch|section|chapter|#)s? ?\d[\d.]*",
    re.DOTALL | re.IGNORECASE,
)
YEAR = range(1900, 2100)
NUMBER = re.compile(
    r"(?<![\w.])[-−]?(?P<digits>\d{1,3}(?:,\d{3})+|\d+)(?P<part>\.\d+)?"
    r"(?:e(?P<e>[-+]?\d+)| · 10(?P<ten>[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+))?(?P<percent> ?%)?(?![\w.]*\w)"
)
TEN = re.compile(r"(?<![\w· ])10([⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)")
SUM = (ast.BinOp, ast.UnaryOp, ast.Constant, ast.operator, ast.unaryop)
LITERAL = re.compile(r"(?<![\w.])\d[\d_,]*(?:\.\d+)?(?:e[-+]?\d+)?", re.IGNORECASE)


def prose(cell):
    """Return the text of a cell that is prose, without the lines to try."""
    lines = (line for line in cell["text"].splitlines() if 'id="try-' not in line)
    return NOT_PROSE.sub(" ", "\n".join(lines))


def sections(chapter):
    """Yield (title, cells) for each section of a chapter; a Markdown cell may hold several."""
    title, cells = "the opening", []
    for cell in chapter.cells:
        text = cell["cell_type"] == "markdown"
        for part in re.split(r"^(?=#{1,3} )", cell["text"], flags=re.MULTILINE) if text else [""]:
            if text and not part.strip():  # before a heading that opens its cell
                continue
            if text and part.startswith("#"):
                yield title, cells
                title, cells = part.splitlines()[0].strip("# "), []
            cells.append(cell | {"text": part} if text else cell)
    yield title, cells


def where(chapter, cell):
    return f"{chapter.path.stem}, cell {chapter.cells.index(cell)}"


def is_long(chapter):
    """The main path is read in a quarter of an hour, and a box in a minute."""
    count = words(chapter.where("main path"))
    if count > WORDS:
        yield f"{chapter.path.stem}: {count} words on the main path, {WORDS} at most"
    for title, cells in boxes(chapter):
        if (count := words(cells)) > WORDS_IN_A_BOX:
            box = f"{chapter.path.stem}, “{title}”"
            yield f"{box}: {count} words in a box, {WORDS_IN_A_BOX} at most"


def boxes(chapter):
    """Yield (title, cells) for each box tagged `deeper`."""
    box, title = [], ""
    for cell in [*chapter.cells, {"tags": set(), "cell_type": "code", "text": ""}]:
        opens = re.match(r"\*\*Deeper: (.*?)\*\*", cell["text"])
        if box and (opens or "deeper" not in cell["tags"]):
            yield title, box
            box = []
        if "deeper" in cell["tags"]:
            title = opens[1] if opens else title
            box.append(cell)


def has_asserts(chapter):
    """A reader meets no assert outside a check."""
    for cell in code(chapter, "main path", "predict", "deeper", "solution"):
        tree = parsed(cell["text"])
        calls = [n for n in ast.walk(tree) if isinstance(n, ast.Call)]
        names = {getattr(call.func, "attr", getattr(call.func, "id", "")) for call in calls}
        quiet = any(RAISES.fullmatch(name) and name.startswith("assert") for name in names)
        if quiet or any(isinstance(n, ast.Assert) for n in ast.walk(tree)):
            yield f"{where(chapter, cell)}: an assert outside a cell tagged `check`"


def code(chapter, *places):
    return [cell for cell in chapter.where(*places) if cell["cell_type"] == "code"]


def has_long_code(chapter):
    """A cell on the main path has one to six lines, imports aside.

    A class cannot be cut, and has twelve, a kernel sixteen; what an exercise hands over may be
    longer.
    """
    exercise = False
    for cell in chapter.cells:
        if cell["cell_type"] == "markdown":
            exercise = bool(EXERCISE.search(cell["text"]))
        elif place(cell) == "main path" and not {"lab", "hide-input", "remove-cell"} & cell["tags"]:
            lines = [line for line in cell["text"].splitlines() if line.strip()]
            lines = [line for line in lines if not re.match("import |from ", line)]
            most = 2 * LINES if any(line.startswith("class ") for line in lines) else LINES
            most = 16 if "@triton.jit" in lines else most
            if len(lines) > most and not exercise:
                yield f"{where(chapter, cell)}: {len(lines)} lines of code, {most} at most"


def gives_answers_away(chapter):
    """A cell that follows a question on the main path is folded."""
    for cell, following in zip(chapter.cells, chapter.cells[1:], strict=False):
        if cell["cell_type"] != "markdown" or place(cell) != "main path":
            continue
        asks = QUESTION.search(cell["text"].strip().split("\n\n")[-1])
        shown = following["cell_type"] == "code" and place(following) == "main path"
        if asks and shown and not EXERCISE.search(cell["text"]) and "lab" not in following["tags"]:
            answer = where(chapter, following)
            yield f"{answer}: it answers “{asks[0]} …” and is not tagged `predict`"


def has_banned_words(chapter):
    """No phrase of a list that readers stumbled over."""
    for cell in chapter.cells:
        if cell["cell_type"] == "markdown":
            for found in PHRASE.finditer(NOT_PROSE.sub(" ", cell["text"])):
                yield f"{where(chapter, cell)}: “{found[0]}”"


def results(cell):
    """Yield (what is written, its value) for each number of a cell's prose that may be a result."""
    text = prose(cell)
    for found in NUMBER.finditer(text):
        exponent = found["e"] or (found["ten"] or "").translate(SUPERSCRIPT)
        digits = found["digits"].replace(",", "")
        large = len(digits) > 3 and digits.rstrip("0") != "1" and int(digits) not in YEAR
        if found["part"] or exponent or found["percent"] or large:
            yield found[0].strip(), Decimal(f"{digits}{found['part'] or ''}e{exponent or 0}")
    for found in TEN.finditer(text):
        yield found[0], Decimal(f"1e{found[1].translate(SUPERSCRIPT)}")


def constants(cells):
    """Return every number in the code of some cells, in strings too, and what comes of them.

    So a check that compares with `3**0.5` or `0.75 / 4` holds 1.732 or 0.1875.
    """
    found = set()
    for cell in cells:
        if cell["cell_type"] != "code":
            continue
        found |= {float(re.sub("[_,]", "", number)) for number in LITERAL.findall(cell["text"])}
        for node in ast.walk(parsed(cell["text"])):
            if isinstance(node, ast.BinOp) and all(isinstance(n, SUM) for n in ast.walk(node)):
                with suppress(ArithmeticError, TypeError):
                    found.add(float(eval(compile(ast.Expression(node), "", "eval"))))
    return found


def is_among(value, percent, numbers):
    """Return whether one of the numbers, rounded as `value` is, is `value`; 15% is 0.15 or 1.15."""
    forms = [value, value / 100, 1 + value / 100] if percent else [value]
    return any(abs(form - Decimal(n)) <= half_a_digit(form) for form in forms for n in numbers)


def half_a_digit(value):
    return Decimal((0, (5,), min(value.as_tuple().exponent, 0) - 1)) * Decimal("1.001")


def states_unchecked_numbers(chapter):
    """A result in the prose stands in a check of its section (see the top of this file)."""
    given = {
        Decimal(repr(n)) for n in constants(c for c in chapter.cells if "check" not in c["tags"])
    }
    everywhere = constants(chapter.where("check"))
    shown = (
        (title, [c for c in cells if "remove-cell" not in c["tags"]])
        for title, cells in sections(chapter)
    )
    parts = [(title, cells) for title, cells in shown if cells]
    for title, cells in parts:
        checked = constants(cell for cell in cells if "check" in cell["tags"])
        if (title, cells) in (parts[0], parts[-1]):  # these say what the others show
            checked = everywhere
        for cell in cells:
            if cell["cell_type"] != "markdown" or place(cell) not in ("main path", "predict"):
                continue
            for written, value in results(cell) if not EXERCISE.search(cell["text"]) else ():
                if value not in given and not is_among(value, "%" in written, checked):
                    section = f"{chapter.path.stem}, “{title}”"
                    yield f"{section}: {written} stands in the text and in no check of the section"


def claims(chapter):
    """Return how many claims the checks of a chapter hold."""
    return sum(claims_in(cell["text"]) for cell in chapter.where("check"))


RULES = (
    is_long,
    has_asserts,
    has_long_code,
    gives_answers_away,
    has_banned_words,
    states_unchecked_numbers,
)
