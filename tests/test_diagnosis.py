"""Every wrong layer is called by its name, and by no other; every right one by none."""

import itertools
import json
import re
import sys
import time
from functools import cache

import nbformat
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from layernorm_book.catalogue import CATALOGUE, CHAPTERS
from layernorm_book.sizes import percent
from layers import RIGHT, RIGHT_IMAGES, WRONG, finish, two_passes, wide

from layernorm_book import LayerNorm, check_parity, layer_norm, layer_norm_backward, variants

SEEDS = range(10)
MEASURED = set(CATALOGUE) - {"unknown"}


def codes(report):
    return {finding.code for finding in report.findings}


@cache
def report_of(name):
    return check_parity(WRONG[name][0])


def the_finding(report):
    (finding,) = report.findings
    return finding


# --- names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_layer_has_no_findings_on_any_seed(name):
    for seed in SEEDS:
        report = check_parity(RIGHT[name], seed=seed)
        assert report.ok, f"seed {seed}\n{report}"
        assert not report.findings
        assert not report.besides


@pytest.mark.parametrize("name", RIGHT_IMAGES)
def test_a_right_layer_of_images_has_no_findings_on_any_seed(name):
    for seed in SEEDS:
        report = check_parity(RIGHT_IMAGES[name], seed=seed, channels_last=False)
        assert report.ok, f"seed {seed}\n{report}"


def test_a_compiled_layer_has_no_findings():
    report = check_parity(torch.compile(two_passes, backend="aot_eager"))
    assert report.ok, str(report)


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_layer_is_called_by_its_names_on_every_seed(name):
    layer, expected = WRONG[name]
    for seed in SEEDS:
        report = check_parity(layer, seed=seed) if seed else report_of(name)
        assert not report.ok
        assert codes(report) == expected, f"seed {seed}\n{report}"


def test_there_are_enough_layers_of_each_kind():
    assert len(RIGHT) >= 15
    for code in CATALOGUE:
        assert sum(expected == {code} for _, expected in WRONG.values()) >= 3, code


@pytest.mark.parametrize("code", variants.VARIANTS)
def test_each_variant_is_called_by_its_code(code):
    assert codes(check_parity(variants.VARIANTS[code])) == {code}


PARTS = {
    "eps-outside-sqrt": {"normalize": variants.eps_outside},
    "missing-sqrt": {"normalize": variants.no_root},
    "missing-eps": {"eps_in_use": variants.no_eps},
    "wrong-eps": {"eps_in_use": lambda eps: 1e-3},
    "unbiased-variance": {"var": variants.unbiased},
    "one-pass-variance": {"var": variants.one_pass},
    "no-centering": {"mean": variants.no_mean},
    "wrong-axis": {"axes": variants.first_axis},
    "missing-affine": {"affine": variants.no_affine},
    "swapped-affine": {"affine": variants.scale_by_bias},
    "shift-before-scale": {"affine": variants.shift_then_scale},
    "detached-statistics": {"keep_mean": variants.detached, "keep_var": variants.detached},
}
# Parts that exclude each other, or whose pair is the same as one of them.
NO_PAIRS = (
    {"eps-outside-sqrt", "missing-eps"},  # no eps stands nowhere
    {"no-centering", "one-pass-variance"},  # E[x²] − 0 has nothing to cancel
)


def pairs():
    for a, b in itertools.combinations(PARTS, 2):
        if PARTS[a].keys().isdisjoint(PARTS[b]) and {a, b} not in NO_PAIRS:
            yield a, b


@pytest.mark.parametrize(("a", "b"), list(pairs()))
def test_two_bugs_at_once_yield_both_codes(a, b):
    def both(x, normalized_shape, weight, bias, eps):
        return variants.run_steps(x, normalized_shape, weight, bias, eps, **PARTS[a], **PARTS[b])

    report = check_parity(both)
    assert codes(report) == {a, b}, str(report)


def test_three_bugs_at_once_yield_three_codes():
    def three(x, normalized_shape, weight, bias, eps):
        parts = PARTS["eps-outside-sqrt"] | PARTS["unbiased-variance"] | PARTS["swapped-affine"]
        return variants.run_steps(x, normalized_shape, weight, bias, eps, **parts)

    expected = {"eps-outside-sqrt", "unbiased-variance", "swapped-affine"}
    assert codes(check_parity(three)) == expected


def test_half_precision_and_several_axes_wait_until_the_rest_is_right():
    def hasty(x, normalized_shape, weight, bias, eps):
        var, mean = torch.var_mean(x, -1, keepdim=True, correction=0)
        x_hat = (x - mean) / (torch.sqrt(var) + eps)
        return finish(x_hat, weight, bias, x)

    def mended(x, normalized_shape, weight, bias, eps):
        var, mean = torch.var_mean(x, -1, keepdim=True, correction=0)
        return finish((x - mean) / torch.sqrt(var + eps), weight, bias, x)

    first, second = check_parity(hasty), check_parity(mended)
    lesser = {"wrong-axis", "low-precision-statistics"}
    assert codes(first) == {"eps-outside-sqrt"}
    assert {f.code for f in first.besides} == lesser
    assert codes(second) == lesser
    assert not second.besides


def test_a_result_of_another_dtype_is_not_blamed_on_the_statistics():
    for name in ("left_wide", "always_float32"):
        report = report_of(name)
        assert codes(report) == {"wrong-dtype"}
        assert not report.besides


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
        ("all_in_float32", "float32"),
        ("all_in_half", "half precision"),
        ("none_returned", "NoneType"),
        ("floor_of_eps", "at σ ="),
        ("GradientsExchanged", "in grad_weight and grad_bias, and not in y"),
        ("square_for_root", "the square of var + eps"),
        ("tanh_of_x", "no shifted and scaled copy"),
        ("zero_centred_weight", "in a way of their own"),
    ],
)
def test_a_message_says_what_was_measured(name, words):
    assert words in the_finding(report_of(name)).message


def test_a_finding_has_its_size_its_mend_and_its_chapter():
    for name in WRONG:
        for finding in report_of(name).findings:
            entry = CATALOGUE[finding.code]
            assert finding.fix, name
            assert finding.chapter == entry.chapter
            if finding.code not in ("unknown", "nan-gradient"):
                assert re.search(r"\d", finding.size), (name, finding)


def test_the_size_of_the_unbiased_variance_is_that_of_the_root():
    finding = the_finding(check_parity(variants.unbiased_variance))
    assert finding.size == "off by 15.5% at n = 4, 0.07% at n = 768"
    assert percent((4 / 3) ** 0.5 - 1) == "15.5%"
    assert percent((768 / 767) ** 0.5 - 1) == "0.07%"


def test_every_chapter_that_is_named_is_in_the_book_under_that_name(pytestconfig):
    for page, words in CHAPTERS.items():
        text = (pytestconfig.rootpath / "book" / f"{page}.ipynb").read_text(encoding="utf-8")
        cells = nbformat.reads(text, as_version=4).cells
        title = next(c.source for c in cells if c.cell_type == "markdown").partition("\n")[0]
        assert words == f"chapter {int(page[:2])}, {title.removeprefix('# ')}"
    assert {entry.page for entry in CATALOGUE.values()} == set(CHAPTERS)


def test_hints_go_from_the_symptom_to_the_line():
    report = check_parity(variants.eps_outside_sqrt)
    symptom, step, line = (report.hints(level) for level in (1, 2, 3))
    assert "off by" in symptom
    assert "eps" not in symptom
    assert "step 2" in step
    assert "eps" not in step
    assert "sqrt(var + eps)" in line
    assert check_parity(LayerNorm).hints() == "Nothing to mend."
    with pytest.raises(ValueError, match="level is 1"):
        report.hints(4)


# --- the report -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", WRONG)
def test_a_report_fits_80_columns_and_json(name):
    report = report_of(name)
    assert max(map(len, str(report).splitlines())) <= 80
    again = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert again["ok"] is False
    assert {f["code"] for f in again["findings"]} == codes(report)
    assert len(again["cases"]) == len(report.cases)


def test_the_html_has_no_colours_of_its_own():
    html = check_parity(variants.unbiased_variance)._repr_html_()
    assert html.startswith('<div class="ln-report">')
    assert "style=" not in html
    assert "15.5%" in html


# --- candidates as people have them ---------------------------------------------------------------


def test_a_module_with_another_name_for_eps_and_one_axis_says_so():
    report = check_parity(RIGHT["OneSize"])
    assert report.kind == "module"
    assert any("one axis" in note for note in report.notes)
    assert all("axes" not in c.case for c in report.cases)


def test_a_candidate_without_eps_is_judged_at_the_default():
    for name in ("of_x_alone", "NoEps"):
        report = check_parity(RIGHT[name])
        assert any("1e-05" in note for note in report.notes)
        assert all("eps 0.5" not in c.case for c in report.cases)


def test_eps_outside_is_found_without_a_say_in_eps():
    def alone(x):
        x_hat = (wide(x) - wide(x).mean(-1, keepdim=True)) / (
            wide(x).std(-1, keepdim=True, correction=0) + 1e-5
        )
        return x_hat.to(x.dtype)

    assert codes(check_parity(alone)) == {"eps-outside-sqrt"}


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
        return variants.unbiased_variance(x, x.shape[-1:], weight, bias, eps).movedim(-1, 1)

    assert codes(check_parity(unbiased, channels_last=False)) == {"unbiased-variance"}


def endless(x, normalized_shape, weight, bias, eps):
    while True:
        pass


def asleep(x, normalized_shape, weight, bias, eps):
    time.sleep(30)


class EndlessToMake(torch.nn.Module):
    def __init__(self, normalized_shape, eps=1e-5):
        super().__init__()
        endless(*[None] * 5)


def endless_on_one_case(x, normalized_shape, weight, bias, eps):
    while x.shape == (7, 3):
        pass
    return F.layer_norm(x, normalized_shape, weight, bias, eps)


@pytest.mark.parametrize("candidate", [endless, asleep, EndlessToMake, endless_on_one_case])
def test_a_candidate_that_hangs_is_given_up(candidate):
    start = time.monotonic()
    report = check_parity(candidate, time_limit=0.3)
    assert time.monotonic() - start < 5
    assert not report.ok
    finding = the_finding(report)
    assert finding.code == "raises"
    assert "no answer within 0.3 s" in finding.message
    assert check_parity(LayerNorm).ok


def test_the_time_limit_is_not_for_those_who_answer():
    def slow(x, normalized_shape, weight, bias, eps):
        time.sleep(0.02)
        return F.layer_norm(x, normalized_shape, weight, bias, eps)

    assert check_parity(slow, time_limit=0.3).ok


@pytest.mark.parametrize("stop", [SystemExit(3), KeyboardInterrupt(), GeneratorExit()])
def test_a_candidate_cannot_end_the_program(stop):
    def ending(x, *rest):
        raise stop

    assert codes(check_parity(ending)) == {"raises"}


def test_what_a_candidate_prints_is_held_back(capsys):
    report = check_parity(RIGHT["printing"])
    assert capsys.readouterr().out == ""
    assert any("in here" in note for note in report.notes)
    print("the way out is open")
    assert "open" in capsys.readouterr().out


def test_what_a_candidate_does_to_the_program_is_undone():
    def meddling(x, normalized_shape, weight, bias, eps):
        torch.manual_seed(1)
        np.random.seed(1)  # noqa: NPY002
        torch.set_default_dtype(torch.float16)
        torch.set_grad_enabled(False)
        torch.set_num_threads(3)
        with torch.enable_grad():
            return F.layer_norm(x, normalized_shape, weight, bias, eps)

    before = torch.get_rng_state(), np.random.get_state()[1].tolist()  # noqa: NPY002
    threads, stdout = torch.get_num_threads(), sys.stdout
    assert check_parity(meddling).ok
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.random.get_state()[1].tolist() == before[1]  # noqa: NPY002
    assert torch.get_default_dtype() is torch.float32
    assert torch.is_grad_enabled()
    assert torch.get_num_threads() == threads
    assert sys.stdout is stdout


# --- time -----------------------------------------------------------------------------------------


def test_a_check_is_fast():
    check_parity(LayerNorm)  # what is loaded once is loaded

    def seconds(candidate):
        start = time.monotonic()
        check_parity(candidate, seed=11)
        return time.monotonic() - start

    assert seconds(LayerNorm) < 3
    for name in ("outside_of_std", "AnnotatedStyle", "over_the_sequence_too", "tanh_of_x"):
        assert seconds(WRONG[name][0]) < 5, name
