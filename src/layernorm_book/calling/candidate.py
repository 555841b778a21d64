"""How is a candidate called: a module class, a function on torch tensors, one on NumPy arrays?

`adapt` finds out by trying, and gives an `AdaptedCandidate`: one `call` from the tensors of a case
to what came back, whatever the candidate's arguments, parameter names and layout are.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from layernorm_book.calling.call import CallResult, Inputs, Layout, is_array, run_numpy, run_torch
from layernorm_book.calling.guard import Guard, TimeLimit

SCALE_NAMES = ("weight", "gamma", "a_2", "scale", "g", "gain", "w", "alpha", "weights", "scales")
SHIFT_NAMES = ("bias", "beta", "b_2", "shift", "b", "offset", "biases", "shifts")
SHAPE_NAMES = ("normalized_shape", "shape", "normalized_dims", "dims")
SWITCHES = ("bias", "use_bias", "affine", "elementwise_affine", "use_scale", "use_weight")
DEFAULT_EPS = {"layer_norm": 1e-5, "rms_norm": torch.finfo(torch.float32).eps}
"""What a candidate that takes no eps is expected to use: PyTorch's default, for 32 and 16 bits."""


@dataclass
class AdaptedCandidate:
    """A candidate, and how to call it."""

    kind: str  # "module", "torch function" or "NumPy function"
    call: Callable[[Inputs], CallResult]
    weight: bool = True  # whether it takes one
    bias: bool = True
    eps: bool = True
    optional: bool = False  # whether weight and bias may be None
    one_axis: bool = False  # whether it cannot be asked for several axes at once
    rank: int | None = None  # the number of axes that x must have
    channels_last: bool = True  # False: it normalizes axis 1
    float32_parameters: bool = False  # it runs with float32 parameters alone
    buffers: list[str] = field(default_factory=list)  # which of weight and bias are buffers
    notes: list[str] = field(default_factory=list)  # what a reader should know of how it was called


def adapt(
    candidate: Any,
    guard: Guard,
    against: str = "layer_norm",
    backward: Any = None,
    channels_last: bool = True,
    half: bool = True,
) -> AdaptedCandidate:
    """Find out what a candidate is and how it wants to be called.

    Args:
        candidate, against, backward, channels_last: see `check_parity`.
        guard: the Guard under which it is tried.
        half: whether it will be asked in half precision.

    Raises:
        TypeError: the candidate is a module instance, or cannot be called at all.
        TimeLimit: it does not answer.
    """
    if isinstance(candidate, nn.Module):
        raise TypeError(
            "check_parity makes its own layers, of many shapes: pass the class "
            f"{type(candidate).__name__}, or a function of (normalized_shape, eps)."
        )
    if not callable(candidate):
        raise TypeError(
            "check_parity takes a torch.nn.Module class, a factory of modules, or a function like "
            f"torch.nn.functional.layer_norm, got {candidate!r}."
        )
    layout = Layout(channels_last)
    maker = _find_maker(candidate, layout, guard)
    if maker:
        adapted = _adapt_module(maker, layout, backward)
    else:
        adapted = _adapt_function(candidate, against, layout, backward, guard)
    adapted.channels_last = channels_last

    def answer(rank: int, dtype: torch.dtype, parameters: torch.dtype, **changed: Any) -> Any:
        """Return y where it has the shape of x, or None."""
        inputs = _probe((2, 3, 5, 6)[-rank:], dtype, parameters)
        inputs = replace(inputs, weight=inputs.weight if adapted.weight else None)
        inputs = replace(inputs, bias=inputs.bias if adapted.bias else None)
        came = _try(adapted.call, guard, replace(inputs, **changed))
        return came.y if came and came.y is not None and came.y.shape == inputs.x.shape else None

    single, float16 = torch.float32, torch.float16
    ranks = (2, 3, 4) if channels_last else (4, 3)
    rank = next((r for r in ranks if answer(r, single, single) is not None), ranks[0])
    adapted.rank = None if rank == 2 else rank
    for role in adapted.buffers:  # one that changes nothing is no parameter that was forgotten
        ys = [answer(rank, single, single, **{role: torch.full((6,), v)}) for v in (1.0, 2.0)]
        if ys[0] is not None and ys[1] is not None and torch.equal(*ys):
            setattr(adapted, role, False)
    if half and adapted.kind != "NumPy function" and (adapted.weight or adapted.bias):
        refuses = answer(rank, float16, float16) is None
        adapted.float32_parameters = refuses and answer(rank, float16, single) is not None
    if not adapted.eps:
        eps = DEFAULT_EPS[against]
        adapted.notes.append(
            f"It takes no eps, so it is expected to use {eps:.3g}, as PyTorch does."
        )
    if adapted.rank and channels_last:
        adapted.notes.append(f"It takes x of {rank} axes, so no others were tried.")
    return adapted


def _try(function: Callable[..., Any], guard: Guard, *args: Any) -> Any:
    """Return what it returns, or None where it raises."""
    try:
        return guard.run(function, *args)
    except TimeLimit:
        raise
    except Exception:
        return None


def _parameters(candidate: Any) -> Mapping[str, inspect.Parameter]:
    """Return its parameters by name; none where they cannot be told."""
    try:
        parameters = inspect.signature(candidate).parameters
    except (TypeError, ValueError):  # some builtins have no signature
        return {}
    if any(p.kind is p.VAR_POSITIONAL for p in parameters.values()):
        return {}
    return {name: p for name, p in parameters.items() if p.kind is not p.VAR_KEYWORD}


def needs_besides(candidate: Any) -> list[str]:
    """Return the arguments that a module class insists on and that nobody here can give."""
    if not (isinstance(candidate, type) and issubclass(candidate, nn.Module)):
        return []
    required = [n for n, p in _parameters(candidate).items() if p.default is p.empty]
    return [n for n in required[1:] if not _is_eps(n) and n not in SWITCHES]


def _is_eps(name: str) -> bool:
    return "eps" in name.lower() or name == "e"


def _is_one_of(known: tuple[str, ...]) -> Callable[[str], bool]:
    """Return whether a name is one of the usual ones, or ends in one: ln_weight."""
    tails = tuple(f"_{name}" for name in known if len(name) > 1)
    return lambda name: name.lower() in known or name.lower().endswith(tails)


# --- modules --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Maker:
    """One way to make a module of a given shape and eps."""

    make: Callable[[tuple[int, ...], float], Any]
    takes_eps: bool = True
    one_axis: bool = False


def _find_maker(candidate: Any, layout: Layout, guard: Guard) -> _Maker | None:
    """Return the first way of making a module that gives one which answers, or None.

    Where a module can be made but never answers, the first way that makes one is returned: its
    errors are then reported case by case.
    """
    if isinstance(candidate, type) and not issubclass(candidate, nn.Module):
        return None
    parameters = list(_parameters(candidate).values())
    eps_name = next((p.name for p in parameters if _is_eps(p.name)), "eps")
    extra = {p.name: True for p in parameters[1:] if p.default is p.empty and p.name in SWITCHES}
    first = parameters[0] if parameters else None
    by_name = first is not None and first.kind is first.KEYWORD_ONLY
    one = first is not None and (first.name not in SHAPE_NAMES or first.annotation in (int, "int"))

    def maker(as_tuple: bool, takes_eps: bool) -> _Maker:
        def make(shape: tuple[int, ...], eps: float) -> Any:
            size = shape if as_tuple or len(shape) > 1 else shape[0]
            options = extra | ({eps_name: eps} if takes_eps else {})
            if first is not None and by_name:
                return candidate(**{first.name: size}, **options)
            return candidate(size, **options)

        return _Maker(make, takes_eps, one or not as_tuple)

    makers = [maker(t, e) for e in (True, False) for t in (True, False)]
    makers.append(_Maker(lambda shape, eps: candidate(), takes_eps=False, one_axis=True))
    xs = (torch.randn(3, 4), torch.randn(2, 3, 4), torch.randn(2, 3, 2, 4))
    fallback = None
    for way in makers:
        module = _try(way.make, guard, (4,), 1e-5)
        if module is None:  # it wants to be called in another way
            continue
        if not isinstance(module, nn.Module):
            return None
        for x in xs if layout.channels_last else xs[:0:-1]:
            if _try(module, guard, layout.to_candidate(x)) is not None:
                return way
        fallback = fallback or way
    return fallback or (makers[0] if isinstance(candidate, type) else None)


def _adapt_module(maker: _Maker, layout: Layout, backward: Any) -> AdaptedCandidate:
    try:
        found = find_parameters(maker.make((4,), 1e-5))
        weight, bias = (p is not None and p.numel() > 1 for p in found)
        single = any(p is not None and p.numel() == 1 for p in found)
    except Exception:  # it raises again in every case, where it is reported
        found, weight, bias, single = (None, None), True, True, False

    def call(inputs: Inputs) -> CallResult:
        module = maker.make(inputs.normalized_shape, inputs.eps)
        given = inputs.weight if inputs.bias is None else inputs.bias
        module = module.to(inputs.x.dtype if given is None else given.dtype)
        leaves = dict(zip(("weight", "bias"), find_parameters(module), strict=True))
        for name, leaf in leaves.items():
            value = getattr(inputs, name)
            with torch.no_grad():
                if leaf is not None and single and leaf.numel() == 1:
                    leaf.fill_(float(name == "weight"))
                    leaves[name] = None
                elif leaf is not None and value is not None:
                    leaf.copy_(value.reshape(leaf.shape))
                else:
                    leaves[name] = None
        return run_torch(lambda x, _: module(x), inputs, leaves, layout, backward)

    adapted = AdaptedCandidate("module", call, weight, bias, maker.takes_eps)
    adapted.one_axis = maker.one_axis
    roles = zip(("weight", "bias"), found, strict=True)
    adapted.buffers = [r for r, p in roles if p is not None and not isinstance(p, nn.Parameter)]
    if maker.one_axis:
        adapted.notes.append("It is made for one axis, so several at once were not tried.")
    if single:
        adapted.notes.append("It has one scale for all positions: set to 1 for the comparison.")
    return adapted


def find_parameters(module: nn.Module) -> tuple[Tensor | None, Tensor | None]:
    """Return the scale and the shift of a module, each a parameter, a buffer or None.

    Raises:
        ValueError: there are parameters besides, so that it is unclear which ones scale and shift.
    """
    scales, shifts = _is_one_of(SCALE_NAMES), _is_one_of(SHIFT_NAMES)
    tensors: dict[str, Tensor] = {n.rpartition(".")[2]: p for n, p in module.named_parameters()}
    for name, buffer in module.named_buffers():
        short = name.rpartition(".")[2]
        if buffer.is_floating_point() and (scales(short) or shifts(short)):
            tensors.setdefault(short, buffer)

    def pop(usual: Callable[[str], bool]) -> Tensor | None:
        return next((tensors.pop(name) for name in list(tensors) if usual(name)), None)

    shift, scale = pop(shifts), pop(scales)
    if tensors:
        raise ValueError(
            f"cannot tell what the parameter {next(iter(tensors))!r} does. The scale may be "
            f"called {', '.join(SCALE_NAMES)}; the shift {', '.join(SHIFT_NAMES)}."
        )
    return scale, shift


# --- functions ------------------------------------------------------------------------------------

_FORMS = {
    "layer_norm": ("x", "x shape", "x weight bias", "x weight bias eps", "x shape weight bias eps"),
    "rms_norm": ("x", "x weight", "x weight eps", "x shape weight eps"),
}
"""What a function takes by the number of its parameters, where their names do not tell."""


def _roles(candidate: Any, against: str) -> tuple[list[str], dict[str, str]]:
    """Return (positional, by name): what a function is given in order, and under which name."""
    parameters = _parameters(candidate)
    names = list(parameters)[1:]
    usual = {
        "shape": _is_one_of(SHAPE_NAMES),
        "weight": _is_one_of(SCALE_NAMES),
        "bias": _is_one_of(SHIFT_NAMES),
        "eps": _is_eps,
    }
    found = {role: next(filter(is_usual, names), "") for role, is_usual in usual.items()}
    by_name = {role: name for role, name in found.items() if name}
    unclear = set(names) - set(by_name.values())
    if not parameters or any(parameters[n].default is inspect.Parameter.empty for n in unclear):
        forms = _FORMS[against]
        return forms[min(len(parameters) or len(forms), len(forms)) - 1].split(), {}
    if any(parameters[n].kind is inspect.Parameter.POSITIONAL_ONLY for n in names):
        return ["x", *by_name], {}
    return ["x"], by_name


def _adapt_function(
    candidate: Any, against: str, layout: Layout, backward: Any, guard: Guard
) -> AdaptedCandidate:
    positional, by_name = _roles(candidate, against)
    roles = {*positional, *by_name}

    def function(x: Any, inputs: Inputs, weight: Any, bias: Any) -> Any:
        values = {"x": x, "shape": inputs.normalized_shape, "weight": weight, "bias": bias}
        values["eps"] = inputs.eps
        named = {name: values[role] for role, name in by_name.items()}
        return candidate(*(values[role] for role in positional), **named)

    if callable(backward) or _takes_numpy(function, layout, guard):
        kind = "NumPy function"

        def call(inputs: Inputs) -> CallResult:
            return run_numpy(function, inputs, backward if callable(backward) else None, layout)
    else:
        kind = "torch function"

        def call(inputs: Inputs) -> CallResult:
            leaves = {"weight": inputs.weight, "bias": inputs.bias}
            return run_torch(
                lambda x, handed: function(x, inputs, handed["weight"], handed["bias"]),
                inputs,
                leaves,
                layout,
                backward,
            )

    adapted = AdaptedCandidate(kind, call, "weight" in roles, "bias" in roles, "eps" in roles)
    adapted.one_axis = "shape" not in roles
    # weight and bias may be None where that is their default, or where nothing is said of them
    defaults = [p.default for n, p in _parameters(candidate).items() if n in by_name.values()]
    named = {"weight", "bias"} & by_name.keys()
    unsaid = bool({"weight", "bias"} & set(positional)) and "shape" in positional
    adapted.optional = unsaid or (bool(named) and defaults.count(None) >= len(named))
    return adapted


def _takes_numpy(function: Callable[..., Any], layout: Layout, guard: Guard) -> bool:
    """Tell a NumPy function by its answers; one that answers torch tensors is a torch function."""
    for shape, dtype in (((2, 3, 2, 4), torch.float64), ((3, 4), torch.float32)):
        inputs = _probe(shape, dtype, dtype)
        tensors = [layout.to_candidate(inputs.x), inputs.weight, inputs.bias]
        x, w, b = (t.clone().requires_grad_() for t in tensors if t is not None)
        if isinstance(_try(function, guard, x, inputs, w, b), Tensor):
            return False
        arrays = [t.numpy() for t in tensors if t is not None]
        if is_array(_try(function, guard, arrays[0], inputs, *arrays[1:])):
            return True
    return False


def _probe(shape: tuple[int, ...], dtype: torch.dtype, parameters: torch.dtype) -> Inputs:
    """Return something to ask: only whether an answer comes matters."""
    generator = torch.Generator().manual_seed(0)
    shapes = (shape, shape[-1:], shape[-1:])
    x, weight, bias = (torch.randn(s, generator=generator).to(dtype) for s in shapes)
    return Inputs(x, shape[-1:], weight.to(parameters), bias.to(parameters), 1e-5, x)
