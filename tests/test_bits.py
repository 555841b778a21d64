"""The bit-level lab: its rounding against PyTorch, and the widget in a real browser."""

import struct
from fractions import Fraction

import numpy as np
import pytest
import torch
from browser import ROOT, move, run_on_packed, serve, type_in, write_page
from traitlets import TraitError

from layernorm_book.widgets import BitLab
from layernorm_book.widgets.bits import EXPONENT_BITS, FORMATS, PRESETS, stored_bits

SOURCE = (ROOT / "src/layernorm_book/widgets/formats.js").read_text(encoding="utf-8")

# Stores packed float64 numbers in each format; returns, for each number and format: the stored
# value, 1 + it in the format, and the word that its bits make.
RUN = """
    const { FORMATS, store, addOne, fieldsOf } = module;
    const values = new Float64Array(packed);
    const out = new Float64Array(values.length * 9);
    values.forEach((value, i) => FORMATS.forEach((format, k) => {
        const stored = store(value, format);
        const word = parseInt(fieldsOf(stored, format).fields.join(""), 2);
        out.set([stored, addOne(stored, format), word], 9 * i + 3 * k);
    }));
    return out;"""


def run_in_browser(page, source, values):
    """Return an array of (numbers, formats, (stored, 1 + stored, word)), float64."""
    packed = np.asarray(values, dtype=np.float64).tobytes()
    results = run_on_packed(page, source, RUN, packed, None)
    return np.frombuffer(results, dtype=np.float64).reshape(-1, 3, 3)


def draw_values():
    """Return thousands of float32 numbers: every size, both signs, halfway points, the edges."""
    rng = np.random.default_rng(6)
    words = rng.integers(0, 2**32, size=8000, dtype=np.uint32)
    anything = words.view(np.float32)
    eps = (10 ** rng.uniform(-13, 0, size=4000)).astype(np.float32)
    halves = np.arange(2**16, dtype=np.uint16).view(np.float16)
    halves = np.sort(halves[np.isfinite(halves) & (halves >= 0)].astype(np.float32))
    between = ((halves[1:] + halves[:-1]) / 2)[::7]  # exact: halfway between two float16
    tops = (words[:2000] & 0x7FFF0000 | 0x8000).view(np.float32)  # between two bfloat16
    edges = [0.0, 65504.0, 65519.0, 65520.0, 3.3895e38, 3.4e38, 2.0**-24, 2.0**-25, 2.0**-149]
    near = [np.nextafter(np.float32(v), np.float32(to)) for v in edges for to in (0, np.inf)]
    values = np.concatenate([anything, eps, between, halves[::7], tops, np.float32(edges), near])
    return values[np.isfinite(values)]


def pytorch(values):
    """Return what PyTorch stores of float32 numbers, in the layout of `run_in_browser`."""
    x = torch.from_numpy(values)
    columns = []
    for dtype in FORMATS:
        stored = x.to(dtype)
        size = torch.finfo(dtype).bits
        word = stored.view(torch.int32 if size == 32 else torch.int16).double() % 2**size
        columns.append(torch.stack([stored.double(), (1 + stored).double(), word], -1))
    return torch.stack(columns, 1).numpy()


@pytest.fixture(scope="module")
def values():
    return draw_values()


def wrong(results, expected):
    """Return how many numbers differ in what is stored, in 1 + it, or in a bit."""
    return int((results != expected).any(axis=(1, 2)).sum())


def test_thousands_of_numbers_are_stored_as_pytorch_stores_them(page, values):
    assert len(values) > 15_000
    assert wrong(run_in_browser(page, SOURCE, values), pytorch(values)) == 0


BROKEN = {
    "ties up": ("rest === 0.5 && below % 2 === 1", "rest === 0.5"),
    "ties down": (" || (rest === 0.5 && below % 2 === 1)", ""),
    "no subnormal numbers": (
        "Math.max(exponentOf(size), leastExponent(format))",
        "exponentOf(size)",
    ),
    "no infinity": ("rounded > largest ? Infinity : rounded", "rounded"),
    "leading 1 stored": ("significand - 1]", "significand]"),
    "bias off by one": ("2 - 2 ** (exponent - 1)", "1 - 2 ** (exponent - 1)"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_rounding_is_found(page, values, name):
    right, broken = BROKEN[name]
    assert SOURCE.count(right) == 1
    some = np.concatenate([values[::5], values[-30:]])
    assert wrong(run_in_browser(page, SOURCE.replace(right, broken), some), pytorch(some)) > 0


def nearest(value, dtype):
    """Round a float64 in exact fractions: the nearest number of the format, ties to even."""
    info, exact = torch.finfo(dtype), abs(Fraction(value))
    step = Fraction(info.smallest_normal) * Fraction(info.eps)
    while exact >= 2 * step / Fraction(info.eps):
        step *= 2
    rounded = float(round(exact / step) * step)  # Python rounds a Fraction's tie to even
    return np.copysign(rounded if rounded <= info.max else np.inf, value)


def test_a_float64_is_rounded_once(page):
    """PyTorch rounds to float32 on its way to 16 bits; the lab promises the nearest number."""
    rng = np.random.default_rng(7)
    doubles = 10 ** rng.uniform(-44, 5, size=1500)
    just_above = np.nextafter(2.0**-25, 1)  # rounded twice, this becomes 0 in float16
    doubles = np.append(doubles, [just_above, 1e-8, 1e-12, 1e-50, 1e50])
    results = run_in_browser(page, SOURCE, doubles)
    expected = [[nearest(v, dtype) for dtype in FORMATS] for v in doubles.tolist()]
    np.testing.assert_array_equal(results[..., 0], expected)
    assert results[1500, 1, 0] == 2.0**-24
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(results[:, 0, 0], doubles.astype(np.float32))


# --- the widget -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bits")
    write_page(folder, "bits", BitLab())
    write_page(folder, "typed", BitLab(eps=0.3))
    site, stop = serve(folder)
    yield site
    stop()


@pytest.fixture(params=["localhost", "file"])
def lab(request, page, site):
    page.goto(site.url("bits.html", request.param))
    page.wait_for_selector(".ln-bits")
    return page


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


def test_the_slider_moves_the_bits(lab):
    for log, kind in ((-5, "subnormal"), (-3, "normal"), (-13, "zero"), (0, "normal")):
        move(lab, "[name=eps]", log)
        assert_pytorch_agrees(lab, float(f"{10.0**log:.3g}"))
        assert readouts(lab, "kind")[1] == kind
    assert lab.get_attribute(".ln-says", "data-agrees") == ""  # PyTorch was not asked for 1


def test_a_number_can_be_typed_and_nonsense_is_refused(lab):
    for text, eps in (("6e-8", 6e-8), ("1e−42", 1e-42), ("0,25", 0.25), ("70000", 70000)):
        type_in(lab, "[name=eps-typed]", text)
        assert_pytorch_agrees(lab, eps)
    assert readouts(lab, "kind") == ["normal", "infinite", "normal"]
    for text in ("", "small", "0", "-1", "1e99"):
        type_in(lab, "[name=eps-typed]", text)
        assert "takes a number" in lab.text_content(".ln-done")
        assert_pytorch_agrees(lab, 70000)
    assert lab.input_value("[name=eps-typed]") == "70000"


def test_each_button_is_its_value(lab):
    for k, (label, _) in enumerate(PRESETS):
        lab.click(f".ln-presets button >> nth={k}")
        assert readouts(lab, "bits") == [stored_bits(float(label), dtype) for dtype in FORMATS]
        assert lab.get_attribute(".ln-says", "data-agrees") == "true"


def test_the_keyboard_reaches_and_moves_everything(lab):
    lab.keyboard.press("Tab")
    reached = []
    for _ in range(len(PRESETS) + 2):
        reached.append(lab.evaluate("document.activeElement.name || document.activeElement.type"))
        outline = lab.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid"
        lab.keyboard.press("Tab")
    assert reached == ["button"] * len(PRESETS) + ["eps-typed", "eps"]
    lab.focus("[name=eps]")
    seen = []
    for key in ("ArrowRight", "PageUp", "End", "ArrowLeft", "PageDown", "Home"):
        lab.keyboard.press(key)
        seen.append(float(readouts(lab, "stored")[0]))
    assert 1e-8 < seen[0] < seen[1] < seen[2] == 1
    assert seen[5] < seen[4] < seen[3] < 1


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


@pytest.fixture(scope="module")
def book(built_book):
    site, stop = serve(built_book)
    yield site
    stop()


@pytest.mark.parametrize("scheme", ["localhost", "file"])
def test_the_chapter_opens_with_it(page, book, scheme):
    page.goto(book.url("book/06_precision.html", scheme))
    page.wait_for_selector(".ln-bits")
    assert_pytorch_agrees(page, 1e-8)
    move(page, "[name=eps]", -5)
    assert_pytorch_agrees(page, 1e-5)


def test_without_javascript_it_is_a_table(chromium, book):
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(book.url("book/06_precision.html"))
    assert page.locator("table.ln-still").count() == 1
    assert "float16" in page.text_content("table.ln-still")
    context.close()


# --- its Python half ------------------------------------------------------------------------------


def test_eps_follows_the_hand_and_pytorch_answers():
    lab = BitLab()
    seen = []
    lab.observe(lambda change: seen.append(change["new"]), "answer")
    lab.set_state({"eps": 1e-5})  # as a front end sends it
    assert lab.eps == 1e-5
    assert seen[-1]["bits"][1] == "0000000010101000"


@pytest.mark.parametrize("value", [0, -1e-5, float("nan"), float("inf"), 1e60, "1e-5", True, None])
def test_a_bad_eps_is_refused_and_changes_nothing(value):
    lab = BitLab(eps=0.5)
    before = lab.get_state()
    with pytest.raises(TraitError, match=r"1e-50 to 1e\+50"):
        lab.eps = value
    assert lab.get_state() == before


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


def test_its_html_form_holds_the_bits():
    (data, *_) = BitLab(eps=1e-5)._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in data
    assert "<td>0010101000</td><td>1.00136e-05</td>" in data["text/html"]
