"""Chapter 12's "Try this" lines, performed."""

from browser import open_lab, values
from tries import tries


def packages(page):
    """Return what stands in the first column of the rows that are shown."""
    return page.locator("[data-row] th:visible").all_inner_texts()


@tries(
    "12-yours",
    "Type “transformers” into the field: 47 of 271 layers are left, and the number behind each "
    "verdict follows.",
)
def test_the_field_finds_a_package(lab_page):
    page = lab_page
    before = values(page, "count")
    page.locator("[name=query]").press_sequentially("transformers")
    assert page.text_content(".ln-shown").startswith("47 of 271 layers")
    after = values(page, "count")
    assert after[0] == 47 == sum(after[1:])
    assert all(now < was for now, was in zip(after, before, strict=True))
    assert all("transformers" in name for name in packages(page))


@tries(
    "12-bugs",
    "Press “bugs”: three rows are left. Open each, and it names the line that causes it.",
)
def test_each_bug_names_its_line(lab_page):
    page = lab_page
    page.get_by_role("button", name="bugs", exact=True).click()
    assert len(packages(page)) == 3
    for row in page.locator("[data-row]:visible").all():
        row.locator("label").click()
        assert page.inner_text(".ln-why").startswith("Read as a bug: ")
        assert "#L" in page.get_attribute(".ln-cause", "href")
        assert page.locator(".ln-cause").is_visible()


@tries(
    "12-effect",
    "Press “reset”, then the header “largest effect” twice: on top come three layers with an "
    "effect of “everything”. Where the mean is a thousand times the deviation, a variance in one "
    "pass can leave NaN.",
)
def test_the_largest_effect_comes_first(lab_page):
    page = lab_page
    page.get_by_role("button", name="bugs", exact=True).click()
    page.get_by_role("button", name="reset", exact=True).click()
    page.click("[data-sort=effect]")
    page.click("[data-sort=effect]")
    effects = page.locator("[data-row] td:last-child").all_inner_texts()
    assert [text.startswith("everything") for text in effects[:4]] == [True, True, True, False]
    assert all("a mean of 1000σ" in text for text in effects[:3])
    page.locator("[data-row]:visible label").first.click()
    assert "E[x" in page.inner_text(".ln-why")


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
