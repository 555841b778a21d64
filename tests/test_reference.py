"""The NumPy reference accepts what PyTorch accepts, agrees with it, and refuses what it refuses."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from agreement import assert_agrees, inputs_of, of_numpy

from layernorm_book import (
    layer_norm,
    layer_norm_backward,
    mean_and_variance,
    normalize,
    scale_and_shift,
)

RNG = np.random.default_rng(0)

# x.shape, normalized_shape
FITS = [
    ((4,), (4,)),
    ((3, 4), (4,)),
    ((3, 4), (3, 4)),
    ((2, 3, 4), (4,)),
    ((2, 3, 4), (3, 4)),
    ((2, 3, 4, 5), (4, 5)),
    ((2, 3, 4, 5), (2, 3, 4, 5)),
    ((7, 2), (2,)),
    ((3, 1), (1,)),
    ((1,), (1,)),
    ((1, 1), (1, 1)),
    ((0, 5), (5,)),
    ((2, 0, 5), (5,)),
    ((3, 0), (0,)),
    ((0, 0), (0,)),
]
# x.shape, normalized_shape, what the message must say
DOES_NOT_FIT = [
    ((3, 4), (3,), ["(3, 4)", "(3,)", "normalized_shape=(4,)"]),
    ((2, 3, 4), (2, 3), ["(2, 3, 4)", "(2, 3)", "normalized_shape=(3, 4)"]),
    ((2, 3, 4), (3,), ["(2, 3, 4)", "(3,)", "normalized_shape=(4,)"]),
    ((3, 4), (1,), ["(3, 4)", "(1,)", "normalized_shape=(4,)"]),
    ((4,), (2, 4), ["(4,)", "(2, 4)"]),
    ((0, 5), (4,), ["(0, 5)", "(4,)", "normalized_shape=(5,)"]),
    ((3, 4), (), ["(3, 4)", "at least one trailing axis"]),
    ((), (1,), ["()", "(1,)", "at least one axis"]),
    ((), (), ["()", "empty"]),
]
# dtypes of x, weight, bias
GO_TOGETHER = [
    ("float64", "float64", "float64"),
    ("float32", "float32", "float32"),
    ("float16", "float16", "float16"),
    ("float16", "float32", "float32"),
    ("float16", "float32", None),
    ("float16", None, None),
]
DO_NOT_GO_TOGETHER = [
    ("float32", "float64", "float64"),
    ("float32", "float16", "float16"),
    ("float64", "float32", "float32"),
    ("float32", "float32", "float64"),
    ("float32", None, "float64"),
    ("float16", "float16", "float32"),
    ("float16", "float32", "float16"),
    ("float16", "float64", "float64"),
    ("int64", None, None),
    ("bool", None, None),
    ("complex64", None, None),
]


def draw(shape, dtype="float64"):
    return RNG.standard_normal(shape).astype(dtype)


def case(shape, normalized_shape, dtypes=("float64",) * 3, **kwargs):
    """Return Inputs, random in x and in whichever of weight and bias has a dtype."""
    x, weight, bias = (
        None if dtype is None else torch.from_numpy(np.asarray(draw(s, dtype)))
        for s, dtype in zip((shape, normalized_shape, normalized_shape), dtypes, strict=True)
    )
    return inputs_of(x, normalized_shape, weight, bias, **kwargs)


def pytorch_refuses(x, normalized_shape, weight=None, bias=None, eps=1e-5):
    tensors = (None if a is None else torch.from_numpy(np.asarray(a)) for a in (weight, bias))
    with pytest.raises((RuntimeError, TypeError)):
        F.layer_norm(torch.from_numpy(np.asarray(x)), normalized_shape, *tensors, eps)
    return True


# --- shapes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("shape", "normalized_shape"), FITS)
@pytest.mark.parametrize("eps", [1e-5, 0.5])
def test_every_shape_that_fits_agrees(shape, normalized_shape, eps):
    inputs = case(shape, normalized_shape, eps=eps)
    assert_agrees(of_numpy(inputs), inputs)


@pytest.mark.parametrize(("shape", "normalized_shape", "words"), DOES_NOT_FIT)
def test_every_shape_that_does_not_fit_is_refused_with_the_mend(shape, normalized_shape, words):
    x = np.asarray(draw(shape))
    for call in (
        lambda: layer_norm(x, normalized_shape),
        lambda: layer_norm_backward(x, x, normalized_shape),
        lambda: mean_and_variance(x, normalized_shape),
    ):
        with pytest.raises(ValueError, match=r"x |normalized_shape") as refusal:
            call()
        assert all(word in str(refusal.value) for word in words), refusal.value
    assert pytorch_refuses(x, normalized_shape)


@pytest.mark.parametrize("name", ["weight", "bias"])
@pytest.mark.parametrize("shape", [(3,), (1,), (), (1, 4), (2, 3, 4), (5,)])
def test_parameters_of_another_shape_are_refused_even_where_they_would_broadcast(name, shape):
    x, parameter = draw((2, 3, 4)), np.asarray(draw(shape))
    with pytest.raises(ValueError, match=name) as refusal:
        layer_norm(x, (4,), **{name: parameter})
    assert "(4,)" in str(refusal.value)
    assert str(shape) in str(refusal.value)
    assert pytorch_refuses(x, (4,), **{name: parameter})


def test_the_backward_refuses_a_weight_of_another_shape():
    x = draw((2, 3, 4))
    with pytest.raises(ValueError, match=r"weight.*\(4,\).*\(1,\)"):
        layer_norm_backward(x, x, (4,), weight=draw((1,)))


@pytest.mark.parametrize("shape", [(4,), (3, 4), (1, 1, 4), (2, 3, 1), (4, 3, 2)])
def test_the_backward_refuses_a_gradient_of_another_shape(shape):
    with pytest.raises(ValueError, match="grad_y") as refusal:
        layer_norm_backward(draw(shape), draw((2, 3, 4)), (4,))
    assert "(2, 3, 4)" in str(refusal.value)
    assert str(shape) in str(refusal.value)


@pytest.mark.parametrize("normalized_shape", [4, (4.0,), (True,), "4", None, np.array([4])])
def test_normalized_shape_must_be_a_tuple_of_integers(normalized_shape):
    x = draw((3, 4))
    with pytest.raises(TypeError, match=r"tuple of integers.*\(4,\)"):
        layer_norm(x, normalized_shape)
    assert pytorch_refuses(x, normalized_shape)


@pytest.mark.parametrize("normalized_shape", [[4], torch.Size([4]), (np.int64(4),)])
def test_normalized_shape_may_be_any_sequence_of_integers_that_pytorch_takes(normalized_shape):
    x = draw((3, 4))
    expected = F.layer_norm(torch.from_numpy(x), normalized_shape).numpy()
    np.testing.assert_allclose(layer_norm(x, normalized_shape), expected, rtol=0, atol=1e-14)


# --- dtypes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtypes", GO_TOGETHER)
@pytest.mark.parametrize("eps", [1e-5, 0.5])
def test_every_dtype_that_pytorch_takes_agrees(dtypes, eps):
    inputs = case((5, 3, 8), (3, 8), dtypes, eps=eps)
    assert_agrees(of_numpy(inputs), inputs)


def test_a_float32_bias_alone_goes_with_float16():
    # Forward only: PyTorch 2.13 takes this pair and then fails in its own backward.
    x, bias = draw((5, 8), "float16"), draw((8,), "float32")
    expected = F.layer_norm(torch.from_numpy(x), (8,), None, torch.from_numpy(bias)).numpy()
    y = layer_norm(x, (8,), bias=bias)
    assert y.dtype == expected.dtype
    np.testing.assert_allclose(y, expected, rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("dtypes", DO_NOT_GO_TOGETHER)
def test_every_dtype_that_pytorch_refuses_is_refused(dtypes):
    x, weight, bias = (None if d is None else np.ones((4,), d) for d in dtypes)
    with pytest.raises(TypeError, match="Convert") as refusal:
        layer_norm(x, (4,), weight, bias)
    named = [d for d in dtypes if d not in (None, "float32", dtypes[0])]
    assert all(d in str(refusal.value) for d in (dtypes[0], *named)), refusal.value
    assert pytorch_refuses(x, (4,), weight, bias)


def test_the_backward_refuses_dtypes_too():
    x = draw((3, 4), "float32")
    with pytest.raises(TypeError, match=r"grad_y.*float32.*float64"):
        layer_norm_backward(draw((3, 4)), x, (4,))
    with pytest.raises(TypeError, match=r"weight float64"):
        layer_norm_backward(x, x, (4,), weight=draw((4,)))
    with pytest.raises(TypeError, match=r"got int64"):
        layer_norm_backward(np.ones((3, 4), int), np.ones((3, 4), int), (4,))


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
def test_without_a_weight_its_gradient_is_that_of_ones(dtype):
    grad_y, x = draw((6, 4), dtype), draw((6, 4), dtype)
    without = layer_norm_backward(grad_y, x, (4,), eps=0.5)
    ones = layer_norm_backward(grad_y, x, (4,), weight=np.ones(4, dtype), eps=0.5)
    for a, b in zip(without, ones, strict=True):
        assert a.dtype == b.dtype == dtype
        np.testing.assert_array_equal(a, b)


def test_statistics_of_half_precision_are_float32():
    mean, var = mean_and_variance(draw((3, 4), "float16"), (4,))
    assert mean.dtype == var.dtype == np.float32


def test_lists_are_taken_as_arrays():
    rows, ones = [[1.0, 2.0, 3.0, 6.0]], [1.0] * 4
    y = layer_norm(rows, (4,), ones, ones, eps=0.5)
    np.testing.assert_allclose(y, [[0.0, 0.5, 1.0, 2.5]], rtol=0, atol=1e-15)
    grads = layer_norm_backward([[1.0, 0.0]], [[1.0, 3.0]], (2,), [1.0, 1.0], eps=3.0)
    np.testing.assert_allclose(grads[0], [[0.1875, -0.1875]], rtol=0, atol=1e-15)


# --- eps ------------------------------------------------------------------------------------------


PLAIN = [0, 0.0, 1, -0.5, 1e-12, 1e30, True]
NUMPYS = [np.float64(0.5), np.float32(0.5), np.float16(0.5), np.int64(2), np.array(0.5)]


@pytest.mark.parametrize("eps", [*PLAIN, *NUMPYS], ids=repr)
@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
def test_any_number_will_do_as_eps_and_leaves_the_dtype_alone(eps, dtype):
    x = 3 * draw((5, 64), dtype)  # a variance near 9, so that -0.5 still has a root
    inputs = inputs_of(torch.from_numpy(x), (64,), eps=float(eps))
    y = layer_norm(x, (64,), eps=eps)
    grad_x, _, _ = layer_norm_backward(inputs.grad_y.numpy(), x, (64,), eps=eps)
    assert_agrees({"y": torch.from_numpy(y), "grad_x": torch.from_numpy(grad_x)}, inputs)


@pytest.mark.parametrize("eps", NUMPYS, ids=repr)
def test_the_steps_stay_in_the_dtype_of_x_whatever_eps_is(eps):
    x = draw((5, 8), "float32")
    assert normalize(x, *mean_and_variance(x, (8,)), eps=eps).dtype == np.float32


@pytest.mark.parametrize("eps", ["1e-5", None, 1e-5 + 0j, [1e-5]])
def test_what_is_no_number_is_refused_as_eps(eps):
    x = draw((3, 4))
    for call in (
        lambda: layer_norm(x, (4,), eps=eps),
        lambda: layer_norm_backward(x, x, (4,), eps=eps),
        lambda: normalize(x, *mean_and_variance(x, (4,)), eps=eps),
    ):
        with pytest.raises(TypeError, match=r"eps must be a number.*1e-5"):
            call()
    assert pytorch_refuses(x, (4,), eps=eps)


# --- numbers that are none ------------------------------------------------------------------------

STRANGE = {
    "a NaN": ([[1.0, np.nan, 3.0], [1.0, 2.0, 4.0]], 1e-5),
    "an infinity": ([[1.0, np.inf, 3.0], [1.0, 2.0, 4.0]], 1e-5),
    "constant rows without eps": ([[2.0, 2.0, 2.0], [1.0, 2.0, 4.0]], 0.0),
    "eps below minus the variance": ([[0.0, 0.1, 0.2], [1.0, 2.0, 4.0]], -0.5),
    "eps is NaN": ([[1.0, 2.0, 4.0]], np.nan),
    "eps is infinite": ([[1.0, 2.0, 4.0]], np.inf),
}


@pytest.mark.parametrize("name", STRANGE)
@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
def test_strange_numbers_give_what_pytorch_gives_without_a_warning(name, dtype):
    rows, eps = STRANGE[name]
    x = np.array(rows, dtype)
    weight, bias, grad_y = (np.ones(s, dtype) for s in (3, 3, x.shape))
    grad_y[:, 0] = 2
    leaves = [torch.from_numpy(a).requires_grad_() for a in (x, weight, bias)]
    expected = F.layer_norm(leaves[0], (3,), *leaves[1:], eps)
    expected_grads = torch.autograd.grad(expected, leaves, torch.from_numpy(grad_y))
    y = layer_norm(x, (3,), weight, bias, eps)
    grads = layer_norm_backward(grad_y, x, (3,), weight, eps)
    for got, want in zip((y, *grads), (expected, *expected_grads), strict=True):
        want = want.detach().numpy()
        tolerance = 8 * np.finfo(dtype).eps
        np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance)


def test_what_float16_cannot_hold_becomes_infinite_as_in_pytorch():
    x, weight = np.array([[0, 1, 1, 6]], "float16"), np.full(4, 65504, "float16")
    expected = F.layer_norm(torch.from_numpy(x), (4,), torch.from_numpy(weight)).numpy()
    assert np.isinf(expected).any()
    np.testing.assert_array_equal(layer_norm(x, (4,), weight), expected)


def test_the_steps_are_quiet_one_by_one():
    x = np.array([[np.inf, 1.0], [2.0, 2.0]])
    mean, var = mean_and_variance(x, (2,))
    x_hat = normalize(x, mean, var, eps=0)
    assert np.isnan(x_hat).all()
    assert np.isnan(scale_and_shift(np.array([np.inf]), np.array([0.0]))).all()


# --- strides and ownership ------------------------------------------------------------------------

VIEWS = {
    "transposed": lambda a: a.swapaxes(-1, -2),
    "reversed": lambda a: a[..., ::-1],
    "every second": lambda a: a[..., ::2],
    "broadcast": lambda a: np.broadcast_to(a[:1], a.shape),
    "rows reversed": lambda a: a[::-1],
}


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("axes", [1, 2])
def test_strides_make_no_difference(view, axes):
    x, grad_y = (VIEWS[view](draw((3, 6, 8), "float32")) for _ in range(2))
    normalized_shape = x.shape[-axes:]
    weight, bias = (
        VIEWS[view](draw((3, 6, 8), "float32"))[(0,) * (3 - axes)]
        if view != "transposed"
        else draw(normalized_shape, "float32")
        for _ in range(2)
    )
    args = (x, normalized_shape, weight, bias)
    packed = [np.ascontiguousarray(a) if isinstance(a, np.ndarray) else a for a in args]
    np.testing.assert_array_equal(layer_norm(*args), layer_norm(*packed))
    strided = layer_norm_backward(grad_y, *args[:3])
    contiguous = layer_norm_backward(np.ascontiguousarray(grad_y), *packed[:3])
    for a, b in zip(strided, contiguous, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=2e-6)


def test_nothing_given_is_changed_or_handed_back():
    arrays = [draw(s, "float32") for s in ((3, 4), (3, 4), (4,), (4,))]
    before = [a.copy() for a in arrays]
    grad_y, x, weight, bias = arrays
    results = (
        layer_norm(x, (4,), weight, bias),
        layer_norm(x, (4,)),
        *layer_norm_backward(grad_y, x, (4,), weight),
        *layer_norm_backward(grad_y[:1], x[:1], (4,)),
        *layer_norm_backward(grad_y[0], x[0], (4,)),
    )
    for a, b in zip(arrays, before, strict=True):
        np.testing.assert_array_equal(a, b)
        assert not any(np.shares_memory(a, result) for result in results)


# --- the steps ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("shape", "normalized_shape"), FITS)
def test_the_steps_are_those_of_native_layer_norm(shape, normalized_shape):
    x = draw(shape)
    y, mean, rstd = torch.native_layer_norm(torch.from_numpy(x), normalized_shape, None, None, 0.5)
    got_mean, got_var = mean_and_variance(x, normalized_shape)
    assert got_mean.shape == got_var.shape == tuple(mean.shape)
    if np.prod(normalized_shape):  # PyTorch leaves the statistics of nothing at 0
        np.testing.assert_allclose(got_mean, mean.numpy(), rtol=0, atol=1e-15)
        np.testing.assert_allclose(1 / np.sqrt(got_var + 0.5), rstd.numpy(), rtol=1e-14)
    x_hat = normalize(x, got_mean, got_var, eps=0.5)
    np.testing.assert_allclose(x_hat, y.numpy(), rtol=0, atol=1e-14)


def test_scale_and_shift_takes_either_or_neither():
    x_hat, weight, bias = draw((3, 4)), draw((4,)), draw((4,))
    np.testing.assert_array_equal(scale_and_shift(x_hat), x_hat)
    np.testing.assert_array_equal(scale_and_shift(x_hat, weight), x_hat * weight)
    np.testing.assert_array_equal(scale_and_shift(x_hat, bias=bias), x_hat + bias)
    np.testing.assert_array_equal(scale_and_shift(x_hat, weight, bias), x_hat * weight + bias)


@pytest.mark.parametrize("which", [("weight",), ("bias",), ("weight", "bias"), ()])
def test_weight_and_bias_may_each_stand_alone(which):
    dtypes = ("float64", *("float64" if name in which else None for name in ("weight", "bias")))
    inputs = case((7, 3, 4), (3, 4), dtypes, eps=0.1)
    assert_agrees(of_numpy(inputs), inputs)


def test_a_large_mean_does_not_cost_the_variance():
    x = 2000 + draw((8, 768), "float32")
    _, var = mean_and_variance(x, (768,))
    np.testing.assert_allclose(var[:, 0], x.astype("float64").var(1), rtol=1e-5)
