"""The gradient lab: its arithmetic, its Python half, and a hand on it in a real browser."""

import base64
import gzip
from itertools import pairwise

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from browser import serve, write_page
from test_lab_in_browser import move, values
from traitlets import TraitError

from layernorm_book import layer_norm_backward
from layernorm_book.cases import Inputs, allowance, largest, truth
from layernorm_book.widgets import GradientLab
from layernorm_book.widgets.gradient import PRESETS, backward_at
from layernorm_book.widgets.joined import join_modules

ROW, GRAD_Y = [1.0, 2.0, 3.0, 6.0], [4.0, 0.0, 2.0, 2.0]
GRAD_X = [0.875, -1.0625, 0.0, 0.1875]  # at eps 0.5, by hand
SOURCE = join_modules("layernorm.js", "backward.js")

# Runs the module on rows packed one after the other as grad_y, x, weight; returns packed grad_x.
RUN = """async ({ source, rows }) => {
    const { layerNormBackward } = await import(URL.createObjectURL(
        new Blob([source], { type: "text/javascript" })));
    const floats = new Float32Array(await (await fetch("/packed")).arrayBuffer());
    const out = new Uint8Array(floats.byteLength / 3);
    let [from, to] = [0, 0];
    const next = (n) => floats.subarray(from, (from += n));
    for (const { n, eps } of rows) {
        const [gradY, x, weight] = [next(n), next(n), next(n)];
        const { gradX } = layerNormBackward(gradY, x, { weight, eps });
        out.set(new Uint8Array(gradX.buffer), to);
        to += 4 * n;
    }
    return btoa(Array.from(out, (byte) => String.fromCharCode(byte)).join(""));
}"""


# --- the arithmetic -------------------------------------------------------------------------------


def draw_rows():
    """Return 3000 rows as (grad_y, x, weight, eps), float32."""
    rng = np.random.default_rng(5)
    rows = []
    for k in range(3000):
        n = (1, 2, 3, 4, 8, 20, 100, 768)[k % 8]
        sigma = 10 ** rng.uniform(-4, 2) if k % 7 else 0.0  # every seventh row is constant
        x = rng.choice([0.0, 1.0, 100.0]) + sigma * rng.normal(size=n)
        grad_y, weight = rng.normal(size=(2, n))
        tensors = (torch.tensor(v, dtype=torch.float32) for v in (grad_y, x, weight))
        rows.append((*tensors, float(10 ** rng.uniform(-8, 0))))
    return rows


def breaches(rows, results):
    """Return the rows whose grad_x errs more than check_parity's rule allows."""
    found = []
    for (grad_y, x, weight, eps), grad_x in zip(rows, results, strict=True):
        leaf = x.clone().requires_grad_()
        F.layer_norm(leaf, x.shape, weight, None, eps).backward(grad_y)
        inputs = Inputs(x, tuple(x.shape), weight, None, eps, grad_y=grad_y)
        true = truth(inputs)
        own = dict.fromkeys(true, 0.0)
        own["grad_x"] = largest(leaf.grad.double() - true["grad_x"])
        error = largest(grad_x.double() - true["grad_x"])
        if not error <= allowance(inputs, true, own)["grad_x"]:
            found.append((len(x), eps, error))
    return found


def run_in_browser(page, source, rows):
    packed = b"".join(v.numpy().tobytes() for row in rows for v in row[:3])
    page.route("http://localhost/packed", lambda route: route.fulfill(body=packed))
    page.route("http://localhost/", lambda route: route.fulfill(body="<title>rows</title>"))
    page.goto("http://localhost/")
    described = [{"n": len(x), "eps": eps} for _, x, _, eps in rows]
    encoded = page.evaluate(RUN, {"source": source, "rows": described})
    grad_x = np.frombuffer(base64.b64decode(encoded), dtype=np.float32)
    return torch.from_numpy(grad_x.copy()).split([row["n"] for row in described])


def test_three_thousand_rows_agree_with_pytorch(page):
    rows = draw_rows()
    found = breaches(rows, run_in_browser(page, SOURCE, rows))
    assert not found, f"{len(found)} rows: {found[:5]}"


BROKEN = {
    "no weight": ("v * f32(weight[i])", "v"),
    "no mean": ("f32(v - meanG) - line[i]", "v - line[i]"),
    "no line": ("f32(v - meanG) - line[i]", "f32(v - meanG)"),
    "no rstd": ("v * rstd)", "v)"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_arithmetic_is_found(page, name):
    right, wrong, *_ = BROKEN[name]
    forward, backward = (
        join_modules("layernorm.js"),
        SOURCE.removeprefix(join_modules("layernorm.js")),
    )
    assert backward.count(right) == 1
    rows = draw_rows()[::9]
    broken = forward + backward.replace(right, wrong)
    assert breaches(rows, run_in_browser(page, broken, rows))


# --- the Python half ------------------------------------------------------------------------------


def test_the_gradient_is_pytorchs_and_the_references():
    lab = GradientLab(ROW, GRAD_Y, eps=0.5)
    assert lab.grad_x == GRAD_X
    by_hand, *_ = layer_norm_backward(np.array(GRAD_Y), np.array(ROW), (4,), eps=0.5)
    assert lab.grad_x == by_hand.tolist()
    lab.set_state({"eps": 2.0, "x": [0.0, 1.0, 5.0, 2.0]})  # as a front end sends it
    assert lab.grad_x == pytest.approx(backward_at(lab.x, GRAD_Y, 2.0).tolist())
    assert lab.answer["grad_x"] == lab.grad_x


def test_what_cannot_be_taken_is_refused_and_nothing_changes():
    lab = GradientLab(ROW, GRAD_Y)
    for name, value in [("x", [1.0] * 21), ("x", "row"), ("grad_y", [1.0]), ("eps", 0.0)]:
        with pytest.raises(TraitError, match=rf"{name} takes"):
            setattr(lab, name, value)
    assert (lab.x, lab.grad_y) == (tuple(ROW), tuple(GRAD_Y))
    lab.x = [1.0, 5.0]
    assert lab.grad_y == (4.0, 0.0)


def test_the_presets_do_what_their_stories_say():
    largest_of = {p["label"]: largest(backward_at(p["x"], p["grad_y"], 1e-5)) for p in PRESETS}
    assert largest_of["all equal"] < 1e-6
    assert largest_of["a straight line"] < 3e-6
    assert largest_of["n = 2"] < 1e-5
    assert largest_of["constant row"] == pytest.approx(3.5 / 1e-5**0.5)
    assert largest(backward_at([8.0] + [7.0] * 7, [float(k) for k in range(8)], 1e-5)) < 10
    one = next(p for p in PRESETS if p["label"] == "one output")
    assert (backward_at(one["x"], one["grad_y"], 1e-5) != 0).all()


# --- in a browser ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gradient")
    write_page(folder, "start", GradientLab())
    write_page(folder, "small", GradientLab(ROW, GRAD_Y, eps=0.5))
    site, stop = serve(folder)
    yield site
    stop()


@pytest.fixture(params=["localhost", "file"])
def open_lab(request, page, site):
    def open_page(name):
        page.goto(site.url(f"{name}.html", request.param))
        page.wait_for_selector(".ln-lab tbody")
        return page

    return open_page


def assert_pytorch_agrees(page, eps):
    x, grad_y, grad_x = (torch.tensor(values(page, k)) for k in ("x", "grad_y", "grad_x"))
    assert not breaches([(grad_y, x, torch.ones_like(x), eps)], [grad_x])
    terms = (torch.tensor(values(page, k)) for k in ("grad_y", "minus_mean", "minus_line"))
    (rstd,) = values(page, "rstd")
    torch.testing.assert_close(rstd * sum(terms), grad_x, rtol=1e-5, atol=1e-5)
    return grad_x


def test_each_slider_moves_the_gradient_and_it_is_pytorchs(open_lab):
    page = open_lab("small")
    assert values(page, "grad_x") == GRAD_X
    assert (values(page, "mean_g"), values(page, "mean_g_x_hat")) == ([2.0], [-0.25])
    seen = [assert_pytorch_agrees(page, 0.5)]
    for name, index, value in [("x", 0, -1.5), ("x", 3, 0.5), ("grad_y", 1, -3), ("grad_y", 2, 1)]:
        move(page, f"[name={name}][data-index='{index}']", value)
        seen.append(assert_pytorch_agrees(page, 0.5))
    assert all(not torch.equal(a, b) for a, b in pairwise(seen))


def test_pytorch_is_quoted_where_it_answered_and_nowhere_else(open_lab):
    page = open_lab("start")
    before = values(page, "grad_x")
    for preset in page.locator("[data-preset]").all():
        preset.click()
        assert float(page.get_attribute(".ln-says", "data-ulps")) <= 8
        assert len(page.text_content(".ln-story")) > 60
    page.click("[data-preset='-1']")
    assert values(page, "grad_x") == before
    move(page, "[name=grad_y][data-index='0']", 0.25)
    assert page.get_attribute(".ln-says", "data-ulps") == ""
    assert "your browser’s own" in page.text_content(".ln-says")


def test_typed_numbers_are_taken_or_refused_with_the_reason(open_lab):
    page = open_lab("small")
    field = "[name=grad_y-typed][data-index='2']"
    page.fill(field, "−0,5")
    page.press(field, "Enter")
    assert values(page, "grad_y")[2] == -0.5
    page.fill(field, "much")
    page.press(field, "Enter")
    assert "takes a number from" in page.text_content(".ln-done")
    assert values(page, "grad_y")[2] == -0.5


def test_keys_alone_reach_and_move_every_slider_and_each_has_a_label(open_lab):
    page = open_lab("small")
    unlabelled = "nodes => nodes.filter(node => !node.closest('label')).length"
    assert page.eval_on_selector_all(".ln-lab input", unlabelled) == 0
    stops = set()
    for _ in range(30):
        page.keyboard.press("Tab")
        stop = page.evaluate("[document.activeElement.name, document.activeElement.dataset.index]")
        stops.add(tuple(stop))
    assert {(name, str(i)) for name in ("x", "grad_y") for i in range(4)} <= stops
    page.focus("[name=grad_y][data-index='1']")
    seen = [values(page, "grad_y")[1]]
    for key in ("ArrowUp", "ArrowDown", "End", "Home"):
        page.keyboard.press(key)
        seen.append(values(page, "grad_y")[1])
    start, up, down, end, home = seen
    assert home < down == start < up < end


@pytest.mark.parametrize("width", [320, 390, 640])
def test_nothing_is_wider_than_the_screen(open_lab, page, width):
    page.set_viewport_size({"width": width, "height": 800})
    open_lab("start")
    assert page.evaluate("document.documentElement.scrollWidth") <= width + 8  # bare margins


def test_light_and_dark_follow_the_themes_switch_and_print_drops_the_controls(open_lab):
    page = open_lab("start")
    ground = "getComputedStyle(document.querySelector('.ln-lab')).backgroundColor"
    light = page.evaluate(ground)
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    assert page.evaluate(ground) != light
    page.emulate_media(media="print")
    assert not page.locator("[name=x]").first.is_visible()
    assert page.locator("[data-quantity=grad_x]").first.is_visible()


def test_without_javascript_the_starting_state_is_a_table(chromium, site):
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(site.url("small.html"))
    assert "three terms" in page.text_content("table caption")
    assert "-1.062" in page.text_content("table")
    context.close()


def test_a_screen_reader_is_told_once_the_hand_rests(open_lab):
    page = open_lab("small")
    assert page.text_content(".ln-live") == ""
    for k in range(5):
        move(page, "[name=grad_y][data-index='0']", k)
    page.wait_for_function("document.querySelector('.ln-live').textContent !== ''")
    assert "Mean of g 2" in page.text_content(".ln-live")


def test_with_a_kernel_pytorch_answers_and_taking_the_lab_away_takes_everything(page, site):
    """The lab's own model, joined to the page without Jupyter in between."""
    lab = GradientLab(ROW, GRAD_Y, eps=0.5)
    page.goto(site.url("small.html"))

    def save(changed):
        lab.set_state(changed)
        return lab.get_state(["answer"])

    page.expose_function("save", save)
    page.evaluate(
        """async (state) => {
            const { default: widget } = await import(URL.createObjectURL(
                new Blob([state._esm], { type: "text/javascript" })));
            window.handlers = {};
            let changed = {};
            const set = (key, value) => {
                state[key] = value;
                handlers[`change:${key}`]?.();
            };
            const model = { get: (key) => state[key], off: (event) => delete handlers[event],
                on: (event, handler) => (handlers[event] = handler),
                set: (key, value) => { changed[key] = value; set(key, value); },
                save_changes() {
                    window.save(changed).then(({ answer }) => set("answer", answer));
                    changed = {};
                } };
            window.fromPython = set;
            const el = document.querySelector("main");
            el.replaceChildren();
            window.end = widget.render({ model, el });
        }""",
        lab.get_state(),
    )
    assert "PyTorch’s backward says" in page.text_content(".ln-says")
    move(page, "[name=grad_y][data-index='0']", -2)
    page.wait_for_function("document.querySelector('.ln-says').dataset.ulps !== ''")
    assert lab.grad_y[0] == -2.0
    assert lab.grad_x == pytest.approx(values(page, "grad_x"), abs=1e-6)
    page.evaluate("fromPython('x', [0, 1, 2, 9])")
    assert values(page, "x") == [0.0, 1.0, 2.0, 9.0]
    page.evaluate("end()")
    left = "[Object.keys(handlers).length, document.querySelector('main').childElementCount]"
    assert page.evaluate(left) == [0, 0]


def test_the_lab_is_light():
    parts = [GradientLab._esm, GradientLab._css]
    assert sum(len(gzip.compress(part.encode())) for part in parts) < 10_000
    shared = join_modules("layernorm.js", "numbers.js", "page.js", "kit.js")
    own = len(gzip.compress(parts[0].encode())) - len(gzip.compress(shared.encode()))
    assert own < 5_000
