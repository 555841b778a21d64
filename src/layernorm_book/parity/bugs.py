"""Which bugs have a name, what does each look like, and what does one do about it?

One row per bug holds all that is known of it: code, step, line to change, chapter, the exchanged
parts of the formula that it consists of, and the rows of numbers on which its size is measured. A
row with `variants` needs nothing else: `identify` runs them. To add a bug, add a row here, and a
layer that has it to `tests/layers.py`.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from layernorm_book.calling.call import Inputs
from layernorm_book.parity.formula import RIGHT, Formula, Part, mean, scale_then_shift, zero

CHAPTERS = {
    "01_mean_and_variance": "chapter 1, Mean and variance",
    "02_normalize": "chapter 2, Centre, then scale",
    "03_gamma_and_beta": "chapter 3, Gamma and beta",
    "04_parity": "chapter 4, Parity",
    "05_backward": "chapter 5, The backward pass",
    "06_precision": "chapter 6, Precision",
    "07_speed": "chapter 7, Speed",
    "10_relatives": "chapter 10, The relatives of LayerNorm",
    "11_bug_museum": "chapter 11, The bug museum",
}
"""The page of each chapter, and how a report refers to it."""


@dataclass(frozen=True)
class Variant:
    """One way to have a bug: the parts that it exchanges, and what a report says of it."""

    parts: Mapping[str, Part]
    message: str
    against: tuple[str, ...] = ("layer_norm", "rms_norm")
    secondary: bool = False  # whether it can wait until the other findings are fixed
    fix: str = ""  # where the bug's own does not suit
    axes: int = 1  # how many normalized axes it takes to tell it from a right layer

    def __hash__(self) -> int:
        return id(self)


@dataclass(frozen=True)
class Rows:
    """Rows of numbers on which the size of a bug is measured."""

    n: int
    where: str = ""
    mean: float = 0.0
    sigma: float = 1.0
    dtype: torch.dtype = torch.float64
    affine: float = 0.0  # the spread of γ around 1 and of β around 0
    lead: tuple[int, ...] = (64,)
    quantity: str = "y"

    def make(self, axes: int = 1) -> Inputs:
        """Draw them, always the same; so many trailing axes are to be normalized."""
        generator = torch.Generator().manual_seed(self.n)

        def randn(*shape: int) -> Tensor:
            return torch.randn(shape, generator=generator, dtype=torch.float64)

        x = self.mean + self.sigma * randn(*self.lead, self.n)
        if len(self.lead) > 1:  # rows that differ in mean and in spread
            x = x * (1 + 0.5 * x[..., :1].abs()) + x[..., 1:2]
        shape = tuple(x.shape[-axes:])
        weight = 1 + self.affine * randn(*shape)
        inputs = Inputs(x, shape, weight, self.affine * randn(*shape), 1e-5, randn(*x.shape))
        return inputs.to(self.dtype)


def _both(where: str = "", **options: Any) -> tuple[Rows, ...]:
    """Return rows of n = 4 and n = 768, where most sizes are told."""
    return tuple(Rows(n, f"at n = {n}{where}", **options) for n in (4, 768))


@dataclass(frozen=True)
class Bug:
    """What is known of a bug before any candidate is seen."""

    code: str
    step: str  # where to look
    page: str  # a key of CHAPTERS
    fix: str  # the line to change
    variants: tuple[Variant, ...] = ()
    rows: tuple[Rows, ...] = field(default_factory=_both)
    severity: str = "wrong"  # or "limit", which leaves a layer right

    @property
    def backward(self) -> bool:
        """Whether only gradients give it away."""
        return self.step == _GRADIENT

    @property
    def chapter(self) -> str:
        """The chapter that explains it."""
        return CHAPTERS[self.page]


def one_pass(x: Tensor, about: Tensor, dims: tuple[int, ...]) -> Tensor:
    """Return n · (E[x²] − E[x]²), whose two terms cancel where the mean is large."""
    n = math.prod(x.shape[d] for d in dims)
    return (x.square().mean(dims, keepdim=True) - about.square()) * n


def shift_then_scale(x_hat: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    """Add the bias first, so that the weight scales it too."""
    return scale_then_shift(scale_then_shift(x_hat, None, bias), weight, None)


def exchange_gradients(x_hat: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    """Scale and shift rightly, and give weight the gradient of bias, and bias that of weight."""
    fixed = (None if p is None else p.detach() for p in (weight, bias))
    y = scale_then_shift(x_hat, *fixed)
    y = y if weight is None else y + (weight - weight.detach())  # adds zeros
    return y if bias is None else y + (bias - bias.detach()) * x_hat.detach()


def detached(statistic: Tensor) -> Tensor:
    """Cut a statistic off from the graph."""
    return statistic.detach()


_STATISTICS, _DIVISION = "step 1, mean and variance", "step 2, normalize"
_AFFINE, _GRADIENT, _FORM = "step 3, scale and shift", "the backward pass", "the result as a whole"
_ONE, _TWO, _THREE, _PARITY, _BACKWARD, _PRECISION, _SPEED, _RELATIVES, _MUSEUM = CHAPTERS
_LN, _RMS = ("layer_norm",), ("rms_norm",)
_AXES = "for x of shape {shape} it shares its statistics over {axes}, and not over {asked}"
_F16, _F32, _BF16 = torch.float16, torch.float32, torch.bfloat16

_SPREAD = _both(" where γ and β spread by 0.2 around 1 and 0", affine=0.2)
_SMALL = (*_both(" and σ = 0.01", sigma=0.01), Rows(768, "at n = 768 and σ = 1"))
_SHIFTED = (*_both(" and a mean of 3σ", mean=3.0), Rows(768, "at n = 768 and a mean of 0.1σ", 0.1))
_BLOCKS = tuple(Rows(n, f"for x of shape (4, 16, 2, {n})", lead=(4, 16, 2)) for n in (4, 768))
_LOUD = Rows(768, "at n = 768 and σ = 1000 in float16", 0.0, 1e3, _F16)
_HALVES = (*_both(" in float16", dtype=_F16), _LOUD)
_FAR = _both(" and a mean of 1000σ in float32", mean=1000.0, dtype=_F32)

# fmt: off
_TABLE = (
    Bug("raises", _FORM, _PARITY, "PyTorch accepts this input; make the layer accept it too."),
    Bug("wrong-shape", _FORM, _ONE,
        "Keep the reduced axes (keepdim=True), so that they broadcast back to x."),
    Bug("wrong-dtype", _FORM, _PRECISION, "Convert the result back at the end: y.to(x.dtype)."),
    Bug("mutates-input", _FORM, _MUSEUM, "Write to a new tensor: x = x - mean, and not x -= mean."),
    Bug("wrong-axis", _STATISTICS, _ONE,
        "Reduce over the normalized axes: dims = tuple(range(-len(normalized_shape), 0)).", (
            Variant({"axes": lambda ndim, k: (ndim - 1,)}, _AXES, secondary=True, axes=2),
            Variant({"axes": lambda ndim, k: (0,)}, _AXES),
            Variant({"axes": lambda ndim, k: (min(1, ndim - 1),)}, _AXES),
            Variant({"axes": lambda ndim, k: tuple(range(1, ndim)) or (0,)}, _AXES),  # GroupNorm(1)
            Variant({"axes": lambda ndim, k: tuple(range(ndim - 1)) or (0,)}, _AXES),  # BatchNorm
            Variant({"axes": lambda ndim, k: tuple(range(1, ndim - 1)) or (0,)}, _AXES),  # Instance
            Variant({"axes": lambda ndim, k: tuple(range(ndim))}, _AXES),
        ), _BLOCKS),
    Bug("no-centering", _STATISTICS, _RELATIVES,
        "Subtract the mean, in x and in the variance: (x - mean), (x - mean).square().mean(dims). "
        "If it is meant to be RMSNorm, check it against that: against=\"rms_norm\".", (
            Variant({"centre": zero, "about": zero},
                    "it divides x by its root mean square, and subtracts no mean: RMSNorm", _LN),
            Variant({"centre": zero},
                    "the variance is right, and the mean is not subtracted from x", _LN),
            Variant({"about": zero},
                    "it divides by the root of the mean of x², taken about 0", _LN),
        ), _SHIFTED),
    Bug("mean-subtracted", _STATISTICS, _RELATIVES,
        "Leave the mean in: x / sqrt(x.square().mean(dims) + eps). "
        "If it is meant to be LayerNorm, check it against that: against=\"layer_norm\".", (
            Variant({"centre": mean, "about": mean},
                    "it subtracts the mean of x first: LayerNorm", _RMS),
            Variant({"about": mean},
                    "it divides by the standard deviation, taken about the mean", _RMS),
            Variant({"centre": mean}, "it subtracts the mean from x, and not from x²", _RMS),
        ), _SHIFTED),
    Bug("unbiased-variance", _STATISTICS, _ONE,
        "Divide by n: x.var(dims, correction=0, keepdim=True).", (
            Variant({"count": lambda n: n - 1},
                    "the sum of squares is divided by n − 1, and not by n: by 3 where n = 4"),)),
    Bug("sum-for-mean", _STATISTICS, _RELATIVES,
        "Divide the sum of squares by n: take the mean of the squares, and not their norm.", (
            Variant({"count": lambda n: 1},
                    "it divides by the root of the sum of squares, and not of their mean"),)),
    Bug("one-pass-variance", _STATISTICS, _ONE,
        "Take the mean first: var = (x - mean).square().mean(dims).", (
            Variant({"squares": one_pass}, "", _LN),), _FAR),
    Bug("low-precision-statistics", _STATISTICS, _PRECISION,
        "Widen first and round last: x.float() ... y.to(x.dtype).", (
            Variant({"widen": lambda dtype: dtype}, "", secondary=True),), _HALVES),
    Bug("missing-sqrt", _DIVISION, _TWO, "Divide by the root: (x - mean) / sqrt(var + eps).", (
            Variant({"normalize": lambda centred, var, eps: centred / (var + eps)},
                    "it divides by var + eps, and not by its square root"),
            Variant({"normalize": lambda centred, var, eps: centred / (var + eps).square()},
                    "it divides by the square of var + eps, and not by its square root"),
        ), _both(" and σ = 10", sigma=10.0)),
    Bug("missing-eps", _DIVISION, _TWO, "Add eps under the root: sqrt(var + eps).", (
            *(Variant({"eps": lambda eps, n: 0.0}, f"it divides by a {it} with no eps added", norm)
              for it, norm in (("standard deviation", _LN), ("root mean square", _RMS))),), _SMALL),
    Bug("wrong-eps", _DIVISION, _PRECISION, "Add eps as it is given: sqrt(var + eps).",
        rows=_SMALL),  # its variant is made by `identify`, with the eps that was measured
    Bug("eps-outside-sqrt", _DIVISION, _TWO,
        "Move eps inside: sqrt(var + eps), and not sqrt(var) + eps.", (
            Variant({"normalize": lambda centred, var, eps: centred / (torch.sqrt(var) + eps)},
                    "it divides by √var + eps, and not by √(var + eps)"),
            Variant({"normalize": lambda centred, var, eps: centred * (1 / torch.sqrt(var) + eps)},
                    "it multiplies by 1/√var + eps, and not by 1/√(var + eps)"),
        ), _SMALL),
    Bug("missing-affine", _AFFINE, _THREE, "Apply both: y = x_hat * weight + bias.", (
            Variant({"affine": lambda x_hat, w, b: x_hat}, "it makes no use of weight and bias"),
            Variant({"affine": lambda x_hat, w, b: scale_then_shift(x_hat, w, None)},
                    "it makes no use of the bias"),
            Variant({"affine": lambda x_hat, w, b: scale_then_shift(x_hat, None, b)},
                    "it makes no use of the weight"),
        ), _SPREAD),
    Bug("swapped-affine", _AFFINE, _THREE,
        "Scale by weight, shift by bias: y = x_hat * weight + bias.", (
            Variant({"affine": lambda x_hat, w, b: scale_then_shift(x_hat, b, w)},
                    "it scales by the bias and shifts by the weight"),), _SPREAD),
    Bug("shift-before-scale", _AFFINE, _THREE,
        "Scale first: y = x_hat * weight + bias, and not (x_hat + bias) * weight.", (
            Variant({"affine": shift_then_scale},
                    "it adds the bias first, and the weight scales that too"),), _SPREAD),
    Bug("unit-offset-weight", _AFFINE, _THREE,
        "Scale by weight itself, or subtract 1 from the weight when porting it from PyTorch.", (
            Variant({"affine": lambda x_hat, w, b: scale_then_shift(x_hat, None, b)
                     if w is None else scale_then_shift(x_hat, 1 + w, b)},
                    "it scales by 1 + weight, and not by weight"),), _SPREAD),
    Bug("rounds-before-scale", _AFFINE, _PRECISION,
        "To match PyTorch's bits, scale in float32 and round once: (x_hat * weight).to(x.dtype).", (
            Variant({"round_x_hat": lambda x_hat, dtype: x_hat.to(dtype)},
                    "half-precision x_hat is rounded to the dtype of x before the weight scales "
                    "it, as LLaMA does: two roundings, where PyTorch has one"),
        ), _both(" in bfloat16", dtype=_BF16, affine=0.2), "limit"),
    Bug("narrows-float64", _STATISTICS, _PRECISION,
        "Widen half precision alone: x.to(torch.promote_types(x.dtype, torch.float32)).", (
            Variant({"widen": lambda dtype: torch.float32},
                    "float64 x is computed in float32, so half of its digits are lost"),
        ), _both(" in float64"), "limit"),
    Bug("float32-parameters", _FORM, _PRECISION,
        "To take parameters of x's dtype too, convert them: weight.to(x.dtype).",
        rows=(), severity="limit"),
    Bug("detached-statistics", _GRADIENT, _BACKWARD,
        "Compute mean and var from x itself: no detach(), no no_grad().", (
            Variant({"keep_centre": detached, "keep_var": detached},
                    "the forward pass is right, and no gradient flows back through the mean "
                    "and variance"),
            Variant({"keep_var": detached},
                    "the forward pass is right, and no gradient flows back through the variance"),
            Variant({"keep_centre": detached},
                    "the forward pass is right, and no gradient flows back through the mean", _LN),
        ), tuple(Rows(n, f"in grad_x at n = {n}", quantity="grad_x") for n in (4, 768))),
    Bug("swapped-gradients", _GRADIENT, _BACKWARD,
        "Return them in order: grad_weight = Σ grad_y · x_hat, grad_bias = Σ grad_y.", (
            Variant({"affine": exchange_gradients},
                    "the gradients of weight and bias are exchanged: grad_weight is Σ grad_y"),
        ), tuple(Rows(n, f"in grad_weight at n = {n}", quantity="grad_weight") for n in (4, 768))),
    Bug("nan-gradient", _GRADIENT, _BACKWARD,
        "Take no root of the bare variance: sqrt(var + eps) at once.", rows=()),
    Bug("padded-row", _STATISTICS, _SPEED,
        "Mask what lies beyond n in every sum, after the mean is subtracted too.", rows=()),
    Bug("unknown", _FORM, _PARITY,
        "Compare the steps one by one with layernorm_book.reference.", rows=()),
)
# fmt: on
BUGS = {bug.code: bug for bug in _TABLE}
"""Every code, in the order in which a report lists them."""

VARIANTS: dict[str, Formula] = {
    bug.code: replace(RIGHT["layer_norm"], **variant.parts)
    for bug in _TABLE
    for variant in bug.variants[::-1]  # the first that is not secondary, if there is one, stays
    if bug.severity == "wrong" and "layer_norm" in variant.against
    if not (variant.secondary and len(bug.variants) > 1)
}
"""A layer norm with each bug, alone: callable with the arguments of `F.layer_norm`."""


def effect(bug: Bug, variant: Variant, against: str = "layer_norm") -> str:
    """Return how far off a bug is, in words, such as "off by 15.5% at n = 4, 0.07% at n = 768".

    The figure is the root-mean-square difference between the wrong result and the right one in
    float64, as a share of the smaller of the two.

    Returns:
        str, empty where a size would say nothing.
    """
    right = RIGHT[against]
    wrong = replace(right, **variant.parts)
    shown = []
    for rows in bug.rows if variant.parts else ():
        given = rows.make(variant.axes)
        if rows.quantity == "y":
            share = off(wrong.run(given), right.run(given.to(torch.float64)))
        else:
            share = off(*(f.results(given)[rows.quantity] for f in (wrong, right)))
        shown.append(f"{percent(share)} {rows.where}")
    return f"off by {', '.join(shown)}" if shown else ""


def percent(share: float) -> str:
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
    if value < 1e-13:
        return "nothing"
    return f"{value:.3g}%" if value >= 1 else f"{float(f'{value:.1g}'):.15f}".rstrip("0") + "%"


def off(wrong: Tensor, right: Tensor) -> float:
    """Return the root-mean-square difference as a share of the smaller of two results."""
    wrong, right = wrong.double(), right.double()
    if not wrong.isfinite().all():
        return math.inf
    smaller = float(min(wrong.norm(), right.norm())) or float(right.norm())
    return float((wrong - right).norm()) / smaller if smaller else math.inf
