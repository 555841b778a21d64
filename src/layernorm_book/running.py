"""Runs a candidate on one input, forward and backward, and looks at what it changed."""

from dataclasses import dataclass, field

import numpy as np
import torch

from layernorm_book.cases import QUANTITIES


@dataclass
class Outcome:
    """What came of one call: the results by name, what was changed in place, what was raised."""

    results: dict = field(default_factory=dict)
    mutated: tuple = ()
    error: Exception | None = None  # where the forward worked, this is the backward's


class Layout:
    """Hands x over with the normalized axis last, or, for channels first, as axis 1."""

    def __init__(self, channels_last):
        self.channels_last = channels_last

    def hand(self, x):
        """Return x as the candidate takes it."""
        return x if self.channels_last else x.movedim(-1, 1).contiguous()

    def take(self, y):
        """Return y as the cases have it."""
        first = not self.channels_last and isinstance(y, torch.Tensor) and y.ndim > 1
        return y.movedim(1, -1) if first else y


def run_torch(call, inputs, leaves, layout, backward):
    """Run forward and, where the output carries a graph, backward.

    The candidate sees tensors computed from the leaves, and not the leaves: so one that works in
    place is not stopped by autograd, and what it changed can be seen.
    """
    wants_grad = backward is not False
    x = inputs.x.detach().clone().requires_grad_(wants_grad)
    handed_x = layout.hand(x.clone())
    sources, handed = {"x": x}, {"x": handed_x}
    for name, leaf in leaves.items():
        if leaf is None:
            handed[name] = None
        elif isinstance(leaf, torch.nn.Parameter):
            sources[name] = handed[name] = leaf.requires_grad_(wants_grad)
        else:
            sources[name] = leaf.detach().clone().requires_grad_(wants_grad)
            handed[name] = sources[name].clone()
    before = {name: t.detach().clone() for name, t in handed.items() if t is not None}
    y = call(handed_x, handed)
    mutated = tuple(name for name, t in before.items() if not _same(t, handed[name]))
    if is_array(y):
        y = torch.from_numpy(np.array(y))
    y = layout.take(y)
    outcome = Outcome({"y": y}, mutated)
    fits = isinstance(y, torch.Tensor) and y.shape == inputs.x.shape
    if not wants_grad or not fits:
        return outcome
    if not y.requires_grad:
        if backward:
            outcome.error = RuntimeError(
                "the output carries no graph, so there are no gradients to check"
            )
        return outcome
    try:
        grads = torch.autograd.grad(
            y, list(sources.values()), inputs.grad_y.to(y.dtype), allow_unused=True
        )
    except Exception as error:
        outcome.error = error
        return outcome
    for (name, source), grad in zip(sources.items(), grads, strict=True):
        grad = torch.zeros_like(source) if grad is None else grad
        shape = inputs.x.shape if name == "x" else inputs.normalized_shape
        outcome.results[f"grad_{name}"] = grad.reshape(shape)
    return outcome


def run_numpy(function, inputs, backward, layout):
    """Run forward and, where there is a `backward`, that too; the Outcome holds tensors."""

    def array(tensor):
        return None if tensor is None else tensor.detach().clone().numpy()

    x, weight, bias = (array(t) for t in (layout.hand(inputs.x), inputs.weight, inputs.bias))
    handed = {"x": x, "weight": weight, "bias": bias}
    before = {name: a.copy() for name, a in handed.items() if a is not None}
    y = function(x, inputs, weight, bias)
    mutated = tuple(
        name for name, a in before.items() if not np.array_equal(a, handed[name], equal_nan=True)
    )
    outcome = Outcome({"y": _tensor(y, layout)}, mutated)
    if backward is not None:
        grad_y, fresh_x = array(layout.hand(inputs.grad_y)), array(layout.hand(inputs.x))
        untouched = grad_y.copy()
        try:
            grads = backward(
                grad_y, fresh_x, inputs.normalized_shape, array(inputs.weight), inputs.eps
            )
        except Exception as error:
            outcome.error = error
            return outcome
        if not np.array_equal(grad_y, untouched, equal_nan=True):
            outcome.mutated += ("grad_y",)
        present = (True, inputs.weight is not None, inputs.bias is not None)
        for name, grad, there in zip(QUANTITIES[1:], grads, present, strict=True):
            if there:
                outcome.results[name] = _tensor(grad, layout if name == "grad_x" else _LAST)
    return outcome


_LAST = Layout(channels_last=True)


def _tensor(array, layout):
    """Return an array as a tensor of our layout; what is no array is left as it is."""
    return layout.take(torch.from_numpy(np.array(array))) if is_array(array) else array


def _same(before, after):
    return before.shape == after.shape and torch.equal(
        before.nan_to_num(), after.detach().nan_to_num()
    )


def is_array(y):
    """Tell an array of NumPy, or of a library that offers NumPy its arrays."""
    return not isinstance(y, torch.Tensor) and (
        isinstance(y, (np.ndarray, np.generic)) or hasattr(y, "__array__")
    )
