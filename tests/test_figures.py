"""Pictures follow the theme wherever they are shown, and a panel fits a phone."""

import re

import numpy as np
import pytest

from layernorm_book.chapters.figures.museum import EXHIBITS, STAMPS, exhibit, said
from layernorm_book.chapters.figures.style import (
    COLOURS,
    GROUND,
    INK,
    SOFT,
    VARIABLES,
    X,
    name,
    name_all,
    new_picture,
)


def sample():
    """Return a picture with what pictures have: lines, marks, names, a legend, powers of ten."""
    picture, (left, right) = new_picture(1, 2, width=7.0)
    left.plot([1, 2, 3], [1, 10, 1000], "o-", color=X, markerfacecolor=GROUND, label="x")
    left.set(yscale="log", xlabel="x̂", title="x")
    left.legend()
    right.bar([0, 1], [2, 3], color=SOFT, alpha=0.5)
    name(right, "a name", (1, 3), INK)
    return picture


@pytest.fixture(scope="module")
def html():
    return sample()._repr_html_()


def test_every_colour_is_a_variable(html):
    drawn = html[html.index("<svg") :]
    hexes = re.findall(r"#[0-9a-f]{6}\b", re.sub(r"var\(--fig-\w+,#[0-9a-f]{6}\)", "", drawn))
    assert not hexes
    assert set(VARIABLES.values()) & set(re.findall(r"var\([^)]*\)", drawn))


def test_it_is_small_and_says_nothing_twice(html):
    drawn = html[html.index("<svg") :]
    for waste in (
        "<metadata",
        "<!--",
        "xmlns",
        "font-family",
        "<style",
        'id="axes',
        'fill: none" /',
    ):
        assert waste not in drawn, waste
    assert ">x̂<" in drawn, "text stays text"
    assert ">10²<" in drawn, "and a power of ten is one, of one size"


def test_ids_of_two_pictures_differ(html):
    first, second = (set(re.findall(r'id="([^"]+)"', h)) for h in (html, sample()._repr_html_()))
    assert first
    assert not first & second
    assert set(re.findall(r"#(f\w+-\d+)", html)) == first, "and each is used"


@pytest.mark.parametrize("columns", [1, 2, 3])
def test_no_panel_is_too_wide_for_a_phone(columns):
    picture, _ = new_picture(1, columns, width=12)
    widths = [figure.get_figwidth() * 96 for figure in picture.figures]
    assert max(widths) * 11 <= 358 * 10 * 4 / 3 + 0.01  # text of 10 points is 11 pixels high
    assert columns == 1 or sum(widths[:2]) + 16 <= 688, "two stand side by side in the column"


def test_names_do_not_lie_on_each_other():
    _, ax = new_picture()
    ax.set(xlim=(0, 1), ylim=(0, 1))
    name_all(ax, [(str(k), (1, 0.5 + 0.001 * k), INK) for k in range(5)], gap=12)
    heights = [text.xyann[1] for text in ax.texts]
    assert min(np.diff(heights)) > 11
    assert abs(np.mean(heights)) < 1, "they stay where the lines end"


@pytest.mark.parametrize("room", EXHIBITS)
def test_an_exhibit_bears_its_label_and_what_its_layer_makes(room):
    found, html = EXHIBITS[room], exhibit(room)._repr_html_()
    assert f">{found.maker}</text>" in html
    assert f">{found.label.upper()}</text>" in html
    assert VARIABLES[STAMPS[found.label]] in html
    assert f">{found.told_by}</text>" in html
    _, right, wrong = found.rows()
    for at in found.written:
        assert f">{said(wrong[at])}</text>" in html
    assert not np.abs(np.subtract(wrong, right)).max() <= 0.5, "and it is not what it should be"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (-1.069, "−1.1"),
        (0.756, "0.76"),
        (350.4, "350"),
        (2002.37, "2,002.4"),
        (float("nan"), "all NaN"),
    ],
)
def test_a_card_writes_numbers_short(value, words):
    assert said(value) == words


def test_the_row_of_an_exhibit_far_from_zero_shows_what_is_beside_its_mean():
    """Four bars of about 2001 look alike."""
    row = EXHIBITS["precision"].x[0].double()
    html = exhibit("precision")._repr_html_()
    assert f">{row.mean():,.0f}</text>" in html
    assert f">{row[-1]:,.1f}</text>" in html


THEMES = {  # what a host sets: how, and whether the operating system asks for dark
    "the book, dark": ("document.documentElement.dataset.theme = 'dark'", "light", "dark"),
    "the book, light": ("document.documentElement.dataset.theme = 'light'", "dark", "light"),
    "JupyterLab, dark": ("document.body.dataset.jpThemeLight = 'false'", "light", "dark"),
    "JupyterLab, light": ("document.body.dataset.jpThemeLight = 'true'", "dark", "light"),
    "VS Code, dark": ("document.body.className = 'vscode-dark'", "light", "dark"),
    "VS Code, light": ("document.body.className = 'vscode-light'", "dark", "light"),
    "Colab, dark": ("document.documentElement.setAttribute('theme', 'dark')", "light", "dark"),
    "Colab, light": ("document.documentElement.setAttribute('theme', 'light')", "dark", "light"),
    "nothing known, dark": ("0", "dark", "dark"),
    "nothing known, light": ("0", "light", "light"),
}


@pytest.mark.parametrize("host", THEMES)
def test_a_picture_follows_its_host(page, html, host):
    script, system, expected = THEMES[host]
    page.emulate_media(color_scheme=system)
    page.set_content(html)
    page.evaluate(script)
    stroke = page.evaluate(
        "getComputedStyle([...document.querySelectorAll('svg path')]"
        ".find((path) => path.style.stroke.includes('--fig-x,'))).stroke"
    )
    wanted = COLOURS["x"][expected == "dark"]
    assert stroke == f"rgb({', '.join(str(int(wanted[i : i + 2], 16)) for i in (1, 3, 5))})"
    page.emulate_media(media="print", color_scheme=system)
    ink = page.evaluate("getComputedStyle(document.querySelector('svg text')).fill")
    assert ink == "rgb(34, 39, 46)", "paper is light"
