"""The gradient lab: its arithmetic, its Python half, and a hand on it in a real browser."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from browser import join_to_python, move, run_on_packed, serve, type_in, values, write_page
from layernorm_book.cases import Inputs, allowance, largest, truth
from traitlets import TraitError

from layernorm_book import layer_norm_backward
from layernorm_book.widgets import GradientLab
from layernorm_book.widgets.common import EPS_STOPS
from layernorm_book.widgets.gradient import PRESETS, backward_at
from layernorm_book.widgets.joined import join_modules

ROW, GRAD_Y = [1.0, 2.0, 3.0, 6.0], [4.0, 0.0, 2.0, 2.0]
GRAD_X = [0.875, -1.0625, 0.0, 0.1875]  # at eps 0.5, by hand
SOURCE = join_modules("layernorm.js", "backward.js")

# Runs the module on rows packed one after the other as grad_y, x, weight; returns packed grad_x.
RUN = """
    const floats = new Float32Array(packed);
    const out = new Float32Array(floats.length / 3);
    let [from, to] = [0, 0];
    const next = (n) => floats.subarray(from, (from += n));
    for (const { n, eps } of rows) {
        const [gradY, x, weight] = [next(n), next(n), next(n)];
        out.set(module.layerNormBackward(gradY, x, { weight, eps }).gradX, to);
        to += n;
    }
    return out;"""


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
    described = [{"n": len(x), "eps": eps} for _, x, _, eps in rows]
    grad_x = np.frombuffer(run_on_packed(page, source, RUN, packed, described), dtype=np.float32)
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
    assert SOURCE.count(right) == 1
    rows = draw_rows()[::9]
    broken = SOURCE.replace(right, wrong)
    assert breaches(rows, run_in_browser(page, broken, rows))


# --- the Python half ------------------------------------------------------------------------------


def test_the_gradient_is_pytorchs_and_the_references():
    lab = GradientLab(ROW, GRAD_Y, eps=0.5)
    assert lab.grad_x == GRAD_X
    by_hand, *_ = layer_norm_backward(np.array(GRAD_Y), np.array(ROW), (4,), eps=0.5)
    assert lab.grad_x == by_hand.tolist()
    lab.set_state({"eps": 2.0, "x": [0.0, 1.0, 5.0, 2.0]})  # as a front end sends it
    assert lab.grad_x == pytest.approx(backward_at(lab.x, GRAD_Y, 2.0).tolist())
    assert lab.answer["grad_x"] == [lab.grad_x]


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
    move(page, "[name=eps]", -3)
    seen.append(assert_pytorch_agrees(page, 1e-3))
    type_in(page, "[name=eps-typed]", "0.5")
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
    page.click("[data-do=start]")
    assert values(page, "grad_x") == before
    for stop in EPS_STOPS:
        move(page, "[name=eps]", math.log10(stop))
        assert float(page.get_attribute(".ln-says", "data-ulps")) <= 8
    move(page, "[name=grad_y][data-index='0']", 0.25)
    assert page.get_attribute(".ln-says", "data-ulps") == ""
    assert "your browser’s own" in page.text_content(".ln-says")


def test_typed_numbers_are_taken_or_refused_with_the_reason(open_lab):
    page = open_lab("small")
    field = "[name=grad_y-typed][data-index='2']"
    type_in(page, field, "−0,5")
    assert values(page, "grad_y")[2] == -0.5
    type_in(page, field, "much")
    assert "takes a number from" in page.text_content(".ln-done")
    assert values(page, "grad_y")[2] == -0.5


def test_with_a_kernel_pytorch_answers(page, site):
    """The lab's own model, joined to the page without Jupyter in between."""
    lab = GradientLab(ROW, GRAD_Y, eps=0.5)
    page.goto(site.url("small.html"))
    join_to_python(page, lab)
    assert "PyTorch’s backward says" in page.text_content(".ln-says")
    move(page, "[name=grad_y][data-index='0']", -2)
    page.wait_for_function("document.querySelector('.ln-says').dataset.ulps !== ''")
    assert lab.grad_y[0] == -2.0
    assert lab.grad_x == pytest.approx(values(page, "grad_x"), abs=1e-6)
    page.evaluate("fromPython({ x: [0, 1, 2, 9] })")
    assert values(page, "x") == [0.0, 1.0, 2.0, 9.0]
