"""Measures what a layer norm does, by asking it: its affine step, its mean, its divisor, its eps.

Nothing is read but answers. A layer of the form y = (x − m) / d · weight + bias gives itself away:

    weight, bias   two questions with the same x and other weights tell how they are used
    m              the line through (x, x_hat) of one group crosses zero there
    d              one over its slope
    eps, its place d for σ from 1e-8 to 10 is a curve, and each place of eps gives another one

The axes that share m and d are those over which the points do lie on a line, and the mean is m.
"""

import math

import torch

from layernorm_book.candidates import DEFAULT_EPS
from layernorm_book.curve import Curve, n_of, subsets
from layernorm_book.forms import AFFINES, CENTRINGS, PLACES, Measurement, about_zero
from layernorm_book.probing import NoAnswer

SCALES = tuple(10.0**k for k in (-8, -6, -4, -3, -2, -1, 0, 1))
EASY_SCALES = (0.1, 0.3, 1.0, 3.0, 10.0)  # for a layer too coarse to tell small numbers apart
# (dtype to ask in, relative error that still counts as agreement, scales of x)
LEVELS = (
    (torch.float64, 1e-7, SCALES),
    (torch.float64, 3e-4, SCALES),
    (torch.float32, 3e-4, SCALES),
    (torch.float64, 3e-2, EASY_SCALES),
)
GIVEN_EPS = (0.5, 0.01)


def measure(prober):
    """Measure a candidate as finely as it allows.

    Args:
        prober: a Prober.

    Returns:
        Measurement.

    Raises:
        NoAnswer: what it does is of no known form; the message says what was seen.
    """
    reasons = []
    for dtype, tolerance, scales in LEVELS:
        try:
            return _measure(prober, dtype, tolerance, scales)
        except NoAnswer as reason:
            reasons.append(reason)
    raise reasons[0]


def _measure(prober, dtype, tolerance, scales):
    shapes = ((3, 4, 5), (4, 5), (3, 4, 6, 5)) if prober.subject.channels_last else ((3, 4, 6, 5),)
    for shape in shapes:
        x = _draw(shape, dtype)
        try:
            prober.answer(x, shape[-1:], *_ones_and_zeros(shape[-1:], dtype))
        except NoAnswer:
            if shape == shapes[-1]:
                raise
            continue
        break
    affine = _find_affine(prober, x, tolerance)
    layout = prober.subject.channels_last
    found = Measurement(affine, shape, channels_last=layout, dtype=dtype, tolerance=tolerance)
    given = GIVEN_EPS if prober.subject.eps else (DEFAULT_EPS,)
    curve = Curve(prober, affine, x, given[0], scales)
    found.axes, found.centring, found.unbiased, found.place, eps = curve.fit(tolerance)
    found.eps = {given[0]: eps}

    memo = {(given[0], n_of(found.axes, shape)): eps}

    def find_eps(given, n):
        if (given, n) not in memo:
            memo[given, n] = _find_eps(prober, found, given, n, scales)
        return memo[given, n]

    found.eps |= {g: find_eps(g, n_of(found.axes, shape)) for g in given[1:]}
    if any(not found.same_eps(g, e) for g, e in found.eps.items()):
        found.find_eps = find_eps
    found.axes_of_two = _axes_of_two(prober, found, tolerance)
    found.detached = _find_detached(prober, found)
    return found


def _draw(shape, dtype=torch.float64, seed=0):
    """Draw x with a mean of its own in every row and an overall mean of 1.5."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(shape, generator=generator, dtype=torch.float64)
    rows = torch.randn((*shape[:-1], 1), generator=generator, dtype=torch.float64)
    return (1.5 + x * (1 + 0.5 * rows.sigmoid()) + 0.3 * rows).to(dtype)


def _ones_and_zeros(shape, dtype):
    return torch.ones(shape, dtype=dtype), torch.zeros(shape, dtype=dtype)


def _find_affine(prober, x, tolerance):
    """Tell how weight and bias are used: x_hat from one pair of them predicts y for another."""
    subject, shape = prober.subject, x.shape[-1:]
    if not (subject.weight or subject.bias):
        return AFFINES[0]
    generator = torch.Generator().manual_seed(1)

    def parameters():
        w, b = (0.5 + torch.rand(shape, generator=generator, dtype=torch.float64) for _ in "wb")
        w = w if subject.weight else torch.ones_like(w)
        return w.to(x.dtype), (b if subject.bias else torch.zeros_like(b)).to(x.dtype)

    first, second = parameters(), parameters()
    eps = 0.5
    y, y_2 = (prober.answer(x, shape, *p, eps=eps) for p in (first, second))
    for affine in AFFINES:
        if affine.code == "swapped-affine" and not (subject.weight and subject.bias):
            continue
        x_hat = affine.solve(y, *first)
        if _close(affine.apply(x_hat, *second), y_2, 10 * tolerance):
            return affine
    raise NoAnswer("its weight and bias are used in a way of their own")


def _close(a, b, tolerance):
    """Whether two tensors agree, relative to the larger of their spreads."""
    scale = max(a.abs().max().item(), b.abs().max().item())
    return scale < math.inf and (a - b).abs().max().item() <= tolerance * scale


def _find_eps(prober, found, given, n, scales):
    """Read the eps in use for another given eps, or another n."""
    if n < 2:
        return given
    shape, axes = found.shape, found.axes
    if found.right_axes:
        shape, axes = (*shape[:-1], n), (len(shape) - 1,)
    try:
        curve = Curve(prober, found.affine, _draw(shape, found.dtype), given, scales)
    except NoAnswer:
        return given
    line = curve.line(axes, 1e-2)
    if line is None:
        return given
    power = CENTRINGS[found.centring][1] is about_zero
    v = line["power" if power else "variance"].flatten()
    v = v * (n / (n - 1)) if found.unbiased else v
    _, read, at_large = PLACES[found.place]
    eps = read(v, line["d"].flatten())[v.argmax() if at_large else v.argmin()].item()
    return 0.0 if abs(eps) <= 1e-30 else eps


def _axes_of_two(prober, found, tolerance):
    """Return the axes it reduces when it is asked for the last two; None where that is untried."""
    if all(case.axes == 1 for case in prober.subject.cases):
        return None
    try:
        x = _draw((3, 4, 6, 5), found.dtype)
        curve = Curve(prober, found.affine, x, DEFAULT_EPS, (0.3, 1.0, 3.0), x.shape[-2:])
    except NoAnswer:
        return None
    for axes in [(2, 3), *subsets(4)]:
        line = curve.line(axes, tolerance)
        if line is not None and curve.centred_as(found.centring, line, tolerance):
            return axes
    return None


DETACHED = tuple(frozenset(s) for s in ((), ("mean", "variance"), ("variance",), ("mean",)))


def _find_detached(prober, found):
    """Tell through which statistics no gradient flows, from the gradient of x."""
    x = _draw(found.shape, found.dtype)
    weight, bias = (0.5 + _draw(found.shape[-1:], found.dtype, seed).abs() for seed in (2, 3))
    grad_y = _draw(found.shape, found.dtype, 4)
    shape, eps = found.shape[-1:], next(iter(found.eps))
    try:
        outcome = prober.ask(x, shape, weight, bias, eps=eps, grad_y=grad_y)
    except NoAnswer:
        return frozenset()
    grad_x = outcome.results.get("grad_x")
    if grad_x is None or outcome.mutated:
        return frozenset()
    weight = weight if prober.subject.weight else None
    bias = bias if prober.subject.bias else None
    for detached in DETACHED:
        found.detached = detached
        leaf = x.double().requires_grad_()
        parameters = (None if p is None else p.double() for p in (weight, bias))
        y = found.layer(found.axes)(leaf, shape, *parameters, eps)
        (expected,) = torch.autograd.grad(y, leaf, grad_y.double())
        if _close(grad_x.double(), expected, 100 * found.tolerance):
            return detached
    return frozenset()
