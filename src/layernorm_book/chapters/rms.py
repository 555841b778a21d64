"""Can a model do without the mean, without statistics, and what does each relative not see?"""

from copy import deepcopy
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class RMSNorm(nn.Module):
    """RMSNorm with the γ, β and ε of a LayerNorm; PyTorch's own has no β.

    Args:
        norm: whose parameters it takes.
        most: rows in which the mean has a larger share than this still get the LayerNorm.
    """

    def __init__(self, norm: nn.LayerNorm, most: float = 1.0) -> None:
        super().__init__()
        self.weight, self.bias, self.eps = norm.weight, norm.bias, norm.eps
        self.norm, self.most = norm, most

    def forward(self, h: Tensor) -> Tensor:
        """Normalize the last axis; return a tensor of h's shape."""
        y = F.rms_norm(h, h.shape[-1:], self.weight, self.eps) + self.bias
        return torch.where(mean_share(h)[..., None] > self.most, self.norm(h), y)


def mean_share(h: Tensor) -> Tensor:
    """Return μ²/(μ² + σ²) of each row of h, (*, d): a tensor of shape (*,)."""
    return h.mean(-1).square() / h.square().mean(-1)


def with_rms_norm(model: nn.Module, most: float = 1.0) -> nn.Module:
    """Return a copy of a model in which each LayerNorm has become an RMSNorm.

    Args:
        model: any, with LayerNorms over the last axis.
        most: rows in which the mean has a larger share than this still get the LayerNorm.
    """
    twin = deepcopy(model)
    for parent in list(twin.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.LayerNorm):
                setattr(parent, name, RMSNorm(child, most))
    return twin


@torch.no_grad()
def centre_writers(model: nn.Module) -> nn.Module:
    """Return a copy of a pre-LN model whose stream has mean 0, from beginning to end.

    Each thing that writes to the stream loses the mean, over the features, of what it writes.

    Args:
        model: with the parts of `placement.Speller`.

    Source: Jiang et al. 2023, https://arxiv.org/abs/2305.14858.
    """
    twin = deepcopy(model)
    for table in (twin.character, twin.position):  # weight (symbols, d)
        table.weight -= table.weight.mean(-1, keepdim=True)
    for sublayer in twin.sublayers:
        matrix = sublayer.branch.out  # weight (d, in), bias (d,)
        matrix.weight -= matrix.weight.mean(0)
        matrix.bias -= matrix.bias.mean()
    return twin


def loss(model: nn.Module, ids: Tensor) -> float:
    """Return the mean loss, in nats for a character, over ids of shape (pieces, tokens)."""
    guess = model(ids[:, :-1])  # (pieces, tokens - 1, symbols)
    return F.cross_entropy(guess.flatten(0, 1), ids[:, 1:].flatten()).item()


@torch.no_grad()
def readings(model: nn.Module, ids: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
    """Return what each LayerNorm of a model is given and the x̂ that it makes of that.

    Returns:
        dict from the LayerNorm's name, in the order of the forward pass, to two tensors of shape
        (pieces, tokens, d).
    """
    read: dict[str, tuple[Tensor, Tensor]] = {}

    def look(name: str, norm: nn.LayerNorm, given: tuple[Tensor], _: Tensor) -> None:
        (h,) = given  # (pieces, tokens, d)
        read[name] = h, F.layer_norm(h, h.shape[-1:], eps=norm.eps)

    norms = {n: layer for n, layer in model.named_modules() if isinstance(layer, nn.LayerNorm)}
    hooks = [norm.register_forward_hook(partial(look, name)) for name, norm in norms.items()]
    model(ids)
    for hook in hooks:
        hook.remove()
    return read


def mean_shares(model: nn.Module, ids: Tensor) -> list[Tensor]:
    """Return μ²/(μ² + σ²) of each row that a LayerNorm of a model reads.

    Returns:
        A tensor of shape (pieces, tokens) for each LayerNorm, in the order of the forward pass.
    """
    return [mean_share(h) for h, _ in readings(model, ids).values()]


# --- And without any statistics? ---


class DyT(nn.Module):
    """tanh(α·x) in the place of x̂, with the γ and β of a LayerNorm.

    Args:
        norm: whose γ and β it takes.
        alpha: of the whole layer.
        scale: γ is multiplied by it, for tanh ends at 1 and x̂ does not.

    Source: Zhu et al. 2025, https://arxiv.org/abs/2503.10622.
    """

    def __init__(self, norm: nn.LayerNorm, alpha: float, scale: float) -> None:
        super().__init__()
        self.weight, self.bias, self.alpha = scale * norm.weight, norm.bias, alpha

    def forward(self, h: Tensor) -> Tensor:
        """Put each number through the curve by itself; return a tensor of h's shape."""
        return torch.tanh(self.alpha * h) * self.weight + self.bias


def fit_tanh(h: Tensor, x_hat: Tensor) -> tuple[float, float]:
    """Return the α and the c of the c · tanh(α·h) that is nearest to x̂, by least squares.

    Args:
        h, x_hat: of one shape, any.
    """
    fits = []
    for alpha in torch.logspace(-2, 1, 200).tolist():
        curve = torch.tanh(alpha * h)
        scale = (curve * x_hat).sum() / curve.square().sum()
        fits.append(((x_hat - scale * curve).square().sum().item(), alpha, scale.item()))
    return min(fits)[1:]


def with_dyt(model: nn.Module, ids: Tensor) -> nn.Module:
    """Return a copy of a model in which each LayerNorm has become the tanh nearest to it on ids."""
    twin = deepcopy(model)
    for name, (h, x_hat) in readings(model, ids).items():
        twin.set_submodule(name, DyT(twin.get_submodule(name), *fit_tanh(h, x_hat)))
    return twin


# --- What does a layer not see? ---


def _normalize(x: Tensor, dims: int | tuple[int, ...]) -> Tensor:
    var, mean = torch.var_mean(x, dims, correction=0, keepdim=True)
    return (x - mean) / torch.sqrt(var + 1e-12)


NORMS = {  # of (N, C, H, W); (C) is over one pixel's channels, as in a transformer
    "BN": partial(_normalize, dims=(0, 2, 3)),
    "IN": partial(_normalize, dims=(2, 3)),
    "GN": partial(F.group_norm, num_groups=2, eps=1e-12),
    "LN (C)": partial(_normalize, dims=1),
    "RMS (C)": lambda x: x / torch.sqrt(x.square().mean(1, keepdim=True) + 1e-12),
    "DyT": lambda x: torch.tanh(0.5 * x),
}
_draw = partial(torch.randn, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
_X, _W, _V = _draw(5, 4, 2, 3), _draw(6, 4), _draw(4)  # (N, C, H, W), (out, C), (C,)


def _tripled(tensor: Tensor, index: object) -> Tensor:
    changed = tensor.clone()
    changed[index] *= 3
    return changed


CHANGES = {  # (weights, inputs)
    "all weights × 3": (3 * _W, _X),
    "v added to every row of W": (_W + _V, _X),
    "one row of W × 3": (_tripled(_W, 0), _X),
    "all inputs × 3": (_W, 3 * _X),
    "u added to every pixel": (_W, _X + _V[:, None, None]),
    "one image × 3": (_W, _tripled(_X, 0)),
    "one pixel × 3": (_W, _tripled(_X, (0, ..., 0, 0))),
}


def ignores(norm: str, change: str) -> bool:
    """Return whether a layer of NORMS behind a 1×1 convolution gives the same after a change."""
    before, after = (
        NORMS[norm](torch.einsum("oc,nchw->nohw", weight, x))
        for weight, x in ((_W, _X), CHANGES[change])
    )
    return torch.allclose(before, after, rtol=0, atol=1e-8)


def scatter(layer: nn.Module, size: int) -> float:
    """Return the standard deviation of one image's output over 200 draws of its company.

    Args:
        layer: takes images of shape (size, 4, 8, 8).
        size: of the batch, the image itself included.
    """
    generator = torch.Generator().manual_seed(size)
    contrast = 0.5 + torch.rand(1024, 4, 1, 1, generator=generator)
    brightness = torch.randn(1024, 4, 1, 1, generator=generator)
    pool = contrast * torch.randn(1024, 4, 8, 8, generator=generator) + brightness
    batches = torch.randint(1, 1024, (200, size), generator=generator)
    batches[:, 0] = 0  # the image that stays
    with torch.no_grad():
        outputs = torch.stack([layer(pool[batch])[0] for batch in batches])  # (200, 4, 8, 8)
    return outputs.std(dim=0).square().mean().sqrt().item()
