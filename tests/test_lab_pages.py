"""The labs on the pages of the book, beside the theme and its scripts."""

import re

import pytest
from browser import move, open_lab, values

PAGES = {  # page -> a control of its lab, and where to move it
    "index": ("[name=x][data-index='0']", 3),
    "01_mean_and_variance": ("[name=x][data-index='0']", 3),
    "02_normalize": ("[name=eps]", -1),
    "03_gamma_and_beta": ("[name=weight][data-index='0']", 2),
    "04_parity": ("[name=eps]", -1),
    "05_backward": ("[name=grad_y][data-index='0']", 0.5),
    "06_precision": ("[name=mean]", 2),
    "07_speed": ("[name=done]", 20),
    "08_trained_gamma_beta": ("[name=channel]", 99),
    "09_in_a_transformer": ("[name=frame]", 3),
    "10_relatives": ("[name=axis][value=H]", None),
    "11_bug_museum": ("[name=eps]", -1),
    "12_census": ("[name=group][value=no-eps]", None),
}
READ = """() => [...document.querySelectorAll(".ln-lab [data-quantity]")].map(
    node => node.dataset.value).join()"""


@pytest.mark.parametrize("scheme", ["localhost", "file"])
@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_alive_and_quiet(page, site, scheme, name):
    open_lab(page, site.url(f"book/{name}.html", scheme))
    before, (control, value) = page.evaluate(READ), PAGES[name]
    page.click(control) if value is None else move(page, control, value)
    assert page.evaluate(READ) != before


def test_a_link_survives_the_themes_own_scripts(page, site):
    state = "#lab=0&x=1,2,9,4&weight=1,1&bias=0,0&eps=0.1&placement=outside"  # two rows
    open_lab(page, site.url(f"book/03_gamma_and_beta.html{state}"))
    assert values(page, "x") == [1.0, 2.0, 9.0, 4.0]
    assert page.is_checked("[value=outside]")


def test_the_host_is_loaded_where_a_lab_is_and_nowhere_else(site):
    for path in (site.folder / "book").glob("*.html"):
        scripts = re.findall(r"<script[^>]*widgets\.js[^>]*>", path.read_text(encoding="utf-8"))
        assert len(scripts) == (path.stem in PAGES), path.name
        assert all("defer" in script for script in scripts)


def test_without_javascript_every_lab_is_a_table(scriptless, site):
    for name in PAGES:
        scriptless.goto(site.url(f"book/{name}.html"))
        assert scriptless.locator("table.ln-still caption").count() >= 1, name


def test_dark_is_the_readers_choice(page, site):
    page.emulate_media(color_scheme="dark")
    open_lab(page, site.url("book/index.html"))
    ground = "getComputedStyle(document.querySelector('.ln-lab')).backgroundColor"
    dark = page.evaluate(ground)
    page.evaluate("document.documentElement.dataset.theme = 'light'")
    assert page.evaluate(ground) != dark
