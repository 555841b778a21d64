"""Chapter 7's "Try this" lines, performed."""

import pytest
from browser import move, slide, values
from tries import tries

LAB = ".ln-kernel"
DONE = f"{LAB} [name=done]"


def choose(page, name, value):
    """Press a switch."""
    page.locator(f"{LAB} label", has=page.locator(f"[name={name}][value='{value}']")).click()


def total(page, way):
    """Return how many copies a way has moved so far, as the lab's table says."""
    return float(page.get_attribute(f"{LAB} [data-way='{way}'] output", "data-value"))


def end(page):
    """Drag the track to its right end; return the copies that have moved."""
    for _ in slide(page, DONE):
        pass
    assert page.eval_on_selector(DONE, "input => input.value === input.max")
    return values(page, "copies", LAB)[0]


@tries(
    "07-plain",
    "Drag the track to its right end under “plain”, and watch which rows are in the cache when "
    "the next operation begins.",
)
def test_plain_moves_seven_copies(lab_page):
    page = lab_page
    assert page.locator(f"{LAB} [name=way][value=plain]").is_checked()
    assert 0 < values(page, "copies", LAB)[0] < 3  # it is shown in the middle of its work
    steps = int(page.get_attribute(DONE, "max"))
    before = 0.0
    for k in range(1, steps):  # every row of every operation comes from memory
        move(page, DONE, k)
        now = values(page, "copies", LAB)[0]
        assert "The cache still holds" not in page.inner_text(f"{LAB} [data-quantity=sentence]")
        assert now > before
        before = now
    assert end(page) == total(page, "plain") == pytest.approx(7)
    assert page.inner_text(f"{LAB} [data-way=fused] output") == "?"  # the next line finds it


@tries(
    "07-fused",
    "Choose “fused”, drag again, and watch a single row.",
)
def test_fused_moves_one_copy(lab_page):
    page = lab_page
    choose(page, "way", "fused")
    assert end(page) == total(page, "fused") == pytest.approx(1)
    rows = values(page, "rows", LAB)[0]
    assert values(page, "read", LAB) == values(page, "written", LAB) == [rows]
