"""The lines to try on the landing page, performed on its built page."""

import math

import pytest
from browser import move, slide, values
from tries import tries

DEPTH, ROW = ".ln-depth", ".ln-lab:not(.ln-depth)"
# The columns of the map in which every cell is grey: no number at all.
GREY = """canvas => {
    const { data, width, height } = canvas.getContext("2d").getImageData(
        0, 0, canvas.width, canvas.height);
    const grey = (x, y) => {
        const [r, g, b, a] = data.slice(4 * (y * width + x), 4 * (y * width + x) + 4);
        return a === 255 && Math.max(r, g, b) - Math.min(r, g, b) < 30;
    };
    const rows = [...Array(height).keys()];
    return [...Array(width).keys()].map(x => rows.every(y => grey(x, y)));
}"""


def sizes(page):
    """Return the size of the row before the first block and after each."""
    text = page.get_attribute(f"{DEPTH} [data-quantity=sizes]", "data-value")
    return [float(size) for size in text.split()]


def choose(page, norm):
    """Flip the switch with the mouse."""
    page.locator(f"{DEPTH} label:has([name=norm][value={norm}])").click()
    assert page.is_checked(f"{DEPTH} [name=norm][value={norm}]")


def mark(page):
    """Return from which to which place the green mark reaches, on the screen."""
    box = page.locator(f"{DEPTH} .ld-alive").bounding_box()
    return box["x"], box["x"] + box["width"]


@tries(
    "00-switch",
    "With LayerNorm on, drag weights from end to end, and read the line above: the row ends about "
    "as large as the scale you set, and nothing piles up.",
)
def test_with_the_layer_it_lives_at_every_scale(lab_page):
    assert sizes(lab_page)[-1] > 1e28  # as the page opens
    choose(lab_page, "layernorm")
    scales = []
    for _ in slide(lab_page, f"{DEPTH} [name=scale]"):
        scales.append(float(lab_page.input_value(f"{DEPTH} [name=scale]")))
        assert len(sizes(lab_page)) == 49
        assert all(0.6 < size / 2 ** scales[-1] < 1.4 for size in sizes(lab_page)[1:])
    assert scales[0] == -3
    assert scales[-1] == 3


@tries(
    "00-overflow",
    "Switch it off and press “× 8”: block 42 leaves the range of float32, and every column after "
    "it is grey.",
)
def test_eight_times_leaves_float32(lab_page):
    choose(lab_page, "layernorm")
    choose(lab_page, "none")
    lab_page.locator(DEPTH).get_by_role("button", name="× 8", exact=True).click()
    ended = [not size < math.inf for size in sizes(lab_page)]
    assert ended == [False] * 42 + [True] * 7
    assert "Block 42" in lab_page.text_content(f"{DEPTH} [data-quantity=sentence]")
    grey = lab_page.eval_on_selector(f"{DEPTH} canvas", GREY)
    assert grey == [False] * 43 + [True] * 6


@tries(
    "00-rescue",
    "Now keep the row alive with the switch off: weights has to stand on the small green mark "
    "near 1, where “× 1” puts it.",
)
def test_without_the_layer_it_lives_on_the_mark_alone(lab_page):
    alive = []
    for stop in range(-48, 49):
        move(lab_page, f"{DEPTH} [name=scale]", stop / 16)
        if 0.1 < sizes(lab_page)[-1] < 10:
            alive.append(2 ** (stop / 16))
    assert alive == pytest.approx([1] * len(alive), rel=0.06)
    assert 1 in alive
    move(lab_page, f"{DEPTH} [name=scale]", 0)
    left, right = mark(lab_page)
    slider = lab_page.locator(f"{DEPTH} [name=scale]").bounding_box()
    assert left - 4 < slider["x"] + slider["width"] / 2 < right + 4
    assert right - left < 0.1 * slider["width"]


@tries(
    "00-narrow",
    "Drag blocks down to 6 and back up to 48: the fewer the blocks, the wider the mark.",
)
def test_the_mark_narrows_with_depth(lab_page):
    widths = []
    for blocks in range(6, 49, 3):
        move(lab_page, f"{DEPTH} [name=depth]", blocks)
        left, right = mark(lab_page)
        widths.append(right - left)
    assert widths == sorted(widths, reverse=True)
    assert widths[0] > 4 * widths[-1]


def pixels(page):
    """Return the map, pixel by pixel."""
    return page.eval_on_selector(
        f"{DEPTH} canvas",
        "c => [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data].join()",
    )


@tries(
    "00-pattern",
    "Press “Start”, tick “divided by its size” below the map, and press “× 1” and “weights × ½”: "
    "no pixel of the map changes.",
)
def test_the_pattern_is_the_same_at_every_scale(lab_page):
    buttons = lab_page.locator(DEPTH)
    buttons.get_by_role("button", name="Start", exact=True).click()
    as_it_was = pixels(lab_page)
    buttons.get_by_label("divided by its size").check()
    exploded = pixels(lab_page)
    assert exploded != as_it_was
    for scale in ("× 1", "weights × ½"):
        buttons.get_by_role("button", name=scale, exact=True).click()
        assert pixels(lab_page) == exploded
    assert sizes(lab_page)[-1] < 1e-14
    buttons.get_by_label("divided by its size").uncheck()
    assert pixels(lab_page) != exploded


def bars(page):
    """Return how high the bars of x̂ end, in pixels."""
    plot = page.locator(f"{ROW} [data-step=x_hat] .ln-plot")
    scale = plot.bounding_box()["height"] / 100
    d = plot.locator("path.ln-bars").get_attribute("d")
    found = [scale * float(part.split("V")[1].split("h")[0]) for part in d.split("M")[1:]]
    assert len(found) == 8
    return found


def stand_still(page, name):
    """Drag a control from end to end; yield x, with x̂ where it was to a pixel."""
    page.locator(f"{ROW} [name={name}]").scroll_into_view_if_needed()
    before, x_hat = bars(page), values(page, "x_hat", ROW)
    for _ in slide(page, f"{ROW} [name={name}]"):
        yield values(page, "x", ROW)
        assert bars(page) == pytest.approx(before, abs=1)
        assert values(page, "x_hat", ROW) == pytest.approx(x_hat, abs=5e-3)


@tries("00-shift", "Drag shift from end to end: x goes thousands away, and no bar of x̂ moves.")
def test_shift_moves_no_bar(lab_page):
    seen = [x[0] for x in stand_still(lab_page, "shift")]
    assert seen[0] < -9000
    assert seen[-1] > 9000


@tries(
    "00-stretch",
    "Drag stretch to its right end: x spreads over thousands, and again no bar of x̂ moves.",
)
def test_stretch_moves_no_bar(lab_page):
    before, x_hat = bars(lab_page), values(lab_page, "x_hat", ROW)
    least, most = (
        float(lab_page.get_attribute(f"{ROW} [name=stretch]", end)) for end in ("min", "max")
    )
    for k in range(9):
        move(lab_page, f"{ROW} [name=stretch]", most * k / 8)
        assert bars(lab_page) == pytest.approx(before, abs=1)
        assert values(lab_page, "x_hat", ROW) == pytest.approx(x_hat, abs=1e-3)
    x = values(lab_page, "x", ROW)
    assert max(x) - min(x) > 1000
    assert least < 0


@tries(
    "00-eps",
    "Press “Start” and drag ε to its right end: now all bars of x̂ shrink, by one and the same "
    "factor.",
)
def test_eps_shrinks_all_bars_alike(lab_page):
    move(lab_page, f"{ROW} [name=stretch]", 2)
    lab_page.locator(ROW).get_by_role("button", name="Start", exact=True).click()
    heights, before = bars(lab_page), values(lab_page, "x_hat", ROW)
    for _ in slide(lab_page, f"{ROW} [name=eps]"):
        pass
    shares = [b / a for a, b in zip(before, values(lab_page, "x_hat", ROW), strict=True)]
    assert shares == pytest.approx([shares[0]] * 8, rel=1e-4)
    assert 0 < shares[0] < 0.9
    assert max(map(abs, bars(lab_page))) != max(map(abs, heights))
