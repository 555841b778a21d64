"""The gradient lab: its Python half, and its use in a real browser."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from browser import move, run_copied, type_in, values
from test_javascript_arithmetic import backward, breaches

from layernorm_book import layer_norm_backward
from layernorm_book.widgets import GradientLab
from layernorm_book.widgets.gradient import PRESETS, backward_at

ROW, GRAD_Y = [1.0, 2.0, 3.0, 6.0], [4.0, 0.0, 2.0, 2.0]
GRAD_X = [0.875, -1.0625, 0.0, 0.1875]  # at eps 0.5, by hand


def test_the_gradient_is_pytorchs_and_the_references():
    lab = GradientLab(ROW, GRAD_Y, eps=0.5)
    assert lab.grad_x == GRAD_X
    by_hand, *_ = layer_norm_backward(np.array(GRAD_Y), np.array(ROW), (4,), eps=0.5)
    assert lab.grad_x == by_hand.tolist()
    lab.set_state({"eps": 2.0, "x": [0.0, 1.0, 5.0, 2.0]})  # as a front end sends it
    assert lab.grad_x == pytest.approx(backward_at(lab.x, GRAD_Y, 2.0).tolist())
    assert lab.answer == {"revision": 0, "values": lab.grad_x}


def test_a_row_of_another_length_keeps_what_gradient_it_can():
    lab = GradientLab(ROW, GRAD_Y)
    lab.x = [1.0, 5.0]
    assert lab.grad_y == (4.0, 0.0)


def size_of(grad_x):
    return grad_x.abs().max().item()


def test_the_presets_do_what_their_stories_say():
    largest_of = {p["label"]: size_of(backward_at(p["x"], p["grad_y"], 1e-5)) for p in PRESETS}
    assert largest_of["all equal"] < 1e-6
    assert largest_of["a straight line"] < 3e-6
    assert largest_of["n = 2"] < 1e-5
    assert largest_of["constant row"] == pytest.approx(3.5 / 1e-5**0.5)
    assert size_of(backward_at([8.0] + [7.0] * 7, [float(k) for k in range(8)], 1e-5)) < 10
    one = next(p for p in PRESETS if p["label"] == "one output")
    assert (backward_at(one["x"], one["grad_y"], 1e-5) != 0).all()


# --- in a browser ---------------------------------------------------------------------------------


def assert_pytorch_agrees(page, eps):
    x, grad_y, grad_x = (torch.tensor(values(page, k)) for k in ("x", "grad_y", "grad_x"))
    row = (x, torch.ones_like(x), grad_y, eps, "inside")
    assert not breaches([row], [grad_x], backward)
    terms = (torch.tensor(values(page, k)) for k in ("grad_y", "minus_mean", "minus_line"))
    (rstd,) = values(page, "rstd")
    torch.testing.assert_close(rstd * sum(terms), grad_x, rtol=1e-5, atol=1e-5)
    return grad_x


def test_each_slider_moves_the_gradient_and_it_is_pytorchs(show):
    page = show(GradientLab(ROW, GRAD_Y, eps=0.5))
    assert values(page, "grad_x") == GRAD_X
    assert (values(page, "mean_g"), values(page, "mean_g_x_hat")) == ([2.0], [-0.25])
    seen = [assert_pytorch_agrees(page, 0.5)]
    move(page, "[name=eps]", -3)
    seen.append(assert_pytorch_agrees(page, 1e-3))
    type_in(page, "[name=eps-typed]", "0.5")
    for name, index, value in [("x", 0, -1.5), ("x", 3, 0.5), ("grad_y", 1, -3), ("grad_y", 2, 1)]:
        move(page, f"[name={name}][data-index='{index}']", value)
        seen.append(assert_pytorch_agrees(page, 0.5))
    copied = run_copied(page)[1]["x"].grad
    assert copied.tolist() == pytest.approx(values(page, "grad_x"), abs=1e-5)
    assert all(not torch.equal(a, b) for a, b in pairwise(seen))
