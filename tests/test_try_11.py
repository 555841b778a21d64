"""Chapter 11 keeps what its "Try this" lists promise."""

from browser import move
from tries import tries

from layernorm_book.widgets.blackbox import BOXES
from layernorm_book.widgets.bugs import DRAWS, PRESETS, RIGHT

ALL, NONE = [DRAWS] * 3, [0] * 3
LAB, BOX = ".ln-bugs:not(.ln-box)", ".ln-box"


def choose(page, lab, name, value):
    page.check(f"{lab} [name={name}][value='{value}']", force=True)


def ask(page, lab, preset):
    page.locator(lab).get_by_role("button", name=preset, exact=True).click()


def said(page, lab, quantity):
    script = "(nodes, name) => nodes.map(node => +node.dataset.value)"
    return page.eval_on_selector_all(f"{lab} [data-quantity={quantity}]", script)


@tries(
    "11-share",
    "Press the two switches under the sliders, fix mean and σ and γ and β. One of them lets the "
    "layer pass all three tests in every draw.",
)
def test_level_rows_hide_that_all_rows_share(lab_page):
    assert said(lab_page, LAB, "passed") == NONE
    choose(lab_page, LAB, "parameters", "trained")
    assert said(lab_page, LAB, "passed") == NONE
    for parameters in ("trained", "fresh"):  # a reader may leave them drawn, or not
        choose(lab_page, LAB, "parameters", parameters)
        choose(lab_page, LAB, "rows", "level")
        assert said(lab_page, LAB, "passed") == ALL
        choose(lab_page, LAB, "rows", "drawn")
        assert said(lab_page, LAB, "passed") == NONE


@tries(
    "11-far",
    "Set share μ and σ back to a row, and variance in to one pass. On short randn all three tests "
    "pass it. Press mean 2000, and the two lower tests catch it in every draw. (assert_close "
    "proves nothing there, as it fails a right layer too.)",
)
def test_one_pass_shows_far_from_zero(lab_page):
    choose(lab_page, LAB, "axes", "row")
    choose(lab_page, LAB, "squares", "one-pass")
    ask(lab_page, LAB, "short randn")
    assert said(lab_page, LAB, "passed") == ALL
    ask(lab_page, LAB, "mean 2000")
    assert said(lab_page, LAB, "passed") == NONE
    choose(lab_page, LAB, "squares", "two-pass")
    assert said(lab_page, LAB, "passed") == [0, DRAWS, DRAWS]


@tries(
    "11-quiet",
    "Go back to two passes, and compute in bfloat16. On all four buttons the two lower tests "
    "catch it in every draw. Now press short randn, drag σ to its left end and ε to its "
    "right end, and both upper tests pass it in all twenty draws, the judge in 12. (All that "
    "comes out is below 0.001, and the errors are below 10⁻⁵.)",
)
def test_bfloat16_hides_where_eps_is_large_and_rows_are_quiet(lab_page):
    choose(lab_page, LAB, "axes", "row")
    choose(lab_page, LAB, "squares", "two-pass")
    choose(lab_page, LAB, "precision", "bfloat16")
    for preset in PRESETS:  # the order in which they stand
        ask(lab_page, LAB, preset)
        assert said(lab_page, LAB, "passed")[1:] == NONE[1:]
    ask(lab_page, LAB, "mean 2000")  # where a reader may still be
    ask(lab_page, LAB, "short randn")
    move(lab_page, f"{LAB} [name=sigma]", 0)
    move(lab_page, f"{LAB} [name=eps]", 1)
    assert said(lab_page, LAB, "passed") == [DRAWS, DRAWS, 12]


def suspect(page, **fault):
    choose(page, BOX, "suspect", BOXES.index(RIGHT | fault))


def word(page):
    return page.text_content(f"{BOX} [data-quantity=verdict]")


@tries(
    "11-alike",
    'Pick ε². On three of the buttons after "Ask it" it stays possible. Press ε = 0.5, and it is '
    "ruled out.",
)
def test_a_large_eps_rules_out_its_square(lab_page):
    suspect(lab_page, size="squared")
    for preset in ("short randn", "n = 768", "mean 2000"):
        ask(lab_page, BOX, preset)
        assert word(lab_page) == "Possible", preset
    ask(lab_page, BOX, "ε = 0.5")
    assert word(lab_page) == "Ruled out"


@tries(
    "11-part",
    "Two suspects survive ε = 0.5. Find both, and then a question that rules out one of them.",
)
def test_two_suspects_survive_a_large_eps_and_one_of_them_another_question(lab_page):
    def possible(preset):
        ask(lab_page, BOX, preset)
        found = []
        for k in range(len(BOXES)):
            choose(lab_page, BOX, "suspect", k)
            found += [BOXES[k]] * (word(lab_page) == "Possible")
        return found

    fixed, zero = RIGHT | {"size": "fixed"}, RIGHT | {"size": "zero"}
    assert possible("ε = 0.5") == [fixed, zero]
    for preset in ("short randn", "n = 768"):
        left = possible(preset)
        assert zero in left
        assert fixed not in left


@tries(
    "11-name",
    'Pick the one that is left, and press "This is it". You are told a question that would have '
    "settled it at once.",
)
def test_the_one_who_did_it_is_named(lab_page):
    suspect(lab_page, size="zero")
    lab_page.locator(BOX).get_by_role("button", name="This is it").click()
    assert word(lab_page) == "Right"
    assert "One question settles it: n = 4, mean 0" in lab_page.text_content(f"{BOX} .bl-reason")
