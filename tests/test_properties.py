"""What must hold for every input, tried on inputs that Hypothesis looks for."""

import numpy as np
import torch
from agreement import assert_agrees, inputs_of, of_module, of_numpy
from hypothesis import given
from hypothesis import strategies as st

from layernorm_book import layer_norm, layer_norm_backward, mean_and_variance

sizes = st.integers(1, 6)
seeds = st.integers(0, 2**32 - 1)
epsilons = st.sampled_from([1e-12, 1e-5, 1e-3, 0.5, 100.0]) | st.floats(1e-6, 10.0)
VIEWS = {
    "contiguous": lambda x: x,
    "transposed": lambda x: x.mT.contiguous().mT if x.ndim > 1 else x,
    "every second": lambda x: x.repeat_interleave(2, -1)[..., ::2],
    "a window": lambda x: torch.nn.functional.pad(x, (1, 2))[..., 1:-2],
    "expanded": lambda x: x[:1].expand_as(x),
}


@st.composite
def rows(draw):
    """Draw a float64 matrix whose rows have a spread of at least a tenth."""
    rng = np.random.default_rng(draw(seeds))
    n = draw(st.integers(2, 40))
    x = rng.standard_normal((draw(sizes), n))
    return x / x.std(axis=1, keepdims=True) * draw(st.floats(0.1, 10.0))


@st.composite
def cases(draw):
    """Draw the inputs of a layer norm: any rank, shape, dtype, strides, eps, weight and bias."""
    dtype = draw(st.sampled_from([torch.float64, torch.float32, torch.float16, torch.bfloat16]))
    normalized_shape = tuple(draw(st.lists(sizes | st.just(33), min_size=1, max_size=3)))
    leading = tuple(draw(st.lists(st.integers(0, 4), max_size=2)))
    generator = torch.Generator().manual_seed(draw(seeds))

    def randn(shape):
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    sigma, mean = draw(st.sampled_from([0.01, 1.0, 30.0])), draw(st.sampled_from([0.0, 3.0, 300.0]))
    x = (mean + sigma * randn((*leading, *normalized_shape))).to(dtype)
    if x.shape[0]:
        x = VIEWS[draw(st.sampled_from(sorted(VIEWS)))](x)
    both = draw(st.sampled_from([dtype, torch.float32])) if dtype.itemsize == 2 else dtype
    weight, bias = (randn(normalized_shape).to(both) if draw(st.booleans()) else None for _ in "γβ")
    if weight is None and bias is not None:
        bias = bias.to(dtype)  # PyTorch's own backward fails on a wider bias alone
    # PyTorch keeps 1/√(var + eps) in half precision, where it overflows for a smaller eps.
    eps = max(draw(epsilons), 1e-5 if dtype is torch.float16 else 0)
    return inputs_of(x, normalized_shape, weight, bias, eps, seed=draw(seeds))


# --- agreement with PyTorch -----------------------------------------------------------------------


@given(cases())
def test_numpy_agrees_with_pytorch_forward_and_backward(inputs):
    assert_agrees(of_numpy(inputs), inputs)


@given(cases())
def test_the_module_agrees_with_pytorch_forward_and_backward(inputs):
    assert_agrees(of_module(inputs), inputs)


# --- what the layer forgets -----------------------------------------------------------------------


@given(rows(), st.floats(-100, 100))
def test_shifting_a_row_changes_nothing(x, shift):
    n = x.shape[1]
    np.testing.assert_allclose(layer_norm(x + shift, (n,)), layer_norm(x, (n,)), atol=1e-10)


@given(rows(), st.floats(1e-3, 1e3), epsilons)
def test_scaling_a_row_is_scaling_eps_by_the_inverse_square(x, scale, eps):
    n = x.shape[1]
    scaled = layer_norm(scale * x, (n,), eps=eps)
    np.testing.assert_allclose(scaled, layer_norm(x, (n,), eps=eps / scale**2), atol=1e-12)


@given(rows(), st.floats(1e-3, 1e3))
def test_without_eps_scaling_a_row_changes_nothing(x, scale):
    n = x.shape[1]
    scaled = layer_norm(scale * x, (n,), eps=0)
    np.testing.assert_allclose(scaled, layer_norm(x, (n,), eps=0), atol=1e-12)
    np.testing.assert_allclose(layer_norm(-x, (n,)), -layer_norm(x, (n,)), atol=1e-12)


# --- what comes out -------------------------------------------------------------------------------


@given(rows(), epsilons)
def test_a_row_comes_out_with_mean_0_and_a_known_variance(x, eps):
    y = layer_norm(x, x.shape[1:], eps=eps)
    var = x.var(axis=1)
    np.testing.assert_allclose(y.mean(axis=1), 0, atol=1e-13)
    np.testing.assert_allclose(y.var(axis=1), var / (var + eps), rtol=1e-11)


@given(rows())
def test_without_eps_a_row_lies_on_the_sphere_and_no_entry_beyond_its_bound(x):
    n = x.shape[1]
    y = layer_norm(x, (n,), eps=0)
    np.testing.assert_allclose(np.linalg.norm(y, axis=1), np.sqrt(n), rtol=1e-12)
    assert np.abs(y).max() <= np.sqrt(n - 1) * (1 + 1e-12)


@given(rows())
def test_normalizing_twice_changes_nothing(x):
    once = layer_norm(x, x.shape[1:], eps=0)
    np.testing.assert_allclose(layer_norm(once, x.shape[1:], eps=0), once, atol=1e-12)


@given(rows(), seeds)
def test_permuting_elements_and_rows_permutes_the_result(x, seed):
    rng = np.random.default_rng(seed)
    i, j = rng.permutation(len(x)), rng.permutation(x.shape[1])
    y = layer_norm(x, x.shape[1:])
    np.testing.assert_allclose(layer_norm(x[i][:, j], x.shape[1:]), y[i][:, j], atol=1e-12)


@given(rows())
def test_rows_do_not_know_of_each_other(x):
    y = layer_norm(x, x.shape[1:])
    for row, result in zip(x, y, strict=True):
        np.testing.assert_allclose(layer_norm(row, row.shape), result, atol=1e-13)


@given(rows())
def test_the_statistics_are_numpys_own(x):
    mean, var = mean_and_variance(x, x.shape[1:])
    np.testing.assert_allclose(mean[:, 0], x.mean(axis=1), atol=1e-13)
    np.testing.assert_allclose(var[:, 0], x.var(axis=1), rtol=1e-12)


# --- the backward ---------------------------------------------------------------------------------


@given(rows(), seeds, epsilons)
def test_the_gradient_of_x_sums_to_0_and_almost_misses_x_hat(x, seed, eps):
    n = x.shape[1]
    grad_y = np.random.default_rng(seed).standard_normal(x.shape)
    grad_x, _, _ = layer_norm_backward(grad_y, x, (n,), eps=eps)
    var = x.var(axis=1)
    size = np.linalg.norm(grad_y, axis=1) / np.sqrt(var + eps)
    np.testing.assert_allclose(grad_x.sum(axis=1) / size, 0, atol=1e-12)
    x_hat = layer_norm(x, (n,), eps=eps)
    along = (grad_x * x_hat).sum(axis=1)  # what is left along x_hat is of the order of eps
    left = (grad_y * x_hat).sum(axis=1) * eps / (var + eps) ** 1.5
    np.testing.assert_allclose((along - left) / size, 0, atol=1e-11)


@given(rows(), seeds)
def test_the_backward_is_linear_in_the_upstream_gradient(x, seed):
    rng = np.random.default_rng(seed)
    a, b = rng.standard_normal((2, *x.shape))
    weight = rng.standard_normal(x.shape[1])
    whole, first, second = (
        layer_norm_backward(g, x, x.shape[1:], weight) for g in (2 * a - 3 * b, a, b)
    )
    for w, f, s in zip(whole, first, second, strict=True):
        np.testing.assert_allclose(w, 2 * f - 3 * s, rtol=1e-9, atol=1e-9)


@given(rows(), seeds)
def test_the_gradient_predicts_what_a_small_step_does_to_the_loss(x, seed):
    grad_y, direction = np.random.default_rng(seed).standard_normal((2, *x.shape))
    grad_x, _, _ = layer_norm_backward(grad_y, x, x.shape[1:], eps=0.5)

    def loss(step):
        return (grad_y * layer_norm(x + step * direction, x.shape[1:], eps=0.5)).sum()

    slope = (loss(1e-5) - loss(-1e-5)) / 2e-5
    np.testing.assert_allclose(slope, (grad_x * direction).sum(), rtol=1e-7, atol=1e-7)
