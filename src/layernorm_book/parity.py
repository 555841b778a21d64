"""The one judge: does this LayerNorm agree with PyTorch, forward and backward?

Truth is float64. A candidate passes a case when its error is within a small factor of what
PyTorch's own kernel shows on that very case, plus a few units in the last place. A fixed
tolerance such as atol = 1e-5 would be too wide for eps outside the root and too narrow for a
right layer on shifted input.
"""

import math
import warnings

import torch

from layernorm_book.candidates import adapt
from layernorm_book.cases import allowance, largest, truth
from layernorm_book.report import Comparison, Finding, ParityError, ParityReport

__all__ = ["ParityError", "ParityReport", "check_parity"]

_LIKE = {"y": "x", "grad_x": "x", "grad_weight": "weight", "grad_bias": "bias"}
"""The input whose shape and dtype each result must have."""


def check_parity(candidate, *, backward=None, seed=0):
    """Compare a LayerNorm with PyTorch's on inputs chosen to tell wrong ones from right ones.

    Args:
        candidate: a torch.nn.Module class or factory, called as candidate(normalized_shape,
            eps=eps), whose scale and shift may be called weight/bias, gamma/beta, a_2/b_2,
            scale/shift, g/b, ..., or be absent; or a function with the signature of
            `torch.nn.functional.layer_norm` on torch tensors or NumPy arrays.
        backward: None compares gradients where autograd gives them, True insists on them, False
            leaves them out. A function with the signature of `layer_norm_backward` gives the
            gradients of a NumPy candidate.
        seed: draws other inputs of the same kinds.

    Returns:
        ParityReport, with `ok`, `cases` and `findings`. The candidate sees copies only.

    Raises:
        TypeError: the candidate is an instance of a module, or cannot be called.

    Source: PyTorch's own sample inputs for layer_norm use eps = 0.5 for the same reason.

    Example:
        >>> check_parity(torch.nn.LayerNorm).ok
        True
        >>> check_parity(lambda x, *args: x).ok
        False
    """
    kind, cases, run = adapt(candidate, backward)
    _, _, run_pytorch = adapt(torch.nn.functional.layer_norm)
    report = ParityReport(_name(candidate), kind, torch.__version__.partition("+")[0])
    for case in cases:
        inputs = case.make(seed)
        true = truth(inputs)
        own = _errors(run_pytorch(inputs.clone()), true)
        handed = inputs.clone()
        try:
            with warnings.catch_warnings(action="ignore"):
                results = run(handed)
        except Exception as error:
            report.cases.append(Comparison(case.name, "y", math.inf, 0.0, own["y"]))
            _add(report, _raises(case, error))
            continue
        for finding in _form_findings(case, inputs, handed, results):
            _add(report, finding)
        errors, allowed = _errors(results, true), allowance(inputs, true, own)
        report.cases.extend(
            Comparison(case.name, name, error, allowed[name], own[name])
            for name, error in errors.items()
        )
    if not report.ok and not report.findings:
        _add(report, _unknown(report))
    return report


def _name(candidate):
    """Return the name a reader would call the candidate by."""
    return getattr(candidate, "__qualname__", None) or repr(candidate)


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


def _form_findings(case, inputs, handed, results):
    """Yield what is wrong with the form of the results, or with what became of the inputs."""
    for name, result in results.items():
        like = getattr(inputs, _LIKE[name])
        if not isinstance(result, torch.Tensor):
            yield Finding(
                "raises",
                f"returned {type(result).__name__} for {name}, not an array ({case.name})",
                f"Return {name} alone, as an array.",
            )
        elif result.shape != like.shape:
            yield Finding(
                "wrong-shape",
                f"returned {name} of shape {tuple(result.shape)} for {_LIKE[name]} of shape "
                f"{tuple(like.shape)} ({case.name})",
                "Keep the reduced axes (keepdim=True), so that they broadcast back to x.",
            )
        elif result.dtype != like.dtype:
            yield Finding(
                "wrong-dtype",
                f"returned {name} of {result.dtype} for {_LIKE[name]} of {like.dtype} "
                f"({case.name})",
                f"Convert the result back to the dtype of {_LIKE[name]} at the end.",
            )
    before = {k: getattr(inputs, k) for k in ("x", "weight", "bias", "grad_y")}
    for name, tensor in before.items():
        if tensor is not None and not _same(tensor, getattr(handed, name)):
            yield Finding(
                "mutates-input",
                f"changed {name} in place ({case.name})",
                "Write to a new tensor; in-place operations belong on copies.",
            )


def _same(a, b):
    return torch.equal(a, b.detach())


def _raises(case, error):
    return Finding(
        "raises",
        f"{case.name}: {type(error).__name__}: {error}",
        "PyTorch accepts this input; make the layer accept it too.",
    )


def _unknown(report):
    worst = max(report.worst(), key=lambda c: c.severity)
    return Finding(
        "unknown",
        f"largest breach in {worst.name}: error {worst.error:.2g}, allowed {worst.allowed:.2g}",
        "Compare the steps one by one with layernorm_book.reference.",
    )
