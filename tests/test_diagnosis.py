"""Every wrong layer is called by its name, and by no other; every right one by none."""

import itertools
import json
import re
from dataclasses import replace
from functools import cache

import nbformat
import numpy as np
import pytest
import torch
from layers import (
    LIMITED,
    LIMITED_RMS,
    RIGHT,
    RIGHT_IMAGES,
    RIGHT_RMS,
    WRONG,
    WRONG_RMS,
    by,
    finish,
    two_passes,
)

from layernorm_book import LayerNorm, check_parity, layer_norm, layer_norm_backward
from layernorm_book.parity.bugs import BUGS, CHAPTERS, VARIANTS, percent
from layernorm_book.parity.formula import RIGHT as FORMULAS

SEEDS = range(3)
NORMS = {
    "layer_norm": (RIGHT, LIMITED, WRONG),
    "rms_norm": (RIGHT_RMS, LIMITED_RMS, WRONG_RMS),
}


def every(*tables):
    """Return (name, against) for each layer in these tables of either norm."""
    return [(name, norm) for norm, all_of in NORMS.items() for i in tables for name in all_of[i]]


def report_of(name, against="layer_norm", seed=0, dtypes=None):
    return _report_of(name, against, seed, dtypes)


@cache
def _report_of(name, against, seed, dtypes):
    layer = next(table[name] for table in NORMS[against] if name in table)
    layer = layer[0] if isinstance(layer, tuple) else layer
    return check_parity(layer, against=against, seed=seed, dtypes=dtypes)


def expected(name, against):
    return next(table[name][1] for table in NORMS[against][1:] if name in table)


def codes(report):
    return {finding.code for finding in report.findings}


def the_finding(report):
    (finding,) = report.findings
    return finding


# --- names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "against"), every(0))
def test_a_right_layer_has_no_findings_on_any_seed_in_any_dtype(name, against):
    for seed in SEEDS:
        report = report_of(name, against, seed)
        assert report.ok, f"seed {seed}\n{report}"
        assert not report.findings
        assert not report.secondary
    for dtype in ("float64", "float32", "float16", "bfloat16"):
        report = report_of(name, against, dtypes=dtype)
        assert report.ok or (dtype, report.kind) == ("bfloat16", "NumPy function"), str(report)


@pytest.mark.parametrize("name", RIGHT_IMAGES)
def test_a_right_layer_of_images_has_no_findings_on_any_seed(name):
    for seed in SEEDS:
        report = check_parity(RIGHT_IMAGES[name], seed=seed, channels_last=False)
        assert report.ok, f"seed {seed}\n{report}"
        assert not report.findings


def test_a_compiled_layer_has_no_findings():
    compiled = torch.compile(two_passes, backend="aot_eager")
    report = check_parity(compiled, dtypes="float32", backward=False)
    assert report.ok, str(report)


@pytest.mark.parametrize(("name", "against"), every(1))
def test_a_limit_is_named_and_leaves_a_layer_right(name, against):
    report = report_of(name, against)
    assert report.ok, str(report)
    assert codes(report) == expected(name, against)
    assert {finding.severity for finding in report.findings} == {"limit"}
    assert "limit, " in str(report)
    assert report.hints() == "Nothing to fix."
    assert check_parity(LIMITED["CastInput"][0], seed=1).ok


@pytest.mark.parametrize(("name", "against"), every(2))
def test_a_wrong_layer_is_called_by_its_names(name, against):
    names = expected(name, against)
    first = next(n for n, norm in every(2) if (expected(n, norm), norm) == (names, against))
    for seed in SEEDS if name == first else [0]:  # one layer of each kind makes the point
        report = report_of(name, against, seed)
        assert not report.ok
        assert codes(report) == names, f"seed {seed}\n{report}"
        assert {finding.severity for finding in report.findings} == {"wrong"}


# What one dtype alone cannot show.
UNSEEN = {
    "float64": {"not_widened", "variance_rounded", "rms_in_half"}
    | {"left_wide", "widened", "numpy_promoted", "rms_widened"},
    "float16": {"mean_of_squares", "clamped_one_pass", "numpy_one_pass", "all_in_half"},
}


@pytest.mark.parametrize("dtype", UNSEEN)
def test_one_dtype_alone_still_gives_wrong_layers_away(dtype):
    for i, (name, against) in enumerate(every(2)):
        if "unknown" not in expected(name, against) and (name in UNSEEN[dtype] or i % 2):
            report = report_of(name, against, dtypes=dtype)
            assert report.ok is (name in UNSEEN[dtype]), f"{name}\n{report}"
            assert codes(report) <= expected(name, against), f"{name}\n{report}"


def test_every_code_is_earned_by_layers():
    assert len(RIGHT) >= 20
    assert len(RIGHT_RMS) >= 10
    earned = [codes for tables in NORMS.values() for t in tables[1:] for _, codes in t.values()]
    new = {"mean-subtracted", "sum-for-mean", "unit-offset-weight", "swapped-gradients"}
    for code, bug in BUGS.items():
        if bug.severity == "limit" or code in new:
            assert any(code in codes for codes in earned), code
        else:
            assert earned.count({code}) >= 3, code


NEED_BIAS = ("swapped-affine", "shift-before-scale", "swapped-gradients")


def formulas(against):
    """Yield (name, code, parts) for every variant of every bug that such a layer can have."""
    for code, bug in BUGS.items():
        for i, variant in enumerate(bug.variants):
            bias = code in NEED_BIAS or (code, i) == ("missing-affine", 1)
            fits = against in variant.against and not (bias and against == "rms_norm")
            if fits and bug.severity == "wrong":
                yield f"{code} {i}", code, variant.parts


def layer_of(parts, against):
    formula = replace(FORMULAS[against], **parts)
    if against == "layer_norm":
        return lambda x, shape, weight, bias, eps: formula(x, shape, weight, bias, eps)
    return lambda x, shape, weight, eps: formula(x, shape, weight, None, eps)


@pytest.mark.parametrize("against", NORMS)
def test_each_variant_is_called_by_its_code(against):
    for name, code, parts in formulas(against):
        report = check_parity(layer_of(parts, against), against=against)
        assert codes(report) == {code}, f"{name}\n{report}"


def pairs(against):
    first = {}
    for name, code, parts in formulas(against):
        if name != "wrong-axis 0" and code != "low-precision-statistics":  # they can wait
            first.setdefault(code, parts)
    for a, b in itertools.combinations(first, 2):
        if first[a].keys().isdisjoint(first[b]):
            yield a, b, {**first[a], **first[b]}


# Pairs that come to the same as one bug, or as another.
SAME = {
    ("missing-eps", "eps-outside-sqrt"): "no eps stands nowhere",
    ("no-centering", "one-pass-variance"): "E[x²] − 0 has nothing to cancel",
}


@pytest.mark.parametrize("against", NORMS)
def test_two_bugs_at_once_yield_both_codes(against):
    for a, b, parts in pairs(against):
        known = against == "rms_norm" and not {a, b} & {"mean-subtracted", "sum-for-mean"}
        if (a, b) not in SAME and not known:  # the others were seen against layer_norm
            layer = layer_of(parts, against)
            report = check_parity(layer, against=against, dtypes=["float32"])
            assert codes(report) == {a, b}, f"{a} and {b}\n{report}"


def test_three_bugs_at_once_yield_three_codes():
    three = ("eps-outside-sqrt", "unbiased-variance", "swapped-affine")
    parts = {k: p for code in three for k, p in BUGS[code].variants[0].parts.items()}
    assert codes(check_parity(layer_of(parts, "layer_norm"))) == set(three)


def test_half_precision_and_several_axes_wait_until_the_rest_is_right():
    def hasty(x, normalized_shape, weight, bias, eps):
        var, mean = torch.var_mean(x, -1, keepdim=True, correction=0)
        return finish((x - mean) / (torch.sqrt(var) + eps), weight, bias, x)

    def fixed(x, normalized_shape, weight, bias, eps):
        var, mean = torch.var_mean(x, -1, keepdim=True, correction=0)
        return finish((x - mean) / torch.sqrt(var + eps), weight, bias, x)

    first, second = check_parity(hasty), check_parity(fixed)
    can_wait = {"wrong-axis", "low-precision-statistics"}
    assert codes(first) == {"eps-outside-sqrt"}
    assert {f.code for f in first.secondary} >= can_wait
    assert "besides, wrong-axis: " in str(first)
    assert codes(second) == can_wait
    assert not second.secondary


def test_the_limits_of_a_wrong_layer_can_wait():
    report = report_of("GemmaStyle", "rms_norm")
    assert {f.code for f in report.secondary} == {"narrows-float64"}
    assert not report.ok


def test_a_result_of_another_dtype_is_not_blamed_on_the_statistics():
    for name in ("left_wide", "always_float32"):
        assert not report_of(name).secondary


def test_unknown_stands_beside_a_name_for_other_evidence_alone():
    def outside_with_half_a_gradient(x, normalized_shape, weight, bias, eps):
        y = WRONG["outside_of_std"][0](x, normalized_shape, weight, bias, eps)
        return y / 3 + y.detach() * 2 / 3

    report = check_parity(outside_with_half_a_gradient)
    assert codes(report) == {"eps-outside-sqrt", "unknown"}
    assert "and not in y" in report.findings[-1].message


# --- what a finding says --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("eps_written_in", "1e-12, whatever is given"),
        ("EpsLost", "0.001, whatever is given"),
        ("eps_squared", "the square of what is given: 0.25 where 0.5 is given"),
        ("eps_in_the_sum", "what is given, divided by n"),
        ("x_alone_with_another_eps", "1e-06, and not 1e-05"),
        ("outside_of_std", "√var + eps"),
        ("outside_of_rsqrt", "1/√var + eps"),
        ("over_the_batch", "over axis 0, and not over axis 2"),
        ("over_everything", "over axes 0, 1, 2"),
        ("over_the_last_alone", "over axis 3, and not over axes 2, 3"),
        ("Rms", "RMSNorm"),
        ("mean_left_in", "the mean is not subtracted"),
        ("BiasForgotten", "the bias"),
        ("weight_forgotten", "the weight"),
        ("detached_mean", "through the mean"),
        ("detached_variance", "through the variance"),
        ("all_in_float32", "float64 x is computed in float32"),
        ("all_in_half", "half precision"),
        ("none_returned", "NoneType"),
        ("tuple_returned", "tuple"),
        ("reduced", "(2, 3)"),
        ("widened", "torch.float64"),
        ("raising", "IndexError: no such axis"),
        ("Odd", "temperature"),
        ("written_back", "changed x in place"),
        ("numpy_in_place", "changed x in place"),
        ("floor_of_eps", "at σ ="),
        ("GradientsExchanged", "the gradients of weight and bias are exchanged"),
        ("square_for_root", "the square of var + eps"),
        ("tanh_of_x", "no shifted and scaled copy"),
        ("zero_centred_weight", "1 + weight"),
        ("RoundsBeforeScale", "as LLaMA does"),
        ("bare_std", "a standard deviation with no eps"),
    ],
)
def test_a_message_says_what_was_measured(name, words):
    assert words in the_finding(report_of(name)).message


def test_an_rms_norm_without_eps_divides_by_no_standard_deviation():
    message = the_finding(report_of("rms_bare", "rms_norm")).message
    assert message == "it divides by a root mean square with no eps added"


def test_one_norm_in_place_of_the_other_is_told_where_it_fits():
    assert 'against="rms_norm"' in the_finding(report_of("Rms")).fix
    assert 'against="layer_norm"' in the_finding(report_of("Centres", "rms_norm")).fix


def test_a_layer_for_float32_parameters_says_so():
    messages = {f.code: f.message for f in report_of("CastInput").findings}
    assert "unless its parameters stay float32" in messages["float32-parameters"]


@pytest.mark.parametrize(("name", "against"), every(1, 2))
def test_a_finding_has_its_effect_its_fix_and_its_chapter(name, against):
    for finding in report_of(name, against).findings:
        bug = BUGS[finding.code]
        assert finding.fix
        assert finding.chapter == bug.chapter
        assert finding.severity == bug.severity
        sized = bug.code == "wrong-eps" or bug.variants
        found = set(re.findall(r"\b(4|768)\b", re.sub(r"\(4, 16, 2", "(", finding.effect)))
        assert found == ({"4", "768"} if sized and bug.rows else set()), finding


def test_a_layer_that_always_takes_the_last_axis_is_measured_on_two():
    """On one axis it is right: there its size would be nothing."""
    effect = the_finding(report_of("over_the_last_alone")).effect
    assert "nothing" not in effect
    assert all(float(share) > 10 for share in re.findall(r"([\d.]+)%", effect))


def test_an_effect_is_that_of_the_root():
    effect = the_finding(check_parity(VARIANTS["unbiased-variance"])).effect
    assert effect == "off by 15.5% at n = 4, 0.07% at n = 768"
    assert percent((4 / 3) ** 0.5 - 1) == "15.5%"
    assert percent((768 / 767) ** 0.5 - 1) == "0.07%"
    effect = the_finding(report_of("rms_by_sum", "rms_norm")).effect  # √n − 1
    assert effect == "off by 100% at n = 4, 27-fold at n = 768"
    assert "nothing" not in the_finding(report_of("Centres", "rms_norm")).effect


def test_every_chapter_that_is_named_is_in_the_book_under_that_name(pytestconfig):
    for page, words in CHAPTERS.items():
        text = (pytestconfig.rootpath / "book" / f"{page}.ipynb").read_text(encoding="utf-8")
        cells = nbformat.reads(text, as_version=4).cells
        title = next(c.source for c in cells if c.cell_type == "markdown").partition("\n")[0]
        assert words == f"chapter {int(page[:2])}, {title.removeprefix('# ')}"
    assert {bug.page for bug in BUGS.values()} == set(CHAPTERS)


def test_hints_go_from_the_symptom_to_the_line():
    report = check_parity(VARIANTS["eps-outside-sqrt"])
    symptom, step, line = (report.hints(level) for level in (1, 2, 3))
    assert "off by" in symptom
    assert "eps" not in symptom
    assert "step 2" in step
    assert "eps" not in step
    assert "sqrt(var + eps)" in line
    assert check_parity(LayerNorm).hints() == "Nothing to fix."
    with pytest.raises(ValueError, match="level is 1"):
        report.hints(4)


@pytest.mark.parametrize(("name", "against"), every(1, 2))
def test_a_report_fits_80_columns_and_json(name, against):
    report = report_of(name, against)
    assert max(map(len, str(report).splitlines())) <= 80
    again = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert again["ok"] is report.ok
    assert {f["code"] for f in again["findings"]} == codes(report)
    assert len(again["cases"]) == len(report.cases)


# --- gradients and layouts ------------------------------------------------------------------------


def test_eps_outside_is_found_without_a_say_in_eps():
    outside = by(lambda x, o, eps: (x - x.mean(**o)) / (x.std(correction=0, **o) + 1e-5))
    assert codes(check_parity(lambda x: outside(x, x.shape[-1:], None, None, 0))) == {
        "eps-outside-sqrt"
    }


def test_a_right_numpy_backward_under_a_wrong_forward_is_left_in_peace():
    layer, expected = WRONG["numpy_ddof"]
    assert codes(check_parity(layer, backward=layer_norm_backward)) == expected


def test_a_numpy_backward_without_its_two_means_is_detached_statistics():
    def backward(grad_y, x, normalized_shape, weight, eps):
        _, grad_weight, grad_bias = layer_norm_backward(grad_y, x, normalized_shape, weight, eps)
        axes = tuple(range(-len(normalized_shape), 0))
        w = x.astype(np.promote_types(x.dtype, np.float32))
        rstd = 1 / np.sqrt(w.var(axes, keepdims=True) + eps)
        g = grad_y if weight is None else grad_y * weight
        return (g * rstd).astype(x.dtype), grad_weight, grad_bias

    assert codes(check_parity(layer_norm, backward=backward)) == {"detached-statistics"}


@pytest.mark.parametrize("groups", [1, "channels"])
def test_group_norm_is_no_layer_norm_of_images(groups):
    def make(channels, eps):
        return torch.nn.GroupNorm(1 if groups == 1 else channels, channels, eps)

    report = check_parity(make, channels_last=False)
    assert codes(report) == {"wrong-axis"}
    axes = "axes 1, 2, 3" if groups == 1 else "axes 2, 3"
    assert f"over {axes}, and not over axis 1" in report.findings[0].message


def test_channels_first_finds_what_channels_last_finds():
    def unbiased(x, weight, bias, eps):
        x = x.movedim(1, -1)
        return VARIANTS["unbiased-variance"](x, x.shape[-1:], weight, bias, eps).movedim(-1, 1)

    assert codes(check_parity(unbiased, channels_last=False)) == {"unbiased-variance"}
