"""On the pages as they are built: what the hand moves and what answers it are on one screen.

And at each preset, also on a phone, the handles stand where the numbers say.
"""

import pytest
from browser import open_lab
from test_engines import ASTRAY, OPEN

# On a phone the cells and what they show are on one screen; the choices stand above.
TALL_ON_A_PHONE = {"01_mean_and_variance", "10_relatives"}
SCREENS = {"1280x800": (1280, 620), "390x800": (390, 800)}
# How high each lab is without what stands behind "More" and the buttons at its foot; then whether
# anything of it reaches beyond the column or stands over its neighbour.
WORKING = """() => [...document.querySelectorAll(".ln-lab")].map(lab => {
    const top = node => node.getBoundingClientRect().top;
    return Math.round(top(lab.querySelector(".ln-more, .ln-foot")) - top(lab));
})"""
WIDE = """() => [...document.querySelectorAll(".ln-lab")].filter(lab => {
    const box = lab.getBoundingClientRect();
    return box.left < 0 || box.right > innerWidth || lab.scrollWidth > lab.clientWidth + 1;
}).length + (document.documentElement.scrollWidth > innerWidth)"""


@pytest.mark.parametrize("screen", SCREENS)
def test_a_lab_and_its_answer_are_on_one_screen(page, site, screen):
    width, most = SCREENS[screen]
    page.set_viewport_size({"width": width, "height": 800})
    tall = TALL_ON_A_PHONE if width < 500 else set()
    found = {}
    for path in sorted((site.folder / "book").glob("*.html")):
        if "widget-view+json" not in path.read_text(encoding="utf-8"):
            continue
        open_lab(page, site.url(f"book/{path.name}"))
        page.evaluate(f"() => {{ {OPEN} }}")
        assert not page.locator(".ln-more[open]").count()
        assert page.evaluate(WIDE) == 0, path.stem
        buttons = page.locator(".ln-lab [data-do=preset]").all()
        heights = []
        for press in (lambda: None, *(button.click for button in buttons)):
            press()
            heights.append(page.evaluate(WORKING))
            assert page.evaluate(f"() => {{ {ASTRAY} }}") == [], path.stem
        found[path.stem] = [max(all) for all in zip(*heights, strict=True)]
    high = {name: all for name, all in found.items() if max(all) > most and name not in tall}
    assert not high, found
