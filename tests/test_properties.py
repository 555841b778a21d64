"""What must hold for every input, tried on inputs that Hypothesis looks for."""

import numpy as np
import pytest
import torch
from agreement import BACKWARD, FLOATS, FORWARD, HALF, assert_both_agree, inputs_of
from hypothesis import given, settings
from hypothesis import strategies as st

from layernorm_book import layer_norm, mean_and_variance, rms_norm

close = np.testing.assert_allclose
few = settings(max_examples=30)
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
    """Draw a float64 matrix whose rows have a spread of at least a tenth, and a generator."""
    rng = np.random.default_rng(draw(seeds))
    n = draw(st.integers(2, 40))
    x = rng.standard_normal((draw(sizes), n))
    return x / x.std(axis=1, keepdims=True) * draw(st.floats(0.1, 10.0)), rng


@st.composite
def cases(draw):
    """Draw the inputs of a layer norm: any rank, shape, dtype, strides, eps, weight and bias."""
    dtype = draw(st.sampled_from(FLOATS))
    normalized_shape = tuple(draw(st.lists(sizes | st.just(33), min_size=1, max_size=3)))
    leading = tuple(draw(st.lists(st.integers(0, 4), max_size=2)))
    generator = torch.Generator().manual_seed(draw(seeds))

    def randn(shape):
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    sigma, mean = draw(st.sampled_from([0.01, 1.0, 30.0])), draw(st.sampled_from([0.0, 3.0, 300.0]))
    x = (mean + sigma * randn((*leading, *normalized_shape))).to(dtype)
    if x.shape[0]:
        x = VIEWS[draw(st.sampled_from(sorted(VIEWS)))](x)
    both = draw(st.sampled_from([dtype, torch.float32])) if dtype in HALF else dtype
    weight, bias = (randn(normalized_shape).to(both) if draw(st.booleans()) else None for _ in "γβ")
    if weight is None and bias is not None:
        bias = bias.to(dtype)  # PyTorch's own backward fails on a wider bias alone
    # PyTorch keeps 1/√(var + eps) in half precision, where it overflows for a smaller eps.
    eps = max(draw(epsilons), 1e-5 if dtype is torch.float16 else 0)
    return inputs_of(x, normalized_shape, weight, bias, eps, seed=draw(seeds))


@pytest.mark.filterwarnings("ignore:Mismatch dtype between input and weight")  # of rms_norm
@given(cases())
def test_both_norms_and_the_layer_agree_with_pytorch_forward_and_backward(inputs):
    assert_both_agree(inputs)


@few
@given(rows(), st.floats(-100, 100), st.floats(1e-3, 1e3), epsilons)
def test_what_the_norms_forget(drawn, shift, scale, eps):
    x, _ = drawn
    n = x.shape[1:]
    close(layer_norm(x + shift, n), layer_norm(x, n), atol=1e-10)
    for norm in (layer_norm, rms_norm):
        close(norm(scale * x, n, eps=eps), norm(x, n, eps=eps / scale**2), atol=1e-12)
        close(norm(scale * x, n, eps=0), norm(x, n, eps=0), atol=1e-12)
        close(norm(-x, n), -norm(x, n), atol=1e-12)


@few
@given(rows(), epsilons)
def test_what_comes_out(drawn, eps):
    x, _ = drawn
    n = x.shape[1]
    mean, var = mean_and_variance(x, (n,))
    close(mean[:, 0], x.mean(axis=1), atol=1e-13)
    close(var[:, 0], x.var(axis=1), rtol=1e-12)

    y = layer_norm(x, (n,), eps=eps)
    close(y.mean(axis=1), 0, atol=1e-13)
    close(y.var(axis=1), x.var(axis=1) / (x.var(axis=1) + eps), rtol=1e-11)
    mean_square = (x**2).mean(axis=1)
    y = rms_norm(x, (n,), eps=eps)
    close((y**2).mean(axis=1), mean_square / (mean_square + eps), rtol=1e-11)
    close(layer_norm(x, (n,), eps=eps), rms_norm(x - mean, (n,), eps=eps), atol=1e-12)

    for norm, bound in ((layer_norm, np.sqrt(n - 1)), (rms_norm, np.sqrt(n))):
        y = norm(x, (n,), eps=0)
        close(np.linalg.norm(y, axis=1), np.sqrt(n), rtol=1e-12)  # every row lies on the sphere
        assert np.abs(y).max() <= bound * (1 + 1e-12)
        close(norm(y, (n,), eps=0), y, atol=1e-12)  # a second time changes nothing


@few
@given(rows())
def test_the_order_of_elements_and_the_other_rows_do_not_matter(drawn):
    x, rng = drawn
    i, j = rng.permutation(len(x)), rng.permutation(x.shape[1])
    for norm in (layer_norm, rms_norm):
        y = norm(x, x.shape[1:])
        close(norm(x[i][:, j], x.shape[1:]), y[i][:, j], atol=1e-12)
        close([norm(row, row.shape) for row in x], y, atol=1e-13)


@few
@given(rows(), epsilons)
def test_the_gradient_of_x_sums_to_0_and_almost_misses_x_hat(drawn, eps):
    x, rng = drawn
    n = x.shape[1:]
    grad_y = rng.standard_normal(x.shape)
    for norm, square in (("layer_norm", x.var(axis=1)), ("rms_norm", (x**2).mean(axis=1))):
        grad_x = BACKWARD[norm](grad_y, x, n, eps=eps)[0]
        size = np.linalg.norm(grad_y, axis=1) / np.sqrt(square + eps)
        if norm == "layer_norm":
            close(grad_x.sum(axis=1) / size, 0, atol=1e-12)
        x_hat = FORWARD[norm](x, n, eps=eps)
        along = (grad_x * x_hat).sum(axis=1)  # what is left along x_hat is of the order of eps
        left = (grad_y * x_hat).sum(axis=1) * eps / (square + eps) ** 1.5
        close((along - left) / size, 0, atol=1e-11)


@few
@given(rows())
def test_the_backward_is_linear_and_predicts_what_a_small_step_does_to_the_loss(drawn):
    x, rng = drawn
    n = x.shape[1:]
    a, b, step = rng.standard_normal((3, *x.shape))
    weight = rng.standard_normal(n)
    for norm, backward in zip(FORWARD.values(), BACKWARD.values(), strict=True):
        whole, first, second = (backward(g, x, n, weight, eps=0.5) for g in (2 * a - 3 * b, a, b))
        for w, f, s in zip(whole, first, second, strict=True):
            close(w, 2 * f - 3 * s, rtol=1e-9, atol=1e-9)
        up, down = ((a * norm(x + h * step, n, weight, eps=0.5)).sum() for h in (1e-5, -1e-5))
        close((up - down) / 2e-5, (first[0] * step).sum(), rtol=1e-7, atol=1e-7)
