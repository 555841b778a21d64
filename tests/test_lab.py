"""The lab's Python half: its traits follow each other, and refuse what they cannot take."""

import json

import ipywidgets
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from traitlets import TraitError

from layernorm_book import layer_norm
from layernorm_book.widgets import LayerNormLab
from layernorm_book.widgets.common import EPS_STOPS
from layernorm_book.widgets.joined import join_modules
from layernorm_book.widgets.lab import PRESETS, STAGES

X = [0.5, -1.25, 3.0, 2.0, 0.0]


def test_the_results_are_pytorchs():
    lab = LayerNormLab(x=X, eps=0.3, weight=[1, 2, 3, 4, 5], bias=[5, 4, 3, 2, 1])
    x = torch.tensor(X)
    y, mean, rstd = torch.native_layer_norm(
        x, (5,), torch.arange(1.0, 6), torch.arange(5.0, 0, -1), 0.3
    )
    assert lab.mean == pytest.approx(mean.item(), rel=1e-6)
    assert lab.var == pytest.approx(x.var(correction=0).item(), rel=1e-6)
    assert lab.rstd == pytest.approx(rstd.item(), rel=1e-6)
    assert torch.equal(torch.tensor(lab.x_hat), F.layer_norm(x, (5,), eps=0.3))
    assert torch.equal(torch.tensor(lab.y), y)


def test_numpy_reference_says_the_same():
    lab = LayerNormLab(x=X, eps=0.3)
    np.testing.assert_allclose(lab.y, layer_norm(np.array(X), (5,), eps=0.3), rtol=2e-6)


def test_results_follow_the_readers_hand():
    lab = LayerNormLab(x=X)
    seen = []
    lab.observe(lambda change: seen.append(change["new"]), "y")
    lab.set_state({"eps": 1.0, "placement": "outside"})  # as a front end sends it
    sigma = np.std(X)
    assert seen
    np.testing.assert_allclose(seen[-1], (X - np.mean(X)) / (sigma + 1), rtol=2e-6)
    assert lab.answer["outside"][0] == list(lab.y)


def test_a_row_of_another_length_brings_its_own_weight_and_bias():
    lab = LayerNormLab(x=X, weight=[2] * 5)
    lab.x = [1.0, 3.0]
    assert (lab.weight, lab.bias) == ((1.0, 1.0), (0.0, 0.0))
    assert lab.y == pytest.approx([-1, 1], abs=1e-4)
    lab.set_state({"x": [1.0, 2.0, 6.0], "weight": [1.0, 2.0, 3.0], "bias": [0.0, 0.0, 1.0]})
    assert lab.weight == (1.0, 2.0, 3.0)


@pytest.mark.parametrize("row", [np.arange(3.0), torch.arange(3), (0, 1, 2)])
def test_arrays_and_tensors_are_rows_too(row):
    assert LayerNormLab(x=row).x == (0.0, 1.0, 2.0)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("x", [], "1 to 4096"),
        ("x", [1.0, float("nan")], "finite"),
        ("x", [1e12], "1e+09"),
        ("x", [[1.0, 2.0]], "one row"),
        ("x", "1, 2", "finite numbers"),
        ("x", [True, False], "finite numbers"),
        ("weight", [1.0], "each of the 5"),
        ("bias", [1.0] * 6, "each of the 5"),
        ("eps", 0.0, "1e-12 to 10"),
        ("eps", 11, "1e-12 to 10"),
        ("eps", float("nan"), "1e-12 to 10"),
        ("eps", "small", "1e-12 to 10"),
        ("placement", "beside", "inside"),
        ("y", [1.0], "read-only"),
    ],
)
def test_a_bad_value_is_refused_and_changes_nothing(name, value, says):
    lab = LayerNormLab(x=X)
    before = lab.get_state()
    with pytest.raises(TraitError) as refusal:
        setattr(lab, name, value)
    assert says in str(refusal.value)
    assert lab.get_state() == before


def test_it_refuses_an_unknown_stage():
    with pytest.raises(TraitError, match="statistics"):
        LayerNormLab(stage="all")


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


def test_its_html_form_holds_the_numbers():
    lab = LayerNormLab(x=[1.0, 2.0, 3.0, 6.0], eps=0.5)
    (data, *_) = lab._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in data
    assert "<td>-0.5</td>" in data["text/html"]
    assert "variance σ² = 3.5" in data["text/html"]


def test_modules_are_joined_in_order_or_not_at_all():
    module = LayerNormLab._esm
    assert module.count("function layerNorm(") == 1
    assert "import {" not in module
    with pytest.raises(ValueError, match=r"lab\.js imports bars\.js"):
        join_modules("layernorm.js", "page.js", "lab.js")
