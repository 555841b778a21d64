"""Chapter 8's "Try this" lines, performed."""

from browser import values
from tries import tries

LAB = ".ln-channel"


def take(page, channel):
    page.fill(f"{LAB} [name=channel-typed]", str(channel))
    page.press(f"{LAB} [name=channel-typed]", "Enter")
    assert values(page, "channel", LAB) == [channel]


def silence_in(page, words):
    page.locator(f"{LAB} .ln-choices label", has_text=words).click()


def depths(page):
    """Return how far the bar of each channel's worst sentence hangs down, in pixels."""
    picture = page.locator(f"{LAB} .ln-cost")
    d = picture.locator(".ln-worst").get_attribute("d")
    scale = picture.bounding_box()["height"] / 100
    return [float(part.split("V")[1].split("h")[0]) * scale for part in d.split("M")[1:]]


def tick(page, words):
    page.locator(f"{LAB} .ln-ticks label", has_text=words).click()


def bars(page):
    """Return how many bars can be seen."""
    drawn = page.locator(f"{LAB} .ln-cost path").all()
    seen = [path for path in drawn if path.is_visible() and "Z" in path.get_attribute("d").upper()]
    kinds = [path.get_attribute("d").count("M") for path in seen]
    frame = kinds.pop()
    assert (frame, len(kinds)) == (1, 2)  # the worst sentence's and the median's
    assert kinds[0] == kinds[1]
    return kinds[0]


@tries(
    "08-hunt",
    "Drag to the five longest bars, one by one, or step to them with ‹ and ›: the sentence says "
    "what each channel costs.",
)
def test_five_long_bars_tell_their_cost(lab_page):
    page = lab_page
    assert bars(page) == 384
    picture = page.locator(f"{LAB} .ln-cost")
    picture.scroll_into_view_if_needed()
    box = picture.bounding_box()
    deep = depths(page)
    five = [c for c in range(384) if deep[c] > 0.9 * box["height"]]
    assert five == [63, 99, 157, 223, 267]
    assert sorted(deep)[-6] < 0.7 * box["height"]
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 1, y)
    page.mouse.down()
    ranks = ["most.", "second most.", "third most.", "3 of the others", "4 of the others"]
    for channel, rank in zip((99, 223, 157, 267, 63), ranks, strict=True):
        page.mouse.move(box["x"] + box["width"] * (channel + 0.5) / 384, y)
        assert values(page, "channel", LAB) == [channel]
        says = page.text_content(f"{LAB} .ln-story")
        (worst,) = values(page, "worst", LAB)
        assert f"keeps a cosine of {worst:.4f}" in says
        assert rank in says
    page.mouse.up()
    for _ in range(98 - 63):
        page.click(f"{LAB} [data-do=greater]")
    assert values(page, "channel", LAB) == [98]  # the last drag ended on 63
    page.click(f"{LAB} [data-do=greater]")
    assert "it costs the most." in page.text_content(f"{LAB} .ln-story")


@tries(
    "08-all",
    "Then untick “zoom in”, and count the bars that reach the lower half.",
)
def test_among_all_bars_one_is_far_longer(lab_page):
    page = lab_page
    tick(page, "zoom in")
    assert bars(page) == 384
    height, hang = page.locator(f"{LAB} .ln-cost").bounding_box()["height"], depths(page)
    assert [c for c, depth in enumerate(hang) if depth > height / 2] == [99]
    assert max(hang[c] for c in (63, 157, 223, 267)) < height / 6


@tries(
    "08-cls",
    "Type 99 between the arrows, then press “[CLS] alone”, and see which bars stay.",
)
def test_in_cls_alone_one_bar_stays(lab_page):
    page = lab_page
    tick(page, "zoom in")
    take(page, 99)
    before = depths(page)
    silence_in(page, "[CLS] alone")
    after = depths(page)
    assert after[99] > 0.95 * before[99] > 80
    seen = [c for c in range(384) if after[c] >= 1]  # a pixel
    assert len(seen) < 5
    assert sum(b >= 1 for b in before) > 200


@tries(
    "08-others",
    "Now press “all but [CLS]”, and look for the longest bar and for that of 99.",
)
def test_in_all_other_tokens_it_is_nearly_ordinary(lab_page):
    page = lab_page
    tick(page, "zoom in")
    take(page, 99)
    before = depths(page)[99]
    silence_in(page, "all but [CLS]")
    after = depths(page)
    assert after[99] < before / 10
    assert max(range(384), key=after.__getitem__) == 223
