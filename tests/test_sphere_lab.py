"""The sphere lab: three numbers as a point that drops onto a plane and slides onto a circle."""

import json
import math

import numpy as np
import pytest
import torch
from browser import ROOT, join_to_python, move, run_copied, run_on_packed, type_in, values
from traitlets import TraitError

from layernorm_book.widgets import SphereLab
from layernorm_book.widgets.sphere import LARGEST, PRESETS

WIDGETS = ROOT / "src/layernorm_book/widgets"
SOURCES = {name: (WIDGETS / name).read_text("utf-8") for name in ("space.js", "layernorm.js")}
U = 2.0**-24  # float32 rounds by at most this part
NUMBERS = ("x", "centred", "x_hat", "mean", "std", "radius", "eps", "sentence")
THROUGH = """([x, eps]) => {
    const { centred, xHat, radius } = module.through(x, eps);
    return [...centred, ...xHat, radius];
}"""
READ = """quantities => [...document.querySelectorAll("[data-quantity]")]
    .filter(node => quantities.includes(node.dataset.quantity))
    .map(node => [node.dataset.quantity, node.dataset.index, node.dataset.value].join(" "))"""
# Of the unit, the centre and the size of the view that sphere.js draws.
UNIT, CENTRE = 57, (220, 178)


def ask(page, rows, function):
    """Run a function of space.js on each row; return an array with a line for each."""
    run = f"return Float64Array.from(rows.flatMap({function}));"
    found = np.frombuffer(run_on_packed(page, SOURCES, "space.js", run, b"", rows))
    return found.reshape(len(rows), -1)


def sample_states(count=1000):
    """Rows of float32 numbers in the cube, from spread out to all but constant, each with an ε."""
    rng = np.random.default_rng(2)
    mean, spread = rng.uniform(-1.5, 1.5, (count, 1)), 10 ** rng.uniform(-4, 0.3, (count, 1))
    x = np.clip(mean + spread * rng.uniform(-1, 1, (count, 3)), -LARGEST, LARGEST)
    eps = 10 ** rng.uniform(-12, 1, count)
    return x.astype(np.float32).astype(float), eps.astype(np.float32).astype(float)


def in_space(x, azimuth, elevation):
    """Return where a point stands: right, up, near. The long way, by an orthonormal basis."""
    east, south, up = np.array([[-1, 1, 0], [-1, -1, 2], [1, 1, 1]]) / np.sqrt([[2], [6], [3]])
    a, e = math.radians(azimuth), math.radians(elevation)
    right = math.cos(a) * east + math.sin(a) * south
    toward = math.cos(a) * south - math.sin(a) * east
    return (
        np.asarray(x)
        @ np.array(
            [
                right,
                math.cos(e) * up - math.sin(e) * toward,
                math.cos(e) * toward + math.sin(e) * up,
            ]
        ).T
    )


# --- the arithmetic -------------------------------------------------------------------------------


def test_a_thousand_states_agree_with_float64_to_float32_rounding(page):
    x, eps = sample_states()
    rows = [[row, e] for row, e in zip(x.tolist(), eps.tolist(), strict=True)]
    found = ask(page, rows, THROUGH)
    assert len(found) == 1000
    centred = x - x.mean(-1, keepdims=True)
    var = (centred**2).mean(-1)
    rstd = 1 / np.sqrt(var + eps)
    largest = np.abs(x).max(-1)
    # The mean is off by three roundings of numbers below 3·max|x|, and a difference by one more.
    shift = 6 * U * largest
    assert (np.abs(found[:, :3] - centred).max(-1) <= shift).all()
    # x̂ inherits that, times rstd, and a handful of relative roundings.
    allowed = rstd * shift * 3 + 10 * U * math.sqrt(3)
    assert (np.abs(found[:, 3:6] - centred * rstd[:, None]).max(-1) <= allowed).all()
    radius = math.sqrt(3) * np.sqrt(var / (var + eps))
    assert (np.abs(found[:, 6] - radius) <= math.sqrt(3) * allowed).all()
    assert (radius < 0.1).sum() > 50
    assert (radius > 1.73).sum() > 200


def test_a_view_is_a_rotation_and_the_one_from_above_goes_along_the_ones(page):
    rng = np.random.default_rng(0)
    rows = [
        [x.tolist(), a, e]
        for x, a, e in zip(
            rng.uniform(-2, 2, (1000, 3)),
            rng.uniform(-180, 180, 1000).tolist(),
            rng.uniform(-90, 90, 1000).tolist(),
            strict=True,
        )
    ]
    found = ask(page, rows, "([x, a, e]) => module.project(x, a, e)")
    assert np.allclose(found, [in_space(*row) for row in rows], atol=1e-14)
    assert np.allclose(np.linalg.norm(found, axis=1), [np.linalg.norm(x) for x, *_ in rows])
    (above,) = ask(page, [[[1, 1, 1], 77, 90]], "([x, a, e]) => module.project(x, a, e)")
    assert np.allclose(above, [0, 0, math.sqrt(3)])


def test_shift_and_stretch_move_what_they_say_and_stay_in_the_cube(page):
    x, _ = sample_states(300)
    rng = np.random.default_rng(1)
    wanted = np.stack([rng.uniform(-2, 2, 300), 10 ** rng.uniform(-3, 0.3, 300)], 1)
    x += np.array([-0.01, 0, 0.01]) * np.sign(x[:, 2:] - x[:, :1])  # none is constant
    rows = [[np.clip(a, -2, 2).tolist(), *b] for a, b in zip(x, wanted.tolist(), strict=True)]
    start = np.array([row[0] for row in rows])
    moved = ask(page, rows, "([x, mean]) => module.shifted(x, mean)")
    grown = ask(page, rows, "([x, mean, std]) => module.stretched(x, std)")
    assert (np.abs([moved, grown]) <= LARGEST).all()

    def centred(row):
        return row - row.mean(-1, keepdims=True)

    assert np.allclose(centred(moved), centred(start), atol=1e-8)
    reached = np.isclose(moved.mean(-1), wanted[:, 0], atol=1e-8)
    assert (reached | (np.abs(moved).max(-1) > LARGEST - 1e-8)).all()
    inside = np.abs(grown).max(-1) < LARGEST - 1e-8
    assert np.allclose(grown.mean(-1)[inside], start.mean(-1)[inside], atol=1e-8)
    reached = np.isclose(grown.std(-1), wanted[:, 1], atol=1e-8)
    assert (reached | (np.ptp(grown, -1) > 2 * LARGEST - 1e-8)).all()
    assert 50 < inside.sum() < reached.sum() < 300
    ray = np.cross(centred(grown), centred(start)) / (
        grown.std(-1, keepdims=True) * start.std(-1, keepdims=True)
    )
    assert np.abs(ray).max() < 1e-4
    (constant,) = ask(page, [[[2, 2, 2], 0.5]], "([x, std]) => module.stretched(x, std)")
    assert constant.std() == pytest.approx(0.5)
    assert constant.max() == LARGEST


SENTENCES = {
    ((1, 1, 1), 1e-5): "Three equal numbers stand on the line (1, 1, 1)",
    ((1.5, 0.2, 0.7), 1e-5): "slides it out to the circle. ε is far too small",
    ((1.0, -1.6, -0.6), 1e-5): "slides it back to the circle",
    # σ² = 1.5, and 1 exactly
    ((1.5, 0, -1.5), 1e-5): "back to",
    ((math.sqrt(1.5), 0, -math.sqrt(1.5)), 1e-5): "so it is on the circle already",
    (
        (1, 1.004, 0.998),
        1e-5,
    ): "62% of the way from the centre to the circle, because ε is 1.6 times",
    ((1, 1.004, 0.998), 1e-9): "slides it out to",
    ((1, 1.001, 0.999), 2e-9): "99.9% of the way",
    (
        (1.5, 0, -1.5),
        1.5,
    ): "71% of the way from the centre to the circle, because ε is as large as σ²",
    ((1.5, 0, -1.5), 1.0): "0.67 times σ². The larger ε is, the nearer",
    ((1.5, 0, -1.5), 3.0): "2 times σ². Beside such an ε the row hardly varies.",
    ((1.5, 0, -1.5), 10.0): "36% of the way",
    ((0.5, 0, -0.5), 3.0): "18 times σ². Beside such an ε the row hardly varies, and it stays near",
    (
        (1, 1.001, 0.999),
        10,
    ): "less than 1% of the way from the centre to the circle, because ε is more",
}


def test_each_sentence_says_what_is_so(page):
    run = """return new TextEncoder().encode(JSON.stringify(
        rows.map(([x, eps]) => module.sentence(module.through(x, eps)))));"""
    rows = [[list(x), eps] for x, eps in SENTENCES]
    said = json.loads(run_on_packed(page, SOURCES, "space.js", run, b"", rows))
    for text, part in zip(said, SENTENCES.values(), strict=True):
        assert part in text
    # What it says of any state, the numbers bear out.
    x, eps = sample_states(400)
    rows = [[row, e] for row, e in zip(x.tolist(), eps.tolist(), strict=True)]
    said = json.loads(run_on_packed(page, SOURCES, "space.js", run, b"", rows))
    kinds = set()
    for (row, e), text in zip(rows, said, strict=True):
        var = np.var(row)
        part = math.sqrt(var / (var + e))
        kinds.add(kind := text.split("%")[0].rstrip("0123456789.") or "all")
        if "% of the way" not in text:
            assert part > 0.9994
            assert ("out to" in text) == (var < 0.99) or "already" in text
        elif "less than 1%" in text:
            assert part < 0.0105
        else:
            stated = float(text.split("stops at ")[1].split("%")[0]) / 100
            assert abs(stated - part) < 0.0075, (row, e, text)
            assert ("such an ε" in text) == (e > var) or abs(e / var - 1) < 0.01
            assert ("near the centre." in text) == (part < 0.3) or abs(part - 0.3) < 1e-4
        assert kind
    assert len(kinds) > 2


# --- in Python ------------------------------------------------------------------------------------


def test_x_hat_is_pytorchs_and_its_radius_follows_the_formula():
    lab = SphereLab([0.0, 1.0, 2.0], eps=0.5)
    assert lab.radius == pytest.approx(math.sqrt(3 * (2 / 3) / (2 / 3 + 0.5)))
    assert lab.answer == {"revision": 0, "values": lab.x_hat}
    for bad in ([1.0, 2.0], [1, 1, 2.1], "x", [math.nan] * 3):
        with pytest.raises(TraitError, match="takes"):
            lab.x = bad
    for name, bad in (("eps", 0), ("azimuth", 181), ("elevation", -91), ("azimuth", "north")):
        with pytest.raises(TraitError, match=name):
            setattr(lab, name, bad)
    assert lab.x == (0.0, 1.0, 2.0)


def test_two_presets_land_on_one_point_and_two_hardly_leave_the_line():
    x_hat = {preset["label"]: SphereLab(preset["x"]).x_hat for preset in PRESETS}
    assert x_hat["2·x − 2"] == pytest.approx(SphereLab().x_hat, abs=1e-4)
    assert [2 * v - 2 for v in SphereLab().x] == pytest.approx(PRESETS[0]["x"])
    assert np.linalg.norm(x_hat["nearly constant"]) == pytest.approx(1.07, abs=0.01)
    assert x_hat["constant"] == [0, 0, 0]


# --- in a browser ---------------------------------------------------------------------------------


def spot(page, name, part=".ln-view"):
    dot = page.locator(f"{part} circle.ln-{name}")
    return [float(dot.get_attribute(key)) for key in ("cx", "cy")]


def assert_drawn(page):
    """The three dots stand where the numbers say, in the view and from above."""
    (azimuth,), (elevation,) = values(page, "azimuth"), values(page, "elevation")
    for name in ("x", "centred", "x_hat"):
        right, up, _ = in_space(values(page, name), azimuth, elevation)
        drawn = spot(page, name)
        assert drawn == pytest.approx([CENTRE[0] + UNIT * right, CENTRE[1] - UNIT * up], abs=0.02)
        if name != "x":
            right, up, _ = in_space(values(page, name), azimuth, 90)
            assert spot(page, name, ".ln-plan") == pytest.approx(
                [80 + 23 * right, 80 - 23 * up], abs=0.02
            )
    for i, value in enumerate(values(page, "x")):
        column = page.locator(".ln-plot label").nth(i)
        box, handle = column.bounding_box(), column.locator(".ln-handle").bounding_box()
        middle = handle["y"] + handle["height"] / 2
        assert middle == pytest.approx(
            box["y"] + box["height"] * (LARGEST - value) / (2 * LARGEST), abs=1
        )


def test_every_control_moves_the_points_to_where_the_numbers_say(show):
    page = show(SphereLab(azimuth=-40.0, elevation=30.0))
    assert_drawn(page)
    start = {name: values(page, name) for name in NUMBERS[:-1]}
    move(page, "[name=shift]", -0.5)  # x moves along the drop line: its foot stays, and so does x̂
    assert values(page, "x") != start["x"]
    assert values(page, "centred") == pytest.approx(start["centred"], abs=1e-6)
    assert values(page, "x_hat") == pytest.approx(start["x_hat"], abs=1e-6)
    assert_drawn(page)
    before = spot(page, "x_hat")
    move(page, "[name=stretch]", math.log10(1.2))  # its foot moves along the ray, and x̂ stays
    assert values(page, "std") == pytest.approx([1.2], rel=0.03)
    assert values(page, "x_hat") == pytest.approx(start["x_hat"], abs=1e-4)
    assert spot(page, "x_hat") == pytest.approx(before, abs=0.03)
    assert_drawn(page)
    for exponent, smaller in ((-3, 1e-3), (0, 0.5), (1, 0.8)):
        radius = values(page, "radius")
        move(page, "[name=eps]", exponent)
        assert values(page, "radius")[0] < radius[0] * (1 - smaller / 10)
        assert_drawn(page)
    move(page, "[name=stretch]", -4)
    assert_drawn(page)
    type_in(page, "[name=x-typed][data-index='1']", "-1.25")
    assert values(page, "x")[1] == -1.25
    assert_drawn(page)
    for _ in range(3):
        page.click("[data-do=preset] >> nth=2")
    assert values(page, "radius") == [0]
    assert "equal" in page.text_content(".ln-story")
    assert_drawn(page)
    page.click("[data-do=start]")
    assert values(page, "x") == start["x"]
    assert run_copied(page)[1]["x_hat"].tolist() == pytest.approx(values(page, "x_hat"), abs=1e-6)


def test_a_handle_follows_the_pointer_and_the_arrow_keys(show):
    page = show(SphereLab())
    column = page.locator(".ln-plot label").nth(1)
    box = column.bounding_box()
    middle = box["x"] + box["width"] / 2
    seen = []
    for k in range(8):
        page.mouse.move(middle, box["y"] + box["height"] * (0.9 - 0.1 * k))
        if k == 0:
            page.mouse.down()
        seen.append(values(page, "x")[1])
    page.mouse.up()
    assert seen == pytest.approx([-1.6 + 0.4 * k for k in range(8)], abs=0.06)
    page.mouse.move(middle, box["y"])
    assert values(page, "x")[1] == seen[-1]  # let go of
    assert_drawn(page)
    page.focus("[name=x][data-index='1']")
    page.keyboard.press("ArrowDown")
    assert values(page, "x")[1] == pytest.approx(seen[-1] - 0.05)


def test_turning_the_view_never_changes_a_number(show):
    page = show(SphereLab())
    before = page.evaluate(READ, NUMBERS)
    box = page.locator(".ln-view").bounding_box()
    at = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    views = {(*values(page, "azimuth"), *values(page, "elevation"))}

    def check():
        assert page.evaluate(READ, NUMBERS) == before
        assert_drawn(page)
        views.add((*values(page, "azimuth"), *values(page, "elevation")))

    page.mouse.move(*at)
    page.mouse.down()
    for dx, dy in ((30, 0), (90, 40), (-60, -80), (300, 300), (-700, -500)):
        page.mouse.move(at[0] + dx, at[1] + dy)
        check()
    page.mouse.up()
    page.mouse.move(*at)
    check()
    assert len(views) == 6
    page.click("[data-do=start]")
    page.focus(".ln-view")
    for key, quantity in (
        ("ArrowLeft", "azimuth"),
        ("ArrowRight", "azimuth"),
        ("ArrowUp", "elevation"),
        ("ArrowDown", "elevation"),
    ):
        was = values(page, quantity)
        page.keyboard.press(key)
        assert values(page, quantity) != was
        check()
    assert page.evaluate("scrollY") == 0
    for elevation in (90, 0, -90):
        move(page, "[name=elevation]", elevation)
        check()


def test_a_drag_to_the_right_takes_the_near_side_to_the_right(show):
    page = show(SphereLab(x=[-1.0, -1.0, 2.0], azimuth=0.0))  # on the viewer's side
    box = page.locator(".ln-view").bounding_box()
    at = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    left, _ = spot(page, "x")
    page.mouse.move(*at)
    page.mouse.down()
    page.mouse.move(at[0] + 60, at[1])
    page.mouse.up()
    assert spot(page, "x")[0] > left + 20


@pytest.mark.parametrize(("width", "height", "most"), [(780, 800, 620), (390, 800, 800)])
def test_what_the_hand_moves_and_what_answers_are_on_one_screen(show, width, height, most):
    """780 px is the column of a page that is 1280 px wide."""
    page = show(SphereLab())
    page.set_viewport_size({"width": width, "height": height})

    def edges(selector):
        box = page.locator(selector).first.bounding_box()
        return box["y"], box["y"] + box["height"]

    top = edges(".ln-sphere")[0]
    for selector in (
        ".ln-view",
        ".ln-plot",
        ".ln-story",
        "[name=shift]",
        "[name=stretch]",
        "[name=eps]",
    ):
        assert edges(selector)[1] - top <= most, selector
    texts = page.locator(".ln-view text").all()
    boxes = [text.bounding_box() for text in texts]
    for box in boxes:
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
        assert box["height"] >= 12


def test_labels_stay_apart_and_in_view_at_most_angles(show):
    """Of 72 views of the start, in at most three do two labels touch."""
    page = show(SphereLab())
    touching = page.evaluate("""() => {
        let bad = 0;
        const texts = [...document.querySelectorAll(".ln-view text")];
        for (let k = 0; k < 72; k++) {
            for (const [name, value] of [["azimuth", -180 + 30 * (k % 12)],
                    ["elevation", [-60, -20, 10, 25, 45, 80][Math.floor(k / 12)]]]) {
                const input = document.querySelector(`[name=${name}]`);
                input.value = value;
                input.dispatchEvent(new Event("input", { bubbles: true }));
            }
            const boxes = texts.slice(-3).map(text => text.getBBox());
            bad += boxes.some((a, i) => boxes.some((b, j) => i < j
                && Math.min(a.x + a.width, b.x + b.width) - Math.max(a.x, b.x) > 4
                && Math.min(a.y + a.height, b.y + b.height) - Math.max(a.y, b.y) > 6));
        }
        return bad;
    }""")
    assert touching <= 3


def test_python_sets_the_view_and_hears_of_it(show):
    page = show(SphereLab())
    python = SphereLab()
    hand_over = join_to_python(page, python)
    python.azimuth, python.x = 90.0, [0.5, -0.5, 0.0]
    hand_over()
    assert values(page, "azimuth") == [90]
    assert_drawn(page)
    move(page, "[name=elevation]", 60)
    page.evaluate("window.saved")
    assert python.elevation == 60
    assert torch.tensor(python.x_hat).norm() == pytest.approx(values(page, "radius")[0], rel=1e-6)


ON_THE_CIRCLE = """() => {
    const view = document.querySelector(".ln-view svg");
    const points = [...view.querySelectorAll(".ln-circle")].flatMap((path) => {
        const most = path.getTotalLength();
        return Array.from({ length: 60 }, (_, k) => path.getPointAtLength((k * most) / 59));
    });
    return [...view.querySelectorAll("text")].filter((label) => {
        const { x, y, width, height } = label.getBBox();
        const within = (p) => p.x > x && p.x < x + width && p.y > y + 3 && p.y < y + height - 3;
        return points.some(within);
    }).map((label) => label.textContent);
}"""


def test_no_name_lies_on_the_circle_at_the_start_and_at_the_presets(show):
    page = show(SphereLab())
    assert page.evaluate(ON_THE_CIRCLE) == []
    for preset in range(len(PRESETS)):
        page.click(f"[data-do=preset] >> nth={preset}")
        assert page.evaluate(ON_THE_CIRCLE) == [], PRESETS[preset]["label"]
