"""LayerNorms as people write them: right ones, and wrong ones by the code that names the bug.

Each wrong layer is written in a way of its own, so that a code is earned by behaviour. Functions
take what `torch.nn.functional.layer_norm` takes unless their signature says otherwise.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F

from layernorm_book import LayerNorm, layer_norm


def dims_of(shape):
    return tuple(range(-len(shape), 0))


def wide(x):
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def finish(x_hat, weight, bias, x):
    y = x_hat if weight is None else x_hat * weight
    y = y if bias is None else y + bias
    return y.to(x.dtype)


# --- right ----------------------------------------------------------------------------------------


def two_passes(x, normalized_shape, weight, bias, eps):
    centred = wide(x) - wide(x).mean(dims_of(normalized_shape), keepdim=True)
    var = (centred**2).mean(dims_of(normalized_shape), keepdim=True)
    return finish(centred / (var + eps) ** 0.5, weight, bias, x)


def by_var_mean(x, normalized_shape, weight, bias, eps):
    var, mean = torch.var_mean(wide(x), dims_of(normalized_shape), correction=0, keepdim=True)
    return finish((wide(x) - mean) * torch.rsqrt(var + eps), weight, bias, x)


def by_welford(x, normalized_shape, weight, bias, eps):
    rows = x.astype(np.promote_types(x.dtype, np.float32)).reshape(-1, math.prod(normalized_shape))
    mean, squares = np.zeros_like(rows[:, :1]), np.zeros_like(rows[:, :1])
    for i in range(rows.shape[1]):
        step = rows[:, i : i + 1] - mean
        mean = mean + step / rows.dtype.type(i + 1)
        squares = squares + step * (rows[:, i : i + 1] - mean)
    x_hat = ((rows - mean) / np.sqrt(squares / rows.dtype.type(rows.shape[1]) + eps)).reshape(
        x.shape
    )
    x_hat = x_hat if weight is None else x_hat * weight
    return (x_hat if bias is None else x_hat + bias).astype(x.dtype)


def by_einsum(x, normalized_shape, weight, bias, eps):
    n = math.prod(normalized_shape)
    rows = wide(x).reshape(-1, n)
    ones = torch.full((n,), 1 / n, dtype=rows.dtype)
    centred = rows - torch.einsum("rn,n->r", rows, ones)[:, None]
    var = torch.einsum("rn,rn->r", centred, centred) / n
    x_hat = torch.einsum("rn,r->rn", centred, torch.rsqrt(var + eps))
    return finish(x_hat.reshape(x.shape), weight, bias, x)


def in_float64(x, normalized_shape, weight, bias, eps):
    d = x.double()
    dims = dims_of(normalized_shape)
    x_hat = (d - d.mean(dims, keepdim=True)) / torch.sqrt(
        d.var(dims, correction=0, keepdim=True) + eps
    )
    return finish(x_hat, weight, bias, x)


def scale_and_offset(x, normalized_shape, weight, bias, eps):
    dims, w = dims_of(normalized_shape), wide(x)
    mean = w.mean(dims, keepdim=True)
    a = torch.rsqrt((w - mean).square().mean(dims, keepdim=True) + eps)
    a = a if weight is None else a * weight.to(w.dtype)
    b = -mean * a if bias is None else bias.to(w.dtype) - mean * a
    return (w * a + b).to(x.dtype)


def by_centring_matrix(x, normalized_shape, weight, bias, eps):
    n = math.prod(normalized_shape)
    rows = wide(x).reshape(-1, n)
    rows = rows - rows[:, :1]  # any one value may be taken off first
    centred = rows @ (torch.eye(n, dtype=rows.dtype) - 1 / n)
    x_hat = centred * math.sqrt(n) / (centred.square().sum(-1, keepdim=True) + n * eps).sqrt()
    return finish(x_hat.reshape(x.shape), weight, bias, x)


def by_norm(x, normalized_shape, weight, bias, eps):
    n = math.prod(normalized_shape)
    rows = wide(x).reshape(-1, n)
    centred = rows - rows.sum(-1, keepdim=True) / n
    ss = (centred * centred).sum(-1, keepdim=True)
    return finish((centred * (ss / n + eps).pow(-0.5)).reshape(x.shape), weight, bias, x)


def by_log_and_exp(x, normalized_shape, weight, bias, eps):
    dims, w = dims_of(normalized_shape), wide(x)
    centred = w - w.mean(dims, keepdim=True)
    rstd = torch.exp(-0.5 * torch.log(centred.square().mean(dims, keepdim=True) + eps))
    return finish(centred * rstd, weight, bias, x)


def shifted_one_pass(x, normalized_shape, weight, bias, eps):
    n = math.prod(normalized_shape)
    rows = wide(x).reshape(-1, n)
    shifted = rows - rows[:, :1]  # one pass is fine once the mean is small
    mean = shifted.mean(-1, keepdim=True)
    var = shifted.square().mean(-1, keepdim=True) - mean.square()
    return finish(((shifted - mean) / (var + eps).sqrt()).reshape(x.shape), weight, bias, x)


def by_group_norm(x, normalized_shape, weight, bias, eps):
    rows = wide(x).reshape(-1, 1, math.prod(normalized_shape))
    x_hat = F.group_norm(rows, 1, eps=eps) if rows.numel() else rows
    return finish(x_hat.reshape(x.shape), weight, bias, x)


class OwnBackward(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, n, eps):
        centred = x - x.mean(-1, keepdim=True)
        rstd = torch.rsqrt(centred.square().mean(-1, keepdim=True) + eps)
        ctx.save_for_backward(centred * rstd, rstd)
        return centred * rstd

    @staticmethod
    def backward(ctx, g):
        x_hat, rstd = ctx.saved_tensors
        mean = g.mean(-1, keepdim=True) + x_hat * (g * x_hat).mean(-1, keepdim=True)
        return rstd * (g - mean), None, None


def by_own_backward(x, normalized_shape, weight, bias, eps):
    n = math.prod(normalized_shape)
    x_hat = OwnBackward.apply(wide(x).reshape(-1, n), n, eps)
    return finish(x_hat.reshape(x.shape), weight, bias, x)


def numpy_plain(x, normalized_shape, weight=None, bias=None, eps=1e-5):
    w = x.astype(np.promote_types(x.dtype, np.float32))
    axes = dims_of(normalized_shape)
    mean = w.mean(axes, keepdims=True)
    x_hat = (w - mean) / np.sqrt(((w - mean) ** 2).mean(axes, keepdims=True) + eps)
    x_hat = x_hat if weight is None else x_hat * weight
    return (x_hat if bias is None else x_hat + bias).astype(x.dtype)


def numpy_rows(x, gamma, beta, epsilon):
    return numpy_plain(x, x.shape[-1:], gamma, beta, epsilon)


def of_x_alone(x):
    return F.layer_norm(x, x.shape[-1:])


def of_tokens(hidden_states, gamma, beta, epsilon=1e-5):
    return F.layer_norm(hidden_states, hidden_states.shape[-1:], gamma, beta, epsilon)


def of_other_names(tensor, first, second, small):
    return F.layer_norm(tensor, tensor.shape[-1:], first, second, small)


def printing(x, normalized_shape, weight, bias, eps):
    print("in here", x.shape)
    return F.layer_norm(x, normalized_shape, weight, bias, eps)


class OneSize(torch.nn.Module):
    def __init__(self, d_model, epsilon=1e-6):
        super().__init__()
        self.g = torch.nn.Parameter(torch.ones(1, d_model))
        self.b = torch.nn.Parameter(torch.zeros(1, d_model))
        self.epsilon = epsilon

    def forward(self, x):
        w = wide(x)
        centred = w - w.mean(-1, keepdim=True)
        rstd = torch.rsqrt(centred.square().mean(-1, keepdim=True) + self.epsilon)
        return finish(centred * rstd, self.g.squeeze(0), self.b.squeeze(0), x)


class NoEps(torch.nn.Module):
    def __init__(self, features):
        super().__init__()
        self.features = features

    def forward(self, x):
        return F.layer_norm(x, (x.shape[-1],))


class Nested(torch.nn.Module):
    def __init__(self, normalized_shape, eps=1e-5):
        super().__init__()
        self.inner = LayerNorm(normalized_shape, eps)

    def forward(self, x):
        return self.inner(x)


class ForwardOnly(torch.nn.Module):
    def __init__(self, normalized_shape, eps=1e-5):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(normalized_shape))
        self.shift = torch.nn.Parameter(torch.zeros(normalized_shape))
        self.shape, self.eps = normalized_shape, eps

    @torch.no_grad()
    def forward(self, x):
        return F.layer_norm(x, self.shape, self.scale, self.shift, self.eps)


RIGHT = {
    f.__name__: f
    for f in (
        two_passes,
        by_var_mean,
        by_welford,
        by_einsum,
        in_float64,
        scale_and_offset,
        by_centring_matrix,
        by_norm,
        by_log_and_exp,
        shifted_one_pass,
        by_group_norm,
        by_own_backward,
        numpy_plain,
        numpy_rows,
        of_x_alone,
        of_tokens,
        of_other_names,
        printing,
        OneSize,
        NoEps,
        Nested,
        ForwardOnly,
        layer_norm,
    )
} | {
    "torch.nn.LayerNorm": torch.nn.LayerNorm,
    "traced shapes": lambda *args: F.layer_norm(*args),
}


# --- right, for images: axis 1 is normalized ------------------------------------------------------


class Permuted(torch.nn.LayerNorm):
    def forward(self, x):
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class ImageNorm(torch.nn.Module):
    def __init__(self, channels, eps=1e-6):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(channels, 1, 1))
        self.bias = torch.nn.Parameter(torch.zeros(channels, 1, 1))
        self.eps = eps

    def forward(self, x):
        w = wide(x)
        centred = w - w.mean(1, keepdim=True)
        x_hat = centred / torch.sqrt(centred.pow(2).mean(1, keepdim=True) + self.eps)
        return finish(x_hat, self.weight, self.bias, x)


def image_function(x, weight, bias, eps):
    y = F.layer_norm(x.movedim(1, -1), x.shape[1:2], weight, bias, eps)
    return y.movedim(-1, 1)


RIGHT_IMAGES = {f.__name__: f for f in (Permuted, ImageNorm, image_function)}


# --- wrong ----------------------------------------------------------------------------------------

WRONG = {}


def wrong(*codes):
    """File a layer under the codes that it has earned."""

    def file(layer):
        assert layer.__name__ not in WRONG
        WRONG[layer.__name__] = (layer, set(codes))
        return layer

    return file


@wrong("eps-outside-sqrt")
def outside_of_std(x, normalized_shape, weight, bias, eps):
    dims, w = dims_of(normalized_shape), wide(x)
    x_hat = (w - w.mean(dims, keepdim=True)) / (w.std(dims, correction=0, keepdim=True) + eps)
    return finish(x_hat, weight, bias, x)


@wrong("eps-outside-sqrt")
class OutsideOfRoot(torch.nn.Module):
    def __init__(self, normalized_shape, eps=1e-5):
        super().__init__()
        self.gamma = torch.nn.Parameter(torch.ones(normalized_shape))
        self.beta = torch.nn.Parameter(torch.zeros(normalized_shape))
        self.dims, self.eps = dims_of(normalized_shape), eps

    def forward(self, x):
        centred = wide(x) - wide(x).mean(self.dims, keepdim=True)
        root = centred.square().mean(self.dims, keepdim=True).sqrt()
        return finish(centred / (root + self.eps), self.gamma, self.beta, x)


@wrong("eps-outside-sqrt")
def numpy_outside(x, normalized_shape, weight, bias, eps):
    axes, w = dims_of(normalized_shape), x.astype(np.promote_types(x.dtype, np.float32))
    x_hat = (w - w.mean(axes, keepdims=True)) / (w.std(axes, keepdims=True) + eps)
    x_hat = x_hat if weight is None else x_hat * weight
    return (x_hat if bias is None else x_hat + bias).astype(x.dtype)


@wrong("eps-outside-sqrt")
def outside_of_rsqrt(x, normalized_shape, weight, bias, eps):
    var, mean = torch.var_mean(wide(x), dims_of(normalized_shape), correction=0, keepdim=True)
    return finish((wide(x) - mean) * (torch.rsqrt(var) + eps), weight, bias, x)


@wrong("unbiased-variance")
def unbiased_var(x, normalized_shape, weight, bias, eps):
    dims, w = dims_of(normalized_shape), wide(x)
    x_hat = (w - w.mean(dims, keepdim=True)) / torch.sqrt(w.var(dims, keepdim=True) + eps)
    return finish(x_hat, weight, bias, x)


@wrong("unbiased-variance")
def divided_by_n_minus_one(x, normalized_shape, weight, bias, eps):
    dims, w, n = dims_of(normalized_shape), wide(x), math.prod(normalized_shape)
    centred = w - w.mean(dims, keepdim=True)
    var = (centred**2).sum(dims, keepdim=True) / (n - 1)
    return finish(centred * torch.rsqrt(var + eps), weight, bias, x)


@wrong("unbiased-variance")
def numpy_ddof(x, normalized_shape, weight, bias, eps):
    axes, w = dims_of(normalized_shape), x.astype(np.promote_types(x.dtype, np.float32))
    x_hat = (w - w.mean(axes, keepdims=True)) / np.sqrt(w.var(axes, ddof=1, keepdims=True) + eps)
    x_hat = x_hat if weight is None else x_hat * weight
    return (x_hat if bias is None else x_hat + bias).astype(x.dtype)


@wrong("missing-sqrt")
def by_variance(x, normalized_shape, weight, bias, eps):
    var, mean = torch.var_mean(wide(x), dims_of(normalized_shape), correction=0, keepdim=True)
    return finish((wide(x) - mean) / (var + eps), weight, bias, x)


@wrong("missing-sqrt")
def by_reciprocal_variance(x, normalized_shape, weight, bias, eps):
    dims, w = dims_of(normalized_shape), wide(x)
    centred = w - w.mean(dims, keepdim=True)
    rstd = (centred.square().mean(dims, keepdim=True) + eps).reciprocal()
    return finish(centred * rstd, weight, bias, x)


@wrong("missing-sqrt")
def squared_std(x, normalized_shape, weight, bias, eps):
    dims, w = dims_of(normalized_shape), wide(x)
    std = torch.sqrt(w.var(dims, correction=0, keepdim=True) + eps)
    return finish((w - w.mean(dims, keepdim=True)) / (std * std), weight, bias, x)


@wrong("missing-sqrt")
def square_for_root(x, normalized_shape, weight, bias, eps):
    var, mean = torch.var_mean(wide(x), dims_of(normalized_shape), correction=0, keepdim=True)
    return finish((wide(x) - mean) / (var + eps) ** 2, weight, bias, x)


@wrong("missing-eps")
def bare_std(x, normalized_shape, weight, bias, eps):
    dims, w = dims_of(normalized_shape), wide(x)
    x_hat = (w - w.mean(dims, keepdim=True)) / w.std(dims, correction=0, keepdim=True)
    return finish(x_hat, weight, bias, x)


@wrong("missing-eps")
def nan_swept_under(x, normalized_shape, weight, bias, eps):
    var, mean = torch.var_mean(wide(x), dims_of(normalized_shape), correction=0, keepdim=True)
    x_hat = torch.nan_to_num((wide(x) - mean) * torch.rsqrt(var))
    return finish(x_hat, weight, bias, x)


@wrong("missing-eps")
def numpy_bare(x, normalized_shape, weight, bias, eps):
    axes, w = dims_of(normalized_shape), x.astype(np.promote_types(x.dtype, np.float32))
    x_hat = (w - w.mean(axes, keepdims=True)) / w.std(axes, keepdims=True)
    x_hat = x_hat if weight is None else x_hat * weight
    return (x_hat if bias is None else x_hat + bias).astype(x.dtype)


@wrong("wrong-eps")
def eps_written_in(x, normalized_shape, weight, bias, eps):
    return F.layer_norm(x, normalized_shape, weight, bias, 1e-12)


@wrong("wrong-eps")
class EpsLost(torch.nn.Module):
    def __init__(self, normalized_shape, eps=1e-5):
        super().__init__()
        self.norm = torch.nn.LayerNorm(normalized_shape, eps=1e-3)

    def forward(self, x):
        return self.norm(x)


@wrong("wrong-eps")
def eps_squared(x, normalized_shape, weight, bias, eps):
    return F.layer_norm(x, normalized_shape, weight, bias, eps**2)


@wrong("wrong-eps")
def eps_in_the_sum(x, normalized_shape, weight, bias, eps):
    return F.layer_norm(x, normalized_shape, weight, bias, eps / math.prod(normalized_shape))


@wrong("wrong-eps")
def x_alone_with_another_eps(x):
    return F.layer_norm(x, x.shape[-1:], eps=1e-6)


@wrong("wrong-axis")
def over_the_batch(x, normalized_shape, weight, bias, eps):
    var, mean = torch.var_mean(wide(x), 0, correction=0, keepdim=True)
    return finish((wide(x) - mean) * torch.rsqrt(var + eps), weight, bias, x)


@wrong("wrong-axis")
def over_everything(x, normalized_shape, weight, bias, eps):
    w = wide(x)
    x_hat = (w - w.mean()) / torch.sqrt(w.var(correction=0) + eps) if x.numel() else w
    return finish(x_hat, weight, bias, x)


@wrong("wrong-axis")
def over_the_sequence_too(x, normalized_shape, weight, bias, eps):
    dims, w = tuple(range(1, x.ndim)), wide(x)
    var, mean = torch.var_mean(w, dims, correction=0, keepdim=True)
    return finish((w - mean) * torch.rsqrt(var + eps), weight, bias, x)


@wrong("wrong-axis")
def over_all_but_the_last(x, normalized_shape, weight, bias, eps):
    var, mean = torch.var_mean(wide(x), tuple(range(x.ndim - 1)), correction=0, keepdim=True)
    return finish((wide(x) - mean) * torch.rsqrt(var + eps), weight, bias, x)


@wrong("wrong-axis")
def over_the_last_alone(x, normalized_shape, weight, bias, eps):
    var, mean = torch.var_mean(wide(x), -1, correction=0, keepdim=True)
    return finish((wide(x) - mean) * torch.rsqrt(var + eps), weight, bias, x)


@wrong("no-centering")
class Rms(torch.nn.RMSNorm):
    pass


@wrong("no-centering")
def mean_left_in(x, normalized_shape, weight, bias, eps):
    var = wide(x).var(dims_of(normalized_shape), correction=0, keepdim=True)
    return finish(wide(x) * torch.rsqrt(var + eps), weight, bias, x)


@wrong("no-centering")
def variance_about_zero(x, normalized_shape, weight, bias, eps):
    dims, w = dims_of(normalized_shape), wide(x)
    power = w.square().mean(dims, keepdim=True)
    return finish((w - w.mean(dims, keepdim=True)) * torch.rsqrt(power + eps), weight, bias, x)


@wrong("missing-affine")
def no_parameters_used(x, normalized_shape, weight, bias, eps):
    return F.layer_norm(x, normalized_shape, None, None, eps)


@wrong("missing-affine")
class BiasForgotten(torch.nn.Module):
    def __init__(self, normalized_shape, eps=1e-5):
        super().__init__()
        self.a_2 = torch.nn.Parameter(torch.ones(normalized_shape))
        self.b_2 = torch.nn.Parameter(torch.zeros(normalized_shape))
        self.shape, self.eps = normalized_shape, eps

    def forward(self, x):
        return F.layer_norm(x, self.shape, self.a_2, None, self.eps)


@wrong("missing-affine")
def weight_forgotten(x, normalized_shape, weight, bias, eps):
    return F.layer_norm(x, normalized_shape, None, bias, eps)


@wrong("swapped-affine")
def arguments_swapped(x, normalized_shape, *parameters_and_eps):
    first, second, eps = parameters_and_eps
    return F.layer_norm(x, normalized_shape, second, first, eps)


@wrong("swapped-affine")
class NamesSwapped(torch.nn.Module):
    def __init__(self, normalized_shape, eps=1e-5):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.zeros(normalized_shape))
        self.shift = torch.nn.Parameter(torch.ones(normalized_shape))
        self.shape, self.eps = normalized_shape, eps

    def forward(self, x):
        return F.layer_norm(x, self.shape, None, None, self.eps) * self.shift + self.scale


@wrong("swapped-affine")
def numpy_swapped(x, normalized_shape, weight, bias, eps):
    return numpy_plain(x, normalized_shape, bias, weight, eps)


@wrong("shift-before-scale")
def shifted_first(x, normalized_shape, weight, bias, eps):
    x_hat = F.layer_norm(x, normalized_shape, None, None, eps)
    x_hat = x_hat if bias is None else x_hat + bias
    return x_hat if weight is None else x_hat * weight


@wrong("shift-before-scale")
def bias_scaled(x, normalized_shape, weight, bias, eps):
    scaled = bias if weight is None or bias is None else bias * weight
    return F.layer_norm(x, normalized_shape, weight, scaled, eps)


@wrong("shift-before-scale")
class Distributed(torch.nn.Module):
    def __init__(self, normalized_shape, eps=1e-5):
        super().__init__()
        self.norm = torch.nn.LayerNorm(normalized_shape, eps=eps, elementwise_affine=False)
        self.g = torch.nn.Parameter(torch.ones(normalized_shape))
        self.b = torch.nn.Parameter(torch.zeros(normalized_shape))

    def forward(self, x):
        return self.g * (self.norm(x) + self.b)


@wrong("one-pass-variance")
def mean_of_squares(x, normalized_shape, weight, bias, eps):
    dims, w = dims_of(normalized_shape), wide(x)
    mean = w.mean(dims, keepdim=True)
    var = (w * w).mean(dims, keepdim=True) - mean * mean
    return finish((w - mean) / torch.sqrt(var + eps), weight, bias, x)


@wrong("one-pass-variance")
def clamped_one_pass(x, normalized_shape, weight, bias, eps):
    dims, w, n = dims_of(normalized_shape), wide(x), math.prod(normalized_shape)
    total, squares = w.sum(dims, keepdim=True), w.pow(2).sum(dims, keepdim=True)
    var = (squares / n - (total / n) ** 2).clamp(min=0)
    return finish((w - total / n) * torch.rsqrt(var + eps), weight, bias, x)


@wrong("one-pass-variance")
def numpy_one_pass(x, normalized_shape, weight, bias, eps):
    axes, w = dims_of(normalized_shape), x.astype(np.promote_types(x.dtype, np.float32))
    mean = w.mean(axes, keepdims=True)
    var = (w**2).mean(axes, keepdims=True) - mean**2
    x_hat = (w - mean) / np.sqrt(var + eps)
    x_hat = x_hat if weight is None else x_hat * weight
    return (x_hat if bias is None else x_hat + bias).astype(x.dtype)


@wrong("low-precision-statistics")
def not_widened(x, normalized_shape, weight, bias, eps):
    dims = dims_of(normalized_shape)
    mean = x.mean(dims, keepdim=True)
    var = (x - mean).square().mean(dims, keepdim=True)
    return finish((x - mean) / torch.sqrt(var + eps), weight, bias, x)


@wrong("low-precision-statistics")
def variance_rounded(x, normalized_shape, weight, bias, eps):
    var, mean = torch.var_mean(wide(x), dims_of(normalized_shape), correction=0, keepdim=True)
    return finish((wide(x) - mean) / torch.sqrt((var + eps).to(x.dtype)), weight, bias, x)


@wrong("low-precision-statistics")
def all_in_half(x, normalized_shape, weight, bias, eps):
    halves = (None if t is None else t.half() for t in (weight, bias))
    return F.layer_norm(x.half(), normalized_shape, *halves, eps).to(x.dtype)


@wrong("low-precision-statistics")
def all_in_float32(x, normalized_shape, weight, bias, eps):
    floats = (None if t is None else t.float() for t in (weight, bias))
    return F.layer_norm(x.float(), normalized_shape, *floats, eps).to(x.dtype)


@wrong("detached-statistics")
def no_grad_statistics(x, normalized_shape, weight, bias, eps):
    with torch.no_grad():
        var, mean = torch.var_mean(wide(x), dims_of(normalized_shape), correction=0, keepdim=True)
    return finish((wide(x) - mean) * torch.rsqrt(var + eps), weight, bias, x)


@wrong("detached-statistics")
def detached_variance(x, normalized_shape, weight, bias, eps):
    var, mean = torch.var_mean(wide(x), dims_of(normalized_shape), correction=0, keepdim=True)
    return finish((wide(x) - mean) * torch.rsqrt(var + eps).detach(), weight, bias, x)


@wrong("detached-statistics")
def detached_mean(x, normalized_shape, weight, bias, eps):
    dims, w = dims_of(normalized_shape), wide(x)
    centred = w - w.detach().mean(dims, keepdim=True)
    var = w.var(dims, correction=0, keepdim=True)
    return finish(centred * torch.rsqrt(var + eps), weight, bias, x)


@wrong("nan-gradient")
def root_squared(x, normalized_shape, weight, bias, eps):
    dims, w = dims_of(normalized_shape), wide(x)
    centred = w - w.mean(dims, keepdim=True)
    std = centred.square().mean(dims, keepdim=True).sqrt()
    return finish(centred / torch.sqrt(std**2 + eps), weight, bias, x)


@wrong("nan-gradient")
def where_after_division(x, normalized_shape, weight, bias, eps):
    dims, w = dims_of(normalized_shape), wide(x)
    centred = w - w.mean(dims, keepdim=True)
    var = centred.square().mean(dims, keepdim=True)
    x_hat = centred / var.sqrt() * torch.sqrt(var / (var + eps))
    return finish(torch.where(var > 0, x_hat, torch.zeros_like(x_hat)), weight, bias, x)


@wrong("nan-gradient")
def by_hypot(x, normalized_shape, weight, bias, eps):
    dims, w = dims_of(normalized_shape), wide(x)
    centred = w - w.mean(dims, keepdim=True)
    std = torch.pow(centred.square().mean(dims, keepdim=True), 0.5)
    root = torch.hypot(std, torch.full_like(std, math.sqrt(eps)))
    return finish(centred / root, weight, bias, x)


@wrong("mutates-input")
def centred_in_place(x, normalized_shape, weight, bias, eps):
    dims = dims_of(normalized_shape)
    if x.dtype in (torch.float16, torch.bfloat16):
        return x.copy_(F.layer_norm(x, normalized_shape, weight, bias, eps))
    x -= x.mean(dims, keepdim=True)
    return finish(x * torch.rsqrt(x.square().mean(dims, keepdim=True) + eps), weight, bias, x)


@wrong("mutates-input")
def written_back(x, normalized_shape, weight, bias, eps):
    y = F.layer_norm(x, normalized_shape, weight, bias, eps)
    x.data.copy_(y.detach())
    return y


@wrong("mutates-input")
def numpy_in_place(x, normalized_shape, weight, bias, eps):
    y = layer_norm(x, normalized_shape, weight, bias, eps)
    x[...] = 0
    return y


@wrong("mutates-input")
def all_in_place(x, normalized_shape, weight, bias, eps):
    dims = dims_of(normalized_shape)
    x.sub_(x.mean(dims, keepdim=True))
    x.div_(torch.sqrt(x.pow(2).mean(dims, keepdim=True) + eps))
    x = x if weight is None else x.mul_(weight)
    return x if bias is None else x.add_(bias)


@wrong("wrong-dtype")
def left_wide(x, normalized_shape, weight, bias, eps):
    parameters = (None if t is None else wide(t) for t in (weight, bias))
    return F.layer_norm(wide(x), normalized_shape, *parameters, eps)


@wrong("wrong-dtype")
def numpy_promoted(x, normalized_shape, weight, bias, eps):
    return numpy_plain(x, normalized_shape, weight, bias, eps).astype(np.float64)


@wrong("wrong-dtype")
def always_float32(x, normalized_shape, weight, bias, eps):
    return F.layer_norm(x, normalized_shape, weight, bias, eps).float()


@wrong("wrong-shape")
def squeezed(x, normalized_shape, weight, bias, eps):
    return F.layer_norm(x, normalized_shape, weight, bias, eps).flatten()


@wrong("wrong-shape")
def transposed(x, normalized_shape, weight, bias, eps):
    return F.layer_norm(x, normalized_shape, weight, bias, eps).unsqueeze(0)


@wrong("wrong-shape")
def mean_kept(x, normalized_shape, weight, bias, eps):
    return F.layer_norm(x, normalized_shape, weight, bias, eps).sum(-1, keepdim=True)[..., None]


@wrong("raises", "wrong-shape")
def without_keepdim(x, normalized_shape, weight, bias, eps):
    var, mean = torch.var_mean(wide(x), dims_of(normalized_shape), correction=0)
    return finish((wide(x) - mean[..., None, :]) / var, weight, bias, x)


@wrong("raises")
def full_batches_only(x, normalized_shape, weight, bias, eps):
    if not x.numel():
        raise ValueError("an empty batch")
    return F.layer_norm(x, normalized_shape, weight, bias, eps)


@wrong("raises")
class OneAxisOnly(torch.nn.LayerNorm):
    def __init__(self, normalized_shape, eps=1e-5):
        assert len(normalized_shape) == 1, "one axis, please"
        super().__init__(normalized_shape, eps=eps)


@wrong("raises")
def none_returned(x, normalized_shape, weight, bias, eps):
    F.layer_norm(x, normalized_shape, weight, bias, eps)


@wrong("unknown")
def identity(x, *args):
    return x


@wrong("unknown")
def floor_of_eps(x, normalized_shape, weight, bias, eps):
    dims, w = dims_of(normalized_shape), wide(x)
    std = w.std(dims, correction=0, keepdim=True)
    x_hat = (w - w.mean(dims, keepdim=True)) / torch.where(
        std > eps, std, torch.full_like(std, eps)
    )
    return finish(x_hat, weight, bias, x)


@wrong("unknown")
def tanh_of_x(x, normalized_shape, weight, bias, eps):
    return finish(torch.tanh(wide(x)), weight, bias, x)


@wrong("unknown")
def inexact_root(x, normalized_shape, weight, bias, eps):
    return F.layer_norm(x, normalized_shape, weight, bias, eps) * 1.001


@wrong("unknown")
def zero_centred_weight(x, normalized_shape, weight, bias, eps):
    weight = None if weight is None else 1 + weight
    return F.layer_norm(x, normalized_shape, weight, bias, eps)


class ExchangedGradients(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x_hat, weight, bias):
        ctx.save_for_backward(x_hat, weight)
        return x_hat * weight + bias

    @staticmethod
    def backward(ctx, g):
        x_hat, weight = ctx.saved_tensors
        rows = tuple(range(g.ndim - weight.ndim))
        grad_weight, grad_bias = ((v.sum(rows) if rows else v) for v in (g * x_hat, g))
        return g * weight, grad_bias, grad_weight


@wrong("unknown")
class GradientsExchanged(torch.nn.Module):
    def __init__(self, normalized_shape, eps=1e-5):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(normalized_shape))
        self.bias = torch.nn.Parameter(torch.zeros(normalized_shape))
        self.shape, self.eps = normalized_shape, eps

    def forward(self, x):
        x_hat = F.layer_norm(x, self.shape, eps=self.eps)
        return ExchangedGradients.apply(x_hat, self.weight, self.bias)


# --- two at once ----------------------------------------------------------------------------------


@wrong("unbiased-variance", "eps-outside-sqrt")
class AnnotatedStyle(torch.nn.Module):
    """The pair of the Annotated Transformer: unbiased, eps outside; one axis, no widening."""

    def __init__(self, features, eps=1e-6):
        super().__init__()
        self.a_2 = torch.nn.Parameter(torch.ones(features))
        self.b_2 = torch.nn.Parameter(torch.zeros(features))
        self.eps = eps

    def forward(self, x):
        mean, std = x.mean(-1, keepdim=True), x.std(-1, keepdim=True)
        return self.a_2 * (x - mean) / (std + self.eps) + self.b_2


@wrong("no-centering", "missing-affine")
def rms_without_bias(x, normalized_shape, weight, bias, eps):
    return F.rms_norm(x, normalized_shape, weight, eps)


@wrong("wrong-eps", "eps-outside-sqrt")
def small_eps_outside(x, normalized_shape, weight, bias, eps):
    return outside_of_std(x, normalized_shape, weight, bias, 1e-8)


@wrong("mutates-input", "unbiased-variance")
def in_place_and_unbiased(x, normalized_shape, weight, bias, eps):
    y = unbiased_var(x.clone(), normalized_shape, weight, bias, eps)
    x.zero_()
    return y
