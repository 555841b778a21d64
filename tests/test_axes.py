"""The axis picker: each line of code, run in PyTorch, shares what the picker says it does."""

import json
from itertools import product

import numpy as np
import pytest
import torch
from browser import run_copied
from torch import nn

from layernorm_book.widgets import AxisPicker
from layernorm_book.widgets.axes import (
    LAYOUTS,
    NO_LAYER,
    PRESETS,
    STATES,
    describe,
    group_numbers,
)

CELLS = ".ln-cells label"


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
    name, line, weight, note = describe(layout, shared, groups, centred)
    numbers = group_numbers(layout, shared, groups)
    assert_the_claim_holds(layout, numbers, name, line, weight, centred)
    assert note
    if name != NO_LAYER:
        assert f"nn.{name}(" in line


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
        if where == layout and describe(layout, shared, groups, centred).name != NO_LAYER
    }
    alone = group_numbers(layout, "").tobytes()  # a layer over an axis of size 1 shares nothing
    assert len(found) > 5
    assert {state for state in found if state[0] != alone} <= named


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_preset_is_the_layer_of_its_name(layout):
    for name, state in PRESETS[layout].items():
        assert describe(layout, *state).name.rstrip("12d") == name


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


# --- in a browser ---------------------------------------------------------------------------------


def lit(page):
    """Return the indices of the cells that are lit."""
    return page.eval_on_selector_all(
        f"{CELLS}.ln-on", "cells => cells.map(cell => Number(cell.dataset.index))"
    )


# Clicks until the controls say this; returns what the readouts and the cells then show.
CHOOSE = """([shared, groups, centred]) => {
    const all = (selector) => [...document.querySelectorAll(`.ln-lab ${selector}`)];
    const want = (input, on) => input.checked === on || input.click();
    all("[name=axis]").forEach((box) => want(box, shared.includes(box.value)));
    all(`[name=groups][value="${groups}"]`).forEach((input) => want(input, true));
    all("[name=centred]").forEach((box) => want(box, centred));
    const values = all("[data-quantity]").map(
        (node) => [node.dataset.quantity, [node.dataset.value, node.textContent]]);
    return { ...Object.fromEntries(values), trace: all(".ln-trace")[0].textContent,
        cut: !all("[name=groups]")[0].matches(":disabled"),
        cells: all("label[data-group]").map(
            (cell) => [cell.dataset.group, cell.lastElementChild.textContent]) };
}"""


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_state_shows_what_python_says_of_it(show, layout):
    """And what Python says is what PyTorch does, by the tests above."""
    page = show(AxisPicker(layout))
    for shared, groups, centred in (state[1:] for state in STATES if state[0] == layout):
        shown = page.evaluate(CHOOSE, [shared, groups, centred])
        name, line, weight, note = describe(layout, shared, groups, centred)
        numbers = group_numbers(layout, shared, groups).flatten()
        count = len(np.unique(numbers))
        assert shown["cells"] == [[str(number)] * 2 for number in numbers]
        assert (shown["name"], shown["line"], shown["note"]) == ([name] * 2, [line] * 2, [note] * 2)
        assert shown["weight"] == [weight, weight or "yours to choose"]
        assert (shown["groups"][0], shown["n"][0]) == (str(count), str(numbers.size // count))
        assert shown["cut"] == ("C" in shared)
        assert ("mean square" in shown["trace"]) == (not centred and count < numbers.size)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_preset_chooses_its_layer(show, layout):
    page = show(AxisPicker(layout))
    assert page.locator("[aria-pressed=true]").all_text_contents()[0] == "LayerNorm"
    assert page.locator("[data-preset]").all_text_contents() == list(PRESETS[layout])
    for name in PRESETS[layout]:
        page.click(f"[data-preset={name}]")
        shown = page.get_attribute("[data-quantity=name]", "data-value")
        assert shown.rstrip("12d") == name
        assert page.locator("[aria-pressed=true]").all_text_contents() == [name]
        if name != "RMSNorm":  # the copied lines normalize each group
            y = run_copied(page)[1]["y"].detach()
            for group in np.unique(numbers := group_numbers(layout, *PRESETS[layout][name][:2])):
                assert y[torch.tensor(numbers == group)].mean().abs() < 1e-5


def test_the_pointer_lights_a_group_and_a_click_keeps_it(show):
    page = show(AxisPicker())
    assert lit(page) == list(range(24))
    page.hover(f"{CELLS}[data-index='40']")
    assert lit(page) == list(range(24, 48))
    assert "x[1, 2, 1, 1] is in group 1: 24 cells" in page.text_content(".ln-trace")
    page.mouse.move(2, 2)
    assert lit(page) == list(range(24))
    page.click(f"{CELLS}[data-index='40']")
    page.mouse.move(2, 2)
    assert lit(page) == list(range(24, 48))
    page.click("[data-preset=BatchNorm]")
    assert lit(page) == [12, 13, 14, 15, 16, 17, 36, 37, 38, 39, 40, 41]


def test_keys_choose_and_a_cell_says_where_it_lies(show):
    page = show(AxisPicker())
    page.focus("[name=axis][value=C]")
    page.keyboard.press("Space")
    assert page.text_content("[data-quantity=name]") == "InstanceNorm2d"
    page.focus("[name=cell]:checked")
    for _ in range(6):
        page.keyboard.press("ArrowRight")
    assert lit(page) == [6, 7, 8, 9, 10, 11]
    cell = page.get_by_role("radio", name="batch 1, channel 2, height 0, width 1: group 6")
    assert cell.get_attribute("value") == "37"
    page.focus("[name=layout]:checked")
    page.keyboard.press("ArrowRight")
    assert page.text_content("pre") == "nn.LayerNorm(4)(x)"
    assert page.evaluate("document.activeElement.name") == "layout"


def test_two_pickers_on_a_page_leave_each_other_alone(show):
    page = show(AxisPicker(), AxisPicker("tokens"))
    first, second = page.locator(".ln-picker").all()
    first.locator("[data-preset=BatchNorm]").click()
    assert second.locator("[data-quantity=line]").text_content() == "nn.LayerNorm(4)(x)"
    assert second.locator("[name=cell]:checked").count() == 1
    assert first.locator("[name=cell]:checked").count() == 1


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_finger_hits_each_cell(show, page, layout):
    show(AxisPicker(layout)).evaluate(CHOOSE, ["NC", 2, True])  # the longest code
    for width in (320, 390, 640):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= width + 8
        box = page.locator(CELLS).first.bounding_box()
        assert min(box["width"], box["height"]) >= 24


def test_the_numbers_can_be_read_in_light_and_dark(show):
    page = show(AxisPicker())
    page.click("[data-preset=InstanceNorm]")
    contrast = """() => {
        const canvas = document.createElement("canvas").getContext("2d");
        const light = (colour) => {
            canvas.fillStyle = colour;
            canvas.fillRect(0, 0, 1, 1);
            const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3)
                .map(v => v / 255)
                .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
            return 0.2126 * r + 0.7152 * g + 0.0722 * b;
        };
        return Math.min(...[...document.querySelectorAll(".ln-cells label")].map((cell) => {
            const style = getComputedStyle(cell);
            const [a, b] = [style.color, style.backgroundColor].map(light).sort((p, q) => q - p);
            return (a + 0.05) / (b + 0.05);
        }));
    }"""
    for theme in ("light", "dark"):
        page.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
        for index in range(0, 48, 6):  # each tint, lit and not
            page.check(f"[name=cell][value='{index}']")
            assert page.evaluate(contrast) > 4.5
