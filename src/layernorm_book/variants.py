"""Layer norms that are wrong, or that are something else: one function each, in torch.

They are the negative controls of the parity check, and the suspects that it compares a failing
candidate with. Each has the signature of `torch.nn.functional.layer_norm` and differs from it in
the one step that its name says. Every layer norm here runs the same three steps, in parts:

    mean, var = mean(x, dims), var(x, mean, dims)
    x_hat     = normalize(x, mean, var, eps)
    y         = affine(x_hat, weight, bias)

so a variant is the right layer with one part exchanged, and two bugs at once are two parts.
"""

import math

import torch

# --- the right steps ------------------------------------------------------------------------------


def trailing(x, dims):
    """Share statistics over the normalized axes."""
    return dims


def average(x, dims):
    """Return the mean, with the axes kept."""
    return x.mean(dims, keepdim=True)  # (*, 1, ..., 1)


def biased(x, mean, dims):
    """Return the average squared distance to the mean."""
    return (x - mean).square().mean(dims, keepdim=True)  # (*, 1, ..., 1)


def attached(statistic):
    """Leave a statistic in the graph, so that gradients flow through it."""
    return statistic


def as_given(eps):
    """Use the eps that was asked for."""
    return eps


def eps_inside(x, mean, var, eps):
    """Centre and divide by √(var + eps)."""
    return (x - mean) / torch.sqrt(var + eps)


def scale_then_shift(x_hat, weight, bias):
    """Return x_hat · weight + bias, either of which may be None."""
    y = x_hat if weight is None else x_hat * weight
    return y if bias is None else y + bias


def run_steps(
    x,
    normalized_shape,
    weight=None,
    bias=None,
    eps=1e-5,
    *,
    axes=trailing,
    mean=average,
    var=biased,
    keep_mean=attached,
    keep_var=attached,
    eps_in_use=as_given,
    normalize=eps_inside,
    affine=scale_then_shift,
    statistics_dtype=torch.float32,
):
    """Run the three steps of a layer norm, any part of which may be exchanged for a wrong one.

    Args:
        x: tensor of shape (*, *normalized_shape), floating point.
        normalized_shape: tuple of the trailing sizes that share their statistics.
        weight, bias: tensors of shape `normalized_shape`, or None.
        eps: added to the variance, in the units of x squared.
        axes: (x, dims) -> the axes that share their statistics.
        mean: (x, dims) -> mean.
        var: (x, mean, dims) -> var.
        keep_mean, keep_var: statistic -> the same numbers, in the graph or cut off from it.
        eps_in_use: eps -> the eps that is added.
        normalize: (x, mean, var, eps) -> x_hat.
        affine: (x_hat, weight, bias) -> y.
        statistics_dtype: half-precision x is widened to this dtype before the first step.

    Returns:
        y, of the shape and dtype of `x`.

    Raises:
        RuntimeError: torch's own, where shapes do not fit.
    """
    wide = x.to(torch.promote_types(x.dtype, statistics_dtype))
    dims = axes(wide, tuple(range(-len(normalized_shape), 0)))
    centre = mean(wide, dims)
    spread = keep_var(var(wide, centre, dims))
    x_hat = normalize(wide, keep_mean(centre), spread, eps_in_use(eps))
    return affine(x_hat, weight, bias).to(x.dtype)


# --- the wrong ones -------------------------------------------------------------------------------


def first_axis(x, dims):
    """Share statistics over the first axis, as BatchNorm does."""
    return (0,)


def no_mean(x, dims):
    """Subtract nothing."""
    return torch.zeros_like(x.mean(dims, keepdim=True))


def unbiased(x, mean, dims):
    """Divide the squared distances by n − 1."""
    n = math.prod(x.shape[d] for d in dims)
    return (x - mean).square().sum(dims, keepdim=True) / (n - 1)


def one_pass(x, mean, dims):
    """Return E[x²] − E[x]², whose two terms cancel where the mean is large."""
    return x.square().mean(dims, keepdim=True) - mean.square()


def detached(statistic):
    """Cut a statistic off from the graph."""
    return statistic.detach()


def eps_outside(x, mean, var, eps):
    """Centre and divide by √var + eps."""
    return (x - mean) / (torch.sqrt(var) + eps)


def no_root(x, mean, var, eps):
    """Centre and divide by var + eps."""
    return (x - mean) / (var + eps)


def no_eps(eps):
    """Add nothing to the variance."""
    return 0.0


def squared(eps):
    """Add eps², as if eps were in the units of x."""
    return eps**2


def no_affine(x_hat, weight, bias):
    """Ignore weight and bias."""
    return x_hat


def scale_by_bias(x_hat, weight, bias):
    """Take the one for the other."""
    return scale_then_shift(x_hat, bias, weight)


def shift_then_scale(x_hat, weight, bias):
    """Add the bias first, so that the weight scales it too."""
    shifted = x_hat if bias is None else x_hat + bias
    return shifted if weight is None else shifted * weight


# --- layer norms with one part exchanged ----------------------------------------------------------


def unbiased_variance(x, normalized_shape, weight=None, bias=None, eps=1e-5):
    """Divide by n − 1, which is what `torch.std` and `torch.var` do unless told otherwise."""
    return run_steps(x, normalized_shape, weight, bias, eps, var=unbiased)


def one_pass_variance(x, normalized_shape, weight=None, bias=None, eps=1e-5):
    """Compute the variance as E[x²] − E[x]², which cancels where the mean is large."""
    return run_steps(x, normalized_shape, weight, bias, eps, var=one_pass)


def detached_statistics(x, normalized_shape, weight=None, bias=None, eps=1e-5):
    """Take mean and variance as constants: the forward is right, the gradient of x is not."""
    parts = {"keep_mean": detached, "keep_var": detached}
    return run_steps(x, normalized_shape, weight, bias, eps, **parts)


def wrong_axis(x, normalized_shape, weight=None, bias=None, eps=1e-5):
    """Share statistics over the first axis, as BatchNorm does, and not over the trailing ones."""
    return run_steps(x, normalized_shape, weight, bias, eps, axes=first_axis)


def low_precision_statistics(x, normalized_shape, weight=None, bias=None, eps=1e-5):
    """Compute float16 and bfloat16 in their own precision, and not in float32."""
    return run_steps(x, normalized_shape, weight, bias, eps, statistics_dtype=x.dtype)


def eps_outside_sqrt(x, normalized_shape, weight=None, bias=None, eps=1e-5):
    """Divide by √var + eps."""
    return run_steps(x, normalized_shape, weight, bias, eps, normalize=eps_outside)


def missing_sqrt(x, normalized_shape, weight=None, bias=None, eps=1e-5):
    """Divide by the variance, and not by its root."""
    return run_steps(x, normalized_shape, weight, bias, eps, normalize=no_root)


def missing_eps(x, normalized_shape, weight=None, bias=None, eps=1e-5):
    """Divide by √var alone."""
    return run_steps(x, normalized_shape, weight, bias, eps, eps_in_use=no_eps)


def wrong_eps(x, normalized_shape, weight=None, bias=None, eps=1e-5):
    """Add eps² to the variance, as if eps were in the units of x."""
    return run_steps(x, normalized_shape, weight, bias, eps, eps_in_use=squared)


def no_centering(x, normalized_shape, weight=None, bias=None, eps=1e-5):
    """Divide by the root mean square and leave the mean in: this is RMSNorm, with a shift."""
    return run_steps(x, normalized_shape, weight, bias, eps, mean=no_mean)


def missing_affine(x, normalized_shape, weight=None, bias=None, eps=1e-5):
    """Ignore weight and bias."""
    return run_steps(x, normalized_shape, weight, bias, eps, affine=no_affine)


def swapped_affine(x, normalized_shape, weight=None, bias=None, eps=1e-5):
    """Scale by the bias and shift by the weight."""
    return run_steps(x, normalized_shape, weight, bias, eps, affine=scale_by_bias)


def shift_before_scale(x, normalized_shape, weight=None, bias=None, eps=1e-5):
    """Add the bias first, so that the weight scales it too."""
    return run_steps(x, normalized_shape, weight, bias, eps, affine=shift_then_scale)


VARIANTS = {
    "eps-outside-sqrt": eps_outside_sqrt,
    "unbiased-variance": unbiased_variance,
    "missing-sqrt": missing_sqrt,
    "missing-eps": missing_eps,
    "wrong-eps": wrong_eps,
    "wrong-axis": wrong_axis,
    "no-centering": no_centering,
    "missing-affine": missing_affine,
    "swapped-affine": swapped_affine,
    "shift-before-scale": shift_before_scale,
    "one-pass-variance": one_pass_variance,
    "low-precision-statistics": low_precision_statistics,
    "detached-statistics": detached_statistics,
}
"""Every variant under the code by which a finding names it."""
