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
    "Drag the track to its right end under “plain”: each row has left the cache before the next "
    "operation comes to it, and 7 copies have moved.",
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


@tries(
    "07-fused",
    "Choose “fused” and drag again: each row comes in once, goes out once, and 1 copy has moved.",
)
def test_fused_moves_one_copy(lab_page):
    page = lab_page
    choose(page, "way", "fused")
    assert end(page) == total(page, "fused") == pytest.approx(1)
    rows = values(page, "rows", LAB)[0]
    assert values(page, "read", LAB) == values(page, "written", LAB) == [rows]


@tries(
    "07-blocks",
    "Stay at the right end, choose “in blocks”, open More and raise the rows in a block: up to 4 "
    "it stays at 1 copy, and from 12 on it moves 5, as many as “in place”.",
)
def test_a_block_that_does_not_fit_saves_nothing(lab_page):
    page = lab_page
    end(page)
    choose(page, "way", "in blocks")
    page.click(f"{LAB} .ln-more summary")
    for block in range(1, 17):
        move(page, f"{LAB} [name=block]", block)
        copies = total(page, "in blocks")
        assert (copies == 1) == (block <= 4)
        assert (copies == 5 == total(page, "in place")) == (block >= 12)


@tries(
    "07-backward",
    "In the lab, drag to the right end and choose “backward” and “fused”: 2.5 copies, and 1.5 once "
    "you tick under More that it is one kernel.",
)
def test_a_second_kernel_reads_everything_again(lab_page):
    page = lab_page
    end(page)
    choose(page, "direction", "backward")
    choose(page, "way", "fused")
    assert values(page, "copies", LAB)[0] == total(page, "fused") == pytest.approx(2.5)
    page.click(f"{LAB} .ln-more summary")
    page.check(f"{LAB} [name=kernels]")
    assert total(page, "fused") == pytest.approx(1.5)
