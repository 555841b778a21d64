"""How the parity check calls what it is given: a module class, a torch function, a NumPy one.

A `Subject` wraps a candidate: it knows which cases the candidate can take, and turns the tensors of
a case into the candidate's results, however the candidate wants to be called.
"""

import inspect
from dataclasses import dataclass, field, replace

import torch

from layernorm_book.cases import CASES, Case
from layernorm_book.running import Layout, is_array, run_numpy, run_torch
from layernorm_book.sandbox import TimeLimit

SCALE_NAMES = ("weight", "gamma", "a_2", "scale", "g", "gain", "w", "alpha", "weights", "scales")
SHIFT_NAMES = ("bias", "beta", "b_2", "shift", "b", "offset", "biases", "shifts")
EPS_NAMES = ("eps", "epsilon", "e", "variance_epsilon", "layer_norm_eps", "norm_eps")
SHAPE_NAMES = ("normalized_shape", "shape", "normalized_dims", "dims")

DEFAULT_EPS = 1e-5  # what a candidate that takes no eps is expected to use: PyTorch's


@dataclass
class Subject:
    """A candidate, and how to call it.

    Attributes:
        kind: "module", "torch function" or "NumPy function".
        cases: those of `CASES` that it can take, in the form in which it takes them.
        call: a function from the Inputs of a case to an Outcome.
        weight, bias, eps: whether it takes them.
        optional: whether weight and bias may be None.
        channels_last: False where it normalizes axis 1 of an image.
        notes: list of what a reader should know of how it was called.
    """

    kind: str
    cases: list
    call: object
    weight: bool = True
    bias: bool = True
    eps: bool = True
    optional: bool = False
    channels_last: bool = True
    notes: list = field(default_factory=list)


def adapt(candidate, sandbox, backward=None, channels_last=True):
    """Find out what a candidate is and how it wants to be called.

    Args:
        candidate: see `check_parity`.
        sandbox: the Sandbox in which it is tried.
        backward: see `check_parity`.
        channels_last: False where axis 1 is normalized.

    Returns:
        Subject.

    Raises:
        TypeError: the candidate is a module instance, or cannot be called at all.
        TimeLimit: it does not answer.
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
    layout = Layout(channels_last)
    names = _parameter_names(candidate)
    maker = _find_maker(candidate, names, layout, sandbox)
    if maker:
        subject = _module_subject(maker, layout, backward, names)
    else:
        subject = _function_subject(candidate, layout, backward, names, sandbox)
    subject.channels_last = channels_last
    subject.cases = _select(subject)
    if not subject.eps:
        subject.notes.append(f"It takes no eps, so it is expected to use {DEFAULT_EPS:g}.")
    return subject


def _parameter_names(candidate):
    """Return the names of the parameters, lower case; None where they cannot be told."""
    try:
        parameters = inspect.signature(candidate).parameters.values()
    except (TypeError, ValueError):  # some builtins have no signature
        return None
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return None
    return [p.name for p in parameters if p.kind is not p.VAR_KEYWORD]


def _among(names, known):
    """Return the first of `names` that is one of the `known`, or None."""
    return next((name for name in names or () if name.lower() in known), None)


# --- modules --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Maker:
    """One way to make a module of a given shape and eps."""

    make: object  # (normalized_shape, eps) -> module
    takes_eps: bool = True
    one_axis: bool = False


def _find_maker(candidate, names, layout, sandbox):
    """Return the first way of making a module that gives one which answers, or None.

    Where a module can be made but never answers, the first way that makes one is returned: its
    errors are then reported case by case.
    """
    if isinstance(candidate, type) and not issubclass(candidate, torch.nn.Module):
        return None
    eps_name = _among(names, EPS_NAMES) or "eps"
    makers = [
        _Maker(lambda shape, eps: candidate(shape, **{eps_name: eps})),
        _Maker(lambda shape, eps: candidate(*shape, **{eps_name: eps}), one_axis=True),
        _Maker(lambda shape, eps: candidate(shape), takes_eps=False),
        _Maker(lambda shape, eps: candidate(*shape), takes_eps=False, one_axis=True),
        _Maker(lambda shape, eps: candidate(), takes_eps=False, one_axis=True),
    ]
    x = layout.hand(torch.randn(3, 4) if layout.channels_last else torch.randn(2, 3, 2, 4))
    first = None
    for maker in makers:
        try:
            module = sandbox.run(maker.make, (4,), 1e-5)
        except TimeLimit:
            raise
        except Exception:  # it wants to be called in another way
            continue
        if not isinstance(module, torch.nn.Module):
            return None
        try:
            sandbox.run(module, x)
            return maker
        except TimeLimit:
            raise
        except Exception:
            first = first or maker
    return first or (makers[0] if isinstance(candidate, type) else None)


def _module_subject(maker, layout, backward, names):
    try:
        weight, bias = (p is not None for p in find_parameters(maker.make((4,), 1e-5)))
    except Exception:  # it raises again in every case, where it is reported
        weight, bias = True, True

    def call(inputs):
        module = maker.make(inputs.normalized_shape, inputs.eps).to(inputs.x.dtype)
        parameters = find_parameters(module)
        given = (inputs.weight, inputs.bias)
        for parameter, value in zip(parameters, given, strict=True):
            if parameter is not None and value is not None:
                with torch.no_grad():
                    parameter.copy_(value.reshape(parameter.shape))
        leaves = dict(zip(("weight", "bias"), parameters, strict=True))
        return run_torch(lambda x, _: module(x), inputs, leaves, layout, backward)

    subject = Subject("module", [], call, weight, bias, maker.takes_eps)
    first = names[0] if names else "normalized_shape"
    if maker.one_axis or first.lower() not in SHAPE_NAMES:
        subject.cases = [case for case in CASES if case.axes == 1]
        subject.notes.append("It is made for one axis, so several at once were not tried.")
    return subject


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


# --- functions ------------------------------------------------------------------------------------

_FORMS = {
    1: ("x",),
    2: ("x", "shape"),
    3: ("x", "weight", "bias"),
    4: ("x", "weight", "bias", "eps"),
    5: ("x", "shape", "weight", "bias", "eps"),
}


def _roles(candidate, names):
    """Return (positional, by name): what a function is given, in its order, and under which name.

    By name where the names are the usual ones; else by how many there are.
    """
    if names is None or len(names) == 0:
        return _FORMS[5], {}
    known = {"shape": SHAPE_NAMES, "weight": SCALE_NAMES, "bias": SHIFT_NAMES, "eps": EPS_NAMES}
    parameters = inspect.signature(candidate).parameters
    by_name = {role: _among(names[1:], usual) for role, usual in known.items()}
    by_name = {role: name for role, name in by_name.items() if name}
    left = [
        name
        for name in names[1:]
        if name not in by_name.values() and parameters[name].default is inspect.Parameter.empty
    ]
    if left:
        return _FORMS[min(len(names), 5)], {}
    positional_only = any(
        parameters[n].kind is inspect.Parameter.POSITIONAL_ONLY for n in names[1:]
    )
    if positional_only:
        return ("x", *by_name), {}
    return ("x",), by_name


def _function_subject(candidate, layout, backward, names, sandbox):
    positional, by_name = _roles(candidate, names)
    roles = {*positional, *by_name}

    def function(x, inputs, weight, bias):
        values = {
            "x": x,
            "shape": inputs.normalized_shape,
            "weight": weight,
            "bias": bias,
            "eps": inputs.eps,
        }
        named = {name: values[role] for role, name in by_name.items()}
        return candidate(*(values[role] for role in positional), **named)

    if callable(backward) or _takes_numpy(function, layout, sandbox):
        kind = "NumPy function"
        gradients = backward if callable(backward) else None

        def call(inputs):
            return run_numpy(function, inputs, gradients, layout)
    else:
        kind = "torch function"

        def call(inputs):
            leaves = {"weight": inputs.weight, "bias": inputs.bias}

            def run(x, parameters):
                return function(x, inputs, parameters["weight"], parameters["bias"])

            return run_torch(run, inputs, leaves, layout, backward)

    subject = Subject(kind, [], call, "weight" in roles, "bias" in roles, "eps" in roles)
    subject.optional = _takes_none(candidate, positional, by_name)
    if "shape" not in roles:
        subject.cases = [case for case in CASES if case.axes == 1]
    return subject


def _takes_none(candidate, positional, by_name):
    """Whether weight and bias may be None: where None is their default, or nothing is said."""
    if {"weight", "bias"} <= set(positional):
        return "shape" in positional
    if not {"weight", "bias"} <= set(by_name):
        return False
    parameters = inspect.signature(candidate).parameters
    return all(parameters[by_name[role]].default is None for role in ("weight", "bias"))


def _takes_numpy(function, layout, sandbox):
    """Tell a NumPy function by its answers; one that answers torch tensors is a torch function."""
    inputs = Case("trial", (2, 3, 2, 4), dtype=torch.float64).make()
    weight, bias = inputs.weight, inputs.bias

    def answer(to):
        arguments = (layout.hand(inputs.x), weight, bias)
        x, w, b = (to(t.clone()) for t in arguments)
        try:
            return sandbox.run(function, x, inputs, w, b)
        except TimeLimit:
            raise
        except Exception:
            return None

    if isinstance(answer(lambda t: t.requires_grad_()), torch.Tensor):
        return False
    return is_array(answer(lambda t: t.numpy()))


# --- the cases that a candidate can take ----------------------------------------------------------


def _select(subject):
    """Return the cases of this subject: those it can take, in the form in which it takes them."""
    cases = subject.cases or list(CASES)
    if subject.kind == "NumPy function":
        cases = [case for case in cases if case.dtype is not torch.bfloat16]  # NumPy has none
    if not subject.optional:
        cases = [case for case in cases if case.weight and case.bias]
    if not subject.eps:
        cases = [_at_default_eps(case) for case in cases]
    if not subject.channels_last:
        cases = [_as_image(case) for case in cases if case.axes == 1]
    return [
        replace(c, weight=c.weight and subject.weight, bias=c.bias and subject.bias) for c in cases
    ]


def _at_default_eps(case):
    """Return the case with an x so small that PyTorch's eps is felt, where eps made its point."""
    if case.eps == DEFAULT_EPS:
        return case
    name = case.name.partition(", eps")[0]
    name = f"{name}, σ {(sigma := 3e-3):g}" if case.sigma == 1.0 else name
    return replace(
        case, name=name, eps=DEFAULT_EPS, sigma=sigma if case.sigma == 1.0 else case.sigma
    )


def _as_image(case):
    """Return the case with two more axes: (rows, height, width, channels), all sizes different."""
    rows = (0, 2, 3) if 0 in case.shape else (2, 1, 3) if case.shape[-1] > 50 else (5, 2, 3)
    return replace(case, shape=(*rows, case.shape[-1]))
