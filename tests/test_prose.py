"""Chapters of the second edition keep to the rules of tests/prose.py, and each rule can be broken.

A chapter is of the second edition as soon as one of its cells is tagged `check`.
"""

import re

import nbformat.v4 as nb
import prose
import pytest
from conftest import ROOT
from nbformat import writes
from reading_time import Chapter, minutes, words

CHAPTERS = [Chapter(path) for path in sorted((ROOT / "book").glob("*.ipynb"))]
SECOND_EDITION = [c for c in CHAPTERS if any("check" in cell["tags"] for cell in c.cells)]


@pytest.mark.parametrize("chapter", SECOND_EDITION, ids=lambda chapter: chapter.path.stem)
@pytest.mark.parametrize("rule", prose.RULES, ids=lambda rule: rule.__name__)
def test_a_chapter_keeps_to_the_rules(chapter, rule):
    broken = list(rule(chapter))
    assert not broken, "\n".join(broken)


def test_the_counts_are_printed(capsys):
    with capsys.disabled():
        print("\nchapter                    words  claims  minutes, with boxes")
        for chapter in CHAPTERS:
            main, more = minutes(chapter)
            moved = prose.claims(chapter) if chapter in SECOND_EDITION else "old"
            count = words(chapter.where("main path"))
            print(f"{chapter.path.stem:26} {count:>5}  {moved:>6}  {main:>7}, {main + more}")


def chapter_of(folder, *cells):
    """Return a chapter made of (source, tags...), Markdown where it does not look like code."""

    def cell(source, *tags):
        make = nb.new_code_cell if source.startswith(">") else nb.new_markdown_cell
        return make(source.removeprefix(">"), metadata={"tags": list(tags)})

    path = folder / "01_sample.ipynb"
    path.write_text(writes(nb.new_notebook(cells=[cell(*c) for c in cells])), encoding="utf-8")
    return Chapter(path)


GOOD = (
    ("# Mean\n\nA row of [1, 2, 3, 6.5]. By default ε is 1e-5, $10^{-5}$ or 10⁻⁵, in `x + 0.25`.",),
    (">lab = Lab(eps=1e-5)\nlab", "lab"),
    (">import torch\nfrom a import b\n" + "\n".join("abcdef"),),
    ('- <a id="try-01-a"></a>Drag it to 0.77: nothing moves.',),
    ("## By hand\n\nGuess the variance.",),
    (">x.var()", "predict"),
    ("It is 3.5, and σ about 1.87. That is 14% of 25, and 16,777,216 is 2²⁴.", "predict"),
    (
        ">assert x.var() == 3.5\nassert share == 0.14 and '1.87' in text and n == 16_777_216",
        "check",
    ),
    ("**Deeper: more.** " + "word " * 240, "deeper"),
    ("**Exercise: write it.** Guess first.",),
    (">" + "\n".join("abcdefgh"),),
    ("## Now\n\nIt is done, as chapter 4.5 of 2021 says: 3.5.",),
)


@pytest.mark.parametrize("rule", prose.RULES, ids=lambda rule: rule.__name__)
def test_a_good_chapter_breaks_no_rule(tmp_path, rule):
    assert not list(rule(chapter_of(tmp_path, *GOOD)))


@pytest.mark.parametrize(
    ("rule", "cells", "complaint"),
    [
        (prose.is_long, [("word " * 1401,)], "1401 words on the main path"),
        (prose.is_long, [("**Deeper: more.** " + "word " * 250, "deeper")], "“more.”: 252 words"),
        (prose.has_asserts, [(">x = 1\nassert x",)], "cell 0: an assert"),
        (prose.has_asserts, [(">assert x", "solution")], "cell 0: an assert"),
        (prose.has_asserts, [(">torch.testing.assert_close(x, y)",)], "cell 0: an assert"),
        (prose.has_long_code, [("A loop.",), (">" + "\n".join("abcdefg"),)], "cell 1: 7 lines"),
        (prose.has_long_code, [(">class A:\n" + "\n".join(" bcdefghijklm"),)], "12 at most"),
        (prose.gives_answers_away, [("So.\n\nGuess y.",), (">y",)], "cell 1: it answers “Guess …”"),
        (prose.has_banned_words, [("Each is held against PyTorch.",)], "“held against”"),
        (prose.has_banned_words, [("How to mend it.", "deeper")], "“mend”"),
        (prose.states_unchecked_numbers, [("# A\n\nIt is 2.39.",)], "“A”: 2.39 stands in the text"),
        (
            prose.states_unchecked_numbers,
            [("# A",), ("## B\n\nIt is 2.39.\n\n## C",), (">assert y == 2.39", "check"), ("## D",)],
            "“B”: 2.39",
        ),
        (prose.states_unchecked_numbers, [("It is 15%.", "predict")], "15% stands"),
        (
            prose.states_unchecked_numbers,
            [("It is √3, so 1.733.",), (">assert y == 3**0.5", "check")],
            "1.733 stands",
        ),
        (prose.states_unchecked_numbers, [("About 3 · 10⁻⁷.",)], "3 · 10⁻⁷ stands"),
        (prose.states_unchecked_numbers, [("Of 48,426 rows.",)], "48,426 stands"),
    ],
)
def test_each_rule_can_be_broken(tmp_path, rule, cells, complaint):
    broken = list(rule(chapter_of(tmp_path, *cells)))
    assert len(broken) == 1
    assert complaint in broken[0]


def test_claims_are_counted(tmp_path):
    assert prose.claims(chapter_of(tmp_path, *GOOD)) == 2


def test_every_work_says_why_it_is_here():
    entries = (ROOT / "book" / "references.bib").read_text(encoding="utf-8").split("\n@")
    for entry in entries:
        why = re.search(r"^  note = \{(.+)\},?$", entry, re.MULTILINE)
        assert why, entry
        assert len(why[1].split()) >= 5, entry
