"""The bit lab: its Python half, and its use in a real browser."""

import struct

import numpy as np
import pytest
import torch
from browser import move, run_copied, type_in

from layernorm_book.widgets import BitLab
from layernorm_book.widgets.bits import EXPONENT_BITS, FORMATS, PRESETS, stored_bits


@pytest.mark.parametrize("dtype", FORMATS)
def test_the_bits_read_back_as_the_number(dtype):
    k = EXPONENT_BITS[dtype]
    for value in (1.0, 1e-5, 6e-8, 0.3, 1000.0):
        bits = stored_bits(value, dtype)
        e, f = int(bits[1 : 1 + k], 2), int(bits[1 + k :], 2) / 2 ** (len(bits) - 1 - k)
        bias = 2 ** (k - 1) - 1
        read = (1 + f) * 2.0 ** (e - bias) if e else f * 2.0 ** (1 - bias)
        assert read == torch.tensor(value, dtype=dtype).item()
    assert (
        stored_bits(1.5, torch.float32) == f"{struct.unpack('>I', struct.pack('>f', 1.5))[0]:032b}"
    )


# --- in a browser ---------------------------------------------------------------------------------


@pytest.fixture
def lab(show):
    return show(BitLab())


def readouts(page, quantity):
    nodes = f"[data-quantity='{quantity}']"
    return page.eval_on_selector_all(nodes, "nodes => nodes.map(node => node.dataset.value)")


def assert_pytorch_agrees(page, eps):
    eps = np.float32(eps).item()
    assert readouts(page, "bits") == [stored_bits(eps, dtype) for dtype in FORMATS]
    stored = [torch.tensor(eps, dtype=dtype) for dtype in FORMATS]
    assert [float(v) for v in readouts(page, "stored")] == [v.item() for v in stored]
    assert [float(v) for v in readouts(page, "plus")] == [(1 + v).item() for v in stored]


def test_the_untouched_lab_shows_a_lost_eps(lab):
    assert_pytorch_agrees(lab, 1e-8)
    assert readouts(lab, "kind") == ["normal", "zero", "normal"]
    assert [float(v) for v in readouts(lab, "plus")] == [1, 1, 1]
    assert lab.get_attribute(".ln-says", "data-agrees") == "true"
    stored = run_copied(lab)[1]["stored"]
    assert [v.item() for v in stored] == [float(v) for v in readouts(lab, "stored")]


def test_the_slider_moves_the_bits(lab):
    for log, kind in ((-5, "subnormal"), (-3, "normal"), (-13, "zero"), (0, "normal")):
        move(lab, "[name=eps]", log)
        assert_pytorch_agrees(lab, float(f"{10.0**log:.3g}"))
        assert readouts(lab, "kind")[1] == kind
    assert lab.get_attribute(".ln-says", "data-agrees") == ""  # PyTorch was not asked for 1


def test_any_positive_number_can_be_typed(lab):
    for text, eps in (("6e-8", 6e-8), ("1e−42", 1e-42), ("0,25", 0.25), ("70000", 70000)):
        type_in(lab, "[name=eps-typed]", text)
        assert_pytorch_agrees(lab, eps)
    assert readouts(lab, "kind") == ["normal", "infinite", "normal"]
    for text in ("0", "-1"):
        type_in(lab, "[name=eps-typed]", text)
        assert_pytorch_agrees(lab, 70000)
    assert lab.input_value("[name=eps-typed]") == "70000"


def test_each_button_is_its_value(lab):
    for k, (label, _) in enumerate(PRESETS):
        lab.click(f".ln-presets button >> nth={k}")
        assert readouts(lab, "bits") == [stored_bits(float(label), dtype) for dtype in FORMATS]
        assert lab.get_attribute(".ln-says", "data-agrees") == "true"


def test_names_for_assistive_technology(lab):
    assert lab.get_by_label("ε as a number").count() == 1
    assert lab.get_by_role("slider", name="ε on a logarithmic scale").count() == 1
    images = lab.get_by_role("img")
    assert images.count() == len(FORMATS)
    assert images.nth(1).get_attribute("aria-label") == (
        "sign 0, exponent 00000, fraction 0000000000"
    )
    move(lab, "[name=eps]", -5)
    lab.wait_for_function("document.querySelector('.ln-live').textContent")
    assert "float16 subnormal" in lab.text_content(".ln-live")
