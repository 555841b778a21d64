"""Five questions for what a measured layer does not explain: precision, gradients, several axes.

Each takes (prober, found, codes, left, judge) and returns ({code: message}, what is left after).
"""

import math
from dataclasses import replace

import torch

from layernorm_book.cases import largest
from layernorm_book.matching import left_over
from layernorm_book.probing import NoAnswer
from layernorm_book.wording import name_axes


def coarse_result(prober, found, codes, left, judge):
    """A result of lower precision than x is rounded to it: no bug besides the dtype."""
    return {}, left_over(found, codes, left, lambda trial: trial.outcome.results["y"].dtype)


def one_pass(prober, found, codes, left, judge):
    """Ask whether the variance loses digits as the square of the mean, and the mean loses none."""
    if not any(t.shifted for t, _ in left):
        return {}, left
    for dtype, means in ((torch.float32, (50.0, 500.0)), (torch.float64, (3e5, 3e6))):
        near, far = (_variance_error(prober, found, mean, dtype) for mean in means)
        if near is None or far is None:
            continue
        (near, _), (far, mean_error) = near, far
        unit = torch.finfo(dtype).eps
        grows = far > 20 * near > 0 and far > 100 * unit * means[1]
        if grows and mean_error < 100 * unit:
            lost = f"{far:.0%}" if math.isfinite(far) else "all"
            message = (
                "the variance is E[x²] − E[x]²: its relative error grows as the square of the "
                f"mean, to {lost} at a mean of {means[1]:g}σ in {_name(dtype)}"
            )
            return {"one-pass-variance": message}, [(t, c) for t, c in left if not t.shifted]
    return {}, left


def _variance_error(prober, found, mean, dtype):
    """Return the relative errors of the variance and of the mean at an offset, or None."""
    generator = torch.Generator().manual_seed(7)
    if found.right_axes:
        shape = (64, 256) if prober.subject.channels_last else (4, 4, 4, 256)
        dims = (-1,)
    else:
        shape, dims = tuple(6 * size for size in found.shape), found.axes
    x = (mean + torch.randn(shape, generator=generator, dtype=torch.float64)).to(dtype)
    weight, bias = (torch.full(shape[-1:], v, dtype=dtype) for v in found.affine.neutral)
    try:
        y = prober.answer(x, shape[-1:], weight, bias)
    except NoAnswer:
        return None
    wide = x.double()
    centred = wide - wide.mean(dims, keepdim=True)
    expected = found.layer(dims)(wide, shape[-1:], weight.double(), bias.double(), 1e-5)
    slope, due = ((centred * v).sum(dims, keepdim=True) for v in (y, expected))
    ratio = slope / due
    error = (ratio.square().reciprocal() - 1).nan_to_num(math.inf)  # of the variance
    d = centred.square().sum(dims, keepdim=True) / slope
    offset = (d * (y - expected * ratio)).mean(dims)
    offset = offset[offset.isfinite()]
    mean_error = offset.abs().median().item() / mean if offset.numel() else math.inf
    # The root mean square without the largest tenth: one row's luck is not to decide.
    kept = error.abs().flatten().sort().values[: int(0.9 * error.numel())]
    return kept.square().mean().sqrt().item(), mean_error


def low_precision(prober, found, codes, left, judge):
    """Ask the same numbers in a wider dtype: if those come out right, precision is the cause."""
    reasons = []
    halves = dict.fromkeys(t for t, _ in left if t.half)
    if halves and _right_on_easy_halves(prober, found):
        widened = {}
        for trial in halves:
            inputs = replace(trial.inputs, **_float32(trial.inputs))
            again = judge(trial.case, inputs)
            bad = [(again, c) for c in again.comparisons if not c.passed]
            widened[trial] = again.valid and not left_over(found, codes, bad)
        explained = [t for t, right in widened.items() if right]
        if explained:
            names = sorted({_name(t.inputs.x.dtype) for t in explained})
            reasons.append(
                f"{' and '.join(names)} x is computed in its own precision: the same numbers in "
                f"float32 come out right ({explained[0].case.name})"
            )
            left = [(t, c) for t, c in left if not widened.get(t)]
    for dtype, resolution in ((torch.bfloat16, 1e-5), (torch.float32, 1e-10)):
        still = left_over(found, codes, left, lambda _, dtype=dtype: dtype)
        if len(still) < len(left) and _blind_to(prober, found, resolution):
            name = "half precision" if dtype is torch.bfloat16 else "float32"
            found.computes_in = name
            reasons.append(
                f"wider x is computed in {name}: it cannot tell x from x · (1 + {resolution:g})"
            )
            left = still
    return ({"low-precision-statistics": "; ".join(reasons)} if reasons else {}), left


def _float32(inputs):
    names = ("x", "weight", "bias", "grad_y")
    tensors = {k: getattr(inputs, k) for k in names}
    return {k: None if v is None else v.float() for k, v in tensors.items()}


def _right_on_easy_halves(prober, found):
    """Whether half precision is right to a few percent where it should be easy."""
    generator = torch.Generator().manual_seed(8)
    shape = (8, 16) if prober.subject.channels_last else (2, 2, 2, 16)
    x = torch.randn(shape, generator=generator).half()
    weight, bias = (torch.full(shape[-1:], v).half() for v in found.affine.neutral)
    eps = 0.1 if prober.subject.eps else 1e-5
    try:
        y = prober.answer(x, shape[-1:], weight, bias, eps=eps)
    except NoAnswer:
        return False
    axes = None if found.right_axes else found.axes
    if axes is not None and (not axes or max(axes) >= x.ndim):
        return True
    expected = found.layer(axes)(x.double(), shape[-1:], weight.double(), bias.double(), eps)
    return bool(((y - expected).abs().max() <= 0.05 * expected.abs().max()).item())


def _blind_to(prober, found, resolution):
    """Whether a change of one element by this much, relatively, moves the output as it should not.

    A layer that computes in lower precision does not see it; one that is merely inexact does.
    """
    generator = torch.Generator().manual_seed(9)
    x = (1.0 + torch.rand(found.shape, generator=generator)).half().double()
    nudged = x.clone()
    nudged[..., 0] *= 1 + resolution
    weight, bias = (torch.full(found.shape[-1:], v).double() for v in found.affine.neutral)
    eps = next(iter(found.eps))
    arguments = (found.shape[-1:], weight, bias, eps)
    try:
        moved = prober.answer(nudged, *arguments) - prober.answer(x, *arguments)
    except NoAnswer:
        return False
    layer = found.layer(found.axes)
    due = layer(nudged, *arguments) - layer(x, *arguments)
    return largest(moved - due) > 0.1 * largest(due)


def nan_gradient(prober, found, codes, left, judge):
    """Name a gradient that is NaN where the forward is right."""

    def is_nan(trial, comparison):
        got = trial.outcome.results[comparison.quantity]
        y = trial.outcome.results["y"]
        return comparison.quantity != "y" and not got.isfinite().all() and y.isfinite().all()

    nan = [(t, c) for t, c in left if is_nan(t, c)]
    if not nan:
        return {}, left
    trial, comparison = nan[0]
    bad = ~trial.outcome.results[comparison.quantity].isfinite()
    message = (
        f"{comparison.quantity} is NaN in {bad.float().mean().item():.0%} of its elements where a "
        f"row is constant, though y is right ({trial.case.name})"
    )
    hit = {id(t) for t, _ in nan}
    return {"nan-gradient": message}, [(t, c) for t, c in left if id(t) not in hit]


def last_axis_alone(prober, found, codes, left, judge):
    """Several axes were asked for: tell whether it reduces other ones."""
    several = [(t, c) for t, c in left if t.case.axes > 1]
    if not several or found.axes_of_two in (None, (2, 3)):
        return {}, left
    message = (
        f"for x of shape (3, 4, 6, 5) and normalized_shape (6, 5) it shares its statistics over "
        f"{name_axes(found.axes_of_two)}, and not over axes 2, 3"
    )
    still = left_over(found, {"wrong-axis": message}, several)
    return {"wrong-axis": message}, [(t, c) for t, c in left if t.case.axes == 1] + still


def _name(dtype):
    return str(dtype).removeprefix("torch.")


QUESTIONS = (coarse_result, one_pass, low_precision, nan_gradient, last_axis_alone)
"""In the order in which they are put."""
