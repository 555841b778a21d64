"""The package accepts what PyTorch accepts, agrees with it, and refuses what it refuses."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from agreement import (
    BACKWARD,
    FORWARD,
    assert_agree,
    assert_all_agree,
    inputs_of,
    make_layer,
    of_layer,
    of_numpy,
    of_pytorch,
)

from layernorm_book import (
    layer_norm,
    layer_norm_backward,
    mean_and_variance,
    normalize,
    rms_norm,
    scale_and_shift,
)

RNG = np.random.default_rng(0)
NUMPY_FLOATS = ("float64", "float32", "float16")
both_norms = pytest.mark.parametrize("norm", FORWARD)

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
    ("bfloat16", "bfloat16", "bfloat16"),
    ("bfloat16", "float32", "float32"),
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
    return np.asarray(RNG.standard_normal(shape)).astype(dtype)


def case(shape, normalized_shape, dtypes=("float64",) * 3, **kwargs):
    """Return Inputs, random in x and in whichever of weight and bias has a dtype."""
    x, weight, bias = (
        None if dtype is None else torch.from_numpy(draw(s)).to(getattr(torch, dtype))
        for s, dtype in zip((shape, normalized_shape, normalized_shape), dtypes, strict=True)
    )
    return inputs_of(x, normalized_shape, weight, bias, **kwargs)


def tensor(array):
    return None if array is None else torch.from_numpy(np.asarray(array))


def ask_pytorch(norm, x, normalized_shape, weight=None, bias=None, eps=1e-5):
    bias = (tensor(bias),) if norm == "layer_norm" else ()
    return getattr(F, norm)(tensor(x), normalized_shape, tensor(weight), *bias, eps)


def assert_refused(error, words, call, *args, **kwargs):
    """Expect an error whose message holds all these words."""
    with pytest.raises(error) as refusal:
        call(*args, **kwargs)
    assert all(word in str(refusal.value) for word in words), refusal.value


def assert_pytorch_refuses(*args, **kwargs):
    with pytest.raises((RuntimeError, TypeError, ValueError, NotImplementedError)):
        ask_pytorch(*args, **kwargs)


# --- shapes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("shape", "normalized_shape"), FITS)
@pytest.mark.parametrize("weight", ["float64", None])
@pytest.mark.parametrize("bias", ["float64", None])
def test_every_shape_that_fits_agrees_with_and_without_parameters(
    shape, normalized_shape, weight, bias
):
    for eps in (1e-5, 0.5):
        assert_all_agree(case(shape, normalized_shape, ("float64", weight, bias), eps=eps))


@pytest.mark.parametrize(("shape", "normalized_shape", "words"), DOES_NOT_FIT)
def test_every_shape_that_does_not_fit_is_refused_with_the_fix(shape, normalized_shape, words):
    x = draw(shape)
    assert_refused(ValueError, words, mean_and_variance, x, normalized_shape)
    assert_refused(RuntimeError, words, make_layer(normalized_shape), tensor(x))
    for norm in FORWARD:
        assert_refused(ValueError, words, FORWARD[norm], x, normalized_shape)
        assert_refused(ValueError, words, BACKWARD[norm], x, x, normalized_shape)
        assert_pytorch_refuses(norm, x, normalized_shape)


@pytest.mark.parametrize("shape", [(3,), (1,), (), (1, 4), (2, 3, 4), (5,)])
def test_parameters_of_another_shape_are_refused_even_where_they_would_broadcast(shape):
    x, parameter = draw((2, 3, 4)), draw(shape)
    words = ["(4,)", str(shape), "reshape"]
    for name in ("weight", "bias"):
        given = {name: parameter}
        assert_refused(ValueError, [name, *words], layer_norm, x, (4,), **given)
        layer = make_layer((4,), **{name: tensor(parameter)})
        assert_refused(RuntimeError, [name, *words], layer, tensor(x))
        assert_pytorch_refuses("layer_norm", x, (4,), **given)
    assert_refused(ValueError, ["weight", *words], rms_norm, x, (4,), parameter)
    assert_pytorch_refuses("rms_norm", x, (4,), parameter)
    for backward in BACKWARD.values():
        assert_refused(ValueError, ["weight", *words], backward, x, x, (4,), parameter)


@both_norms
@pytest.mark.parametrize("shape", [(4,), (3, 4), (1, 1, 4), (2, 3, 1), (4, 3, 2)])
def test_the_backward_refuses_a_gradient_of_another_shape(norm, shape):
    words = ["grad_y", "(2, 3, 4)", str(shape)]
    assert_refused(ValueError, words, BACKWARD[norm], draw(shape), draw((2, 3, 4)), (4,))


@both_norms
@pytest.mark.parametrize("normalized_shape", [4, (4.0,), (True,), "4", None, np.array([4])])
def test_normalized_shape_must_be_a_tuple_of_integers(norm, normalized_shape):
    x = draw((3, 4))
    assert_refused(TypeError, ["tuple of integers", "(4,)"], FORWARD[norm], x, normalized_shape)
    assert_pytorch_refuses(norm, x, normalized_shape)


@both_norms
@pytest.mark.parametrize("normalized_shape", [[4], torch.Size([4]), (np.int64(4),)])
def test_normalized_shape_may_be_any_sequence_that_pytorch_takes(norm, normalized_shape):
    x = draw((3, 4))
    expected = ask_pytorch(norm, x, normalized_shape).numpy()
    np.testing.assert_allclose(
        FORWARD[norm](x, normalized_shape, eps=1e-5), expected, rtol=0, atol=1e-14
    )


# --- dtypes ---------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:Mismatch dtype between input and weight")  # of rms_norm
@pytest.mark.parametrize("dtypes", GO_TOGETHER)
def test_every_dtype_that_pytorch_takes_agrees(dtypes):
    for eps in (1e-5, 0.5):
        assert_all_agree(case((5, 3, 8), (3, 8), dtypes, eps=eps))


@pytest.mark.filterwarnings("ignore:Mismatch dtype between input and weight")
@pytest.mark.parametrize("x", NUMPY_FLOATS)
@pytest.mark.parametrize("weight", NUMPY_FLOATS)
def test_rms_norm_takes_a_weight_of_any_float(x, weight):
    inputs = case((5, 3, 8), (3, 8), (x, weight, None), eps=None)
    assert_agree(inputs, of_numpy(inputs, "rms_norm"), norm="rms_norm")


def test_a_float32_bias_alone_goes_with_float16():
    # Forward only: PyTorch 2.13 takes this pair and then fails in its own backward.
    x, bias = draw((5, 8), "float16"), draw((8,), "float32")
    expected = ask_pytorch("layer_norm", x, (8,), bias=bias).numpy()
    y = layer_norm(x, (8,), bias=bias)
    assert y.dtype == expected.dtype
    np.testing.assert_allclose(y, expected, rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("dtypes", DO_NOT_GO_TOGETHER)
def test_every_dtype_that_pytorch_refuses_is_refused(dtypes):
    x, weight, bias = (None if d is None else np.ones((4,), d) for d in dtypes)
    words = ["Convert", *(d for d in dtypes if d not in (None, "float32", dtypes[0])), dtypes[0]]
    assert_refused(TypeError, words, layer_norm, x, (4,), weight, bias)
    assert_refused(RuntimeError, words, make_layer((4,), tensor(weight), tensor(bias)), tensor(x))
    assert_pytorch_refuses("layer_norm", x, (4,), weight, bias)


@both_norms
@pytest.mark.parametrize("dtype", ["int64", "bool", "complex64"])
def test_what_is_no_float_is_refused(norm, dtype):
    x, ones = np.ones((3, 4)), np.ones(4, dtype)
    for call in (FORWARD[norm], lambda *args: BACKWARD[norm](args[0], *args)):
        assert_refused(TypeError, ["x must be", f"got {dtype}"], call, x.astype(dtype), (4,))
        assert_refused(TypeError, ["weight must be", f"got {dtype}"], call, x, (4,), ones)


@both_norms
def test_the_backward_refuses_a_gradient_of_another_dtype(norm):
    x = draw((3, 4), "float32")
    words = ["grad_y", "float32", "float64"]
    assert_refused(TypeError, words, BACKWARD[norm], draw((3, 4)), x, (4,))


def test_the_backward_refuses_a_weight_of_another_dtype():
    x = draw((3, 4), "float32")
    assert_refused(TypeError, ["weight float64"], layer_norm_backward, x, x, (4,), draw((4,)))


@both_norms
@pytest.mark.parametrize("dtype", NUMPY_FLOATS)
def test_without_a_weight_its_gradient_is_that_of_ones(norm, dtype):
    grad_y, x = draw((6, 4), dtype), draw((6, 4), dtype)
    without = BACKWARD[norm](grad_y, x, (4,), eps=0.5)
    ones = BACKWARD[norm](grad_y, x, (4,), weight=np.ones(4, dtype), eps=0.5)
    for a, b in zip(without, ones, strict=True):
        assert a.dtype == b.dtype == dtype
        np.testing.assert_array_equal(a, b)


def test_statistics_of_half_precision_are_float32():
    mean, var = mean_and_variance(draw((3, 4), "float16"), (4,))
    assert mean.dtype == var.dtype == np.float32


def test_half_precision_is_rounded_once_at_the_end():
    half = case((64, 32), (32,), ("float16",) * 3)
    names = ("x", "weight", "bias", "grad_y")
    wide = replace(half, **{name: getattr(half, name).float() for name in names})
    for run in (of_layer, partial(of_numpy, norm="layer_norm"), partial(of_numpy, norm="rms_norm")):
        unrounded = run(wide)
        for name, result in run(half).items():
            assert torch.equal(result, unrounded[name].half()), name


@both_norms
def test_lists_are_taken_as_arrays(norm):
    x, grad_y, ones = [[1.0, 2.0, 3.0, 6.0]], [[1.0, 0.0, 2.0, 0.0]], [1.0] * 4
    for function, given in ((FORWARD[norm], (x,)), (BACKWARD[norm], (grad_y, x))):
        expected = function(*map(np.array, given), (4,), np.array(ones), eps=0.5)
        np.testing.assert_equal(function(*given, (4,), ones, eps=0.5), expected)


# --- eps ------------------------------------------------------------------------------------------

PLAIN = [0, 0.0, 1, -0.5, 1e-12, 1e30, True]
NUMPYS = [np.float64(0.5), np.float32(0.5), np.float16(0.5), np.int64(2), np.array(0.5)]


@pytest.mark.parametrize("eps", [*PLAIN, *NUMPYS[:-1]], ids=repr)
@pytest.mark.parametrize("dtype", [*NUMPY_FLOATS, "bfloat16"])
def test_any_number_will_do_as_eps_and_leaves_the_dtype_alone(eps, dtype):
    inputs = case((5, 64), (64,), (dtype, None, None), eps=eps)
    # A variance near 9, so that -0.5 still has a root.
    assert_all_agree(replace(inputs, x=3 * inputs.x))


@pytest.mark.parametrize("eps", NUMPYS, ids=repr)
def test_the_steps_stay_in_the_dtype_of_x_whatever_eps_is(eps):
    x = draw((5, 8), "float32")
    assert normalize(x, *mean_and_variance(x, (8,)), eps=eps).dtype == np.float32
    for norm in FORWARD.values():
        np.testing.assert_array_equal(norm(x, (8,), eps=eps), norm(x, (8,), eps=float(eps)))


@pytest.mark.parametrize("eps", ["1e-5", None, 1e-5 + 0j, [1e-5]])
def test_what_is_no_number_is_refused_as_eps(eps):
    x, words = draw((3, 4)), ["eps must be a number", "1e-5"]
    assert_refused(TypeError, words, normalize, x, *mean_and_variance(x, (4,)), eps=eps)
    assert_refused(TypeError, words, make_layer((4,), eps=eps), tensor(x))
    for norm in FORWARD if eps is not None else ["layer_norm"]:
        assert_refused(TypeError, words, FORWARD[norm], x, (4,), eps=eps)
        assert_refused(TypeError, words, BACKWARD[norm], x, x, (4,), eps=eps)
        assert_pytorch_refuses(norm, x, (4,), eps=eps)


@pytest.mark.parametrize("dtype", [*NUMPY_FLOATS, "bfloat16"])
def test_without_eps_rms_norm_takes_the_one_that_pytorch_implies(dtype):
    # Rows this small are all eps: y = x / sqrt(eps), and twice the eps would show.
    size = 2.0**-30 if dtype == "float64" else 2.0**-14
    inputs = case((5, 8), (8,), (dtype, dtype, None), eps=None)
    inputs = replace(inputs, x=size * inputs.x)
    assert_agree(inputs, of_numpy(inputs, "rms_norm"), norm="rms_norm")
    implied = np.finfo("float64" if dtype == "float64" else "float32").eps
    given = of_numpy(replace(inputs, eps=implied), "rms_norm")
    assert all(torch.equal(t, given[k]) for k, t in of_numpy(inputs, "rms_norm").items())


# --- numbers that are none ------------------------------------------------------------------------

STRANGE = {
    "a NaN": ([[1.0, np.nan, 3.0], [1.0, 2.0, 4.0]], 1e-5),
    "an infinity": ([[1.0, np.inf, 3.0], [1.0, 2.0, 4.0]], 1e-5),
    "constant rows without eps": ([[2.0, 2.0, 2.0], [1.0, 2.0, 4.0]], 0.0),
    "zeros without eps": ([[0.0, 0.0, 0.0], [1.0, 2.0, 4.0]], 0.0),
    "eps below minus the variance": ([[0.0, 0.1, 0.2], [1.0, 2.0, 4.0]], -0.5),
    "eps is NaN": ([[1.0, 2.0, 4.0]], np.nan),
    "eps is infinite": ([[1.0, 2.0, 4.0]], np.inf),
}


@pytest.mark.parametrize("name", STRANGE)
@pytest.mark.parametrize("dtype", NUMPY_FLOATS)
def test_strange_numbers_give_what_pytorch_gives_without_a_warning(name, dtype):
    rows, eps = STRANGE[name]
    x = torch.tensor(rows, dtype=getattr(torch, dtype))
    ones = torch.ones_like(x[0])
    grad_y = torch.ones_like(x)
    grad_y[:, 0] = 2
    inputs = replace(inputs_of(x, (3,), ones, ones, eps), grad_y=grad_y)
    bare = replace(inputs, bias=None)
    tolerance = 8 * torch.finfo(x.dtype).eps
    for results, expected in (
        (of_numpy(inputs, "layer_norm"), of_pytorch(inputs, "layer_norm")),
        (of_layer(inputs), of_pytorch(inputs, "layer_norm")),
        (of_numpy(bare, "rms_norm"), of_pytorch(bare, "rms_norm")),
    ):
        torch.testing.assert_close(
            results, expected, rtol=tolerance, atol=tolerance, equal_nan=True
        )


@both_norms
def test_what_float16_cannot_hold_becomes_infinite_as_in_pytorch(norm):
    x, weight = np.array([[0, 1, 1, 6]], "float16"), np.full(4, 65504, "float16")
    expected = ask_pytorch(norm, x, (4,), weight).numpy()
    assert np.isinf(expected).any()
    np.testing.assert_array_equal(FORWARD[norm](x, (4,), weight), expected)


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


@both_norms
@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("axes", [1, 2])
def test_strides_make_no_difference(norm, view, axes):
    x, grad_y, weight = (VIEWS[view](draw((3, 6, 8), "float32")) for _ in range(3))
    normalized_shape, weight = x.shape[-axes:], weight[(0,) * (3 - axes)]
    strided = (x, normalized_shape, weight)
    packed = (np.ascontiguousarray(x), normalized_shape, np.ascontiguousarray(weight))
    np.testing.assert_array_equal(FORWARD[norm](*strided), FORWARD[norm](*packed))
    one = BACKWARD[norm](grad_y, *strided)
    other = BACKWARD[norm](np.ascontiguousarray(grad_y), *packed)
    for a, b in zip(one, other, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=2e-6)


@both_norms
def test_nothing_given_is_changed_or_handed_back(norm):
    arrays = [draw(s, "float32") for s in ((3, 4), (3, 4), (4,))]
    before = [a.copy() for a in arrays]
    grad_y, x, weight = arrays
    results = (
        FORWARD[norm](x, (4,), weight),
        FORWARD[norm](x, (4,)),
        *BACKWARD[norm](grad_y, x, (4,), weight),
        *BACKWARD[norm](grad_y[:1], x[:1], (4,)),
        *BACKWARD[norm](grad_y[0], x[0], (4,)),
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


def test_a_large_mean_does_not_cost_the_variance():
    x = 2000 + draw((8, 768), "float32")
    _, var = mean_and_variance(x, (768,))
    np.testing.assert_allclose(var[:, 0], x.astype("float64").var(1), rtol=1e-5)
