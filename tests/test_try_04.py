"""Chapter 4 keeps what its "Try this" list promises."""

from browser import move, values
from tries import tries

from layernorm_book.widgets.bugs import DRAWS

NONE = [0] * 3


def choose(page, name, value):
    page.check(f"[name={name}][value='{value}']", force=True)


def ask(page, preset):
    page.get_by_role("button", name=preset, exact=True).click()


def passed(page):
    return values(page, "passed")


@tries(
    "04-eps",
    'Press the four buttons after "Ask it", one after the other. Only one makes both tests '
    "catch the layer in every draw.",
)
def test_a_large_eps_shows_where_eps_stands(lab_page):
    counts = {}
    for preset in ("short randn", "n = 768", "mean 2000", "ε = 0.5"):
        ask(lab_page, preset)
        counts[preset] = passed(lab_page)
    assert [preset for preset, found in counts.items() if found == NONE] == ["ε = 0.5"]
    assert lab_page.text_content("[data-quantity=verdict]") == "Caught"


@tries(
    "04-half",
    "Press short randn, set ε to 0.001, and fix mean and σ in each row. Now drag σ from 0.1 to 10: "
    "at a single stop assert_close misses the layer in all twenty draws.",
)
def test_at_a_half_both_places_of_eps_are_the_same(lab_page):
    ask(lab_page, "short randn")
    move(lab_page, "[name=eps]", -3)
    choose(lab_page, "rows", "level")
    missed = {}
    for stop in range(14):
        move(lab_page, "[name=sigma]", stop)
        sigma = values(lab_page, "sigma")[0]
        if 0.1 <= sigma <= 10:
            missed[sigma] = passed(lab_page)[0]
    assert len(missed) > 6
    assert [sigma for sigma, draws in missed.items() if draws] == [0.5]
    assert missed[0.5] == DRAWS


@tries(
    "04-long-rows",
    "Choose ÷ (n − 1) and put ε back inside the root. Press short randn: both tests catch the "
    "layer. Press n = 768: now the tolerance of a thousandth misses it in all twenty draws.",
)
def test_long_rows_hide_n_minus_one_from_a_loose_test(lab_page):
    choose(lab_page, "count", "n-1")
    choose(lab_page, "divide", "inside")
    ask(lab_page, "short randn")
    assert passed(lab_page) == NONE
    ask(lab_page, "n = 768")
    assert passed(lab_page)[1] == DRAWS


@tries(
    "04-right",
    "Make every part green and press mean 2000. Nothing is wrong with the layer now, and "
    "assert_close fails it in all twenty draws.",
)
def test_a_right_layer_fails_a_strict_test_far_from_zero(lab_page):
    choose(lab_page, "divide", "inside")
    assert not lab_page.locator(".bl-wrong :checked").count()
    ask(lab_page, "mean 2000")
    assert passed(lab_page) == [0, DRAWS, DRAWS]
    assert "Nothing is wrong" in lab_page.text_content(".bl-headline")
