"""The forms that a measured layer norm can have, and the layer that each combination of them is.

Each part of a layer may have one of several forms: how it uses weight and bias, how it centres, by
what it divides the sum of squares, where eps stands. A `Measurement` picks one of each.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch

from layernorm_book import variants
from layernorm_book.candidates import DEFAULT_EPS


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


def about_zero(x, mean, dims):
    """Return the mean of x², which is the variance of nothing that was centred."""
    return x.square().mean(dims, keepdim=True)


def _about_mean(x, mean, dims):
    return variants.biased(x, variants.average(x, dims), dims)


# each way to centre: (the mean that is subtracted, the variance)
CENTRINGS = {
    "centred": (variants.average, variants.biased),
    "not centred": (variants.no_mean, about_zero),
    "mean left in": (variants.no_mean, _about_mean),
    "variance not centred": (variants.average, about_zero),
}


def _as_given(eps, n):
    """Return the eps that was given: what a right layer uses, whatever n is."""
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
