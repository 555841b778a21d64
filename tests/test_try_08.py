"""Chapter 8's "Try this" lines, performed."""

from browser import values
from tries import tries

LAB = ".ln-channel"


def press(page, name):
    page.locator(LAB).get_by_role("button", name=name, exact=True).click()


def silence_in(page, words):
    page.locator(f"{LAB} .ln-choices label", has_text=words).click()


def depth(page, channel):
    """Return how far the bar of a channel's worst sentence hangs down, in pixels."""
    picture = page.locator(f"{LAB} .ln-cost")
    d = picture.locator(".ln-worst").get_attribute("d")
    depths = [float(part.split("V")[1].split("h")[0]) for part in d.split("M")[1:]]
    return depths[channel] * picture.bounding_box()["height"] / 100


@tries(
    "08-drag",
    "Drag across the bars: away from channels 99, 157 and 223, the worst sentence never falls "
    "below 0.9.",
)
def test_only_three_channels_push_a_sentence_below(lab_page):
    page = lab_page
    picture = page.locator(f"{LAB} .ln-cost")
    picture.scroll_into_view_if_needed()
    box = picture.bounding_box()
    found, y = {}, box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 1, y)
    page.mouse.down()
    for channel in range(384):
        page.mouse.move(box["x"] + box["width"] * (channel + 0.5) / 384, y)
        (now,) = values(page, "channel", LAB)
        (found[int(now)],) = values(page, "worst", LAB)
    page.mouse.up()
    assert len(found) == 384
    assert [channel for channel, worst in sorted(found.items()) if worst < 0.9] == [99, 157, 223]


@tries(
    "08-suspect",
    "Press “127”: its γ is an outlier in 3 layers, and the worst cosine stays above 0.99.",
)
def test_a_suspect_of_gammas_is_innocent(lab_page):
    page = lab_page
    press(page, "127")
    assert "Its γ is an outlier in 3 layers of 13." in page.text_content(f"{LAB} .ln-story")
    assert values(page, "worst", LAB)[0] > 0.99


@tries(
    "08-no-hint",
    "Press “63”: its γ is an outlier in no layer, and only four channels cost more.",
)
def test_one_that_gamma_does_not_name_costs_much(lab_page):
    page = lab_page
    press(page, "63")
    says = page.text_content(f"{LAB} .ln-story")
    assert "4 of the others cost more. Its γ is an outlier in no layer." in says


@tries(
    "08-cls",
    "Press “99”, then “[CLS] alone”: nearly every bar vanishes, and that of 99 stays.",
)
def test_in_cls_alone_one_bar_stays(lab_page):
    page = lab_page
    press(page, "99")
    before = [depth(page, c) for c in range(384)]
    silence_in(page, "[CLS] alone")
    after = [depth(page, c) for c in range(384)]
    assert after[99] > 0.95 * before[99] > 80
    seen = [c for c in range(384) if after[c] >= 1]  # a pixel
    assert len(seen) < 5
    assert sum(b >= 1 for b in before) > 200


@tries(
    "08-others",
    "Now “all but [CLS]”: the bar of 99 shrinks to less than a tenth, and 223 has the longest.",
)
def test_in_all_other_tokens_it_is_nearly_ordinary(lab_page):
    page = lab_page
    press(page, "99")
    before = depth(page, 99)
    silence_in(page, "all but [CLS]")
    after = [depth(page, c) for c in range(384)]
    assert after[99] < before / 10
    assert max(range(384), key=after.__getitem__) == 223
