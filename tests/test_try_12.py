"""Chapter 12's "Try this" lines, performed."""

import torch
from browser import open_lab, values
from tries import tries


def packages(page):
    """Return what stands in the first column of the rows that are shown."""
    return page.locator("[data-row] th:visible").all_inner_texts()


def piles(page, group):
    """Return in which piles the dots of a group stand: 0 is under 0.001%, 6 is NaN."""
    dots = page.locator(f"circle[data-group={group}]")
    return dots.evaluate_all("all => all.map(dot => +dot.dataset.pile)")


@tries(
    "12-quiet",
    "Press “quiet”: most purple dots move to the right. With σ = 0.01, σ² is 10⁻⁴, and an ε of "
    "10⁻⁵ is no longer small beside it.",
)
def test_quiet_rows_show_another_eps(lab_page):
    page = lab_page
    others = {group: piles(page, group) for group in ("agrees", "one-plus")}
    assert len(set(piles(page, "eps"))) <= 2
    page.click("[name=given][value=quiet]")
    assert len(set(piles(page, "eps"))) >= 4
    assert {group: piles(page, group) for group in others} == others
    assert "σ = 0.01" in page.inner_text("[data-quantity=seen]")


@tries(
    "12-loud",
    "Press “loud”: now all the dark blue dots are on the right, and some purple ones with them. "
    "The square of 1000 is more than float16 can hold.",
)
def test_loud_rows_show_half_precision(lab_page):
    page = lab_page
    page.click("[name=given][value=half]")
    assert max(piles(page, "half")) <= 1
    page.click("[name=given][value=loud]")
    assert min(piles(page, "half")) >= 4
    assert max(piles(page, "agrees")) <= 1
    assert torch.tensor(1000.0).half().square().isinf()


@tries(
    "12-yours",
    "Type “transformers” into the field: 47 of 271 layers are left, and every other dot fades.",
)
def test_the_field_finds_a_package(lab_page):
    page = lab_page
    page.locator("[name=query]").press_sequentially("transformers")
    assert page.text_content("[data-quantity=shown]").startswith("47 of 271 layers")
    counts = values(page, "count")
    assert counts[0] == 47 == sum(counts[1:])
    assert all("transformers" in name for name in packages(page))
    lit = page.locator("circle:not(.ln-away)").count()
    assert lit == sum(counts[1:7])


@tries(
    "12-link",
    "Open a row and press “Copy link”: whoever follows the link finds that row open.",
)
def test_a_link_opens_the_row(lab_page):
    page = lab_page
    page.click("[data-row='92'] label")
    page.get_by_role("button", name="Copy link").click()
    page.wait_for_function("document.querySelector('.ln-done').textContent === 'Link copied.'")
    open_lab(page, page.evaluate("navigator.clipboard.readText()"))
    assert page.locator(".ln-opened").is_visible()
    assert "keras-hub" in page.inner_text(".ln-source")
    assert values(page, "open") == [92]
