"""What `check_parity` promises whoever calls it, and what it does with what it is given."""

import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from layers import LIMITED, LIMITED_RMS, RIGHT, WRONG

from layernorm_book import (
    LayerNorm,
    ParityError,
    ParityReport,
    check_parity,
    layer_norm,
    layer_norm_backward,
    rms_norm,
    rms_norm_backward,
    testing,
)
from layernorm_book.parity.bugs import VARIANTS
from layernorm_book.parity.cases import CASES, MIXED, expected_float64
from layernorm_book.parity.formula import RIGHT as FORMULAS


def codes(report):
    return {finding.code for finding in report.findings}


# --- what is asked --------------------------------------------------------------------------------


@pytest.mark.parametrize(("mode", "first"), [(torch.no_grad, 100), (torch.inference_mode, 200)])
def test_it_works_whatever_the_mode(mode, first):
    fresh = range(first, first + 5)  # inputs that no test has drawn before
    for seed in fresh:
        with mode():
            report = check_parity(LayerNorm, seed=seed)
        assert report.ok, str(report)
        assert report.gradients_checked
        assert check_parity(LayerNorm, seed=seed).ok  # what was drawn in that mode serves in others


def test_only_the_dtypes_that_were_asked_decide():
    textbook = WRONG["not_widened"][0]
    for single in (["float32"], "float32", [torch.float32], ("float64", "float32")):
        report = check_parity(textbook, dtypes=single)
        assert report.ok, str(report)
        assert "float32" in report.dtypes
    for several in (None, ["float16"], ["float32", "float16"]):
        assert codes(check_parity(textbook, dtypes=several)) == {"low-precision-statistics"}
    assert check_parity(textbook, dtypes=["float32", "float64"]).dtypes == ("float64", "float32")


@pytest.mark.parametrize("dtypes", [["float8"], "half", [], [torch.int32], ["float32", "fp16"]])
def test_a_dtype_that_there_is_not_is_refused_with_the_list(dtypes):
    with pytest.raises(ValueError, match="float64, float32, float16, bfloat16, got"):
        check_parity(LayerNorm, dtypes=dtypes)


def test_what_cannot_be_checked_against_is_refused():
    with pytest.raises(ValueError, match="against is 'layer_norm' or 'rms_norm', got 'batch_norm'"):
        check_parity(LayerNorm, against="batch_norm")


@pytest.mark.parametrize(
    ("layer", "backward", "against"),
    [(layer_norm, layer_norm_backward, "layer_norm"), (rms_norm, rms_norm_backward, "rms_norm")],
)
def test_the_numpy_backward_passes_on_every_seed(layer, backward, against):
    for seed in range(3):
        report = check_parity(layer, backward=backward, seed=seed, against=against)
        assert report.ok, str(report)
        assert report.gradients_checked


BACKWARD_BUGS = {
    "grad_x": lambda grad_x, grad_weight, grad_bias: (1.001 * grad_x, grad_weight, grad_bias),
    "grad_weight": lambda grad_x, grad_weight, grad_bias: (grad_x, grad_bias, grad_bias),
    "grad_bias": lambda grad_x, grad_weight, grad_bias: (grad_x, grad_weight, 0 * grad_bias),
}


@pytest.mark.parametrize("quantity", BACKWARD_BUGS)
def test_each_gradient_is_checked(quantity):
    def wrong(*arguments):
        return BACKWARD_BUGS[quantity](*layer_norm_backward(*arguments))

    report = check_parity(layer_norm, backward=wrong)
    assert {c.quantity for c in report.cases if not c.passed} == {quantity}


def test_a_backward_of_another_dtype_is_found():
    def wide(*arguments):
        return tuple(g.astype("float64") for g in layer_norm_backward(*arguments))

    assert codes(check_parity(layer_norm, backward=wide)) == {"wrong-dtype"}


def test_only_the_gradients_give_some_bugs_away():
    for candidate in (VARIANTS["detached-statistics"], WRONG["root_squared"][0]):
        assert check_parity(candidate, backward=False).ok


def test_backward_true_insists_on_gradients():
    def without_graph(*arguments):
        return F.layer_norm(*arguments).detach()

    assert check_parity(without_graph).ok
    assert not check_parity(without_graph).gradients_checked
    assert "no graph" in check_parity(without_graph, backward=True).findings[0].message
    assert not check_parity(F.layer_norm, backward=False).gradients_checked


def test_a_result_that_is_off_by_1_in_10_000_fails():
    assert not check_parity(lambda *given: F.layer_norm(*given) * 1.0001, dtypes="float32").ok


def test_nan_never_passes():
    for name in ("nan", "root_squared"):
        report = check_parity(WRONG[name][0], dtypes="float32")
        assert any(c.error == float("inf") for c in report.cases)
    failed = {c.name for c in report.cases if not c.passed}
    assert "constant rows · grad_x" in failed


# --- candidates as people have them ---------------------------------------------------------------


def test_a_module_instance_is_refused_with_the_fix():
    with pytest.raises(TypeError, match=r"pass the class LayerNorm"):
        check_parity(LayerNorm(4))


@pytest.mark.parametrize("candidate", [None, 3, "LayerNorm", np.ones(4)])
def test_what_cannot_be_called_is_refused(candidate):
    with pytest.raises(TypeError, match=r"check_parity takes a torch\.nn\.Module class"):
        check_parity(candidate)


def test_a_module_with_another_name_for_eps_and_one_axis_says_so():
    report = check_parity(RIGHT["OneSize"])
    assert report.kind == "module"
    assert any("one axis" in note for note in report.notes)
    assert all("axes" not in c.case for c in report.cases)


def test_a_layer_of_three_axes_is_asked_for_no_others():
    report = check_parity(RIGHT["OfSequences"])
    assert "It takes x of 3 axes, so no others were tried." in report.notes
    assert report.gradients_checked


def test_buffers_and_parameters_around_axes_of_size_1_are_given_values():
    seen = set()

    class Watched(RIGHT["BetaBuffer"]):
        def compute(self, x, weight, bias):
            seen.update(self.beta.flatten().tolist())
            return super().compute(x, weight, bias)

    assert check_parity(Watched).ok
    assert len(seen) > 100


def test_a_candidate_without_eps_is_judged_at_the_default():
    for name in ("of_x_alone", "NoEps"):
        report = check_parity(RIGHT[name])
        assert any("1e-05" in note for note in report.notes)
        assert all("eps 0.5" not in c.case for c in report.cases)


def test_half_precision_beside_float32_parameters_decides_only_where_it_is_taken():
    mixed = {case.name for case in MIXED}
    assert mixed <= {c.case for c in check_parity(LayerNorm).cases}
    report = check_parity(LIMITED_RMS["LlamaStyle"][0], against="rms_norm")
    assert not mixed & {c.case for c in report.cases}
    assert any("float32 parameters gives float32" in note for note in report.notes)


def test_float64_in_float32_is_measured_as_float32():
    narrow, right = (check_parity(layer) for layer in (LIMITED["InFloat32"][0], LayerNorm))
    bounds = {c.name: c.allowed for c in right.cases}
    as_float32 = [c for c in narrow.cases if "(as float32)" in c.name]
    assert {c.case for c in as_float32} == {c.case for c in narrow.cases if "float64" in c.case}
    for c in as_float32:
        assert c.passed
        assert c.quantity == "grad_bias" or c.allowed > 1e3 * bounds[c.name.replace(AS, "")]


AS = " (as float32)"


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
    (finding,) = report.findings
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


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield 2
    torch.set_num_threads(before)


def test_what_a_candidate_does_to_the_program_is_undone(two_threads):
    def meddling(x, normalized_shape, weight, bias, eps):
        torch.manual_seed(1)
        np.random.seed(1)  # noqa: NPY002
        torch.set_default_dtype(torch.float16)
        torch.set_grad_enabled(False)
        torch.set_num_threads(3)
        with torch.enable_grad():
            return F.layer_norm(x, normalized_shape, weight, bias, eps)

    before = torch.get_rng_state(), np.random.get_state()[1].tolist()  # noqa: NPY002
    stdout = sys.stdout
    assert check_parity(meddling).ok
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.random.get_state()[1].tolist() == before[1]  # noqa: NPY002
    assert torch.get_default_dtype() is torch.float32
    assert torch.is_grad_enabled()
    assert torch.get_num_threads() == two_threads
    assert sys.stdout is stdout


# --- the cases ------------------------------------------------------------------------------------


def test_every_case_goes_by_a_name_of_its_own():
    assert len({case.name for case in CASES + MIXED}) == len(CASES + MIXED)


def test_the_same_seed_draws_the_same_inputs_and_another_seed_others():
    for case in CASES:
        if 0 in case.shape:
            continue
        a, b, other = (case.make(seed) for seed in (0, 0, 1))
        assert torch.equal(a.grad_y, b.grad_y)
        assert torch.equal(a.x, b.x)
        assert not torch.equal(a.grad_y, other.grad_y)


def test_the_cases_cover_what_gives_wrong_layers_away():
    n_at = {(case.normalized_shape[-1], case.eps) for case in CASES}
    assert {n for n, _ in n_at} >= {1, 2, 3, 4, 768}
    assert {n for n, eps in n_at if eps == 0.5} >= {2, 4, 768}
    assert {eps for _, eps in n_at} >= {0.5, 1e-5}
    assert {case.axes for case in CASES} >= {1, 2, 3}
    float32 = {case.mean for case in CASES if case.dtype is torch.float32}
    assert float32 >= {0, 100, 2000}
    assert len({case.dtype for case in CASES}) == 4
    assert any(case.sigma == 0 for case in CASES if case.dtype is torch.float32)
    assert any(0 in case.shape for case in CASES)
    assert {(case.weight, case.bias) for case in CASES} == {(a, b) for a in (0, 1) for b in (0, 1)}
    assert not all(case.make().x.is_contiguous() for case in CASES)


@pytest.mark.parametrize("against", FORMULAS)
def test_the_truth_is_what_autograd_gives_in_float64(against):
    for case in CASES:
        inputs = case.make().to(torch.float64)
        inputs = inputs if against == "layer_norm" else replace(inputs, bias=None)
        right = expected_float64(inputs, against)
        for name, by_autograd in FORMULAS[against].results(inputs).items():
            torch.testing.assert_close(right[name], by_autograd, rtol=1e-6, atol=1e-7)


# --- the report -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def passing():
    return check_parity(LayerNorm)


@pytest.fixture(scope="module")
def failing():
    def a_candidate_with_a_long_name_that_raises(x, *rest):
        raise ValueError("<b>a long complaint</b> " * 20)

    return check_parity(a_candidate_with_a_long_name_that_raises)


def one_line(report):
    return " ".join(str(report).split())


def test_a_report_lists_cases_and_findings(passing, failing):
    for report in (passing, failing):
        assert isinstance(report, ParityReport)
        for c in report.cases:
            assert c.case in c.name
            assert c.quantity in c.name
            assert min(c.error, c.allowed, c.pytorch_error) >= 0
            assert isinstance(c.passed, bool)
    assert passing.ok
    assert passing.ran
    assert len(passing.cases) > 80
    assert not failing.ok
    assert not failing.ran
    assert codes(failing) == {"raises"}


def test_a_report_fits_a_screen_of_80_columns(passing, failing):
    for report in (passing, failing):
        assert max(map(len, str(report).splitlines())) <= 80, str(report)
    assert len(str(passing).splitlines()) <= 24


def test_a_report_says_what_was_compared_with_what(passing, failing):
    count = len(passing.cases)
    assert "LayerNorm agrees with PyTorch 2." in str(passing)
    assert f"{count} of {count} comparisons pass, forward and gradients" in one_line(passing)
    assert "FAILS" not in str(passing)
    assert "disagrees with PyTorch" in str(failing)
    assert "forward only" in one_line(failing)
    assert "FAILS" in str(failing)
    assert "fix: " in str(failing)
    assert (
        "agrees with rms_norm of PyTorch 2." in check_parity(rms_norm, against="rms_norm").summary()
    )


def test_a_report_shows_every_case_once_by_its_worst_result(passing):
    worst = passing.worst()
    assert [c.case for c in worst] == list(dict.fromkeys(c.case for c in passing.cases))
    for c in worst:
        assert c.ratio == max(d.ratio for d in passing.cases if d.case == c.case)


def test_the_dictionary_has_what_its_docstring_says(passing):
    given = passing.to_dict()
    assert given["schema"] == 1
    for key in [*given, *given["cases"][0]]:
        assert key in ParityReport.to_dict.__doc__, key
    assert set(given) == {
        *("schema", "candidate", "kind", "against", "torch_version", "summary", "ok", "ran"),
        *("dtypes", "notes", "findings", "secondary", "cases"),
    }


def test_the_html_is_a_table_with_the_candidates_text_escaped(passing, failing):
    html = failing._repr_html_()
    assert html.startswith('<div class="ln-report">')
    assert "style=" not in html  # the page has its colours
    assert passing._repr_html_().count("<tr>") == 1 + len(passing.worst())
    assert "<b>" not in html
    assert "&lt;b&gt;a long complaint" in html
    assert "15.5%" in check_parity(VARIANTS["unbiased-variance"])._repr_html_()


def test_raise_for_failure_raises_the_report(passing, failing):
    assert passing.raise_for_failure() is None
    with pytest.raises(ParityError) as raised:
        failing.raise_for_failure()
    assert str(failing) in str(raised.value)
    assert isinstance(raised.value, AssertionError)


def test_a_report_without_a_comparison_is_not_ok():
    assert not ParityReport("nothing", "module", "2.13.0").ok


def test_the_docstrings_make_a_pytest_of_each_layer(tmp_path):
    four = testing.__doc__.partition("takes four lines:")[2].split("Many layers")[0]
    many = testing.__doc__.partition("a test of its own:")[2]
    lines = [line[4:] for text in (four, many) for line in text.splitlines()[1:]]
    layers = {"MyLayerNorm": "LayerNorm", "TheirLayerNorm": "RMSNorm"}
    layers |= {"MyRMSNorm": "RMSNorm", "TheirRMSNorm": "RMSNorm"}
    imports = [f"from torch.nn import {theirs} as {name}" for name, theirs in layers.items()]
    (tmp_path / "test_theirs.py").write_text("\n".join([*imports, *lines]))
    command = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path))
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert "test_parity[RMSNorm]" in done.stdout
    assert "no-centering" in done.stdout
    assert "1 failed, 4 passed" in done.stdout, done.stdout
    with pytest.raises(ValueError, match="needs a layer"):
        testing.parity_test()


def test_a_check_is_fast():
    check_parity(LayerNorm)  # what is loaded once is loaded

    def seconds(candidate):
        start = time.monotonic()
        check_parity(candidate, seed=11)
        return time.monotonic() - start

    assert seconds(LayerNorm) < 3
    for name in ("outside_of_std", "AnnotatedStyle", "over_the_sequence_too"):
        assert seconds(WRONG[name][0]) < 5, name
