"""Build a class cut out of a wheel, and find out how it wants to be called."""

import inspect
import linecache
import re
import sys
import types

import torch

EPS_NAMES = ("eps", "epsilon", "variance_epsilon", "layer_norm_eps", "norm_eps", "variance_eps")
_SIZES = re.compile(
    r"^(normalized_shape|(hidden|input|channel|embed\w*)_(size|dim)|(num_|in_)?(channels|features)|n_embe?d|d(im|_model)?)$"
)
_STATISTICS = re.compile(r"\.(mean|var|std|var_mean|std_mean)\(")
_N = 5  # channels in the trial: no other axis of the trial has as many


class NotBuilt(Exception):
    """A layer that could not be built or called, and why."""


def load(source, name):
    """Run a cut's source and return its class; inspect finds its text, as for any class."""
    module = sys.modules["census_cut"] = types.ModuleType("census_cut")
    module.__file__ = "census_cut.py"
    linecache.cache[module.__file__] = (len(source), None, source.splitlines(True), module.__file__)
    exec(compile(source, module.__file__, "exec"), module.__dict__)
    return getattr(module, name)


def call_text(cls):
    """Return how a class is built, as Python: in terms of `shape`, `n` and `eps`.

    A class that computes its statistics itself is built for one axis, n, even where it could be
    built for several: what it is for is one.

    Raises:
        NotBuilt: it asks for more than a size and eps.
    """
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    parameters = [p for p in inspect.signature(cls).parameters.values() if p.kind not in kinds]
    eps = next((p.name for p in parameters if p.name.lower() in EPS_NAMES), None)
    given = [p for p in parameters if p.name != eps]
    more = [p.name for p in given[1:] if p.default is p.empty]
    if more:
        raise NotBuilt(f"its constructor asks for {', '.join(more)}")
    passes_on = len(parameters) < len(inspect.signature(cls).parameters)  # *args, **kwargs
    shape = "n" if _STATISTICS.search(inspect.getsource(cls)) else "shape"
    derived = passes_on and issubclass(cls, torch.nn.LayerNorm | torch.nn.RMSNorm)
    eps = eps or ("eps" if derived else None)
    arguments = [f"{eps}=eps"] if eps else []
    if derived and not given:
        arguments.insert(0, shape)
    elif given and given[0].name in ("config", "args", "cfg"):
        arguments.insert(0, "config(n, eps)")
    elif given and (given[0].default is given[0].empty or _SIZES.match(given[0].name)):
        arguments.insert(0, shape if given[0].name == "normalized_shape" else "n")
    return f"{cls.__name__}({', '.join(arguments)})"


class _Config(types.SimpleNamespace):
    """A configuration that knows a size and an eps, under whichever name they are asked for."""

    def __init__(self, n, eps, **more):
        super().__init__(_n=n, _eps=eps, **more)

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        if name.endswith(("eps", "epsilon")):
            return self._eps
        if _SIZES.match(name):
            return self._n
        raise AttributeError(f"the configuration has no {name}")


def factory(cls, text):
    """Return a function that builds the class from the text, in a form that the judge knows."""
    code = compile(text, text, "eval")

    def build(shape, eps):
        n = shape if isinstance(shape, int) else shape[0]
        if not isinstance(shape, int) and len(shape) > 1 and "shape" not in code.co_names:
            raise TypeError(f"one size, not {shape}")
        names = {cls.__name__: cls, "shape": shape, "n": n, "eps": eps, "config": _Config}
        return eval(code, {"torch": torch, **names})

    shaped, takes_eps = "shape" in code.co_names, "eps" in code.co_names
    if shaped and takes_eps:
        make = lambda normalized_shape, eps=1e-5: build(normalized_shape, eps)  # noqa: E731
    elif shaped:
        make = lambda normalized_shape: build(normalized_shape, None)  # noqa: E731
    elif takes_eps:
        make = lambda dim, eps=1e-5: build(dim, eps)  # noqa: E731
    else:
        make = lambda dim: build(dim, None)  # noqa: E731
    make.__name__ = make.__qualname__ = cls.__name__
    return make


def is_channels_last(make):
    """Call the layer on small inputs to see which axis it takes for its channels.

    Raises:
        NotBuilt: it cannot be built, or takes none of the inputs.
    """
    try:
        module = make(_N)
    except Exception as error:
        raise NotBuilt(f"its constructor raises {said(error)}") from error
    if not isinstance(module, torch.nn.Module):
        raise NotBuilt("it is not a torch.nn.Module")
    errors = []
    for shape, last in (
        ((2, 3, _N), True),
        ((2, 3, 4, _N), True),
        ((2, _N, 3, 4), False),
        ((2, _N, 3), False),
        ((3, _N), True),
    ):
        try:
            with torch.no_grad():
                y = module(torch.randn(shape))
        except Exception as error:
            errors.append(error)
            continue
        if isinstance(y, torch.Tensor) and y.shape == shape:
            return last
        kind = type(y).__name__ if not isinstance(y, torch.Tensor) else f"shape {tuple(y.shape)}"
        errors.append(TypeError(f"{kind} for x of shape {shape}"))
    raise NotBuilt(f"it answers no x: {said(errors[0])}")


def said(error):
    """Return an error in one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:200]}" if text else type(error).__name__
