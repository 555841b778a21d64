"""The layer takes the place of `torch.nn.LayerNorm`, in code, in checkpoints and in error."""

import copy
import inspect
import itertools
import pickle

import numpy as np
import pytest
import torch
from agreement import FLOATS, HALF, make_layer
from torch.autograd import gradcheck, gradgradcheck

from layernorm_book import LayerNorm

ARGUMENTS = [
    {},
    {"eps": 0.5},
    {"bias": False},
    {"elementwise_affine": False},
    {"elementwise_affine": False, "bias": False},
    {"dtype": torch.float64},
]


def pair(normalized_shape=(3, 4), **kwargs):
    """Return our layer and PyTorch's, with the same random parameters."""
    ours, theirs = (cls(normalized_shape, **kwargs) for cls in (LayerNorm, torch.nn.LayerNorm))
    for parameter in theirs.parameters():
        torch.nn.init.normal_(parameter, generator=torch.Generator().manual_seed(1))
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


def randn(*shape, **kwargs):
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), **kwargs)


def test_the_signature_is_pytorchs():
    ours, theirs = (
        [(p.name, p.kind, p.default) for p in inspect.signature(cls).parameters.values()]
        for cls in (LayerNorm, torch.nn.LayerNorm)
    )
    assert ours == theirs


@pytest.mark.parametrize("kwargs", ARGUMENTS, ids=str)
@pytest.mark.parametrize(
    "normalized_shape", [4, [3, 4], (3, 4), torch.Size([4]), np.int64(4), (2, 3, 4)], ids=repr
)
def test_attributes_parameters_and_repr_are_pytorchs(normalized_shape, kwargs):
    ours, theirs = (cls(normalized_shape, **kwargs) for cls in (LayerNorm, torch.nn.LayerNorm))
    assert repr(ours) == repr(theirs)
    assert (ours.normalized_shape, ours.eps) == (theirs.normalized_shape, theirs.eps)
    assert ours.elementwise_affine == theirs.elementwise_affine
    assert list(ours._parameters) == list(theirs._parameters)
    for name, parameter in theirs._parameters.items():
        torch.testing.assert_close(getattr(ours, name), parameter, rtol=0, atol=0)


def test_a_layer_fresh_or_reset_is_the_plain_normalization():
    torch.use_deterministic_algorithms(True)  # fills what is not initialized with NaN
    try:
        fresh, (reset, _) = LayerNorm((3, 4)), pair()
    finally:
        torch.use_deterministic_algorithms(False)
    reset.reset_parameters()
    for layer in (fresh, reset):
        assert torch.equal(layer.weight, torch.ones(3, 4))
        assert torch.equal(layer.bias, torch.zeros(3, 4))


def test_device_and_dtype_reach_the_parameters():
    layer = LayerNorm(4, device="meta", dtype=torch.bfloat16)
    assert {(p.device.type, p.dtype) for p in layer.parameters()} == {("meta", torch.bfloat16)}
    y = layer(torch.empty(2, 4, device="meta", dtype=torch.bfloat16))
    assert (y.shape, y.dtype) == ((2, 4), torch.bfloat16)


@pytest.mark.parametrize("kwargs", ARGUMENTS, ids=str)
def test_state_dicts_load_both_ways(kwargs):
    ours, theirs = pair(**kwargs)
    fresh = torch.nn.LayerNorm((3, 4), **kwargs)
    fresh.load_state_dict(ours.state_dict())
    torch.testing.assert_close(fresh.state_dict(), theirs.state_dict(), rtol=0, atol=0)


def test_a_checkpoint_of_another_shape_does_not_load():
    with pytest.raises(RuntimeError, match="size mismatch for weight"):
        LayerNorm(5).load_state_dict(torch.nn.LayerNorm(4).state_dict())


def test_copies_are_equal_and_independent(tmp_path):
    (ours, _), x = pair(), randn(2, 3, 4)
    torch.save(ours, tmp_path / "layer.pt")
    before = ours(x)
    for other in (
        copy.deepcopy(ours),
        pickle.loads(pickle.dumps(ours)),
        torch.load(tmp_path / "layer.pt", weights_only=False),
    ):
        assert torch.equal(other(x), before)
        torch.nn.init.zeros_(other.weight)
        assert torch.equal(ours(x), before)


def test_gradients_are_those_of_the_forward_to_second_order():
    ours, _ = pair(dtype=torch.float64, eps=0.1)
    x = randn(2, 3, 4, dtype=torch.float64).requires_grad_()

    def call(x, weight, bias):
        return torch.func.functional_call(ours, {"weight": weight, "bias": bias}, (x,))

    leaves = (x, ours.weight, ours.bias)
    assert gradcheck(call, leaves)
    assert gradgradcheck(call, leaves)


def test_training_and_evaluation_are_the_same_and_leave_x_alone():
    (ours, _), x = pair(), randn(2, 3, 4)
    before = x.clone()
    assert torch.equal(ours.train()(x), ours.eval()(x))
    assert torch.equal(x, before)


@pytest.mark.parametrize("autocast", HALF, ids=str)
@pytest.mark.parametrize("dtype", [*FLOATS, torch.int64, torch.bool, torch.complex64], ids=str)
def test_the_same_dtypes_go_together_as_in_pytorch_under_autocast_too(dtype, autocast):
    x = torch.ones(3, 4).to(dtype)
    for weight, bias in itertools.product((None, *FLOATS), repeat=2):
        parameters = [None if d is None else torch.ones(4, dtype=d) for d in (weight, bias)]
        outcomes = []
        for layer_class in (LayerNorm, torch.nn.LayerNorm):
            layer = make_layer((4,), *parameters, layer_class=layer_class)
            try:
                with torch.autocast("cpu", dtype=autocast):
                    outcomes.append(layer(x).dtype)
            except RuntimeError:
                outcomes.append("refused")
        assert outcomes[0] == outcomes[1], (dtype, weight, bias)


@pytest.mark.parametrize("normalized_shape", [4.0, None, "4", (4.0,)])
def test_what_is_no_shape_is_refused_at_once(normalized_shape):
    for layer_class in (LayerNorm, torch.nn.LayerNorm):
        with pytest.raises(TypeError):
            layer_class(normalized_shape)
