"""The axis picker: each line of code, run in PyTorch, shares what the picker says it does."""

import json
from itertools import pairwise, product

import numpy as np
import pytest
import torch
from browser import join_to_python, move, open_lab, run_copied, run_on_packed, values
from torch import nn
from traitlets import TraitError

from layernorm_book.widgets import AxisPicker
from layernorm_book.widgets.axes import (
    ALPHA,
    BUNDLED,
    EPS,
    LAYOUTS,
    NO_LAYER,
    PRESETS,
    RELATIVES,
    STATES,
    describe,
    group_numbers,
    normalize_groups,
)

CELLS = ".ln-cells label"
WIDGETS = BUNDLED.parent
SOURCES = {
    name: (WIDGETS / name).read_text(encoding="utf-8") for name in ("layernorm.js", "relatives.js")
}


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


def normalized_in_groups(x, numbers, statistics):
    """Normalize each group by itself, with nothing but its list of cells."""
    if statistics == "none":
        return torch.tanh(ALPHA * x)
    y, centred = torch.empty_like(x), statistics == "variance"
    for group in np.unique(numbers):
        cells = torch.tensor(numbers == group)
        values = x[cells]
        mean = values.mean() if centred else 0.0
        y[cells] = (values - mean) / (values - mean).square().mean().add(EPS).sqrt()
    return y


def assert_the_claim_holds(layout, numbers, name, line, weight, statistics="variance"):
    """Run the line: same groups, same numbers, γ of the shape that is said."""
    x = an_input(layout)
    y, gamma = run(line, x)
    assert (name in (NO_LAYER, "DyT")) == (gamma is None)
    assert weight == ("" if gamma is None else str(tuple(gamma.shape)))
    torch.testing.assert_close(
        y.detach(), normalized_in_groups(x, numbers, statistics), atol=1e-12, rtol=0
    )
    np.testing.assert_array_equal(who_shares(lambda x: run(line, x)[0], x), numbers)


@pytest.mark.parametrize(("layout", "shared", "groups", "statistics"), STATES)
def test_every_line_does_what_the_picker_says(layout, shared, groups, statistics):
    name, line, weight, note = describe(layout, shared, groups, statistics)
    numbers = group_numbers(layout, shared, groups)
    assert_the_claim_holds(layout, numbers, name, line, weight, statistics)
    assert note
    if name not in (NO_LAYER, "DyT"):
        assert f"nn.{name}(" in line


def test_a_wrong_claim_is_caught():
    numbers = group_numbers("images", "CHW")
    for line in ("nn.BatchNorm2d(4)(x)", "nn.GroupNorm(2, 4)(x)", "nn.RMSNorm((4, 2, 3))(x)"):
        name = line[3 : line.index("(")]
        weight = "(4, 2, 3)" if "RMS" in line else "(4,)"
        with pytest.raises(AssertionError):
            assert_the_claim_holds("images", numbers, name, line, weight)
    line = "nn.LayerNorm((4, 2, 3))(x)"
    with pytest.raises(AssertionError):
        assert_the_claim_holds("images", numbers, "LayerNorm", line, "(4,)")


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
        (group_numbers(layout, shared, groups).tobytes(), statistics == "variance")
        for where, shared, groups, statistics in STATES
        if where == layout and describe(layout, shared, groups, statistics).name != NO_LAYER
    }
    alone = group_numbers(layout, "").tobytes()  # a layer over an axis of size 1 shares nothing
    assert len(found) > 5
    assert {state for state in found if state[0] != alone} <= named


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_preset_is_the_layer_of_its_name_and_changes_one_thing(layout):
    for name, state in RELATIVES[layout].items():
        assert describe(layout, *state).name.rstrip("12d") == name
    rows = list(PRESETS[layout].values())
    assert list(PRESETS[layout]) == ["BatchNorm", "LayerNorm", "RMSNorm", "DyT"]
    for one, next_one in pairwise(rows):
        assert sum(a != b for a, b in zip(one, next_one, strict=True)) == 1


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
    assert picker.x[:4] == (1.0, 2.0, 3.0, 6.0)
    assert len(picker.answer["values"]) == 24
    picker.set_state({"layout": "images", "shared": "NHW", "x": [0.0] * 48})  # as a front end does
    assert picker.name == "BatchNorm2d"
    picker.statistics = "none"
    assert (picker.name, picker.n) == ("DyT", 1)
    json.dumps(picker.answers)
    for x in ([0.0] * 47, [11.0] * 48):
        with pytest.raises(TraitError, match="x takes 48 numbers from -10 to 10"):
            picker.x = x


@pytest.mark.parametrize("layout", LAYOUTS)
def test_pytorch_answers_with_the_layer_that_is_named(layout):
    x = torch.tensor(LAYOUTS[layout]["start"], dtype=torch.float32)
    for shared, groups, statistics in (state[1:] for state in STATES if state[0] == layout):
        line = describe(layout, shared, groups, statistics).line
        names = {"torch": torch, "nn": nn, "x": x.reshape(LAYOUTS[layout]["shape"])}
        *lines, last = line.splitlines()
        exec("\n".join(lines), names)
        y = eval(last.removeprefix("y = "), names).detach().flatten()
        answer = normalize_groups(layout, shared, groups, statistics, x)
        torch.testing.assert_close(y, answer, atol=2e-5, rtol=0)


# --- the arithmetic -------------------------------------------------------------------------------

# The statistic of each cell's group and its output, for each row; and who has moved.
NORMALIZE = """
    const floats = new Float32Array(packed);
    const out = [];
    let from = 0;
    for (const { layout, shared, groups, statistics } of rows) {
        const x = floats.subarray(from, (from += layout.start.length));
        const moved = module.whatMoved(layout, { x: [...x], shared, groups, statistics });
        out.push(...moved.out, ...moved.numbers.map((group) => moved.statistic[group] ?? 0),
            ...moved.moved.out, ...moved.moved.cells);
    }
    return Float32Array.from(out);"""


def drawn_states():
    """Return each choice at the start, and 500 more with cells that have moved."""
    rng = np.random.default_rng(1)
    rows = [(*state, np.float32(LAYOUTS[state[0]]["start"])) for state in STATES]
    for k in range(500):
        state = STATES[rng.integers(len(STATES))]
        x = np.float32(LAYOUTS[state[0]]["start"])
        count = rng.integers(1, 4) if k % 2 else len(x)
        where = rng.choice(len(x), count, replace=False)
        value = rng.uniform(-10, 10, count)
        x[where] = value if k % 3 else value.round()
        rows.append((*state, x))
    return rows


def run_states(page, sources=SOURCES):
    """Return [(state, x, out, statistic, out has moved, cell has moved)]."""
    rows = drawn_states()
    described = [
        {"layout": LAYOUTS[r[0]], "shared": r[1], "groups": r[2], "statistics": r[3]} for r in rows
    ]
    packed = b"".join(row[4].tobytes() for row in rows)
    results = run_on_packed(page, sources, "relatives.js", NORMALIZE, packed, described)
    results = np.split(np.frombuffer(results, "f4"), np.cumsum([4 * len(r[4]) for r in rows])[:-1])
    return [(r[:4], r[4], *np.split(part, 4)) for r, part in zip(rows, results, strict=True)]


def breaches(page, sources=SOURCES):
    """Return the states at which JavaScript and PyTorch disagree about a number or a mover."""
    found = []
    for state, x, out, statistic, moved, cells in run_states(page, sources):
        layout, shared, groups, statistics = state
        numbers = group_numbers(layout, shared, groups).flatten()
        own = normalize_groups(*state, x).numpy()
        exact = torch.tensor(x, dtype=torch.float64)
        exact = normalized_in_groups(exact, numbers, statistics).numpy()
        # As tests/test_javascript_arithmetic.py: four times PyTorch's error and some units, here
        # of values up to 10 that a small σ may magnify.
        means = {g: x[numbers == g].astype("f8").mean() for g in np.unique(numbers)}
        squares = {g: np.square(x[numbers == g].astype("f8")).mean() for g in np.unique(numbers)}
        of_cell = np.array([(squares if statistics == "square" else means)[g] for g in numbers])
        variance = {g: x[numbers == g].astype("f8").var() for g in np.unique(numbers)}
        size = np.array(
            [np.abs(x[numbers == g]).max() / (variance[g] + EPS) ** 0.5 for g in numbers]
        )
        allowed = 4 * np.abs(own - exact).max() + 16 * 2.0**-23 * (1 + size)
        good = (np.abs(out - exact) <= allowed).all()
        if statistics != "none":
            good &= np.allclose(statistic, of_cell, rtol=1e-6, atol=1e-6)
        good &= (cells == (x != np.float32(LAYOUTS[layout]["start"]))).all()
        touched = np.isin(numbers, numbers[cells > 0])
        good &= not moved[~touched].any()
        before = normalize_groups(*state, LAYOUTS[layout]["start"]).numpy()
        good &= (moved[np.abs(own - before) > 1e-4] == 1).all()
        if not good:
            found.append(state)
    return found


def test_every_choice_and_500_drawn_states_agree_with_pytorch(page):
    assert len(drawn_states()) == len(STATES) + 500
    assert breaches(page) == []


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ('letter === "C" ? groups : 1', "1"),
        ("!shared.includes(letter)", "shared.includes(letter)"),
        ("= meanSquare(x)", "= x[0] * x[0]"),
        ("f(ALPHA * v)", "v"),
        ("layerNorm(x, { eps: EPS })", "layerNorm(x, { eps: 0.1 })"),
        ("normalizeGroups(layout.start, numbers, statistics)", "now"),
        ("out: places(now.out, start.out)", "out: [...now.out].map(() => true)"),
    ],
)
def test_broken_arithmetic_is_found(page, right, wrong):
    source = SOURCES["relatives.js"]
    assert source.count(right) == 1
    assert breaches(page, SOURCES | {"relatives.js": source.replace(right, wrong)})


@pytest.mark.parametrize(
    ("cells", "statistic", "out", "statistics", "said"),
    [
        (
            [False] * 4,
            [False],
            [False] * 4,
            "variance",
            "Nothing has moved yet. Drag a cell of x, and see who moves with it.",
        ),
        (
            [True, False, False, False],
            [True, False],
            [True, True, False, False],
            "variance",
            "You moved 1 cell: 1 mean and 2 outputs moved, 2 stand still.",
        ),
        (
            [True, True, False, False],
            [True],
            [True] * 4,
            "square",
            "You moved 2 cells: 1 mean square and 4 outputs moved, nobody stands still.",
        ),
        (
            [True, True, True, False],
            [True, True],
            [True, True, True, False],
            "variance",
            "You moved 3 cells: 2 means and 3 outputs moved, 1 stands still.",
        ),
        (
            [True, True, False, False],
            [False, False],
            [True, True, False, False],
            "variance",
            "You moved 2 cells: no means and 2 outputs moved, 2 stand still.",
        ),
        (
            [True, False],
            [True, False],
            [False, False],
            "variance",
            "You moved 1 cell: 1 mean and no outputs moved, 2 stand still.",
        ),
        (
            [True, False, False],
            [],
            [True, False, False],
            "none",
            "You moved 1 cell: 1 output moved, 2 stand still.",
        ),
    ],
)
def test_the_sentence_says_what_follows_from_the_state(
    page, cells, statistic, out, statistics, said
):
    run = "return new TextEncoder().encode(module.consequence(...rows))"
    rows = [{"cells": cells, "statistic": statistic, "out": out}, statistics]
    assert run_on_packed(page, SOURCES, "relatives.js", run, b"", rows).decode() == said


# --- in a browser ---------------------------------------------------------------------------------


def lit(page):
    """Return the indices of the cells that are lit."""
    return page.eval_on_selector_all(
        ".ln-outputs .ln-on", "cells => cells.map(cell => Number(cell.dataset.index))"
    )


# Clicks until the controls say this; returns what the readouts and the cells then show.
CHOOSE = """([shared, groups, statistics]) => {
    const all = (selector) => [...document.querySelectorAll(`.ln-lab ${selector}`)];
    const want = (input, on) => input.checked === on || input.click();
    all(`[name=statistics][value="${statistics}"]`).forEach((input) => want(input, true));
    all("[name=axis]:enabled").forEach((box) => want(box, shared.includes(box.value)));
    all(`[name=groups][value="${groups}"]:enabled`).forEach((input) => want(input, true));
    const facts = all("output[data-quantity], p [data-quantity], code").map(
        (node) => [node.dataset.quantity, [node.dataset.value, node.textContent]]);
    return { ...Object.fromEntries(facts), trace: all(".ln-trace")[0].textContent,
        says: all(".ln-says")[0].textContent,
        cut: !all("[name=groups]")[0].matches(":disabled"),
        cells: all("label[data-group]").map((cell) => Number(cell.dataset.group)),
        outputs: all("[data-quantity=x_hat]").map((cell) => Number(cell.dataset.value)),
        means: all("[data-quantity=mean]").map((cell) => cell.dataset.value) };
}"""


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_state_shows_what_python_says_of_it(show, layout):
    """And what Python says is what PyTorch does, by the tests above."""
    page = show(AxisPicker(layout))
    for shared, groups, statistics in (state[1:] for state in STATES if state[0] == layout):
        shown = page.evaluate(CHOOSE, [shared, groups, statistics])
        name, line, weight, note = describe(layout, shared, groups, statistics)
        numbers = group_numbers(layout, shared, groups).flatten()
        count = len(np.unique(numbers))
        none = statistics == "none"
        assert shown["cells"] == numbers.tolist()
        assert (shown["name"], shown["line"], shown["note"]) == ([name] * 2, [line] * 2, [note] * 2)
        assert shown["weight"] == [weight, weight or "yours to choose"]
        assert shown["groups"][0] == ("none" if none else str(count))
        assert shown["n"][0] == str(numbers.size // count)
        assert shown["cut"] == ("C" in shared and not none)
        assert ("mean square" in shown["trace"]) == (
            statistics == "square" and count < len(numbers)
        )
        y = normalize_groups(layout, shared, groups, statistics, LAYOUTS[layout]["start"])
        np.testing.assert_allclose(shown["outputs"], y, atol=1e-5)
        assert len(set(zip(shown["means"], numbers, strict=True))) == count


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
        assert "PyTorch gives the same" in page.text_content(".ln-says")
        y = run_copied(page)[1]["y"].detach().flatten()  # the copied lines give what is shown
        np.testing.assert_allclose(values(page, "x_hat"), y, atol=1e-5)
    page.locator("[name=x]").press("ArrowRight")
    assert "not asked" in page.text_content(".ln-says")


def pull(page, cell, dx, dy):
    """Drag a cell's value by some pixels, and leave the lab."""
    box = page.locator(f"{CELLS}[data-index='{cell}']").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + dx, y + dy, steps=3)
    page.mouse.up()
    page.mouse.move(2, 2)


MARKED = """kind => [...document.querySelectorAll(`.ln-${kind} .ln-cell.ln-moved`)].map(
    (cell) => Number(cell.dataset.index))"""


def test_who_shares_a_mean_is_who_moves(show):
    page = show(AxisPicker("tokens", shared="C"))
    before = values(page, "mean"), values(page, "x_hat")
    assert page.text_content("[data-quantity=consequence]").startswith("Nothing has moved yet")
    pull(page, 3, 0, -32)  # up: from 6 to 10
    assert values(page, "x")[:4] == [1, 2, 3, 10]
    for quantity, old in zip(("mean", "x_hat"), before, strict=True):
        new = values(page, quantity)
        assert [i for i in range(24) if new[i] != old[i]] == [0, 1, 2, 3]
    assert [page.evaluate(MARKED, k) for k in ("cells", "means", "outputs")] == [
        [3],
        [0, 1, 2, 3],
        [0, 1, 2, 3],
    ]
    said = "You moved 1 cell: 1 mean and 4 outputs moved, 20 stand still."
    assert page.text_content("[data-quantity=consequence]") == said
    pull(page, 0, 9, 40)  # down lowers, and ends at −10 however far one goes
    assert values(page, "x")[0] == -3
    pull(page, 0, -300, 0)
    assert values(page, "x")[0] == -10
    # The same numbers under other axes: everybody of those features moves, in both sequences.
    page.click("[data-preset=BatchNorm]")
    assert page.evaluate(MARKED, "outputs") == [k for k in range(24) if k % 4 in (0, 3)]
    page.click("[data-preset=DyT]")
    assert page.evaluate(MARKED, "outputs") == [0, 3]
    assert "2 outputs moved, 22" in page.text_content("[data-quantity=consequence]")
    said = {"LayerNorm": "Same colour: same mean.", "RMSNorm": "same mean square.", "DyT": "your"}
    for preset, words in said.items():
        page.click(f"[data-preset={preset}]")
        assert words in page.text_content(".ln-legend")
        assert ("same" in page.text_content(".ln-legend")) == (preset != "DyT")
    page.click("[data-do=back]")
    assert page.text_content("[data-quantity=consequence]").startswith("Nothing has moved yet")


@pytest.mark.parametrize(("layout", "width"), [("tokens", 704), ("images", 704), ("tokens", 320)])
def test_the_cells_stay_under_the_hand(show, page, layout, width):
    """The sentence above them grows and shrinks; a column of a page leaves a lab 688 px."""
    page.set_viewport_size({"width": width, "height": 900})
    show(AxisPicker(layout, shared="C", by_hand=layout == "tokens"))
    place = "document.querySelector('.ln-cells label').getBoundingClientRect().top"
    before = page.evaluate(place)
    for statistic in ("variance", "square", "none") if layout == "images" else (None,):
        if statistic:
            page.check(f"[name=statistics][value={statistic}]")
        for cell in range(0, 24, 2):
            page.check(f"[name=cell][value='{cell}']")
            page.locator(".ln-pull [name=x]").press("End" if cell % 4 else "Home")
            assert page.evaluate(place) == before
        page.click("[data-do=back]")


def test_two_moves_that_cancel_leave_the_mean(show):
    page = show(AxisPicker("tokens", shared="C"))
    pull(page, 1, 8, 0)
    pull(page, 3, -8, 0)
    # The 3 stays too: it is the mean.
    said = "You moved 2 cells: no means and 3 outputs moved, 21 stand still."
    assert page.text_content("[data-quantity=consequence]") == said


def test_by_hand_there_are_axes_and_cells_and_nothing_else(show):
    page = show(AxisPicker("tokens", by_hand=True, shared="NT"))
    assert page.locator("[name=axis]").count() == 3
    assert page.locator(".ln-axes").text_content().split() == [
        *("Cells", "share", "along", "batch", "2", "token", "3", "feature", "4")
    ]
    others = "[data-preset], [name=groups], [name=statistics], [name=layout]"
    assert page.locator(others).count() == 0
    table = AxisPicker("tokens", by_hand=True, shared="NT").to_html()
    for part in ("sequence 0, token 0", "1 2 3 6", "3.5 2.67 3.83 4", "along batch and token"):
        assert part in table.replace("\u00a0\u00a0", " ")
    assert "PyTorch gives the same 24" in page.text_content(".ln-says")
    for axis in "NTC":
        page.click(f"[name=axis][value={axis}]")
        assert "PyTorch gives the same 24" in page.text_content(".ln-says")
    assert page.text_content("pre") == "nn.LayerNorm(4)(x)"


@pytest.mark.parametrize(("lab", "width"), [("tokens", 740), ("images", 740), ("tokens", 390)])
def test_the_handles_and_what_answers_are_on_one_screen(show, page, lab, width):
    page.set_viewport_size({"width": width, "height": 800})
    show(AxisPicker(lab, by_hand=lab == "tokens", shared="C"))
    top = page.locator(".ln-lab").bounding_box()["y"]
    box = page.locator(".ln-more").bounding_box()
    assert box["y"] + box["height"] - top <= 620
    assert not page.evaluate("document.querySelector('.ln-more').open")
    # No number is cut off by its cell.
    cut = """() => [...document.querySelectorAll(".ln-cell")].filter((cell) => {
        const range = document.createRange();
        range.selectNodeContents(cell.lastChild);
        return range.getBoundingClientRect().width > cell.clientWidth + 1;
    }).length"""
    assert page.evaluate(cut) == 0


def test_python_follows_a_drag_and_answers_it(show):
    picker = AxisPicker("tokens")
    page = show(picker)
    join_to_python(page, picker)
    move(page, "[name=x]", -4)
    page.evaluate("window.saved")
    assert picker.x[0] == -4
    assert "PyTorch gives the same 24 outputs" in page.text_content(".ln-says")
    picker.x = [5.0, *picker.x[1:]]


def test_the_pointer_frames_a_group_and_a_click_keeps_it(show):
    page = show(AxisPicker())
    assert lit(page) == list(range(24))
    page.hover(f"{CELLS}[data-index='40']")
    assert lit(page) == list(range(24, 48))
    assert "x[1, 2, 1, 1] is in group 1: 24 cells share one μ = 3.75" in page.text_content(
        ".ln-trace"
    )
    page.mouse.move(2, 2)
    assert lit(page) == list(range(24))
    page.click(f"{CELLS}[data-index='40']")
    page.mouse.move(2, 2)
    assert lit(page) == list(range(24, 48))
    page.click("[data-preset=BatchNorm]")
    assert lit(page) == [12, 13, 14, 15, 16, 17, 36, 37, 38, 39, 40, 41]


def test_keys_choose_a_cell_and_move_it(show):
    page = show(AxisPicker())
    page.focus("[name=axis][value=C]")
    page.keyboard.press("Space")
    assert page.text_content("[data-quantity=name]") == "InstanceNorm2d"
    page.focus("[name=cell]:checked")
    for _ in range(6):
        page.keyboard.press("ArrowRight")
    assert lit(page) == [6, 7, 8, 9, 10, 11]
    page.focus("[name=x]")
    page.keyboard.press("End")
    assert values(page, "x")[6] == 10
    assert page.evaluate(MARKED, "outputs") == [6, 7, 8, 9, 10, 11]
    cell = page.get_by_role("radio", name="batch 1, channel 2, height 0, width 1: 5", exact=True)
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
    show(AxisPicker(layout)).evaluate(CHOOSE, ["NC", 2, "variance"])  # the longest code
    for width in (320, 390, 640):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= width + 8
        box = page.locator(CELLS).first.bounding_box()
        assert min(box["width"], box["height"]) >= 24


def test_the_numbers_can_be_read_in_light_and_dark(show):
    page = show(AxisPicker())
    page.click("[name=axis][value=C]")  # a mean for each channel of each image
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
        return Math.min(...[...document.querySelectorAll(".ln-cell")].map((cell) => {
            const style = getComputedStyle(cell);
            const [a, b] = [style.color, style.backgroundColor].map(light).sort((p, q) => q - p);
            return (a + 0.05) / (b + 0.05);
        }));
    }"""
    for theme in ("light", "dark"):
        page.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
        for value in (-10, 0, 10):  # each tint, each depth of colour
            move(page, "[name=x]", value)
            assert page.evaluate(contrast) > 4.5


GROUPS = {"CHW": 2, "HW": 8, "W": 16, "N": 24, "": 48}


@pytest.mark.parametrize(("shared", "groups"), GROUPS.items())
def test_cells_of_different_groups_have_different_colours(show, shared, groups):
    page = show(AxisPicker(shared=shared))
    numbers, colours = page.evaluate("""() => [
        [...document.querySelectorAll(".ln-cells .ln-cell")].map(cell => cell.dataset.group),
        [...document.querySelectorAll(".ln-means .ln-cell")].map(
            cell => getComputedStyle(cell).backgroundColor)]""")
    assert len(set(numbers)) == len(set(colours)) == groups
    assert len(set(zip(numbers, colours, strict=True))) == groups


def test_a_finger_drags_a_cell_sideways_and_scrolls_the_page_up_and_down(phone, show):
    open_lab(phone, show(AxisPicker("tokens")).url)
    phone.evaluate("document.body.style.paddingBottom = '900px'")

    def swipe(dx, dy):
        box = phone.locator(f"{CELLS}[data-index='5']").bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        for k in range(9):
            kind = "touchMove" if k else "touchStart"
            phone.touch(kind, (x + dx * k / 8, y + dy * k / 8))
        phone.touch("touchEnd")

    swipe(48, 0)
    assert values(phone, "x")[5] > 5
    assert phone.evaluate("scrollY") == 0
    before = values(phone, "x")
    swipe(0, -160)
    phone.wait_for_function("scrollY > 50")
    assert max(abs(a - b) for a, b in zip(values(phone, "x"), before, strict=True)) <= 2
