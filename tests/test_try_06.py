"""Chapter 6's "Try this" lines, performed."""

from browser import move, slide, values
from tries import tries

ROUNDING, BITS = ".ln-rounding", ".ln-bits"


def choose(page, name, value, lab=ROUNDING):
    page.check(f"{lab} [name={name}][value={value}]", force=True)


def press(page, label, lab):
    page.locator(f"{lab} .ln-presets button", has_text=label).click()


def error(page):
    return values(page, "error", ROUNDING)[0]


def lit(page):
    return page.get_attribute(f"{ROUNDING} .lr-lit", "data-step")


def height_of_the_dot(page):
    plot, dot = (
        page.locator(f"{ROUNDING} {name}").bounding_box() for name in (".lr-plot", ".lr-dot")
    )
    return plot["y"] + plot["height"] - dot["y"] - dot["height"] / 2


def stored(page, name):
    return page.get_attribute(f"{BITS} [data-number={name}] output", "data-value")


@tries(
    "06-twice",
    "Choose “centred twice”: x̂ is right to a millionth, and μ is no longer the step that is lit.",
)
def test_the_one_line_brings_the_digits_back(lab_page):
    page = lab_page
    assert lit(page) == "mean"
    assert error(page) > 1e-4
    choose(page, "way", "twice")
    assert error(page) < 1e-6
    assert lit(page) != "mean"


@tries(
    "06-drag",
    "Drag the mean from end to end, with “two passes” and with “centred twice”: the dot climbs "
    "past 10⁻³ the first time, and stays below 10⁻⁶ the second.",
)
def test_two_passes_climb_and_centred_twice_stays(lab_page):
    page = lab_page
    found = {}
    for way in ("two", "twice"):
        choose(page, "way", way)
        found[way] = []
        for _ in slide(page, f"{ROUNDING} [name=mean]"):
            found[way].append((error(page), height_of_the_dot(page)))
        assert values(page, "mean", ROUNDING) == [1e6]
    errors, heights = zip(*found["two"], strict=True)
    assert errors[0] < 1e-6
    assert errors[-1] > 1e-3
    assert heights[-1] > heights[0] + 60
    errors, levels = zip(*found["twice"], strict=True)
    assert max(errors) < 1e-6
    assert max(levels) - min(levels) < 25
    assert max(levels) < heights[0] + 10


@tries(
    "06-gone",
    "Choose bfloat16 with the mean at 10,000: all 768 numbers are stored alike, and no line of "
    "code can save them.",
)
def test_in_bfloat16_the_row_is_gone(lab_page):
    page = lab_page
    assert values(page, "mean", ROUNDING) == [10_000]
    choose(page, "format", "bfloat16")
    for way in ("two", "twice"):
        choose(page, "way", way)
        assert values(page, "distinct", ROUNDING) == [1]
        says = page.text_content(f"{ROUNDING} .lr-says")
        assert "all 768 numbers of this row are stored as 9,984" in says


@tries(
    "06-silent",
    "Press “σ = 10 in float16”: σ² is ∞, and all of x̂ is 0. Press “σ = 9 in float16”: x̂ is off "
    "by 0.0023.",
)
def test_a_loud_row_goes_silent_in_float16(lab_page):
    page = lab_page
    press(page, "σ = 10 in float16", ROUNDING)
    assert values(page, "sigma", ROUNDING) == [10]
    assert values(page, "mean", ROUNDING)[0] < 85  # its sum does not overflow
    says = page.text_content(f"{ROUNDING} .lr-says")
    assert "σ² is ∞" in says
    assert "all of x̂ is 0" in says
    assert "The sum of the squares passes 65,504" in says
    press(page, "σ = 9 in float16", ROUNDING)
    assert values(page, "sigma", ROUNDING) == [9]
    assert page.is_checked(f"{ROUNDING} [name=format][value=float16]")
    assert "off by up to 0.0023" in page.text_content(f"{ROUNDING} .lr-says")
    assert round((65_504 / 768) ** 0.5, 1) == 9.2  # between the two


@tries(
    "06-past",
    "Now drag the mean from 1 to 100: x̂ turns to NaN, and of the four dots only Welford's stays "
    "below the band at the top.",
)
def test_past_the_end_the_mean_is_infinite(lab_page):
    page = lab_page
    press(page, "σ = 9 in float16", ROUNDING)
    assert values(page, "mean", ROUNDING) == [1]
    move(page, f"{ROUNDING} [name=mean]", 2)
    assert values(page, "mean", ROUNDING) == [100]
    says = page.text_content(f"{ROUNDING} .lr-says")
    assert "μ is ∞, and all of x̂ is NaN" in says
    dots = [
        page.get_attribute(f"{ROUNDING} .lr-ghost.lr-{way}", "d").split()[1].removesuffix("h0")
        for way in ("one", "two", "twice", "welford")
    ]
    assert [float(y) < 20 for y in dots] == [True, True, True, False]  # the band's share


@tries(
    "06-flip",
    "Flip the last bit of ε: that is float16's smallest positive number, and 1/√(σ² + ε) falls "
    "from ∞ to 4,096.",
)
def test_the_last_bit_is_the_smallest_number(lab_page):
    page = lab_page
    assert stored(page, "rstd") == "Infinity"
    page.locator(f"{BITS} [data-number=eps] [data-do=flip]:visible").last.click()
    assert float(stored(page, "eps")) == 2.0**-24
    assert float(stored(page, "rstd")) == 4096


@tries(
    "06-beside",
    "Press “σ² = 1, ε = 10⁻⁵”: in float16 nothing is left of ε beside σ², and that costs nothing.",
)
def test_eps_is_lost_beside_a_large_variance(lab_page):
    page = lab_page
    press(page, "σ² = 1, ε = 10⁻⁵", BITS)
    assert page.is_checked(f"{BITS} [name=format][value=float16]")
    assert float(stored(page, "sum")) == float(stored(page, "var")) == 1
    assert float(stored(page, "eps")) > 0
    says = page.text_content(f"{BITS} .lb-says")
    assert "nothing is left of ε" in says
    assert "That costs nothing" in says
