"""Where may LayerNorm stand in a transformer? A sublayer says it in a line; the rest is here."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Attention(nn.Module):
    """Causal attention: a token reads itself and what came before it."""

    def __init__(self, d: int, heads: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.qkv, self.out = nn.Linear(d, 3 * d), nn.Linear(d, d)

    def forward(self, h: Tensor) -> Tensor:
        """Return what each token has read: (batch, tokens, d), as h is."""
        qkv = self.qkv(h).unflatten(-1, (3, self.heads, -1))
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # (batch, heads, tokens, d / heads) each
        read = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.out(read.transpose(1, 2).flatten(2))  # (batch, tokens, d)

    @property
    def reader(self) -> nn.Linear:
        """The matrix that reads what the branch is given."""
        return self.qkv

    def scale(self, inner: float, outer: float) -> None:
        """Multiply the weights that make the values, and those that lead out."""
        self.qkv.weight[-self.out.in_features :] *= inner
        self.out.weight *= outer


class FeedForward(nn.Module):
    """Two matrices with ReLU between them, for each token alone."""

    def __init__(self, d: int) -> None:
        super().__init__()
        self.wide, self.out = nn.Linear(d, 4 * d), nn.Linear(4 * d, d)

    def forward(self, h: Tensor) -> Tensor:
        """Return what each token makes of itself: (batch, tokens, d), as h is."""
        return self.out(torch.relu(self.wide(h)))  # (batch, tokens, d)

    @property
    def reader(self) -> nn.Linear:
        """The matrix that reads what the branch is given."""
        return self.wide

    def scale(self, inner: float, outer: float) -> None:
        """Multiply both matrices."""
        self.wide.weight *= inner
        self.out.weight *= outer


class Sublayer(nn.Module):
    """One branch of a block and the LayerNorms about it. A subclass places them in `forward`.

    Args:
        branch: `Attention` or `FeedForward`, whose weights it draws anew, as Xavier.
        d: features of a token.
        block: the number of its block, from 1.
        depth: blocks in the whole model, L.

    It has `branch`, `norm` and `norm_after`, two LayerNorms of which it may use none, `block` and
    `depth`. `final` says whether the model ends with a LayerNorm of its own.

    Example:
        >>> class Pre(Sublayer):
        ...     def forward(self, h):
        ...         return h + self.branch(self.norm(h))
        >>> Pre(FeedForward(8), 8, block=1, depth=6)(torch.zeros(2, 8)).shape
        torch.Size([2, 8])
    """

    final = True

    def __init__(self, branch: nn.Module, d: int, block: int, depth: int) -> None:
        super().__init__()
        self.branch, self.block, self.depth = branch, block, depth
        self.norm, self.norm_after = nn.LayerNorm(d), nn.LayerNorm(d)
        for matrix in (layer for layer in branch.modules() if isinstance(layer, nn.Linear)):
            nn.init.xavier_uniform_(matrix.weight)
            nn.init.zeros_(matrix.bias)
        with torch.no_grad():
            branch.scale(*self.gains())

    def gains(self) -> tuple[float, float]:
        """Return what the branch's first weights and its last are multiplied by at the start."""
        return 1.0, 1.0


class Speller(nn.Module):
    """A small transformer that gives the next character.

    Args:
        Place: a subclass of `Sublayer`; each of the `depth` blocks has two of them.
        d: features of a token.
        depth: blocks, L.
        tokens: the longest piece of text.
        symbols: different characters; ASCII has 128.
    """

    def __init__(
        self, Place: type, d: int = 64, depth: int = 6, tokens: int = 32, symbols: int = 128
    ) -> None:
        super().__init__()
        self.character, self.position = nn.Embedding(symbols, d), nn.Embedding(tokens, d)
        self.sublayers = nn.ModuleList(
            Place(branch, d, block, depth)
            for block in range(1, depth + 1)
            for branch in (Attention(d), FeedForward(d))
        )
        self.final = nn.LayerNorm(d) if Place.final else nn.Identity()
        self.head = nn.Linear(d, symbols)
        nn.init.xavier_uniform_(self.head.weight)
        for embedding in (self.character, self.position):
            nn.init.normal_(embedding.weight, std=0.5**0.5)  # the sum has mean square 1

    def states(self, ids: Tensor) -> list[Tensor]:
        """Return the tokens before the first block and after each: (batch, tokens, d) each."""
        h = self.character(ids) + self.position.weight[: ids.shape[-1]]  # (batch, tokens, d)
        states = [h]
        for sublayer in self.sublayers:
            h = sublayer(h)  # (batch, tokens, d)
            states.append(h)
        return states[::2]

    def answer(self, h: Tensor) -> Tensor:
        """Return a number for each character that may follow: (batch, tokens, symbols)."""
        return self.head(self.final(h))

    def forward(self, ids: Tensor) -> Tensor:
        """Return the same for numbers of characters, (batch, tokens)."""
        return self.answer(self.states(ids)[-1])


def own_part(f: Tensor) -> Tensor:
    """Take out of what a branch gives, (batch, tokens, d), what tokens share.

    That is the mean over the batch at each position, and then the mean over the tokens so far.
    """
    f = f - f.mean(0)
    so_far = torch.arange(1, f.shape[1] + 1)[:, None]  # (tokens, 1)
    return f - f.cumsum(1) / so_far


def norms_used(model: Speller) -> int:
    """Return how many LayerNorms a forward pass of a model goes through."""
    layers = [layer for layer in model.modules() if isinstance(layer, nn.LayerNorm)]
    used = []
    hooks = [layer.register_forward_hook(lambda *_: used.append(1)) for layer in layers]
    model(torch.zeros(1, 4, dtype=torch.long))
    for hook in hooks:
        hook.remove()
    return len(used)
