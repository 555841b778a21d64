"""Chapter 10: each line of its "Try this" list, done on the built page."""

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


@tries(
    "10-layer",
    "Drag a cell of the first image: all 24 outputs of that image move, and none of the other.",
)
def test_an_image_moves(lab_page):
    assert moved_by(lab_page) == set(range(24))


@tries(
    "10-batch",
    'Press "BatchNorm" and drag the same cell: 12 outputs move, and six of them belong to the '
    "other image.",
)
def test_a_channel_moves_in_both_images(lab_page):
    press(lab_page, "BatchNorm")
    moved = moved_by(lab_page)
    assert len(moved) == 12
    assert len([i for i in moved if i >= 24]) == 6


@tries(
    "10-rms",
    'Press "LayerNorm", then "RMSNorm", and drag again: the same 24 outputs move, for the groups '
    "are the same.",
)
def test_the_groups_of_rms_norm_are_those_of_layer_norm(lab_page):
    for preset in ("LayerNorm", "RMSNorm"):
        press(lab_page, preset)
        moved = moved_by(lab_page)
        # A cell that stands at 0 stays there in RMSNorm, whatever it is divided by.
        still = {i for i in range(24) if values(lab_page, "x", PICKER)[i] == 0}
        assert moved | (still if preset == "RMSNorm" else set()) == set(range(24))


@tries("10-dyt", 'Press "DyT" and drag: one output moves, and no other.')
def test_one_output_moves(lab_page):
    press(lab_page, "DyT")
    assert moved_by(lab_page) == {0}
