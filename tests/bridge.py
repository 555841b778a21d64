"""The judge's right answers and tolerances, for layer norm and RMSNorm.

`layernorm_book.parity.cases` offers all four names; then this file goes.
"""

import torch

from layernorm_book.cases import Inputs, allowance, truth
from layernorm_book.cases import largest as max_abs

__all__ = ["Inputs", "expected_float64", "max_abs", "tolerance"]


def expected_float64(inputs, against):
    if against == "layer_norm":
        return truth(inputs)
    dims, rows, x, g, _, rstd = _terms(inputs)
    x_hat = x * rstd
    grad_weight = (inputs.grad_y.double() * x_hat).sum(rows) if rows else inputs.grad_y * x_hat
    return {
        "y": x_hat * _weight(inputs),
        "grad_x": rstd * (g - x_hat * (g * x_hat).mean(dims, keepdim=True)),
        "grad_weight": None if inputs.weight is None else grad_weight,
        "grad_bias": None,
    }


def tolerance(inputs, expected, pytorch_error, against):
    if against == "layer_norm":
        return allowance(inputs, expected, pytorch_error)
    dims, rows, x, g, grad_y, rstd = _terms(inputs)
    lever = 1 + x.abs() * rstd
    terms = {
        "y": lever * _weight(inputs).abs(),
        "grad_x": rstd * g.square().mean(dims, keepdim=True).sqrt() * lever,
        "grad_weight": (grad_y.abs() * lever).sum(rows) if rows else grad_y.abs() * lever,
    }
    unit = torch.finfo(torch.promote_types(inputs.x.dtype, torch.float32)).eps
    rounding = torch.finfo(inputs.x.dtype).eps if inputs.x.dtype.itemsize == 2 else 0.0
    return {
        name: 4 * (pytorch_error[name] + rounding * max_abs(right))
        + 16 * unit * (max_abs(right) + max_abs(terms[name]))
        for name, right in expected.items()
        if right is not None
    }


def _weight(inputs):
    shape = inputs.normalized_shape
    return (torch.ones(shape) if inputs.weight is None else inputs.weight).double()


def _terms(inputs):
    n = len(inputs.normalized_shape)
    dims, rows = tuple(range(-n, 0)), tuple(range(inputs.x.ndim - n))
    x, grad_y = inputs.x.double(), inputs.grad_y.double()
    rstd = 1 / torch.sqrt(x.square().mean(dims, keepdim=True) + inputs.eps)
    return dims, rows, x, grad_y * _weight(inputs), grad_y, rstd
