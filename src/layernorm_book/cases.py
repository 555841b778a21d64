"""The inputs of the parity check, the true answer to each, and the error that it allows.

A case earns its place by telling a wrong layer from a right one: a large eps shows where eps
stands, a small n shows the n − 1, a large mean shows a one-pass variance, more channels than rows
shows a wrong axis, a constant row shows a gradient that divides by zero.
"""

from dataclasses import dataclass, field
from functools import lru_cache

import torch

QUANTITIES = ("y", "grad_x", "grad_weight", "grad_bias")


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

    @property
    def normalized_shape(self):
        """The trailing sizes that share their statistics."""
        return self.shape[-self.axes :]

    def make(self, seed=0):
        """Draw the tensors of this case: the same ones for the same seed."""
        # Integers from the name, so that adding a case leaves the others as they were.
        generator = torch.Generator().manual_seed(seed * 1_000_003 + sum(self.name.encode()))

        def randn(shape):
            return torch.randn(shape, generator=generator, dtype=torch.float64)

        x = (self.mean + self.sigma * randn(self.shape)).to(self.dtype)
        if self.transposed:
            x = x.mT.contiguous().mT
        weight, bias = (randn(self.normalized_shape).to(self.dtype) for _ in range(2))
        return Inputs(
            x=x,
            normalized_shape=self.normalized_shape,
            weight=weight if self.weight else None,
            bias=bias if self.bias else None,
            eps=self.eps,
            grad_y=randn(self.shape).to(self.dtype),
        )


@dataclass(frozen=True)
class Inputs:
    """The tensors of one case, as `torch.nn.functional.layer_norm` takes them, and grad_y."""

    x: torch.Tensor
    normalized_shape: tuple[int, ...]
    weight: torch.Tensor | None
    bias: torch.Tensor | None
    eps: float
    grad_y: torch.Tensor = field(repr=False)

    def clone(self):
        """Return a copy that a candidate may do with as it likes; strides are kept."""
        tensors = {k: getattr(self, k) for k in ("x", "weight", "bias", "grad_y")}
        copies = {k: None if v is None else v.clone() for k, v in tensors.items()}
        return Inputs(normalized_shape=self.normalized_shape, eps=self.eps, **copies)


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
    Case("float64 2×3×4", (2, 3, 4), dtype=torch.float64),
    Case("float64, eps 0.5", (4, 16), dtype=torch.float64, eps=0.5),
    Case("float64, mean 2000", (8, 768), dtype=torch.float64, mean=2000.0),
    Case("float16", (8, 768), dtype=torch.float16),
    Case("float16, mean 100", (8, 768), dtype=torch.float16, mean=100.0),
    Case("float16, sigma 1000", (8, 768), dtype=torch.float16, sigma=1000.0),
    Case("float16, eps 1e-8", (3, 8), dtype=torch.float16, eps=1e-8, mean=3.0, sigma=0.0),
    Case("bfloat16", (8, 768), dtype=torch.bfloat16),
    Case("bfloat16, mean 100", (8, 768), dtype=torch.bfloat16, mean=100.0),
)


def truth(inputs):
    """Return the four results of layer normalization in float64, as exact as float64 allows.

    The mean is taken twice: what the first mean leaves behind by rounding, the second takes away.
    So the result is good to a few units in the last place at any offset, and PyTorch's own
    float64 kernel can be measured against it too.

    Args:
        inputs: the tensors of one case, of any floating dtype.

    Returns:
        dict with y, grad_x, grad_weight and grad_bias (the last two None where there is no such
        parameter), all float64.
    """
    dims, rows = _axes(inputs)
    x, grad_y = inputs.x.double(), inputs.grad_y.double()
    weight = 1.0 if inputs.weight is None else inputs.weight.double()
    bias = 0.0 if inputs.bias is None else inputs.bias.double()

    centred = x - x.mean(dims, keepdim=True)
    centred = centred - centred.mean(dims, keepdim=True)
    rstd = 1 / torch.sqrt(centred.square().mean(dims, keepdim=True) + inputs.eps)
    x_hat = centred * rstd

    g = grad_y * weight
    mean_g = g.mean(dims, keepdim=True)
    mean_g_x_hat = (g * x_hat).mean(dims, keepdim=True)
    return {
        "y": x_hat * weight + bias,
        "grad_x": rstd * (g - mean_g - x_hat * mean_g_x_hat),
        "grad_weight": None if inputs.weight is None else _sum(grad_y * x_hat, rows),
        "grad_bias": None if inputs.bias is None else _sum(grad_y, rows),
    }


def pytorch_results(inputs):
    """Return what PyTorch's own kernel gives, as a dict of y and the gradients that there are."""
    names = ("x", "weight", "bias")
    leaves = {k: getattr(inputs, k) for k in names if getattr(inputs, k) is not None}
    leaves = {k: v.detach().clone().requires_grad_() for k, v in leaves.items()}
    y = torch.nn.functional.layer_norm(
        leaves["x"],
        inputs.normalized_shape,
        leaves.get("weight"),
        leaves.get("bias"),
        inputs.eps,
    )
    grads = torch.autograd.grad(y, list(leaves.values()), inputs.grad_y)
    return {"y": y.detach()} | {f"grad_{k}": g for k, g in zip(leaves, grads, strict=True)}


def allowance(inputs, true, pytorch_error):
    """Return the error that each quantity may show in this case.

    Four times what PyTorch's own kernel shows here, and a few units in the last place for a
    different order of the same operations. A unit is taken of the largest value of the result and,
    in the precision of the arithmetic, of the largest term on the way to it: centring subtracts
    numbers of size |x| and scales the difference by rstd, so a mean of 2000 costs 2000 units.

    Args:
        inputs: the tensors of the case.
        true: what `truth` returned for them.
        pytorch_error: dict of PyTorch's largest absolute error for each quantity.

    Returns:
        dict of the largest absolute error allowed for each quantity that the case has.
    """
    dims, rows = _axes(inputs)
    x, grad_y = inputs.x.double(), inputs.grad_y.double()
    weight = torch.ones(inputs.normalized_shape) if inputs.weight is None else inputs.weight
    g = grad_y * weight
    var = (x - x.mean(dims, keepdim=True)).square().mean(dims, keepdim=True)
    rstd = 1 / torch.sqrt(var + inputs.eps)
    lever = 1 + x.abs() * rstd  # what a relative error in the mean is multiplied by
    rms_g = g.square().mean(dims, keepdim=True).sqrt()
    terms = {
        "y": lever * weight.abs(),
        "grad_x": rstd * rms_g * lever,
        "grad_weight": _sum(grad_y.abs() * lever, rows),
        "grad_bias": _sum(grad_y.abs(), rows),
    }
    half = inputs.x.dtype in (torch.float16, torch.bfloat16)
    unit = torch.finfo(torch.float32 if half else inputs.x.dtype).eps
    rounding = torch.finfo(inputs.x.dtype).eps if half else 0.0
    return {
        name: 4 * pytorch_error[name]
        + 4 * rounding * largest(true[name])
        + 16 * unit * (largest(true[name]) + largest(terms[name]))
        for name in QUANTITIES
        if true[name] is not None
    }


def reference(inputs):
    """Return (true, own, allowed): the truth, PyTorch's largest errors, and the errors allowed."""
    true = truth(inputs)
    own = {k: largest(v.double() - true[k]) for k, v in pytorch_results(inputs).items()}
    return true, own, allowance(inputs, true, own)


@lru_cache(maxsize=400)
def reference_of(case, seed):
    """Return (inputs, true, own, allowed) of one case, which no candidate changes."""
    inputs = case.make(seed)
    return inputs, *reference(inputs)


def largest(tensor):
    """Return the largest absolute value as a float; 0 for an empty tensor."""
    return tensor.abs().max().item() if tensor.numel() else 0.0


def _axes(inputs):
    """Return the normalized axes and the leading ones, as dims for torch."""
    k = len(inputs.normalized_shape)
    return tuple(range(-k, 0)), tuple(range(inputs.x.ndim - k))


def _sum(tensor, dims):
    """Sum over `dims`; over no axis at all, unlike torch.sum, nothing is summed."""
    return tensor.sum(dims) if dims else tensor
