"""How the parity check calls what it is given: a module class, a torch function, a NumPy one.

Each adapter turns a candidate into a function from the tensors of a case to its results, a dict
of y, grad_x, grad_weight and grad_bias. Results that the candidate cannot give are left out.
"""

from dataclasses import replace

import numpy as np
import torch

from layernorm_book.cases import CASES

SCALE_NAMES = ("weight", "gamma", "a_2", "scale", "g", "gain", "w", "alpha")
SHIFT_NAMES = ("bias", "beta", "b_2", "shift", "b", "offset")


def adapt(candidate, backward=None):
    """Return (kind, cases, run): what the candidate is, the cases it gets, how to run it on one.

    Args:
        candidate: a torch.nn.Module class or factory, called as candidate(normalized_shape,
            eps=eps), or a function with the signature of `torch.nn.functional.layer_norm` on torch
            tensors or NumPy arrays.
        backward: None to take gradients where the candidate has them, True to insist, False to
            leave them out, or a function with the signature of `layer_norm_backward` that gives
            them for a NumPy candidate.

    Returns:
        kind: "module", "torch function" or "NumPy function".
        cases: those of `CASES` that this kind can take.
        run: a function from the Inputs of a case to a dict of results.

    Raises:
        TypeError: the candidate is a module instance, or cannot be called at all.
    """
    if isinstance(candidate, torch.nn.Module):
        raise TypeError(
            "check_parity makes its own layers, of many shapes: pass the class "
            f"{type(candidate).__name__}, or a function of (normalized_shape, eps)."
        )
    if not callable(candidate):
        raise TypeError(
            "check_parity takes a torch.nn.Module class, a factory of modules, or a function like "
            f"torch.nn.functional.layer_norm, got {candidate!r}."
        )
    if callable(backward) or (not _makes_modules(candidate) and _takes_numpy(candidate)):
        gradients = backward if callable(backward) else None
        cases = [case for case in CASES if case.dtype is not torch.bfloat16]  # NumPy has none
        return "NumPy function", cases, lambda inputs: _run_numpy(candidate, inputs, gradients)
    if _makes_modules(candidate):
        weight, bias = _has_parameters(candidate)
        both = [case for case in CASES if case.weight and case.bias]
        cases = [replace(case, weight=weight, bias=bias) for case in both]
        return "module", cases, lambda inputs: _run_module(candidate, inputs, backward)
    return "torch function", list(CASES), lambda inputs: _run_function(candidate, inputs, backward)


def _makes_modules(candidate):
    if isinstance(candidate, type):
        return issubclass(candidate, torch.nn.Module)
    try:
        return isinstance(candidate((4,), eps=1e-5), torch.nn.Module)
    except Exception:  # a function of tensors refuses this call in a way of its own
        return False


def _has_parameters(candidate):
    """Return whether the module has a scale, and whether it has a shift."""
    try:
        return tuple(p is not None for p in find_parameters(candidate((4,), eps=1e-5)))
    except Exception:  # it raises again in every case, where it is reported
        return True, True


def _takes_numpy(candidate):
    """Tell a NumPy function by its answer to arrays; one that raises is judged as torch."""
    x = np.arange(8.0).reshape(2, 4)
    try:
        return isinstance(candidate(x, (4,), np.ones(4), np.zeros(4), 1e-5), np.ndarray)
    except Exception:
        return False


def _run_module(candidate, inputs, backward):
    module = candidate(inputs.normalized_shape, eps=inputs.eps).to(inputs.x.dtype)
    parameters = find_parameters(module)
    for parameter, value in zip(parameters, (inputs.weight, inputs.bias), strict=True):
        if parameter is not None:
            with torch.no_grad():
                parameter.copy_(value.reshape(parameter.shape))
    return _run_torch(module, inputs, parameters, backward)


def _run_function(candidate, inputs, backward):
    weight, bias = (
        None if p is None else p.requires_grad_(backward is not False)
        for p in (inputs.weight, inputs.bias)
    )

    def call(x):
        return candidate(x, inputs.normalized_shape, weight, bias, inputs.eps)

    return _run_torch(call, inputs, (weight, bias), backward)


def _run_torch(call, inputs, parameters, backward):
    """Run forward and, where the output carries a graph, backward."""
    x = inputs.x.requires_grad_(backward is not False)
    handed = x.clone() if x.requires_grad else x  # autograd forbids to change a leaf in place
    y = call(handed)
    with torch.no_grad():
        x.copy_(handed)  # where the caller looks for what was changed
    results = {"y": y}
    if backward is False or (isinstance(y, torch.Tensor) and y.shape != x.shape):
        return results
    if not (isinstance(y, torch.Tensor) and y.requires_grad):
        if backward:
            raise RuntimeError("the output carries no graph, so there are no gradients to check")
        return results
    wanted = [p for p in (x, *parameters) if p is not None]
    grads = torch.autograd.grad(y, wanted, inputs.grad_y, allow_unused=True)
    for name, source in zip(("grad_x", "grad_weight", "grad_bias"), (x, *parameters), strict=True):
        if source is not None:
            grad = grads[next(i for i, p in enumerate(wanted) if p is source)]
            grad = torch.zeros_like(source) if grad is None else grad
            results[name] = grad if source is x else grad.reshape(inputs.normalized_shape)
    return results


def _run_numpy(candidate, inputs, backward):
    x, weight, bias, grad_y = (
        None if t is None else t.detach().numpy()
        for t in (inputs.x, inputs.weight, inputs.bias, inputs.grad_y)
    )
    results = {"y": candidate(x, inputs.normalized_shape, weight, bias, inputs.eps)}
    if backward is not None:
        grads = backward(grad_y, x, inputs.normalized_shape, weight, inputs.eps)
        names = ("grad_x", "grad_weight", "grad_bias")
        present = (True, weight is not None, bias is not None)
        results |= {k: v for k, v, there in zip(names, grads, present, strict=True) if there}
    return {k: torch.from_numpy(v) if isinstance(v, np.ndarray) else v for k, v in results.items()}


def find_parameters(module):
    """Return the scale and the shift of a module, each a Parameter or None.

    Args:
        module: a layer with at most one scale and one shift, by whichever of the usual names.

    Returns:
        (scale, shift), found by name.

    Raises:
        ValueError: there are parameters besides, so that it is unclear which ones scale and shift.
    """
    parameters = {name.rpartition(".")[2].lower(): p for name, p in module.named_parameters()}
    scale = next((parameters.pop(name) for name in SCALE_NAMES if name in parameters), None)
    shift = next((parameters.pop(name) for name in SHIFT_NAMES if name in parameters), None)
    if parameters:
        raise ValueError(
            f"cannot tell what the parameter {next(iter(parameters))!r} does. The scale may be "
            f"called {', '.join(SCALE_NAMES)}; the shift {', '.join(SHIFT_NAMES)}."
        )
    return scale, shift
