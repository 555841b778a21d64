"""The axis picker's claims: each line of code, run in PyTorch, shares what the picker says."""

import json
from itertools import product

import numpy as np
import pytest
import torch
from torch import nn
from traitlets import TraitError

from layernorm_book.widgets import AxisPicker
from layernorm_book.widgets.axes import (
    GROUPS,
    LAYOUTS,
    NO_LAYER,
    PRESETS,
    _subsets,
    describe,
    group_numbers,
)

STATES = [
    (layout, shared, groups, centred)
    for layout, facts in LAYOUTS.items()
    for shared in _subsets(facts["axes"])
    for groups in (GROUPS if "C" in shared else (1,))
    for centred in (True, False)
]


def an_input(layout):
    """Numbers of size 1 with a mean of their own, float64."""
    generator = torch.Generator().manual_seed(0)
    shape = LAYOUTS[layout]["shape"]
    return 0.5 + torch.randn(shape, generator=generator, dtype=torch.float64)


def run(line, x):
    """Run the picker's line or lines on x in float64; return y and the layer's γ, if any."""
    made = []

    class Recorder:
        """torch.nn, remembering the layers that the line makes."""

        def __getattr__(self, name):
            def make(*args, **kwargs):
                made.append(getattr(nn, name)(*args, **kwargs).double())
                return made[-1]

            return make

    names = {"torch": torch, "nn": Recorder(), "x": x}
    *lines, last = line.splitlines()
    exec("\n".join(lines), names)
    y = eval(last.removeprefix("y = "), names)
    return y, made[0].weight if made else None


def who_shares(function, x):
    """Number the groups of cells whose outputs depend on one another's inputs."""
    slopes = torch.autograd.functional.jacobian(function, x)
    depends = (slopes.reshape(x.numel(), -1) != 0) | torch.eye(x.numel(), dtype=torch.bool)
    assert torch.equal(depends, depends.T)
    first = depends.int().argmax(dim=1)
    return first.unique(return_inverse=True)[1].reshape(x.shape).numpy()


def normalized_in_groups(x, numbers, centred):
    """Normalize each group by itself, with nothing but its list of cells."""
    y = torch.empty_like(x)
    for group in np.unique(numbers):
        cells = torch.tensor(numbers == group)
        values = x[cells]
        mean = values.mean() if centred else 0.0
        y[cells] = (values - mean) / (values - mean).square().mean().add(1e-5).sqrt()
    return y


def assert_the_claim_holds(layout, numbers, name, line, weight, centred):
    """Run the line: same groups, same numbers, γ of the shape that is said."""
    x = an_input(layout)
    y, gamma = run(line, x)
    assert (name == NO_LAYER) == (gamma is None)
    assert weight == ("" if gamma is None else str(tuple(gamma.shape)))
    torch.testing.assert_close(
        y.detach(), normalized_in_groups(x, numbers, centred), atol=2e-4, rtol=0
    )
    np.testing.assert_array_equal(who_shares(lambda x: run(line, x)[0], x), numbers)


@pytest.mark.parametrize(("layout", "shared", "groups", "centred"), STATES)
def test_every_line_does_what_the_picker_says(layout, shared, groups, centred):
    said = describe(layout, shared, groups, centred)
    numbers = group_numbers(layout, shared, groups)
    assert_the_claim_holds(layout, numbers, said["name"], said["line"], said["weight"], centred)
    if said["name"] != NO_LAYER:
        assert f"nn.{said['name']}(" in said["line"]


def test_a_wrong_claim_is_caught():
    numbers = group_numbers("images", "CHW")
    for line in ("nn.BatchNorm2d(4)(x)", "nn.GroupNorm(2, 4)(x)", "nn.RMSNorm((4, 2, 3))(x)"):
        name = line[3 : line.index("(")]
        weight = "(4, 2, 3)" if "RMS" in line else "(4,)"
        with pytest.raises(AssertionError):
            assert_the_claim_holds("images", numbers, name, line, weight, centred=True)
    line = "nn.LayerNorm((4, 2, 3))(x)"
    with pytest.raises(AssertionError):
        assert_the_claim_holds("images", numbers, "LayerNorm", line, "(4,)", centred=True)


def candidates(shape):
    """Every normalization layer of torch.nn with every argument that could fit x as it stands."""
    for suffix in range(1, len(shape) + 1):
        yield nn.LayerNorm(shape[-suffix:])
        yield nn.RMSNorm(shape[-suffix:])
    for size, d in product(set(shape), "123"):
        yield getattr(nn, f"BatchNorm{d}d")(size)
        yield getattr(nn, f"InstanceNorm{d}d")(size, affine=True)
    for size in set(shape):
        yield from (nn.GroupNorm(k, size) for k in range(1, size + 1) if size % k == 0)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_where_no_layer_is_named_none_takes_x_as_it_stands(layout):
    x = an_input(layout)
    found = set()
    for layer in candidates(x.shape):
        try:
            numbers = who_shares(layer.double(), x)
        except (RuntimeError, ValueError):
            continue  # it refuses this shape
        found.add((numbers.tobytes(), not isinstance(layer, nn.RMSNorm)))
    named = {
        (group_numbers(layout, shared, groups).tobytes(), centred)
        for where, shared, groups, centred in STATES
        if where == layout and describe(layout, shared, groups, centred)["name"] != NO_LAYER
    }
    alone = group_numbers(layout, "").tobytes()  # a layer over an axis of size 1 shares nothing
    assert len(found) > 5
    assert {state for state in found if state[0] != alone} <= named


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_preset_is_the_layer_of_its_name(layout):
    for name, state in PRESETS[layout].items():
        assert describe(layout, *state)["name"].rstrip("12d") == name


def test_the_traits_and_what_follows_from_them():
    picker = AxisPicker()
    assert (picker.name, picker.group_count, picker.n) == ("LayerNorm", 2, 24)
    picker.groups = 2
    assert (picker.name, picker.line) == ("GroupNorm", "nn.GroupNorm(2, 4)(x)")
    assert (picker.group_count, picker.weight_shape) == (4, "(4,)")
    picker.shared = "H"
    assert picker.name == NO_LAYER
    assert picker.weight_shape == ""
    picker.cell = 47
    picker.layout = "tokens"
    assert (picker.shared, picker.cell) == ("C", 0)
    picker.set_state({"layout": "images", "shared": "NHW"})  # as a front end sends it
    assert picker.name == "BatchNorm2d"
    json.dumps(picker.answers)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("shared", "T", "letters of NCHW"),
        ("shared", "HC", "in this order"),
        ("shared", 3, "unicode"),
        ("groups", 3, "1"),
        ("layout", "video", "images"),
        ("cell", 48, "0 to 47"),
        ("cell", -1, "0 to 47"),
        ("answers", {}, "read-only"),
    ],
)
def test_a_bad_value_is_refused_and_changes_nothing(name, value, says):
    picker = AxisPicker()
    before = picker.get_state()
    with pytest.raises(TraitError) as refusal:
        setattr(picker, name, value)
    assert says in str(refusal.value)
    assert picker.get_state() == before


def test_its_html_form_names_the_layers():
    (data, *_) = AxisPicker()._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in data
    assert "nn.GroupNorm(2, 4)(x)" in data["text/html"]
    assert "nn.LayerNorm(4)(x)" in AxisPicker("tokens").to_html()
