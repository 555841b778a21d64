"""x_hat for one x at many scales: the curve from which mean, divisor and eps are read."""

import itertools
import math

import torch

from layernorm_book import variants
from layernorm_book.forms import CENTRINGS, PLACES, about_zero
from layernorm_book.probing import NoAnswer


def subsets(ndim):
    """Return every non-empty set of axes, as tuples, those of the trailing axes first."""
    trailing = [tuple(range(ndim - k, ndim)) for k in range(1, ndim + 1)]
    every = (c for k in range(1, ndim + 1) for c in itertools.combinations(range(ndim), k))
    return [*trailing, *(axes for axes in every if axes not in trailing)]


def n_of(axes, shape):
    """Return how many elements share their statistics."""
    return math.prod(shape[a] for a in axes)


class Curve:
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
                if self.centred_as(centring, line, tolerance)
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

    def centred_as(self, centring, line, tolerance):
        """Whether the lines cross zero where this centring would have them cross."""
        scale = line["power"].sqrt() + line["mean"].abs()
        target = 0.0 if CENTRINGS[centring][0] is variants.no_mean else line["mean"]
        return bool(((line["m"] - target).abs() <= 10 * tolerance * scale).all())

    def _places(self, line, centring, tolerance):
        """Yield (unbiased, place, eps) for every place of eps that gives these divisors."""
        power = CENTRINGS[centring][1] is about_zero
        d = line["d"].flatten()
        for unbiased in (False, True):
            v = line["power" if power else "variance"].flatten()
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
