"""Adapters: a framework's layer becomes a NumPy function of x, weight, bias and eps.

x has its channels last; weight and bias have the length of its last axis. Only the forward pass is
compared, in the dtypes that NumPy and the framework share.
"""

import importlib
import inspect
from dataclasses import dataclass

import numpy as np

DTYPES = ("float32", "float16")


@dataclass(frozen=True)
class Own:
    """A layer that a framework ships.

    Attributes:
        package: the framework's name in the package index.
        path: where the layer is imported from.
        against: "layer_norm" or "rms_norm".
        call: how the layer is built, as Python; the adapter does as it says.
        adapter: a function (class, keyword arguments, x, weight, bias, eps) -> y.
        options: keyword arguments besides eps.
        root: the folder of the repository that holds the package.
        repository, tag: where the source is read; the tag holds {version}.
    """

    package: str
    path: str
    against: str
    call: str
    adapter: object
    repository: str
    tag: str = "v{version}"
    root: str = ""
    options: tuple = ()

    @property
    def key(self):
        """One line that names it."""
        return f"{self.path.replace(':', '.')}: {self.call}"

    def load(self):
        """Import the layer; what it is made of is found by `source`."""
        module, _, name = self.path.partition(":")
        found = importlib.import_module(module)
        return getattr(found, name) if hasattr(found, name) else None

    def source(self, cls):
        """Return (file inside the package, line) of the layer; (None, None) where it has none."""
        try:
            file, line = inspect.getsourcefile(cls), inspect.getsourcelines(cls)[1]
        except (TypeError, OSError):
            return None, None
        return file.rpartition("site-packages/")[2], line


def own_function(own, cls):
    """Return the NumPy function of a framework's layer."""

    def answer(x, weight=None, bias=None, eps=None):
        return own.adapter(cls, dict(own.options), x, weight, bias, eps)

    takes = ["weight", "eps"] if own.against == "rms_norm" else ["weight", "bias", "eps"]
    return numpy_function(answer, takes, own.key)


def cut_function(framework, make, name):
    """Return the NumPy function of a class that was cut out of a wheel.

    Args:
        framework: a key of `CUT`.
        make: a function of n and perhaps eps that builds the layer, see `build.factory`.
        name: of the class.
    """
    answer_of, parameters = CUT[framework]
    takes_eps = "eps" in inspect.signature(make).parameters

    def built(n, eps):
        return make(n, eps) if takes_eps else make(n)

    def answer(x, weight=None, bias=None, eps=None):
        return answer_of(lambda: built(x.shape[-1], eps), x, weight, bias)

    has = parameters(built(3, 1e-5), np.ones((2, 3), np.float32))
    takes = [*("weight", "bias")[:has], *(["eps"] if takes_eps else [])]
    return numpy_function(answer, takes, name)


def numpy_function(answer, takes, name):
    """Return `answer` as a function of x and what the layer takes: the judge reads its signature.

    Args:
        answer: a function of x and of what `takes` names.
        takes: list of names among weight, bias, eps.
        name: by which a report calls it.
    """
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    signature = inspect.Signature([inspect.Parameter(n, kind) for n in ("x", *takes)])

    def function(*values, **named):
        return np.asarray(answer(**signature.bind(*values, **named).arguments))

    function.__signature__ = signature
    function.__name__ = function.__qualname__ = name
    return function


# --- one for each framework -----------------------------------------------------------------------


def _linen(cls, options, x, weight, bias, eps):
    parameters = {"scale": weight} if bias is None else {"scale": weight, "bias": bias}
    return cls(epsilon=eps, dtype=x.dtype, **options).apply({"params": parameters}, x)


def _nnx(cls, options, x, weight, bias, eps):
    from flax import nnx

    layer = cls(x.shape[-1], epsilon=eps, dtype=x.dtype, rngs=nnx.Rngs(0), **options)
    layer.scale = nnx.Param(weight)
    if bias is not None:
        layer.bias = nnx.Param(bias)
    return layer(x)


def _equinox(cls, options, x, weight, bias, eps):
    import equinox
    import jax

    layer = cls(x.shape[-1], eps=eps, **({"use_bias": False} if bias is None else {}))
    layer = equinox.tree_at(lambda made: made.weight, layer, jax.numpy.asarray(weight))
    if bias is not None:
        layer = equinox.tree_at(lambda made: made.bias, layer, jax.numpy.asarray(bias))
    return jax.vmap(layer)(x.reshape(-1, x.shape[-1])).reshape(x.shape)  # it takes one row


def _haiku(cls, options, x, weight, bias, eps):
    import haiku
    import jax

    def forward(x):
        named = {"create_scale": True}
        if bias is not None:
            named["create_offset"] = True
        return cls(axis=-1, eps=eps, name="norm", **named)(x)

    parameters = {"scale": weight} if bias is None else {"scale": weight, "offset": bias}
    parameters = {name: jax.numpy.asarray(value) for name, value in parameters.items()}
    return haiku.without_apply_rng(haiku.transform(forward)).apply({"norm": parameters}, x)


def _keras(cls, options, x, weight, bias, eps):
    return keras_answer(lambda: cls(epsilon=eps, **options), x, weight, bias)


def keras_answer(make, x, weight, bias):
    """Make a Keras layer for x, give it weight and bias, and return its answer."""
    import keras

    keras.config.set_dtype_policy(str(x.dtype))
    layer = make()
    layer(x)  # it makes its weights
    values = [value for value in (weight, bias) if value is not None]
    layer.set_weights([v.reshape(w.shape) for v, w in zip(values, layer.weights, strict=True)])
    return layer(x)


def _keras_parameters(layer, x):
    layer(x)
    return len(layer.weights)


def _mlx(cls, options, x, weight, bias, eps):
    return mlx_answer(lambda: cls(x.shape[-1], eps=eps, **options), x, weight, bias)


def mlx_answer(make, x, weight, bias):
    """Make an MLX layer, give it weight and bias, and return its answer."""
    import mlx.core

    layer = make()
    for name, value in (("weight", weight), ("bias", bias)):
        if value is not None and name in layer:
            layer[name] = mlx.core.array(value)
    return layer(mlx.core.array(x))


def _tinygrad(cls, options, x, weight, bias, eps):
    from tinygrad import Tensor

    layer = cls(x.shape[-1], eps=eps, **options)
    layer.weight = Tensor(weight)
    if bias is not None:
        layer.bias = Tensor(bias)
    return layer(Tensor(x)).numpy()


def _onnxruntime(operator, options, x, weight, bias, eps):
    import onnx
    import onnxruntime

    opset = {"RMSNormalization": 23}.get(options["operator"], 17)
    values = {"x": x, "weight": weight} | ({} if bias is None else {"bias": bias})
    described = [
        onnx.helper.make_tensor_value_info(
            name, onnx.helper.np_dtype_to_tensor_dtype(v.dtype), v.shape
        )
        for name, v in values.items()
    ]
    y = onnx.helper.make_tensor_value_info("y", described[0].type.tensor_type.elem_type, x.shape)
    node = onnx.helper.make_node(options["operator"], [*values], ["y"], axis=-1, epsilon=float(eps))
    model = onnx.helper.make_model(
        onnx.helper.make_graph([node], "norm", described, [y]),
        opset_imports=[onnx.helper.make_opsetid("", opset)],
        ir_version=10,
    )
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(None, values)[0]


CUT = {  # framework -> (how a layer is asked, how many parameters it has)
    "keras": (keras_answer, _keras_parameters),
    "mlx": (mlx_answer, lambda layer, x: ("weight" in layer) + ("bias" in layer)),
}

_FLAX, _KERAS = "https://github.com/google/flax", "https://github.com/keras-team/keras"
_EQUINOX, _HAIKU = (
    "https://github.com/patrick-kidger/equinox",
    "https://github.com/google-deepmind/dm-haiku",
)
_MLX, _TINYGRAD = "https://github.com/ml-explore/mlx", "https://github.com/tinygrad/tinygrad"
_ONNX = "https://github.com/microsoft/onnxruntime"
_EXACT = (("use_fast_variance", False),)
_ROOT = {"root": "python"}


def _onnx(operator, against):
    call = f"{operator}(axis=-1, epsilon=eps)"
    options = (("operator", operator),)
    return Own(
        "onnxruntime",
        f"onnxruntime:{operator}",
        against,
        call,
        _onnxruntime,
        _ONNX,
        options=options,
    )


OWN = (
    Own("flax", "flax.linen:LayerNorm", "layer_norm", "LayerNorm(epsilon=eps)", _linen, _FLAX),
    Own(
        "flax",
        "flax.linen:LayerNorm",
        "layer_norm",
        "LayerNorm(epsilon=eps, use_fast_variance=False)",
        _linen,
        _FLAX,
        options=_EXACT,
    ),
    Own("flax", "flax.linen:RMSNorm", "rms_norm", "RMSNorm(epsilon=eps)", _linen, _FLAX),
    Own("flax", "flax.nnx:LayerNorm", "layer_norm", "LayerNorm(n, epsilon=eps)", _nnx, _FLAX),
    Own(
        "flax",
        "flax.nnx:LayerNorm",
        "layer_norm",
        "LayerNorm(n, epsilon=eps, use_fast_variance=False)",
        _nnx,
        _FLAX,
        options=_EXACT,
    ),
    Own("flax", "flax.nnx:RMSNorm", "rms_norm", "RMSNorm(n, epsilon=eps)", _nnx, _FLAX),
    Own(
        "equinox", "equinox.nn:LayerNorm", "layer_norm", "LayerNorm(n, eps=eps)", _equinox, _EQUINOX
    ),
    Own(
        "equinox",
        "equinox.nn:RMSNorm",
        "rms_norm",
        "RMSNorm(n, eps=eps, use_bias=False)",
        _equinox,
        _EQUINOX,
    ),
    Own(
        "dm-haiku",
        "haiku:LayerNorm",
        "layer_norm",
        "LayerNorm(axis=-1, create_scale=True, create_offset=True, eps=eps)",
        _haiku,
        _HAIKU,
    ),
    Own(
        "dm-haiku",
        "haiku:RMSNorm",
        "rms_norm",
        "RMSNorm(axis=-1, create_scale=True, eps=eps)",
        _haiku,
        _HAIKU,
    ),
    Own(
        "keras",
        "keras.layers:LayerNormalization",
        "layer_norm",
        "LayerNormalization(epsilon=eps)",
        _keras,
        _KERAS,
    ),
    Own(
        "keras",
        "keras.layers:RMSNormalization",
        "rms_norm",
        "RMSNormalization(epsilon=eps)",
        _keras,
        _KERAS,
    ),
    _onnx("LayerNormalization", "layer_norm"),
    _onnx("RMSNormalization", "rms_norm"),
    Own("mlx", "mlx.nn:LayerNorm", "layer_norm", "LayerNorm(n, eps=eps)", _mlx, _MLX, **_ROOT),
    Own("mlx", "mlx.nn:RMSNorm", "rms_norm", "RMSNorm(n, eps=eps)", _mlx, _MLX, **_ROOT),
    Own(
        "tinygrad",
        "tinygrad.nn:LayerNorm",
        "layer_norm",
        "LayerNorm(n, eps=eps)",
        _tinygrad,
        _TINYGRAD,
    ),
    Own("tinygrad", "tinygrad.nn:RMSNorm", "rms_norm", "RMSNorm(n, eps=eps)", _tinygrad, _TINYGRAD),
)
