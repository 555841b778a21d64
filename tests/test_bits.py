"""The bit lab: its arithmetic and its sentences, and its use in a real browser."""

import struct

import numpy as np
import pytest
import torch
from browser import move, open_lab, run_copied, type_in, values

from layernorm_book.widgets import BitLab
from layernorm_book.widgets.bits import (
    EXPONENT_BITS,
    FORMATS,
    NAMES,
    PRESETS,
    stored_bits,
    stored_value,
)

HALVES = [name for name, dtype in NAMES.items() if dtype.itemsize == 2]
FIND = "m.FORMATS.find(f => f.name === given[0])"


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


@pytest.mark.parametrize("name", HALVES)
def test_all_65536_patterns_come_back_from_the_number_and_from_the_state(run_module, name):
    """In JavaScript: pattern to number to bits, and pattern to state to pattern. In Python too."""
    words = torch.arange(2**16, dtype=torch.int32).to(torch.int16)
    true = words.view(NAMES[name]).double().numpy()
    everything = f"""[...Array(2 ** 16).keys()].map(word => {{
        const format = {FIND}, [value, bits] = m.asState(word, format);
        return [m.read(word, format), m.wordOf(m.read(word, format), format),
            m.fromState(value, bits, format).word, value, bits];
    }})"""
    rows = run_module("formats.js", everything, name)
    read, again, kept, value, bits = np.array(rows, dtype=float).T
    np.testing.assert_array_equal(read, true)
    np.testing.assert_array_equal(
        np.signbit(read[~np.isnan(read)]), np.signbit(true)[~np.isnan(true)]
    )
    patterns = np.arange(2**16)
    np.testing.assert_array_equal(kept, patterns)
    numbers = ~np.isnan(true)
    np.testing.assert_array_equal(again[numbers], patterns[numbers])
    assert np.isfinite(value).all()  # JSON has no other
    assert ((bits == -1) == (np.isfinite(true) & ((true != 0) | (patterns == 0)))).all()
    for word in (0, 1, 2**15, 2**15 + 1, 2**16 - 1, 0x7C00, 0x7F80, 0x3C00):
        number = stored_value(word, NAMES[name])
        assert int(stored_bits(number, NAMES[name]), 2) == word


@pytest.mark.parametrize("name", NAMES)
def test_thousands_of_sums_and_roots_are_pytorchs(run_module, name):
    rng = np.random.default_rng(11)
    span = {"float16": (-8, 4.9), "bfloat16": (-44, 39), "float32": (-44, 39)}[name]
    pairs = 10 ** rng.uniform(*span, size=(3000, 2))
    pairs[:1500, 1] = pairs[:1500, 0] * 10 ** rng.uniform(-9, 2, size=1500)  # near each other
    pairs[::97, 0], pairs[::89, 1] = 0, 0
    pairs[::31, 0] *= -1
    stored = torch.tensor(pairs).float().to(NAMES[name])  # (3000, 2)
    total = stored[:, 0] + stored[:, 1]
    root = total.double().sqrt().to(NAMES[name])
    run = f"given[1].map(([v, e]) => Object.values(m.reciprocalRoot(v, e, {FIND})))"
    finite = stored.isfinite().all(-1)
    mine = run_module("formats.js", run, name, stored[finite].double().tolist())
    theirs = torch.stack([total, 1 / root], -1)[finite].double()
    np.testing.assert_array_equal(np.array(mine, dtype=float), theirs)
    assert (total == stored[:, 0]).sum() > 300
    assert total.isinf().sum() > 5


# --- its sentences --------------------------------------------------------------------------------

SAY = """(() => {
    const format = f.FORMATS.find(one => one.name === given[0]), [v, e] = given[1];
    const [variance, eps] = [f.store(v, format), f.store(e, format)];
    const kept = { var: variance, eps, ...f.reciprocalRoot(variance, eps, format) };
    return m.bitsSay({ var: v, eps: e }, kept, format);
})()"""
SAY = f"await (async f => {SAY})(await import('./formats.js'))"


@pytest.mark.parametrize(
    ("name", "var", "eps", "says"),
    [
        ("float16", 0, 1e-8, "float16 stores ε = 1e−8 as 0, and σ² is 0: nothing is left"),
        ("float16", 1e-9, 1e-8, "float16 stores ε = 1e−8 as 0, and σ² = 1e−9 as well: nothing"),
        ("float16", 0, 1e-5, "σ² is 0: ε stands alone under the root. 1/√ε = 316 is finite"),
        ("float32", 0, 1e-8, "σ² is 0: ε stands alone under the root. 1/√ε = 10,000 is finite"),
        ("float16", 0, 0, "ε is 0, and so is σ²: nothing is left under the root"),
        ("float32", 1, 1e-8, "Beside σ² = 1 nothing is left of ε: it is at most half a step of fl"),
        ("float16", 1, 1e-8, "float16 stores ε = 1e−8 as 0. That costs nothing"),
        ("float16", 1e-7, 1e-8, "float16 stores ε = 1e−8 as 0. 1/√(σ² + ε) is 4.1% too large."),
        ("float16", 1, 1e-3, "98% of ε arrives in the sum. 1/√(σ² + ε) is 0.05% too large."),
        ("float32", 1e-5, 1e-5, "100% of ε arrives in the sum. 1/√(σ² + ε) is "),
        ("bfloat16", 1e-8, 1e-3, "Nothing is left of σ² beside ε: 1/√(σ² + ε) is 31.75"),
        ("float16", 1e5, 1e-5, "σ² is ∞: 1/√∞ is 0, and so is all of x̂."),
        ("float16", 6e4, 6e4, "σ² + ε is ∞: "),
        ("float32", -1, 1e-5, "σ² + ε is negative: its root is NaN"),
        ("float32", 1e-3, -1e-3, "σ² and ε cancel: nothing is left under the root."),
        ("float32", 1, 0, "ε is 0: σ² stands alone under the root, and 1/√σ² = 1."),
    ],
)
def test_its_sentence_says_what_is_left_and_what_that_costs(run_module, name, var, eps, says):
    said = run_module("bitsays.js", SAY, name, [var, eps])
    assert said.replace("\u2060", "").startswith(says)


def test_to_lose_eps_beside_a_normal_variance_never_costs_more_than_rounding(run_module):
    """Only where ε is stored as 0 and σ² has lost digits itself does more go than roundings."""
    rng = np.random.default_rng(12)
    costs = {"nothing": 0, "rounding": 0, "more": 0}
    for name, dtype in NAMES.items():
        least = torch.finfo(dtype).smallest_normal
        for _ in range(150):
            var, eps = (10 ** rng.uniform((-9, -13), (3, -3))).tolist()
            said = run_module("bitsays.js", SAY, name, [var, eps])
            v, e = (torch.tensor(number, dtype=dtype) for number in (var, eps))
            if v + e != v or v == 0:
                assert "nothing is left of ε" not in said
                continue
            rstd = 1 / (v + e).double().sqrt().to(dtype)
            exact = 1 / (v.double() + eps).sqrt()
            off = abs(rstd.double() / exact - 1).item()
            kind = "nothing" if "That costs nothing" in said else "more"
            kind = "rounding" if "than rounding alone" in said else kind
            costs[kind] += 1
            assert (kind == "nothing") == (rstd == exact.to(dtype)), said
            assert (kind != "more") or v < least or off > torch.finfo(dtype).eps, said
            if v >= least:
                assert off < 1.25 * torch.finfo(dtype).eps, said
    assert costs["nothing"] > 50
    assert costs["rounding"] > 10


# --- in a browser ---------------------------------------------------------------------------------


@pytest.fixture
def lab(show):
    return show(BitLab())


def readouts(page, quantity):
    nodes = f"[data-quantity='{quantity}']"
    return page.eval_on_selector_all(nodes, "nodes => nodes.map(node => node.dataset.value)")


def said(page):
    return page.text_content("[data-quantity=sentence]").replace("\u2060", "")


def bit(page, name, place):
    return page.locator(f"[data-of={name}]:not([hidden])").nth(place)


def assert_pytorch_agrees(page, **state):
    assert readouts(page, "bits") == BitLab(**state).answer["bits"]
    shown = [float(v) for q in ("stored", "sum", "rstd") for v in readouts(page, q)]
    np.testing.assert_equal(shown, [v.item() for v in BitLab(**state).stored.values()])


def test_the_untouched_lab_shows_a_lost_eps_and_one_switch_brings_it_back(lab):
    assert_pytorch_agrees(lab)
    assert values(lab, "stored") == [0, 0]
    assert values(lab, "rstd") == [np.inf]
    assert said(lab).endswith("a row of equal numbers becomes 0 · ∞, which is NaN.")
    assert lab.get_attribute(".ln-says", "data-agrees") == "true"
    assert run_copied(lab)[1]["rstd"] == np.inf
    for name in ("float32", "bfloat16"):
        lab.check(f"[name=format][value={name}]", force=True)
        assert_pytorch_agrees(lab, format=name)
        assert values(lab, "rstd")[0] == pytest.approx(1e4, rel=0.01)
        assert lab.get_attribute(".ln-says", "data-agrees") == ""  # PyTorch was not asked


def test_both_sliders_move_their_bits_and_the_shade_follows_the_variance(lab):
    width = "parseFloat(document.querySelector('.ln-dial-eps .lb-lost').getAttribute('width'))"
    shades = []
    for log in (-6, -3, 0, 3):
        move(lab, "[name=var]", log)
        move(lab, "[name=eps]", -5)
        assert_pytorch_agrees(lab, var=10.0**log, eps=1e-5)
        shades.append(lab.evaluate(width))
        # Shaded up to half a step beside σ²: what stands left of its end is lost.
        power = -13.5 + 18.5 * shades[-1] / 100
        v = torch.tensor(10.0**log, dtype=torch.float16)
        below, above = (torch.tensor(10 ** (power + d), dtype=torch.float16) for d in (-0.1, 0.1))
        assert shades[-1] == 0 or (v + below == v and v + above > v)
    assert shades == sorted(shades)
    move(lab, "[name=var]", -13.5)
    assert values(lab, "var") == [0]


def test_a_click_flips_a_bit_and_a_second_one_flips_it_back(lab):
    start = lab.inner_html(".ln-lab")
    bit(lab, "eps", 15).click()
    assert values(lab, "stored") == [0, 2.0**-24]
    assert said(lab).startswith("σ² is 0: ε stands alone under the root. 1/√ε = 4,096 is")
    assert_pytorch_agrees(lab, eps=2.0**-24)
    bit(lab, "eps", 15).click()
    assert values(lab, "stored") == [0, 0]
    lab.click("[data-do=start]")
    assert lab.inner_html(".ln-lab") == start
    for name in NAMES:
        lab.check(f"[name=format][value={name}]", force=True)
        width = 8 * NAMES[name].itemsize
        assert lab.locator("[data-of=var]:visible").count() == width
        before = readouts(lab, "bits")[0]
        for place in (0, 3, width - 1):
            bit(lab, "var", place).click()
            other = "01"[before[place] == "0"]
            before = before[:place] + other + before[place + 1 :]
            assert readouts(lab, "bits")[0] == before
        number = stored_value(int(before, 2), NAMES[name])
        np.testing.assert_equal(float(readouts(lab, "stored")[0]), number.item())


def test_the_arrow_keys_move_among_bits_and_space_flips(lab):
    bit(lab, "var", 6).focus()
    lab.keyboard.press("Home")
    for _ in range(5):
        lab.keyboard.press("ArrowRight")
        lab.keyboard.press("Space")
    # All of the exponent: infinite. One more bit, and it is no number.
    assert readouts(lab, "bits")[0] == "0111110000000000"
    assert "σ² is ∞" in said(lab)
    lab.keyboard.press("End")
    lab.keyboard.press("Enter")
    assert readouts(lab, "bits")[0] == "0111110000000001"
    assert said(lab).startswith("σ² is NaN")
    assert lab.evaluate("document.activeElement.getAttribute('aria-checked')") == "true"
    # A link carries even that, and what is typed replaces it.
    lab.evaluate("void (navigator.clipboard.writeText = async text => { window.copied = text; })")
    lab.click("[data-do=link]")
    open_lab(lab, lab.evaluate("copied"))
    assert readouts(lab, "bits")[0] == "0111110000000001"
    assert lab.input_value("[name=var-typed]") == "NaN"
    type_in(lab, "[name=var-typed]", "0")
    assert readouts(lab, "bits")[0] == "0" * 16


def test_any_number_can_be_typed(lab):
    for text, eps in (("6e-8", 6e-8), ("1e−42", 1e-42), ("0,25", 0.25), ("70000", 7e4), ("0", 0)):
        type_in(lab, "[name=eps-typed]", text)
        assert_pytorch_agrees(lab, eps=eps)
    type_in(lab, "[name=var-typed]", "-1")
    assert_pytorch_agrees(lab, var=-1.0, eps=0.0)
    assert "negative" in said(lab)


def test_each_button_is_its_state(lab):
    for k, preset in enumerate(PRESETS.values()):
        lab.click(f"[data-preset='{k}']")
        assert_pytorch_agrees(lab, **preset)
        assert lab.get_attribute(".ln-says", "data-agrees") == "true"


def test_names_for_assistive_technology(lab):
    assert lab.get_by_label("ε as a number").count() == 1
    assert lab.get_by_role("slider", name="ε on a logarithmic scale").count() == 1
    assert lab.get_by_role("slider", name="σ² on a logarithmic scale").count() == 1
    assert lab.get_by_role("switch", name="ε, exponent bit 1 of 5").count() == 1
    assert lab.get_by_role("switch", name="σ², sign").count() == 1
    sums = lab.get_by_role("img")
    assert sums.nth(1).get_attribute("aria-label") == (
        "Bits of 1/√(σ² + ε): sign 0, exponent 11111, fraction 0000000000"
    )
    move(lab, "[name=eps]", -5)
    lab.wait_for_function("document.querySelector('.ln-live').textContent")
    assert "ε stands alone" in lab.text_content(".ln-live")
