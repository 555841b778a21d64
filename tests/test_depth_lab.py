"""The depth lab: its arithmetic against PyTorch, its sentences, and its use in a real browser."""

import math

import numpy as np
import pytest
import torch
from browser import ROOT, move, run_copied, run_on_packed, type_in, values
from traitlets import TraitError

from layernorm_book.widgets import DepthLab
from layernorm_book.widgets.counter import noise
from layernorm_book.widgets.depth import (
    MOST,
    NORMS,
    PLACES,
    PRESETS,
    SEEDS,
    WIDTH,
    draw,
    run,
    sizes,
)

WIDGETS = ROOT / "src/layernorm_book/widgets"
NAMES = ("stack.js", "noise.js", "layernorm.js", "backward.js")
SOURCES = {name: (WIDGETS / name).read_text(encoding="utf-8") for name in NAMES}
# For each state: the size of each row, of each gradient, and every number of every row.
RUN = """
    return Float64Array.from(rows.flatMap(state => {
        const { rows, grads } = module.run(state);
        return [...rows.map(module.rms), ...grads.map(module.rms), ...rows.flatMap(r => [...r])];
    }));"""


def states(count, skip):
    """Draw states; of five, one nears the upper end of float32; without a skip one the lower."""
    rng = np.random.default_rng(7)
    if skip:
        kinds = [((-3, 3), (1, MOST), norm) for norm in PLACES]
        kinds += [((2.7, 3), (40, MOST), "none")]
    else:
        kinds = [((-3, 3), (1, MOST), norm) for norm in (*NORMS, "none")]
        kinds += [((2.7, 3), (38, MOST), "none"), ((-3, -2.9), (44, MOST), "none")]
    kinds = [kinds[k % 5] for k in range(count)]
    return [
        {
            "scale": float(f"{2 ** rng.uniform(*powers):.3g}"),
            "depth": int(rng.integers(depths[0], depths[1] + 1)),
            "norm": norm,
            "seed": int(rng.integers(SEEDS)),
            "skip": skip,
        }
        for powers, depths, norm in kinds
    ]


def test_the_noise_is_the_same_bit_for_bit(page):
    script = "return module.noise(rows[0].seed, 5000);"
    for seed in (0, 7):
        sources = {"noise.js": SOURCES["noise.js"]}
        answer = run_on_packed(page, sources, "noise.js", script, b"", [{"seed": seed}])
        assert np.array_equal(np.frombuffer(answer), noise(seed, 5000))


@pytest.mark.parametrize("skip", [False, True])
def test_500_states_agree_with_pytorch(page, skip):
    """Sizes to 1e-4, and 0, ∞ and NaN in the same places of the same rows."""
    drawn = states(500, skip)
    numbers = iter(np.frombuffer(run_on_packed(page, SOURCES, "stack.js", RUN, b"", drawn)))
    seen = {"ended": 0, "vanished": 0, "back": 0}

    def take(count):
        return np.array([next(numbers) for _ in range(count)])

    for state in drawn:
        length = state["depth"] + 1
        rows, grads = run(**state)
        mine, back = take(length), take(length)
        values = torch.tensor(take(length * WIDTH)).reshape(length, WIDTH)
        theirs = torch.stack(rows).double()
        for kind in (torch.isnan, torch.isposinf, torch.isneginf, lambda v: v == 0):
            assert torch.equal(kind(values), kind(theirs)), state
        expected = np.array(sizes(rows))
        normal = np.isfinite(expected) & (expected > 1e-37)  # below, float32 loses digits
        np.testing.assert_allclose(mine[normal], expected[normal], rtol=1e-4)
        expected = np.array(sizes(grads))
        if theirs.isfinite().all():
            normal = np.isfinite(expected) & (expected > 1e-37)
            np.testing.assert_allclose(back[normal], expected[normal], rtol=1e-3)
            seen["back"] += bool(normal.all())
        seen["ended"] += not theirs.isfinite().all()
        seen["vanished"] += bool((theirs[-1] == 0).any())
    assert seen["ended"] > 20
    assert seen["back"] > 250
    assert skip or seen["vanished"] >= 1


def test_the_sums_in_float64_change_nothing_but_the_edge():
    """Products of matrices in float32, as networks run them, give the same sizes until then."""
    for scale in (0.5, 1.0, 4.0, 8.0):
        x, _, weights = draw(6)
        row, found = x, sizes(run(scale, MOST, "none")[0])
        for block, weight in enumerate(scale * weights):
            row = torch.mv(weight, torch.relu(row))
            if not found[block + 1] < 1e37:
                break
            assert sizes([row])[0] == pytest.approx(found[block + 1], rel=1e-4)
        assert block >= 40


def test_without_the_layer_one_scale_survives_and_with_it_every_one():
    for scale in (0.125, 0.5, 2.0, 8.0):
        plain, normed = (sizes(run(scale, MOST, norm)[0])[-1] for norm in NORMS)
        assert not 1e-9 < plain < 1e9
        assert 0.5 < normed / scale < 2
    plain, normed = (sizes(run(1.0, MOST, norm)[0])[-1] for norm in NORMS)
    assert 0.5 < plain < 3
    assert 0.5 < normed < 3
    # "It ends about as large as the scale you set", whatever the draw and the depth.
    for seed in range(SEEDS):
        found = sizes(run(1.0, MOST, "layernorm", seed)[0])[1:]
        assert 0.6 < min(found) <= max(found) < 1.5
    # The gradient suffers as the signal does.
    assert sizes(run(4.0, MOST, "none")[1])[1] > 1e25
    assert 0.01 < sizes(run(4.0, MOST, "layernorm")[1])[1] < 100


# --- in a browser ---------------------------------------------------------------------------------


@pytest.fixture
def lab(show):
    return show(DepthLab())


def said(page):
    return page.text_content("[data-quantity=sentence]")


def shown_sizes(page):
    text = page.get_attribute("[data-quantity=sizes]", "data-value")
    return [float(size) for size in text.split()]


def test_untouched_it_explodes_and_one_switch_tames_it(lab):
    assert values(lab, "size")[0] > 1e20
    assert values(lab, "grad")[0] > 1e20
    assert said(lab).startswith("Without LayerNorm the row has grown to size")
    assert lab.get_attribute(".ln-says", "data-off") == "0"
    lab.check("[name=norm][value=layernorm]", force=True)
    assert 1 < values(lab, "size")[0] < 10
    assert 0.01 < values(lab, "grad")[0] < 10
    assert "it ends about as large as the scale you set" in said(lab)
    for log in (-3, -1, 0, 3):
        move(lab, "[name=scale]", log)
        assert 0.5 < values(lab, "size")[0] / 2**log < 2
    np.testing.assert_allclose(shown_sizes(lab), sizes(run(8.0, MOST, "layernorm")[0]), rtol=1e-4)


def test_its_sentences_follow_the_state(lab):
    move(lab, "[name=scale]", 0)
    assert said(lab).startswith("Here it works without LayerNorm")
    move(lab, "[name=scale]", -1)
    assert "faded" in said(lab)
    move(lab, "[name=scale]", 3)
    gone = next(k for k, size in enumerate(shown_sizes(lab)) if not size < math.inf)
    assert said(lab).startswith(f"Block {gone} gives numbers beyond")
    move(lab, "[name=depth]", gone - 1)
    assert "grown" in said(lab)
    move(lab, "[name=depth]", 1)
    assert said(lab).startswith("After one block the row has size")


def test_the_places_around_a_skip(show):
    """What chapter 9 offers: each place has its sentence, and keeps signal and gradient near 1."""
    lab = show(DepthLab(scale=1.0, norm="none", norms=PLACES))
    assert lab.locator("[name=norm]").evaluate_all("all => all.map(one => one.value)") == [*PLACES]
    assert said(lab).startswith("Without LayerNorm the row has grown to size 6 × 10⁶")
    opening = {
        "post": "Post-LN sets the row back to size 1 after",
        "pre": "Pre-LN lets the row add up, to size 8.3 after 48 blocks.",
        "peri": "Peri-LN adds a row of one size in every block",
    }
    for place, start in opening.items():
        lab.check(f"[name=norm][value={place}]", force=True)
        assert said(lab).startswith(start)
        assert lab.get_attribute(".ln-says", "data-off") == "0"
        rows, grads = run(1.0, MOST, place, skip=True)
        np.testing.assert_allclose(shown_sizes(lab), sizes(rows), rtol=1e-4)
        assert values(lab, "grad") == pytest.approx([sizes(grads)[1]], rel=1e-3)
        _, names = run_copied(lab)
        assert names["row"].shape == (32,)
    lab.click("[data-preset='2']")  # a button for the weights leaves the place alone
    assert lab.is_checked("[name=norm][value=peri]")
    assert lab.get_attribute(".ln-says", "data-off") == "0"


def test_peri_ln_does_not_see_the_weights_and_pre_ln_adds_up():
    plain = sizes(run(1.0, MOST, "peri", skip=True)[0])
    assert sizes(run(8.0, MOST, "peri", skip=True)[0]) == pytest.approx(plain, rel=1e-3)
    for scale in (0.5, 2.0, 8.0):
        post, pre = (sizes(run(scale, MOST, place, skip=True)[0]) for place in ("post", "pre"))
        assert post[1:] == pytest.approx([1] * MOST, rel=1e-4)
        assert 0.5 < pre[-1] / (1 + MOST * scale**2) ** 0.5 < 2


@pytest.mark.parametrize("norms", [("post", "layernorm"), ("beside",), ()])
def test_places_that_do_not_go_together_are_refused(norms):
    with pytest.raises(TraitError, match="norms takes some of"):
        DepthLab(norms=norms)
    with pytest.raises(TraitError, match="norm takes any of none, layernorm here"):
        DepthLab(norm="pre")


def test_the_scales_that_survive_get_fewer_with_depth(lab):
    widths = []
    for depth in (6, 24, 48):
        move(lab, "[name=depth]", depth)
        least, most = map(float, lab.get_attribute("[data-quantity=alive]", "data-value").split())
        widths.append(most / least)
        assert math.isclose(most / least, 100 ** (1 / depth), rel_tol=1e-9)
        for scale, inside in ((1.02 * least, True), (most / 1.02, True), (1.05 * most, False)):
            last = sizes(run(scale, depth, "none")[0])[-1]
            assert (0.1 < last < 10) == inside
    assert widths == sorted(widths, reverse=True)


def test_buttons_and_fields(lab):
    for k, preset in enumerate(PRESETS.values()):
        lab.click(f"[data-preset='{k}']")
        assert values(lab, "size")[0] != 0
        assert float(lab.input_value("[name=scale-typed]")) == preset["scale"]
        assert lab.get_attribute(".ln-says", "data-off") == "0"
    type_in(lab, "[name=scale-typed]", "1.5")
    assert lab.get_attribute(".ln-says", "data-off") == ""
    lab.click(".ln-more summary")
    before = shown_sizes(lab)
    lab.click("[data-do=redraw]")
    assert shown_sizes(lab) != before
