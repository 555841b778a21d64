"""Pages with the lab, built as the book is: alive over HTTP and from file://.

`PAGES` names what a page must show at its start. The pages are those of a small book; a page of
the real one needs one more line in `PAGES` and its folder from `built_book`.
"""

import re

import pytest
import torch
from browser import move, serve, values
from conftest import build, copy_tree
from lab_book import write_book

PAGES = {  # page -> the stages of its labs
    "whole": ["affine"],
    "statistics": ["statistics"],
    "normalize": ["normalize"],
    "affine": ["affine"],
    "placement": ["normalize"],
    "together": ["statistics", "affine"],
}


@pytest.fixture(scope="module")
def lab_book(tmp_path_factory):
    tree = tmp_path_factory.mktemp("lab_book")
    copy_tree(tree)
    write_book(tree)
    status, printed = build(tree)
    assert status == 0, printed
    site, stop = serve(tree / "_build" / "html")
    yield site
    stop()


@pytest.fixture(params=["localhost", "file"])
def scheme(request):
    return request.param


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_alive_and_quiet(page, lab_book, scheme, name):
    page.goto(lab_book.url(f"book/{name}.html", scheme))
    page.wait_for_selector(".ln-lab tbody")
    stages = page.eval_on_selector_all(".ln-lab", "labs => labs.map(lab => lab.dataset.stage)")
    assert stages == PAGES[name]
    x = values(page, "x")
    n = page.locator(".ln-lab").first.locator("[name=x]").count()
    mean = torch.tensor(x[:n]).mean().item()
    assert values(page, "mean")[0] == pytest.approx(mean, rel=1e-6)
    move(page, ".ln-lab [name=x][data-index='0']", page.get_attribute("[name=x]", "max"))
    assert values(page, "x")[0] > x[0]
    assert values(page, "mean")[0] > mean


def test_the_host_is_loaded_where_a_widget_is_and_nowhere_else(lab_book):
    for path in (lab_book.folder / "book").glob("*.html"):
        scripts = re.findall(r"<script[^>]*widgets\.js[^>]*>", path.read_text(encoding="utf-8"))
        assert len(scripts) == (path.stem in PAGES), path.name
        assert all("defer" in script for script in scripts)


def test_a_widget_that_needs_a_kernel_says_so(page, lab_book):
    page.goto(lab_book.url("book/together.html"))
    page.wait_for_selector("[role=alert]")
    assert page.text_content("[role=alert]").endswith("it needs a running kernel")
    assert page.locator("[role=alert]").count() == 1


def test_a_link_survives_the_themes_own_scripts(page, lab_book, scheme):
    state = "#lab=1&x=1,2,9&weight=1,1,1&bias=0,0,0&eps=0.1&placement=outside"
    page.goto(lab_book.url(f"book/together.html{state}", scheme))
    page.wait_for_selector(".ln-lab[data-stage=affine] tbody")
    assert values(page, "x")[-3:] == [1.0, 2.0, 9.0]
    assert page.is_checked("[value=outside]")


def test_without_javascript_every_lab_is_a_table(chromium, lab_book):
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    for name, stages in PAGES.items():
        page.goto(lab_book.url(f"book/{name}.html"))
        assert page.locator("table.ln-still").count() == len(stages)
        assert "mean μ =" in page.text_content("table.ln-still caption")
    context.close()


def test_dark_is_the_readers_choice(page, lab_book):
    page.emulate_media(color_scheme="dark")
    page.goto(lab_book.url("book/whole.html"))
    page.wait_for_selector(".ln-lab tbody")
    ground = "getComputedStyle(document.querySelector('.ln-lab')).backgroundColor"
    dark = page.evaluate(ground)
    page.evaluate("document.documentElement.dataset.theme = 'light'")
    assert page.evaluate(ground) != dark
