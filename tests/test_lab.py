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

from layernorm_book import layer_norm
from layernorm_book.widgets import GradientLab, LayerNormLab
from layernorm_book.widgets.lab import PRESETS, STAGES, layer_norm_at
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
    assert [answer["x"] for answer in presets] == [preset["x"] for preset in PRESETS]
    json.dumps(lab.recorded, allow_nan=False)


def test_the_presets_tell_the_truth():
    row = {preset["label"]: np.float32(preset["x"]) for preset in PRESETS}
    x = row["torch.rand"]
    inside = LayerNormLab(x=x).x_hat
    outside = LayerNormLab(x=x, placement="outside").x_hat
    gap = np.abs(outside).max() / np.abs(inside).max() - 1
    assert x.size == 20
    assert x.std() < 0.5
    assert 0 < gap <= 1.1e-4
    assert LayerNormLab(x=row["tiny variance"]).var == pytest.approx(1e-5, rel=0.5)
    assert np.std(LayerNormLab(x=row["tiny variance"]).x_hat) == pytest.approx(0.7, abs=0.06)
    assert set(LayerNormLab(x=row["constant row"]).x_hat) == {0.0}
    assert np.spacing(np.float32(2000)) == pytest.approx(0.00012, rel=0.02)
    out = LayerNormLab(x=row["one outlier"]).x_hat
    assert max(out) == pytest.approx(np.sqrt(7), abs=0.01)
    assert all(abs(v + 0.4) < 0.05 for v in out[:-1])
    assert LayerNormLab(x=row["n = 2"]).x_hat == pytest.approx([-1, 1], abs=1e-5)


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
        ("[name=weight-all]", 0.5),
        ("[name=bias-all]", 0.5),
    ]:
        move(page, selector, value)
        seen.append(assert_pytorch_agrees(page))
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
        assert page.eval_on_selector_all("[data-step]", read) == steps[:shown]
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
    painted = page.inner_html("table")

    def assert_quoted(most=8.0):
        assert float(page.get_attribute(".ln-says", "data-ulps")) <= most
        assert "While this page was built" in page.text_content(".ln-says")

    for preset in page.locator("[data-preset]").all():
        preset.click()
        assert len(page.text_content(".ln-story")) > 60
        assert_quoted(8 if lab is GradientLab else math.inf)  # one row has a mean of 2000
        if lab is affine:
            assert_pytorch_agrees(page)
    page.click("[data-do=start]")
    assert page.inner_html("table") == painted
    for stop in EPS_STOPS:
        move(page, "[name=eps]", math.log10(stop))
        assert values(page, "eps") == [torch.tensor(stop).item()]
        assert_quoted()
    if lab is affine:
        page.check("[value=outside]")
        assert_quoted()
    move(page, "[name=x][data-index='0']", 2.5)
    assert page.get_attribute(".ln-says", "data-ulps") == ""
    assert "your browser’s own" in page.text_content(".ln-says")
    assert set(page.locator("[data-quantity=torch]").all_text_contents()) == {"·"}


def test_undo_gives_the_input_back_and_reset_the_normalized_values(show):
    page = show(affine())
    page.click("[data-do=undo]")
    assert values(page, "y") == pytest.approx(ROW, abs=1e-6)
    page.click("[data-do=reset]")
    assert values(page, "y") == values(page, "x_hat")


def test_the_gap_changes_its_sign_at_one_half(show):
    page = show(LayerNormLab(x=ROW, stage="normalize"))
    move(page, "[name=eps]", -4)
    for scale, sign in [(0.2, 1), (0.5, -1)]:  # σ is 1.87 · scale
        for i, v in enumerate(ROW):
            type_in(page, f"[name=x-typed][data-index='{i}']", str(scale * v))
        assert values(page, "sign") == [sign]
        (gap,), (leading,) = values(page, "gap"), values(page, "leading")
        assert gap == pytest.approx(leading, rel=0.02)
    inside, outside = page.locator(".ln-knee").all()
    assert inside.is_visible()
    assert outside.is_visible()


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
    assert "elements 760 to 767 of 768" in page.text_content(".ln-overview")
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
    assert "PyTorch says" in page.text_content(".ln-says")
    lab.x = [1.0, 2.0, 9.0]
    lab.placement, lab.eps = "outside", 2.0
    assert set(hand_over()[0]) == {"x", "weight", "bias", "answer"}
    assert page.is_checked("[value=outside]")
    assert values(page, "eps") == [2.0]
    assert values(page, "y") == pytest.approx(lab.y, abs=1e-6)
    assert "PyTorch says" in page.text_content(".ln-says")
