"""The lab: its traits follow each other, and its numbers are PyTorch's."""

import json
import math
from itertools import pairwise

import ipywidgets
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from browser import join_to_python, move, run_copied, type_in, values
from test_javascript_arithmetic import breaches
from test_labs import OPEN, WORKING
from traitlets import TraitError

from layernorm_book import layer_norm
from layernorm_book.widgets import GradientLab, LayerNormLab
from layernorm_book.widgets.lab import CHOSEN, PRESETS, STAGES, TWO_ROWS, layer_norm_at
from layernorm_book.widgets.rows import EPS_STOPS

X = [0.5, -1.25, 3.0, 2.0, 0.0]
ROW = [1.0, 2.0, 3.0, 6.0]


def test_the_results_are_pytorchs_and_the_references_and_follow_the_reader():
    lab = LayerNormLab(x=X, eps=0.3, weight=[1, 2, 3, 4, 5], bias=[5, 4, 3, 2, 1])
    x, weight, bias = torch.tensor(X), torch.arange(1.0, 6), torch.arange(5.0, 0, -1)
    y, mean, rstd = torch.native_layer_norm(x, (5,), weight, bias, 0.3)
    assert lab.mean == pytest.approx(mean.item(), rel=1e-6)
    assert lab.var == pytest.approx(x.var(correction=0).item(), rel=1e-6)
    assert lab.rstd == pytest.approx(rstd.item(), rel=1e-6)
    assert torch.equal(torch.tensor(lab.x_hat), F.layer_norm(x, (5,), eps=0.3))
    assert torch.equal(torch.tensor(lab.y), y)
    np.testing.assert_allclose(lab.x_hat, layer_norm(np.array(X), (5,), eps=0.3), rtol=2e-6)
    seen = []
    lab.observe(lambda change: seen.append(change["new"]), "x_hat")
    lab.set_state({"eps": 1.0, "placement": "outside", "revision": 3})  # as a front end sends it
    np.testing.assert_allclose(seen[-1], (X - np.mean(X)) / (np.std(X) + 1), rtol=2e-6)
    assert lab.answer == {"revision": 3, "values": lab.y}


def test_a_row_of_another_length_brings_its_own_weight_and_bias():
    lab = LayerNormLab(x=X, weight=[2] * 5)
    lab.x = [1.0, 3.0]
    assert (lab.weight, lab.bias) == ((1.0, 1.0), (0.0, 0.0))
    assert lab.y == pytest.approx([-1, 1], abs=1e-4)
    lab.set_state({"weight": [1.0, 2.0, 3.0], "bias": [0.0, 0.0, 1.0], "x": [1.0, 2.0, 6.0]})
    assert lab.weight == (1.0, 2.0, 3.0)


def test_it_composes_with_ipywidgets():
    lab = LayerNormLab()
    slider = ipywidgets.FloatLogSlider(value=1e-5, min=-12, max=1)
    box = ipywidgets.HBox([slider, lab])
    ipywidgets.jslink((slider, "value"), (lab, "eps"))
    ipywidgets.link((slider, "value"), (lab, "eps"))
    slider.value = 0.5
    assert lab.eps == 0.5
    assert box.children[1] is lab


@pytest.mark.parametrize("stage", STAGES)
def test_pytorchs_answers_are_on_record_at_each_stop_and_for_each_preset(stage):
    lab = LayerNormLab(x=X, weight=[2] * 5, bias=[1] * 5, stage=stage)
    start, *presets = lab.recorded
    assert set(EPS_STOPS) <= set(start["eps"])
    k = start["eps"].index(0.1)
    x_hat = (np.array(X) - np.mean(X)) / (np.std(X) + 0.1)
    y = 2 * x_hat + 1 if stage == "affine" else x_hat
    np.testing.assert_allclose(start["outside"][k], y, rtol=2e-6)
    assert [answer["x"] for answer in presets] == [PRESETS[label]["x"] for label in CHOSEN[stage]]
    json.dumps(lab.recorded, allow_nan=False)


def test_the_presets_tell_the_truth():
    def lab(label):
        return LayerNormLab(x=PRESETS[label]["x"])

    assert (lab("1, 2, 3, 6").mean, lab("1, 2, 3, 6").var) == (3.0, 3.5)
    out = lab("one outlier").x_hat
    for farther in (1.0, 1e3, 1e6):
        x = [*PRESETS["one outlier"]["x"][:7], 100.0 * farther]
        assert max(LayerNormLab(x=x).x_hat) <= np.sqrt(7) + 1e-6
    assert np.sqrt(7) == pytest.approx(2.65, abs=0.005)
    assert all(abs(v + 0.4) < 0.06 for v in out[:-1])
    assert set(lab("constant row").x_hat) == {0.0}
    assert {round(v, 2) for v in lab("1000").x_hat[:7]} == {-0.38}
    assert lab("tiny variance").var == pytest.approx(1e-5, rel=0.5)
    assert np.std(lab("tiny variance").x_hat) == pytest.approx(0.7, abs=0.06)
    assert np.spacing(np.float32(2000)) == pytest.approx(0.00012, rel=0.02)
    far = np.float32(PRESETS["mean 10,000"]["x"])
    assert set(np.spacing(far**2)) == {8.0}
    assert far.var() == 3.5
    assert (far**2).mean() - far.mean() ** 2 == 0
    farther = np.float32(PRESETS["mean 40,000"]["x"])
    assert (farther**2).mean() - farther.mean() ** 2 == -128
    assert lab("two numbers").x_hat == pytest.approx([-1, 1], abs=1e-5)
    assert abs(LayerNormLab(x=[0.3, 0.301]).x_hat[0]) < 0.2


def test_the_presets_of_two_rows_tell_the_truth():
    first, second = np.array(TWO_ROWS["same pattern"]["x"])
    assert (20 * first + 20 == second).all()
    lab = LayerNormLab(x=TWO_ROWS["same pattern"]["x"], weight=[1, -2, 3, 0.5], bias=[0, 1, 2, 3])
    np.testing.assert_allclose(*lab.y, atol=2e-5)
    preset = TWO_ROWS["constant row"]
    lab = LayerNormLab(**{name: preset[name] for name in ("x", "weight", "bias")})
    assert lab.y[1] == list(preset["bias"])


def test_two_rows_share_weight_and_bias_and_nothing_else():
    lab = LayerNormLab(x=[ROW, [0.0, 5.0, 0.0, 5.0]], weight=[1, 2, 3, 4], bias=[4, 3, 2, 1])
    assert (lab.rows, lab.mean, lab.var) == (2, [3.0, 2.5], [3.5, 6.25])
    x, weight, bias = torch.tensor(lab.x), torch.tensor(lab.weight), torch.tensor(lab.bias)
    assert torch.equal(torch.tensor(lab.y), F.layer_norm(x, (4,), weight, bias, 1e-5))
    assert LayerNormLab(rows=2).n == 4
    lab.x = [[1.0, 2.0], [3.0, 5.0]]
    assert (lab.weight, lab.bias) == ((1.0, 1.0), (0.0, 0.0))
    before = lab.x
    for bad in ([1.0, 2.0], [[1.0], [1.0, 2.0]], [[1.0]] * 3, [[1.0, math.nan], [1.0, 2.0]]):
        with pytest.raises(TraitError, match="x takes"):
            lab.x = bad
        assert lab.x == before
    with pytest.raises(TraitError, match="rows takes"):
        LayerNormLab(rows=2, stage="normalize")


@pytest.mark.parametrize(
    ("sigma", "eps", "says"),
    [
        (0, 0.1, "σ is 0, so every x̂ is 0 in both."),
        (0, 1, "σ is 0, so every x̂ is 0 in both."),
        (0.2709, 0.5, "larger? σ is above"),
        (0.25, 0.5, "Both give the same values: σ is exactly (1 − ε)/2 = 0.25."),
        (0.2499, 0.5, "Outside gives the larger values, since σ is below (1 − ε)/2 = 0.25."),
        (0.2501, 0.5, "Outside gives the smaller values, since σ is above (1 − ε)/2 = 0.25."),
        (1e-9, 1, "Outside gives the smaller values: ε is 1 or more."),
        (0.3, 10, "Outside gives the smaller values: ε is 1 or more."),
        (0.49, 1e-5, "Outside gives the larger values, since σ is below (1 − ε)/2 = 0.5."),
    ],
)
def test_which_placement_is_smaller_is_said_rightly_for_every_eps(run_module, sigma, eps, says):
    said = run_module("says.js", "m.placementSays(...given)", sigma, eps)
    assert said == says or (says.startswith("larger?") and "smaller" in said)
    inside, outside = np.sqrt(np.float64(sigma) ** 2 + eps), sigma + eps
    if sigma:  # dividing by less gives more
        assert ("larger" in said) == (outside < inside)
        assert ("smaller" in said) == (outside > inside)


def test_the_other_sentences_change_where_they_should(run_module):
    def one_pass(var, estimate):
        return run_module("onepass.js", "m.onePassSays(...given)", var, estimate)

    assert one_pass(1.5, 1.5) == "The same number both ways."
    assert one_pass(1.0, -8) == "Negative: its root is NaN, and so is the output."
    assert one_pass(1.0, 0) == "Zero, as if nothing varied."
    assert one_pass(1.0, 16) == "16 times what it should be."
    assert one_pass(1.0, 2) == "Off by 100 %."
    assert one_pass(1.0, 0.994) == "Off by 0.6 %."
    assert one_pass(1.0, 0.996) == "The two agree to 2 digits."
    errors = "m.errorsSay('PyTorch', ...given)"
    assert run_module("says.js", errors, 0, 0).endswith("are both off by at most 0.")
    assert "both off by at most 1e−7" in run_module("says.js", errors, 1e-7, 1.01e-7)
    assert run_module("says.js", errors, 1.8e-4, 4.4e-5) == (
        "Compared with float64, PyTorch is off by at most 1.8e−4, your browser by 4.4e−5."
    )


def test_the_line_holds_the_squares_and_where_float32_puts_them(run_module):
    """`exact` as float64 has them, `stored` with the variance in one pass between them."""
    rng = np.random.default_rng(3)
    rows = [
        (10 ** rng.uniform(0, 5) + rng.standard_normal(4) * 10 ** rng.uniform(-2, 2))
        for _ in range(200)
    ]
    rows = [row.astype(np.float32).tolist() for row in rows]
    given = "given[0].map(row => m.squaresOf(Float32Array.from(row)))"
    for row, found in zip(rows, run_module("squares.js", given, rows), strict=True):
        x = np.float64(row)
        assert found["exact"] == pytest.approx([(x**2).mean(), x.mean() ** 2], rel=1e-12)
        square, mean = map(np.float32, found["stored"])
        assert [float(square), float(mean)] == found["stored"]
        assert square - mean == in_one_pass(row)
        assert found["gap"] == np.spacing(square)
        inside = (found["from"] < v < found["to"] for v in found["exact"] + found["stored"])
        assert all(inside)
        assert (found["to"] - found["from"]) / found["gap"] > 4.9


def test_what_is_said_of_the_gap(run_module):
    def says(gap, many):
        return run_module("onepass.js", "m.gapSays(...given)", gap, many)

    assert says(8, False) == "Each tick is a number that float32 has. They are 8 apart here."
    assert says(2.0**-20, True) == (
        "Here the numbers of float32 are 9.5e−7 apart, too close to draw."
    )


def in_one_pass(row):
    """E[x²] − μ², each step rounded to float32."""
    n, total, squares = np.float32(len(row)), np.float32(0), np.float32(0)
    for v in row:
        total, squares = total + v, squares + v * v
    mean = total / n
    return squares / n - mean * mean


def test_the_variance_in_one_pass_is_float32s_and_the_truth_is_float64s(run_module):
    generator = np.random.default_rng(0)
    scale, mean = 10 ** generator.uniform(-3, 3, (2, 1000, 1))
    rows = np.float32(mean + scale * generator.normal(size=(1000, 8)))
    passes = "given[0].map(row => m.onePassVariance(Float32Array.from(row)))"
    expected = [float(in_one_pass(row)) for row in rows]
    assert run_module("layernorm.js", passes, rows.tolist()) == expected
    assert min(expected) < 0
    weight, bias = generator.normal(size=(2, 8))
    for placement in ("inside", "outside"):
        state = {"weight": weight.tolist(), "bias": bias.tolist(), "eps": 1e-3}
        truths = "given[0].map(x => m.layerNorm64({ x, ...given[1] }))"
        truth = run_module("layernorm.js", truths, rows.tolist(), state | {"placement": placement})
        x = rows.astype(float)
        var = x.var(-1, keepdims=True)
        std = np.sqrt(var + 1e-3) if placement == "inside" else np.sqrt(var) + 1e-3
        y = (x - x.mean(-1, keepdims=True)) / std * weight + bias
        np.testing.assert_allclose(truth, y, rtol=0, atol=1e-9)


def test_a_row_is_moved_to_any_mean_and_spread_and_keeps_its_pattern(run_module):
    generator = np.random.default_rng(0)
    for _ in range(50):
        row = generator.normal(size=8).round(3)
        mean, std = generator.normal() * 1e3, 10 ** generator.uniform(-3, 3)
        out = np.array(
            run_module("moves.js", "m.moved(...given)", row.tolist(), {"mean": mean, "std": std})
        )
        assert [out.mean(), out.std()] == pytest.approx([mean, std], rel=1e-6, abs=1e-8)
        pattern = (row - row.mean()) / row.std()
        np.testing.assert_allclose((out - out.mean()) / out.std(), pattern, atol=1e-4)
    assert run_module("moves.js", "m.moved([3, 3], { std: 2, mean: 5 })") == [5, 5]
    stops = run_module("moves.js", "[-100, 0, 1, 100].map(m.shiftScale(1e5).value)")
    assert stops == [-1e5, 0, 0.122, 1e5]
    at = "[-1e5, 0, 7, 1e9].map(v => m.shiftScale(1e5).value(m.shiftScale(1e5).at(v)))"
    assert run_module("moves.js", at) == [-1e5, 0, 7, 1e5]


# --- in a browser ---------------------------------------------------------------------------------


def affine():
    return LayerNormLab(x=ROW, eps=0.5, weight=[1.0, 2.0, 1.0, 0.5], bias=[0.0, 0.0, 1.0, 0.0])


def assert_pytorch_agrees(page):
    """Compare with PyTorch on exactly what the readouts show; y by check_parity's rule."""
    rows = [values(page, name) for name in ("x", "weight", "bias")]
    placement = page.locator("[name=placement]:checked").get_attribute("value")
    (eps,) = values(page, "eps")
    y = torch.tensor(values(page, "y"))
    assert not breaches([(*map(torch.tensor, rows), eps, placement)], [y])
    for name, expected in layer_norm_at(*rows, eps, placement).items():
        expected = torch.as_tensor(expected).reshape(-1).tolist()
        assert values(page, name) == pytest.approx(expected, rel=1e-3, abs=1e-3)
    return y


def test_each_control_moves_the_numbers_and_they_are_pytorchs(show):
    page = show(affine())
    seen = [assert_pytorch_agrees(page)]
    for selector, value in [
        ("[name=eps]", -2),
        ("[name=x][data-index='2']", -1.5),
        ("[name=weight][data-index='1']", 0.25),
        ("[name=bias][data-index='3']", -0.75),
        ("[name=shift]", 40),
        ("[name=stretch]", -1),
    ]:
        move(page, selector, value)
        seen.append(assert_pytorch_agrees(page))
    page.evaluate(OPEN)
    for placement in ("outside", "inside"):
        page.check(f"[name=placement][value={placement}]")
        seen.append(assert_pytorch_agrees(page))
        assert run_copied(page)[1]["y"].tolist() == pytest.approx(values(page, "y"), abs=1e-6)
    assert all(not torch.equal(a, b) for a, b in pairwise(seen))


def test_the_stages_open_one_step_further(show):
    steps = ["x", "centred", "x_hat", "weight", "bias", "y"]
    read = "nodes => nodes.map(node => node.dataset.step)"
    for stage, shown in {"statistics": 2, "normalize": 3, "affine": 6}.items():
        page = show(LayerNormLab(x=ROW, stage=stage))
        in_view = [step for step in steps[:shown] if step != "centred"]
        assert page.eval_on_selector_all(".ln-main [data-step]", read) == in_view
        assert page.eval_on_selector_all(".ln-more [data-step]", read) == ["centred"]
        assert (values(page, "mean"), values(page, "var")) == ([3.0], [3.5])


def test_typed_numbers_are_taken_as_float32(show):
    page = show(affine())
    type_in(page, "[name=eps-typed]", "1e-5")
    assert values(page, "eps") == [torch.tensor(1e-5).item()]
    type_in(page, "[name=eps-typed]", "10.1")
    assert page.text_content(".ln-done") == "ε takes a number from 1e−12 to 10."
    type_in(page, "[name=x-typed][data-index='0']", "−0,1")
    assert values(page, "x")[0] == torch.tensor(-0.1).item()


@pytest.mark.parametrize("lab", [affine, GradientLab], ids=["lab", "gradient lab"])
def test_pytorch_is_quoted_where_it_answered_and_nowhere_else(show, lab):
    page = show(lab())
    painted = page.inner_html(".ln-main")
    torch_row = page.locator(".ln-torch")
    page.evaluate(OPEN)

    def assert_quoted(most=8.0):
        assert float(page.get_attribute(".ln-says", "data-ulps")) <= most
        assert torch_row.is_visible()
        says = "Compared with float64, PyTorch’s" if lab is affine else "While this page was built"
        assert page.text_content(".ln-says").startswith(says)

    for preset in page.locator("[data-preset]").all():
        preset.click()
        assert len(page.text_content(".ln-story")) > 60
        assert_quoted(8 if lab is GradientLab else math.inf)  # one row has a mean of 2000
        if lab is affine:
            assert_pytorch_agrees(page)
    page.click("[data-do=start]")
    assert page.inner_html(".ln-main") == painted
    for stop in EPS_STOPS:
        move(page, "[name=eps]", math.log10(stop))
        assert values(page, "eps") == [torch.tensor(stop).item()]
        assert_quoted()
    if lab is affine:
        page.check("[value=outside]")
        assert "that formula in torch operations" in page.text_content(".ln-says")
        assert page.text_content(".ln-torch th >> nth=0") == "formula in torch"
    move(page, "[name=x][data-index='0']", 2.5)
    assert page.get_attribute(".ln-says", "data-ulps") == ""
    assert "your browser’s own" in page.text_content(".ln-says")
    assert not torch_row.is_visible()


def test_undo_gives_the_input_back_and_reset_the_normalized_values(show):
    page = show(affine())
    page.click("[data-do=undo]")
    assert values(page, "y") == pytest.approx(ROW, abs=1e-6)
    page.click("[data-do=reset]")
    assert values(page, "y") == values(page, "x_hat")


def test_undo_works_for_one_row_and_fails_on_the_other(show):
    page = show(LayerNormLab(rows=2))
    page.click("[data-do=undo]")
    x, y = values(page, "x"), values(page, "y")
    assert y[:4] == pytest.approx(x[:4], abs=1e-5)
    assert all(abs(a - b) > 0.3 for a, b in zip(x[4:], y[4:], strict=True))
    assert len(values(page, "weight")) == len(values(page, "bias")) == 4
    move(page, "[name=weight][data-index='0']", 0.0)
    y, bias = values(page, "y"), values(page, "bias")
    assert y[0] == y[4] == bias[0]


ENDS = """() => [...document.querySelectorAll("[data-step]")].flatMap(step => {
    const plot = step.querySelector(".ln-plot svg").getBoundingClientRect();
    return [[".ln-hi", plot.top], [".ln-lo", plot.bottom]].map(([name, y]) => {
        const { top, bottom } = step.querySelector(name).getBoundingClientRect();
        return (top + bottom) / 2 - y;
    });
})"""


def test_the_ends_of_a_scale_stand_at_their_heights(show):
    off = show(LayerNormLab(rows=2)).evaluate(ENDS)
    assert len(off) == 12
    assert max(map(abs, off)) < 3, off


TOPS = """() => [...document.querySelectorAll("[data-step=x_hat] .ln-bars")].map(path =>
    [...path.getAttribute("d").matchAll(/V([0-9.]+)h/g)].map(([, share]) => share
        * path.closest("svg").getBoundingClientRect().height / 100)).flat()"""


@pytest.mark.parametrize("make", [lambda: LayerNormLab(stage="normalize"), LayerNormLab])
def test_shift_and_stretch_leave_every_bar_of_x_hat_where_it_is(show, make):
    page = show(make())
    eps = values(page, "eps")[0]
    before, x = page.evaluate(TOPS), values(page, "x")
    seen = set()
    for stretch in (-0.45, 0, 1, 3, -0.2):
        move(page, "[name=stretch]", stretch)
        for shift in range(-100, 101, 10):
            move(page, "[name=shift]", shift)
            assert min(values(page, "var")) > 1e4 * eps
            seen.add(values(page, "x")[0])
            assert values(page, "std")[0] == pytest.approx(10**stretch, rel=0.02)
            tops = page.evaluate(TOPS)
            assert max(abs(a - b) for a, b in zip(before, tops, strict=True)) <= 1
    assert len(seen) > 100
    # Where σ² comes near ε they do move.
    move(page, "[name=shift]", 0)
    move(page, "[name=stretch]", -3)
    assert max(abs(a - b) for a, b in zip(before, page.evaluate(TOPS), strict=True)) > 3
    page.click("[data-do=start]")
    assert values(page, "x") == x


def test_a_drag_there_and_back_gives_the_row_back(show):
    page = show(LayerNormLab(stage="normalize"))
    x = values(page, "x")
    mean, std = values(page, "mean")[0], values(page, "std")[0]
    for name in ("shift", "stretch"):
        for stop in (80, 3, -70, -4):
            move(page, f"[name={name}]", stop)
        page.dispatch_event(f"[name={name}]", "change")
    assert values(page, "mean")[0] != mean
    assert std != values(page, "std")[0]
    pattern = [(v - mean) / std for v in x]
    mean, std = values(page, "mean")[0], values(page, "std")[0]
    assert [(v - mean) / std for v in values(page, "x")] == pytest.approx(pattern, abs=0.2)


def test_the_variance_in_one_pass_dies_as_the_row_is_shifted_away(show):
    page = show(LayerNormLab(stage="statistics"))
    (var,) = values(page, "var")
    dead = 0
    for stop in range(-100, 101, 4):
        move(page, "[name=shift]", stop)
        (two,), (one,) = values(page, "var"), values(page, "var_one_pass")
        row = np.float32(values(page, "x"))
        assert two == pytest.approx(float(np.var(np.float64(row))), rel=2e-3)
        assert two == pytest.approx(var, rel=0.02)
        dead += abs(one / two - 1) > 0.5
        if abs(row.mean()) < 10:
            assert one == pytest.approx(two, rel=1e-4)
    assert dead > 10


def test_the_placements_differ_as_the_sentence_says(show):
    page = show(LayerNormLab(x=ROW, stage="normalize"))
    move(page, "[name=eps]", -4)
    for scale, sign in [(0.2, 1), (0.5, -1)]:  # σ is 1.87 · scale
        for i, v in enumerate(ROW):
            type_in(page, f"[name=x-typed][data-index='{i}']", str(scale * v))
        assert values(page, "sign") == [sign]
        x, eps = np.array(ROW) * scale, 1e-4
        inside, outside = (
            (x - x.mean()) / d for d in (np.sqrt(x.var() + eps), np.sqrt(x.var()) + eps)
        )
        assert values(page, "gap")[0] == pytest.approx(abs(inside - outside).max(), rel=0.02)
    inside, outside = page.locator(".ln-knee").all()
    assert inside.is_visible()
    assert not outside.is_visible()
    page.evaluate(OPEN)
    page.check("[value=outside]")
    assert outside.is_visible()
    assert not inside.is_visible()


@pytest.mark.parametrize("make", [
    lambda: LayerNormLab(stage="statistics"),
    lambda: LayerNormLab(stage="normalize"),
    lambda: LayerNormLab(rows=2),
    lambda: LayerNormLab(x=[0.5] * 8),
])  # fmt: skip
def test_each_stage_fits_on_one_screen(show, make):
    page = show(make())
    for width, most in ((740, 620), (390, 800)):
        page.set_viewport_size({"width": width + 16 * (width > 400), "height": 800})
        seen = set()
        for button in page.locator("[data-do=start], [data-do=preset]").all():
            button.click()
            seen.add(page.evaluate(WORKING))
            assert page.evaluate("document.documentElement.scrollWidth") <= width + 16
        assert max(seen) <= most


def test_a_scale_stays_in_a_drag_and_fits_once_it_is_over(show):
    page = show(affine())
    end = "document.querySelector('[name=x]').max"
    before = page.evaluate(end)
    page.focus("[name=x][data-index='3']")
    move(page, "[name=x][data-index='3']", before)
    assert page.evaluate(end) == before
    page.dispatch_event("[name=x][data-index='3']", "change")
    assert float(page.evaluate(end)) > float(before)


def test_a_long_row_shows_a_window_of_it_no_wider_than_the_screen(show):
    page = show(LayerNormLab(x=torch.linspace(-1, 1, 768)))
    assert len(values(page, "y")) == 8
    move(page, "[name=window]", 760)
    assert values(page, "x")[-1] == 1.0
    assert page.locator("[name=x][data-index='767']").count() == 1
    assert "elements 760 to 767 of 768" in page.text_content(".ln-window")
    for width in (320, 390, 640):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= width + 8  # bare margins


def test_python_and_the_page_follow_each_other(show):
    page, lab = show(affine()), LayerNormLab(x=ROW)
    hand_over = join_to_python(page, lab)
    move(page, "[name=eps]", -0.5)
    move(page, "[name=x][data-index='0']", -2)
    page.evaluate("window.saved")
    assert (lab.eps, lab.x[0]) == (0.316, -2.0)
    assert lab.y == pytest.approx(values(page, "y"), abs=1e-6)
    assert float(page.get_attribute(".ln-says", "data-ulps")) <= 8
    assert "PyTorch’s layer_norm is off" in page.text_content(".ln-says")
    lab.x = [1.0, 2.0, 9.0]
    lab.placement, lab.eps = "outside", 2.0
    assert set(hand_over()[0]) == {"x", "weight", "bias", "answer"}
    assert page.is_checked("[value=outside]")
    assert values(page, "eps") == [2.0]
    assert values(page, "y") == pytest.approx(lab.y, abs=1e-6)
    assert "that formula in torch operations is off" in page.text_content(".ln-says")
