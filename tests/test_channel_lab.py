"""The channel lab: its numbers are the measured ones, and its sentences say what happened."""

import numpy as np
import pytest
from browser import values
from traitlets import TraitError

from layernorm_book.chapters.trained import load_layer_norms, load_measured
from layernorm_book.widgets import ChannelLab
from layernorm_book.widgets.channel import ROWS, in_units

MEASURED = load_measured("silenced_channels")


def test_the_readouts_are_what_was_measured(show):
    lab = ChannelLab(channel=99)
    page = show(lab)
    page.click(".ln-more summary")
    weight, bias = load_layer_norms()
    own = {"weight": weight, "bias": bias, "share": np.array(MEASURED["share"])}
    drawn = np.random.default_rng(0).choice(384, 12, replace=False).tolist()
    for channel in (0, 99, 127, 223, 319, 383, *drawn):
        page.eval_on_selector(
            "[name=channel]",
            """(range, value) => {
                range.value = value;
                range.dispatchEvent(new Event("input", { bubbles: true }));
            }""",
            channel,
        )
        for rows, cosine in MEASURED["cosine"].items():
            page.check(f"[name=rows][value={rows}]", force=True)
            assert values(page, "worst") == [cosine["worst"][channel]]
            assert values(page, "median") == [cosine["median"][channel]]
        for view, numbers in own.items():
            page.check(f"[name=view][value={view}]", force=True)
            step = {"share": 1.01e-4}.get(view, 1.01e-3)
            assert values(page, "own") == pytest.approx(numbers[:, channel].tolist(), abs=step)
            shown = page.locator("[data-quantity=own]").all_text_contents()
            for text, number in zip(shown, numbers[:, channel].tolist(), strict=True):
                if view != "share" and abs(number) < 5e-4:
                    continue
                told = float(text.replace("−", "-").rstrip("%"))
                exact = 100 * number if view == "share" else number
                half = 0.05 if view == "share" else 0.005
                assert abs(told - exact) <= half + 1e-9  # 0.5449 is not 0.55
    page.fill("[name=channel-typed]", "127")
    page.press("[name=channel-typed]", "Enter")
    page.check("[name=view][value=weight]", force=True)
    last = page.locator("[data-quantity=own]").last
    assert last.text_content() == "−6e−33"  # what thousandths cannot hold is told all the same
    assert float(last.get_attribute("data-value")) == -6.0e-33


def test_no_number_that_travels_is_rounded_to_one_side_of_a_half():
    named = zip((1e-3, 1e-3, 1e-4), (*load_layer_norms(), MEASURED["share"]), strict=True)
    for unit, numbers in named:
        exact = np.asarray(numbers, dtype=float) / unit
        units = in_units(numbers, unit)
        assert not (np.abs(units) % 10 == 5).any()
        assert (np.abs(np.rint(units / 10) - exact / 10) <= 0.5 + 1e-9).all()


def test_python_says_the_same(show):
    lab = ChannelLab(channel=99)
    for rows in ROWS:
        lab.rows = rows
        assert lab.worst == MEASURED["cosine"][rows]["worst"][99]
        assert lab.median == MEASURED["cosine"][rows]["median"][99]
    assert "every token but [CLS]" in lab.to_html()
    for name, wrong in (("channel", 384), ("channel", -1), ("rows", "none"), ("view", "x")):
        with pytest.raises(TraitError):
            setattr(lab, name, wrong)


def middle_of(page, picture, channel):
    box = page.locator(picture).bounding_box()
    return box["x"] + box["width"] * (channel + 0.5) / 384, box["y"] + box["height"] / 2


@pytest.mark.parametrize("picture", [".ln-map", ".ln-cost"])
def test_a_pointer_picks_the_channel_that_is_under_it(show, picture):
    page = show(ChannelLab())
    page.mouse.move(*middle_of(page, picture, 99))
    assert values(page, "channel") == [0]  # moving over it changes nothing
    page.mouse.down()
    assert values(page, "channel") == [99]
    page.mouse.move(*middle_of(page, picture, 223))
    assert values(page, "channel") == [223]
    page.mouse.move(5, 5)
    assert values(page, "channel") == [0]
    page.mouse.move(*middle_of(page, picture, 380))
    page.mouse.up()
    page.mouse.move(*middle_of(page, picture, 7))
    assert values(page, "channel") == [380]
    # The keyboard goes on from there.
    page.keyboard.press("ArrowRight")
    assert values(page, "channel") == [381]
    page.click("[data-do=less]")
    assert values(page, "channel") == [380]
    for _ in range(5):
        page.click("[data-do=greater]")
    assert values(page, "channel") == [383]


def test_a_finger_picks_a_channel_and_may_still_scroll(devtools, show):
    page = show(ChannelLab())
    devtools.send("Emulation.setTouchEmulationEnabled", {"enabled": True})
    y = middle_of(page, ".ln-map", 0)[1]
    for kind, channel in (("touchStart", 100), ("touchMove", 150), ("touchMove", 200)):
        point = {"x": middle_of(page, ".ln-map", channel)[0], "y": y}
        devtools.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [point]})
    devtools.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    assert values(page, "channel") == [200]
    assert page.eval_on_selector(".ln-map", "node => getComputedStyle(node).touchAction") == "pan-y"


def test_a_bar_hangs_as_deep_as_its_channel_costs_and_the_slider_stands_under_it(show):
    page = show(ChannelLab())
    page.click(".ln-more summary")
    for rows in ROWS:
        page.check(f"[name=rows][value={rows}]", force=True)
        for kind in ("worst", "median"):
            d = page.locator(f".ln-{kind}").get_attribute("d")
            depth = [float(part.split("V")[1].split("h")[0]) for part in d.split("M")[1:]]
            cosine = np.clip(MEASURED["cosine"][rows][kind], 0, 1)
            assert depth == pytest.approx((100 * (1 - cosine)).tolist(), abs=0.051)
            assert page.text_content(".ln-ends") == "10.50"
            page.check("[name=zoom]")
            d = page.locator(f".ln-{kind}").get_attribute("d")
            depth = [float(part.split("V")[1].split("h")[0]) for part in d.split("M")[1:]]
            zoomed = np.clip(1000 * (1 - cosine), 0, 100)
            assert depth == pytest.approx(zoomed.tolist(), abs=0.051)
            assert page.text_content(".ln-ends") == "10.950.9"
            page.uncheck("[name=zoom]")
    for channel in (0, 99, 250, 383):
        page.locator("[name=channel]").fill(str(channel))
        box = page.locator("[name=channel]").bounding_box()
        thumb = box["x"] + 8 + (box["width"] - 16) * channel / 383
        assert thumb == pytest.approx(middle_of(page, ".ln-map", channel)[0], abs=1)


@pytest.mark.parametrize("view", ["weight", "bias"])
def test_the_map_covers_what_is_so_strong_in_a_colour_for_each_sign(show, view):
    page = show(ChannelLab(view=view))
    weight, bias = (in_units(values, 1e-3) / 1e3 for values in load_layer_norms())
    distance = (weight - weight.mean(-1, keepdims=True)) / weight.std(-1, keepdims=True)
    whole = {"weight": distance / 6, "bias": bias / 1.2}[view]
    colours = set()
    for side, sign in (("up", 1), ("down", -1)):
        strong = sign * np.sign(whole) * np.minimum(1, whole**2) * 8
        paths = page.locator(f".ln-map > g:not([hidden]) .ln-{side} path").all()
        assert len(paths) == 8
        for level, path in enumerate(paths):
            covered = np.zeros((13, 384), dtype=bool)
            for part in filter(None, path.get_attribute("d").split("M")):
                start, end = part.split("v")[0].split("H")
                left, layer = map(int, start.split())
                wide = 1 if level >= 2 else 0
                assert int(end) - left > 2 * wide
                covered[layer, left + wide : int(end) - wide] = True
            unclear = np.abs(strong - level - 0.5) < 1e-3
            assert np.array_equal(covered | unclear, (strong > level + 0.5) | unclear)
        colours.add(paths[0].evaluate("path => getComputedStyle(path).fill"))
        key = page.locator(f".ln-shows > :not([hidden]) .ln-{side}")
        colours.add(key.evaluate("mark => getComputedStyle(mark).backgroundColor"))
    assert len(colours) == 2  # and the legend has the same two


def test_the_other_bars_wait_until_they_are_asked_for(show):
    page = show(ChannelLab(channel=157))
    own = page.locator(".ln-mine path").first
    assert own.is_visible()
    assert not page.locator(".ln-every path").first.is_visible()
    assert page.locator(".ln-veil").is_visible()
    shapes = page.locator(".ln-worst").get_attribute("d").split("M")[1:]
    assert own.get_attribute("d") == "M" + shapes[157]
    page.check("[name=every]")
    assert page.locator(".ln-every path").first.is_visible()
    assert not own.is_visible()
    assert not page.locator(".ln-veil").is_visible()
    page.uncheck("[name=every]")
    page.emulate_media(media="print")  # nobody ticks a box on paper
    assert page.locator(".ln-every path").first.is_visible()
    page.emulate_media(media="screen")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({}, "Channel 99, silenced in every token: the worst of 24 sentences keeps a cosine of "),
        (
            {"worst": 0.1522, "median": 0.6059},
            "0.1522 to its embedding, and the median is 0.6059",
        ),
        ({"rows": "cls"}, "Channel 99, silenced in [CLS] alone: the worst"),
        ({"rows": "others"}, "Channel 99, silenced in every token but [CLS]: the worst"),
        ({"worst": 0.9999}, "keeps a cosine of 0.9999 to its embedding"),
        ({"worst": 0.9951}, "keeps a cosine of 0.9951 to its embedding"),
        ({"worst": 0.98, "median": 0.9974}, "0.9800 to its embedding, and the median is 0.9974."),
        ({"worst": 1.0, "median": 1.0}, ": no sentence moves in the first four decimals of its c"),
        ({"above": 0}, "Of all 384 it costs the most. "),
        ({"above": 1}, "Of all 384 it costs the second most. "),
        ({"above": 2}, "Of all 384 it costs the third most. "),
        ({"above": 3}, "3 of the others cost more. "),
        ({"hints": 0}, "strays more than 5 standard deviations in no layer."),
        ({"hints": 1}, "strays more than 5 standard deviations in 1 layer of 13."),
        ({"hints": 5}, "strays more than 5 standard deviations in 5 layers of 13."),
    ],
)
def test_the_sentence_says_what_silencing_a_channel_costs(run_module, change, says):
    state = {"channel": 99, "rows": "all", "worst": 0.5, "median": 0.9, "above": 7, "hints": 0}
    assert says in run_module("channels.js", "m.channelSays(given[0])", state | change)


def test_the_sentence_counts_as_numpy_does(show):
    page = show(ChannelLab())
    weight, _ = load_layer_norms()
    distance = np.abs(weight - weight.mean(-1, keepdims=True)) / weight.std(-1, keepdims=True)
    outliers, worst = (distance > 5).sum(0), np.array(MEASURED["cosine"]["all"]["worst"])
    for channel in (99, 127, 157, 63, 303, 5):
        page.locator("[name=channel]").fill(str(channel))
        says = page.text_content(".ln-story")
        above = (worst < worst[channel]).sum()
        assert above < 3 or f"{above} of the others cost more" in says
        assert (f"in {outliers[channel]} layer" if outliers[channel] else "in no layer") in says
