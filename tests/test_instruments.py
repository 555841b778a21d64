"""What holds for every widget of the book, under a hand in a real browser."""

import contextlib
import gzip
import io
import re

import pytest
import torch
from browser import join_to_python, serve, values, write_page

from layernorm_book.widgets import AxisPicker, BitLab, GradientLab, LayerNormLab

MAKE = {
    "lab": lambda: LayerNormLab(),
    "gradient": lambda: GradientLab(),
    "bits": lambda: BitLab(),
    "picker": lambda: AxisPicker(),
}
READY = ".ln-lab [data-value]"
READ = """() => [...document.querySelectorAll(".ln-lab [data-quantity]")].map(
    node => [node.dataset.quantity, node.dataset.index, node.dataset.value].join(" "))"""
# Moves the controls of the page's widgets, one after the other: `count` events in all.
PLAY = """count => {
    for (let k = 0; k < count; k++) {
        const inputs = document.querySelectorAll(
            ".ln-lab :is([type=range], [type=radio], [type=checkbox]):not(:disabled)");
        const input = inputs[(k * 7) % inputs.length];
        const [min, max] = [Number(input.min), Number(input.max)];
        if (input.type === "range") input.value = min + ((k % 97) / 97) * (max - min);
        else input.checked = input.type === "radio" || !input.checked;
        input.dispatchEvent(new Event("input", { bubbles: true }));
    }
}"""
CAUGHT = "void (navigator.clipboard.writeText = async text => { window.copied = text; })"
REFUSED = "void (navigator.clipboard.writeText = async () => { throw new Error(); })"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Bare pages with a widget each, and one with all: no Sphinx, no theme, the same host."""
    folder = tmp_path_factory.mktemp("instruments")
    for name, make in MAKE.items():
        write_page(folder, name, make())
    write_page(folder, "all", *(make() for make in MAKE.values()))
    site, stop = serve(folder)
    yield site
    stop()


@pytest.fixture(params=MAKE)
def name(request):
    return request.param


@pytest.fixture
def lab(page, site, name):
    """A page with this widget, alive."""
    page.goto(site.url(f"{name}.html"))
    page.wait_for_selector(READY, state="attached")
    return page


def test_a_link_carries_the_state_to_another_page(lab):
    start = lab.evaluate(READ)
    lab.evaluate(PLAY, 60)
    before = lab.evaluate(READ)
    assert before != start
    lab.evaluate(CAUGHT)
    lab.click("[data-do=link]")
    link = lab.evaluate("copied")
    lab.goto("about:blank")
    lab.goto(link)
    lab.wait_for_selector(READY, state="attached")
    assert lab.evaluate(READ) == before
    # A link that cannot be used is as good as none, and one that comes later is followed.
    address, fragment = link.split("#")
    lab.goto("about:blank")
    lab.goto(f"{address}#{re.sub('=[^&]*$', '=nonsense', fragment)}")
    lab.wait_for_selector(READY, state="attached")
    assert lab.evaluate(READ) == start
    lab.evaluate("fragment => { location.hash = fragment; }", fragment)
    lab.wait_for_function(f"([before]) => ({READ})().join() === before.join()", arg=[before])


def test_a_link_means_one_widget_of_the_page(page, site):
    page.goto(site.url("all.html#lab=2&eps=0.5"))
    page.wait_for_function("document.querySelectorAll('.ln-lab').length === 4")
    page.wait_for_selector(".ln-bits [data-value]", state="attached")
    assert values(page, "stored") == [0.5, 0.5, 0.5]
    assert values(page, "eps")[0] == torch.tensor(1e-5).item()


def run_copied(page):
    """Run the lines that "Copy as Python" gives; return the names that they define."""
    page.evaluate(CAUGHT)
    page.click("[data-do=python]")
    names = {}
    with contextlib.redirect_stdout(io.StringIO()):
        exec(page.evaluate("copied"), names)
    return names


def test_copied_python_reproduces_the_state(lab, name):
    lab.evaluate(PLAY, 60)
    if name == "lab":
        for placement in ("inside", "outside"):
            lab.check(f"[value={placement}]")
            assert run_copied(lab)["y"].tolist() == pytest.approx(values(lab, "y"), abs=1e-5)
    elif name == "gradient":
        grad_x = run_copied(lab)["x"].grad
        assert grad_x.tolist() == pytest.approx(values(lab, "grad_x"), abs=1e-4)
    elif name == "bits":
        assert [v.item() for v in run_copied(lab)["stored"]] == values(lab, "stored")
    else:
        groups = lab.eval_on_selector_all(
            ".ln-cells label", "cells => cells.map(cell => Number(cell.dataset.group))"
        )
        y, groups = run_copied(lab)["y"].detach().flatten(), torch.tensor(groups)
        for group in groups.unique():
            assert y[groups == group].mean() == pytest.approx(0, abs=1e-5)


def test_without_a_clipboard_the_text_lies_ready_to_be_copied(lab):
    lab.evaluate(REFUSED)
    lab.click("[data-do=python]")
    assert lab.input_value(".ln-copied").startswith("import torch")
    assert lab.text_content(".ln-done") == "Copy this:"


@pytest.mark.parametrize("width", [320, 390, 640])
def test_nothing_is_wider_than_the_screen(page, site, name, width):
    """320 px is also what a window of 640 px has at 200% zoom, and 640 px one of 1280 px."""
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(site.url(f"{name}.html"))
    page.wait_for_selector(READY, state="attached")
    for button in page.locator("[data-do=preset]").all():
        button.click()
        assert page.evaluate("document.documentElement.scrollWidth") <= width + 8  # bare margins


def test_text_of_twice_the_size_is_not_cut_off(page, site, name):
    page.set_viewport_size({"width": 640, "height": 800})
    page.goto(site.url(f"{name}.html"))
    page.wait_for_selector(READY, state="attached")
    page.add_style_tag(content=".ln-lab { font-size: 28px; --small: 24px; }")
    assert page.evaluate("document.documentElement.scrollWidth") <= 648
    hidden = """() => [...document.querySelectorAll(".ln-lab *")].filter(node =>
        node.scrollHeight > node.clientHeight + 2 && !node.closest(".ln-hidden, svg")
        && getComputedStyle(node).overflowY !== "visible").map(node => node.className)"""
    assert page.evaluate(hidden) == []


@pytest.mark.parametrize("name", ["lab", "gradient"], indirect=True)
def test_the_page_below_stays_where_it_is_while_a_hand_moves(lab):
    height = "document.querySelector('.ln-lab').offsetHeight"
    for width in (390, 900):
        lab.set_viewport_size({"width": width, "height": 800})
        before = lab.evaluate(height)
        for _ in range(12):
            lab.evaluate(PLAY, 5)
            assert lab.evaluate(height) == before


def test_a_finger_drags_what_a_mouse_drags(chromium, site, name):
    context = chromium.new_context(
        viewport={"width": 390, "height": 800}, has_touch=True, is_mobile=True
    )
    page = context.new_page()
    page.goto(site.url(f"{name}.html"))
    page.wait_for_selector(READY, state="attached")
    devtools = context.new_cdp_session(page)
    targets = {
        "lab": ("[name=x] >> nth=2", "[name=eps]"),
        "gradient": ("[name=grad_y] >> nth=4", "[name=eps]"),
        "bits": ("[name=eps]",),
        "picker": (".ln-cells label >> nth=40",),
    }
    for selector in targets[name]:
        target = page.locator(selector)
        target.scroll_into_view_if_needed()
        before, top = page.evaluate(READ), page.evaluate("scrollY")
        box = target.bounding_box()
        upright = box["height"] > box["width"]
        if name == "picker":
            target.tap()
            assert page.evaluate("document.querySelectorAll('.ln-on').length") == 24
            assert page.is_checked("[name=cell][value='40']")
            continue
        for k in range(9):
            across, down = (0.5, 0.9 - 0.08 * k) if upright else (0.2 + 0.07 * k, 0.5)
            x, y = box["x"] + across * box["width"], box["y"] + down * box["height"]
            kind = "touchMove" if k else "touchStart"
            devtools.send(
                "Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y}]}
            )
        devtools.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        page.wait_for_function(f"before => ({READ})().join() !== before.join()", arg=before)
        assert page.evaluate("scrollY") == top
    context.close()


def test_nothing_moves_by_itself(lab):
    """So there is nothing for prefers-reduced-motion to still."""
    lab.evaluate(PLAY, 20)
    assert lab.evaluate("document.getAnimations().length") == 0
    moving = """() => [...document.querySelectorAll(".ln-lab, .ln-lab *")].filter(node => {
        const style = getComputedStyle(node);
        return style.animationName !== "none" || style.transitionDuration !== "0s";
    }).length"""
    assert lab.evaluate(moving) == 0


def test_light_and_dark_follow_the_themes_switch_and_paper_is_white(lab):
    ground = "getComputedStyle(document.querySelector('.ln-lab')).backgroundColor"
    light = lab.evaluate(ground)
    lab.evaluate("document.documentElement.dataset.theme = 'dark'")
    assert lab.evaluate(ground) != light
    lab.emulate_media(media="print")
    assert lab.evaluate(ground) == light
    assert not lab.locator("button:visible, .ln-plot input:visible").count()
    assert lab.locator(".ln-lab [data-quantity]:visible").count() > 3


def test_each_control_has_a_name_and_the_keyboard_reaches_it(lab):
    """A group of radio buttons is one stop, as everywhere."""
    wanted = lab.evaluate("""() => {
        const named = input => input.closest("label")?.textContent.trim()
            || input.getAttribute("aria-label");
        const inputs = [...document.querySelectorAll(".ln-lab :is(input, button)")].filter(
            node => !node.disabled && node.offsetParent
                && (node.type !== "radio" || node.checked));
        inputs.forEach((input, k) => {
            input.stop = k;
            if (input.localName === "input" && !named(input)) throw new Error(input.name);
        });
        return inputs.length;
    }""")
    reached = set()
    for _ in range(wanted + 2):
        lab.keyboard.press("Tab")
        stop, outline = lab.evaluate("""() => {
            const here = document.activeElement;
            const style = getComputedStyle(here.closest(".ln-cells label") ?? here);
            return [here.stop ?? null, style.outlineStyle];
        }""")
        assert stop is None or outline != "none"
        reached.add(stop)
    assert set(range(wanted)) <= reached


def test_a_screen_reader_is_told_once_the_hand_rests(lab):
    lab.wait_for_timeout(1000)
    assert lab.text_content(".ln-live") == ""
    lab.evaluate("""window.told = 0;
        new MutationObserver(() => window.told++)
            .observe(document.querySelector(".ln-live"), { childList: true });""")
    lab.evaluate(PLAY, 25)
    lab.wait_for_function("window.told > 0")
    lab.wait_for_timeout(1000)
    assert lab.evaluate("window.told") == 1
    assert lab.evaluate("document.querySelectorAll('[aria-live], [role=status]').length") == 2


def test_ten_thousand_events_leave_heap_and_nodes_where_they_were(lab):
    devtools = lab.context.new_cdp_session(lab)

    def settled():
        lab.wait_for_timeout(1000)  # longer than the wait before a screen reader is told
        devtools.send("HeapProfiler.collectGarbage")
        counts = devtools.send("Memory.getDOMCounters")
        heap = devtools.send("Runtime.getHeapUsage")["usedSize"]
        return counts["nodes"], counts["jsEventListeners"], heap

    lab.evaluate(PLAY, 1000)
    nodes, listeners, heap = settled()
    lab.evaluate(PLAY, 10_000)
    nodes_after, listeners_after, heap_after = settled()
    assert nodes_after <= nodes + 5
    assert listeners_after <= listeners
    assert heap_after - heap < 300_000  # 30 bytes an event


def test_taking_it_away_takes_everything_with_it(lab, name):
    join_to_python(lab, MAKE[name]())
    before = lab.evaluate(
        "[Object.keys(handlers).length, document.querySelector('main').childElementCount]"
    )
    assert before[0] > 0
    assert before[1] == 1
    lab.evaluate("end()")
    assert lab.evaluate(
        "[Object.keys(handlers).length, document.querySelector('main').childElementCount]"
    ) == [0, 0]
    lab.evaluate("location.hash = '#lab=0&eps=1'")  # a listener left behind would complain
    lab.wait_for_timeout(50)


def test_without_javascript_it_is_a_table(chromium, site, name):
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(site.url(f"{name}.html"))
    assert page.locator("table.ln-still caption").count() == 1
    assert page.locator("table.ln-still td").count() > 5
    context.close()


def test_it_weighs_less_than_twelve_kilobytes(name):
    widget = MAKE[name]()
    parts = (widget._esm, widget._css)
    assert sum(len(gzip.compress(part.encode())) for part in parts) < 12_000
