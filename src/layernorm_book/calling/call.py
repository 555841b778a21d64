"""What is one call of a candidate given, and what comes of it?"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

QUANTITIES = ("y", "grad_x", "grad_weight", "grad_bias")


@dataclass(frozen=True)
class Inputs:
    """The tensors of one case, as `torch.nn.functional.layer_norm` takes them, and grad_y."""

    x: Tensor  # (*, *normalized_shape)
    normalized_shape: tuple[int, ...]
    weight: Tensor | None  # normalized_shape
    bias: Tensor | None  # normalized_shape
    eps: float
    grad_y: Tensor  # the shape and dtype of x

    @property
    def dims(self) -> tuple[int, ...]:
        """The normalized axes."""
        return tuple(range(-len(self.normalized_shape), 0))

    @property
    def rows(self) -> tuple[int, ...]:
        """The leading axes."""
        return tuple(range(self.x.ndim - len(self.normalized_shape)))

    def to(self, dtype: torch.dtype) -> "Inputs":
        """Return the same numbers in another dtype."""
        names = ("x", "weight", "bias", "grad_y")
        tensors = {k: getattr(self, k) for k in names}
        moved: dict[str, Any] = {k: t if t is None else t.to(dtype) for k, t in tensors.items()}
        return replace(self, **moved)


@dataclass
class CallResult:
    """What came of one call."""

    results: dict[str, Tensor] = field(default_factory=dict)  # y, grad_x, ... as far as they came
    others: dict[str, str] = field(default_factory=dict)  # the type of a result that is no array
    mutated: tuple[str, ...] = ()  # what was changed in place
    error: str = ""  # where the forward pass worked, the backward pass's
    hung: bool = False

    @property
    def y(self) -> Tensor | None:
        """The output, where there is one."""
        return self.results.get("y")


@dataclass(frozen=True)
class Layout:
    """Hands x over with the normalized axis last, or, for channels first, as axis 1."""

    channels_last: bool = True

    def to_candidate(self, x: Tensor) -> Tensor:
        """Return x as the candidate takes it."""
        return x if self.channels_last else x.movedim(-1, 1).contiguous()

    def from_candidate(self, y: Tensor) -> Tensor:
        """Return y as the cases have it."""
        return y if self.channels_last or y.ndim < 3 else y.movedim(1, -1)


def gradients(y: Tensor, leaves: list[Tensor], grad_y: Tensor) -> tuple[Tensor, ...]:
    """Return the gradients of the loss whose gradient at y is grad_y; zeros where y has no part.

    Handed to `torch.autograd.grad` itself, grad_y would make it import sympy, for 0.4 s.
    """
    with torch.enable_grad():  # a candidate may have left it off
        loss = (y * grad_y.to(y.dtype)).sum()
    return torch.autograd.grad(loss, leaves, materialize_grads=True)


def run_torch(
    call: Callable[[Tensor, dict[str, Any]], Any],
    inputs: Inputs,
    leaves: dict[str, Tensor | None],
    layout: Layout,
    backward: Any,
) -> CallResult:
    """Run forward and, where the output carries a graph, backward.

    The candidate sees tensors computed from the leaves, and not the leaves: so one that works in
    place is not stopped by autograd, and what it changed can be seen.
    """
    wants_grad = backward is not False
    x = inputs.x.detach().clone().requires_grad_(wants_grad)
    sources: dict[str, Tensor] = {"x": x}
    handed: dict[str, Any] = {"x": layout.to_candidate(x.clone())} | dict.fromkeys(leaves)
    for name, leaf in leaves.items():
        if leaf is not None and leaf is getattr(inputs, name):  # a function's argument
            sources[name] = leaf.detach().clone().requires_grad_(wants_grad)
            handed[name] = sources[name].clone()
        elif leaf is not None:  # a module's own
            sources[name] = handed[name] = leaf.requires_grad_(wants_grad)
    before = {name: handed[name].detach().clone() for name in sources}
    y = call(handed["x"], handed)
    mutated = tuple(name for name, t in before.items() if not _same(t, handed[name].detach()))
    y = torch.from_numpy(np.array(y)) if is_array(y) else y
    if not isinstance(y, Tensor):
        return CallResult(others={"y": type(y).__name__}, mutated=mutated)
    y = layout.from_candidate(y)
    came = CallResult({"y": y.detach()}, mutated=mutated)
    if not wants_grad or y.shape != inputs.x.shape:
        return came
    if not y.requires_grad:
        came.error = "the output carries no graph, so there are no gradients" if backward else ""
        return came
    try:
        grads = gradients(y, list(sources.values()), inputs.grad_y)
    except Exception as error:
        came.error = f"{type(error).__name__}: {error}"
        return came
    for name, grad in zip(sources, grads, strict=True):
        shape = inputs.x.shape if name == "x" else inputs.normalized_shape
        came.results[f"grad_{name}"] = grad.reshape(shape)
    return came


def run_numpy(
    function: Callable[..., Any], inputs: Inputs, backward: Any, layout: Layout
) -> CallResult:
    """Run forward and, where there is a `backward`, that too; the results are tensors."""
    came = CallResult()

    def array(tensor: Tensor | None) -> Any:
        return None if tensor is None else tensor.detach().clone().numpy()

    def keep(name: str, result: Any) -> None:
        if is_array(result):
            tensor = torch.from_numpy(np.array(result))
            moved = name in ("y", "grad_x")
            came.results[name] = layout.from_candidate(tensor) if moved else tensor
        else:
            came.others[name] = type(result).__name__

    def changed(handed: dict[str, Any], before: dict[str, Any]) -> tuple[str, ...]:
        same = {
            k: v is None or np.array_equal(v, before[k], equal_nan=True) for k, v in handed.items()
        }
        return tuple(name for name, is_same in same.items() if not is_same)

    def fresh() -> dict[str, Any]:
        x, grad_y = (array(layout.to_candidate(t)) for t in (inputs.x, inputs.grad_y))
        return {
            "x": x,
            "weight": array(inputs.weight),
            "bias": array(inputs.bias),
            "grad_y": grad_y,
        }

    a = fresh()
    keep("y", function(a["x"], inputs, a["weight"], a["bias"]))
    came.mutated = changed(a, fresh())
    if backward is None:
        return came
    a = fresh()
    try:
        grads = backward(a["grad_y"], a["x"], inputs.normalized_shape, a["weight"], inputs.eps)
    except Exception as error:
        came.error = f"{type(error).__name__}: {error}"
        return came
    came.mutated += changed(a, fresh())
    for name, grad in zip(QUANTITIES[1:], grads, strict=False):
        if name == "grad_x" or a[name.removeprefix("grad_")] is not None:
            keep(name, grad)
    return came


def _same(before: Tensor, after: Tensor) -> bool:
    return before.shape == after.shape and torch.equal(before.nan_to_num(), after.nan_to_num())


def is_array(y: Any) -> bool:
    """Tell an array of NumPy, or of a library that offers NumPy its arrays."""
    array = isinstance(y, (np.ndarray, np.generic)) or hasattr(y, "__array__")
    return array and not isinstance(y, Tensor)
