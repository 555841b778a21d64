"""PyTorch tests its own layer norm on these inputs; the book's answers must be the same."""

import pytest
import torch
from agreement import assert_agrees, inputs_of, make_layer, of_module, of_numpy
from torch.testing._internal.common_methods_invocations import op_db
from torch.testing._internal.common_modules import module_db

from layernorm_book import LayerNorm, layer_norm, layer_norm_backward, mean_and_variance

DTYPES = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
OPS = {op.name: op for op in op_db if op.name in ("nn.functional.layer_norm", "native_layer_norm")}
MODULE = next(info for info in module_db if info.module_cls is torch.nn.LayerNorm)
RUN = {"function": of_numpy, "module": of_module}


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)  # make_tensor draws from the global generator


def test_these_are_all_the_dtypes_and_all_the_ops():
    assert len(OPS) == 2
    for op in OPS.values():
        assert op.dtypes == set(DTYPES)
    assert set(MODULE.dtypes) <= set(DTYPES)


def arguments(sample):
    """Return x, normalized_shape, weight, bias and eps of a SampleInput."""
    rest = dict(zip(("normalized_shape", "weight", "bias", "eps"), sample.args, strict=False))
    rest |= sample.kwargs
    return {"x": sample.input, "weight": None, "bias": None, "eps": 1e-5, **rest}


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", OPS)
@pytest.mark.parametrize("run", RUN)
def test_every_sample_input_agrees_forward_and_backward(run, name, dtype):
    samples = list(OPS[name].sample_inputs("cpu", dtype, requires_grad=True))
    assert len(samples) >= 6
    for sample in samples:
        inputs = inputs_of(**arguments(sample))
        assert_agrees(RUN[run](inputs), inputs)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_the_statistics_of_every_sample_input_agree(dtype):
    for sample in OPS["native_layer_norm"].sample_inputs("cpu", dtype):
        _, mean, rstd = torch.native_layer_norm(sample.input, *sample.args)
        got_mean, got_var = mean_and_variance(sample.input.numpy(), sample.args[0])
        eps = sample.args[-1]
        torch.testing.assert_close(torch.from_numpy(got_mean), mean)
        torch.testing.assert_close(1 / torch.sqrt(torch.from_numpy(got_var) + eps), rstd)


ERRORS = list(OPS["native_layer_norm"].error_inputs("cpu"))


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.error_regex)
def test_every_error_input_is_refused(error):
    with pytest.raises(error.error_type, match=error.error_regex):
        torch.native_layer_norm(error.sample_input.input, *error.sample_input.args)
    given = arguments(error.sample_input)
    x, normalized_shape, eps = (given[k] for k in ("x", "normalized_shape", "eps"))
    weight, bias = given["weight"], given["bias"]
    with pytest.raises(error.error_type):
        make_layer(normalized_shape, weight, bias, eps)(x)
    x, weight, bias = (None if t is None else t.numpy() for t in (x, weight, bias))
    with pytest.raises(ValueError, match=r"normalized_shape"):
        layer_norm(x, normalized_shape, weight, bias, eps)
    if bias is None:
        with pytest.raises(ValueError, match=r"normalized_shape"):
            layer_norm_backward(x, x, normalized_shape, weight, eps)


def test_there_are_error_inputs():
    assert len(ERRORS) >= 4


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("training", [True, False])
def test_every_module_input_agrees_forward_and_backward(dtype, training):
    samples = MODULE.module_inputs_func(MODULE, "cpu", dtype, True, training)
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
        for run in RUN.values():
            assert_agrees(run(inputs), inputs)
        theirs.load_state_dict(layer.state_dict())
        ours = layer.train(training)(x)
        assert ours.dtype == dtype
        assert_agrees({"y": ours.detach()}, inputs)
        torch.testing.assert_close(ours, theirs.train(training)(x))
