"""Print the built book into one PDF, _build/layernorm-book.pdf: contents, page numbers, links.

    python tools/print_book.py     after `make book`

Each page is opened in the browser, so that its labs stand there as drawn. Then the articles become
one document, whose links lead from chapter to chapter, and the browser prints that. It prints it
twice: where a chapter begins is known only afterwards, and the contents state it.
"""

import re
import sys
from pathlib import Path

from browser_path import find_browser
from playwright.sync_api import sync_playwright
from pypdf import PdfReader

ROOT = Path(__file__).parents[1]
HTML = ROOT / "_build" / "html"
PDF = ROOT / "_build" / "layernorm-book.pdf"

PAPER = 673  # CSS pixels between the margins of A4

TAKE = Path(__file__).with_suffix(".js").read_text(encoding="utf-8")
STYLE = Path(__file__).with_suffix(".css").read_text(encoding="utf-8")
FOOTER = """<div style="width: 100%; font: 8pt sans-serif; text-align: center; color: #555">
<span class="pageNumber"></span></div>"""
DOCUMENT = """<!doctype html><html lang="en" data-theme="light"><meta charset="utf-8">
<title>{title}</title>{head}
<main class="bd-main"><div class="bd-content"><div class="bd-article-container">
<div class="title"><h1>{title}</h1><p>{edition}</p></div>
{contents}{articles}</div></div></main></html>"""


def pages():
    """Return the names of the book's pages, in their order."""
    toc = (ROOT / "_toc.yml").read_text(encoding="utf-8")
    return re.findall(r"(?:root|file): book/(\w+)", toc)


def contents(chapters, numbers):
    """Return the table of contents; `numbers` maps what a link leads to to its page."""

    def line(target, text):
        return f'<a href="#{target}" data-page="{numbers.get(target, "")}"><span>{text}</span></a>'

    items = []
    for name, chapter in chapters.items():
        inner = "".join(f"<li>{line(*section)}</li>" for section in chapter["sections"])
        items.append(f"<li>{line(name, chapter['title'])}<ul>{inner}</ul></li>")
    return f'<article class="contents"><h1>Contents</h1><ol>{"".join(items)}</ol></article>'


def compose(chapters, numbers, head):
    """Return the whole book as one HTML document."""
    articles = "".join(
        f'<article class="bd-article" id="{name}">{chapter["body"]}</article>'
        for name, chapter in chapters.items()
    )
    edition = "The printed edition. Its labs are pictures here; online they move."
    title, table = next(iter(chapters.values()))["title"], contents(chapters, numbers)
    return DOCUMENT.format(
        title=title, head=head, edition=edition, contents=table, articles=articles
    )


def head_of(chapters):
    """Return the style sheets of the pages, and the labs' own, each once."""
    first = (HTML / "book" / f"{next(iter(chapters))}.html").read_text(encoding="utf-8")
    links = re.findall(r'<link rel="stylesheet"[^>]*href="\.\./([^"?]+)', first)
    sheets = [f'<link rel="stylesheet" href="{(HTML / link).as_uri()}">' for link in links]
    styles = dict.fromkeys(s for chapter in chapters.values() for s in chapter["styles"])
    return "".join([*sheets, *(f"<style>{s}</style>" for s in (*styles, STYLE))])


def print_book(browser, target=PDF):
    """Print the book; return the path of the PDF.

    Raises:
        FileNotFoundError: there is no built book to print.
    """
    if not (HTML / "book").is_dir():
        raise FileNotFoundError("There is no built book to print. Build it with: make book")
    page = browser.new_page(viewport={"width": PAPER, "height": 1000}, color_scheme="light")
    page.emulate_media(media="print")
    chapters = {}
    for name in pages():
        page.goto((HTML / "book" / f"{name}.html").as_uri())
        chapters[name] = page.evaluate(TAKE, name)
    head, numbers = head_of(chapters), {}
    source = HTML / "printed.html"
    for last in (False, True):  # at first, where it breaks is all that counts
        source.write_text(compose(chapters, numbers, head), encoding="utf-8")
        page.goto(source.as_uri())
        page.evaluate("document.fonts.ready")
        page.pdf(
            path=target,
            format="A4",
            outline=last,
            tagged=last,
            print_background=last,
            display_header_footer=last,
            header_template="<span></span>",
            footer_template=FOOTER,
            margin=dict.fromkeys(("top", "bottom", "left", "right"), "16mm"),
        )
        numbers = starts(target)
    page.close()
    source.unlink()
    return target


def starts(path):
    """Return the page, counted from 1, of every place that a link within the PDF leads to."""
    reader = PdfReader(path)
    numbers = {}
    for name, place in reader.named_destinations.items():
        numbers[name.lstrip("/")] = reader.get_destination_page_number(place) + 1
    return numbers


if __name__ == "__main__":
    try:
        with sync_playwright() as playwright:
            path, flags = find_browser(), ["--no-sandbox", "--disable-gpu"]
            made = print_book(playwright.chromium.launch(executable_path=path, args=flags))
    except FileNotFoundError as problem:
        sys.exit(str(problem))
    reader = PdfReader(made)
    print(f"{made}: {len(reader.pages)} pages, {made.stat().st_size / 1e6:.1f} MB")
