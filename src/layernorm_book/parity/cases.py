"""What is a candidate asked, what is the right answer, and how far off may it be?

A case earns its place by telling a wrong layer from a right one: a large eps shows where eps
stands, a small n shows the n − 1, a large mean shows a one-pass variance, more channels than rows
shows a wrong axis, a constant row shows a gradient that divides by zero.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from layernorm_book.calling.call import Inputs, gradients
from layernorm_book.calling.candidate import DEFAULT_EPS, AdaptedCandidate
from layernorm_book.parity.formula import HALF

DTYPES = {name: getattr(torch, name) for name in ("float64", "float32", "float16", "bfloat16")}

KERNELS = 4
"""Right layers err by up to 2.5 times as much as PyTorch's own kernel in nine comparisons of ten
(eight ways to write one, ten seeds); where they err more, ROUNDINGS allows it."""
ROUNDINGS = 16
"""From x to y a value is rounded about 16 times: two sums (a pairwise one of 768 terms has ten
levels, whose errors mostly cancel), two means, a root, three products, a sum, the result. A right
layer may also add its terms one by one, whose errors walk at random: √n more for either sum, and as
many for the two of the backward pass."""


@dataclass(frozen=True)
class Case:
    """One input of the parity check: the recipe, from which `make` draws the tensors."""

    name: str
    shape: tuple[int, ...]
    axes: int = 1  # how many trailing axes share their statistics
    eps: float = 1e-5
    dtype: torch.dtype = torch.float32
    mean: float = 0.0
    sigma: float = 1.0
    transposed: bool = False  # hand over a view that is not contiguous
    weight: bool = True
    bias: bool = True
    float32_parameters: bool = False  # weight and bias are float32, whatever x is

    @property
    def normalized_shape(self) -> tuple[int, ...]:
        """The trailing sizes that share their statistics."""
        return self.shape[-self.axes :]

    @property
    def shifted(self) -> bool:
        """Whether x has a mean that is large for its spread, which costs digits."""
        return self.mean != 0 and self.sigma != 0

    @property
    def flat(self) -> bool:
        """Whether every row is constant."""
        return self.sigma == 0 or self.shape[-1] == 1

    def make(self, seed: int = 0) -> Inputs:
        """Draw the tensors of this case: the same ones for the same seed."""
        # An integer from the name, so that adding a case leaves the others as they were.
        generator = torch.Generator().manual_seed(seed * 1_000_003 + sum(self.name.encode()))

        def randn(shape: tuple[int, ...]) -> Tensor:
            return torch.randn(shape, generator=generator, dtype=torch.float64)

        x = (self.mean + self.sigma * randn(self.shape)).to(self.dtype)
        if self.transposed:
            x = x.mT.contiguous().mT
        dtype = torch.float32 if self.float32_parameters else self.dtype
        weight, bias = (randn(self.normalized_shape).to(dtype) for _ in range(2))
        return Inputs(
            x=x,
            normalized_shape=self.normalized_shape,
            weight=weight if self.weight else None,
            bias=bias if self.bias else None,
            eps=self.eps,
            grad_y=randn(self.shape).to(self.dtype),
        )


F64, F16, BF16 = torch.float64, *HALF
CASES = (
    Case("2×3×4", (2, 3, 4)),
    Case("2×3×4, eps 0.5", (2, 3, 4), eps=0.5),
    Case("n = 1", (3, 1)),
    Case("n = 2, eps 0.5", (5, 2), eps=0.5),
    Case("n = 3, eps 0.1", (7, 3), eps=0.1),
    Case("n = 4, eps 0.5", (6, 4), eps=0.5),
    Case("n = 768, 8 rows", (8, 768)),
    Case("n = 768, eps 0.5", (8, 768), eps=0.5),
    Case("empty batch", (0, 5)),
    Case("two axes", (2, 3, 4, 5), axes=2, eps=0.5),
    Case("all axes", (3, 4, 5), axes=3),
    Case("not contiguous", (6, 5, 7), eps=0.1, transposed=True),
    Case("mean 100", (8, 768), mean=100.0),
    Case("mean 2000", (8, 768), mean=2000.0),
    Case("tiny variance", (5, 64), sigma=3e-3),
    Case("constant rows", (3, 8), mean=3.0, sigma=0.0),
    Case("weight alone", (5, 6), bias=False, eps=0.1),
    Case("bias alone", (5, 6), weight=False, eps=0.1),
    Case("neither", (5, 6), weight=False, bias=False, eps=0.1),
    Case("float64 2×3×4", (2, 3, 4), dtype=F64),
    Case("float64, eps 0.5", (4, 16), dtype=F64, eps=0.5),
    Case("float64, mean 2000", (8, 768), dtype=F64, mean=2000.0),
    Case("float16", (8, 768), dtype=F16),
    Case("float16, mean 100", (8, 768), dtype=F16, mean=100.0),
    Case("float16, sigma 1000", (8, 768), dtype=F16, sigma=1000.0),
    Case("float16, eps 1e-8", (3, 8), dtype=F16, eps=1e-8, mean=3.0, sigma=0.0),
    Case("bfloat16", (8, 768), dtype=BF16),
    Case("bfloat16, mean 100", (8, 768), dtype=BF16, mean=100.0),
)
MIXED = (
    Case("float16, float32 parameters", (8, 768), dtype=F16, float32_parameters=True),
    Case("bfloat16, float32 parameters", (8, 768), dtype=BF16, float32_parameters=True),
)
"""Half-precision x beside float32 parameters: PyTorch allows it, and not every right layer does."""


def lent_to(dtype: torch.dtype) -> list[Case]:
    """Return the float32 cases in another dtype, for a judge that is not asked about float32.

    Asked for float16 alone it would be blind to n = 3 and to two axes; what half precision cannot
    hold is left out: a spread of 3e-3 beside its own unit, gradients at n = 2 that are all but 0.
    """
    lent = [c for c in CASES if c.dtype is torch.float32 and c.mean in (0.0, 3.0)]
    suits_half = [c for c in lent if (c.eps >= 0.1 and c.shape[-1] > 2) or 0 in c.shape]
    lent = suits_half if dtype in HALF else lent
    return [replace(c, name=f"{name_of(dtype)}, {c.name}", dtype=dtype) for c in lent]


def cases_for(adapted: AdaptedCandidate, dtypes: Iterable[str], against: str) -> list[Case]:
    """Return the cases that a candidate can take in these dtypes, in the form in which it does."""
    asked = [DTYPES[name] for name in dtypes]
    if adapted.kind == "NumPy function":
        asked = [dtype for dtype in asked if dtype is not torch.bfloat16]  # NumPy has none
    cases = [case for case in CASES if case.dtype in asked]
    if torch.float32 not in asked:
        cases += [case for dtype in asked for case in lent_to(dtype)]
    if adapted.float32_parameters:
        cases = [replace(c, float32_parameters=True) for c in cases]
    elif adapted.kind != "NumPy function" and (adapted.weight or adapted.bias):
        cases += [case for case in MIXED if case.dtype in asked]
    cases = [c for c in cases if adapted.optional or (c.weight and c.bias)]
    cases = [c for c in cases if c.axes == 1 or not (adapted.one_axis or adapted.rank)]
    if against == "rms_norm":  # what a constant row is to LayerNorm, a row of zeros is to it
        cases = [replace(c, mean=0.0) if c.sigma == 0 else c for c in cases]
    if not adapted.eps:
        cases = [_at_default_eps(c, DEFAULT_EPS[against]) for c in cases]
    weight, bias = adapted.weight, adapted.bias
    cases = [of_rank(c, adapted.rank) for c in cases]
    return [replace(c, weight=c.weight and weight, bias=c.bias and bias) for c in cases]


def _at_default_eps(case: Case, eps: float) -> Case:
    """Return the case with an x so small that PyTorch's eps is felt, where eps made its point."""
    if case.eps == 1e-5 or case.sigma != 1.0:
        return replace(case, eps=eps)
    sigma = float(f"{eps**0.5:.0e}")
    name = f"{case.name.partition(', eps')[0]}, σ {sigma:g}"
    return replace(case, name=name, eps=eps, sigma=sigma)


def of_rank(case: Case, rank: int | None) -> Case:
    """Return the case with so many axes, of different sizes."""
    if rank is None or rank == len(case.shape):
        return case
    lead = (0, 2, 3) if 0 in case.shape else (5, 2, 3) if case.shape[-1] <= 50 else (2, 1, 3)
    return replace(case, shape=(*lead[: rank - 1], case.shape[-1]))


def expected_float64(inputs: Inputs, against: str = "layer_norm") -> dict[str, Tensor | None]:
    """Return the four right results in float64, as exact as float64 allows.

    The mean is taken twice: what the first mean leaves behind by rounding, the second takes away.
    So the result is good to a few units in the last place at any offset, and PyTorch's own
    float64 kernel can be measured against it too.

    Args:
        inputs: the tensors of one case, of any floating dtype.
        against: "layer_norm", or "rms_norm", where no mean is subtracted.

    Returns:
        dict with y, grad_x, grad_weight and grad_bias (the last two None where there is no such
        parameter), all float64.

    Source: Ba, Kiros and Hinton (2016); Zhang and Sennrich (2019) for RMSNorm.
    """
    dims, centring = inputs.dims, against == "layer_norm"
    x, grad_y = inputs.x.double(), inputs.grad_y.double()
    weight = 1.0 if inputs.weight is None else inputs.weight.double()
    bias = 0.0 if inputs.bias is None else inputs.bias.double()

    centred = x
    for _ in range(2 if centring else 0):
        centred = centred - centred.mean(dims, keepdim=True)
    rstd = 1 / torch.sqrt(centred.square().mean(dims, keepdim=True) + inputs.eps)
    x_hat = centred * rstd

    g = grad_y * weight
    mean_g = g.mean(dims, keepdim=True) if centring else 0.0
    mean_g_x_hat = (g * x_hat).mean(dims, keepdim=True)
    return {
        "y": x_hat * weight + bias,
        "grad_x": rstd * (g - mean_g - x_hat * mean_g_x_hat),
        "grad_weight": None if inputs.weight is None else _sum(grad_y * x_hat, inputs.rows),
        "grad_bias": None if inputs.bias is None else _sum(grad_y, inputs.rows),
    }


def pytorch_results(inputs: Inputs, against: str = "layer_norm") -> dict[str, Tensor]:
    """Return what PyTorch's own kernel gives: y and the gradients that there are."""
    names = ("x", "weight", "bias")
    leaves = {k: getattr(inputs, k) for k in names if getattr(inputs, k) is not None}
    if inputs.x.dtype is torch.float64:  # it wants the parameters in float64 too
        leaves = {k: v.double() for k, v in leaves.items()}
    leaves = {k: v.detach().clone().requires_grad_() for k, v in leaves.items()}
    x, weight, bias = leaves["x"], leaves.get("weight"), leaves.get("bias")
    if against == "layer_norm":
        y = F.layer_norm(x, inputs.normalized_shape, weight, bias, inputs.eps)
    else:
        y = F.rms_norm(x, inputs.normalized_shape, weight, inputs.eps)
        y = y if bias is None else y + bias
    grads = gradients(y, list(leaves.values()), inputs.grad_y)
    return {"y": y.detach()} | {f"grad_{k}": g for k, g in zip(leaves, grads, strict=True)}


def tolerance(
    inputs: Inputs,
    expected: dict[str, Tensor | None],
    pytorch_error: dict[str, float],
    against: str = "layer_norm",
    computes_in: torch.dtype | None = None,
) -> dict[str, float]:
    """Return the error that each quantity may show in this case.

    A few times what PyTorch's own kernel shows here (KERNELS), and some units in the last place for
    another order of the same operations (ROUNDINGS). A unit is taken of the largest value of the
    result and, in the precision of the arithmetic, of the largest term on the way to it: a mean is
    rounded at its own size, and a layer that subtracts it once scales that error by rstd, so a mean
    of 2000 costs 2000 units where σ is 1.

    Args:
        inputs: the tensors of the case.
        expected: what `expected_float64` returned for them.
        pytorch_error: PyTorch's largest absolute error for each quantity.
        against: "layer_norm" or "rms_norm".
        computes_in: the precision of the arithmetic, where it is less than PyTorch's.

    Returns:
        dict of the largest absolute error allowed for each quantity that the case has.
    """
    dims = inputs.dims
    x, grad_y = inputs.x.double(), inputs.grad_y.double()
    weight = torch.ones(inputs.normalized_shape) if inputs.weight is None else inputs.weight
    mean = x.mean(dims, keepdim=True) if against == "layer_norm" else 0.0
    var = (x - mean).square().mean(dims, keepdim=True)
    rstd = 1 / torch.sqrt(var + inputs.eps)
    amplification = 1 + x.abs() * rstd  # what a relative error in the mean is multiplied by
    rms_g = (grad_y * weight).square().mean(dims, keepdim=True).sqrt()
    terms = {
        "y": amplification * weight.abs(),
        "grad_x": rstd * rms_g * amplification,
        "grad_weight": _sum(grad_y.abs() * amplification, inputs.rows),
        "grad_bias": _sum(grad_y.abs(), inputs.rows),
    }
    arithmetic = computes_in or torch.promote_types(inputs.x.dtype, torch.float32)
    unit = torch.finfo(arithmetic).eps
    roundings = ROUNDINGS + 4 * math.prod(inputs.normalized_shape) ** 0.5
    rounding = torch.finfo(inputs.x.dtype).eps if inputs.x.dtype in HALF else 0.0
    return {
        name: KERNELS * (pytorch_error[name] + rounding * max_abs(right))
        + roundings * unit * (max_abs(right) + max_abs(terms[name]))
        for name, right in expected.items()
        if right is not None
    }


@dataclass(frozen=True)
class Answer:
    """The right results of one case, PyTorch's largest errors, and the errors allowed."""

    expected: dict[str, Tensor | None]
    pytorch_error: dict[str, float]
    allowed: dict[str, float]


def answer_to(inputs: Inputs, against: str = "layer_norm") -> Answer:
    """Work out what is right for these tensors, and how far off a candidate may be."""
    expected = expected_float64(inputs, against)
    theirs = pytorch_results(inputs, against)
    error = {
        k: max_abs(v.double() - r) for k, v in theirs.items() if (r := expected[k]) is not None
    }
    return Answer(expected, error, tolerance(inputs, expected, error, against))


@lru_cache(maxsize=400)
def made(case: Case, seed: int, against: str) -> tuple[Inputs, Answer]:
    """Return the tensors of one case and the answer to it, which no candidate changes."""
    inputs = case.make(seed)
    return inputs, answer_to(inputs, against)


def name_of(dtype: torch.dtype) -> str:
    """Return the bare name: torch.float32 gives "float32"."""
    return str(dtype).removeprefix("torch.")


def max_abs(tensor: Tensor) -> float:
    """Return the largest absolute value as a float; 0 for an empty tensor."""
    return float(tensor.abs().max()) if tensor.numel() else 0.0


def _sum(tensor: Tensor, dims: tuple[int, ...]) -> Tensor:
    """Sum over `dims`; over no axis at all, unlike torch.sum, nothing is summed."""
    return tensor.sum(dims) if dims else tensor
