"""Normalization layers as people write them: right, right within limits, and wrong by name.

Each wrong layer is written in a way of its own, so that a code is earned by behaviour. A function
takes what `torch.nn.functional.layer_norm` takes (in a table of RMS, what `rms_norm` takes), unless
its signature says otherwise; `by` makes one of a formula for x_hat alone, in which `o` holds the
axes: x.mean(**o).
"""

import math
import warnings
from dataclasses import replace
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F

from layernorm_book import LayerNorm, layer_norm, rms_norm
from layernorm_book.parity.formula import LAYER_NORM, RMS_NORM

RIGHT, RIGHT_IMAGES, RIGHT_RMS = {}, {}, {}  # name: layer
LIMITED, LIMITED_RMS, WRONG, WRONG_RMS = {}, {}, {}, {}  # name: (layer, codes)


def into(table, *codes, **layers):
    """File layers in a table, under the codes that they have earned; or decorate one with it."""

    def file(layer, name=""):
        name = name or layer.__name__
        assert name not in table
        if hasattr(layer, "__code__"):
            layer.__qualname__ = name
        table[name] = (layer, set(codes)) if codes else layer
        return layer

    for name, layer in layers.items():
        file(layer, name)
    return file


right, right_images, right_rms = (partial(into, t) for t in (RIGHT, RIGHT_IMAGES, RIGHT_RMS))
limited, limited_rms = partial(into, LIMITED), partial(into, LIMITED_RMS)
wrong, wrong_rms = partial(into, WRONG), partial(into, WRONG_RMS)


# --- what the layers share ------------------------------------------------------------------------


def wide(x):
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def finish(x_hat, weight, bias, x):
    y = x_hat if weight is None else x_hat * weight
    y = y if bias is None else y + bias
    return y.to(x.dtype) if isinstance(y, torch.Tensor) else y.astype(x.dtype)


def by(x_hat):
    """Return the layer of an x_hat(x, o, eps) on torch tensors."""

    def layer(x, normalized_shape, weight, bias, eps):
        o = {"dim": tuple(range(-len(normalized_shape), 0)), "keepdim": True}
        return finish(x_hat(wide(x), o, eps), weight, bias, x)

    layer.__name__ = x_hat.__name__
    return layer


def by_rows(x_hat):
    """Return the layer of an x_hat(rows, eps) on rows of n."""

    def layer(x, normalized_shape, weight, bias, eps):
        rows = wide(x).reshape(-1, math.prod(normalized_shape))
        return finish(x_hat(rows, eps).reshape(x.shape), weight, bias, x)

    layer.__name__ = x_hat.__name__
    return layer


def numpy_by(x_hat):
    """Return the layer of an x_hat(x, o, eps) on NumPy arrays."""

    def layer(x, normalized_shape, weight, bias, eps):
        o = {"axis": tuple(range(-len(normalized_shape), 0)), "keepdims": True}
        w = x.astype(np.promote_types(x.dtype, np.float32))
        return finish(x_hat(w, o, eps), weight, bias, x)

    layer.__name__ = x_hat.__name__
    return layer


def rms(layer):
    """Return a layer of five arguments as one without a bias."""
    return lambda x, normalized_shape, weight, eps: layer(x, normalized_shape, weight, None, eps)


def over(x, dims, weight, bias, eps):
    var, mean = torch.var_mean(wide(x), dims, correction=0, keepdim=True)
    return finish((wide(x) - mean) * torch.rsqrt(var + eps), weight, bias, x)


class Layer(torch.nn.Module):
    """A right layer, whose scale and shift have the names of the subclass, or are absent."""

    names = ("weight", "bias")
    before, after = (), ()  # axes of size 1 around the parameters

    def __init__(self, normalized_shape, eps=1e-5):
        super().__init__()
        self.shape = torch.nn.LayerNorm(normalized_shape).normalized_shape
        self.eps, self.dims = eps, tuple(range(-len(self.shape), 0))
        for name, start in zip(self.names, (torch.ones, torch.zeros), strict=False):
            parameter = torch.nn.Parameter(start(*self.before, *self.shape, *self.after))
            self.register_parameter(name, parameter)

    def forward(self, x):
        parameters = [getattr(self, name) for name in self.names] + [None, None]
        return self.compute(x, *parameters[:2])

    def compute(self, x, weight, bias):
        return F.layer_norm(x, self.shape, weight, bias, self.eps)


def named(*names, base=Layer):
    """Return a layer whose scale and shift have these names."""
    return type(base.__name__, (base,), {"names": names})


class RMSLayer(named("weight")):
    """A right layer that subtracts no mean."""

    def compute(self, x, weight, bias):
        return finish(F.rms_norm(wide(x), self.shape, eps=self.eps), weight, bias, x)


class OwnBackward(torch.autograd.Function):
    """Normalizes rows, with or without centring, and has its gradient worked out by hand."""

    @staticmethod
    def forward(ctx, x, eps, centring):
        centred = x - x.mean(-1, keepdim=True) * centring
        rstd = torch.rsqrt(centred.square().mean(-1, keepdim=True) + eps)
        ctx.save_for_backward(centred * rstd, rstd)
        ctx.centring = centring
        return centred * rstd

    @staticmethod
    def backward(ctx, g):
        x_hat, rstd = ctx.saved_tensors
        mean = g.mean(-1, keepdim=True) * ctx.centring
        return rstd * (g - mean - x_hat * (g * x_hat).mean(-1, keepdim=True)), None, None


# --- right ----------------------------------------------------------------------------------------

RIGHT |= {
    "torch.nn.LayerNorm": torch.nn.LayerNorm,
    "F.layer_norm": F.layer_norm,
    "LayerNorm": LayerNorm,
    "layer_norm": layer_norm,
    "the formula": LAYER_NORM,
    "traced shapes": lambda *args: F.layer_norm(*args),
    "a factory": lambda normalized_shape, eps: LayerNorm(normalized_shape, eps=eps),
    "a partial": partial(torch.nn.LayerNorm, bias=False),
    "a partial without parameters": partial(torch.nn.LayerNorm, elementwise_affine=False),
}
numpy_plain = numpy_by(
    lambda x, o, eps: (x - x.mean(**o)) / np.sqrt(((x - x.mean(**o)) ** 2).mean(**o) + eps)
)
right(
    Named=named("gamma", "beta"),
    Annotated=named("a_2", "b_2"),
    Scaled=named("scale"),
    Bare=named(),
    Prefixed=named("ln_weight", "ln_bias"),
    numpy_plain=numpy_plain,
    numpy_rows=lambda x, gamma, beta, epsilon: numpy_plain(x, x.shape[-1:], gamma, beta, epsilon),
    two_passes=by(
        lambda x, o, eps: (x - x.mean(**o)) / (((x - x.mean(**o)) ** 2).mean(**o) + eps) ** 0.5
    ),
    by_var_mean=by(lambda x, o, eps: over(x, o["dim"], None, None, eps)),
    by_native=lambda x, shape, w, b, eps: torch.native_layer_norm(x, shape, w, b, eps)[0],
    by_log_and_exp=by(
        lambda x, o, eps: (x - x.mean(**o)) * (-0.5 * (x.var(correction=0, **o) + eps).log()).exp()
    ),
    by_group_norm=by_rows(
        lambda rows, eps: F.group_norm(rows[:, None], 1, eps=eps) if rows.numel() else rows
    ),
    by_own_backward=by_rows(lambda rows, eps: OwnBackward.apply(rows, eps, 1)),
    of_x_alone=lambda x: F.layer_norm(x, x.shape[-1:]),
    of_tokens=lambda hidden_states, gamma, beta, epsilon=1e-5: F.layer_norm(
        hidden_states, hidden_states.shape[-1:], gamma, beta, epsilon
    ),
    of_other_names=lambda tensor, first, second, small: F.layer_norm(
        tensor, tensor.shape[-1:], first, second, small
    ),
)
two_passes = RIGHT["two_passes"]


@right()
@numpy_by
def by_welford(x, o, eps):
    rows = x.reshape(-1, math.prod(x.shape[d] for d in o["axis"]))
    mean, squares = np.zeros_like(rows[:, :1]), np.zeros_like(rows[:, :1])
    for i in range(rows.shape[1]):
        step = rows[:, i : i + 1] - mean
        mean = mean + step / rows.dtype.type(i + 1)
        squares = squares + step * (rows[:, i : i + 1] - mean)
    return ((rows - mean) / np.sqrt(squares / rows.dtype.type(rows.shape[1]) + eps)).reshape(
        x.shape
    )


@right()
@by_rows
def by_einsum(rows, eps):
    ones = torch.full(rows.shape[1:], 1 / rows.shape[1], dtype=rows.dtype)
    centred = rows - torch.einsum("rn,n->r", rows, ones)[:, None]
    var = torch.einsum("rn,rn->r", centred, centred) / rows.shape[1]
    return torch.einsum("rn,r->rn", centred, torch.rsqrt(var + eps))


@right()
def in_float64(x, normalized_shape, weight, bias, eps):
    return finish(two_passes(x.double(), normalized_shape, None, None, eps), weight, bias, x)


@right()
def scale_and_offset(x, normalized_shape, weight, bias, eps):
    dims = tuple(range(-len(normalized_shape), 0))
    var, mean = torch.var_mean(wide(x), dims, correction=0, keepdim=True)
    a = torch.rsqrt(var + eps)
    a = a if weight is None else a * weight.to(a.dtype)
    b = -mean * a if bias is None else bias.to(a.dtype) - mean * a
    return (wide(x) * a + b).to(x.dtype)


@right()
@by_rows
def by_centring_matrix(rows, eps):
    rows, n = rows - rows[:, :1], rows.shape[1]  # any one value may be taken off first
    centred = rows @ (torch.eye(n, dtype=rows.dtype) - 1 / n)
    return centred * math.sqrt(n) / (centred.square().sum(-1, keepdim=True) + n * eps).sqrt()


@right()
@by_rows
def by_norm(rows, eps):
    centred = rows - rows.sum(-1, keepdim=True) / rows.shape[1]
    ss = (centred * centred).sum(-1, keepdim=True)
    return centred * (ss / rows.shape[1] + eps).pow(-0.5)


@right()
@by_rows
def shifted_one_pass(rows, eps):
    shifted = rows - rows[:, :1]  # one pass is fine once the mean is small
    mean = shifted.mean(-1, keepdim=True)
    return (shifted - mean) / (shifted.square().mean(-1, keepdim=True) - mean**2 + eps).sqrt()


@right()
def printing(x, normalized_shape, weight, bias, eps):
    print("in here", x.shape)
    return F.layer_norm(x, normalized_shape, weight, bias, eps)


@right()
def warning(x, normalized_shape, weight=None, bias=None, eps=1e-5):
    warnings.warn("noisy", stacklevel=1)
    return F.layer_norm(x, normalized_shape, weight, bias, eps)


@right()
class OneSize(Layer):
    names, before = ("g", "b"), (1,)

    def __init__(self, d_model, epsilon=1e-6):
        super().__init__(d_model, epsilon)

    def compute(self, x, weight, bias):
        return over(x, -1, weight.squeeze(0), bias.squeeze(0), self.eps)


@right()
class NoEps(Layer):
    names = ()

    def __init__(self, features):
        super().__init__(features)


@right()
class Nested(torch.nn.Module):
    def __init__(self, normalized_shape, eps=1e-5):
        super().__init__()
        self.inner = LayerNorm(normalized_shape, eps)

    def forward(self, x):
        return self.inner(x)


@right()
class ForwardOnly(Layer):
    names = ("scale", "shift")
    forward = torch.no_grad()(Layer.forward)


@right()
class RequiredFlag(Layer):
    """As nanoGPT has it: a bias flag without a default, and no eps."""

    def __init__(self, ndim, bias):
        super().__init__(ndim)
        self.bias = self.bias if bias else None


@right()
class BetaBuffer(named("gamma")):
    """As x-transformers had it: a gain that is learned, and zeros that are not."""

    def __init__(self, dim: int):
        super().__init__(dim)
        self.register_buffer("beta", torch.zeros(dim))

    def compute(self, x, weight, bias):
        return super().compute(x, weight, self.beta)


@right()
class ByKeyword(Layer):
    def __init__(self, *, hidden_size, eps=1e-12):
        super().__init__(hidden_size, eps)


@right()
class IntOnly(Layer):
    def __init__(self, embed_dim: int, layer_norm_eps: float = 1e-6):
        assert isinstance(embed_dim, int)
        super().__init__(embed_dim, layer_norm_eps)


@right()
class OfSequences(Layer):
    def compute(self, x, weight, bias):
        batch, time, channels = x.shape
        y = super().compute(x.reshape(batch * time, channels), weight, bias)
        return y.view(batch, time, channels)


# --- right, for images and signals: axis 1 is normalized ------------------------------------------

right_images(
    image_function=lambda x, weight, bias, eps: F.layer_norm(
        x.movedim(1, -1), x.shape[1:2], weight, bias, eps
    ).movedim(-1, 1)
)


@right_images()
class Permuted(torch.nn.LayerNorm):
    def forward(self, x):
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


@right_images()
class ImageNorm(Layer):
    after = (1, 1)

    def compute(self, x, weight, bias):
        return over(x, 1, weight, bias, self.eps)


@right_images()
class FourAxes(ImageNorm):
    names, before = ("g", "b"), (1,)


@right_images()
class Signal(named("gamma", "beta")):
    def compute(self, x, weight, bias):
        return super().compute(x.transpose(1, 2), weight, bias).mT


# --- right, with limits ---------------------------------------------------------------------------


@limited("narrows-float64")
def all_in_float32(x, normalized_shape, weight, bias, eps):
    floats = (None if t is None else t.float() for t in (weight, bias))
    return F.layer_norm(x.float(), normalized_shape, *floats, eps).to(x.dtype)


@limited("narrows-float64")
class InFloat32(Layer):
    """As diffusers and fairseq have it."""

    def compute(self, x, weight, bias):
        return super().compute(x.float(), weight.float(), bias.float()).type_as(x)


@limited("narrows-float64", "float32-parameters")
class CastInput(Layer):
    """As CLIP has it: only x is cast."""

    def compute(self, x, weight, bias):
        return super().compute(x.type(torch.float32), weight, bias).type(x.dtype)


@limited("rounds-before-scale")
class RoundsBeforeScale(Layer):
    def compute(self, x, weight, bias):
        return super().compute(wide(x), None, None).to(x.dtype) * weight + bias


# --- wrong, by one formula for x_hat --------------------------------------------------------------

wrong(
    "eps-outside-sqrt",
    outside_of_std=by(lambda x, o, eps: (x - x.mean(**o)) / (x.std(correction=0, **o) + eps)),
    numpy_outside=numpy_by(lambda x, o, eps: (x - x.mean(**o)) / (x.std(**o) + eps)),
    outside_of_rsqrt=by(
        lambda x, o, eps: (x - x.mean(**o)) * (x.var(correction=0, **o).rsqrt() + eps)
    ),
)
wrong(
    "unbiased-variance",
    unbiased_var=by(lambda x, o, eps: (x - x.mean(**o)) / torch.sqrt(x.var(**o) + eps)),
    divided_by_n_minus_one=by_rows(
        lambda x, eps: (
            (c := x - x.mean(-1, keepdim=True))
            * torch.rsqrt((c**2).sum(-1, keepdim=True) / (x.shape[1] - 1) + eps)
        )
    ),
    numpy_ddof=numpy_by(lambda x, o, eps: (x - x.mean(**o)) / np.sqrt(x.var(ddof=1, **o) + eps)),
)
wrong(
    "missing-sqrt",
    by_variance=by(lambda x, o, eps: (x - x.mean(**o)) / (x.var(correction=0, **o) + eps)),
    by_reciprocal_variance=by(
        lambda x, o, eps: (c := x - x.mean(**o)) * ((c**2).mean(**o) + eps).reciprocal()
    ),
    squared_std=by(
        lambda x, o, eps: (x - x.mean(**o)) / torch.sqrt(x.var(correction=0, **o) + eps).square()
    ),
    square_for_root=by(lambda x, o, eps: (x - x.mean(**o)) / (x.var(correction=0, **o) + eps) ** 2),
)
wrong(
    "missing-eps",
    bare_std=by(lambda x, o, eps: (x - x.mean(**o)) / x.std(correction=0, **o)),
    nan_swept_under=by(
        lambda x, o, eps: torch.nan_to_num((x - x.mean(**o)) * x.var(correction=0, **o).rsqrt())
    ),
    numpy_bare=numpy_by(lambda x, o, eps: (x - x.mean(**o)) / x.std(**o)),
)
wrong(
    "no-centering",
    Rms=torch.nn.RMSNorm,
    mean_left_in=by(lambda x, o, eps: x * torch.rsqrt(x.var(correction=0, **o) + eps)),
    variance_about_zero=by(
        lambda x, o, eps: (x - x.mean(**o)) * torch.rsqrt(x.square().mean(**o) + eps)
    ),
)
wrong(
    "sum-for-mean",
    norm_for_std=by(lambda x, o, eps: (c := x - x.mean(**o)) / ((c * c).sum(**o) + eps).sqrt()),
)
wrong(
    "one-pass-variance",
    mean_of_squares=by(
        lambda x, o, eps: (x - (m := x.mean(**o))) / ((x * x).mean(**o) - m * m + eps).sqrt()
    ),
    clamped_one_pass=by_rows(
        lambda x, eps: (
            (x - (m := x.sum(-1, keepdim=True) / x.shape[1]))
            * ((x.pow(2).sum(-1, keepdim=True) / x.shape[1] - m**2).clamp(min=0) + eps).rsqrt()
        )
    ),
    numpy_one_pass=numpy_by(
        lambda x, o, eps: (x - (m := x.mean(**o))) / np.sqrt((x**2).mean(**o) - m**2 + eps)
    ),
)


def padded(mask_mean=True, mask_var=True, mask_grads=True):
    """Return a layer that fills rows up to a power of two, and may forget so in its sums."""

    def layer(x, normalized_shape, weight, bias, eps):
        n = math.prod(normalized_shape)
        fill = 2 ** math.ceil(math.log2(n)) - n
        flat = wide(x).reshape(*x.shape[: x.ndim - len(normalized_shape)], n)
        row = F.pad(flat, (0, fill), value=0.0 if mask_mean else 1.0)  # what the memory holds
        mean = row.sum(-1, keepdim=True) / n
        centred = row - mean
        if mask_var:
            centred = F.pad(flat - mean, (0, fill))
        x_hat = (flat - mean) * (centred.square().sum(-1, keepdim=True) / n + eps).rsqrt()
        x_hat = x_hat.reshape(x.shape)
        if not mask_grads:  # a gradient like that of a sum that was divided by too many
            x_hat = x_hat.detach() + (x_hat - x_hat.detach()) * n / (n + fill)
        return finish(x_hat, weight, bias, x)

    return layer


wrong(
    "padded-row",
    padded_mean=padded(mask_mean=False),
    padded_variance=padded(mask_var=False),
    padded_gradient=padded(mask_grads=False),
)
right(padded_and_masked=padded())
wrong(
    "nan-gradient",
    root_squared=by(
        lambda x, o, eps: (c := x - x.mean(**o)) / ((c * c).mean(**o).sqrt() ** 2 + eps).sqrt()
    ),
    by_hypot=by(
        lambda x, o, eps: (
            (c := x - x.mean(**o))
            / torch.hypot(s := torch.pow((c**2).mean(**o), 0.5), torch.full_like(s, math.sqrt(eps)))
        )
    ),
)


@wrong("nan-gradient")
@by
def where_after_division(x, o, eps):
    centred = x - x.mean(**o)
    var = centred.square().mean(**o)
    x_hat = centred / var.sqrt() * torch.sqrt(var / (var + eps))
    return torch.where(var > 0, x_hat, torch.zeros_like(x_hat))


@wrong("eps-outside-sqrt")
class OutsideOfRoot(named("gamma", "beta")):
    def compute(self, x, weight, bias):
        centred = wide(x) - wide(x).mean(self.dims, keepdim=True)
        root = centred.square().mean(self.dims, keepdim=True).sqrt()
        return finish(centred / (root + self.eps), weight, bias, x)


@wrong("detached-statistics")
@by
def no_grad_statistics(x, o, eps):
    with torch.no_grad():
        var, mean = torch.var_mean(x, correction=0, **o)
    return (x - mean) * torch.rsqrt(var + eps)


wrong(
    "detached-statistics",
    detached_variance=by(
        lambda x, o, eps: (x - x.mean(**o)) * torch.rsqrt(x.var(correction=0, **o) + eps).detach()
    ),
    detached_mean=by(
        lambda x, o, eps: (x - x.detach().mean(**o)) * torch.rsqrt(x.var(correction=0, **o) + eps)
    ),
)

# --- wrong in what stands around the formula ------------------------------------------------------

wrong(
    "wrong-eps",
    eps_written_in=lambda x, shape, w, b, eps: F.layer_norm(x, shape, w, b, 1e-12),
    EpsLost=lambda normalized_shape, eps: torch.nn.LayerNorm(normalized_shape, eps=1e-3),
    eps_squared=lambda x, shape, w, b, eps: F.layer_norm(x, shape, w, b, eps**2),
    eps_in_the_sum=lambda x, shape, w, b, eps: F.layer_norm(x, shape, w, b, eps / math.prod(shape)),
    x_alone_with_another_eps=lambda x: F.layer_norm(x, x.shape[-1:], eps=1e-6),
)
wrong(
    "wrong-axis",
    over_the_batch=lambda x, shape, w, b, eps: over(x, 0, w, b, eps),
    over_everything=lambda x, shape, w, b, eps: over(x, None, w, b, eps) if x.numel() else x,
    over_the_sequence_too=lambda x, shape, w, b, eps: over(x, tuple(range(1, x.ndim)), w, b, eps),
    over_all_but_the_last=lambda x, shape, w, b, eps: over(x, tuple(range(x.ndim - 1)), w, b, eps),
    over_the_last_alone=lambda x, shape, w, b, eps: over(x, -1, w, b, eps),
)
wrong(
    "missing-affine",
    no_parameters_used=lambda x, shape, w, b, eps: F.layer_norm(x, shape, None, None, eps),
    weight_forgotten=lambda x, shape, w, b, eps: F.layer_norm(x, shape, None, b, eps),
)
wrong("swapped-affine", numpy_swapped=lambda x, shape, w, b, eps: numpy_plain(x, shape, b, w, eps))
wrong(
    "shift-before-scale",
    bias_scaled=lambda x, shape, w, b, eps: F.layer_norm(
        x, shape, w, b if w is None or b is None else b * w, eps
    ),
)
wrong(
    "unit-offset-weight",
    zero_centred_weight=lambda x, shape, w, b, eps: F.layer_norm(
        x, shape, None if w is None else 1 + w, b, eps
    ),
)
wrong(
    "wrong-dtype",
    left_wide=lambda x, shape, *rest: two_passes(wide(x), shape, *rest),
    numpy_promoted=lambda x, shape, w, b, eps: numpy_plain(x, shape, w, b, eps).astype(np.float64),
    always_float32=lambda *given: F.layer_norm(*given).float(),
    widened=lambda *given: F.layer_norm(*given).double(),
)
wrong(
    "wrong-shape",
    squeezed=lambda *given: F.layer_norm(*given).flatten(),
    transposed=lambda *given: F.layer_norm(*given).unsqueeze(0),
    mean_kept=lambda *given: F.layer_norm(*given).sum(-1, keepdim=True)[..., None],
    reduced=lambda *given: F.layer_norm(*given).mean(-1),
)
wrong(
    "raises",
    none_returned=lambda *given: print(F.layer_norm(*given).shape),
    tuple_returned=lambda *given: (F.layer_norm(*given),),
)
wrong(
    "unknown",
    identity=lambda x, *rest: x,
    floor_of_eps=by(lambda x, o, eps: (x - x.mean(**o)) / x.std(correction=0, **o).clamp(min=eps)),
    tanh_of_x=by(lambda x, o, eps: torch.tanh(x)),
    inexact_root=lambda *given: F.layer_norm(*given) * 1.001,
    nan=lambda *given: F.layer_norm(*given) * math.nan,
)


@wrong("missing-affine")
class BiasForgotten(named("a_2", "b_2")):
    def compute(self, x, weight, bias):
        return super().compute(x, weight, None)


@wrong("swapped-affine")
def arguments_swapped(x, normalized_shape, *parameters_and_eps):
    first, second, eps = parameters_and_eps
    return F.layer_norm(x, normalized_shape, second, first, eps)


@wrong("swapped-affine")
class NamesSwapped(named("scale", "shift")):
    def compute(self, x, weight, bias):
        return super().compute(x, None, None) * bias + weight


@wrong("shift-before-scale")
def shifted_first(x, normalized_shape, weight, bias, eps):
    x_hat = F.layer_norm(x, normalized_shape, None, None, eps)
    x_hat = x_hat if bias is None else x_hat + bias
    return x_hat if weight is None else x_hat * weight


@wrong("shift-before-scale")
class Distributed(named("g", "b")):
    def compute(self, x, weight, bias):
        return weight * (super().compute(x, None, None) + bias)


@wrong("low-precision-statistics")
def not_widened(x, normalized_shape, weight, bias, eps):
    dims = tuple(range(-len(normalized_shape), 0))
    centred = x - x.mean(dims, keepdim=True)
    var = centred.square().mean(dims, keepdim=True)
    return finish(centred / torch.sqrt(var + eps), weight, bias, x)


@wrong("low-precision-statistics")
def variance_rounded(x, normalized_shape, weight, bias, eps):
    dims = tuple(range(-len(normalized_shape), 0))
    var, mean = torch.var_mean(wide(x), dims, correction=0, keepdim=True)
    return finish((wide(x) - mean) / torch.sqrt((var + eps).to(x.dtype)), weight, bias, x)


wrong(
    "low-precision-statistics",
    all_in_bfloat16=replace(LAYER_NORM, widen=lambda dtype: torch.bfloat16),
)


@wrong("low-precision-statistics")
def all_in_half(x, normalized_shape, weight, bias, eps):
    halves = (None if t is None else t.half() for t in (weight, bias))
    return F.layer_norm(x.half(), normalized_shape, *halves, eps).to(x.dtype)


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


@wrong("swapped-gradients")
class GradientsExchanged(Layer):
    def compute(self, x, weight, bias):
        return ExchangedGradients.apply(super().compute(x, None, None), weight, bias)


@wrong("mutates-input")
def centred_in_place(x, normalized_shape, weight, bias, eps):
    if x.dtype in (torch.float16, torch.bfloat16):
        return x.copy_(F.layer_norm(x, normalized_shape, weight, bias, eps))
    x -= x.mean(tuple(range(-len(normalized_shape), 0)), keepdim=True)
    return F.layer_norm(x, normalized_shape, weight, bias, eps)


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
    dims = tuple(range(-len(normalized_shape), 0))
    x.sub_(x.mean(dims, keepdim=True))
    x.div_(torch.sqrt(x.pow(2).mean(dims, keepdim=True) + eps))
    x = x if weight is None else x.mul_(weight)
    return x if bias is None else x.add_(bias)


@wrong("raises")
def raising(x, normalized_shape, weight, bias, eps):
    raise IndexError("no such axis")


@wrong("raises")
def full_batches_only(x, normalized_shape, weight, bias, eps):
    if not x.numel():
        raise ValueError("an empty batch")
    return F.layer_norm(x, normalized_shape, weight, bias, eps)


@wrong("raises")
class OneAxisOnly(Layer):
    def __init__(self, normalized_shape, eps=1e-5):
        assert len(normalized_shape) == 1, "one axis, please"
        super().__init__(normalized_shape, eps=eps)


@wrong("raises")
class Odd(named("gamma", "temperature")):
    pass


# --- two at once ----------------------------------------------------------------------------------

outside_of_std, unbiased_var = WRONG["outside_of_std"][0], WRONG["unbiased_var"][0]
wrong(
    "wrong-eps",
    "eps-outside-sqrt",
    small_eps_outside=lambda x, shape, w, b, eps: outside_of_std(x, shape, w, b, 1e-8),
)
wrong(
    "no-centering",
    "missing-affine",
    rms_without_bias=lambda x, shape, w, b, eps: F.rms_norm(x, shape, w, eps),
)


@wrong("unbiased-variance", "eps-outside-sqrt")
class AnnotatedStyle(named("a_2", "b_2")):
    """The pair of the Annotated Transformer: unbiased, eps outside; one axis, no widening."""

    def __init__(self, features, eps=1e-6):
        super().__init__(features, eps)

    def compute(self, x, weight, bias):
        mean, std = x.mean(-1, keepdim=True), x.std(-1, keepdim=True)
        return weight * (x - mean) / (std + self.eps) + bias


@wrong("mutates-input", "unbiased-variance")
def in_place_and_unbiased(x, normalized_shape, weight, bias, eps):
    y = unbiased_var(x.clone(), normalized_shape, weight, bias, eps)
    x.zero_()
    return y


@wrong("raises", "wrong-shape")
@by
def without_keepdim(x, o, eps):
    var, mean = torch.var_mean(x, o["dim"], correction=0)
    return (x - mean[..., None, :]) / var


# --- RMSNorm --------------------------------------------------------------------------------------

RIGHT_RMS |= {
    "torch.nn.RMSNorm": torch.nn.RMSNorm,
    "F.rms_norm": F.rms_norm,
    "rms_norm": rms_norm,
    "the formula": rms(RMS_NORM),
    "a partial": partial(torch.nn.RMSNorm, elementwise_affine=False),
}
WithBias = named("scale", "offset", base=RMSLayer)
right_rms(
    WithBias=WithBias,
    rms_by_pow=rms(by(lambda x, o, eps: x * torch.rsqrt(x.pow(2).mean(**o) + eps))),
    rms_by_norm=rms(
        by_rows(lambda x, eps: x / (x.norm(dim=-1, keepdim=True) ** 2 / x.shape[1] + eps).sqrt())
    ),
    rms_by_own_backward=rms(by_rows(lambda rows, eps: OwnBackward.apply(rows, eps, 0))),
    rms_numpy=rms(numpy_by(lambda x, o, eps: x / np.sqrt((x * x).mean(**o) + eps))),
    rms_of_x_alone=lambda x: F.rms_norm(x, x.shape[-1:], eps=torch.finfo(torch.float32).eps),
    rms_of_rows=lambda x, gain, epsilon: F.rms_norm(x, x.shape[-1:], gain, epsilon),
)


@right_rms()
class RmsOfInt(RMSLayer):
    names = ("g",)

    def __init__(self, dim: int, variance_epsilon: float = 1e-6):
        assert isinstance(dim, int)
        super().__init__(dim, variance_epsilon)


@right_rms()
class RmsByKeyword(RMSLayer):
    def __init__(self, *, d: int, e: float = 1e-8):
        super().__init__(d, e)


@limited_rms("rounds-before-scale", "narrows-float64")
class LlamaStyle(RmsOfInt):
    def compute(self, x, weight, bias):
        wide = x.to(torch.float32)
        variance = wide.pow(2).mean(-1, keepdim=True)
        return weight * (wide * torch.rsqrt(variance + self.eps)).to(x.dtype)


@limited_rms("rounds-before-scale", "narrows-float64")
class T5Style(RmsOfInt):
    def compute(self, x, weight, bias):
        variance = x.to(torch.float32).pow(2).mean(-1, keepdim=True)
        x = x * torch.rsqrt(variance + self.eps)
        return weight * (x.to(weight.dtype) if weight.itemsize == 2 else x)


wrong_rms(
    "eps-outside-sqrt",
    rms_outside=rms(by(lambda x, o, eps: x / (x.square().mean(**o).sqrt() + eps))),
)
wrong_rms("missing-eps", rms_bare=rms(by(lambda x, o, eps: x * x.square().mean(**o).rsqrt())))
wrong_rms("wrong-eps", rms_eps_lost=lambda x, shape, w, eps: F.rms_norm(x, shape, w, 1e-3))
wrong_rms(
    "mean-subtracted",
    Centres=torch.nn.LayerNorm,
    rms_by_std=rms(by(lambda x, o, eps: x * (x.var(correction=0, **o) + eps).rsqrt())),
)
wrong_rms(
    "sum-for-mean",
    rms_by_sum=rms(by(lambda x, o, eps: x * (x.square().sum(**o) + eps).rsqrt())),
)
wrong_rms(
    "unbiased-variance",
    rms_n_minus_one=rms(
        by_rows(lambda x, eps: x / (x.square().sum(-1, True) / (x.shape[1] - 1) + eps).sqrt())
    ),
)
wrong_rms("missing-sqrt", rms_squared=rms(by(lambda x, o, eps: x / (x.square().mean(**o) + eps))))
wrong_rms(
    "wrong-axis",
    rms_over_everything=rms(by(lambda x, o, eps: x * (x.square().mean() + eps).rsqrt())),
)
wrong_rms(
    "missing-affine", rms_without_weight=lambda x, shape, w, eps: F.rms_norm(x, shape, None, eps)
)
wrong_rms(
    "low-precision-statistics",
    rms_in_half=lambda x, w, eps: x * torch.rsqrt((x * x).mean(-1, keepdim=True) + eps) * w,
)
wrong_rms(
    "detached-statistics",
    rms_detached=rms(by(lambda x, o, eps: x * (x.square().mean(**o) + eps).rsqrt().detach())),
)
wrong_rms(
    "nan-gradient",
    rms_root_squared=rms(by(lambda x, o, eps: x / (x.square().mean(**o).sqrt() ** 2 + eps).sqrt())),
)
wrong_rms("wrong-dtype", rms_widened=lambda *given: F.rms_norm(*given).double())
wrong_rms("unknown", rms_of_abs=rms(by(lambda x, o, eps: x / (x.abs().mean(**o) + eps))))


@wrong_rms("unit-offset-weight")
class GemmaStyle(RmsOfInt):
    def compute(self, x, weight, bias):
        output = x.float() * torch.rsqrt(x.float().pow(2).mean(-1, keepdim=True) + self.eps)
        return (output * (1.0 + weight.float())).type_as(x)


@wrong_rms("swapped-affine")
class RmsSwapped(WithBias):
    def compute(self, x, weight, bias):
        return super().compute(x, bias, weight)


@wrong_rms("swapped-gradients")
class RmsGradientsExchanged(WithBias):
    def compute(self, x, weight, bias):
        return ExchangedGradients.apply(super().compute(x, None, None), weight, bias)


@wrong_rms("mutates-input")
def rms_in_place(x, normalized_shape, weight, eps):
    y = F.rms_norm(x, normalized_shape, weight, eps)
    x.data.mul_(2)
    return y
