"""The printed book holds every chapter, cuts nothing, and its links and page numbers are right."""

import re
import shutil

import print_book
import pytest
from pypdf import PdfReader

CUT = """() => [...document.querySelectorAll("article :is(pre, table, math, svg, img)")]
  .filter(e => !e.closest("details:not([open]) > :not(summary)"))
  .filter(e => e.getBoundingClientRect().right > document.documentElement.clientWidth + 1
               || e.matches("pre") && e.scrollWidth > e.clientWidth + 1)
  .map(e => e.closest("article").id + ": " + e.outerHTML.slice(0, 200))"""


@pytest.fixture(scope="module")
def printed(chromium, built_book, tmp_path_factory):
    """The PDF, the page on which each chapter begins, and the text of some pages by their numbers.

    The HTML that it was printed from is kept beside it. To read all pages takes as long as to
    print them: only the contents and the chapters' first pages are read.
    """
    folder = tmp_path_factory.mktemp("print")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(print_book, "HTML", built_book)
        patch.setattr(print_book.Path, "unlink", lambda path: shutil.move(path, folder))
        path = print_book.print_book(chromium, folder / "book.pdf")
    places, reader = print_book.starts(path), PdfReader(path)
    places = {name: places[name] for name in print_book.pages()}
    read = {*range(2, 7), *places.values()}
    return path, places, {number: reader.pages[number - 1].extract_text() for number in read}


def test_it_holds_every_page_in_a_file_that_can_be_mailed(printed, built_book):
    path, places, texts = printed
    assert path.stat().st_size < 15e6
    for name, number in places.items():
        html = (built_book / "book" / f"{name}.html").read_text(encoding="utf-8")
        title = re.search(r"<h1>(.+?)<a ", html)[1]
        assert texts[number].lstrip().startswith(title), title


def test_the_contents_name_the_page_on_which_each_chapter_begins(printed):
    _, places, texts = printed
    contents = " ".join(texts[number] for number in range(2, 7))
    for name, number in places.items():
        title = texts[number].lstrip().splitlines()[0]
        assert re.search(re.escape(title) + r"\s+" + str(number), contents), (title, number)
        assert re.search(rf"\b{number}\s*$", texts[number]), name  # printed at its foot


def test_every_link_within_the_book_leads_somewhere(printed):
    path, *_ = printed
    reader = PdfReader(path)
    known, links = set(reader.named_destinations), 0
    for page in reader.pages:
        for annotation in page.get("/Annots") or ():
            link = annotation.get_object()
            if target := link.get("/Dest"):
                links += 1
                assert not isinstance(target, str) or target in known, target
            elif "/A" in link:
                assert not str(link["/A"].get("/URI", "")).startswith("file:"), link["/A"]
    assert links > 100


def test_no_code_table_or_formula_is_cut(printed, page):
    path, *_ = printed
    page.set_viewport_size({"width": print_book.PAPER, "height": 1000})
    page.emulate_media(media="print")
    page.goto((path.parent / "printed.html").as_uri())
    assert page.evaluate(CUT) == []
    page.add_style_tag(content="pre { white-space: pre !important; overflow: auto !important; }")
    assert page.evaluate(CUT)  # it can see one that is
