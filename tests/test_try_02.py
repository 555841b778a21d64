"""Chapter 2's "Try this" lines, performed."""

import math

import pytest
from browser import move, slide, type_in, values
from tries import tries

SPHERE, AGAIN = (f":nth-match(.ln-sphere, {k})" for k in (1, 2))  # one lab, shown twice
SHOUT = ".ln-lab:not(.ln-sphere)"


def spot(page, name, lab=SPHERE):
    """Return where a point stands on the screen."""
    box = page.locator(f"{lab} .ln-view circle.ln-{name}").bounding_box()
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
    "Drag stretch to its left end: x − μ glides to the centre, and x̂ visibly lets go of the circle "
    "only in the left half of the slider.",
)
def test_x_hat_lets_go_of_the_circle_last(lab_page):
    page = lab_page
    stretch = page.locator(f"{SPHERE} [name=stretch]")
    stretch.scroll_into_view_if_needed()
    lo, hi = (float(stretch.get_attribute(end)) for end in ("min", "max"))
    end, centre = spot(page, "x_hat"), spot(page, "centre")
    first = math.dist(spot(page, "centred"), centre)
    feet, radii = [], []
    for k in range(51):
        move(page, f"{SPHERE} [name=stretch]", hi + k / 50 * (lo - hi))
        feet.append(math.dist(spot(page, "centred"), centre))
        radii += values(page, "radius", SPHERE)
        if k <= 25:  # the right half
            assert spot(page, "x_hat") == pytest.approx(end, abs=4)
            assert radii[-1] > 0.97 * math.sqrt(3)
    assert feet == sorted(feet, reverse=True)
    assert feet[25] < 0.05 * first
    assert radii[-1] < 0.04 * math.sqrt(3)
    assert math.dist(spot(page, "x_hat"), centre) < 6


@tries(
    "02-let-go",
    "Drag stretch back: at σ = 0.05 x̂ is 0.2% short of the circle, and then seems to stand still.",
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
        short = 1 - values(page, "radius", SPHERE)[0] / math.sqrt(3)
        assert short == pytest.approx(0.002, abs=2e-4) if sigma == 0.05 else short < 0.001


@tries(
    "02-constant",
    "Press “constant”, type 1.05 over one of the three 1s, and press Enter: x̂ jumps from the "
    "centre almost to the circle.",
)
def test_one_step_takes_a_constant_row_almost_to_the_circle(lab_page):
    page = lab_page
    for index in range(3):
        page.click(f"{SPHERE} button:text-is('constant')")
        assert values(page, "x_hat", SPHERE) == [0, 0, 0]
        assert math.dist(spot(page, "x_hat"), spot(page, "centre")) < 1
        type_in(page, f"{SPHERE} [name=x-typed][data-index='{index}']", "1.05")
        assert values(page, "x", SPHERE)[index] == pytest.approx(1.05)
        assert 0.98 < values(page, "radius", SPHERE)[0] / math.sqrt(3) < 0.999


@tries(
    "02-neighbours",
    "Press “1000”, type 1000000 over it, and press Enter: no bar of x̂ moves, because the last one "
    "has been as high as it can be.",
)
def test_seven_neighbours_become_one_strip(lab_page):
    page = lab_page
    last = f"{SHOUT} [name=x-typed][data-index='7']"
    at_first = bars(page, SHOUT)
    assert max(at_first[:7]) - min(at_first[:7]) > 5  # seven bars of different length
    page.get_by_role("button", name="1000", exact=True).click()
    assert values(page, "x", SHOUT)[7] == 1000
    story = page.locator(f"{SHOUT} .ln-story")
    assert "is 1000 now" in story.text_content()
    strip = bars(page, SHOUT)
    assert max(strip[:7]) - min(strip[:7]) < 0.5
    assert {round(v, 2) for v in values(page, "x_hat", SHOUT)[:7]} == {-0.38}
    type_in(page, last, "1000000")
    assert "1000" not in story.text_content()  # it is another row now
    assert bars(page, SHOUT) == pytest.approx(strip, abs=0.5)
    assert values(page, "x_hat", SHOUT)[7] == pytest.approx(math.sqrt(7), abs=1e-5)


def bars(page, lab):
    """Return how high the bars of x̂ are, in pixels."""
    plot = page.locator(f"{lab} [data-step=x_hat] .ln-plot")
    scale = plot.bounding_box()["height"] / 100
    d = plot.locator("path.ln-bars").get_attribute("d")
    return [scale * float(part.split("V")[1].split("h")[0]) for part in d.split("M")[1:]]


def mark_to_handle(page):
    """Return how many pixels the mark ε = σ² stands to the right of the handle of ε."""
    mark = page.locator(f"{AGAIN} .ln-knee.ln-inside").bounding_box()
    slider = page.locator(f"{AGAIN} [name=eps]")
    box, where = slider.bounding_box(), (float(slider.input_value()) + 12) / 13
    handle = box["x"] + 8 + where * (box["width"] - 16)
    return mark["x"] + mark["width"] / 2 - handle


def way_to_the_circle(page):
    """Return how far x̂ is from the centre, of the way to the circle."""
    return values(page, "radius", AGAIN)[0] / math.sqrt(3)


@tries(
    "02-mark",
    "Drag stretch to the left until the mark ε = σ² meets the handle of ε, at σ = 0.003: x̂ stops "
    "at 71% of the way to the circle.",
)
def test_where_the_mark_meets_the_handle_x_hat_is_at_71_percent(lab_page):
    page = lab_page
    page.locator(f"{AGAIN} [name=stretch]").scroll_into_view_if_needed()
    ways, gaps = [], []
    for k in range(26):
        move(page, f"{AGAIN} [name=stretch]", -0.1 * k)
        ways.append(way_to_the_circle(page))
        gaps.append(mark_to_handle(page))
    assert ways == sorted(ways, reverse=True)
    assert gaps == sorted(gaps, reverse=True)
    assert gaps[0] > 40
    assert abs(gaps[-1]) < 1.5
    assert values(page, "std", AGAIN) == pytest.approx([0.003], abs=0.0005)
    assert ways[-1] == pytest.approx(0.71, abs=0.005)
    assert "71%" in page.text_content(f"{AGAIN} .ln-story")


@tries(
    "02-half",
    "Type 0.01 for ε and stretch the row to σ = 0.1: the mark meets the handle again, and x̂ stops "
    "at 71% again.",
)
def test_a_larger_eps_meets_a_larger_row(lab_page):
    page = lab_page
    type_in(page, f"{AGAIN} [name=eps-typed]", "0.01")
    move(page, f"{AGAIN} [name=stretch]", -1)
    assert values(page, "std", AGAIN) == pytest.approx([0.1], rel=1e-4)
    assert way_to_the_circle(page) == pytest.approx(0.71, abs=0.005)
    assert abs(mark_to_handle(page)) < 2
    assert "71%" in page.text_content(f"{AGAIN} .ln-story")
