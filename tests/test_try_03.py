"""The lines to try in chapter 3, performed on its built page."""

import pytest
from browser import move, values
from tries import tries

TWO, DESCENT = ".ln-two", ".ln-descends"
ROW_1, ROW_2 = slice(0, 4), slice(4, 8)


@tries(
    "03-both",
    "Drag the first γ up and down: y changes in that column of both rows, and nowhere else.",
)
def test_a_gamma_serves_both_rows(lab_page):
    handle = lab_page.locator(f"{TWO} [name=weight][data-index='0'] + .ln-handle")
    handle.scroll_into_view_if_needed()
    for way in (-8, 8):
        before, box = values(lab_page, "y"), handle.bounding_box()
        middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        lab_page.mouse.move(*middle)
        lab_page.mouse.down()
        lab_page.mouse.move(middle[0], middle[1] + way, steps=3)
        lab_page.mouse.up()
        changed = [
            k for k, (a, b) in enumerate(zip(before, values(lab_page, "y"), strict=True)) if a != b
        ]
        assert changed == [0, 4]


@tries(
    "03-shift",
    "Press “Undo …” again, and shift row 2 from end to end: its x goes far away, and its y stays "
    "where it is.",
)
def test_undo_gives_back_one_row_and_a_shift_moves_x_alone(lab_page):
    lab_page.click(f"{TWO} [data-do=undo]")
    x, y = values(lab_page, "x"), values(lab_page, "y")
    assert y[ROW_1] == pytest.approx(x[ROW_1], abs=1e-5)
    assert all(abs(a - b) > 0.5 for a, b in zip(x[ROW_2], y[ROW_2], strict=True))
    shift = f"{TWO} [name=shift][data-index='1']"
    seen = []
    for stop in range(-100, 101, 5):
        move(lab_page, shift, stop)
        seen.append(values(lab_page, "x")[4])
        assert values(lab_page, "y")[ROW_2] == pytest.approx([5.5, 0, 3.5, 3], abs=2e-3)
        assert values(lab_page, "x")[ROW_1] == [1, 2, 3, 6]
    assert seen[0] < -9000
    assert seen[-1] > 9000


@tries(
    "03-pattern",
    "Press “same pattern”, which makes ε tiny as well, then drag any γ or β: two very different "
    "rows, and one and the same y.",
)
def test_one_pattern_gives_one_y(lab_page):
    lab_page.click(f"{TWO} button:text('same pattern')")
    tiny = lab_page.locator(f"{TWO} .ln-value").first.get_attribute("data-value")
    assert float(tiny) < 1e-4
    x = values(lab_page, "x")
    assert all(abs(a - b) > 30 for a, b in zip(x[ROW_1], x[ROW_2], strict=True))
    seen = set()
    for name, i, value in (("weight", 0, -1), ("weight", 3, 0.5), ("bias", 1, 1), ("bias", 2, -1)):
        move(lab_page, f"{TWO} [name={name}][data-index='{i}']", value)
        y = values(lab_page, "y")
        assert y[ROW_1] == pytest.approx(y[ROW_2], abs=1e-4)
        seen.add(tuple(y))
    assert len(seen) == 4


def descent(page):
    """Return γ, β, the loss and the share of the avoidable loss that is left."""
    part = page.locator(DESCENT)
    read = "nodes => nodes.map(node => Number(node.dataset.value))"
    of = lambda name: part.locator(f"[data-quantity={name}]").evaluate_all(read)  # noqa: E731
    return of("weight"), of("bias"), of("loss")[0]


MARKS = """body => {
    const heights = (part, shape) => [...body.querySelector(part).getAttribute("d").matchAll(shape)]
        .map(([, y]) => y * body.querySelector("svg").getBoundingClientRect().height / 100);
    const bars = heights(".ln-bars", /V([0-9.]+)h/g);
    const marks = heights(".ln-marks", / ([0-9.]+)h/g);
    return bars.map((y, k) => Math.abs(y - marks[k]));
}"""


def away(page):
    """Return how many pixels each bar of γ and β is from its mark."""
    bodies = page.locator(f"{DESCENT} [data-step]").all()
    return [pixels for body in bodies for pixels in body.evaluate(MARKS)]


@tries(
    "03-step",
    "Drag step from 0 to 40: all γ and β go to their marks, and the loss to its dashed line.",
)
def test_the_steps_arrive(lab_page):
    losses = []
    assert max(away(lab_page)) > 20
    for step in range(41):
        move(lab_page, f"{DESCENT} [name=step]", step)
        losses.append(descent(lab_page)[2])
    assert losses == sorted(losses, reverse=True)
    assert len(away(lab_page)) == 16
    assert max(away(lab_page)) < 1.5
    assert losses[-1] == pytest.approx(4.60, abs=0.01)
    ends = (
        "nodes => nodes.map(node => Number(node.getAttribute('d').match(/[MHL ]([0-9.]+)[hH]/)[1]))"
    )
    floor, dot = lab_page.locator(f"{DESCENT} path:is(.ln-floor, .ln-dot)").evaluate_all(ends)
    assert abs(floor - dot) < 1


@tries(
    "03-once",
    "Set step to 1 and drag the learning rate: at 1 nearly all of the avoidable loss is gone.",
)
def test_one_step_is_enough_at_one(lab_page):
    move(lab_page, f"{DESCENT} [name=step]", 1)
    losses = {}
    for k in range(1, 51):
        move(lab_page, f"{DESCENT} [name=rate]", round(0.05 * k, 2))
        losses[round(0.05 * k, 2)] = descent(lab_page)[2]
    assert losses[1.0] < 1.03 * 4.60
    assert abs(min(losses, key=losses.get) - 1) <= 0.1
    move(lab_page, f"{DESCENT} [name=rate]", 1)
    assert lab_page.text_content(".ln-descent-says") == "99% of the avoidable loss is gone."


@tries(
    "03-twice",
    "Now set the rate to 2: γ and β jump past their marks, and the loss is nearly what it was at "
    "step 0.",
)
def test_twice_the_rate_jumps_past_the_mark(lab_page):
    start = descent(lab_page)
    move(lab_page, f"{DESCENT} [name=rate]", 1)
    move(lab_page, f"{DESCENT} [name=step]", 40)
    marks = descent(lab_page)
    move(lab_page, f"{DESCENT} [name=rate]", 2)
    move(lab_page, f"{DESCENT} [name=step]", 1)
    weight, bias, loss = descent(lab_page)
    passed = 0
    for k, values_ in enumerate((weight, bias)):
        for at_first, now, mark in zip(start[k], values_, marks[k], strict=True):
            if abs(at_first - mark) > 0.2:  # one that starts beside its mark lands anywhere
                passed += 1
                assert (now - mark) * (at_first - mark) < 0
    assert passed > 10
    assert loss == pytest.approx(start[2], rel=0.05)
