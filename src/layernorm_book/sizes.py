"""How much a bug matters, on ordinary rows: each bug alone, where it bites and where it hides.

"Off by 15.5%" is the root-mean-square difference between the wrong result and the right one, as a
share of the smaller of the two.
"""

import math

import torch

from layernorm_book import variants
from layernorm_book.forms import AFFINES, Measurement
from layernorm_book.probing import NoAnswer

EPS = 1e-5


def size(code, found, prober):
    """Return the size of a bug in words, such as "off by 15.5% at n = 4, 0.07% at n = 768".

    Args:
        code: of the finding.
        found: the Measurement of the candidate.
        prober: a Prober, to ask the candidate itself where the size hangs on how it is written.

    Returns:
        str, empty where a size would say nothing.
    """
    pairs = _SIZES[code](found, prober) if code in _SIZES else []
    shown = [f"{percent(value)} {where}" for where, value in pairs if value is not None]
    return f"off by {', '.join(shown)}" if shown else ""


def percent(share):
    """Return a share as a percentage of one to three digits, or as a multiple.

    Example:
        >>> percent(0.1547), percent(0.00065), percent(3.0), percent(1234.0)
        ('15.5%', '0.07%', '300%', '1,234-fold')
    """
    if not math.isfinite(share):
        return "everything"
    if share >= 10:
        return f"{share:,.0f}-fold"
    value = 100 * share
    if value < 1e-9:
        return "nothing"
    return f"{value:.3g}%" if value >= 1 else f"{float(f'{value:.1g}'):.10f}".rstrip("0") + "%"


def off(wrong, right):
    """Return the root-mean-square difference as a share of the smaller of two results."""
    wrong, right = wrong.double(), right.double()
    if not wrong.isfinite().all():
        return math.inf
    smaller = min(_rms(wrong), _rms(right)) or _rms(right)
    return _rms(wrong - right) / smaller if smaller else math.inf


def _rms(tensor):
    return tensor.square().mean().sqrt().item()


def _rows(n, mean=0.0, sigma=1.0, shape=(64,)):
    generator = torch.Generator().manual_seed(n)
    return mean + sigma * torch.randn((*shape, n), generator=generator, dtype=torch.float64)


def _alone(affine=AFFINES[0], **parts):
    """Return a layer that has one fault, and is right besides."""
    return Measurement(affine, **parts)


def _compare(layer, x, *parameters, axes=None, axes_wanted=1):
    shape = x.shape[-axes_wanted:]
    arguments = (shape, *(parameters or (None, None)), EPS)
    right = torch.nn.functional.layer_norm(x, *arguments)
    return off(layer.layer(axes)(x, *arguments), right)


def _small_and_large_n(layer):
    return [(f"at n = {n}", _compare(layer, _rows(n))) for n in (4, 768)]


def _small_and_large_sigma(layer, sigmas=(0.01, 1.0)):
    return [(f"at σ = {s:g}", _compare(layer, _rows(768, sigma=s))) for s in sigmas]


def _parameters(layer):
    generator = torch.Generator().manual_seed(0)
    weight, bias = (
        start + 0.2 * torch.randn(768, generator=generator, dtype=torch.float64)
        for start in (1.0, 0.0)
    )
    where = "where γ and β spread by 0.2 around 1 and 0"
    return [(where, _compare(layer, _rows(768), weight, bias))]


def _axis(found, prober):
    if not found.right_axes:
        x, wanted, axes = _rows(768, shape=(4, 16, 2)[: len(found.shape) - 1]), 1, found.axes
    else:
        x, wanted, axes = _rows(64, shape=(4, 16, 8)), 2, found.axes_of_two
    x = x * (1 + 0.5 * x[..., :1].abs()) + x[..., 1:2]  # rows differ in mean and in spread
    names = ", ".join(map(str, x.shape))
    value = _compare(_alone(), x, axes=axes, axes_wanted=wanted)
    return [(f"for x of shape ({names})", value)]


def _gradient(found, prober):
    pairs = []
    for n in (4, 768):
        x = _rows(n).requires_grad_()
        grad_y = _rows(n + 1)[:, :n]
        right = torch.nn.functional.layer_norm(x, (n,), eps=EPS)
        wrong = _alone(detached=found.detached).layer()(x, (n,), eps=EPS)
        grads = (torch.autograd.grad(y, x, grad_y)[0] for y in (wrong, right))
        pairs.append((f"in grad_x at n = {n}", off(*grads)))
    return pairs


def _one_pass(found, prober):
    pairs = []
    for mean in (10.0, 1000.0):
        x = _rows(768, mean=mean).float()
        right = torch.nn.functional.layer_norm(x.double(), (768,), eps=EPS)
        wrong = variants.one_pass_variance(x, (768,), eps=EPS)
        pairs.append((f"at a mean of {mean:g}σ in float32", off(wrong, right)))
    return pairs


def _low_precision(found, prober):
    """Compare the candidate with itself: the same float16 numbers, and the same in float32."""
    if found.computes_in:
        return _coarse(found, prober)
    pairs = []
    for where, mean, sigma in (("at σ = 1", 0.0, 1.0), ("at σ = 1000", 0.0, 1000.0)):
        rows = (16,) if prober.subject.channels_last else (2, 2, 4)
        x = _rows(768, mean, sigma, rows).half()
        weight, bias = (torch.full((768,), v).half() for v in found.affine.neutral)
        try:
            narrow = prober.answer(x, (768,), weight, bias)
            wide = prober.answer(x.float(), (768,), weight.float(), bias.float())
        except NoAnswer:
            return []
        pairs.append((f"{where} in float16", off(narrow, wide)))
    return pairs


def _coarse(found, prober):
    """Compare the candidate in float64 with the layer that it was measured to be."""
    pairs = []
    for mean in (0.0, 2000.0):
        x = _rows(768, mean, shape=(16,) if prober.subject.channels_last else (2, 2, 4))
        weight, bias = (torch.full((768,), v, dtype=x.dtype) for v in found.affine.neutral)
        try:
            y = prober.answer(x, (768,), weight, bias)
        except NoAnswer:
            return []
        axes = None if found.right_axes else found.axes
        right = found.layer(axes)(x, (768,), weight, bias)
        pairs.append((f"at a mean of {mean:g}σ in float64", off(y, right)))
    return pairs


_SIZES = {
    "wrong-axis": _axis,
    "no-centering": lambda found, prober: [
        (f"at a mean of {m:g}σ", _compare(_alone(centring=found.centring), _rows(768, mean=m)))
        for m in (0.1, 3.0)
    ],
    "unbiased-variance": lambda found, prober: _small_and_large_n(_alone(unbiased=True)),
    "one-pass-variance": _one_pass,
    "low-precision-statistics": _low_precision,
    "missing-sqrt": lambda found, prober: _small_and_large_sigma(
        _alone(place=found.place), (0.1, 10.0)
    ),
    "missing-eps": lambda found, prober: _small_and_large_sigma(
        _alone(find_eps=lambda eps, n: 0.0)
    ),
    "wrong-eps": lambda found, prober: _small_and_large_sigma(_alone(find_eps=found.find_eps)),
    "eps-outside-sqrt": lambda found, prober: _small_and_large_sigma(_alone(place=found.place)),
    "missing-affine": lambda found, prober: _parameters(_alone(found.affine)),
    "swapped-affine": lambda found, prober: _parameters(_alone(found.affine)),
    "shift-before-scale": lambda found, prober: _parameters(_alone(found.affine)),
    "detached-statistics": _gradient,
}
