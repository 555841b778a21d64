"""PyTorch tests its own norms on these inputs; the book's answers must be the same."""

import numpy as np
import pytest
import torch
from agreement import BACKWARD, FLOATS, FORWARD, assert_agrees, inputs_of, make_layer
from torch.testing._internal.common_methods_invocations import op_db
from torch.testing._internal.common_modules import module_db

from layernorm_book import LayerNorm, mean_and_variance, normalize

# What PyTorch calls the operation, and what the book does.
NORM = {
    "nn.functional.layer_norm": "layer_norm",
    "native_layer_norm": "layer_norm",
    "nn.functional.rms_norm": "rms_norm",
}
OPS = {op.name: op for op in op_db if op.name in NORM}
MODULE = next(info for info in module_db if info.module_cls is torch.nn.LayerNorm)


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)  # make_tensor draws from the global generator


def test_these_are_all_the_dtypes_and_all_the_ops():
    assert OPS.keys() == NORM.keys()
    assert len(ERRORS) >= 7
    for op in OPS.values():
        assert {d for d in op.dtypes if not d.is_complex} == set(FLOATS)
    assert set(MODULE.dtypes) <= set(FLOATS)


def arguments(sample, norm):
    """Return x, normalized_shape, weight, bias and eps of a SampleInput."""
    bias, eps = (["bias"], 1e-5) if norm == "layer_norm" else ([], None)
    rest = dict(zip(("normalized_shape", "weight", *bias, "eps"), sample.args, strict=False))
    rest |= sample.kwargs
    return {"x": sample.input, "weight": None, "bias": None, "eps": eps, **rest}


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("name", OPS)
def test_every_sample_input_agrees_forward_and_backward(name, dtype):
    samples = list(OPS[name].sample_inputs("cpu", dtype, requires_grad=True))
    assert len(samples) >= 6
    for sample in samples:
        inputs = inputs_of(**arguments(sample, NORM[name]))
        assert_agrees(inputs, NORM[name])


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_the_steps_of_every_sample_input_agree(dtype):
    for sample in OPS["native_layer_norm"].sample_inputs("cpu", dtype):
        x, normalized_shape, eps = sample.input.numpy(), sample.args[0], sample.args[-1]
        y, mean, rstd = torch.native_layer_norm(sample.input, normalized_shape, None, None, eps)
        got_mean, got_var = mean_and_variance(x, normalized_shape)
        x_hat = normalize(x, got_mean, got_var, eps)
        for got, want in ((got_mean, mean), (1 / np.sqrt(got_var + eps), rstd), (x_hat, y)):
            torch.testing.assert_close(torch.from_numpy(got), want)


ERRORS = [
    pytest.param(name, error, id=f"{NORM[name]}: {error.error_regex}")
    for name, op in OPS.items()
    if op.error_inputs_func
    for error in op.error_inputs("cpu")
]


@pytest.mark.parametrize(("name", "error"), ERRORS)
def test_every_error_input_is_refused(name, error):
    with pytest.raises(error.error_type, match=error.error_regex):
        OPS[name](error.sample_input.input, *error.sample_input.args)
    norm = NORM[name]
    given = arguments(error.sample_input, norm)
    x, weight, bias = (given.pop(k) for k in ("x", "weight", "bias"))
    if norm == "layer_norm":
        with pytest.raises(error.error_type):
            make_layer(given["normalized_shape"], weight, bias)(x)
    x, weight, bias = (None if t is None else t.numpy() for t in (x, weight, bias))
    with pytest.raises(ValueError, match=r"normalized_shape"):
        FORWARD[norm](x, weight=weight, **given, **({} if bias is None else {"bias": bias}))
    if bias is None:
        with pytest.raises(ValueError, match=r"normalized_shape"):
            BACKWARD[norm](x, x, weight=weight, **given)


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_every_module_input_agrees_forward_and_backward(dtype):
    samples = MODULE.module_inputs_func(MODULE, "cpu", dtype, requires_grad=True, training=True)
    assert len(samples) >= 7
    for sample in samples:
        args, kwargs = sample.constructor_input.args, sample.constructor_input.kwargs
        layer = LayerNorm(*args, **kwargs, dtype=dtype)
        theirs = torch.nn.LayerNorm(*args, **kwargs, dtype=dtype)
        assert repr(layer) == repr(theirs)
        for parameter in layer.parameters():
            torch.nn.init.normal_(parameter)
        (x,) = sample.forward_input.args
        inputs = inputs_of(x, layer.normalized_shape, layer.weight, layer.bias, layer.eps)
        assert_agrees(inputs, "layer_norm")
        theirs.load_state_dict(layer.state_dict())
        torch.testing.assert_close(layer(x), theirs(x))
