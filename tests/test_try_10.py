"""Chapter 10: each line of its "Try this" list, done on the built page."""

import re

from browser import drag_cell, values
from tries import tries

PICKER = ".ln-picker"


def moved_by(page, cell=0):
    """Drag a cell one step; return the indices of the outputs that move."""
    before = values(page, "x_hat", PICKER)
    at = values(page, "x", PICKER)[cell]
    drag_cell(page, cell, -16 if at < 8 else 16)
    assert values(page, "x", PICKER)[cell] != at
    after = values(page, "x_hat", PICKER)
    return {i for i, pair in enumerate(zip(before, after, strict=True)) if pair[0] != pair[1]}


def press(page, preset):
    page.locator(PICKER).locator(f"[data-preset={preset}]").click()


def counted(page):
    """Return how many outputs the lab says have moved since the start."""
    said = page.locator(PICKER).locator("[data-quantity=consequence]").text_content()
    return int(re.search(r"(\d+) outputs?", said)[1])


@tries(
    "10-layer",
    "Drag the 7 of the first image. The sentence above the cells counts the outputs that move, and "
    "none of them belongs to the other image.",
)
def test_an_image_moves(lab_page):
    first = values(lab_page, "x", PICKER)[:24]
    assert (first[0], first.count(7)) == (7, 1)
    assert moved_by(lab_page) == set(range(24))
    assert counted(lab_page) == 24


@tries(
    "10-batch",
    'Press "BatchNorm", and read the sentence again. Drag on, and look at the other image, too.',
)
def test_a_channel_moves_in_both_images(lab_page):
    moved_by(lab_page)
    press(lab_page, "BatchNorm")
    assert counted(lab_page) == 12
    moved = moved_by(lab_page)
    assert len(moved) == 12
    assert len([i for i in moved if i >= 24]) == 6


@tries(
    "10-rms",
    'Press "RMSNorm": the groups are LayerNorm\'s again. Look for outputs that stay where they are '
    "while you drag.",
)
def test_rms_norm_keeps_zeros_and_layer_norm_does_not(lab_page):
    press(lab_page, "LayerNorm")
    assert moved_by(lab_page) == set(range(24))
    press(lab_page, "RMSNorm")
    assert counted(lab_page) == 22
    moved = moved_by(lab_page)
    still = set(range(24)) - moved
    assert moved < set(range(24))
    assert len(still) == 2
    for quantity in ("x", "x_hat"):
        assert {values(lab_page, quantity, PICKER)[i] for i in still} == {0}


@tries("10-dyt", 'Press "DyT" and drag on: one output moves, and no other.')
def test_one_output_moves_and_shows_it(lab_page):
    moved_by(lab_page)
    press(lab_page, "DyT")
    assert counted(lab_page) == 1
    output = lab_page.locator(PICKER).locator("[data-quantity=x_hat]").first
    shown = output.text_content()
    assert moved_by(lab_page) == {0}
    assert output.text_content() != shown


@tries(
    "10-pixel",
    'Press "LayerNorm", and take away the ticks at H and W. Four outputs have moved, the channels '
    "of one pixel. That is a transformer's LayerNorm.",
)
def test_the_channels_of_a_pixel_move(lab_page):
    moved_by(lab_page)
    press(lab_page, "LayerNorm")
    for letter in "HW":
        lab_page.locator(PICKER).locator(f"[name=axis][value={letter}]").uncheck()
    assert counted(lab_page) == 4
    assert moved_by(lab_page) == {0, 6, 12, 18}  # cell 0 of each channel of image 0
    assert lab_page.locator(PICKER).locator("[data-quantity=name]").text_content() == "LayerNorm"
