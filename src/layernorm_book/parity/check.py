"""Does this layer agree with PyTorch's? Run the cases, compare, and explain what fails.

The right answer is float64. A candidate passes a case when its error is within a small factor of
what PyTorch's own kernel shows on that very case, plus a few units in the last place. A fixed
tolerance such as atol = 1e-5 would be too wide for eps outside the root and too narrow for a right
layer on shifted input.

In a test suite: `check_parity(MyLayerNorm).raise_for_failure()`, or `layernorm_book.testing`.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from layernorm_book.calling.call import CallResult, Inputs
from layernorm_book.calling.candidate import AdaptedCandidate, adapt
from layernorm_book.calling.guard import Guard, TimeLimit
from layernorm_book.parity.bugs import BUGS, Variant, effect
from layernorm_book.parity.cases import (
    DTYPES,
    Answer,
    Case,
    answer_to,
    cases_for,
    made,
    max_abs,
    name_of,
    tolerance,
)
from layernorm_book.parity.formula import HALF, RIGHT
from layernorm_book.parity.identify import CaseResult, Exchange, Failed, Search, rounds_before_scale
from layernorm_book.parity.report import Comparison, Finding, ParityError, ParityReport

__all__ = ["ParityError", "ParityReport", "check_parity"]

Ask = Callable[[Inputs], CallResult]


def check_parity(
    candidate: Any,
    *,
    against: str = "layer_norm",
    dtypes: Iterable[str] | None = None,
    backward: Any = None,
    channels_last: bool = True,
    seed: int = 0,
    time_limit: float = 20.0,
) -> ParityReport:
    """Compare a layer with PyTorch's on inputs chosen to tell wrong ones from right ones.

    Args:
        candidate: a torch.nn.Module class, factory or functools.partial, called as
            candidate(normalized_shape, eps=eps), whose scale and shift may be called weight/bias,
            gamma/beta, a_2/b_2, scale/shift, g/b, ..., or be absent; or a function on torch tensors
            or NumPy arrays with the signature of `torch.nn.functional.layer_norm`, or of
            (x, weight, bias, eps), or of (x) alone.
        against: "layer_norm", or "rms_norm" for a layer that subtracts no mean.
        dtypes: names among float64, float32, float16 and bfloat16; None asks all four. Only what
            was asked decides the verdict.
        backward: None compares gradients where autograd gives them, True insists on them, False
            leaves them out. A function with the signature of `layer_norm_backward` gives the
            gradients of a NumPy candidate.
        channels_last: False for a layer that normalizes axis 1 of (rows, channels, length) or
            (rows, channels, height, width).
        seed: draws other inputs of the same kinds.
        time_limit: seconds that one call of the candidate may take.

    Returns:
        ParityReport, with `ok`, `cases` and `findings`. The candidate sees copies only; what it
        prints is held back, and what it raises is reported.

    Raises:
        TypeError: the candidate is an instance of a module, or cannot be called.
        ValueError: there is no such `against`, or no such dtype.

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
    names = chosen_dtypes(dtypes)
    if against not in RIGHT:
        raise ValueError(f"against is {' or '.join(map(repr, RIGHT))}, got {against!r}.")
    half = any(DTYPES[name] in HALF for name in names)
    with torch.inference_mode(False), torch.enable_grad(), Guard(time_limit) as guard:
        try:
            adapted = adapt(candidate, guard, against, backward, channels_last, half)
        except TimeLimit as limit:
            hung = CallResult(error=f"it hangs: {limit}", hung=True)
            adapted = AdaptedCandidate("unknown", lambda inputs: hung)

        def ask(inputs: Inputs) -> CallResult:
            return guard.ask(adapted.call, inputs)

        name = getattr(candidate, "__qualname__", None) or repr(candidate)
        report = judge(name, adapted, ask, against, names, seed)
        note_output(report, guard.output.text, guard.output.lines)
    return report


def chosen_dtypes(dtypes: Iterable[str] | None) -> tuple[str, ...]:
    """Return the names of the dtypes to ask, in the judge's order.

    Raises:
        ValueError: one of them is none of the four, or there is none at all.
    """
    given = tuple(DTYPES) if dtypes is None else (dtypes,) if isinstance(dtypes, str) else dtypes
    names = [str(name).removeprefix("torch.") for name in given]
    if not names or set(names) - DTYPES.keys():
        raise ValueError(f"dtypes are names among {', '.join(DTYPES)}, got {names or 'none'}.")
    return tuple(name for name in DTYPES if name in names)


def judge(
    name: str, adapted: AdaptedCandidate, ask: Ask, against: str, dtypes: tuple[str, ...], seed: int
) -> ParityReport:
    """Run the cases of a candidate that can be asked, compare, and explain what fails.

    Args:
        name: what a reader would call it.
        adapted: what it takes.
        ask: from the tensors of a case to what came of one call.
        against, dtypes, seed: see `check_parity`.
    """
    version = torch.__version__.partition("+")[0]
    report = ParityReport(name, adapted.kind, version, against, dtypes, notes=[*adapted.notes])
    results = []
    for case in cases_for(adapted, dtypes, against):
        inputs, answer = made(case, seed, against)
        came = ask(inputs)
        optional = case.float32_parameters and not adapted.float32_parameters
        gives = "an error" if came.error or came.y is None else name_of(came.y.dtype)
        if optional and gives != name_of(inputs.x.dtype):
            note = f"Half-precision x with float32 parameters gives {gives}: that decides nothing."
            report.notes += [note] if note not in report.notes else []
            continue
        results.append(CaseResult(case, inputs, answer, came, _compare(case, answer, came)))
        if came.hung:
            report.notes.append("It was given up at the first call that took too long.")
            break
    search = Search(results, adapted, ask, against)
    explanation = search.run()
    found = [*_faults_of_form(results), *explanation.found]
    if adapted.float32_parameters:
        message = "where x is not float32 it raises, unless its parameters stay float32"
        found.append((BUGS["float32-parameters"], Variant({}, message)))
    if explanation.unexplained:
        message = _unknown(explanation.unexplained, explanation.seen)
        found.append((BUGS["unknown"], Variant({}, message)))
    codes = {bug.code for bug, _ in found}
    halves = {r.case.dtype for r in results if r.half and r.valid}
    tells = adapted.weight and not codes & {"unknown", "low-precision-statistics"}
    if tells and halves and all(rounds_before_scale(search, explanation.found, h) for h in halves):
        bug = BUGS["rounds-before-scale"]
        found.append((bug, bug.variants[0]))
    for result in results:
        narrowed = "narrows-float64" in codes and result.case.dtype is torch.float64
        report.cases += _in_float32(result, against) if narrowed else result.comparisons
    far = [c for c in report.cases if not c.passed]
    if far and not any(bug.severity == "wrong" for bug, _ in found):
        # The right formula explains them: there, one rounding moves the result as far.
        report.cases = [replace(c, allowed=max(c.allowed, c.error)) for c in report.cases]
        report.notes.append(f"{len(far)} of the comparisons err as far as one rounding can reach.")
    _file(report, found)
    return report


def note_output(report: ParityReport, text: str, lines: int) -> None:
    """Note what the candidate printed."""
    if text:
        first = _shortened(text.strip().partition("\n")[0], 60)
        report.notes.append(f"It printed {lines or 1} lines, held back: {first!r} first.")


def _compare(case: Case, answer: Answer, came: CallResult) -> list[Comparison]:
    """Compare what came of one case with what is right; infinite where it has no fit form."""
    comparisons = []
    if not came.results and not came.others:
        return [Comparison(case.name, "y", math.inf, 0.0, answer.pytorch_error["y"])]
    for name in {**came.results, **came.others}:
        got, right = came.results.get(name), answer.expected[name]
        error = math.inf
        if got is not None and right is not None and got.shape == right.shape:
            error = max_abs(got.double() - right)
        error = math.inf if math.isnan(error) else error
        own = answer.pytorch_error[name]
        comparisons.append(Comparison(case.name, name, error, answer.allowed[name], own))
    return comparisons


def _in_float32(result: CaseResult, against: str) -> list[Comparison]:
    """Compare the answer to a float64 case by the precision of float32."""
    theirs = answer_to(result.inputs.to(torch.float32), against).pytorch_error
    allowed = tolerance(result.inputs, result.answer.expected, theirs, against, torch.float32)
    return [
        replace(c, case=f"{c.case} (as float32)", allowed=allowed[q], pytorch_error=theirs[q])
        for c in result.comparisons
        for q in [c.quantity]
    ]


def _file(report: ParityReport, found: list[Exchange]) -> None:
    """File each bug once, in the order of the table; those that can wait apart from the others."""
    wrong = [v for bug, v in found if bug.severity == "wrong"]
    alone = all(v.secondary for v in wrong)
    filed = set()
    for bug, v in sorted(found, key=lambda pair: list(BUGS).index(pair[0].code)):
        can_wait = bool(wrong) if bug.severity == "limit" else v.secondary and not alone
        if bug.code not in filed:
            filed.add(bug.code)
            size = effect(bug, v, report.against)
            texts = (v.message, v.fix or bug.fix, size, bug.step, bug.chapter)
            place = report.secondary if can_wait else report.findings
            place.append(Finding(bug.code, bug.severity, *texts))


def _unknown(left: Failed, seen: str) -> str:
    """Say that nothing fits, and what was seen."""
    worst = max((c for _, c in left), key=lambda c: c.ratio)
    quantities = list(dict.fromkeys(c.quantity for _, c in left))
    where = "y" if "y" in quantities else f"{' and '.join(quantities)}, and not in y"
    return (
        f"it fits no known mistake. It shows in {where}. Largest breach in {worst.name}: error "
        f"{worst.error:.2g}, allowed {worst.allowed:.2g}. "
        f"Measured: {seen or 'what else was measured is as it should be'}"
    )


def _faults_of_form(results: list[CaseResult]) -> list[Exchange]:
    """Return what is wrong with the form of the results, or with what became of the inputs."""
    found: dict[str, list[tuple[CaseResult, str]]] = {}
    for result in results:
        for code, message in reversed(list(_faults_of(result))):
            if not (code == "raises" and "inplace operation" in message):  # mutates-input says it
                found.setdefault(code, []).append((result, message))
    exchanges = []
    for code, said in found.items():
        first, message = said[0]
        cases = {r.case.name for r, _ in said}
        fix = "Return y, one array of the shape of x." if first.came.others else ""
        fix = _NO_END if first.came.hung else fix
        where = f"{first.case.name}: {message} (in {len(cases)} of {len(results)} cases)"
        exchanges.append((BUGS[code], Variant({}, where, fix=fix)))
    return exchanges


def _faults_of(result: CaseResult) -> Iterable[tuple[str, str]]:
    """Yield (code, message) for each fault of form in one case."""
    came = result.came
    if came.error:
        yield "raises", f"{'the backward pass: ' if came.results else ''}{_shortened(came.error)}"
    for name, kind in came.others.items():
        yield "raises", f"returned {kind} for {name}, and not an array"
    for name, got in came.results.items():
        owner = "x" if name == "y" else name.removeprefix("grad_")
        like: Tensor = getattr(result.inputs, owner)
        if got.shape != like.shape:
            whose = f"{owner} of shape {tuple(like.shape)}"
            yield "wrong-shape", f"returned {name} of shape {tuple(got.shape)} for {whose}"
        if got.dtype != like.dtype:
            yield "wrong-dtype", f"returned {name} of {got.dtype} for {owner} of {like.dtype}"
    if came.mutated:
        yield "mutates-input", f"changed {' and '.join(came.mutated)} in place"


_NO_END = "Find the loop that does not end, or give it more time: time_limit."


def _shortened(text: str, most: int = 300) -> str:
    """Return the text on one line, without its end where that is far."""
    text = " ".join(text.split())
    return text if len(text) <= most else f"{text[: most - 4]} ..."
