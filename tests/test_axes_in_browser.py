"""The axis picker under a hand in a real browser: what it shows is what PyTorch does."""

import subprocess

import numpy as np
import pytest
from browser import join_to_python, serve, write_page
from test_axes import STATES, assert_the_claim_holds
from test_lab_on_colab import colab_python  # noqa: F401 - a fixture

from layernorm_book.widgets import AxisPicker
from layernorm_book.widgets.axes import LAYOUTS, NO_LAYER, PRESETS

CELLS = ".ln-cells label"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Bare pages with a picker: no Sphinx, no theme, the same host."""
    folder = tmp_path_factory.mktemp("pickers")
    for layout in LAYOUTS:
        write_page(folder, layout, AxisPicker(layout))
    write_page(folder, "two", AxisPicker(), AxisPicker("tokens"))
    site, stop = serve(folder)
    yield site
    stop()


@pytest.fixture(params=["localhost", "file"])
def open_picker(request, page, site):
    """Open a page by name, over HTTP and from file://; wait for its picker."""

    def open_page(name):
        page.goto(site.url(f"{name}.html", request.param))
        page.wait_for_selector(CELLS)
        return page

    return open_page


def shown(page, quantity):
    """Return the full value of a readout."""
    return page.get_attribute(f"[data-quantity={quantity}]", "data-value")


def groups_shown(page, layout):
    """Return the numbers on the cells, which must be the numbers that they carry."""
    text, carried = page.eval_on_selector_all(
        CELLS,
        """cells => [cells.map(cell => Number(cell.lastElementChild.textContent)),
                     cells.map(cell => Number(cell.dataset.group))]""",
    )
    assert text == carried
    return np.array(text).reshape(LAYOUTS[layout]["shape"])


def lit(page):
    """Return the indices of the cells that are lit."""
    return page.eval_on_selector_all(
        f"{CELLS}.ln-on", "cells => cells.map(cell => Number(cell.dataset.index))"
    )


def choose(page, shared, groups, centred):
    """Click until the controls say this."""
    for box in page.locator("[name=axis]").all():
        box.set_checked(box.get_attribute("value") in shared)
    if "C" in shared:
        page.check(f"[name=groups][value='{groups}']")
    else:
        assert page.is_disabled("[name=groups] >> nth=0")
    page.set_checked("[name=centred]", centred)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_state_shows_what_pytorch_does(page, site, layout):
    page.goto(site.url(f"{layout}.html"))
    page.wait_for_selector(CELLS)
    seen = set()
    for _, shared, groups, centred in (state for state in STATES if state[0] == layout):
        choose(page, shared, groups, centred)
        numbers = groups_shown(page, layout)
        name, line, weight = (shown(page, q) for q in ("name", "line", "weight"))
        assert page.text_content("pre") == line
        assert page.text_content(".ln-name output") == name
        assert_the_claim_holds(layout, numbers, name, line, weight, centred)
        assert int(shown(page, "groups")) == len(np.unique(numbers))
        assert int(shown(page, "n")) * int(shown(page, "groups")) == numbers.size
        assert ("mean square" in page.text_content(".ln-trace")) == (
            not centred and int(shown(page, "n")) > 1
        )
        seen.add((name, line))
    assert len(seen) > 15


def test_the_start_is_layernorm_and_its_group_is_lit(open_picker):
    page = open_picker("images")
    assert shown(page, "name") == "LayerNorm"
    assert shown(page, "weight") == "(4, 2, 3)"
    assert lit(page) == list(range(24))
    assert page.get_attribute("[data-preset=LayerNorm]", "aria-pressed") == "true"


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_preset_chooses_its_layer(open_picker, layout):
    page = open_picker(layout)
    assert page.locator("[data-preset]").all_text_contents() == list(PRESETS[layout])
    for name in PRESETS[layout]:
        page.click(f"[data-preset={name}]")
        assert shown(page, "name").rstrip("12d") == name
        pressed = page.locator("[aria-pressed=true]").all_text_contents()
        assert pressed == [name]


def test_the_pointer_lights_a_group_and_a_click_keeps_it(open_picker):
    page = open_picker("images")
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


def test_the_keyboard_reaches_everything(open_picker):
    page = open_picker("images")
    stops = []
    for _ in range(13):
        page.keyboard.press("Tab")
        stops.append(page.evaluate("document.activeElement.name || document.activeElement.type"))
        ring = "getComputedStyle(document.activeElement.closest('.ln-cells label') ?? "
        assert page.evaluate(f"{ring} document.activeElement).outlineStyle") != "none"
    order = ["button"] * 5 + ["layout"] + ["axis"] * 4 + ["groups", "centred", "cell"]
    assert stops == order
    page.focus("[name=axis][value=C]")
    page.keyboard.press("Space")
    assert shown(page, "name") == "InstanceNorm2d"
    page.focus("[name=cell]:checked")
    for _ in range(6):
        page.keyboard.press("ArrowRight")
    assert lit(page) == [6, 7, 8, 9, 10, 11]
    page.focus("[name=layout]:checked")
    page.keyboard.press("ArrowRight")
    assert shown(page, "line") == "nn.LayerNorm(4)(x)"
    assert page.evaluate("document.activeElement.name") == "layout"


def test_every_control_is_an_input_in_a_label_that_names_it(open_picker):
    page = open_picker("images")
    unlabelled = "nodes => nodes.filter(node => !node.closest('label')?.textContent.trim()).length"
    assert page.eval_on_selector_all(".ln-lab input", unlabelled) == 0
    cell = page.get_by_role("radio", name="batch 1, channel 2, height 0, width 1: group 1")
    assert cell.get_attribute("value") == "37"


def test_two_pickers_on_a_page_leave_each_other_alone(open_picker):
    page = open_picker("two")
    first, second = page.locator(".ln-picker").all()
    first.locator("[data-preset=BatchNorm]").click()
    assert second.locator("[data-quantity=line]").text_content() == "nn.LayerNorm(4)(x)"
    assert second.locator("[name=cell]:checked").count() == 1
    assert first.locator("[name=cell]:checked").count() == 1


@pytest.mark.parametrize("width", [320, 390, 640])
def test_nothing_is_wider_than_the_screen_and_a_finger_hits_each_cell(open_picker, page, width):
    page.set_viewport_size({"width": width, "height": 800})
    for name in LAYOUTS:
        open_picker(name)
        choose(page, "NC", 2, True)  # the longest code
        assert page.evaluate("document.documentElement.scrollWidth") <= width + 8  # bare margins
        box = page.locator(CELLS).first.bounding_box()
        assert min(box["width"], box["height"]) >= 24


def test_light_and_dark_follow_the_themes_switch_and_can_be_read(open_picker):
    page = open_picker("images")
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
    grounds = []
    for theme in ("light", "dark"):
        page.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
        grounds.append(
            page.evaluate("getComputedStyle(document.querySelector('.ln-lab')).backgroundColor")
        )
        for index in range(0, 48, 6):  # each tint, lit and not
            page.check(f"[name=cell][value='{index}']")
            assert page.evaluate(contrast) > 4.5
    assert grounds[0] != grounds[1]


def test_with_a_kernel_python_and_the_page_follow_each_other(page, site):
    """The picker's own model, joined to the page without Jupyter in between."""
    picker = AxisPicker()
    page.goto(site.url("images.html"))
    join_to_python(page, picker)
    for action, line in [
        ("[data-preset=GroupNorm]", "nn.GroupNorm(2, 4)(x)"),
        ("[name=layout][value=tokens]", "nn.LayerNorm(4)(x)"),
        ("[name=axis][value=T]", "nn.LayerNorm((3, 4))(x)"),
    ]:
        page.click(action)
        page.evaluate("window.saved")
        assert picker.line == line == shown(page, "line")
        assert np.array_equal(picker.group_of, groups_shown(page, picker.layout))
    page.evaluate("fromPython({ layout: 'images', shared: 'NHW', cell: 7 })")
    assert shown(page, "name") == "BatchNorm2d"
    assert lit(page)[0] == 6


def test_without_javascript_the_layers_are_a_table(chromium, site):
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(site.url("images.html"))
    assert "nn.BatchNorm2d(4)(x)" in page.text_content(".ln-still")
    assert NO_LAYER not in page.content().split("<script type")[0]
    context.close()


def test_it_runs_with_colabs_packages(colab_python):  # noqa: F811
    code = (
        "import json, anywidget, ipywidgets\n"
        "from layernorm_book.widgets import AxisPicker\n"
        "picker = AxisPicker()\n"
        "picker.set_state({'layout': 'tokens', 'shared': 'T'})\n"
        "assert ipywidgets.__version__ == '7.7.1'\n"
        "print(picker.line)"
    )
    done = subprocess.run([colab_python, "-c", code], capture_output=True, encoding="utf-8")
    assert done.stdout.strip() == "nn.InstanceNorm1d(4, affine=True)(x.mT).mT", done.stderr
