"""A cell's tag decides how a page draws it; a tag that is used wrongly fails the build.

And a page says how long its chapter takes.
"""

import re

import nbformat.v4 as nb
import pytest
from nbformat import writes
from sphinx.testing.util import SphinxTestApp
from tidy_notebooks import METADATA


def text(source, *tags):
    return nb.new_markdown_cell(source, metadata={"tags": list(tags)})


def code(source, *tags, output=None):
    outputs = [nb.new_output("stream", text=output)] if output else []
    return nb.new_code_cell(source, outputs=outputs, metadata={"tags": list(tags)})


CHAPTER = [
    code("import secret", "colab", "remove-cell"),
    text("# Title\n\nLead.\n\n## Play"),
    code("make_lab()", "lab", "hide-input", output="the lab"),
    text("A picture."),
    code("draw()", "hide-input", output="the figure"),
    text("What is 2 + 2?"),
    code("2 + 2", "predict", output="four"),
    text("Twice two.", "predict"),
    text("So it is."),
    code("assert 1\nassert 2, 'two'", "check"),
    code("np.testing.assert_allclose(1, 1)\nreport.raise_for_failure()", "check", output="fine"),
    text("**Deeper: why $n$ counts.**\n\nInside.", "deeper"),
    code("assert deep", "deeper", "check"),
    text("**Deeper: more.** In one paragraph.", "deeper"),
    text("## Check yourself\n\n**Exercise: add.** How much is 3 + 3?"),
    code("answer = None", output="Not yet"),
    text("Six, and not 33.", "solution"),
    text("**Exercise: without a solution.**\n\nThink."),
    text("The end."),
]


def build(folder, cells, beside=()):
    """Return (the article's HTML, what the build complained of); `beside` is a chapter 01_other."""
    notebook = nb.new_notebook(cells=cells, metadata=METADATA)
    (folder / "index.ipynb").write_text(writes(notebook), encoding="utf-8")
    if beside:
        other = nb.new_notebook(cells=beside, metadata=METADATA)
        (folder / "01_other.ipynb").write_text(writes(other), encoding="utf-8")
    app = SphinxTestApp(
        srcdir=folder,
        confoverrides={
            "extensions": ["myst_nb", "disclosure", "cells", "reading_time"],
            "nb_execution_mode": "off",
            "myst_enable_extensions": ["dollarmath"],
        },
    )
    app.build()
    app.cleanup()
    page = (folder / "_build" / "html" / "index.html").read_text(encoding="utf-8")
    warnings = re.findall("(?:WARNING|ERROR): .*", app.warning.getvalue())
    return page[page.index("<h1>") : page.index('class="sphinxsidebar"')], "\n".join(warnings)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cells")
    (folder / "conf.py").touch()
    html, warnings = build(folder, CHAPTER)
    assert not warnings
    return html


def boxes(page, kind):
    """Return (summary, what it opens to) of each box of a kind, as plain text."""
    found = re.findall(
        rf'<details class="ln-fold ln-{kind}">\s*<summary>(.*?)</summary>(.*?)</details>',
        page,
        re.S,
    )
    return [tuple(" ".join(plain(part).split()) for part in box) for box in found]


def plain(html):
    return re.sub(r"<[^>]+>", "", html)


def test_a_lab_stands_before_its_code(page):
    assert page.index("the lab") < page.index("Python behind this lab")
    assert boxes(page, "code") == [
        ("Python behind this lab", "make_lab()"),
        ("Python behind this figure", "draw()"),
    ]


def test_neighbouring_checks_are_one_line_that_counts_them(page):
    line, code = boxes(page, "check")[0]
    assert line == "✓ checked while this page was built: 4 claims"
    for part in ("two", "raise_for_failure", "fine"):
        assert part in code


def test_an_answer_is_folded_with_its_output(page):
    assert boxes(page, "predict") == [("See the answer", "2 + 2 four Twice two.")]


def test_a_deeper_box_takes_its_title_and_two_may_stand_together(page):
    first, second = re.findall(r"ln-deeper.*?<summary>(.*?)</summary>", page, re.DOTALL)
    assert "Deeper: </span>why <" in first
    assert plain(first).split()[-1] == "counts"
    assert plain(second).strip() == "Deeper: more"
    inside = page[page.index("ln-deeper") : page.index("In one paragraph")]
    assert "built: 1 claim<" in inside, "a check inside the box is a line of the box"


def test_an_exercise_is_one_block_with_its_solution(page):
    block = page[page.index('<div class="ln-exercise">') : page.index("without a solution")]
    order = ["Exercise: ", "add", "How much", "answer", "Not yet", "Solution", "Six"]
    places = [block.index(part) for part in order]
    assert places == sorted(places)
    alone = page[page.index("without a solution") :]
    assert alone.index("Think.") < alone.index("</div>") < alone.index("The end.")


def test_headings_and_the_rest_stay_as_they_were(page):
    assert re.findall(r"<h([1-6])", page) == ["1", "2", "2"]
    for part in ("block_break", "<!--", "cell 1", "secret"):
        assert part not in page


@pytest.mark.parametrize(
    ("cells", "complaint"),
    [
        ([text("Inside.", "deeper")], "cell 1: a `deeper` box opens with a line **Deeper: what it"),
        (
            [text("**Deeper: a.** b", "deeper"), code("assert 1", "check"), text("c", "deeper")],
            "cell 3: a `deeper` box opens with a line",
        ),
        ([text("**Deeper: [a](#t).** b", "deeper")], "cell 1: the title of a box opens it, so"),
        ([text("**Deeper: a.**", "deeper")], "cell 1: a `deeper` box with nothing in it"),
        ([code("print(1)", "check")], "cell 1: a cell tagged `check` asserts something"),
        ([text("assert", "check")], "cell 1: `check` is for cells with code"),
        ([code("lab = 1", "lab")], "cell 1: a cell tagged `lab` shows a lab"),
        ([text("6", "solution")], "cell 1: a `solution` follows an exercise"),
        ([text("So.\n\n## Answer", "predict")], "cell 1: a `predict` box has no headings"),
        ([code("1", "chekc")], "cell 1: the tag `chekc` is not one of the book's"),
    ],
)
def test_a_tag_used_wrongly_is_named(tmp_path, cells, complaint):
    (tmp_path / "conf.py").touch()
    _, warnings = build(tmp_path, [text("# Title"), *cells])
    assert complaint in warnings


def test_minutes_stand_under_the_title_and_where_they_are_asked_for(tmp_path):
    (tmp_path / "conf.py").touch()
    chapter = [
        text("# Other\n\n" + "word " * 399),  # 400 with the title: 2 minutes
        code("lab", "lab"),  # 1 minute
        text("\n".join(f'- <a id="try-01-{name}"></a>' for name in "abc")),  # 2 minutes
        code("assert 1\n" * 90, "check"),  # nobody has to open it
        code("x = 1\n" * 10, "predict"),  # 1 minute: the lines, and the guess
        text("**Exercise: e.**"),  # 4 minutes more
        text("$$x$$\n" * 2 + "word " * 134, "solution"),  # 1 minute more
    ]
    asked = "It takes {reading-time}`01_other`, or {reading-time}`02_nothing`.\n\n"
    html, warnings = build(tmp_path, [text(f"# Title\n\n{asked}")], chapter)
    assert "It takes 6 min, or" in html
    assert "there is no chapter '02_nothing' to time" in warnings
    page = (tmp_path / "_build" / "html" / "01_other.html").read_text(encoding="utf-8")
    under = page[page.index("</h1>") :]
    sentence = "6 minutes to read and play, 5 more for the boxes and exercises"
    assert plain(under).strip().startswith(sentence)
