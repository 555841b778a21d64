"""Chapter 1: each line of its "Try this" lists, done on the built page."""

from itertools import product

from browser import drag_cell, move, values
from tries import tries

PICKER, ROW = ".ln-picker", ".ln-lab:not(.ln-picker)"
SHIFT, STRETCH = "[name=shift]", "[name=stretch]"


def pull(page, cell, by):
    """Drag a cell of x up by some steps; return (means that moved, outputs that moved)."""
    before = values(page, "mean", PICKER), values(page, "x_hat", PICKER)
    drag_cell(page, cell, -8 * by)
    after = values(page, "mean", PICKER), values(page, "x_hat", PICKER)
    return [
        {i for i in range(24) if old[i] != new[i]} for old, new in zip(before, after, strict=True)
    ]


def tick(page, wanted):
    """Tick these axes, and no others."""
    for axis in "NTC":
        page.set_checked(f"[name=axis][value={axis}]", axis in wanted)


@tries(
    "01-neighbour",
    "Before you touch a tick, drag the 6 of token 0 up to 10: six outputs move, and three of them "
    "belong to the other sequence.",
)
def test_a_neighbour_moves(lab_page):
    assert values(lab_page, "x", PICKER)[3] == 6
    _, outputs = pull(lab_page, 3, 4)
    assert values(lab_page, "x", PICKER)[3] == 10
    assert len(outputs) == 6
    assert len([i for i in outputs if i >= 12]) == 3
    said = lab_page.locator(PICKER).locator("[data-quantity=consequence]").text_content()
    assert "6 outputs" in said


@tries(
    "01-alone",
    "Take all three ticks away: each cell is its own mean, so every x − μ is 0, and so is every "
    "output.",
)
def test_a_number_alone_is_zero(lab_page):
    tick(lab_page, "")
    for cell, by in ((0, 5), (7, -9), (20, 3)):
        pull(lab_page, cell, by)
        assert set(values(lab_page, "x_hat", PICKER)) == {0}
        assert values(lab_page, "mean", PICKER) == values(lab_page, "x", PICKER)


@tries(
    "01-token",
    "With feature alone ticked, drag any cell: one mean moves, and no output outside its token.",
)
def test_a_token_moves_alone(lab_page):
    tick(lab_page, "C")
    name = lab_page.locator(PICKER).locator("[data-quantity=line]").text_content()
    assert name == "nn.LayerNorm(4)(x)"  # the lab now names it
    for cell in range(24):
        up = 1 if values(lab_page, "x", PICKER)[cell] < 10 else -1
        means, outputs = pull(lab_page, cell, up)
        token = set(range(cell // 4 * 4, cell // 4 * 4 + 4))
        assert means == token
        assert outputs
        assert outputs <= token


@tries(
    "01-balance",
    "Put x back, raise the 1 of token 0 by two and lower its 6 by two: no mean moves, and three "
    "outputs do.",
)
def test_two_moves_balance(lab_page):
    tick(lab_page, "C")
    pull(lab_page, 9, 3)
    lab_page.click("[data-do=back]")
    start = values(lab_page, "mean", PICKER), values(lab_page, "x_hat", PICKER)
    pull(lab_page, 0, 2)
    pull(lab_page, 3, -2)
    assert values(lab_page, "x", PICKER)[:4] == [3, 2, 3, 4]
    assert values(lab_page, "mean", PICKER) == start[0]
    moved = [i for i in range(24) if values(lab_page, "x_hat", PICKER)[i] != start[1][i]]
    assert len(moved) == 3
    said = lab_page.locator(PICKER).locator("[data-quantity=consequence]").text_content()
    assert "no means and 3 outputs" in said


def variances(page, shift, stretch=None):
    """Move the whole row; return (μ, σ² in two passes, in one)."""
    move(page, SHIFT, shift)
    if stretch is not None:
        move(page, STRETCH, stretch)
    return [values(page, name, ROW)[0] for name in ("mean", "var", "var_one_pass")]


@tries(
    "01-shift",
    "Drag shift to the right past 10³, until μ is near 10,000: σ² stays at 3.5. What has become "
    "of E[x²] − μ²?",
)
def test_the_variance_vanishes(lab_page):
    assert variances(lab_page, 0)[1:] == [3.5, 3.5]
    near = [variances(lab_page, stop) for stop in (81, 82)]
    assert all(abs(mean / 10_000 - 1) < 0.12 for mean, *_ in near)
    assert [both for _, *both in near] == [[3.5, 0], [3.5, 0]]
    assert values(lab_page, "gap", ROW) == [8]


@tries(
    "01-beyond",
    "Shift on to the end: E[x²] − μ² is mostly 0 on this slider, now and then 32, 256 or 512, and "
    "never 3.5 again.",
)
def test_it_jumps_and_never_comes_back(lab_page):
    seen = [variances(lab_page, stop)[2] for stop in range(82, 101)]
    assert set(seen) == {0, 32, 256, 512}
    assert seen.count(0) > len(seen) / 2


@tries(
    "01-stretch",
    "Go back to a μ near 10,000 and stretch the row to a σ of about 100: both ways agree again to "
    "at least three digits.",
)
def test_a_wide_row_is_safe(lab_page):
    for stop, stretch in product((81, 82), (1.95, 2, 2.05)):
        mean, two, one = variances(lab_page, stop, stretch)
        assert abs(mean / 10_000 - 1) < 0.12
        assert abs(two / 100**stretch - 1) < 1e-2
        assert abs(one / two - 1) < 1e-3
        move(lab_page, STRETCH, 0.25)


@tries(
    "01-nan",
    "Press “mean 40,000”, for that row: on the line of float32 E[x²] stands one tick to the left "
    "of μ².",
)
def test_the_difference_is_negative(lab_page):
    lab_page.locator(ROW).get_by_role("button", name="mean 40,000", exact=True).click()
    assert values(lab_page, "x", ROW) == [40_000, 40_001, 40_002, 40_003]
    assert lab_page.locator(ROW).locator("[data-quantity=mean]").text_content() == "40001.5"
    assert values(lab_page, "var_one_pass", ROW) == [-128] == [-values(lab_page, "gap", ROW)[0]]
    said = lab_page.locator(ROW).locator("[data-quantity=one_pass_says]").text_content()
    assert "NaN" in said
    ticks = lab_page.locator(f"{ROW} .ln-ticks").get_attribute("d").split("M")[1:]
    at = [float(tick.split(" ")[0]) for tick in ticks]
    dots = lab_page.locator(f"{ROW} .ln-stored path").get_attribute("d").split("M")[1:]
    mean, square = float(dots[0].split(" ")[0]), float(dots[0].split("H")[1])
    assert {square, mean} <= set(at)
    assert at.index(mean) - at.index(square) == 1
