"""What "agrees with PyTorch" means in these tests: within the allowance of the book's own judge."""

import numpy as np
import torch
import torch.nn.functional as F

from layernorm_book import LayerNorm, layer_norm, layer_norm_backward
from layernorm_book.cases import Inputs, allowance, largest, truth

NAMES = ("y", "grad_x", "grad_weight", "grad_bias")


def inputs_of(x, normalized_shape, weight=None, bias=None, eps=1e-5, seed=0):
    """Gather the tensors of one case, without their graphs, and draw an upstream gradient."""
    generator = torch.Generator().manual_seed(seed)
    grad_y = torch.randn(x.shape, generator=generator, dtype=torch.float64).to(x.dtype)
    x, weight, bias = (None if t is None else t.detach() for t in (x, weight, bias))
    return Inputs(x, tuple(normalized_shape), weight, bias, eps, grad_y)


def of_pytorch(inputs):
    """Run `torch.nn.functional.layer_norm`, forward and backward."""
    x, weight, bias = (_leaf(t) for t in (inputs.x, inputs.weight, inputs.bias))
    y = F.layer_norm(x, inputs.normalized_shape, weight, bias, inputs.eps)
    return _with_gradients(y, x, weight, bias, inputs.grad_y)


def of_module(inputs):
    """Run the module, holding the weight and bias of `inputs`, forward and backward."""
    layer = make_layer(inputs.normalized_shape, inputs.weight, inputs.bias, inputs.eps)
    x = _leaf(inputs.x)
    return _with_gradients(layer(x), x, layer.weight, layer.bias, inputs.grad_y)


def make_layer(normalized_shape, weight=None, bias=None, eps=1e-5, layer_class=LayerNorm):
    """Make a layer that holds just these parameters, whatever their shapes and dtypes."""
    layer = layer_class(normalized_shape, eps)
    layer.weight, layer.bias = (
        None if p is None else torch.nn.Parameter(p.detach().clone()) for p in (weight, bias)
    )
    return layer


def of_numpy(inputs):
    """Run the NumPy reference, forward and backward.

    NumPy has no bfloat16. Such inputs are widened, which changes no number, and the results are
    rounded once, at the end: what the reference itself does with float16.
    """
    x, weight, bias, grad_y = (
        None if t is None else (t.float() if t.dtype is torch.bfloat16 else t).numpy()
        for t in (inputs.x, inputs.weight, inputs.bias, inputs.grad_y)
    )
    y = layer_norm(x, inputs.normalized_shape, weight, bias, inputs.eps)
    grads = layer_norm_backward(grad_y, x, inputs.normalized_shape, weight, inputs.eps)
    results = {}
    like = (inputs.x, inputs.x, inputs.weight, inputs.bias)
    for name, result, tensor in zip(NAMES, (y, *grads), like, strict=True):
        if tensor is not None:
            result = torch.from_numpy(np.asarray(result))
            half = inputs.x.dtype is torch.bfloat16
            results[name] = result.to(tensor.dtype) if half else result
    return results


def assert_agrees(results, inputs):
    """Hold every result against the truth: its error within what the judge allows."""
    true, own = truth(inputs), of_pytorch(inputs)
    errors = {k: largest(t.double() - true[k]) for k, t in own.items()}
    allowed = allowance(inputs, true, errors)
    for name, result in results.items():
        assert result.shape == own[name].shape, name
        assert result.dtype == own[name].dtype, name
        error = largest(result.double() - true[name])
        assert error <= allowed[name], f"{name}: error {error}, allowed {allowed[name]}"


def _leaf(tensor):
    # Not cloned: a clone of an expanded or sliced tensor is contiguous.
    return None if tensor is None else tensor.detach().requires_grad_()


def _with_gradients(y, x, weight, bias, grad_y):
    named = dict(zip(NAMES[1:], (x, weight, bias), strict=True))
    present = {k: t for k, t in named.items() if t is not None}
    grads = torch.autograd.grad(y, list(present.values()), grad_y)
    return {"y": y.detach(), **dict(zip(present, grads, strict=True))}
