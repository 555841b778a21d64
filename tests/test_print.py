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
def printed(built_book, tmp_path_factory):
    """The PDF and its pages' text; the HTML that it was printed from is kept beside it."""
    folder = tmp_path_factory.mktemp("print")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(print_book, "HTML", built_book)
        patch.setattr(print_book.Path, "unlink", lambda path: shutil.move(path, folder))
        path = print_book.print_book(folder / "book.pdf")
    return path, [page.extract_text() for page in PdfReader(path).pages]


def test_it_holds_every_page_in_a_file_that_can_be_mailed(printed, built_book):
    path, texts = printed
    assert path.stat().st_size < 15e6
    for name in print_book.pages():
        html = (built_book / "book" / f"{name}.html").read_text(encoding="utf-8")
        title = re.search(r"<h1>(.+?)<a ", html)[1]
        assert any(text.lstrip().startswith(title) for text in texts), title


def test_the_contents_name_the_page_on_which_each_chapter_begins(printed):
    path, texts = printed
    places = print_book.starts(path)
    contents = " ".join(texts[1:6])
    for name in print_book.pages():
        number = places[name]
        title = texts[number - 1].lstrip().splitlines()[0]
        assert re.search(re.escape(title) + r"\s+" + str(number), contents), (title, number)
        assert re.search(rf"\b{number}\s*$", texts[number - 1]), name  # printed at its foot


def test_every_link_within_the_book_leads_somewhere(printed):
    path, _ = printed
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
    path, _ = printed
    page.set_viewport_size({"width": print_book.PAPER, "height": 1000})
    page.emulate_media(media="print")
    page.goto((path.parent / "printed.html").as_uri())
    assert page.evaluate(CUT) == []
    page.add_style_tag(content="pre { white-space: pre !important; overflow: auto !important; }")
    assert page.evaluate(CUT)  # it can see one that is
