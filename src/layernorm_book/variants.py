"""Layer norms that are wrong, or that are something else: one function each, in torch.

They are the negative controls of the parity check, and the suspects that it compares a failing
candidate with. Each has the signature of `torch.nn.functional.layer_norm` and differs from it in
the one step that its name says. Every layer norm here runs the same three steps:

    mean, var = statistics(x, dims)
    x_hat     = normalize(x, mean, var, eps)
    y         = affine(x_hat, weight, bias)

so a variant is the right layer with one step exchanged, and two bugs at once are two steps.
"""

import torch

# --- the right steps ------------------------------------------------------------------------------


def two_pass(x, dims):
    """Return the mean and the biased variance: the average squared distance to the mean."""
    mean = x.mean(dims, keepdim=True)  # (*, 1, ..., 1)
    return mean, (x - mean).square().mean(dims, keepdim=True)


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
    statistics=two_pass,
    normalize=eps_inside,
    affine=scale_then_shift,
    statistics_dtype=torch.float32,
):
    """Run the three steps of a layer norm, any of which may be exchanged for a wrong one.

    Args:
        x: tensor of shape (*, *normalized_shape), floating point.
        normalized_shape: tuple of the trailing sizes that share their statistics.
        weight, bias: tensors of shape `normalized_shape`, or None.
        eps: added to the variance, in the units of x squared.
        statistics: (x, dims) -> (mean, var).
        normalize: (x, mean, var, eps) -> x_hat.
        affine: (x_hat, weight, bias) -> y.
        statistics_dtype: half-precision x is widened to this dtype before the first step.

    Returns:
        y, of the shape and dtype of `x`.

    Raises:
        RuntimeError: torch's own, where shapes do not fit.
    """
    dims = tuple(range(-len(normalized_shape), 0))
    wide = x.to(torch.promote_types(x.dtype, statistics_dtype))
    mean, var = statistics(wide, dims)
    x_hat = normalize(wide, mean, var, eps)
    return affine(x_hat, weight, bias).to(x.dtype)


# --- wrong statistics -----------------------------------------------------------------------------


def unbiased_variance(x, normalized_shape, weight=None, bias=None, eps=1e-5):
    """Divide by n − 1, which is what `torch.std` and `torch.var` do unless told otherwise."""

    def statistics(x, dims):
        return x.mean(dims, keepdim=True), x.var(dims, keepdim=True)

    return run_steps(x, normalized_shape, weight, bias, eps, statistics=statistics)


def one_pass_variance(x, normalized_shape, weight=None, bias=None, eps=1e-5):
    """Compute the variance as E[x²] − E[x]², which cancels where the mean is large."""

    def statistics(x, dims):
        mean = x.mean(dims, keepdim=True)
        return mean, x.square().mean(dims, keepdim=True) - mean.square()

    return run_steps(x, normalized_shape, weight, bias, eps, statistics=statistics)


def detached_statistics(x, normalized_shape, weight=None, bias=None, eps=1e-5):
    """Take mean and variance as constants: the forward is right, the gradient of x is not."""

    def statistics(x, dims):
        mean, var = two_pass(x, dims)
        return mean.detach(), var.detach()

    return run_steps(x, normalized_shape, weight, bias, eps, statistics=statistics)


def wrong_axis(x, normalized_shape, weight=None, bias=None, eps=1e-5):
    """Share statistics over the first axis, as BatchNorm does, and not over the trailing ones."""

    def statistics(x, dims):
        return two_pass(x, 0)

    return run_steps(x, normalized_shape, weight, bias, eps, statistics=statistics)


def low_precision_statistics(x, normalized_shape, weight=None, bias=None, eps=1e-5):
    """Compute float16 and bfloat16 in their own precision, and not in float32."""
    return run_steps(x, normalized_shape, weight, bias, eps, statistics_dtype=x.dtype)


# --- a wrong division -----------------------------------------------------------------------------


def eps_outside_sqrt(x, normalized_shape, weight=None, bias=None, eps=1e-5):
    """Divide by √var + eps."""

    def normalize(x, mean, var, eps):
        return (x - mean) / (torch.sqrt(var) + eps)

    return run_steps(x, normalized_shape, weight, bias, eps, normalize=normalize)


def missing_sqrt(x, normalized_shape, weight=None, bias=None, eps=1e-5):
    """Divide by the variance, and not by its root."""

    def normalize(x, mean, var, eps):
        return (x - mean) / (var + eps)

    return run_steps(x, normalized_shape, weight, bias, eps, normalize=normalize)


def missing_eps(x, normalized_shape, weight=None, bias=None, eps=1e-5):
    """Divide by √var alone."""

    def normalize(x, mean, var, eps):
        return (x - mean) / torch.sqrt(var)

    return run_steps(x, normalized_shape, weight, bias, eps, normalize=normalize)


def no_centering(x, normalized_shape, weight=None, bias=None, eps=1e-5):
    """Divide by the root mean square and leave the mean in: this is RMSNorm, with a shift."""

    def statistics(x, dims):
        return 0.0, x.square().mean(dims, keepdim=True)

    return run_steps(x, normalized_shape, weight, bias, eps, statistics=statistics)


# --- a wrong scale and shift ----------------------------------------------------------------------


def missing_affine(x, normalized_shape, weight=None, bias=None, eps=1e-5):
    """Ignore weight and bias."""

    def affine(x_hat, weight, bias):
        return x_hat

    return run_steps(x, normalized_shape, weight, bias, eps, affine=affine)


def swapped_affine(x, normalized_shape, weight=None, bias=None, eps=1e-5):
    """Scale by the bias and shift by the weight."""

    def affine(x_hat, weight, bias):
        return scale_then_shift(x_hat, bias, weight)

    return run_steps(x, normalized_shape, weight, bias, eps, affine=affine)


def shift_before_scale(x, normalized_shape, weight=None, bias=None, eps=1e-5):
    """Add the bias first, so that the weight scales it too."""

    def affine(x_hat, weight, bias):
        shifted = x_hat if bias is None else x_hat + bias
        return shifted if weight is None else shifted * weight

    return run_steps(x, normalized_shape, weight, bias, eps, affine=affine)


VARIANTS = {
    "eps-outside-sqrt": eps_outside_sqrt,
    "unbiased-variance": unbiased_variance,
    "missing-sqrt": missing_sqrt,
    "missing-eps": missing_eps,
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
