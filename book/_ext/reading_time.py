"""Say how long a chapter takes, from what is in it: under its title, and wherever it is asked.

{reading-time}`01_mean_and_variance` becomes "14 min", and {reading-time}`all` the sum of all
chapters. The model is the table below and nothing else. It is meant for somebody who reads every
sentence once, tries what the text says to try, and makes a guess where one is asked for. Who only
reads is faster; who does the exercises in Python takes longer, and that is the second number.
"""

import json
import re
from pathlib import Path

from cells import BOXES, div
from docutils import nodes

SECONDS = {
    "word": 60 / 200,  # 200 words a minute: under the 238 usual for prose, since it has formulas
    "formula": 10,  # one that stands in a line of its own
    "line of code": 4,
    "picture": 15,
    "lab": 60,  # to see what is what
    "try": 40,  # one of the things to try in it
    "guess": 20,
    "exercise": 240,
}
NOT_PROSE = re.compile(
    r"<[^>]*>|\]\([^)]*\)|^[`:]{3,}.*$|^:\w+:.*$|\{[\w:-]+\}|https?:\S+", re.MULTILINE
)
EXERCISE = re.compile(r"\*\*Exercise: |\{exercise(?:-start)?\}")
FORMULA = re.compile(r"\$\$.*?\$\$|\\begin\{.*?\\end\{[^}]*\}", re.DOTALL)


class Chapter:
    """The cells of a notebook, by where a page shows them."""

    def __init__(self, path):
        notebook = json.loads(Path(path).read_text(encoding="utf-8"))
        self.path, self.cells = Path(path), notebook["cells"]
        for cell in self.cells:
            cell["tags"] = set(cell["metadata"].get("tags", []))
            cell["text"] = "".join(cell["source"])

    def where(self, *places):
        """Return the cells of these places: "main path", "check" and the boxes."""
        seen = [cell for cell in self.cells if "remove-cell" not in cell["tags"]]
        return [cell for cell in seen if place(cell) in places]


FENCE = re.compile(r"```.*?```", re.DOTALL)


def place(cell):
    """Return where a page shows a cell: on the main path, in a check, or in which box."""
    return next((tag for tag in ("check", *BOXES) if tag in cell["tags"]), "main path")


def words(cells):
    """Count the words of the Markdown cells, without code; a formula in a line is one or a few."""
    texts = (
        FORMULA.sub("", FENCE.sub("", c["text"])) for c in cells if c["cell_type"] == "markdown"
    )
    return sum(len(re.findall(r"\w+(?:[’'.,-]\w+)*", NOT_PROSE.sub("", text))) for text in texts)


def seconds(cells):
    """Return how long a reader is busy with these cells."""
    texts = [cell["text"] for cell in cells if cell["cell_type"] == "markdown"]
    codes = [cell for cell in cells if cell["cell_type"] == "code"]
    shown = [c["text"] for c in codes if not {"lab", "hide-input"} & c["tags"]]
    counts = {
        "word": words(cells),
        "formula": sum(len(FORMULA.findall(text)) for text in texts),
        "line of code": sum(bool(line.strip()) for code in shown for line in code.splitlines()),
        "picture": sum("image" in c["metadata"].get("mystnb", {}) for c in codes),
        "lab": sum("lab" in c["tags"] for c in codes),
        "try": sum(text.count('id="try-') for text in texts),
    }
    return sum(SECONDS[thing] * count for thing, count in counts.items())


def minutes(chapter):
    """Return (minutes for the main path with its guesses, more for boxes and exercises)."""
    main, answers = chapter.where("main path"), chapter.where("predict")
    guesses = sum(cell["cell_type"] == "code" for cell in answers)
    exercises = sum(len(EXERCISE.findall(cell["text"])) for cell in main)
    more = seconds(chapter.where("deeper", "solution")) + SECONDS["exercise"] * exercises
    return (
        round((seconds(main + answers) + SECONDS["guess"] * guesses) / 60),
        round(more / 60),
    )


def role(name, rawtext, text, lineno, inliner, options=None, content=None):
    """Return the minutes of the chapter `text`, or of `all` together."""
    env = inliner.document.settings.env
    if text == "all":
        every = sorted(Path(env.doc2path(env.docname)).parent.glob("[0-9][0-9]_*.ipynb"))
        return [nodes.Text(f"{sum(minutes(Chapter(path))[0] for path in every)} min")], []
    path = Path(env.doc2path(env.docname)).parent / f"{text}.ipynb"
    if not path.is_file():
        message = inliner.reporter.error(f"there is no chapter {text!r} to time", line=lineno)
        return [inliner.problematic(rawtext, rawtext, message)], [message]
    return [nodes.Text(f"{minutes(Chapter(path))[0]} min")], []


def under_the_title(app, doctree):
    """Write a chapter's minutes under its title."""
    path = Path(app.env.doc2path(app.env.docname))
    title = doctree.next_node(nodes.title)
    if title is None or not re.match(r"\d\d_.*\.ipynb", path.name):
        return
    main, more = minutes(Chapter(path))
    sentence = f"{main} minutes to read and play"
    if more:
        sentence += f", {more} more for the boxes and exercises"
    title.parent.insert(1, div("", nodes.Text(sentence), classes=["ln-minutes"]))


def setup(app):
    app.add_role("reading-time", role)
    app.connect("doctree-read", under_the_title)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
