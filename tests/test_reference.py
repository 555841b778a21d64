"""The package accepts what PyTorch accepts, agrees with it, and refuses what it refuses."""

import inspect
import itertools
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from agreement import (
    BACKWARD,
    FLOATS,
    FORWARD,
    HALF,
    assert_agrees,
    assert_both_agree,
    inputs_of,
    make_layer,
    of_layer,
    of_numpy,
    of_pytorch,
)

from layernorm_book import layer_norm, mean_and_variance, normalize, scale_and_shift

RNG = np.random.default_rng(0)
NUMPY_FLOATS = ("float64", "float32", "float16")
both_norms = pytest.mark.parametrize("norm", FORWARD)

SHAPES = [(4,), (3, 4), (2, 3, 4), (2, 3, 4, 5), (7, 2), (1,), (3, 1), (1, 1)]
EMPTY = [(0, 5), (2, 0, 5), (3, 0), (0, 0)]
FITS = [(s, s[-axes:]) for s in SHAPES + EMPTY for axes in range(1, len(s) + 1)]
# x.shape, normalized_shape, what the message must say besides these two
DOES_NOT_FIT = [
    ((3, 4), (3,), "Pass normalized_shape=(4,)"),
    ((2, 3, 4), (2, 3), "Pass normalized_shape=(3, 4)"),
    ((2, 3, 4), (3,), "Pass normalized_shape=(4,)"),
    ((3, 4), (1,), "Pass normalized_shape=(4,)"),
    ((4,), (2, 4), "move the axes"),
    ((0, 5), (4,), "Pass normalized_shape=(5,)"),
    ((), (1,), "at least one axis"),
    ((3, 4), (), "at least one trailing axis"),
    ((), (), "normalized_shape is empty"),
]


def draw(shape, dtype="float64"):
    return np.asarray(RNG.standard_normal(shape)).astype(dtype)


def case(shape, normalized_shape, dtypes=(torch.float64,) * 3, **kwargs):
    """Return Inputs, random in x and in whichever of weight and bias has a dtype."""
    x, weight, bias = (
        None if dtype is None else torch.from_numpy(draw(s)).to(dtype)
        for s, dtype in zip((shape, normalized_shape, normalized_shape), dtypes, strict=True)
    )
    return inputs_of(x, normalized_shape, weight, bias, **kwargs)


def ask_pytorch(norm, x, normalized_shape, weight=None, **kwargs):
    given = {k: a if k == "eps" else torch.from_numpy(a) for k, a in kwargs.items()}
    weight = None if weight is None else torch.from_numpy(weight)
    return getattr(F, norm)(torch.from_numpy(x), normalized_shape, weight, **given)


def assert_refused(error, words, call, *args, **kwargs):
    """Expect an error whose message holds all these words."""
    with pytest.raises(error) as refusal:
        call(*args, **kwargs)
    assert all(word in str(refusal.value) for word in words), refusal.value


assert_pytorch_refuses = partial(assert_refused, (RuntimeError, TypeError, ValueError), ())


@both_norms
def test_the_signature_is_pytorchs(norm):
    ours, theirs = (inspect.signature(f).parameters for f in (FORWARD[norm], getattr(F, norm)))
    assert list(ours)[1:] == list(theirs)[1:]  # PyTorch calls x input
    assert [p.default for p in ours.values()] == [p.default for p in theirs.values()]


@pytest.mark.parametrize(("shape", "normalized_shape"), FITS)
def test_every_shape_that_fits_agrees_with_and_without_parameters(shape, normalized_shape):
    for eps, weight, bias in itertools.product((1e-5, 0.5), *[(torch.float64, None)] * 2):
        assert_both_agree(case(shape, normalized_shape, (torch.float64, weight, bias), eps=eps))


@pytest.mark.parametrize(("shape", "normalized_shape", "hint"), DOES_NOT_FIT)
def test_every_shape_that_does_not_fit_is_refused_with_the_fix(shape, normalized_shape, hint):
    x, words = draw(shape), [str(shape), hint, str(normalized_shape or "")]
    assert_refused(ValueError, words, mean_and_variance, x, normalized_shape)
    assert_refused(RuntimeError, words, make_layer(normalized_shape), torch.from_numpy(x))
    for norm in FORWARD:
        assert_refused(ValueError, words, FORWARD[norm], x, normalized_shape)
        assert_refused(ValueError, words, BACKWARD[norm], x, x, normalized_shape)
        assert_pytorch_refuses(ask_pytorch, norm, x, normalized_shape)


@pytest.mark.parametrize("shape", [(3,), (1,), (), (1, 4), (2, 3, 4), (5,)])
def test_parameters_of_another_shape_are_refused_even_where_they_would_broadcast(shape):
    x, parameter, words = draw((2, 3, 4)), draw(shape), ["(4,)", str(shape), "reshape"]
    for name, norm in (("weight", "layer_norm"), ("bias", "layer_norm"), ("weight", "rms_norm")):
        given = {name: parameter}
        assert_refused(ValueError, [name, *words], FORWARD[norm], x, (4,), **given)
        layer = make_layer((4,), **{name: torch.from_numpy(parameter)})
        assert_refused(RuntimeError, [name, *words], layer, torch.from_numpy(x))
        assert_pytorch_refuses(ask_pytorch, norm, x, (4,), **given)
        assert_refused(ValueError, ["weight", *words], BACKWARD[norm], x, x, (4,), parameter)


@both_norms
@pytest.mark.parametrize("normalized_shape", [4, (4.0,), (True,), "4", None, np.array([4])])
def test_normalized_shape_must_be_a_tuple_of_integers(norm, normalized_shape):
    x = draw((3, 4))
    assert_refused(TypeError, ["tuple of integers", "(4,)"], FORWARD[norm], x, normalized_shape)
    assert_pytorch_refuses(ask_pytorch, norm, x, normalized_shape)
    for sizes in ([4], torch.Size([4]), (np.int64(4),)):  # as PyTorch takes them
        np.testing.assert_equal(FORWARD[norm](x, sizes), FORWARD[norm](x, (4,)))
        assert ask_pytorch(norm, x, sizes).shape == x.shape


@pytest.mark.filterwarnings("ignore:Mismatch dtype between input and weight")  # of rms_norm
@pytest.mark.parametrize("dtype", [*FLOATS, torch.int64, torch.bool, torch.complex64], ids=str)
def test_the_same_dtypes_go_together_as_in_pytorch_and_agree(dtype):
    for weight, bias in itertools.product((None, *FLOATS), repeat=2):
        inputs = case((5, 3, 8), (3, 8), (dtype, weight, bias), eps=0.5)
        x, weights = inputs.x, (inputs.weight, inputs.bias)
        if dtype in FLOATS and bias is None:  # RMSNorm takes a weight of any float
            bare = replace(inputs, eps=None)
            assert_agrees(bare, "rms_norm")
        try:
            expected = F.layer_norm(x, (3, 8), *weights, 0.5)
        except RuntimeError:
            named = [str(d).removeprefix("torch.") for d in (dtype, weight, bias) if d]
            words = ["Convert", *(named if dtype in FLOATS else named[:1])]
            assert_refused(RuntimeError, words, make_layer((3, 8), *weights), x)
            if torch.bfloat16 not in (dtype, weight, bias):  # NumPy has none
                x, *weights = (None if t is None else t.numpy() for t in (x, *weights))
                assert_refused(TypeError, words, layer_norm, x, (3, 8), *weights)
            continue
        if weight is None and bias is torch.float32 and dtype in HALF:
            # Forward only: PyTorch 2.13 takes this pair and then fails in its own backward.
            torch.testing.assert_close(make_layer((3, 8), *weights, eps=0.5)(x), expected)
            if dtype is torch.float16:
                y = layer_norm(x.numpy(), (3, 8), bias=inputs.bias.numpy(), eps=0.5)
                torch.testing.assert_close(torch.from_numpy(y), expected)
        else:
            assert_both_agree(inputs)


@both_norms
@pytest.mark.parametrize("dtype", ["int64", "bool", "complex64"])
def test_what_is_no_float_is_refused(norm, dtype):
    x, ones, got = np.ones((3, 4)), np.ones(4, dtype), f"got {dtype}"
    for call in (FORWARD[norm], lambda x, *args: BACKWARD[norm](x, x, *args)):
        assert_refused(TypeError, ["x must be", got], call, x.astype(dtype), (4,))
        assert_refused(TypeError, ["weight must be", got], call, x, (4,), ones)


@both_norms
def test_the_backward_refuses_a_gradient_that_is_not_like_x(norm):
    x = draw((2, 3, 4), "float32")
    words = ["grad_y", "float32", "float64"]
    assert_refused(TypeError, words, BACKWARD[norm], draw((2, 3, 4)), x, (4,))
    for shape in [(4,), (3, 4), (1, 1, 4), (2, 3, 1), (4, 3, 2)]:
        words = ["grad_y", "(2, 3, 4)", str(shape)]
        assert_refused(ValueError, words, BACKWARD[norm], draw(shape, "float32"), x, (4,))


@both_norms
@pytest.mark.parametrize("dtype", NUMPY_FLOATS)
def test_without_a_weight_its_gradient_is_that_of_ones(norm, dtype):
    grad_y, x = draw((6, 4), dtype), draw((6, 4), dtype)
    without = BACKWARD[norm](grad_y, x, (4,), eps=0.5)
    ones = BACKWARD[norm](grad_y, x, (4,), weight=np.ones(4, dtype), eps=0.5)
    np.testing.assert_equal(without, ones)
    assert {a.dtype for a in without + ones} == {np.dtype(dtype)}


def test_half_precision_is_rounded_once_at_the_end():
    half = case((64, 32), (32,), (torch.float16,) * 3)
    names = ("x", "weight", "bias", "grad_y")
    wide = replace(half, **{name: getattr(half, name).float() for name in names})
    for run in (of_layer, partial(of_numpy, norm="layer_norm"), partial(of_numpy, norm="rms_norm")):
        unrounded = run(wide)
        for name, result in run(half).items():
            assert torch.equal(result, unrounded[name].half()), name
    statistics = mean_and_variance(half.x.numpy(), (32,))
    assert {a.dtype for a in statistics} == {np.dtype("float32")}


@both_norms
def test_lists_are_taken_as_arrays(norm):
    x, grad_y, ones = [[1.0, 2.0, 3.0, 6.0]], [[1.0, 0.0, 2.0, 0.0]], [1.0] * 4
    for function, given in ((FORWARD[norm], (x,)), (BACKWARD[norm], (grad_y, x))):
        expected = function(*map(np.array, given), (4,), np.array(ones), eps=0.5)
        np.testing.assert_equal(function(*given, (4,), ones, eps=0.5), expected)


PLAIN = [0, 0.0, 1, -0.5, 1e-12, 1e30, True]
NUMPYS = [np.float64(0.5), np.float32(0.5), np.float16(0.5), np.int64(2)]


@pytest.mark.parametrize("eps", [*PLAIN, *NUMPYS], ids=repr)
@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_any_number_will_do_as_eps_and_leaves_the_dtype_alone(eps, dtype):
    inputs = case((5, 64), (64,), (dtype, None, None), eps=eps)
    # A variance near 9, so that -0.5 still has a root.
    assert_both_agree(replace(inputs, x=3 * inputs.x))


@pytest.mark.parametrize("eps", [*NUMPYS, np.array(0.5)], ids=repr)
def test_the_steps_stay_in_the_dtype_of_x_whatever_eps_is(eps):
    x = draw((5, 8), "float32")
    assert normalize(x, *mean_and_variance(x, (8,)), eps=eps).dtype == np.float32
    for norm in FORWARD.values():
        np.testing.assert_array_equal(norm(x, (8,), eps=eps), norm(x, (8,), eps=float(eps)))


@pytest.mark.parametrize("eps", ["1e-5", None, 1e-5 + 0j, [1e-5]])
def test_what_is_no_number_is_refused_as_eps(eps):
    x, words = draw((3, 4)), ["eps must be a number", "1e-5"]
    assert_refused(TypeError, words, normalize, x, *mean_and_variance(x, (4,)), eps=eps)
    assert_refused(TypeError, words, make_layer((4,), eps=eps), torch.from_numpy(x).float())
    for norm in FORWARD if eps is not None else ["layer_norm"]:
        assert_refused(TypeError, words, FORWARD[norm], x, (4,), eps=eps)
        assert_refused(TypeError, words, BACKWARD[norm], x, x, (4,), eps=eps)
        assert_pytorch_refuses(ask_pytorch, norm, x, (4,), eps=eps)


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_without_eps_rms_norm_takes_the_one_that_pytorch_implies(dtype):
    inputs = case((5, 8), (8,), (dtype, dtype, None), eps=None)
    # Rows so small that eps is all there is under the root.
    inputs = replace(inputs, x=inputs.x * (2.0**-30 if dtype is torch.float64 else 2.0**-14))
    assert_agrees(inputs, "rms_norm")


STRANGE = {  # a row, eps
    "a NaN": ([1.0, np.nan, 3.0], 1e-5),
    "an infinity": ([1.0, np.inf, 3.0], 1e-5),
    "a constant row without eps": ([2.0, 2.0, 2.0], 0.0),
    "zeros without eps": ([0.0, 0.0, 0.0], 0.0),
    "eps below minus the variance": ([0.0, 0.1, 0.2], -0.5),
    "eps is NaN": ([1.0, 2.0, 5.0], np.nan),
    "eps is infinite": ([1.0, 2.0, 5.0], np.inf),
}


@pytest.mark.parametrize(("row", "eps"), STRANGE.values(), ids=STRANGE)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16], ids=str)
def test_strange_numbers_give_what_pytorch_gives_without_a_warning(row, eps, dtype):
    x = torch.tensor([row, [1.0, 2.0, 4.0]], dtype=dtype)
    grad_y = torch.ones_like(x)
    grad_y[:, 0] = 2
    whole = replace(inputs_of(x, (3,), grad_y[0], grad_y[0], eps), grad_y=grad_y)
    bare = replace(whole, bias=None)
    for results, expected in (
        (of_numpy(whole, "layer_norm"), of_pytorch(whole, "layer_norm")),
        (of_layer(whole), of_pytorch(whole, "layer_norm")),
        (of_numpy(bare, "rms_norm"), of_pytorch(bare, "rms_norm")),
    ):
        close = {"rtol": 8 * torch.finfo(dtype).eps, "atol": 8 * torch.finfo(dtype).eps}
        torch.testing.assert_close(results, expected, **close, equal_nan=True)


@both_norms
def test_what_float16_cannot_hold_becomes_infinite_as_in_pytorch(norm):
    x, weight = np.array([[0, 1, 1, 6]], "float16"), np.full(4, 65504, "float16")
    expected = ask_pytorch(norm, x, (4,), weight).numpy()
    assert np.isinf(expected).any()
    np.testing.assert_array_equal(FORWARD[norm](x, (4,), weight), expected)


def test_the_steps_are_quiet_one_by_one():
    x = np.array([[np.inf, 1.0], [2.0, 2.0]])
    assert np.isnan(normalize(x, *mean_and_variance(x, (2,)), eps=0)).all()
    assert np.isnan(scale_and_shift(np.array([np.inf]), np.array([0.0]))).all()


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
    weight = weight[(0,) * (3 - axes)]
    packed, n = [np.ascontiguousarray(a) for a in (grad_y, x)], weight.shape
    np.testing.assert_equal(FORWARD[norm](x, n, weight), FORWARD[norm](packed[1], n, weight))
    grads = BACKWARD[norm](grad_y, x, n, weight), BACKWARD[norm](*packed, n, weight)
    for a, b in zip(*grads, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=2e-6)


@both_norms
def test_nothing_given_is_changed_or_handed_back(norm):
    arrays = grad_y, x, weight = [draw(s, "float32") for s in ((3, 4), (3, 4), (4,))]
    before = [a.copy() for a in arrays]
    results = [FORWARD[norm](x, (4,), weight), FORWARD[norm](x, (4,))]
    for rows in (slice(None), slice(1), 0):  # with one row alone there is nothing to sum
        results += BACKWARD[norm](grad_y[rows], x[rows], (4,))
    results += BACKWARD[norm](grad_y, x, (4,), weight)
    np.testing.assert_equal(arrays, before)
    assert not any(np.shares_memory(a, b) for a in arrays for b in results)


def test_scale_and_shift_takes_either_or_neither():
    x_hat, weight, bias = draw((3, 4)), draw((4,)), draw((4,))
    np.testing.assert_equal(scale_and_shift(x_hat), x_hat)
    np.testing.assert_equal(scale_and_shift(x_hat, weight), x_hat * weight)
    np.testing.assert_equal(scale_and_shift(x_hat, bias=bias), x_hat + bias)
    np.testing.assert_equal(scale_and_shift(x_hat, weight, bias), x_hat * weight + bias)


def test_a_large_mean_does_not_cost_the_variance():
    x = 2000 + draw((8, 768), "float32")
    _, var = mean_and_variance(x, (768,))
    np.testing.assert_allclose(var[:, 0], x.astype("float64").var(1), rtol=1e-5)
