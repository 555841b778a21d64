"""The gradient lab: its Python half, and its use in a real browser."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from browser import join_to_python, move, open_lab, run_copied, serve, type_in, values, write_page
from test_javascript_arithmetic import backward, breaches
from traitlets import TraitError

from layernorm_book import layer_norm_backward
from layernorm_book.widgets import GradientLab
from layernorm_book.widgets.gradient import PRESETS, backward_at
from layernorm_book.widgets.rows import EPS_STOPS

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


def test_what_cannot_be_taken_is_refused_and_nothing_changes():
    lab = GradientLab(ROW, GRAD_Y)
    for name, value in [("x", [1.0] * 21), ("x", "row"), ("grad_y", [1.0]), ("eps", 0.0)]:
        with pytest.raises(TraitError, match=rf"{name} takes"):
            setattr(lab, name, value)
    assert (lab.x, lab.grad_y) == (tuple(ROW), tuple(GRAD_Y))
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


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gradient")
    write_page(folder, "start", GradientLab())
    write_page(folder, "small", GradientLab(ROW, GRAD_Y, eps=0.5))
    site, stop = serve(folder)
    yield site
    stop()


@pytest.fixture
def open_page(page, site):
    return lambda name: open_lab(page, site.url(f"{name}.html"))


def assert_pytorch_agrees(page, eps):
    x, grad_y, grad_x = (torch.tensor(values(page, k)) for k in ("x", "grad_y", "grad_x"))
    row = (x, torch.ones_like(x), grad_y, eps, "inside")
    assert not breaches([row], [grad_x], backward)
    terms = (torch.tensor(values(page, k)) for k in ("grad_y", "minus_mean", "minus_line"))
    (rstd,) = values(page, "rstd")
    torch.testing.assert_close(rstd * sum(terms), grad_x, rtol=1e-5, atol=1e-5)
    return grad_x


def test_each_slider_moves_the_gradient_and_it_is_pytorchs(open_page):
    page = open_page("small")
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


def test_pytorch_is_quoted_where_it_answered_and_nowhere_else(open_page):
    page = open_page("start")
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


def test_typed_numbers_are_taken_or_refused_with_the_reason(open_page):
    page = open_page("small")
    field = "[name=grad_y-typed][data-index='2']"
    type_in(page, field, "−0,5")
    assert values(page, "grad_y")[2] == -0.5
    type_in(page, field, "much")
    assert "takes a number from" in page.text_content(".ln-done")
    assert values(page, "grad_y")[2] == -0.5


def test_copied_python_gives_the_same_gradient(open_page):
    page = open_page("start")
    _, names = run_copied(page)
    assert names["x"].grad.tolist() == pytest.approx(values(page, "grad_x"), abs=1e-6)


def test_python_and_the_page_follow_each_other(open_page):
    page, lab = open_page("small"), GradientLab(ROW, GRAD_Y, eps=0.5)
    hand_over = join_to_python(page, lab)
    assert "PyTorch’s backward says" in page.text_content(".ln-says")
    move(page, "[name=grad_y][data-index='0']", -2)
    page.evaluate("window.saved")
    assert float(page.get_attribute(".ln-says", "data-ulps")) <= 8
    assert lab.grad_y[0] == -2.0
    assert lab.grad_x == pytest.approx(values(page, "grad_x"), abs=1e-6)
    lab.x = [0, 1, 2, 9]
    hand_over()
    assert values(page, "x") == [0.0, 1.0, 2.0, 9.0]
    assert values(page, "grad_x") == pytest.approx(lab.grad_x, abs=1e-6)
