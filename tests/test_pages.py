"""The finished pages: light, whole, readable without a script, and all of one site."""

import gzip
import html
import re
import unicodedata
from itertools import pairwise

import formulas
import pytest
import serve
from conftest import ROOT
from fontTools.ttLib import TTFont
from unbroken import unbroken
from unused_rules import trimmed

PHONE = 358  # pixels for the text of a page on a phone 390 wide
HEAD = 250  # bytes of what the book's server says before a file
FONT = ROOT / "book" / "_static" / "fonts" / "book-math.woff2"


@pytest.fixture(scope="session")
def pages(built_book):
    """Every page but the one that only leads on: {path: HTML}."""
    paths = sorted(set(built_book.rglob("*.html")) - {built_book / "index.html"})
    return {path: path.read_text(encoding="utf-8") for path in paths}


def attributes(text, tag, attribute):
    return re.findall(rf'<{tag}\b[^>]*\b{attribute}="([^"]*)"', text)


def test_nothing_comes_from_elsewhere(pages):
    for path, text in pages.items():
        loaded = attributes(text, "script", "src") + attributes(text, "img", "src")
        loaded += re.findall(
            r'<link\b(?=[^>]*rel="(?:stylesheet|icon|preload)")[^>]*href="([^"]*)', text
        )
        foreign = [address for address in loaded if re.match(r"(https?:)?//", address)]
        assert not foreign, (path.name, foreign)
        assert not [address for address in loaded if "mathjax" in address.lower()], path.name


def test_what_a_page_loads_at_once_is_light(pages):
    for path, text in pages.items():
        once = attributes(text, "script", "src") + attributes(text, "link", "href")
        once += attributes(text, "img", "src")
        files = {(path.parent / link.split("?")[0]).resolve() for link in once}
        files = {f for f in files if f.suffix in (".css", ".js", ".svg", ".png")} | {path}
        files |= {FONT}
        packed = sum(min(len(gzip.compress(f.read_bytes())), f.stat().st_size) for f in files)
        total = packed + HEAD * (len(files) + 1)  # the browser asks for one more, the icon
        assert total < 140_000, (path.name, total)


def test_no_warning_of_a_cell_reaches_a_page(pages):
    warned = {
        path.name for path, text in pages.items() if re.search(r"ipykernel_\d|\w+Warning: ", text)
    }
    assert not warned


@pytest.mark.parametrize(
    ("text", "joined"),
    [
        ("ends near 6 × 10⁻¹⁵.", "ends near 6~×~10⁻¹⁵."),
        ("the row [1, 2, 3, 6] has", "the row [1,~2,~3,~6] has"),
        ("with σ / √(σ² + ε). A", "with σ~/~√(σ²~+~ε). A"),
        ("γ = −1, so", "γ~=~−1, so"),
        ("one = and", "one~=~and"),
        ("a list, of words", "a list, of words"),
    ],
)
def test_a_short_formula_stays_on_one_line(text, joined):
    assert unbroken(text).replace("\N{NO-BREAK SPACE}", "~") == joined


def test_a_keyboard_can_scroll_what_is_wide(pages):
    for path, text in pages.items():
        assert not re.search(r'class="highlight"><pre>', text), path.name
    assert any('<pre tabindex="0">' in text for text in pages.values())


def test_no_file_is_there_for_nothing(built_book):
    kinds = {path.suffix for path in (built_book / "_static").rglob("*") if path.is_file()}
    assert not kinds & {".map", ".ttf", ".scss"}
    assert not list(built_book.rglob("fontawesome*"))


def test_every_page_says_what_it_is(pages):
    titles, descriptions = [], []
    for path, text in pages.items():
        titles += re.findall(r"<title>([^<]+)</title>", text)
        found = re.findall(r'<meta name="description" content="([^"]+)"', text)
        assert len(found) == 1, path.name
        assert len(html.unescape(found[0])) <= 165, path.name
        descriptions += found
        assert 'property="og:title"' in text, path.name
        assert 'rel="icon"' in text, path.name
    assert len(titles) == len(pages) == len(set(titles))
    assert len(set(descriptions)) == len(descriptions)


def test_every_picture_has_words_and_its_rules_stand_once(pages):
    for path, text in pages.items():
        for tag in re.findall(r"<img\b[^>]*>", text):
            assert re.search(r'alt="[^"]*"', tag), (path.name, tag)
            assert "_images" not in tag, f"{path.name}: {tag} does not follow the theme"
        pictures = re.findall(r'<div class="ln-figure"[^>]*>', text)
        for tag in pictures:
            assert len(re.search(r'role="img" aria-label="([^"]*)"', tag)[1]) > 40, (path.name, tag)
        assert text.count("<style>.ln-figure{") == bool(pictures), path.name


def test_ids_are_unique(pages):
    for path, text in pages.items():
        ids = re.findall(r'\bid="([^"]+)"', text)
        twice = {i for i in ids if ids.count(i) > 1} - {"exercise-content", "solution-content"}
        assert not twice, (path.name, twice)


def test_text_of_pictures_is_readable_on_a_phone(pages):
    panel = r'<svg viewBox="0 0 ([\d.]+) [\d.]+" width="(\d+)" height="\d+">(.*?)</svg>'
    for path, text in pages.items():
        for units, width, drawn in re.findall(panel, text, re.DOTALL):
            sizes = map(float, re.findall(r"font-size:([\d.]+)px", drawn))
            scale = min(int(width), PHONE) / float(units)
            assert min(sizes, default=11) * scale > 10.95, path.name


def test_headings_go_down_one_step_at_a_time(pages):
    for path, text in pages.items():
        article = text[text.index('id="main-content"') :]
        levels = [int(level) for level in re.findall(r"<h([1-6])\b", article)]
        levels = levels[levels.index(1) :]
        assert all(deeper <= level + 1 for level, deeper in pairwise(levels)), (path.name, levels)


def test_paper_is_light_and_what_is_folded_is_open_on_it(page, built_book):
    state = """() => [document.documentElement.dataset.theme,
        document.querySelectorAll("article details:not([open], .ln-lab *)").length]"""
    page.emulate_media(color_scheme="dark")
    page.goto((built_book / "book" / "03_gamma_and_beta.html").as_uri())
    before = page.evaluate(state)
    assert before[0] == "dark"
    assert before[1] > 3
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate(state) == ["light", 0]
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.evaluate(state) == before


def test_the_policy_names_no_foreign_origin(built_book):
    policy = serve.policy(built_book)
    assert "//" not in policy.replace("sha256-", "").split("style-src")[1]
    assert "'unsafe-inline'" not in policy.split("style-src")[0]
    assert "'unsafe-eval'" not in policy


def as_drawn(formula):
    """Return a formula's characters as browsers draw them: a single letter in <mi> is italic."""
    italic = {unicodedata.normalize("NFKC", chr(c)): chr(c) for c in range(0x1D434, 0x1D468)}
    italic |= {unicodedata.normalize("NFKC", chr(c)): chr(c) for c in range(0x1D6E2, 0x1D71C)}
    italic["h"] = "ℎ"
    text = re.sub(r"<mi>(.)</mi>", lambda m: italic.get(m[1], m[1]), formula)
    return html.unescape(re.sub(r"<[^>]+>", "", text))


def test_the_math_font_has_every_character_of_every_formula(pages):
    font = TTFont(FONT)
    drawn = set(map(chr, font.getBestCmap())) | set("\n\u00a0\u2009\u2061\u2062\u2063\ufe00")
    for path, text in pages.items():
        for formula in re.findall(r"<math\b.*?</math>", text, re.DOTALL):
            missing = set(as_drawn(formula)) - drawn
            assert not missing, (path.name, as_drawn(formula), sorted(map(hex, map(ord, missing))))


@pytest.mark.parametrize(
    ("tex", "there", "absent"),
    [
        (r"\begin{split}a &= b\\ c &= d\end{split}", "<mtable", ""),
        (r"\begin{align}a &= b\\ c &= d\end{align}", "<mtable", ""),
        (r"a = b \\ c = d", "<mtable", ""),
        (r"\frac{1}{\sqrt{\sigma^2 + \varepsilon}}", "<msqrt", ""),
        (r"\begin{equation}a\end{equation}", "<mi>a</mi>", "(1)"),  # Sphinx writes the number
        (r"\left(a + b\right)", 'stretchy="false"', ""),  # one line is not tall
        (r"\left(\frac{a}{b}\right)", "<mfrac", 'stretchy="false"'),
    ],
)
def test_formulas_become_mathml(tex, there, absent):
    mathml = formulas.to_mathml(tex, display=True)
    assert there in mathml
    assert not absent or absent not in mathml


@pytest.mark.parametrize(
    ("css", "left"),
    [
        (".a{x:1}.b{x:2}", ".a{x:1}"),
        (".a,.b{x:1}", ".a{x:1}"),
        (".a .b{x:1}#b{x:2}p{x:3}", "p{x:3}"),
        (".a:not(.b){x:1}:is(.a,.b) p{x:2}", ".a:not(.b){x:1}:is(.a,.b) p{x:2}"),
        ("@media print{.b{x:1}}@media print{.a{x:1}}", "@media print{.a{x:1}}"),
        ("@keyframes k{from{x:1}}/* .b */p{x:2}", "@keyframes k{from{x:1}}p{x:2}"),
    ],
)
def test_only_rules_that_can_match_are_kept(css, left):
    assert trimmed(css, {"a"}) == left
