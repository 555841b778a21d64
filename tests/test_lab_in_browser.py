"""The lab under a hand in a real browser: controls move the numbers, and those are PyTorch's."""

import gzip
import math
from itertools import pairwise

import pytest
import torch
from browser import ROOT, serve, write_page
from test_layernorm_js import breaches

from layernorm_book.widgets import LayerNormLab
from layernorm_book.widgets.lab import EPS_STOPS

ROW = [1.0, 2.0, 3.0, 6.0]
WEIGHT, BIAS = [1.0, 2.0, 1.0, 0.5], [0.0, 0.0, 1.0, 0.0]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Bare pages with labs: no Sphinx, no theme, the same host."""
    folder = tmp_path_factory.mktemp("labs")
    for stage in ("statistics", "normalize"):
        write_page(folder, stage, LayerNormLab(x=ROW, stage=stage))
    lab = LayerNormLab(x=ROW, eps=0.5, weight=WEIGHT, bias=BIAS)
    write_page(folder, "affine", lab)
    write_page(folder, "long", LayerNormLab(x=torch.linspace(-1, 1, 768)))
    broken = LayerNormLab(x=ROW)
    broken._esm = "export default { render() { throw new Error('out of order'); } };"
    write_page(folder, "broken", broken, LayerNormLab(x=ROW, stage="statistics"))
    site, stop = serve(folder)
    yield site
    stop()


@pytest.fixture(params=["localhost", "file"])
def open_lab(request, page, site):
    """Open a page by name, over HTTP and from file://; wait for its lab."""

    def open_page(name, fragment=""):
        page.goto(site.url(f"{name}.html{fragment}", request.param))
        page.wait_for_selector(".ln-lab tbody")
        return page

    return open_page


def values(page, quantity):
    """Return the full values of a quantity's readouts, in the order of their elements."""
    nodes = f"[data-quantity='{quantity}']"
    read = "nodes => nodes.map(node => node.dataset.value)"
    return [float(value) for value in page.eval_on_selector_all(nodes, read)]


def move(page, selector, value):
    """Set a control as a hand does, and let the page know."""
    script = """(input, value) => {
        input.value = value;
        input.dispatchEvent(new Event("input", { bubbles: true }));
    }"""
    page.eval_on_selector(selector, script, str(value))


def assert_pytorch_agrees(page):
    """Compare y with PyTorch on exactly what the readouts show, by check_parity's rule."""
    row = tuple(torch.tensor(values(page, name)) for name in ("x", "weight", "bias"))
    placement = page.locator("[name=placement]:checked").get_attribute("value")
    (eps,) = values(page, "eps")
    y = torch.tensor(values(page, "y"))
    assert not breaches([(*row, eps, placement)], [y])
    return y


def test_each_control_moves_the_numbers_and_they_are_pytorchs(open_lab):
    page = open_lab("affine")
    seen = [assert_pytorch_agrees(page)]
    for selector, value in [
        ("[name=eps]", -2),
        ("[name=x][data-index='2']", -1.5),
        ("[name=weight][data-index='1']", 0.25),
        ("[name=bias][data-index='3']", -0.75),
        ("[name=weight-all]", 0.5),
        ("[name=bias-all]", 0.5),
    ]:
        move(page, selector, value)
        seen.append(assert_pytorch_agrees(page))
    page.check("[value=outside]")
    seen.append(assert_pytorch_agrees(page))
    assert all(not torch.equal(a, b) for a, b in pairwise(seen))


def test_the_stages_open_one_step_further(open_lab):
    steps = "nodes => nodes.map(node => node.dataset.step)"
    for stage, shown in {
        "statistics": ["x", "centred"],
        "normalize": ["x", "centred", "x_hat"],
        "affine": ["x", "centred", "x_hat", "weight", "bias", "y"],
    }.items():
        page = open_lab(stage)
        assert page.eval_on_selector_all("[data-step]", steps) == shown
        assert values(page, "mean") == [3.0]
        assert values(page, "var") == [3.5]


def test_every_control_is_an_input_in_a_label_and_the_values_are_float32(open_lab):
    page = open_lab("affine")
    unlabelled = "nodes => nodes.filter(node => !node.closest('label')).length"
    assert page.eval_on_selector_all(".ln-lab input", unlabelled) == 0
    names = "nodes => [...new Set(nodes.map(node => node.name))].sort()"
    for name in ("eps", "placement", "x", "weight", "bias"):
        assert name in page.eval_on_selector_all(".ln-lab input", names)
    page.fill("[name=eps-typed]", "1e-5")
    page.press("[name=eps-typed]", "Enter")
    assert values(page, "eps") == [torch.tensor(1e-5).item()]
    page.fill("[name=x-typed][data-index='0']", "−0,1")
    page.press("[name=x-typed][data-index='0']", "Enter")
    assert values(page, "x")[0] == torch.tensor(-0.1).item()


def test_what_cannot_be_taken_is_refused_with_the_reason(open_lab):
    page = open_lab("affine")
    before = values(page, "y")
    for field, text in [("[name=eps-typed]", "0"), ("[name=x-typed][data-index='1']", "one")]:
        page.fill(field, text)
        page.press(field, "Enter")
        assert "takes a number from" in page.text_content(".ln-done")
    assert values(page, "y") == before


def test_pytorch_is_quoted_where_it_answered_and_nowhere_else(open_lab):
    page = open_lab("affine")
    for stop in EPS_STOPS:
        move(page, "[name=eps]", math.log10(stop))
        assert values(page, "eps") == [torch.tensor(stop).item()]
        assert float(page.get_attribute(".ln-says", "data-ulps")) <= 8
        assert "While this page was built" in page.text_content(".ln-says")
    page.check("[value=outside]")
    assert "While this page was built" in page.text_content(".ln-says")
    move(page, "[name=x][data-index='0']", 2.5)
    assert page.get_attribute(".ln-says", "data-ulps") == ""
    assert "your browser’s own" in page.text_content(".ln-says")
    said = page.eval_on_selector_all(
        "[data-quantity=torch]", "nodes => nodes.map(n => n.textContent)"
    )
    assert set(said) == {"·"}


def test_a_preset_tells_its_story_and_start_comes_back(open_lab):
    page = open_lab("affine")
    before = values(page, "y")
    for preset in page.locator("[data-preset]").all():
        preset.click()
        assert_pytorch_agrees(page)
        assert len(page.text_content(".ln-story")) > 60
        assert "While this page was built" in page.text_content(".ln-says")
    page.click("[data-do=start]")
    assert values(page, "y") == before


def test_undo_gives_the_input_back_and_reset_the_normalized_values(open_lab):
    page = open_lab("affine")
    page.click("[data-do=undo]")
    assert values(page, "y") == pytest.approx(ROW, abs=1e-6)
    page.click("[data-do=reset]")
    assert values(page, "y") == values(page, "x_hat")


def test_the_gap_changes_its_sign_at_one_half(open_lab):
    page = open_lab("normalize")
    move(page, "[name=eps]", -4)
    for scale, sign in [(0.2, 1), (0.5, -1)]:  # σ is 1.87 · scale
        for i, v in enumerate(ROW):
            page.fill(f"[name=x-typed][data-index='{i}']", str(scale * v))
            page.press(f"[name=x-typed][data-index='{i}']", "Enter")
        assert values(page, "sign") == [sign]
        (gap,), (leading,) = values(page, "gap"), values(page, "leading")
        assert gap == pytest.approx(leading, rel=0.02)
    inside, outside = page.locator(".ln-knee").all()
    assert inside.is_visible()
    assert outside.is_visible()


def test_keys_alone_reach_and_move_every_slider(open_lab):
    page = open_lab("affine")
    stops = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        name = page.evaluate("[document.activeElement.name, document.activeElement.dataset.index]")
        stops.add(tuple(name))
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none" or name[0] is None
    assert {("x", "0"), ("x", "3"), ("eps", None), ("weight", "2"), ("bias", "3")} <= stops
    page.focus("[name=x][data-index='1']")
    seen = [values(page, "x")[1]]
    for key in ("ArrowUp", "ArrowDown", "PageUp", "End", "Home", "PageDown"):
        page.keyboard.press(key)
        seen.append(values(page, "x")[1])
    start, up, down, page_up, end, home, _ = seen
    assert home < down < up < page_up < end
    assert start == down


def test_a_link_carries_the_state_to_another_page(open_lab):
    page = open_lab("affine")
    move(page, "[name=x][data-index='1']", -0.5)
    page.check("[value=outside]")
    before = values(page, "y")
    page.evaluate("navigator.clipboard.writeText = async text => { window.copied = text; }")
    page.click("[data-do=link]")
    link = page.evaluate("window.copied")
    page.goto("about:blank")
    page.goto(link)
    page.wait_for_selector(".ln-lab tbody")
    assert values(page, "y") == before
    page.evaluate("location.hash = '#lab=0&x=1,2&weight=1,1&bias=0,0&eps=0.1&placement=inside'")
    page.wait_for_function("document.querySelectorAll('[data-quantity=y]').length === 2")
    page.evaluate("location.hash = '#lab=0&x=1,zwei&weight=1,1&bias=0,0&eps=0&placement=up'")
    assert values(page, "x") == [1.0, 2.0]


@pytest.mark.parametrize("placement", ["inside", "outside"])
def test_copied_python_reproduces_the_state(open_lab, placement):
    page = open_lab("affine")
    page.check(f"[value={placement}]")
    page.evaluate("navigator.clipboard.writeText = async text => { window.copied = text; }")
    page.click("[data-do=python]")
    names = {}
    exec(page.evaluate("window.copied"), names)
    assert names["y"].tolist() == pytest.approx(values(page, "y"), abs=1e-6)


def test_a_long_row_shows_a_window_of_it(open_lab):
    page = open_lab("long")
    assert len(values(page, "y")) == 8
    move(page, "[name=window]", 760)
    assert values(page, "x")[-1] == 1.0
    assert page.locator("[name=x][data-index='767']").count() == 1


def test_a_widget_that_fails_says_so_in_its_place_and_leaves_the_rest_alone(page, site):
    page.goto(site.url("broken.html"))
    page.wait_for_selector(".ln-lab tbody")
    assert "out of order" in page.text_content("[role=alert]")
    assert page.locator(".ln-still").count() == 1  # the broken one's
    assert values(page, "mean") == [3.0]


def test_without_javascript_the_starting_state_is_a_table(chromium, site):
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(site.url("affine.html"))
    assert "variance σ² = 3.5" in page.text_content("table caption")
    context.close()


def test_a_screen_reader_is_told_once_the_hand_rests(open_lab):
    page = open_lab("affine")
    assert page.text_content(".ln-live") == ""
    page.evaluate("""window.told = 0;
        new MutationObserver(() => window.told++)
            .observe(document.querySelector(".ln-live"), { childList: true });""")
    for k in range(20):
        move(page, "[name=eps]", -k / 4)
    page.wait_for_function("window.told > 0")
    assert page.evaluate("window.told") == 1
    assert "variance 3.5" in page.text_content(".ln-live")


@pytest.mark.parametrize("width", [320, 390, 640])
def test_nothing_is_wider_than_the_screen(open_lab, page, width):
    page.set_viewport_size({"width": width, "height": 800})
    for name in ("affine", "long"):
        open_lab(name)
        assert page.evaluate("document.documentElement.scrollWidth") <= width + 8  # bare margins


def test_light_and_dark_follow_the_themes_switch(open_lab):
    page = open_lab("affine")
    ground = "getComputedStyle(document.querySelector('.ln-lab')).backgroundColor"
    light = page.evaluate(ground)
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    assert page.evaluate(ground) != light


def test_ten_thousand_events_leave_heap_and_nodes_where_they_were(page, site):
    page.goto(site.url("affine.html"))
    page.wait_for_selector(".ln-lab tbody")
    devtools = page.context.new_cdp_session(page)
    drag = """count => {
        const names = ["eps", "x", "weight", "bias"];
        for (let k = 0; k < count; k++) {
            const input = document.querySelector(`input[name=${names[k % 4]}]`);
            const [min, max] = [Number(input.min), Number(input.max)];
            input.value = min + ((k % 97) / 97) * (max - min);
            input.dispatchEvent(new Event("input", { bubbles: true }));
        }
    }"""

    def settled():
        page.wait_for_timeout(1000)  # longer than the wait before a screen reader is told
        devtools.send("HeapProfiler.collectGarbage")
        counts = devtools.send("Memory.getDOMCounters")
        heap = devtools.send("Runtime.getHeapUsage")["usedSize"]
        return counts["nodes"], counts["jsEventListeners"], heap

    page.evaluate(drag, 1000)
    nodes, listeners, heap = settled()
    page.evaluate(drag, 10_000)
    nodes_after, listeners_after, heap_after = settled()
    assert nodes_after <= nodes + 5
    assert listeners_after <= listeners
    assert heap_after - heap < 300_000  # 30 bytes an event


def test_taking_the_lab_away_takes_everything_with_it(page, site):
    page.goto(site.url("affine.html"))
    page.wait_for_selector(".ln-lab tbody")
    left = page.evaluate(
        """async (state) => {
            const { default: widget } = await import(URL.createObjectURL(
                new Blob([state._esm], { type: "text/javascript" })));
            let handlers = 0;
            const model = { get: (key) => state[key], set() {}, save_changes() {},
                on: () => handlers++, off: () => handlers-- };
            const el = document.createElement("div");
            document.body.append(el);
            const end = widget.render({ model, el });
            const [before, there] = [handlers, el.childElementCount];
            end();
            return [before, there, handlers, el.childElementCount];
        }""",
        LayerNormLab(x=ROW).get_state(["_esm", *LayerNormLab(x=ROW).trait_names(sync=True)]),
    )
    assert left[0] > 0
    assert left[1:] == [1, 0, 0]


def test_with_a_kernel_python_and_the_page_follow_each_other(page, site):
    """The lab's own model, joined to the page without Jupyter in between."""
    lab = LayerNormLab(x=ROW)
    page.goto(site.url("statistics.html"))

    def save(changed):
        lab.set_state(changed)
        return lab.get_state(["answer"])

    page.expose_function("save", save)
    page.evaluate(
        """async (state) => {
            const { default: widget } = await import(URL.createObjectURL(
                new Blob([state._esm], { type: "text/javascript" })));
            const handlers = {};
            let changed = {};
            const set = (key, value) => {
                state[key] = value;
                handlers[`change:${key}`]?.();
            };
            const model = { get: (key) => state[key], off() {},
                on: (event, handler) => (handlers[event] = handler),
                set: (key, value) => { changed[key] = value; set(key, value); },
                save_changes() {
                    window.save(changed).then(({ answer }) => set("answer", answer));
                    changed = {};
                } };
            window.fromPython = set;
            document.querySelector("main").replaceChildren();
            widget.render({ model, el: document.querySelector("main") });
        }""",
        lab.get_state(),
    )
    assert "PyTorch says" in page.text_content(".ln-says")
    move(page, "[name=eps]", -0.5)
    move(page, "[name=x][data-index='0']", -2)
    page.wait_for_function("document.querySelector('.ln-says').dataset.ulps !== ''")
    assert lab.eps == 0.316
    assert lab.x[0] == -2.0
    assert lab.y == pytest.approx(values(page, "y"), abs=1e-6)
    assert "PyTorch says" in page.text_content(".ln-says")
    page.evaluate("fromPython('placement', 'outside'); fromPython('eps', 2.0)")
    assert page.is_checked("[value=outside]")
    assert values(page, "eps") == [2.0]


def test_the_lab_and_its_host_are_light():
    script, style = (len(gzip.compress(v.encode())) for v in (LayerNormLab._esm, LayerNormLab._css))
    host = len(gzip.compress((ROOT / "book/_static/widgets.js").read_bytes()))
    assert script + style < 12_000
    assert host < 2_000
