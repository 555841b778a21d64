"""The rounding lab: its arithmetic bit for bit, its sentences, and its use in a real browser."""

import re
from fractions import Fraction

import numpy as np
import pytest
import torch
from browser import ROOT, move, run_copied, run_on_packed, values
from test_javascript_arithmetic import nearest as nearest_in_fractions
from torch.nn.functional import layer_norm

from layernorm_book.widgets import RoundingLab
from layernorm_book.widgets.counter import noise
from layernorm_book.widgets.rounding import (
    EPS,
    FORMATS,
    PRESETS,
    SEED,
    STEPS,
    WAYS,
    N,
    largest_error,
    nearest,
    normalize,
    row,
)

WIDGETS = ROOT / "src/layernorm_book/widgets"
SOURCES = {
    name: (WIDGETS / name).read_text(encoding="utf-8")
    for name in ("rounded.js", "formats.js", "noise.js")
}
# For each state: its error, then x̂.
RUN = """
    const out = new Float64Array(rows.length * 769);
    rows.forEach((state, k) => {
        out[769 * k] = module.errorOf(state);
        out.set(module.normalize(module.rowOf(state), state.format, state.way).xHat, 769 * k + 1);
    });
    return out;"""


def states(format, count=1000):
    """Draw states of a format: each way as often, means from 1 to 1e6, σ from 0.01 to 100."""
    rng = np.random.default_rng(9)
    means, sigmas = 10 ** rng.uniform((0, -2), (6, 2), size=(count, 2)).T
    if format != "float32":  # half of them where the row keeps some of its digits
        means[::2] = np.minimum(means[::2], 300 * sigmas[::2])
    return [
        {
            "mean": max(1.0, float(f"{mean:.3g}")),
            "sigma": float(f"{sigma:.3g}"),
            "format": format,
            "way": list(WAYS)[k % 4],
        }
        for k, (mean, sigma) in enumerate(zip(means, sigmas, strict=True))
    ]


def in_torch(states):
    """Return x and x̂, of shape (states, N), by PyTorch's own operations in the format's dtype."""
    dtype, way = FORMATS[states[0]["format"]], states[0]["way"]
    z = noise(SEED, N)
    mean, sigma = ([[state[key]] for state in states] for key in ("mean", "sigma"))
    stored = nearest(np.array(mean) + np.array(sigma) * z, states[0]["format"])
    x = torch.from_numpy(stored).to(dtype)  # (states, N)

    def average(v):  # in halves, down to six numbers
        parts = v.reshape(len(v), N // 6, 6)
        total = torch.zeros(len(v), N // 6, dtype=dtype)
        for column in parts.unbind(-1):
            total = total + column
        while total.shape[-1] > 1:
            total = total[:, 0::2] + total[:, 1::2]
        return total / N

    def root(v):  # PyTorch's float32 root is not the nearest number on every machine
        return v.double().sqrt().to(dtype)

    if way == "welford":
        mean, var = torch.zeros(2, len(x), 1, dtype=dtype)
        for k in range(N):
            distance = x[:, k : k + 1] - mean
            mean = mean + distance / (k + 1)
            var = var + distance * (x[:, k : k + 1] - mean)
        var = var / N
    else:
        mean = average(x)
    centred = x - mean
    if way == "twice":
        centred = centred - average(centred)
    if way == "one":
        var = average(x * x) - mean * mean
    elif way != "welford":
        var = average(centred * centred)
    x_hat = centred * (1 / root(var + torch.tensor(EPS, dtype=dtype)))
    return x.double().numpy(), x_hat.double().numpy()


def run_in_browser(page, states, sources=SOURCES):
    packed = np.frombuffer(run_on_packed(page, sources, "rounded.js", RUN, b"", states))
    return packed.reshape(-1, 769)[:, 0], packed.reshape(-1, 769)[:, 1:]


@pytest.mark.parametrize("format", FORMATS)
def test_a_thousand_states_of_each_format_agree_with_pytorch_bit_for_bit(page, format):
    drawn = states(format)
    errors, found = run_in_browser(page, drawn)
    kinds = {"NaN": 0, "zeros": 0, "digits": 0}
    for k, way in enumerate(WAYS):
        mine = slice(k, None, 4)
        assert drawn[k]["way"] == way
        x, x_hat = in_torch(drawn[mine])
        np.testing.assert_array_equal(found[mine], x_hat)
        with np.errstate(all="ignore"):
            centred = x - x.mean(-1, keepdims=True)
            true = centred / np.sqrt(np.square(centred).mean(-1, keepdims=True) + EPS)
            expected = np.abs(x_hat - true).max(-1)
        kinds["NaN"] += np.isnan(x_hat).any(-1).sum()
        kinds["zeros"] += (x_hat == 0).all(-1).sum()
        kinds["digits"] += ((expected > 0) & (expected < 1)).sum()
        # float64 itself is off by about κ·2⁻⁵³; a row of equal numbers divides that by √ε
        np.testing.assert_allclose(errors[mine], expected, rtol=1e-6, atol=1e-7)
    assert kinds["digits"] > 200
    assert kinds["NaN"] > 20
    assert format == "float32" or kinds["zeros"] > 50


BROKEN = {
    "one by one sum": ("to - from > 8", "to - from > 8000"),
    "a mean with more digits": ("else mean = average(x, r.mean)", "else mean = average(x, wide)"),
    "no second centring": ("r.again(v - shift)", "v"),
    "unrounded root": ("r.rstd(Math.sqrt(", "wide(Math.sqrt("),
    "Welford's square of one distance": (
        "distance * r.var(v - mean)",
        "distance * distance",
    ),
    "another row": ("SEED = 1596", "SEED = 1597"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_broken_rounding_is_found(page, fault):
    right, wrong = BROKEN[fault]
    assert SOURCES["rounded.js"].count(right) == 1
    sources = SOURCES | {"rounded.js": SOURCES["rounded.js"].replace(right, wrong)}
    drawn = [state for f in ("float32", "bfloat16") for state in states(f, 60)]
    answers = (run_in_browser(page, drawn, each)[1] for each in (SOURCES, sources))
    assert not np.array_equal(*answers, equal_nan=True)


@pytest.mark.parametrize("format", FORMATS)
def test_python_rounds_to_the_nearest_number(format):
    rng = np.random.default_rng(8)
    doubles = np.append(10 ** rng.uniform(-44, 5, size=300), [2.0**-25, 65520.0, 65519.0, 1e39])
    expected = [nearest_in_fractions(v, FORMATS[format]) for v in doubles.tolist()]
    np.testing.assert_array_equal(nearest(doubles, format), expected)
    np.testing.assert_array_equal(nearest(-doubles, format), -np.array(expected))
    assert Fraction(float(nearest(1 / 3, "bfloat16"))) == Fraction(171, 512)


@pytest.mark.parametrize("format", FORMATS)
def test_python_gives_the_same_bits_and_the_same_step(run_module, format):
    look = "((seen) => [seen.error, seen.alone, seen.worst])(m.lookAt(given[0]))"
    for state in states(format, 12):
        lab = RoundingLab(**state)
        x, x_hat = in_torch([state])
        assert lab.x_hat.dtype == FORMATS[format]
        np.testing.assert_array_equal(lab.x.double(), x[0])
        np.testing.assert_array_equal(lab.x_hat.double(), x_hat[0])
        error, alone, worst = run_module("rounded.js", look, state)
        np.testing.assert_equal(error, lab.error)
        assert list(alone) == list(STEPS[state["way"]])
        np.testing.assert_equal(alone, lab.alone)
        size = {step: np.inf if np.isnan(v) else v for step, v in lab.alone.items()}
        blamed = max(size.values()) > 0 and np.isfinite(x).all()
        assert size[worst] == max(size.values()) if blamed else worst is None


@pytest.mark.parametrize(
    ("mean", "two", "twice"), [(100, 1.5e-5, 5.9e-7), (1e4, 1.3e-3, 4e-7), (1e6, 0.1, 4.6e-7)]
)
def test_other_rows_lose_and_regain_as_many_digits(mean, two, twice):
    """64 rows of PyTorch's random numbers; the order of a sum decides a factor of about two."""
    generator = torch.Generator().manual_seed(0)
    rows = (torch.randn(64, N, generator=generator) + mean).double().numpy()

    def error(way):
        return max(largest_error(normalize(x, "float32", way), x) for x in rows)

    assert two / 3 < error("two") < 3 * two
    assert twice / 3 < error("twice") < 3 * twice


# --- its sentences --------------------------------------------------------------------------------

SAY = "m.sentence(given[0], (await import('./rounded.js')).lookAt(given[0]))"


@pytest.mark.parametrize(
    ("state", "says"),
    [
        (("float32", "two", 1e4, 1), "x̂ is off by up to 8.8e−4. The step that rounds away the "),
        (("float32", "twice", 1e4, 1), "x̂ is off by up to 2.1e−7. Without the second centring"),
        (("float32", "one", 1e3, 1), "x̂ is off by up to "),
        (("float32", "one", 1e4, 1), "σ² comes out as −"),
        (("float32", "welford", 1e4, 1), "x̂ is off by up to 0.0036. Welford’s mean is rounded 768"),
        (
            ("float32", "two", 100, 0.01),
            "x̂ is off by up to 7.1e−4. The step that rounds away the most is μ: it is 7.5e−6 off, "
            "and shifts every number of the row alike, before all is divided by σ.",
        ),
        (("float32", "two", 1e6, 0.01), "In float32 all 768 numbers of this row are stored as 1e6"),
        (("float32", "two", 1, 10), "x̂ is off by up to "),
        (("bfloat16", "two", 1e4, 1), "In bfloat16 all 768 numbers of this row are stored as 9,98"),
        (("bfloat16", "two", 1e6, 1), "In bfloat16 all 768 numbers of this row are stored as 999,"),
        (("bfloat16", "welford", 1, 1), "x̂ is off by up to 0.35. The step that rounds away the "),
        (
            ("float16", "two", 1, 100),
            "The sum of the squares passes 65,504, where float16 ends: σ²",
        ),
        (
            ("float16", "two", 100, 1),
            "The sum of the 768 numbers passes 65,504, where float16 ends",
        ),
        (("float16", "two", 1e5, 1), "The row itself passes 65,504, where float16 ends: x holds ∞"),
    ],
)
def test_its_sentence_follows_the_state(run_module, state, says):
    format, way, mean, sigma = state
    state = {"format": format, "way": way, "mean": mean, "sigma": sigma}
    assert run_module("roundsays.js", SAY, state).startswith(says)


def test_what_a_sentence_says_the_numbers_bear_out(run_module):
    seen = set()
    for format in FORMATS:
        for state in states(format, 50):
            said = run_module("roundsays.js", SAY, state)
            x = row(state["mean"], state["sigma"], format)
            x_hat = normalize(x, format, state["way"])
            error = largest_error(x_hat, x)
            holds = {
                "x̂ is NaN": np.isnan(x_hat).all() or ("of x̂ is NaN" not in said),
                "of x̂ is NaN": np.isnan(x_hat).all(),
                "of x̂ is 0": (x_hat == 0).all(),
                "the numbers of this row": len(set(x.tolist())) == 1,
                "numbers of this row are stored": len(set(x.tolist())) == 1,
                "x holds ∞": np.isinf(x).any(),
                "No step stands out": error
                <= 2.5 * largest_error(normalize(x, format, state["way"], ("x_hat",)), x),
            }
            for words, is_so in holds.items():
                if words in said:
                    seen.add(words)
                    assert is_so, (state, said)
            if said.startswith("x̂ is off by up to "):
                number = said.split("up to ")[1].split(". ")[0].replace("−", "-")
                assert float(number) == pytest.approx(error, rel=0.06)
    assert {"of x̂ is 0", "x holds ∞", "No step stands out"} <= seen


def test_its_table_says_where_no_digits_are_left():
    lines = RoundingLab(mean=1e4, sigma=1).to_html().split("<tr>")
    for words in (*WAYS.values(), "PyTorch"):
        (line,) = (line for line in lines if words in line and "no digits left" in line)
        assert line.count("no digits left") == 2  # both 16-bit formats
        assert "<td>no digits left</td><td>no digits left</td></tr>" in line
    assert "no digits left" not in RoundingLab(mean=1, sigma=1).to_html()


def test_its_table_writes_all_numbers_alike():
    for state in ({}, {"mean": 1.0}, {"mean": 1e6}, {"mean": 1.0, "sigma": 100.0}):
        cells = re.findall("<td>([^<]*)</td>", RoundingLab(**state).to_html())
        assert len(cells) == 3 * (len(WAYS) + 1)
        for cell in cells:
            assert re.fullmatch(r"\d\.\de[-+]\d\d|nan|no digits left", cell), cell


# --- in a browser ---------------------------------------------------------------------------------


@pytest.fixture
def lab(show):
    return show(RoundingLab())


def said(page):
    return page.text_content("[data-quantity=sentence]")


def choose(page, name, value):
    page.check(f"[name={name}][value={value}]", force=True)


def lit(page):
    return page.eval_on_selector_all(".lr-lit", "nodes => nodes.map(node => node.dataset.step)")


def test_untouched_it_has_lost_four_digits_and_one_switch_brings_them_back(lab):
    (lost,) = values(lab, "error")
    assert lost == RoundingLab().error
    assert 5e-4 < lost < 1.5e-3
    assert lit(lab) == ["mean"]
    assert "once more" not in said(lab)  # the reader is to find that
    choose(lab, "way", "twice")
    (kept,) = values(lab, "error")
    assert 3000 < lost / kept < 5000
    assert "4,200 times as much" in said(lab)
    assert lit(lab) == ["x_hat"]


def test_the_dot_moves_among_the_curves_and_stands_on_its_own(lab):
    dot = "document.querySelector('.lr-dot').getAttribute('d')"
    seen = []
    for log in range(7):
        move(lab, "[name=mean]", log)
        seen.append(lab.evaluate(dot))
        x, y = (float(v) for v in seen[-1][1:-2].split())
        curve = lab.get_attribute(".lr-way.lr-two", "d")[1:].split("L")
        assert f"{x:g} {y:g}" in curve
        assert len(curve) == 13
    across = [float(d[1:].split()[0]) for d in seen]
    assert across == sorted(across)
    assert np.diff(across) == pytest.approx(np.diff(across)[0], abs=0.2)
    before = seen[-1]
    move(lab, "[name=sigma]", 1)
    assert lab.evaluate(dot) != before
    errors = lab.get_attribute("[data-quantity=errors]", "data-value").split()
    x = row(1e6, 10, "float32")
    expected = [largest_error(normalize(x, "float32", way), x) for way in WAYS]
    np.testing.assert_equal([float(v) for v in errors], expected)


def test_where_no_digit_of_the_row_is_left_no_curve_is_drawn_and_the_axis_says_so(lab):
    shown = "document.querySelector('.lr-gone-name').getAttribute('visibility')"
    assert lab.evaluate(shown) == "hidden"
    choose(lab, "format", "bfloat16")
    assert lab.evaluate(shown) == "visible"
    means = 10 ** np.arange(0, 6.5, 0.5)
    gone = [len(set(row(mean, 1.0, "bfloat16").tolist())) == 1 for mean in means]
    assert lab.get_attribute(".lr-gone", "d").count("M") == sum(gone) == 5
    path = lab.get_attribute(".lr-way.lr-two", "d")
    points = re.findall("[LH]|M[^HLM]+(?=[LM]|$)", path)  # in the band a line opens without one
    assert len(points) == 13 - sum(gone)
    assert lab.get_attribute(".lr-ghost.lr-two", "d") == ""
    # Before that, two passes lose in bfloat16 what the second centring keeps.
    move(lab, "[name=mean]", 2.5)
    (two,) = values(lab, "error")
    choose(lab, "way", "twice")
    (twice,) = values(lab, "error")
    assert two > 1
    assert twice < 0.05


def test_no_line_leads_to_nan_which_stands_in_a_lane_of_its_own(lab):
    lab.click(f"[data-preset='{list(PRESETS).index('σ = 9 in float16')}']")
    means = 10 ** np.arange(0, 6.5, 0.5)
    for way in ("two", "welford"):
        rows = [row(float(f"{mean:.10g}"), 9.0, "float16") for mean in means]
        gone = [(x == x[0]).all() or not np.isfinite(x).all() for x in rows]
        left = [x for x, lost in zip(rows, gone, strict=True) if not lost]
        errors = np.array([largest_error(normalize(x, "float16", way), x) for x in left])
        assert np.isnan(errors).sum() == (6 if way == "two" else 0)
        useless = (~(errors <= 1)).sum()  # NaN, or no digit
        path = lab.get_attribute(f".lr-way.lr-{way}", "d")
        assert path.count("H") == useless == (6 if way == "two" else 2)
        assert path.count("L") == len(left) - useless - 1
        assert path.count("M") == 2  # one line of its own, within the band
        assert 0 < float(path.split("M")[2].split()[1].split("H")[0]) < 20


def test_an_error_without_a_digit_stands_in_the_band_too(lab):
    path = lab.get_attribute(".lr-way.lr-one", "d")  # from a mean of 10,000 on
    errors = [RoundingLab(mean=mean, way="one").error for mean in 10 ** np.arange(4, 6.5, 0.5)]
    assert any(np.isnan(errors))
    assert np.nanmin(errors) > 1
    assert path.count("H") == len(errors)
    lanes = [lab.get_attribute(f".lr-ghost.lr-{way}", "d").split()[1] for way in ("one", "two")]
    assert lanes[0] == path.split("M")[-1].split()[1].split("H")[0] + "h0"
    assert float(lanes[1][:-2]) > 20


def test_the_large_dot_hides_no_other_ways_dot(lab):
    lab.click(f"[data-preset='{list(PRESETS).index('σ = 9 in float16')}']")
    move(lab, "[name=mean]", 2)
    marks = "[...document.querySelectorAll('.lr-dot, .lr-ghost, .lr-heart')]"
    ghosts = [f"lr-ghost lr-{way}" for way in WAYS]
    for way in WAYS:
        choose(lab, "way", way)
        names = lab.evaluate(f"{marks}.map(mark => mark.getAttribute('class'))")
        assert names == ["lr-dot", *ghosts, f"lr-heart lr-{way}"]  # the last lies on top
        dot, *others, heart = lab.evaluate(f"{marks}.map(mark => mark.getAttribute('d'))")
        assert heart == dot == others[list(WAYS).index(way)]
        assert len(set(others)) == len(WAYS)


def test_each_way_lights_its_own_steps(lab):
    for way in WAYS:
        choose(lab, "way", way)
        shown = lab.eval_on_selector_all(
            ".lr-steps li:not([hidden])", "nodes => nodes.map(node => node.dataset.step)"
        )
        assert shown == list(STEPS[way])
        alone = RoundingLab(way=way).alone
        np.testing.assert_equal(
            values(lab, "alone", ".lr-steps li:not([hidden])"), list(alone.values())
        )
        assert len(lit(lab)) == 1


def test_no_step_is_lit_where_none_is_to_blame(lab):
    move(lab, "[name=sigma]", -2)
    move(lab, "[name=mean]", 6)
    assert "their digits are gone before the layer begins" in said(lab)
    assert lit(lab) == []
    choose(lab, "format", "float16")
    assert "x holds ∞" in said(lab)
    assert lit(lab) == []
    choose(lab, "format", "bfloat16")
    move(lab, "[name=sigma]", 0)
    assert "Yet the layer makes" in said(lab)
    assert lit(lab) == ["mean"]


def test_each_button_is_its_row_and_has_pytorchs_answer(lab):
    for k, preset in enumerate(PRESETS.values()):
        lab.click(f"[data-preset='{k}']")
        assert values(lab, "mean") == [preset["mean"]]
        assert values(lab, "sigma") == [preset["sigma"]]
        np.testing.assert_equal(values(lab, "error"), [RoundingLab(**preset).error])
        x = RoundingLab(**preset).x
        theirs = largest_error(layer_norm(x, (N,)).double().numpy(), x.double().numpy())
        shown = float(lab.get_attribute(".ln-says", "data-error"))
        assert shown == pytest.approx(theirs, rel=0.06)
        if preset["format"] != "float32":  # float32 to the end, and one rounding: the last box
            assert RoundingLab(**preset).alone["x_hat"] == pytest.approx(theirs, rel=0.01)
        if k == list(PRESETS).index("σ = 10 in float16"):
            assert "all of x̂ is 0" in said(lab)
            assert lit(lab) == ["var"]
    lab.click("[data-do=start]")
    move(lab, "[name=mean]", 2.5)
    assert lab.get_attribute(".ln-says", "data-error") == ""


@pytest.mark.parametrize("way", WAYS)
def test_the_copied_lines_find_the_same_loss(lab, way):
    choose(lab, "way", way)
    text, names = run_copied(lab)
    assert "import row" in text
    x, x_hat = names["x"].double().numpy(), names["x_hat"].double().numpy()
    theirs, ours = largest_error(x_hat, x), RoundingLab(way=way).error
    assert np.isnan(ours) or ours / 30 < theirs < 30 * ours  # another order of the sums


def test_names_for_assistive_technology(lab):
    assert lab.get_by_role("slider", name="Mean of the row").count() == 1
    assert lab.get_by_role("slider", name="Standard deviation of the row").count() == 1
    assert lab.get_by_role("radio", name="centred twice").count() == 1
    assert "two passes 8.8e−4" in lab.get_by_role("img").get_attribute("aria-label")
