"""The one judge: does this LayerNorm agree with PyTorch, and if not, which bug is it?

Truth is float64. A candidate passes a case when its error is within a small factor of what
PyTorch's own kernel shows on that very case, plus a few units in the last place. A fixed
tolerance such as atol = 1e-5 would be too wide for eps outside the root and too narrow for a
right layer on shifted input. A candidate that fails is diagnosed: see `diagnosis`.

In a test-suite of your own it takes four lines:

    from layernorm_book import check_parity

    def test_my_layer_norm():
        check_parity(MyLayerNorm).raise_for_failure()
"""

import math

import torch

from layernorm_book.candidates import adapt
from layernorm_book.cases import largest, reference, reference_of
from layernorm_book.diagnosis import diagnose, make_finding
from layernorm_book.matching import Trial
from layernorm_book.probing import Prober
from layernorm_book.report import Comparison, ParityError, ParityReport
from layernorm_book.running import Outcome
from layernorm_book.sandbox import Sandbox, TimeLimit

__all__ = ["ParityError", "ParityReport", "check_parity"]


def check_parity(candidate, *, backward=None, seed=0, channels_last=True, time_limit=20.0):
    """Compare a LayerNorm with PyTorch's on inputs chosen to tell wrong ones from right ones.

    Args:
        candidate: a torch.nn.Module class or factory, called as candidate(normalized_shape,
            eps=eps), whose scale and shift may be called weight/bias, gamma/beta, a_2/b_2,
            scale/shift, g/b, ..., or be absent; or a function on torch tensors or NumPy arrays
            with the signature of `torch.nn.functional.layer_norm`, or of (x, weight, bias, eps),
            or of (x) alone.
        backward: None compares gradients where autograd gives them, True insists on them, False
            leaves them out. A function with the signature of `layer_norm_backward` gives the
            gradients of a NumPy candidate.
        seed: draws other inputs of the same kinds.
        channels_last: False for a layer of images, which normalizes axis 1 of
            (rows, channels, height, width).
        time_limit: seconds that one call of the candidate may take.

    Returns:
        ParityReport, with `ok`, `cases` and `findings`. The candidate sees copies only; what it
        prints is held back, and what it raises is reported.

    Raises:
        TypeError: the candidate is an instance of a module, or cannot be called.

    Source: PyTorch's own sample inputs for layer_norm use eps = 0.5 for the same reason.

    Example:
        >>> check_parity(torch.nn.LayerNorm).ok
        True
        >>> def mine(x, normalized_shape, weight, bias, eps):
        ...     x_hat = (x - x.mean(-1, keepdim=True)) / (x.std(-1, keepdim=True) + eps)
        ...     return x_hat * weight + bias
        >>> [finding.code for finding in check_parity(mine).findings]
        ['unbiased-variance', 'eps-outside-sqrt']
    """
    report = ParityReport(_name(candidate), "unknown", torch.__version__.partition("+")[0])
    with Sandbox(time_limit) as sandbox:
        try:
            subject = adapt(candidate, sandbox, backward, channels_last)
        except TimeLimit as error:
            _add(report, make_finding("raises", f"it hangs: {error}", fix=_NO_END))
            return report
        report.kind = subject.kind
        report.notes.extend(subject.notes)
        trials = []
        for case in subject.cases:
            trials.append(_try(case, *reference_of(case, seed), subject, sandbox))
            report.cases.extend(trials[-1].comparisons)
            if isinstance(trials[-1].outcome.error, TimeLimit):
                report.notes.append("It was given up at the first call that took too long.")
                break
        for finding in _faults_of_form(trials):
            _add(report, finding)
        prober = Prober(subject, sandbox, 3 * time_limit)
        for finding in diagnose(
            prober, trials, lambda c, i: _try(c, i, *reference(i), subject, sandbox)
        ):
            _add(report, finding)
        _set_lesser_aside(report)
        _note_output(report, sandbox.output)
    return report


def _name(candidate):
    """Return the name a reader would call the candidate by."""
    return getattr(candidate, "__qualname__", None) or repr(candidate)


def _try(case, inputs, true, own, allowed, subject, sandbox):
    """Run the candidate on one input, and compare what it gives with the truth."""
    try:
        outcome = sandbox.run(subject.call, inputs)
    except Exception as error:
        outcome = Outcome(error=error)
        failed = Comparison(case.name, "y", math.inf, 0.0, own["y"])
        return Trial(case, inputs, outcome, [failed])
    comparisons = [
        Comparison(case.name, name, error, allowed[name], own[name], largest(true[name]))
        for name, error in _errors(outcome.results, true).items()
    ]
    return Trial(case, inputs, outcome, comparisons)


def _errors(results, true):
    """Return the largest absolute error of each result; infinite where it has no fit form."""
    return {name: _error(result, true[name]) for name, result in results.items()}


def _error(result, true):
    if not isinstance(result, torch.Tensor) or result.shape != true.shape:
        return math.inf
    error = largest(result.detach().double() - true)
    return math.inf if math.isnan(error) else error


def _add(report, finding):
    """Add a finding, unless one with its code stands already: the first case speaks for all."""
    if finding.code not in {f.code for f in report.findings}:
        report.findings.append(finding)


def _set_lesser_aside(report):
    """Keep the lesser findings for later, where there are others."""
    lesser = [finding for finding in report.findings if finding.lesser]
    if len(lesser) < len(report.findings):
        report.findings[:] = [finding for finding in report.findings if not finding.lesser]
        report.besides.extend(lesser)


# --- faults of form -------------------------------------------------------------------------------


def _faults_of_form(trials):
    """Yield what is wrong with the form of the results, or with what became of the inputs."""
    for code, describe in _FORMS.items():
        messages = [(t, describe(t)) for t in trials]
        messages = [(t, message) for t, message in messages if message]
        if code == "raises" and any(t.outcome.mutated for t in trials):
            # Autograd minds that x was changed: that is reported as what it is.
            messages = [(t, m) for t, m in messages if "inplace operation" not in m]
        if messages:
            trial, message = messages[0]
            share = f"in {len(messages)} of {len(trials)} cases"
            fix = ""
            if isinstance(trial.outcome.error, TimeLimit):
                fix = _NO_END
            elif trial.outcome.error is None and code == "raises":
                fix = "Return y, one array of the shape of x."
            yield make_finding(code, f"{trial.case.name}: {message}", share, fix)


def _raises(trial):
    error = trial.outcome.error
    if error is None:
        for name, result in trial.outcome.results.items():
            if not isinstance(result, torch.Tensor):
                return f"returned {type(result).__name__} for {name}, and not an array"
        return None
    if isinstance(error, TimeLimit):
        return f"it hangs: {error}"
    where = "the backward pass: " if trial.outcome.results else ""
    return f"{where}{type(error).__name__}: {_shortened(str(error))}"


def _shape(trial):
    for name, result, like in _tensors(trial):
        if result.shape != like.shape:
            return f"returned {name} of shape {tuple(result.shape)} for {_like(name)} of shape " + (
                f"{tuple(like.shape)}"
            )
    return None


def _dtype(trial):
    for name, result, like in _tensors(trial):
        if result.dtype != like.dtype:
            return f"returned {name} of {result.dtype} for {_like(name)} of {like.dtype}"
    return None


def _tensors(trial):
    """Yield (name, result, the input whose shape and dtype it must have)."""
    for name, result in trial.outcome.results.items():
        if isinstance(result, torch.Tensor):
            yield name, result, getattr(trial.inputs, _like(name))


def _like(name):
    return "x" if name == "y" else name.removeprefix("grad_")


def _mutated(trial):
    if trial.outcome.mutated:
        return f"changed {' and '.join(trial.outcome.mutated)} in place"
    return None


_NO_END = "Find the loop that does not end, or give it more time: time_limit."
_FORMS = {
    "raises": _raises,
    "wrong-shape": _shape,
    "wrong-dtype": _dtype,
    "mutates-input": _mutated,
}


def _shortened(text, most=300):
    """Return the text on one line, without its end where that is far."""
    text = " ".join(text.split())
    return text if len(text) <= most else f"{text[: most - 4]} ..."


def _note_output(report, output):
    if output.text:
        first = _shortened(output.text.strip().partition("\n")[0], 60)
        report.notes.append(f"It printed {output.lines or 1} lines, held back: {first!r} first.")
