"""What "agrees with PyTorch" means in these tests: within the tolerance of the book's own judge."""

from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F

import layernorm_book as book
from layernorm_book.calling.call import Inputs
from layernorm_book.parity.cases import expected_float64, max_abs, tolerance

NAMES = ("y", "grad_x", "grad_weight", "grad_bias")
FORWARD = {"layer_norm": book.layer_norm, "rms_norm": book.rms_norm}
BACKWARD = {"layer_norm": book.layer_norm_backward, "rms_norm": book.rms_norm_backward}
HALF = (torch.float16, torch.bfloat16)
FLOATS = (torch.float64, torch.float32, *HALF)


def inputs_of(x, normalized_shape, weight=None, bias=None, eps=1e-5, seed=0):
    """Gather the tensors of one case, without their graphs, and draw an upstream gradient."""
    generator = torch.Generator().manual_seed(seed)
    grad_y = torch.randn(x.shape, generator=generator, dtype=torch.float64).to(x.dtype)
    x, weight, bias = (None if t is None else t.detach() for t in (x, weight, bias))
    return Inputs(x, tuple(normalized_shape), weight, bias, eps, grad_y)


def of_pytorch(inputs, norm):
    """Run PyTorch's own function, forward and backward."""
    # Not cloned: a clone of an expanded or sliced tensor is contiguous.
    x, weight, bias = (
        None if t is None else t.detach().requires_grad_()
        for t in (inputs.x, inputs.weight, inputs.bias)
    )
    eps = None if inputs.eps is None else float(inputs.eps)
    parameters = (weight, bias) if norm == "layer_norm" else (weight,)
    y = getattr(F, norm)(x, inputs.normalized_shape, *parameters, eps)
    return _with_gradients(y, x, weight, bias, inputs.grad_y)


def of_layer(inputs):
    """Run the module, holding the weight and bias of `inputs`, forward and backward."""
    layer = make_layer(inputs.normalized_shape, inputs.weight, inputs.bias, inputs.eps)
    x = inputs.x.detach().requires_grad_()
    return _with_gradients(layer(x), x, layer.weight, layer.bias, inputs.grad_y)


def make_layer(normalized_shape, weight=None, bias=None, eps=1e-5, layer_class=book.LayerNorm):
    """Make a layer that holds just these parameters, whatever their shapes and dtypes."""
    layer = layer_class(normalized_shape, eps)
    layer.weight, layer.bias = (
        None if p is None else torch.nn.Parameter(p.detach().clone()) for p in (weight, bias)
    )
    return layer


def of_numpy(inputs, norm):
    """Run the NumPy reference, forward and backward.

    NumPy has no bfloat16. Such inputs are widened, which changes no number, and the results are
    rounded once, at the end: what the reference itself does with float16.
    """
    x, weight, bias, grad_y = (
        None if t is None else (t.float() if t.dtype is torch.bfloat16 else t).numpy()
        for t in (inputs.x, inputs.weight, inputs.bias, inputs.grad_y)
    )
    parameters = (weight, bias) if norm == "layer_norm" else (weight,)
    y = FORWARD[norm](x, inputs.normalized_shape, *parameters, inputs.eps)
    grads = BACKWARD[norm](grad_y, x, inputs.normalized_shape, weight, inputs.eps)
    results = {}
    like = (inputs.x, inputs.x, inputs.weight, inputs.bias)
    for name, result, tensor in zip(NAMES, (y, *grads), like, strict=False):
        if tensor is not None:
            result = torch.from_numpy(np.asarray(result))
            half = torch.bfloat16 in (inputs.x.dtype, tensor.dtype)
            results[name] = result.to(tensor.dtype) if half else result
    return results


def assert_agrees(inputs, norm):
    """Hold what the package makes of it against float64: every error within the tolerance."""
    answers = [of_numpy(inputs, norm), *([of_layer(inputs)] if norm == "layer_norm" else [])]
    theirs = of_pytorch(inputs, norm)
    wide = torch.promote_types(inputs.x.dtype, torch.float32)
    eps = torch.finfo(wide).eps if inputs.eps is None else float(inputs.eps)
    exact = replace(inputs, eps=eps)
    expected = expected_float64(exact, norm)
    errors = {k: max_abs(t.double() - expected[k]) for k, t in theirs.items()}
    allowed = tolerance(exact, expected, errors, norm)
    for answer in answers:
        for name, result in answer.items():
            assert result.shape == theirs[name].shape, name
            assert result.dtype == theirs[name].dtype, name
            error = max_abs(result.double() - expected[name])
            assert error <= allowed[name], f"{name}: error {error}, allowed {allowed[name]}"


def assert_both_agree(inputs):
    """Ask for both norms, of which one takes no bias."""
    assert_agrees(inputs, "layer_norm")
    assert_agrees(replace(inputs, bias=None), "rms_norm")


def _with_gradients(y, x, weight, bias, grad_y):
    named = dict(zip(NAMES[1:], (x, weight, bias), strict=True))
    present = {k: t for k, t in named.items() if t is not None}
    grads = torch.autograd.grad(y, list(present.values()), grad_y)
    return {"y": y.detach(), **dict(zip(present, grads, strict=True))}
