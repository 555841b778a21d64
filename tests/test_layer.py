"""The layer takes the place of `torch.nn.LayerNorm`, in code, in checkpoints and in error."""

import copy
import inspect
import io
import itertools
import pickle
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from agreement import FLOATS, make_layer
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


# --- the same interface ---------------------------------------------------------------------------


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
        if parameter is None:
            assert getattr(ours, name) is None
        else:
            assert getattr(ours, name).dtype == parameter.dtype
            assert torch.equal(getattr(ours, name), parameter)


def test_a_fresh_layer_is_the_plain_normalization():
    torch.use_deterministic_algorithms(True)  # fills what is not initialized with NaN
    try:
        layer = LayerNorm((3, 4))
    finally:
        torch.use_deterministic_algorithms(False)
    assert torch.equal(layer.weight, torch.ones(3, 4))
    assert torch.equal(layer.bias, torch.zeros(3, 4))


def test_reset_parameters_starts_anew():
    ours, _ = pair()
    ours.reset_parameters()
    assert torch.equal(ours.weight, torch.ones(3, 4))
    assert torch.equal(ours.bias, torch.zeros(3, 4))


def test_device_and_dtype_reach_the_parameters():
    layer = LayerNorm(4, device="meta", dtype=torch.bfloat16)
    assert {(p.device.type, p.dtype) for p in layer.parameters()} == {("meta", torch.bfloat16)}
    y = layer(torch.empty(2, 4, device="meta", dtype=torch.bfloat16))
    assert (y.shape, y.dtype) == ((2, 4), torch.bfloat16)


# --- checkpoints ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kwargs", ARGUMENTS, ids=str)
def test_state_dicts_load_both_ways(kwargs):
    ours, theirs = pair(**kwargs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    fresh = torch.nn.LayerNorm((3, 4), **kwargs)
    fresh.load_state_dict(ours.state_dict())
    for name, value in theirs.state_dict().items():
        assert torch.equal(fresh.state_dict()[name], value)


def test_a_checkpoint_of_another_shape_does_not_load():
    with pytest.raises(RuntimeError, match="size mismatch for weight"):
        LayerNorm(5).load_state_dict(torch.nn.LayerNorm(4).state_dict())


@pytest.mark.parametrize(
    "copied",
    [
        copy.deepcopy,
        lambda layer: pickle.loads(pickle.dumps(layer)),
        lambda layer: torch.load(saved(layer), weights_only=False),
    ],
    ids=["deepcopy", "pickle", "torch.save"],
)
def test_copies_are_equal_and_independent(copied):
    ours, _ = pair()
    x = randn(2, 3, 4)
    other = copied(ours)
    assert torch.equal(other(x), ours(x))
    before = ours(x)
    with torch.no_grad():
        other.weight += 1
    assert torch.equal(ours(x), before)


def saved(layer):
    buffer = io.BytesIO()
    torch.save(layer, buffer)
    buffer.seek(0)
    return buffer


# --- the same numbers -----------------------------------------------------------------------------


def test_gradients_are_those_of_the_forward_to_second_order():
    ours, _ = pair(dtype=torch.float64, eps=0.1)
    x = randn(2, 3, 4, dtype=torch.float64).requires_grad_()

    def call(x, weight, bias):
        return torch.func.functional_call(ours, {"weight": weight, "bias": bias}, (x,))

    leaves = (x, ours.weight, ours.bias)
    assert gradcheck(call, leaves)
    assert gradgradcheck(call, leaves)


def test_training_and_evaluation_are_the_same():
    ours, _ = pair()
    x = randn(2, 3, 4)
    assert torch.equal(ours.train()(x), ours.eval()(x))


def test_x_is_left_alone():
    x = randn(2, 3, 4)
    before = x.clone()
    assert pair()[0](x) is not x
    assert torch.equal(x, before)


# --- dtypes, as PyTorch mixes and refuses them ----------------------------------------------------

OTHERS = (torch.int64, torch.bool, torch.complex64)


@pytest.mark.parametrize("autocast", [None, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("dtype", FLOATS + OTHERS, ids=str)
def test_the_same_dtypes_go_together_as_in_pytorch(dtype, autocast):
    x = torch.ones(3, 4).to(dtype)
    for weight, bias in itertools.product((None, *FLOATS), repeat=2):
        parameters = [None if d is None else torch.ones(4, dtype=d) for d in (weight, bias)]
        outcomes = []
        for layer_class in (LayerNorm, torch.nn.LayerNorm):
            layer = make_layer((4,), *parameters, layer_class=layer_class)
            context = torch.autocast("cpu", dtype=autocast) if autocast else nullcontext()
            try:
                with context:
                    outcomes.append(layer(x).dtype)
            except RuntimeError:
                outcomes.append("refused")
        assert outcomes[0] == outcomes[1], (dtype, weight, bias)


@pytest.mark.parametrize("normalized_shape", [4.0, None, "4", (4.0,)])
def test_what_is_no_shape_is_refused_at_once(normalized_shape):
    for layer_class in (LayerNorm, torch.nn.LayerNorm):
        with pytest.raises(TypeError):
            layer_class(normalized_shape)
