"""Chapter 12's "Try this" lines, performed."""

from collections import Counter

import torch
import torch.nn.functional as F
from browser import values
from census import measure
from tries import tries

from layernorm_book.calling.candidate import DEFAULT_EPS
from layernorm_book.chapters.census import load, told
from layernorm_book.parity.bugs import off


def packages(page):
    """Return what stands in the first column of the rows that are shown."""
    return page.locator("[data-row] th:visible").all_inner_texts()


def piles(page, group):
    """Return in which piles the dots of a group stand: 0 is under 0.001%, 6 is NaN."""
    dots = page.locator(f"circle[data-group={group}]")
    return dots.evaluate_all("all => all.map(dot => +dot.dataset.pile)")


@tries(
    "12-quiet",
    "Press “usual”, and then “quiet”: 17 of the 19 purple dots leave the first pile. A LayerNorm "
    "is 4.6% off, and an RMSNorm 0.058%, where PyTorch's ε is smaller. Here σ² is only 10⁻⁴, so "
    "another ε shows. The two that stay use 10⁻⁵ in float32, as PyTorch does, and 10⁻³ in other "
    "formats.",
)
def test_quiet_rows_show_another_eps(lab_page):
    page = lab_page
    page.click("[name=given][value=usual]")
    groups = ("agrees", "limit", "one-plus", "half", "no-eps", "rest")
    usual = {group: piles(page, group).count(0) for group in groups}
    assert (sum(usual.values()), page.locator("circle").count()) == (166, 190)
    page.click("[name=given][value=quiet]")
    left = {group: usual[group] - piles(page, group).count(0) for group in groups}
    assert left == dict.fromkeys(groups, 0) | {"no-eps": 17, "rest": 6}
    assert len(piles(page, "no-eps")) == 19
    assert "σ = 0.01" in page.inner_text("[data-quantity=seen]")
    page.click("[name=group][value=no-eps]")
    shown = page.locator("[data-row]:not([hidden])")
    at = [int(number) for number in shown.evaluate_all("all => all.map(row => row.dataset.row)")]
    rows = load()["rows"]
    sizes = shown.locator("td:last-child").all_text_contents()
    assert Counter((rows[i]["against"], size) for i, size in zip(at, sizes, strict=True)) == {
        ("layer_norm", "4.6%"): 6,
        ("rms_norm", "0.058%"): 11,
        ("layer_norm", "under 0.001%"): 2,
    }
    stay = [i for i, size in zip(at, sizes, strict=True) if size == "under 0.001%"]
    says = "eps is 1e-5 in float32 and 1e-3 in every other dtype"
    assert all(says in rows[i]["confirmation"]["sentence"] for i in stay)
    told_eps = {key: f"{eps:.1e}" for key, eps in DEFAULT_EPS.items()}
    assert told_eps == {"layer_norm": "1.0e-05", "rms_norm": "1.2e-07"}
    for group, colour in (("no-eps", "twin"), ("rest", "y")):  # purple, and orange
        here = "node => getComputedStyle(node).getPropertyValue('--here').trim()"
        named = f"node => getComputedStyle(node).getPropertyValue('--{colour}').trim()"
        dot = page.locator(f"circle[data-group={group}]").first
        assert dot.evaluate(here) == dot.evaluate(named)


@tries(
    "12-loud",
    "Press “loud”: now all 20 dark blue dots are on the right, and some of other colours. The "
    "square of 1000 is more than float16 can hold. “500%” says that β alone came out, and “100%” "
    "that nothing but zeros did.",
)
def test_loud_rows_show_half_precision(lab_page):
    page = lab_page
    page.click("[name=given][value=half]")
    assert max(piles(page, "half")) <= 1
    page.click("[name=given][value=loud]")
    assert len(piles(page, "half")) == 20
    assert min(piles(page, "half")) >= 4
    assert max(piles(page, "no-eps")) >= 4
    assert max(piles(page, "agrees")) <= 1
    page.click("[name=group][value=half]")
    sizes = page.locator("[data-row]:not([hidden]) td:last-child").all_text_contents()
    assert set(sizes) == {"500%", "100%"}
    given = measure.inputs_of("loud")
    shape, wide = (768,), (given.x.double(), given.weight.double(), given.bias.double())
    assert given.x.square().isinf().any(-1).all()
    x_hat = given.x * torch.rsqrt(given.x.square().mean(-1, keepdim=True))  # 0, in float16
    layer_norm = F.layer_norm(wide[0], shape, *wide[1:], 1e-5)
    assert told(off(x_hat * given.weight + given.bias, layer_norm)) in ("490%", "500%", "510%")
    assert told(off(x_hat * given.weight, F.rms_norm(wide[0], shape, wide[1]))) == "100%"


@tries(
    "12-yours",
    "Type “diffusers” into the field: 19 of 271 layers are left. 13 of them have a dot, and every "
    "other dot fades.",
)
def test_the_field_finds_a_package(lab_page):
    page = lab_page
    page.locator("[name=query]").press_sequentially("diffusers")
    assert page.text_content("[data-quantity=shown]").startswith("19 of 271 layers")
    counts = values(page, "count")
    assert counts[0] == 19 == sum(counts[1:])
    assert all(name.startswith("diffusers ") for name in packages(page))
    lit = page.locator("circle:not(.ln-away)").count()
    assert lit == sum(counts[1:7]) == 13
