"""The lab under a hand in a real browser: controls move the numbers, and those are PyTorch's."""

import gzip
import math
from itertools import pairwise

import pytest
import torch
from browser import ROOT, join_to_python, move, serve, type_in, values, write_page
from test_layernorm_js import breaches

from layernorm_book.widgets import LayerNormLab
from layernorm_book.widgets.common import EPS_STOPS

ROW = [1.0, 2.0, 3.0, 6.0]
WEIGHT, BIAS = [1.0, 2.0, 1.0, 0.5], [0.0, 0.0, 1.0, 0.0]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Bare pages with labs: no Sphinx, no theme, the same host."""
    folder = tmp_path_factory.mktemp("labs")
    for stage in ("statistics", "normalize"):
        write_page(folder, stage, LayerNormLab(x=ROW, stage=stage))
    lab = LayerNormLab(x=ROW, eps=0.5, weight=WEIGHT, bias=BIAS)
    write_page(folder, "affine", lab)
    write_page(folder, "long", LayerNormLab(x=torch.linspace(-1, 1, 768)))
    broken = LayerNormLab(x=ROW)
    broken._esm = "export default { render() { throw new Error('out of order'); } };"
    write_page(folder, "broken", broken, LayerNormLab(x=ROW, stage="statistics"))
    site, stop = serve(folder)
    yield site
    stop()


@pytest.fixture(params=["localhost", "file"])
def open_lab(request, page, site):
    """Open a page by name, over HTTP and from file://; wait for its lab."""

    def open_page(name, fragment=""):
        page.goto(site.url(f"{name}.html{fragment}", request.param))
        page.wait_for_selector(".ln-lab tbody")
        return page

    return open_page


def assert_pytorch_agrees(page):
    """Compare y with PyTorch on exactly what the readouts show, by check_parity's rule."""
    row = tuple(torch.tensor(values(page, name)) for name in ("x", "weight", "bias"))
    placement = page.locator("[name=placement]:checked").get_attribute("value")
    (eps,) = values(page, "eps")
    y = torch.tensor(values(page, "y"))
    assert not breaches([(*row, eps, placement)], [y])
    return y


def test_each_control_moves_the_numbers_and_they_are_pytorchs(open_lab):
    page = open_lab("affine")
    seen = [assert_pytorch_agrees(page)]
    for selector, value in [
        ("[name=eps]", -2),
        ("[name=x][data-index='2']", -1.5),
        ("[name=weight][data-index='1']", 0.25),
        ("[name=bias][data-index='3']", -0.75),
        ("[name=weight-all]", 0.5),
        ("[name=bias-all]", 0.5),
    ]:
        move(page, selector, value)
        seen.append(assert_pytorch_agrees(page))
    page.check("[value=outside]")
    seen.append(assert_pytorch_agrees(page))
    assert all(not torch.equal(a, b) for a, b in pairwise(seen))


def test_the_stages_open_one_step_further(open_lab):
    steps = "nodes => nodes.map(node => node.dataset.step)"
    for stage, shown in {
        "statistics": ["x", "centred"],
        "normalize": ["x", "centred", "x_hat"],
        "affine": ["x", "centred", "x_hat", "weight", "bias", "y"],
    }.items():
        page = open_lab(stage)
        assert page.eval_on_selector_all("[data-step]", steps) == shown
        assert values(page, "mean") == [3.0]
        assert values(page, "var") == [3.5]


def test_every_control_is_an_input_in_a_label_and_the_values_are_float32(open_lab):
    page = open_lab("affine")
    unlabelled = "nodes => nodes.filter(node => !node.closest('label')).length"
    assert page.eval_on_selector_all(".ln-lab input", unlabelled) == 0
    names = "nodes => [...new Set(nodes.map(node => node.name))].sort()"
    for name in ("eps", "placement", "x", "weight", "bias"):
        assert name in page.eval_on_selector_all(".ln-lab input", names)
    type_in(page, "[name=eps-typed]", "1e-5")
    assert values(page, "eps") == [torch.tensor(1e-5).item()]
    type_in(page, "[name=x-typed][data-index='0']", "−0,1")
    assert values(page, "x")[0] == torch.tensor(-0.1).item()


def test_what_cannot_be_taken_is_refused_with_the_reason(open_lab):
    page = open_lab("affine")
    before = values(page, "y")
    for field, text in [("[name=eps-typed]", "0"), ("[name=x-typed][data-index='1']", "one")]:
        type_in(page, field, text)
        assert "takes a number from" in page.text_content(".ln-done")
    assert values(page, "y") == before


def test_pytorch_is_quoted_where_it_answered_and_nowhere_else(open_lab):
    page = open_lab("affine")
    for stop in EPS_STOPS:
        move(page, "[name=eps]", math.log10(stop))
        assert values(page, "eps") == [torch.tensor(stop).item()]
        assert float(page.get_attribute(".ln-says", "data-ulps")) <= 8
        assert "While this page was built" in page.text_content(".ln-says")
    page.check("[value=outside]")
    assert "While this page was built" in page.text_content(".ln-says")
    move(page, "[name=x][data-index='0']", 2.5)
    assert page.get_attribute(".ln-says", "data-ulps") == ""
    assert "your browser’s own" in page.text_content(".ln-says")
    said = page.eval_on_selector_all(
        "[data-quantity=torch]", "nodes => nodes.map(n => n.textContent)"
    )
    assert set(said) == {"·"}


def test_a_preset_tells_its_story_and_start_comes_back(open_lab):
    page = open_lab("affine")
    before = values(page, "y")
    for preset in page.locator("[data-preset]").all():
        preset.click()
        assert_pytorch_agrees(page)
        assert len(page.text_content(".ln-story")) > 60
        assert "While this page was built" in page.text_content(".ln-says")
    page.click("[data-do=start]")
    assert values(page, "y") == before


def test_undo_gives_the_input_back_and_reset_the_normalized_values(open_lab):
    page = open_lab("affine")
    page.click("[data-do=undo]")
    assert values(page, "y") == pytest.approx(ROW, abs=1e-6)
    page.click("[data-do=reset]")
    assert values(page, "y") == values(page, "x_hat")


def test_the_gap_changes_its_sign_at_one_half(open_lab):
    page = open_lab("normalize")
    move(page, "[name=eps]", -4)
    for scale, sign in [(0.2, 1), (0.5, -1)]:  # σ is 1.87 · scale
        for i, v in enumerate(ROW):
            type_in(page, f"[name=x-typed][data-index='{i}']", str(scale * v))
        assert values(page, "sign") == [sign]
        (gap,), (leading,) = values(page, "gap"), values(page, "leading")
        assert gap == pytest.approx(leading, rel=0.02)
    inside, outside = page.locator(".ln-knee").all()
    assert inside.is_visible()
    assert outside.is_visible()


def test_keys_alone_reach_and_move_every_slider(open_lab):
    page = open_lab("affine")
    stops = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        name = page.evaluate("[document.activeElement.name, document.activeElement.dataset.index]")
        stops.add(tuple(name))
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none" or name[0] is None
    assert {("x", "0"), ("x", "3"), ("eps", None), ("weight", "2"), ("bias", "3")} <= stops
    page.focus("[name=x][data-index='1']")
    seen = [values(page, "x")[1]]
    for key in ("ArrowUp", "ArrowDown", "PageUp", "End", "Home", "PageDown"):
        page.keyboard.press(key)
        seen.append(values(page, "x")[1])
    start, up, down, page_up, end, home, _ = seen
    assert home < down < up < page_up < end
    assert start == down


def test_a_long_row_shows_a_window_of_it(open_lab):
    page = open_lab("long")
    assert len(values(page, "y")) == 8
    move(page, "[name=window]", 760)
    assert values(page, "x")[-1] == 1.0
    assert page.locator("[name=x][data-index='767']").count() == 1


def test_a_widget_that_fails_says_so_in_its_place_and_leaves_the_rest_alone(page, site):
    page.goto(site.url("broken.html"))
    page.wait_for_selector(".ln-lab tbody")
    assert "out of order" in page.text_content("[role=alert]")
    assert page.locator(".ln-still").count() == 1  # the broken one's
    assert values(page, "mean") == [3.0]


@pytest.mark.parametrize("width", [320, 390, 640])
def test_a_long_row_is_no_wider_than_the_screen(open_lab, page, width):
    page.set_viewport_size({"width": width, "height": 800})
    open_lab("long")
    assert page.evaluate("document.documentElement.scrollWidth") <= width + 8  # bare margins


def test_with_a_kernel_python_and_the_page_follow_each_other(page, site):
    """The lab's own model, joined to the page without Jupyter in between."""
    lab = LayerNormLab(x=ROW)
    page.goto(site.url("statistics.html"))
    join_to_python(page, lab)
    assert "PyTorch says" in page.text_content(".ln-says")
    move(page, "[name=eps]", -0.5)
    move(page, "[name=x][data-index='0']", -2)
    page.wait_for_function("document.querySelector('.ln-says').dataset.ulps !== ''")
    assert lab.eps == 0.316
    assert lab.x[0] == -2.0
    assert lab.y == pytest.approx(values(page, "y"), abs=1e-6)
    assert "PyTorch says" in page.text_content(".ln-says")
    page.evaluate("fromPython({ placement: 'outside', eps: 2.0 })")
    assert page.is_checked("[value=outside]")
    assert values(page, "eps") == [2.0]


def test_the_host_is_light():
    host = (ROOT / "book/_static/widgets.js").read_bytes()
    assert len(gzip.compress(host)) < 2_000
