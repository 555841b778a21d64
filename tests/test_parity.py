"""The judge passes every right layer and fails every wrong one, whatever the seed."""

import warnings
from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from layernorm_book.cases import CASES
from layernorm_book.variants import VARIANTS, run_steps

from layernorm_book import (
    LayerNorm,
    ParityError,
    ParityReport,
    check_parity,
    layer_norm,
    layer_norm_backward,
)

SEEDS = range(10)


class Named(torch.nn.Module):
    """A right layer whose scale and shift go by other names, or are absent."""

    names = ("gamma", "beta")

    def __init__(self, normalized_shape, eps=1e-5):
        super().__init__()
        self.normalized_shape, self.eps = normalized_shape, eps
        for name, start in zip(self.names, (torch.ones, torch.zeros), strict=False):
            self.register_parameter(name, torch.nn.Parameter(start(normalized_shape)))

    def forward(self, x):
        parameters = [getattr(self, name) for name in self.names] + [None, None]
        return F.layer_norm(x, self.normalized_shape, *parameters[:2], self.eps)


class Annotated(Named):
    names = ("a_2", "b_2")


class Scaled(Named):
    names = ("scale",)


class Bare(Named):
    names = ()


def in_float64(x, normalized_shape, weight=None, bias=None, eps=1e-5):
    return run_steps(x, normalized_shape, weight, bias, eps, statistics_dtype=torch.float64)


RIGHT = {
    "torch.nn.LayerNorm": torch.nn.LayerNorm,
    "F.layer_norm": F.layer_norm,
    "LayerNorm": LayerNorm,
    "NumPy": layer_norm,
    "the plain steps": run_steps,
    "gamma and beta": Named,
    "a_2 and b_2": Annotated,
    "a scale alone": Scaled,
    "no parameters": Bare,
    "a factory": lambda normalized_shape, eps: LayerNorm(normalized_shape, eps=eps),
    "a partial": partial(torch.nn.LayerNorm, bias=False),
    "float64 inside": in_float64,
}


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_layer_passes_on_every_seed(name):
    for seed in SEEDS:
        report = check_parity(RIGHT[name], seed=seed)
        assert report.ok, str(report)


def test_the_numpy_backward_passes_on_every_seed():
    for seed in SEEDS:
        report = check_parity(layer_norm, backward=layer_norm_backward, seed=seed)
        assert report.ok, str(report)
        assert report.gradients_checked


@pytest.mark.parametrize("name", VARIANTS)
def test_a_wrong_layer_fails_on_every_seed(name):
    for seed in SEEDS:
        report = check_parity(VARIANTS[name], seed=seed)
        assert not report.ok, f"seed {seed}"
        assert report.findings, f"seed {seed}"


def test_only_the_gradients_give_detached_statistics_away():
    assert check_parity(VARIANTS["detached-statistics"], backward=False).ok


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


# --- what may go wrong with a candidate -----------------------------------------------------------


def codes(report):
    return {finding.code for finding in report.findings}


def reduced(x, normalized_shape, weight=None, bias=None, eps=1e-5):
    return F.layer_norm(x, normalized_shape, weight, bias, eps).mean(-1)


def widened(x, normalized_shape, weight=None, bias=None, eps=1e-5):
    return F.layer_norm(x, normalized_shape, weight, bias, eps).double()


def raising(x, normalized_shape, weight=None, bias=None, eps=1e-5):
    raise IndexError("no such axis")


def warning(x, normalized_shape, weight=None, bias=None, eps=1e-5):
    warnings.warn("noisy", stacklevel=1)
    return F.layer_norm(x, normalized_shape, weight, bias, eps)


def nan(x, normalized_shape, weight=None, bias=None, eps=1e-5):
    return F.layer_norm(x, normalized_shape, weight, bias, eps) * float("nan")


def nan_gradient(x, normalized_shape, weight=None, bias=None, eps=1e-5):
    def normalize(x, mean, var, eps):
        std = torch.sqrt(var)  # its gradient at 0 is infinite
        return (x - mean) / torch.sqrt(std * std + eps)

    return run_steps(x, normalized_shape, weight, bias, eps, normalize=normalize)


def mutating(x, normalized_shape, weight=None, bias=None, eps=1e-5):
    y = F.layer_norm(x, normalized_shape, weight, bias, eps)
    x.data.zero_()
    return y


def centring_in_place(x, normalized_shape, weight=None, bias=None, eps=1e-5):
    x -= x.mean(tuple(range(-len(normalized_shape), 0)), keepdim=True)
    return F.layer_norm(x, normalized_shape, weight, bias, eps)


def numpy_mutating(x, normalized_shape, weight=None, bias=None, eps=1e-5):
    y = layer_norm(x, normalized_shape, weight, bias, eps)
    x *= 2
    return y


def tuple_of_results(x, normalized_shape, weight=None, bias=None, eps=1e-5):
    return (F.layer_norm(x, normalized_shape, weight, bias, eps),)


@pytest.mark.parametrize(
    ("candidate", "code", "words"),
    [
        (reduced, "wrong-shape", "(2, 3)"),
        (widened, "wrong-dtype", "torch.float64"),
        (raising, "raises", "IndexError: no such axis"),
        (tuple_of_results, "raises", "tuple"),
        (mutating, "mutates-input", "x"),
        (centring_in_place, "mutates-input", "x"),
        (numpy_mutating, "mutates-input", "x"),
    ],
)
def test_a_fault_of_form_is_named(candidate, code, words):
    report = check_parity(candidate)
    assert not report.ok
    (finding,) = [f for f in report.findings if f.code == code]
    assert words in finding.message
    assert finding.fix


@pytest.mark.parametrize("candidate", [nan, nan_gradient])
def test_nan_never_passes(candidate):
    report = check_parity(candidate)
    assert not report.ok
    assert any(c.error == float("inf") for c in report.cases)


def test_a_nan_gradient_shows_on_constant_rows_alone():
    failed = {c.name for c in check_parity(nan_gradient).cases if not c.passed}
    assert "constant rows · grad_x" in failed
    assert check_parity(nan_gradient, backward=False).ok


def test_a_candidates_own_warnings_are_its_own_affair():
    assert check_parity(warning).ok


def test_a_module_instance_is_refused_with_the_mend():
    with pytest.raises(TypeError, match=r"pass the class LayerNorm"):
        check_parity(LayerNorm(4))


@pytest.mark.parametrize("candidate", [None, 3, "LayerNorm", np.ones(4)])
def test_what_cannot_be_called_is_refused(candidate):
    with pytest.raises(TypeError, match=r"check_parity takes a torch\.nn\.Module class"):
        check_parity(candidate)


def test_a_parameter_that_is_neither_scale_nor_shift_is_reported():
    class Odd(Named):
        names = ("gamma", "temperature")

    report = check_parity(Odd)
    assert codes(report) == {"raises"}
    assert "temperature" in report.findings[0].message


def test_backward_true_insists_on_gradients():
    def without_graph(*arguments):
        return F.layer_norm(*arguments).detach()

    assert check_parity(without_graph).ok
    assert not check_parity(without_graph).gradients_checked
    assert "no graph" in check_parity(without_graph, backward=True).findings[0].message
    assert not check_parity(F.layer_norm, backward=False).gradients_checked


def test_the_global_generator_is_left_alone():
    before = torch.random.get_rng_state()
    check_parity(F.layer_norm)
    assert torch.equal(torch.random.get_rng_state(), before)


# --- the cases ------------------------------------------------------------------------------------


def test_every_case_goes_by_a_name_of_its_own():
    assert len({case.name for case in CASES}) == len(CASES)


def test_the_same_seed_draws_the_same_inputs_and_another_seed_others():
    for case in CASES:
        if 0 in case.shape:
            continue
        a, b, other = (case.make(seed) for seed in (0, 0, 1))
        assert torch.equal(a.grad_y, b.grad_y)
        assert torch.equal(a.x, b.x)
        assert not torch.equal(a.grad_y, other.grad_y)


def test_the_cases_cover_what_gives_wrong_layers_away():
    assert {case.eps for case in CASES} >= {0.5, 1e-5}
    assert {case.normalized_shape[-1] for case in CASES} >= {1, 2, 3, 4, 768}
    assert {case.axes for case in CASES} >= {1, 2, 3}
    assert {case.mean for case in CASES} >= {0, 100, 2000}
    assert len({case.dtype for case in CASES}) == 4
    assert any(case.sigma == 0 for case in CASES)
    assert any(0 in case.shape for case in CASES)
    assert {(case.weight, case.bias) for case in CASES} == {(a, b) for a in (0, 1) for b in (0, 1)}
    assert not all(case.make().x.is_contiguous() for case in CASES)


# --- the report -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def passing():
    return check_parity(LayerNorm)


@pytest.fixture(scope="module")
def failing():
    def a_candidate_with_a_long_name_that_raises(x, *rest):
        raise ValueError("<b>a long complaint</b> " * 20)

    return check_parity(a_candidate_with_a_long_name_that_raises)


def test_a_report_lists_cases_and_findings(passing, failing):
    for report in (passing, failing):
        assert isinstance(report, ParityReport)
        for c in report.cases:
            assert c.case in c.name
            assert c.quantity in c.name
            assert c.error >= 0
            assert c.allowed >= 0
            assert c.pytorch_error >= 0
            assert isinstance(c.passed, bool)
    assert passing.ok
    assert not passing.findings
    assert len(passing.cases) > 80
    assert not failing.ok
    assert codes(failing) == {"raises"}


def test_a_report_fits_80_columns(passing, failing):
    reports = [passing, failing, *(check_parity(variant) for variant in VARIANTS.values())]
    for report in reports:
        assert max(map(len, str(report).splitlines())) <= 80, str(report)


def test_a_report_says_what_was_compared_with_what(passing, failing):
    count = len(passing.cases)
    assert "LayerNorm agrees with PyTorch 2." in str(passing)
    assert f"{count} of {count} comparisons pass, forward and gradients" in one_line(passing)
    assert "FAILS" not in str(passing)
    assert "disagrees with PyTorch" in str(failing)
    assert "forward only" in one_line(failing)
    assert "FAILS" in str(failing)
    assert "mend: " in str(failing)


def one_line(report):
    return " ".join(str(report).split())


def test_a_report_shows_every_case_once_by_its_worst_result(passing):
    worst = passing.worst()
    assert [c.case for c in worst] == list(dict.fromkeys(c.case for c in passing.cases))
    for c in worst:
        assert c.severity == max(d.severity for d in passing.cases if d.case == c.case)


def test_the_html_is_a_table_with_the_candidates_text_escaped(passing, failing):
    assert passing._repr_html_().count("<tr>") == 1 + len(passing.worst())
    assert "<b>" not in failing._repr_html_()
    assert "&lt;b&gt;a long complaint" in failing._repr_html_()


def test_raise_for_failure_raises_the_report(passing, failing):
    assert passing.raise_for_failure() is None
    with pytest.raises(ParityError) as raised:
        failing.raise_for_failure()
    assert str(failing) in str(raised.value)
    assert isinstance(raised.value, AssertionError)


def test_a_report_without_a_comparison_is_not_ok():
    assert not ParityReport("nothing", "module", "2.13.0").ok
