"""The gradient lab: its Python half, its arithmetic and its sentences, and its use in a browser."""

import json
import re
from itertools import pairwise

import numpy as np
import pytest
import torch
from browser import ROOT, move, run_copied, run_on_packed, type_in, values
from test_javascript_arithmetic import SOURCES, backward, breaches

from layernorm_book import layer_norm_backward, rms_norm_backward
from layernorm_book.widgets import GradientLab
from layernorm_book.widgets.gradient import GRAD_Y as GRADIENT_Y
from layernorm_book.widgets.gradient import MU, PRESETS, SIGMA, WAYS, X, backward_at, forward

WIDGETS = ROOT / "src/layernorm_book/widgets"
FILES = ("backward.js", "layernorm.js", "spectrum.js", "flows.js", "shared/numbers.js")
ROW, GRAD_Y = [1.0, 2.0, 3.0, 6.0], [4.0, 0.0, 2.0, 2.0]
GRAD_X = [0.875, -1.0625, 0.0, 0.1875]  # at eps 0.5, by hand
ONES = [1.0] * 4
# The lab's files as one module: what each exports, under its own name.
JOINED = 'export * from "./backward.js"; export * from "./spectrum.js"; export * from "./flows.js";'


def sources():
    """Return the lab's arithmetic and sentences for a page, side by side."""
    texts = {name.removeprefix("shared/"): (WIDGETS / name).read_text("utf-8") for name in FILES}
    texts["flows.js"] = texts["flows.js"].replace("./shared/", "./")
    return texts | {"lab.js": JOINED}


# --- in Python ------------------------------------------------------------------------------------


def test_the_gradient_is_pytorchs_and_the_references():
    lab = GradientLab(ROW, GRAD_Y, eps=0.5)
    assert lab.grad_x == GRAD_X
    by_hand, *_ = layer_norm_backward(np.array(GRAD_Y), np.array(ROW), (4,), eps=0.5)
    assert lab.grad_x == by_hand.tolist()
    lab.set_state({"eps": 2.0, "x": [0.0, 1.0, 5.0, 2.0]})  # as a front end sends it
    assert lab.grad_x == pytest.approx(backward_at(lab.x, GRAD_Y, ONES, 2.0).tolist())
    assert lab.answer == {"revision": 0, "values": lab.grad_x}
    lab.set_state({"mu": "absent", "weight": [1.0, 2.0, -1.0, 0.5]})
    rms, _ = rms_norm_backward(*map(np.array, (GRAD_Y, lab.x)), (4,), np.array(lab.weight), 2.0)
    assert lab.grad_x == pytest.approx(rms.tolist(), abs=1e-6)


def test_a_way_that_is_cut_takes_its_term_along():
    rng = np.random.default_rng(5)
    x, grad_y, weight = rng.normal(size=(3, 8))
    g, rstd = grad_y * weight, 1 / np.sqrt(x.var() + 1e-5)
    x_hat = (x - x.mean()) * rstd
    first, second = g.mean(), x_hat * (g * x_hat).mean()
    wanted = {
        "used used": g - first - second,
        "used detached": g - first,
        "detached used": g - second,
        "detached detached": g,
    }
    for way, rest in wanted.items():
        found = backward_at(x, grad_y, weight, 1e-5, *way.split())
        np.testing.assert_allclose(found, rstd * rest, atol=2e-6)


def test_the_formulas_in_operations_have_the_kernels_outputs():
    x, weight = torch.randn(2, 8, dtype=torch.float64)
    outputs = {way: forward(x, weight, 0.1, *way.split()) for way in WAYS}
    for mu in MU:
        torch.testing.assert_close(outputs[f"{mu} used"], outputs[f"{mu} detached"])
    torch.testing.assert_close(outputs["used used"], outputs["detached used"])
    assert not torch.allclose(outputs["used used"], outputs["absent used"], atol=1e-3)


def test_a_row_of_another_length_keeps_what_gradient_it_can():
    lab = GradientLab(ROW, GRAD_Y)
    lab.x = [1.0, 5.0]
    assert lab.grad_y == (4.0, 0.0)
    assert lab.weight == (1.0, 1.0)


def test_the_presets_are_what_the_chapter_says_of_them():
    states = {p["label"]: p for p in GradientLab().presets}
    assert len(PRESETS) == len(states) == 4

    def grad_x(label, **others):
        state = {k: v for k, v in states[label].items() if k != "label"} | others
        return backward_at(**state).abs().max().item()

    assert grad_x("all equal") < 1e-6
    assert grad_x("1 + x̂") < 3e-6
    assert grad_x("constant row") == pytest.approx(3.5 / 1e-5**0.5)
    for row in (7 + np.eye(8)).tolist():
        assert grad_x("constant row", x=row) < 12
    lab = GradientLab(weight=states["other γ"]["weight"])
    assert lab.singular_values[:6] == pytest.approx([1.12, 0.91, 0.73, 0.61, 0.5, 0.47], abs=6e-3)
    assert "0.614, 0.5, 0.475, 1.62e-06, 0." in lab.to_html()


def test_a_static_page_has_an_answer_to_every_way_at_the_start_and_the_presets():
    lab = GradientLab()
    assert len(lab.recorded) == 5
    for record in lab.recorded:
        place = record["eps"].index(1e-5)
        for way in WAYS:
            asked = {k: record[k] for k in ("x", "grad_y", "weight")}
            found = backward_at(**asked, eps=1e-5, mu=way.split()[0], sigma=way.split()[1])
            assert record[way][place] == pytest.approx(found.tolist())
    assert len(json.dumps(lab.recorded)) < 15_000


# --- the arithmetic of the browser ----------------------------------------------------------------


def sample_states(count=1500):
    """States of every kind: all ways, n from 1 to 20, any γ, rows from wide to all but constant."""
    rng = np.random.default_rng(55)
    states = []
    for k in range(count):
        n = int(rng.integers(1, 21))
        x = rng.normal() * rng.choice([0, 1, 20]) + 10 ** rng.uniform(-3, 1) * rng.normal(size=n)
        weight = rng.normal(size=n) if k % 3 else np.ones(n)
        if k % 7 == 0:
            weight[rng.integers(n)] = 0
        if k % 50 == 0:
            x[:] = x[0]
        x, weight, grad_y = (np.float32(v).tolist() for v in (x, weight, rng.normal(size=n)))
        eps = float(np.float32(10 ** rng.uniform(-12, 1)))
        mu, sigma = MU[k % 3], SIGMA[(k // 3) % 2]
        states.append(
            {"x": x, "weight": weight, "grad_y": grad_y, "eps": eps, "mu": mu, "sigma": sigma}
        )
    return states


def ask(page, states, function, texts=None):
    """Run a function of the lab's modules on each state; return what comes, through JSON."""
    run = f"return new TextEncoder().encode(JSON.stringify(rows.map({function})));"
    return json.loads(run_on_packed(page, texts or sources(), "lab.js", run, b"", states))


GRADIENT = "(state) => Array.from(module.layerNormBackward(state.grad_y, state.x, state).gradX)"
FACTORS = """(state) => module.singularValues(module.backwardMatrix(
    { ...state, x: Float32Array.from(state.x), weight: Float32Array.from(state.weight) }))"""


def astray(states, found):
    """Return the states whose grad_x errs more than rounding explains.

    Against autograd in float64; PyTorch's own error in float32 counts four times, beside sixteen
    units of the largest term, amplified by what centring does to a relative error of x.
    """
    wrong = []
    for state, gradient in zip(states, found, strict=True):
        x, weight, grad_y = (
            torch.tensor(state[k], dtype=torch.float64) for k in ("x", "weight", "grad_y")
        )
        x.requires_grad_()
        ways = state["eps"], state["mu"], state["sigma"]
        exact = torch.autograd.grad(forward(x, weight, *ways), x, grad_y)[0]
        own = (backward_at(**state) - exact).abs().max()
        x = x.detach()
        power = x.var(correction=0) if state["mu"] != "absent" else x.square().mean()
        rstd = (power + state["eps"]) ** -0.5
        terms = rstd * (1 + x.abs().max() * rstd) * (grad_y * weight).abs().max()
        allowed = 4 * own + 16 * torch.finfo(torch.float32).eps * (terms + exact.abs().max())
        if not (torch.tensor(gradient) - exact).abs().max() <= allowed:
            wrong.append(state)
    return wrong


def test_fifteen_hundred_gradients_agree_with_autograd_by_every_way(page):
    states = sample_states()
    assert len(states) >= 1000
    assert {f"{s['mu']} {s['sigma']}" for s in states} == set(WAYS)
    wrong = astray(states, ask(page, states, GRADIENT))
    assert not wrong, f"{len(wrong)}: {wrong[:2]}"


def spectra_off(states, found):
    """Return by what part of the largest factor possible each spectrum differs from NumPy's."""
    off = []
    for state, factors in zip(states, found, strict=True):
        x, weight = (torch.tensor(state[k], dtype=torch.float64) for k in ("x", "weight"))
        ways = state["eps"], state["mu"], state["sigma"]
        matrix = torch.autograd.functional.jacobian(lambda v: forward(v, weight, *ways), x)  # noqa: B023
        exact = np.linalg.svd(matrix.numpy(), compute_uv=False)
        mean = 0 if state["mu"] == "absent" else x.mean()
        most = ((x - mean).square().mean() + state["eps"]) ** -0.5 * weight.abs().max()
        assert factors == sorted(factors, reverse=True)
        off.append(float(np.abs(exact - factors).max() / max(most, 1e-300)))
    return np.array(off)


def test_fifteen_hundred_spectra_agree_with_numpys_svd(page):
    states = sample_states()
    off = spectra_off(states, ask(page, states, FACTORS))
    # Each state is 1e-12 or nearer of the largest factor: rounding of float64, amplified by |x|/σ.
    assert off.max() < 1e-10
    assert np.median(off) < 3e-15


FAULTS = {
    "mean kept where it is detached": ("backward.js", 'mu === "used" ? meanG : 0', "meanG"),
    "line kept where σ is detached": (
        "backward.js",
        'sigma === "used" ? meanGXHat : 0',
        "meanGXHat",
    ),
    "centred where μ is absent": ("backward.js", 'mu === "absent" ?', "false ?"),
    "no γ": ("spectrum.js", " * weight[j]", ""),
    "one column too few": ("spectrum.js", "q = p + 1; q <", "q = p + 1; q + 1 <"),
    "a sweep too few": ("spectrum.js", "sweep < 30", "sweep < 1"),
    "no mean in the matrix": ("spectrum.js", "- one -", "-"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_broken_arithmetic_is_found(page, fault):
    name, right, wrong = FAULTS[fault]
    texts = sources()
    assert texts[name].count(right) == 1
    texts[name] = texts[name].replace(right, wrong)
    states = sample_states(240)
    if name == "backward.js":
        assert astray(states, ask(page, states, GRADIENT, texts))
    else:
        assert spectra_off(states, ask(page, states, FACTORS, texts)).max() > 1e-3


# --- its sentences --------------------------------------------------------------------------------

LINE = """(state) => { const now = module.layerNormBackward(state.grad_y, state.x, state);
    return `${module.lineSays(now, state)} ${module.shareSays(now)}`; }"""
THROUGH = """(state) => { const all = module.singularValues(module.backwardMatrix(state));
    const { rstd } = module.layerNormBackward(state.grad_y, state.x, state);
    return module.spectrumSays(all, rstd * Math.max(...state.weight.map(Math.abs))); }"""


def state(x=X, grad_y=GRADIENT_Y, weight=None, eps=1e-5, ways="used used"):
    mu, sigma = ways.split()
    weight = weight or [1.0] * len(x)
    x, grad_y = list(x), list(grad_y)
    return {"x": x, "grad_y": grad_y, "weight": weight, "eps": eps, "mu": mu, "sigma": sigma}


OF_G = "Of the length of g, which is γ · grad_y,"
LINES = (
    (state(), f"The straight line over x̂ stays behind. {OF_G} 26% goes on, times rstd."),
    (state(ways="used detached"), f"The mean of g stays behind. {OF_G} 80% goes on"),
    (state(ways="detached used"), f"The line through 0 stays behind. {OF_G} 66% goes on"),
    (state(ways="absent used"), f"The line through 0 stays behind. {OF_G} 54% goes on"),
    (state(ways="detached detached"), f"Nothing stays behind. {OF_G} 100% goes on"),
    (state(ways="absent detached"), f"Nothing stays behind. {OF_G} 100%"),
    (state(grad_y=[1.0] * 8), f"stays behind. {OF_G} next to nothing goes on"),
    (state(grad_y=[0.0] * 8), "No gradient arrives, so none goes on."),
    (state(weight=[0.0] * 8), "No gradient arrives"),
    (state(x=[7.0] * 8), "The mean of g stays behind"),
    (state(x=[7.0] * 8, ways="detached used"), "Nothing stays behind"),
)


def test_the_sentence_on_the_line_says_what_is_so(page):
    said = ask(page, [given for given, _ in LINES], LINE)
    for text, (_, part) in zip(said, LINES, strict=True):
        assert part in text
    states = sample_states(300)
    for given, text in zip(states, ask(page, states, LINE), strict=True):
        g = np.array(given["grad_y"]) * given["weight"]
        gradient = backward_at(**given).double().norm().item()
        power = np.var(given["x"]) if given["mu"] != "absent" else np.square(given["x"]).mean()
        share = gradient * (power + given["eps"]) ** 0.5 / max(np.linalg.norm(g), 1e-30)
        if "No gradient" in text:
            assert not g.any()
        elif "next to nothing" in text:
            assert share < 2e-3
        elif abs(share - 1e-3) > 1e-3:
            shown = float(text.split("grad_y, ")[1].split("%")[0].replace("−", "-"))
            assert shown == pytest.approx(100 * share, rel=0.06)


def test_the_sentence_on_the_directions_counts_them(page):
    told = {
        "Of 8 directions, 6 get through, 1 nearly stopped, 1 stopped.": state(),
        "Of 8 directions, 7 get through, 1 nearly stopped, 0 stopped.": state(ways="absent used"),
        "Of 8 directions, 7 get through, 0 nearly stopped, 1 stopped.": state(ways="used detached"),
        "Of 8 directions, 8 get through, 0 nearly stopped, 0 stopped.": state(
            ways="detached detached"
        ),
        "Of 2 directions, 0 get through, 1 nearly stopped, 1 stopped.": state([0.0, 2], [1.0, 0]),
        "Of 8 directions, 0 get through, 0 nearly stopped, 8 stopped.": state(weight=[0.0] * 8),
        # With ε at σ² and more, the seventh gets through.
        "Of 8 directions, 7 get through, 0 nearly stopped, 1 stopped. ": state(eps=4.0),
    }
    assert ask(page, list(told.values()), THROUGH) == [text.strip() for text in told]


# --- in a browser ---------------------------------------------------------------------------------


def assert_pytorch_agrees(page, eps):
    names = ("x", "grad_y", "weight", "grad_x")
    x, grad_y, weight, grad_x = (torch.tensor(values(page, k)) for k in names)
    assert not breaches([(x, weight, grad_y, eps, "inside")], [grad_x], backward)
    return grad_x


def test_each_slider_moves_the_gradient_and_it_is_pytorchs(show):
    page = show(GradientLab(ROW, GRAD_Y, eps=0.5))
    assert values(page, "grad_x") == GRAD_X
    assert (values(page, "mean_g"), values(page, "mean_g_x_hat")) == ([2.0], [-0.25])
    seen = [assert_pytorch_agrees(page, 0.5)]
    page.evaluate("document.querySelector('.ln-more').open = true")
    move(page, "[name=eps]", -3)
    seen.append(assert_pytorch_agrees(page, 1e-3))
    type_in(page, "[name=eps-typed]", "0.5")
    controls = [("x", 0, -1.5), ("x", 3, 0.5), ("grad_y", 1, -3), ("grad_y", 2, 1)]
    for name, index, value in [*controls, ("weight", 1, 0.5), ("weight", 2, 1.5)]:
        move(page, f"[name={name}][data-index='{index}']", value)
        seen.append(assert_pytorch_agrees(page, 0.5))
    copied = run_copied(page)[1]["x"].grad
    assert copied.tolist() == pytest.approx(values(page, "grad_x"), abs=1e-5)
    assert all(not torch.equal(a, b) for a, b in pairwise(seen))


def test_each_way_is_drawn_copied_and_compared_with_what_pytorch_said(show):
    lab = GradientLab()
    page = show(lab)
    page.evaluate("document.querySelector('.ln-more').open = true")
    for preset in (None, 0, 1, 2, 3):
        page.click("[data-do=start]" if preset is None else f"[data-preset='{preset}']")
        now = GradientLab() if preset is None else None
        given = {k: values(page, k) for k in ("x", "grad_y", "weight")}
        for way in WAYS:
            mu, sigma = way.split()
            page.check(f"[name=mu][value={mu}]", force=True)
            page.check(f"[name=sigma][value={sigma}]", force=True)
            pytorch = backward_at(**given, mu=mu, sigma=sigma)
            unit = max(pytorch.abs().max().item(), 1e-3)
            assert values(page, "grad_x") == pytest.approx(pytorch.tolist(), abs=1e-6 + 3e-6 * unit)
            assert "PyTorch said: grad_x within" in page.text_content(".ln-says")
            assert float(page.get_attribute(".ln-says", "data-ulps")) < 8
            grad = run_copied(page)[1]["x"].grad
            assert grad.tolist() == pytest.approx(pytorch.tolist(), abs=1e-6 + 1e-5 * unit)
            if now:
                now.mu, now.sigma = mu, sigma
                shown = page.get_attribute("[data-quantity=singular]", "data-value").split()
                assert list(map(float, shown)) == pytest.approx(now.singular_values, abs=1e-12)
                dots = page.get_attribute(".ln-factors", "d").count("M")
                assert dots == 8
    page.click("[data-preset='0']")  # a preset is a whole state
    assert page.is_checked("[name=mu][value=used]")
    assert page.is_checked("[name=sigma][value=used]")


def test_the_drawn_line_is_the_one_that_is_taken_off(show):
    """In the picture's units: the strokes run from the line to the dots."""
    page = show(GradientLab())
    for way in WAYS:
        for name, value in zip(("mu", "sigma"), way.split(), strict=True):
            page.check(f"[name={name}][value={value}]", force=True)
        line, rest, dots = (
            page.get_attribute(f".ln-fit .ln-{part}", "d") for part in ("line", "rest", "dots")
        )
        (x0, y0), (x1, y1) = (map(float, p.split()) for p in line[1:].split("L"))
        strokes = [part.replace("V", " ").split() for part in rest.split("M")[1:]]
        places = [part.removesuffix("h0").split() for part in dots.split("M")[1:]]
        lengths = []
        for (x, low, high), (dot_x, dot_y) in zip(strokes, places, strict=True):
            on_line = y0 + (y1 - y0) * (float(x) - x0) / (x1 - x0)
            assert float(low) == pytest.approx(on_line, abs=0.3)
            assert (x, high) == (dot_x, dot_y)
            lengths.append(float(low) - float(high))  # down is positive
        grad_x = np.array(values(page, "grad_x"))
        assert np.corrcoef(lengths, grad_x)[0, 1] > 0.995


def test_the_plot_and_the_gradients_have_scales(show):
    """By the picture: x̂'s ticks stand where its dots do, and what g reaches is written there."""
    page = show(GradientLab())
    for preset, at_the_edge, top in ((None, "0.6", 4), (3, "1500", 8)):
        if preset is not None:
            page.click(f"[data-preset='{preset}']")
        for step in ("x", "grad_y", "grad_x"):
            assert page.is_visible(f".ln-{step} .ln-hi")
            assert page.is_visible(f".ln-{step} .ln-lo")
        assert page.text_content(".ln-grad_x .ln-hi") == at_the_edge
        assert page.text_content(".ln-fit .ln-top") == str(top)
    page.click("[data-do=start]")
    x = np.array(values(page, "x"))
    x_hat = (x - x.mean()) / x.std()
    dots = page.get_attribute(".ln-fit .ln-dots", "d").split("M")[1:]
    places = np.array([part.removesuffix("h0").split() for part in dots], float)  # of 360, 138
    slope, middle = np.polyfit(x_hat, places[:, 0], 1)
    for tick in (-2, -1, 1, 2):
        shown = page.get_attribute(f".ln-fit [data-at='{tick}']", "x")
        assert 3.6 * float(shown.rstrip("%")) == pytest.approx(middle + slope * tick, abs=0.5)
    g = np.array(values(page, "grad_y"))
    _, zero, _ = (
        float(v)
        for v in re.findall(
            "M10 ([0-9.]+)H350M180 ([0-9.]+)V([0-9.]+)", page.get_attribute(".ln-fit .ln-axis", "d")
        )[0]
    )
    down, level = np.polyfit(g, places[:, 1], 1)
    assert zero == pytest.approx(level + 4 * down, abs=0.3)  # the axis ends at 4


def test_a_page_tells_no_answer_before_it_is_asked(show):
    page = show(GradientLab())
    answers = [".ln-fit .ln-line", ".ln-fit .ln-rest", ".ln-spectrum", "[data-quantity=mean_g]"]
    assert page.text_content(".ln-story") == "Press a button, or drag a bar of grad_y."
    assert not any(map(page.is_visible, answers))
    for preset in page.locator("[data-preset]").all():
        preset.click()
        assert "stays behind" not in page.text_content(".ln-story")
        assert not any(map(page.is_visible, answers))
    page.click("[data-do=start]")
    page.click(".ln-stays summary")
    assert "stays behind" in page.text_content("[data-quantity=line]")
    assert all(map(page.is_visible, answers))


def test_stacked_dots_stay_clear_of_the_sentence(show):
    page = show(GradientLab(mu="detached", sigma="detached"))  # all eight on one pile
    page.click(".ln-stays summary")
    apart = """() => document.querySelector(".ln-factors").getBoundingClientRect().top
        - document.querySelector(".ln-spectrum p").getBoundingClientRect().bottom"""
    assert page.evaluate(apart) >= 3.5  # half a dot, which the outline of a path leaves out


def test_the_key_names_what_stays_behind_and_no_more(show):
    """A term whose way is cut does not stay behind: its number gives way to a dash."""
    page = show(GradientLab(ROW, GRAD_Y, eps=0.5))

    def read():
        return [
            page.text_content(f"[data-quantity={q}]") for q in ("mean_g", "mean_g_x_hat", "rstd")
        ]

    assert read() == ["2", "−0.25", "0.5"]
    page.check("[name=mu][value=detached]", force=True)
    assert read() == ["–", "−0.25", "0.5"]
    page.check("[name=sigma][value=detached]", force=True)
    assert read() == ["–", "–", "0.5"]
    page.check("[name=mu][value=absent]", force=True)
    assert read() == ["–", "–", "0.277"]


def test_little_is_seen_to_be_little(show):
    """The scale of grad_x holds a quarter of what would go on untouched, so noise draws no bars."""
    page = show(GradientLab())
    high = """() => Math.max(...[...document.querySelector("[data-step=grad_x] .ln-bars")
        .getAttribute("d").matchAll(/M\\S+ (\\S+)V([0-9.]+)h/g)].map(m => Math.abs(m[1] - m[2])))"""
    assert page.evaluate(high) > 20  # of 100
    for preset in (0, 1):
        page.click(f"[data-preset='{preset}']")
        assert page.evaluate(high) < 0.5


def test_broken_sources_are_the_labs_own():
    assert sources()["backward.js"] == SOURCES["backward.js"]
