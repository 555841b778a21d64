"""Chapter 2's "Try this" lines, performed."""

import math

import pytest
from browser import move, slide, type_in, values
from tries import tries

SPHERE = ".ln-sphere"
SHOUT, ROW = (f":nth-match(.ln-lab:not(.ln-sphere), {k})" for k in (1, 2))


def spot(page, name):
    """Return where a point stands on the screen."""
    box = page.locator(f".ln-view circle.ln-{name}").bounding_box()
    return [box["x"] + box["width"] / 2, box["y"] + box["height"] / 2]


@tries(
    "02-shift",
    "Drag shift from end to end: x rides up and down its dashed line, and neither x − μ nor x̂ "
    "moves.",
)
def test_shift_moves_x_alone(lab_page):
    page = lab_page
    page.locator(f"{SPHERE} [name=shift]").scroll_into_view_if_needed()
    foot, end, heights = spot(page, "centred"), spot(page, "x_hat"), []
    across = spot(page, "x")[0]
    for _ in slide(page, f"{SPHERE} [name=shift]"):
        assert spot(page, "centred") == pytest.approx(foot, abs=0.5)
        assert spot(page, "x_hat") == pytest.approx(end, abs=0.5)
        x = spot(page, "x")
        assert x[0] == pytest.approx(across, abs=0.5)
        heights.append(x[1])
    assert heights == sorted(heights, reverse=True)
    assert heights[0] > heights[-1] + 100


@tries(
    "02-stretch",
    "Drag stretch to its left end: x − μ glides to the centre, and at the very end x̂ lets go of "
    "the circle and follows.",
)
def test_x_hat_lets_go_of_the_circle_last(lab_page):
    page = lab_page
    page.locator(f"{SPHERE} [name=stretch]").scroll_into_view_if_needed()
    end, centre = spot(page, "x_hat"), spot(page, "centre")
    feet, radii = [], []
    for k in range(28):
        move(page, f"{SPHERE} [name=stretch]", -0.15 * k)
        feet.append(math.dist(spot(page, "centred"), centre))
        radii += values(page, "radius", SPHERE)
        if values(page, "std", SPHERE)[0] > 0.05:
            assert spot(page, "x_hat") == pytest.approx(end, abs=1)
    assert feet == sorted(feet, reverse=True)
    assert feet[9] < 0.05 * feet[0]  # σ is 0.045, and x̂ is still on the circle
    assert radii[9] == pytest.approx(math.sqrt(3), rel=0.005)
    assert radii[-1] < 0.04 * math.sqrt(3)
    assert math.dist(spot(page, "x_hat"), centre) < 6


@tries(
    "02-let-go",
    "Drag stretch back: by σ = 0.05 x̂ stands where it stood, and more stretch does not move it.",
)
def test_it_comes_back_to_the_same_place(lab_page):
    page = lab_page
    page.locator(f"{SPHERE} [name=stretch]").scroll_into_view_if_needed()
    end = spot(page, "x_hat")
    least = page.get_attribute(f"{SPHERE} [name=stretch]", "min")
    move(page, f"{SPHERE} [name=stretch]", least)
    assert math.dist(spot(page, "x_hat"), end) > 50
    for sigma in (0.05, 0.1, 0.3, 1, 1.6):
        move(page, f"{SPHERE} [name=stretch]", math.log10(sigma))
        assert values(page, "std", SPHERE) == pytest.approx([sigma], rel=0.1)
        assert spot(page, "x_hat") == pytest.approx(end, abs=1)


@tries(
    "02-constant",
    "Press “constant”, then raise one bar by one step, 0.05: x̂ jumps from the centre almost to "
    "the circle.",
)
def test_one_step_takes_a_constant_row_almost_to_the_circle(lab_page):
    page = lab_page
    for index in range(3):
        page.get_by_role("button", name="constant", exact=True).click()
        assert values(page, "x_hat", SPHERE) == [0, 0, 0]
        assert math.dist(spot(page, "x_hat"), spot(page, "centre")) < 1
        page.focus(f"{SPHERE} [name=x][data-index='{index}']")
        page.keyboard.press("ArrowUp")
        assert values(page, "x", SPHERE)[index] == pytest.approx(1.05)
        assert 0.98 < values(page, "radius", SPHERE)[0] / math.sqrt(3) < 0.999


@tries(
    "02-neighbours",
    "Type 1000 over the last number, and then 1000000: no bar of x̂ moves any more.",
)
def test_seven_neighbours_become_one_strip(lab_page):
    page = lab_page
    last = f"{SHOUT} [name=x-typed][data-index='7']"
    at_first = bars(page, SHOUT)
    assert max(at_first[:7]) - min(at_first[:7]) > 5  # seven bars of different length
    type_in(page, last, "1000")
    strip = bars(page, SHOUT)
    assert max(strip[:7]) - min(strip[:7]) < 0.5
    assert {round(v, 2) for v in values(page, "x_hat", SHOUT)[:7]} == {-0.38}
    type_in(page, last, "1000000")
    assert bars(page, SHOUT) == pytest.approx(strip, abs=0.5)
    assert values(page, "x_hat", SHOUT)[7] < 2.6458


@tries(
    "02-mark",
    "Drag stretch to the left: no bar of x̂ moves until the mark ε = σ² comes near the handle of ε.",
)
def test_x_hat_stands_still_until_the_mark_is_near(lab_page):
    page = lab_page
    before = bars(page)
    moved, logs = [], []
    for k in range(81):
        move(page, f"{ROW} [name=stretch]", -0.05 * k)
        (std,) = values(page, "std", ROW)
        logs.append(math.log10(std**2 / 1e-5))
        moved.append(max(abs(a - b) for a, b in zip(before, bars(page), strict=True)))
    # A mark is near its handle where less than a fifth of the slider, 2.6 decades, is between them.
    assert all(m < 1 for m, log in zip(moved, logs, strict=True) if log > 2.6)
    assert max(moved) > 10
    at_the_mark = min(zip(moved, logs, strict=True), key=lambda pair: abs(pair[1]))
    assert at_the_mark[0] > 3


def bars(page, lab=ROW):
    """Return how high the bars of x̂ are, in pixels."""
    plot = page.locator(f"{lab} [data-step=x_hat] .ln-plot")
    scale = plot.bounding_box()["height"] / 100
    d = plot.locator("path.ln-bars").get_attribute("d")
    return [scale * float(part.split("V")[1].split("h")[0]) for part in d.split("M")[1:]]


@tries(
    "02-half",
    "Type 0.01 for ε and stretch the row to σ = 0.1: ε equals σ², and x̂ has lost half of its "
    "variance.",
)
def test_where_eps_equals_the_variance_half_of_it_is_left(lab_page):
    page = lab_page
    type_in(page, f"{ROW} [name=eps-typed]", "0.01")
    move(page, f"{ROW} [name=stretch]", -1)
    assert values(page, "std", ROW) == pytest.approx([0.1])
    x_hat = values(page, "x_hat", ROW)
    assert sum(v * v for v in x_hat) / 8 == pytest.approx(0.5, rel=1e-4)
    mark = page.locator(f"{ROW} .ln-knee.ln-inside").bounding_box()
    slider = page.locator(f"{ROW} [name=eps]")
    box, where = slider.bounding_box(), (float(slider.input_value()) + 12) / 13
    handle = box["x"] + 8 + where * (box["width"] - 16)
    assert mark["x"] + mark["width"] / 2 == pytest.approx(handle, abs=2)
