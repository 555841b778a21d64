"""Measures what a layer norm does, by asking it: its affine step, its mean, its divisor, its eps.

Nothing is read but answers. A layer of the form y = (x − m) / d · weight + bias gives itself away:

    weight, bias   two questions with the same x and other weights tell how they are used
    m              the line through (x, x_hat) of one group crosses zero there
    d              one over its slope
    eps, its place d for σ from 1e-8 to 10 is a curve, and each place of eps gives another one

The axes that share m and d are those over which the points do lie on a line, and the mean is m.
"""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic

import torch

from layernorm_book import variants
from layernorm_book.candidates import DEFAULT_EPS
from layernorm_book.cases import Inputs
from layernorm_book.sandbox import TimeLimit

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


class NoAnswer(Exception):
    """The candidate gave nothing that could be measured."""


class Refused(NoAnswer):
    """The candidate raised, which is a finding of its own."""


class Prober:
    """Puts questions to a candidate, within a time for all of them together."""

    def __init__(self, subject, sandbox, seconds):
        self.subject, self.sandbox = subject, sandbox
        self.end = monotonic() + seconds

    def ask(self, x, shape, weight=None, bias=None, eps=DEFAULT_EPS, grad_y=None):
        """Return the Outcome for this input.

        Raises:
            NoAnswer: it raised, took too long, or gave no array of the shape of x.
        """
        if monotonic() > self.end:
            raise NoAnswer("it is too slow to be questioned")
        grad_y = torch.zeros_like(x) if grad_y is None else grad_y
        weight = weight if self.subject.weight else None
        bias = bias if self.subject.bias else None
        inputs = Inputs(x, tuple(shape), weight, bias, eps, grad_y)
        try:
            outcome = self.sandbox.run(self.subject.call, inputs)
        except TimeLimit:
            self.end = 0.0
            raise NoAnswer("it stopped answering") from None
        except Exception as error:
            raise Refused(f"{type(error).__name__}: {error}") from None
        y = outcome.results.get("y")
        if not isinstance(y, torch.Tensor) or y.shape != x.shape:
            raise NoAnswer("it gave no result of the shape of x")
        return outcome

    def answer(self, *args, **kwargs):
        """Return y for this input, in float64."""
        return self.ask(*args, **kwargs).results["y"].detach().double()


# --- what can be found ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Affine:
    """One way to use weight and bias."""

    code: str | None
    words: str
    apply: Callable  # (x_hat, weight, bias) -> y
    solve: Callable  # (y, weight, bias) -> x_hat
    neutral: tuple = (1.0, 0.0)  # the weight and bias that leave x_hat alone


def _weight_alone(x_hat, weight, bias):
    return variants.scale_then_shift(x_hat, weight, None)


def _bias_alone(x_hat, weight, bias):
    return variants.scale_then_shift(x_hat, None, bias)


AFFINES = (
    Affine(None, "", variants.scale_then_shift, lambda y, w, b: (y - b) / w),
    Affine("missing-affine", "weight and bias", variants.no_affine, lambda y, w, b: y),
    Affine("missing-affine", "the bias", _weight_alone, lambda y, w, b: y / w),
    Affine("missing-affine", "the weight", _bias_alone, lambda y, w, b: y - b),
    Affine("swapped-affine", "", variants.scale_by_bias, lambda y, w, b: (y - w) / b, (0.0, 1.0)),
    Affine("shift-before-scale", "", variants.shift_then_scale, lambda y, w, b: y / w - b),
)


def _squared(x, mean, var, eps):
    return (x - mean) / (var + eps).square()


def _reciprocal(x, mean, var, eps):
    return (x - mean) * (1 / torch.sqrt(var) + eps)


# each place of eps: (how x_hat is made, the eps that a divisor d means for a variance v, whether
# that is read off best where v is large)
PLACES = {
    "inside": (variants.eps_inside, lambda v, d: d.square() - v, False),
    "outside": (variants.eps_outside, lambda v, d: d - v.sqrt(), False),
    "no root": (variants.no_root, lambda v, d: d - v, False),
    "squared": (_squared, lambda v, d: d.sqrt() - v, False),
    "reciprocal": (_reciprocal, lambda v, d: 1 / d - 1 / v.sqrt(), True),
}


def _about_zero(x, mean, dims):
    return x.square().mean(dims, keepdim=True)


def _about_mean(x, mean, dims):
    return variants.biased(x, variants.average(x, dims), dims)


# each way to centre: (the mean that is subtracted, the variance)
CENTRINGS = {
    "centred": (variants.average, variants.biased),
    "not centred": (variants.no_mean, _about_zero),
    "mean left in": (variants.no_mean, _about_mean),
    "variance not centred": (variants.average, _about_zero),
}


def _as_given(eps, n):
    return eps


@dataclass
class Measurement:
    """What a layer norm was found to do.

    Attributes:
        affine: how it uses weight and bias.
        shape, axes: of the probe, and the axes of it that share statistics.
        axes_of_two: the axes of (3, 4, 6, 5) that it reduces when asked for the last two, or None.
        centring: a key of CENTRINGS.
        unbiased: whether it divides by n − 1.
        place: a key of PLACES.
        eps: dict of the eps that was found by the eps that was given.
        detached: names of the statistics through which no gradient flows.
        channels_last: False where the candidate takes images, of which this is axis 1.
        dtype, tolerance: with which it was measured.
    """

    affine: Affine
    shape: tuple = ()
    axes: tuple = ()
    axes_of_two: tuple | None = None
    centring: str = "centred"
    unbiased: bool = False
    place: str = "inside"
    eps: dict = field(default_factory=dict)
    detached: frozenset = frozenset()
    channels_last: bool = True
    dtype: torch.dtype = torch.float64
    tolerance: float = 0.0
    find_eps: Callable = _as_given  # (given eps, n) -> eps in use
    computes_in: str = ""  # the precision in which wider x is computed, where that was found

    @property
    def right_axes(self):
        """Whether it shares its statistics over the last axis, where that is asked for."""
        return self.axes == (len(self.shape) - 1,)

    def same_eps(self, given, found):
        """Whether an eps that was found is the one that was given, within measurement."""
        return abs(found - given) <= max(1e-3, 10 * self.tolerance) * given

    def layer(self, axes=None):
        """Return a layer norm in torch that does the same, over `axes` if it is given."""
        mean, var = CENTRINGS[self.centring]

        def spread(x, centre, dims):
            n = math.prod(x.shape[d] for d in dims)
            correction = n / (n - 1) if self.unbiased and n > 1 else 1.0
            return var(x, centre, dims) * (math.nan if self.unbiased and n == 1 else correction)

        def keep(name):
            return variants.detached if name in self.detached else variants.attached

        def run(x, normalized_shape, weight=None, bias=None, eps=DEFAULT_EPS):
            dims = axes if axes is not None else tuple(range(-len(normalized_shape), 0))
            n = math.prod(x.shape[d] for d in dims)
            return variants.run_steps(
                x,
                normalized_shape,
                weight,
                bias,
                eps,
                axes=lambda *_: dims,
                mean=mean,
                var=spread,
                keep_mean=keep("mean"),
                keep_var=keep("variance"),
                eps_in_use=lambda eps: self.find_eps(eps, n),
                normalize=PLACES[self.place][0],
                affine=self.affine.apply,
            )

        return run


# --- measuring ------------------------------------------------------------------------------------


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


def subsets(ndim):
    """Return every non-empty set of axes, as tuples, those of the trailing axes first."""
    trailing = [tuple(range(ndim - k, ndim)) for k in range(1, ndim + 1)]
    every = (c for k in range(1, ndim + 1) for c in itertools.combinations(range(ndim), k))
    return [*trailing, *(axes for axes in every if axes not in trailing)]


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
    curve = _Curve(prober, affine, x, given[0], scales)
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


def n_of(axes, shape):
    """Return how many elements share their statistics."""
    return math.prod(shape[a] for a in axes)


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


class _Curve:
    """x_hat for one x at many scales, from which the divisor is read as a function of σ."""

    def __init__(self, prober, affine, x, eps, scales, shape=None):
        shape = shape or x.shape[-1:]
        weight, bias = (torch.full(shape, v, dtype=x.dtype) for v in affine.neutral)
        self.given, self.shape = eps, shape
        self.x = torch.stack([x * s for s in scales]).double()
        answers = [prober.answer(x * s, shape, weight, bias, eps=eps) for s in scales]
        self.x_hat = torch.stack(answers)
        if not self.x_hat.isfinite().all():
            raise NoAnswer("its output is not finite")

    def fit(self, tolerance):
        """Return (axes, centring, unbiased, place, eps) of the simplest form that fits.

        Raises:
            NoAnswer: no form fits; the message has the divisors that were seen.
        """
        for axes in subsets(self.x.ndim - 1):
            line = self.line(axes, tolerance)
            if line is None:
                continue
            options = [
                (unbiased, place, eps, centring)
                for centring in CENTRINGS
                if self._centred_as(centring, line, tolerance)
                for unbiased, place, eps in self._places(line, centring, tolerance)
            ]
            if options:
                unbiased, place, eps, centring = min(options, key=self._simplicity)
                return axes, centring, unbiased, place, eps
        raise NoAnswer(self.describe())

    def _simplicity(self, option):
        unbiased, place, eps, centring = option
        return (
            (centring != "centred")
            + unbiased
            + (place != "inside")
            + (abs(eps - self.given) > 0.01 * self.given),
            list(CENTRINGS).index(centring),
            list(PLACES).index(place),
        )

    def line(self, axes, tolerance):
        """Fit x_hat = (x − m) / d in each group, or return None where it is no line."""
        dims = tuple(a + 1 for a in axes)  # axis 0 holds the scales
        n = n_of(dims, self.x.shape)
        mean_x = self.x.mean(dims, keepdim=True)
        mean_y = self.x_hat.mean(dims, keepdim=True)
        centred_x, centred_y = self.x - mean_x, self.x_hat - mean_y
        second = centred_x.square().mean(dims, keepdim=True)
        slope = (centred_x * centred_y).mean(dims, keepdim=True) / second
        left = (centred_y - slope * centred_x).abs().amax(dims, keepdim=True)
        size = self.x_hat.abs().amax(dims, keepdim=True)
        if n < 2 or (slope <= 0).any() or (left > tolerance * size).any():
            return None
        return {
            "n": n,
            "m": mean_x - mean_y / slope,
            "d": 1 / slope,
            "mean": mean_x,
            "variance": second,
            "power": self.x.square().mean(dims, keepdim=True),
        }

    def _centred_as(self, centring, line, tolerance):
        scale = line["power"].sqrt() + line["mean"].abs()
        target = 0.0 if CENTRINGS[centring][0] is variants.no_mean else line["mean"]
        return bool(((line["m"] - target).abs() <= 10 * tolerance * scale).all())

    def _places(self, line, centring, tolerance):
        """Yield (unbiased, place, eps) for every place of eps that gives these divisors."""
        about_zero = CENTRINGS[centring][1] is _about_zero
        d = line["d"].flatten()
        for unbiased in (False, True):
            v = line["power" if about_zero else "variance"].flatten()
            v = v * (line["n"] / (line["n"] - 1)) if unbiased else v
            for place, (_, read, at_large) in PLACES.items():
                at = v.argmax() if at_large else v.argmin()
                eps = read(v, d)[at].item()
                floor = 0.0 if at_large else v.min().item() ** (0.5 if place == "outside" else 1)
                eps = 0.0 if abs(eps) <= max(4 * tolerance * floor, 1e-30) else eps
                if eps == 0.0 and place in ("outside", "reciprocal"):
                    continue  # the same as inside
                if eps < 0:
                    continue
                if ((_divisor(place, v, eps) - d).abs() <= 10 * tolerance * d).all():
                    yield unbiased, place, eps

    def describe(self):
        """Say which divisors were seen, where the rows are at least scaled as a whole."""
        axes = tuple(range(self.x.ndim - 1 - len(self.shape), self.x.ndim - 1))
        line = self.line(axes, 1e-3)
        if line is None:
            return "its output is no shifted and scaled copy of x, over any axes"
        v, d = line["variance"].flatten(1)[:, 0], line["d"].flatten(1)[:, 0]
        chosen = [i for i in range(len(v)) if v[i] > 1e-7][-4:]
        pairs = (
            f"{d[i]:.3g} (not {math.sqrt(v[i] + self.given):.3g}) at σ = {math.sqrt(v[i]):.2g}"
            for i in chosen
        )
        return f"with eps {self.given:g} it divides by {', '.join(pairs)}"


def _divisor(place, v, eps):
    """Return d for a variance v: what one centred unit is divided by."""
    one, zero = torch.ones_like(v), torch.zeros_like(v)
    return 1 / PLACES[place][0](one, zero, v, eps)


def _find_eps(prober, found, given, n, scales):
    """Read the eps in use for another given eps, or another n."""
    if n < 2:
        return given
    shape, axes = found.shape, found.axes
    if found.right_axes:
        shape, axes = (*shape[:-1], n), (len(shape) - 1,)
    try:
        curve = _Curve(prober, found.affine, _draw(shape, found.dtype), given, scales)
    except NoAnswer:
        return given
    line = curve.line(axes, 1e-2)
    if line is None:
        return given
    about_zero = CENTRINGS[found.centring][1] is _about_zero
    v = line["power" if about_zero else "variance"].flatten()
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
        curve = _Curve(prober, found.affine, x, DEFAULT_EPS, (0.3, 1.0, 3.0), x.shape[-2:])
    except NoAnswer:
        return None
    for axes in [(2, 3), *subsets(4)]:
        line = curve.line(axes, tolerance)
        if line is not None and curve._centred_as(found.centring, line, tolerance):
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
