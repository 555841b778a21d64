"""Every "Try this" line of the book has the one test that performs it, every test its line."""

from pathlib import Path

import pytest
from conftest import ROOT
from tries import chapters, compare, marked_tests, plain, promises

# Chapters whose lists still have the old form, without ids: this list only ever gets shorter.
NOT_YET_MOVED = set()

CHAPTER = """It is quiet.

**Try this**

- <a id="try-02-shift"></a>Drag *shift* from end to end:
  no bar of x̂ moves.
- <a id="try-02-eps"></a>Set ε to `0.5`: x̂ halves.

Then drag whatever you like."""
TESTS = """
@tries("02-shift", "Drag shift from end to end: "
       "no bar of x̂ moves.")
def test_shift(lab_page):
    assert lab_page

@tries("02-eps", "Set ε to 0.5: x̂ halves.")
def test_eps(lab_page):
    assert lab_page
"""


def complaints(cells, source):
    promised, found, _ = promises("02", cells)
    return found + compare(promised, marked_tests(source))


def test_every_line_of_the_book_has_its_test_and_every_test_its_line():
    promised, problems = {}, []
    for number, cells in chapters(ROOT / "book").items():
        found, complaints, old = promises(number, cells)
        problems += complaints
        if bool(old) != (number in NOT_YET_MOVED):
            problems.append(f"{number}: {old} lists without ids; see NOT_YET_MOVED")
        promised |= found
    tested = []
    for path in sorted(Path(__file__).parent.glob("test_*.py")):
        if path != Path(__file__):
            tested += marked_tests(path.read_text(encoding="utf-8"))
    problems += compare(promised, tested)
    assert not problems, "\n".join(problems)


def test_a_chapter_and_its_tests_that_agree():
    assert complaints([CHAPTER], TESTS) == []


@pytest.mark.parametrize(
    ("where", "old", "new", "said"),
    [
        ("tests", TESTS.split("\n\n")[1], "", "02-eps: no test performs"),
        ("tests", "x̂ halves", "x̂ doubles", "02-eps: the chapter says"),
        ("tests", "test_eps", "perform_eps", "pytest does not collect"),
        ("tests", "def test_eps(lab_page)", "def test_eps(page)", "lab_page"),
        ("tests", "    assert lab_page\n\n", "    print(lab_page)\n\n", "asserts nothing"),
        ("tests", "def test_eps", "@pytest.mark.skip\ndef test_eps", "may not be skipped"),
        ("tests", '"02-eps"', '"02-shift"', "2 tests have this id"),
        ("tests", '"02-eps"', '"02-epsilon"', "no line in the chapter"),
        ("chapter", "no bar of x̂ moves", "no bar moves", "02-shift: the chapter says"),
        ("chapter", '<a id="try-02-eps"></a>', "", "no id opens the line"),
        ("chapter", '<a id="try-02-eps"></a>', '<a id="try-02-shift"></a>', "two lines"),
        ("chapter", "try-02-eps", "try-03-eps", "no id of this chapter"),
        ("chapter", "\n\n- <a", "\n\nNow:\n\n- <a", "outside the lists"),
        ("chapter", "Then drag", '<a id="try-02-more"></a>Then drag', "outside the lists"),
    ],
)
def test_a_chapter_and_its_tests_that_do_not(where, old, new, said):
    sources = {"chapter": CHAPTER, "tests": TESTS}
    assert old in sources[where]
    sources[where] = sources[where].replace(old, new)
    found = complaints([sources["chapter"]], sources["tests"])
    assert any(said in complaint for complaint in found), found


def test_a_list_in_the_old_form_is_seen():
    for opening in ("Try this:", "Follow x. Try this:", "**Try this:**", "Try:"):
        *_, old = promises("02", [f"{opening}\n\n- Drag it.\n"])
        assert old == 1, opening
    *_, old = promises("02", ["Try this on your own layer.\n\nThree steps:\n\n- one\n"])
    assert old == 0


def test_markup_and_line_breaks_do_not_count():
    assert plain('<a id="try-02-a"></a>Set **ε** to `0.5`:\n  it _halves_.') == plain(
        "Set ε to 0.5: it halves."
    )


def test_the_gate_builds_its_book():
    for name in ("Makefile", ".ci/run"):
        assert "--book" not in (ROOT / name).read_text(encoding="utf-8")
