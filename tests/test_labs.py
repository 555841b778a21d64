"""What holds for every lab of the book, used in a real browser."""

import json
import math
import re

import ipywidgets
import numpy as np
import pytest
import torch
from browser import join_to_python, open_lab, run_copied, serve, type_in, values, write_page
from traitlets import TraitError

from layernorm_book import widgets

LABS = {name: getattr(widgets, name) for name in widgets.__all__}
READ = """() => [...document.querySelectorAll(".ln-lab [data-quantity]")].map(
    node => [node.dataset.quantity, node.dataset.index, node.dataset.value].join(" "))"""
# All that is drawn: the nodes, and what the controls show; without what is hidden or only said.
PAINTED = """() => {
    const copy = document.querySelector(".ln-lab").cloneNode(true);
    const copies = copy.querySelectorAll("input");
    document.querySelectorAll(".ln-lab input").forEach((input, k) => copies[k].replaceWith(
        [input.name, input.value, input.checked, input.min, input.max].join(" ")));
    copy.querySelectorAll("[hidden], .ln-story, .ln-foot, .ln-live").forEach(node => node.remove());
    return copy.innerHTML.replaceAll(` class=""`, "");
}"""
# Moves the controls of the page's labs, one after the other, `count` times, and lets go. To look
# for all that can be moved takes longer than to draw some labs: it looks at every tenth time.
PLAY = """count => {
    const usable = ":not(:disabled, [hidden] *)";
    let input, inputs;
    for (let k = 0; k < count; k++) {
        if (k % 10 === 0 || !inputs[(k * 7) % inputs.length].matches(usable)) {
            inputs = document.querySelectorAll(
                ".ln-lab :is([type=range], [type=radio], [type=checkbox])" + usable);
        }
        input = inputs[(k * 7) % inputs.length];
        const [min, max] = [Number(input.min), Number(input.max)];
        if (input.type === "range") input.value = min + ((k % 97) / 97) * (max - min);
        else input.checked = input.type === "radio" || !input.checked;
        input.dispatchEvent(new Event("input", { bubbles: true }));
    }
    input.dispatchEvent(new Event("change", { bubbles: true }));
}"""
OPEN = "document.querySelectorAll('.ln-more').forEach(part => { part.open = true; })"
CAUGHT = "void (navigator.clipboard.writeText = async text => { window.copied = text; })"
REFUSED = "void (navigator.clipboard.writeText = async () => { throw new Error(); })"

# Counts the window's listeners from now on.
COUNTED = """() => {
    window.listening = 0;
    for (const [name, one] of [["addEventListener", 1], ["removeEventListener", -1]]) {
        const plain = window[name];
        window[name] = (...args) => { window.listening += one; plain(...args); };
    }
}"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Bare pages with a lab each, and one with all: no Sphinx, no theme, the same host."""
    folder = tmp_path_factory.mktemp("labs")
    for name, lab in LABS.items():
        write_page(folder, name, lab())
    broken = widgets.LayerNormLab()
    broken._esm = "export default { render() { throw new Error('out of order'); } };"
    write_page(folder, "all", broken, ipywidgets.IntSlider(), *(lab() for lab in LABS.values()))
    site, stop = serve(folder)
    yield site
    stop()


@pytest.fixture(params=LABS)
def name(request):
    return request.param


@pytest.fixture
def lab(page, site, name):
    """A page with this lab, alive."""
    return open_lab(page, site.url(f"{name}.html"))


@pytest.mark.parametrize("scheme", ["localhost", "file"])
def test_a_link_carries_the_state_to_another_page(page, site, name, scheme):
    """What is drawn there is the same: it follows from the state, not from how it came about."""
    lab = open_lab(page, site.url(f"{name}.html", scheme))
    start = lab.evaluate(READ)
    lab.evaluate(PLAY, 60)
    before, painted = lab.evaluate(READ), lab.evaluate(PAINTED)
    assert before != start
    lab.evaluate(CAUGHT)
    lab.click("[data-do=link]")
    link = lab.evaluate("copied")
    open_lab(lab, link)
    assert lab.evaluate(READ) == before
    assert lab.evaluate(PAINTED) == painted
    # A link that cannot be used is as good as none, and one that comes later is followed.
    address, fragment = link.split("#")
    for useless in ("=nonsense", "=1e99", "=-1"):
        open_lab(lab, f"{address}#{re.sub('=[^&]*$', useless, fragment)}")
        assert lab.evaluate(READ) == start
    lab.evaluate("fragment => { location.hash = fragment; }", fragment)
    lab.wait_for_function(f"([before]) => ({READ})().join() === before.join()", arg=[before])


def test_a_link_means_a_lab_by_its_place_in_the_document(page, site):
    """The first on this page never mounts; the second is no lab at all."""
    place = 1 + list(LABS).index("BitLab")
    link = f"lab={place}&var_bits=-1&eps_bits=-1&var=1&eps=0.5&format=float32"
    page.goto(site.url(f"all.html#{link}"))
    page.wait_for_function(f"document.querySelectorAll('.ln-lab').length === {len(LABS)}")
    page.wait_for_selector(".ln-bits [data-value]", state="attached")
    assert values(page, "stored") == [1, 0.5]
    assert values(page, "eps").count(0.5) == 1
    page.evaluate(CAUGHT)
    page.click(".ln-bits [data-do=link]")
    assert f"#lab={place}&" in page.evaluate("copied")


def test_what_fails_says_so_in_its_place_and_leaves_the_rest_alone(page, site):
    page.goto(site.url("all.html"))
    page.wait_for_function(f"document.querySelectorAll('.ln-lab').length === {len(LABS)}")
    broken, kernel = page.locator("[role=alert]").all_text_contents()
    assert "out of order" in broken
    assert "needs a running kernel" in kernel
    assert page.locator(".ln-still").count() == 1  # the broken one's
    assert values(page, "mean")


def test_copied_python_runs_and_without_a_clipboard_lies_ready_to_be_copied(lab):
    lab.evaluate(PLAY, 60)
    text, names = run_copied(lab)
    assert text.startswith("import torch\n")
    assert "\n\n" in text
    assert len(names) > 2
    lab.evaluate(REFUSED)
    lab.click("[data-do=python]")
    assert lab.input_value(".ln-copied") == text
    assert lab.text_content(".ln-done") == "Copy this:"


def test_what_is_typed_is_taken_or_refused_with_the_reason(lab):
    lab.evaluate(OPEN)
    fields = "nodes => [...new Set(nodes.map(node => node.name))]"
    for name in lab.eval_on_selector_all(".ln-lab [name$=typed]", fields):
        field = f"[name={name}] >> nth=0"
        text, number = {"channel-typed": ("7", 7)}.get(name, ("0,25", 0.25))
        type_in(lab, field, text)
        assert number in values(lab, name[:-6])
        before = lab.evaluate(PAINTED)
        for text in ("", "one", "1e99", "-1e99"):
            type_in(lab, field, text)
            assert "takes a number from" in lab.text_content(".ln-done")
            assert lab.evaluate(PAINTED) == before
        some = {"eps-typed": "1e−3", "scale-typed": "5e−1", "channel-typed": "1e2"}
        type_in(lab, field, some.get(name, "−1e0"))
        assert lab.text_content(".ln-done") == ""


def test_nothing_is_wider_than_the_screen_nor_cut_off_in_large_type(lab):
    """320 px is also what a window of 640 px has at 200% zoom, and 640 px one of 1280 px."""
    wide = "document.documentElement.scrollWidth"
    for width in (320, 390, 640):
        lab.set_viewport_size({"width": width, "height": 800})
        for button in lab.locator("[data-do=preset]").all():
            button.click()
            assert lab.evaluate(wide) <= width + 8  # bare margins
    lab.add_style_tag(content=".ln-lab { font-size: 28px; --small: 24px; }")
    assert lab.evaluate(wide) <= 648
    hidden = """() => [...document.querySelectorAll(".ln-lab *")].filter(node =>
        node.scrollHeight > node.clientHeight + 2 && !node.closest(".ln-hidden, svg, .ln-list")
        && getComputedStyle(node).overflowY !== "visible").map(node => node.className)"""
    assert lab.evaluate(hidden) == []


def test_a_finger_drags_what_a_mouse_drags(phone, site, name):
    page, touch = open_lab(phone, site.url(f"{name}.html")), phone.touch
    page.evaluate(OPEN)
    for selector in (".ln-plot label >> nth=2", "[name=eps]", "label:has([type=radio])"):
        target = page.locator(selector).last
        if not target.count():
            continue
        target.scroll_into_view_if_needed()
        before, top = page.evaluate(PAINTED), page.evaluate("scrollY")
        if "radio" in selector:
            target.tap()
        else:
            upright, seen = "ln-plot" in selector, []
            box = (target.locator(".ln-handle") if upright else target).bounding_box()
            control = target.locator("input") if upright else target
            for k in range(9):
                across, down = (0.5, 0.5 - 0.06 * k) if upright else (0.2 + 0.07 * k, 0.5)
                point = (box["x"] + across * box["width"], box["y"] + down * box["height"])
                touch("touchMove" if k else "touchStart", point)
                seen.append(float(control.input_value()))
            touch("touchEnd")
            assert seen == sorted(seen)  # up and to the right it grows
            assert len(set(seen)) > 5
            if upright:  # beside the handle a swipe is the page's
                plot, handle = target.bounding_box(), target.locator(".ln-handle").bounding_box()
                above = handle["y"] - plot["y"] > plot["height"] / 2
                y = plot["y"] + 1 if above else plot["y"] + plot["height"] - 1
                for k in range(5):
                    point = (plot["x"] + plot["width"] / 2, y - 3 * k)
                    touch("touchMove" if k else "touchStart", point)
                touch("touchEnd")
                assert float(control.input_value()) == seen[-1]
                page.evaluate("top => scrollTo(0, top)", top)
        page.wait_for_function(f"before => ({PAINTED})() !== before", arg=before)
        assert page.evaluate("scrollY") == top


TALL_ON_A_PHONE = ("AxisPicker",)  # the cells and what they show are; the choices are above
# How high a lab is without what stands behind "More" and the buttons at its foot.
WORKING = """() => {
    const top = selector => document.querySelector(selector).getBoundingClientRect().top;
    return top(".ln-lab :is(.ln-more, .ln-foot)") - top(".ln-lab");
}"""


@pytest.mark.parametrize("name", LABS, indirect=True)
def test_what_the_hand_moves_and_what_answers_are_on_one_screen(lab, name):
    sizes = ((740, 620), (390, 800))[: 1 if name in TALL_ON_A_PHONE else 2]
    for width, most in sizes:
        lab.set_viewport_size({"width": width + 16 * (width > 400), "height": 800})
        assert lab.evaluate(WORKING) <= most
        for button in lab.locator("[data-do=preset]").all():
            button.click()
            assert lab.evaluate(WORKING) <= most
    assert lab.locator("[data-do=preset]").count() <= 4
    assert not lab.locator(".ln-more[open]").count()


@pytest.mark.parametrize("name", [n for n, lab in LABS.items() if "x" in lab.STATE], indirect=True)
def test_a_handle_stands_where_its_number_says_and_follows_the_pointer(lab):
    read = """range => {
        const plot = range.closest(".ln-plot").getBoundingClientRect();
        const handle = range.nextElementSibling.getBoundingClientRect();
        const readout = document.querySelector(
            `[data-quantity=${range.name}][data-index="${range.dataset.index}"]`);
        const share = (range.max - readout.dataset.value) / (range.max - range.min);
        return [handle.top + handle.height / 2, plot.top + share * plot.height,
            handle.left + handle.width / 2, Number(readout.dataset.value)];
    }"""
    for range_ in lab.locator(".ln-plot [type=range]").all():
        stands, belongs, across, before = range_.evaluate(read)
        assert stands == pytest.approx(belongs, abs=0.6)
        for way in (-9, 18):  # up it grows, and down it falls
            lab.mouse.move(across, stands)
            lab.mouse.down()
            lab.mouse.move(across, stands + way / 2)
            lab.mouse.move(across, stands + way)
            assert range_.evaluate("node => node === document.activeElement")
            stands, belongs, _, now = range_.evaluate(read)
            assert stands == pytest.approx(belongs, abs=0.6)
            assert (now - before) * way < 0
            before = now
            lab.mouse.up()
            stands, *_ = range_.evaluate(read)


def test_nothing_moves_by_itself_and_the_page_below_stays_where_it_is(lab):
    """Nor does anything where the reader asks for less motion; only the census's dots glide."""
    moving = """() => [...document.querySelectorAll(".ln-lab, .ln-lab *")].filter(node => {
        const style = getComputedStyle(node);
        return style.animationName !== "none" || style.transitionDuration !== "0s";
    }).length + document.getAnimations().length"""
    for width in (390, 900) if lab.locator("table").count() else ():
        lab.set_viewport_size({"width": width, "height": 800})
        height = "document.querySelector('.ln-lab').offsetHeight"
        before = lab.evaluate(height)
        for _ in range(8):
            lab.evaluate(PLAY, 5)
            assert lab.evaluate(height) == before
    glides = lab.locator("circle[data-pile]").count()
    assert bool(lab.evaluate(moving)) == bool(glides)
    lab.emulate_media(reduced_motion="reduce")
    assert lab.evaluate(moving) == 0


def test_light_and_dark_follow_the_themes_switch_and_paper_is_white(lab):
    ground = "getComputedStyle(document.querySelector('.ln-lab')).backgroundColor"
    light = lab.evaluate(ground)
    lab.evaluate("document.documentElement.dataset.theme = 'dark'")
    assert lab.evaluate(ground) != light
    lab.emulate_media(media="print")
    assert lab.evaluate(ground) == light
    assert not lab.locator("button:visible, .ln-plot input:visible").count()
    hidden = "document.querySelector('.ln-more > :last-child')?.checkVisibility() === false"
    assert not lab.evaluate(hidden)
    assert lab.locator(".ln-lab [data-quantity]:visible").count() > 3


def test_each_control_has_a_name_and_the_keyboard_reaches_it(lab):
    """A group of radio buttons is one stop, as everywhere."""
    lab.evaluate(OPEN)
    wanted = lab.evaluate("""() => {
        const named = input => input.closest("label")?.textContent.trim()
            || input.getAttribute("aria-label");
        const inputs = [...document.querySelectorAll(
            ".ln-lab :is(input, button, [tabindex='0'])")].filter(
            node => !node.disabled && node.offsetParent
                && (node.type !== "radio" || node.checked));
        inputs.forEach((input, k) => {
            input.stop = k;
            if (input.localName !== "input") return;
            if (!named(input) || !input.closest("label")) throw new Error(input.name);
        });
        return inputs.length;
    }""")
    reached = set()
    for _ in range(wanted + 2):
        lab.keyboard.press("Tab")
        stop, outline = lab.evaluate("""() => {
            const here = document.activeElement;
            const seen = here.closest(".ln-cells label, .ln-switch label")
                ?? (here.closest(".ln-plot") ? here.nextElementSibling : here);
            const style = getComputedStyle(seen);
            return [here.stop ?? null, style.outlineStyle];
        }""")
        assert stop is None or outline != "none"
        reached.add(stop)
    assert set(range(wanted)) <= reached
    for slider in lab.locator(".ln-lab [type=range]:visible").all():
        seen = []
        for key in ("End", "PageDown", "ArrowDown", "ArrowUp", "Home"):
            slider.press(key)
            seen.append(float(slider.input_value()))
        end, page_down, down, up, home = seen
        assert home < down < up == page_down < end


def test_a_screen_reader_is_told_once_the_controls_rest(lab):
    lab.wait_for_timeout(1000)
    assert lab.text_content(".ln-live") == ""
    lab.evaluate("""window.told = 0;
        new MutationObserver(() => window.told++)
            .observe(document.querySelector(".ln-live"), { childList: true });""")
    lab.evaluate(PLAY, 25)
    lab.wait_for_function("window.told > 0")
    lab.wait_for_timeout(900)
    assert lab.evaluate("window.told") == 1
    assert lab.evaluate("document.querySelectorAll('[aria-live], [role=status]').length") == 2


def test_thousands_of_events_leave_heap_and_nodes_where_they_were(lab, devtools):
    def settled():
        lab.evaluate(PLAY, 500)  # to the same state again
        lab.wait_for_timeout(900)  # longer than the wait before a screen reader is told
        devtools.send("HeapProfiler.collectGarbage")
        counts = devtools.send("Memory.getDOMCounters")
        heap = devtools.send("Runtime.getHeapUsage")["usedSize"]
        return counts["nodes"], counts["jsEventListeners"], heap

    nodes, listeners, heap = settled()
    lab.evaluate(PLAY, 10_000)
    nodes_after, listeners_after, heap_after = settled()
    assert nodes_after <= nodes + 5
    assert listeners_after <= listeners
    assert heap_after - heap < 300_000  # 30 bytes an event


def test_without_javascript_it_is_a_table(scriptless, site, name):
    scriptless.goto(site.url(f"{name}.html"))
    assert scriptless.locator("table.ln-still caption").count() == 1
    assert scriptless.locator("table.ln-still td").count() > 5


# --- with Python ----------------------------------------------------------------------------------


def test_python_and_the_page_follow_each_other_until_the_lab_is_taken_away(lab, name):
    python = LABS[name]()

    def state():
        return {key: getattr(python, key) for key in python.STATE}

    lab.evaluate(COUNTED)
    start, hand_over = state(), join_to_python(lab, python)
    painted = lab.evaluate(PAINTED)
    lab.evaluate(PLAY, 41)
    lab.evaluate("window.saved")
    assert python.revision == 41
    played, played_painted = state(), lab.evaluate(PAINTED)
    assert played != start
    lab.evaluate(CAUGHT)
    lab.click("[data-do=link]")
    with python.hold_sync():
        for key, value in start.items():
            setattr(python, key, value)
    hand_over()
    assert lab.evaluate(PAINTED) == painted != played_painted
    lab.evaluate("location.hash = new URL(copied).hash")
    lab.wait_for_function(f"before => ({PAINTED})() === before", arg=played_painted)
    lab.evaluate("window.saved")
    assert state() == played
    count = "[Object.keys(handlers).length, document.querySelector('main').childElementCount]"
    assert lab.evaluate(f"{count}.map(Boolean)") == [True, True]
    assert lab.evaluate("listening") > 0
    lab.evaluate("end()")
    assert lab.evaluate(count) == [0, 0]
    assert lab.evaluate("listening") == 0


@pytest.mark.parametrize("name", [n for n, lab in LABS.items() if lab().answer], indirect=True)
def test_no_answer_stands_beside_another_state_and_waiting_is_one_word(lab, name):
    python = LABS[name]()
    hand_over = join_to_python(lab, python)
    says, one_move = "document.querySelector('.ln-says').textContent", f"({PLAY})(1)"
    assert "waiting" not in lab.evaluate(says)
    earlier = python.answer
    assert lab.evaluate(f"{one_move}; {says}") == "PyTorch: waiting …"
    lab.evaluate("window.saved")
    assert "waiting" not in lab.evaluate(says)
    assert "PyTorch" in lab.evaluate(says)
    assert python.answer["revision"] == python.revision == 1
    text = lab.evaluate(f"window.save = () => new Promise(() => {{}}); {one_move}; {says}")
    assert text == "PyTorch: waiting …"
    lab.evaluate("answer => fromPython({ answer })", earlier)  # it comes late, for another state
    assert lab.evaluate(says) == "PyTorch: waiting …"
    # What Python changes by itself leaves with its answer, in one message.
    changes = {"AxisPicker": ("statistics", "none"), "DepthLab": ("scale", 0.25)}
    changes |= {"RoundingLab": ("sigma", 0.25), "BugLab": ("count", "n-1")}
    key, value = changes.get(name, ("eps", 0.25))
    setattr(python, key, value)
    (message,) = hand_over()
    assert set(message) == {key, "answer"}


@pytest.mark.parametrize("row", [np.arange(4096.0), torch.arange(4096), range(4096)])
def test_any_row_is_taken_and_an_answer_carries_none_of_the_state(row):
    lab = widgets.LayerNormLab(x=row)
    assert lab.x[:3] == (0.0, 1.0, 2.0)
    assert len(json.dumps(lab.answer)) < 20 * 4096


BAD = {
    "LayerNormLab": {
        "x": [[], [1.0, math.nan], [1e12], [[1.0, 2.0]], "1, 2", [True, False], [0.0] * 4097],
        "weight": [[1.0]],
        "rows": [2],
        "bias": [[1.0] * 6],
        "eps": [0.0, 11, math.nan, "small", True, None],
        "placement": ["beside"],
        "stage": ["all"],
        "y": [[1.0]],
    },
    "GradientLab": {
        "x": [[1.0] * 21, "row"],
        "grad_y": [[1.0]],
        "weight": [[1.0] * 3],
        "eps": [0.0],
        "mu": ["gone", None],
        "sigma": ["absent"],
    },
    "BitLab": {
        "eps": [math.nan, math.inf, 1e60, "1e-5", True, None],
        "var": [-1e60, math.nan],
        "format": ["float8"],
        "var_bits": [2**32, -2],
    },
    "RoundingLab": {
        "mean": [0.5, 1e7, math.nan, "1"],
        "sigma": [0, 101],
        "format": ["float64"],
        "way": ["three"],
    },
    "CensusTable": {
        "query": ["x" * 61, "a&b", "#", 1, None],
        "group": ["wrong", ""],
        "given": ["usual rows", None],
        "chosen": [-2, 271, "1", 0.5],
        "sort": ["line", "--class"],
    },
    "AxisPicker": {
        "shared": ["T", "HC", 3],
        "groups": [3],
        "layout": ["video"],
        "cell": [48, -1],
        "answers": [{}],
    },
}
SAYS = r"takes |read-only|trait of|any of|unicode"


def test_a_bad_value_is_refused_with_the_reason_and_changes_nothing(name):
    python = LABS[name]()
    before = python.get_state()
    for trait, bad_values in BAD.get(name, {}).items():
        for value in bad_values:
            with pytest.raises(TraitError, match=SAYS) as refusal:
                setattr(python, trait, value)
            assert trait in str(refusal.value)
            assert python.get_state() == before


@pytest.mark.parametrize(
    ("lab", "cells"),
    [
        (widgets.LayerNormLab(x=[1.0, 2.0, 3.0, 6.0], eps=0.5), ["variance σ² = 3.5", ">-0.5<"]),
        (widgets.BitLab(eps=1e-5), ["<td>0010101000</td><td>1.00136e-05</td>"]),
        (widgets.RoundingLab(), [">centred twice<", ">PyTorch&#x27;s kernel<"]),
        (
            widgets.CensusTable(),
            [">CumLN</a>", "<td>differs: fixed or no ε</td>", "<td>under 0.001%</td>"],
        ),
        (widgets.AxisPicker(), [">LayerNorm<", "nn.GroupNorm(2, 4)(x)"]),
        (widgets.AxisPicker("tokens"), ["nn.LayerNorm(4)(x)"]),
        (widgets.GradientLab(), [">grad_x<", "0.5, 0.5, 1.25e-06, 0."]),
    ],
)
def test_the_html_form_stands_beside_the_view_and_holds_the_numbers(lab, cells):
    (data, *_) = lab._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in data
    assert all(cell in data["text/html"] for cell in cells)
