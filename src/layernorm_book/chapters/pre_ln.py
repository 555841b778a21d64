"""A small pre-LN transformer that was trained on one text, for what becomes of its γ and β.

It has the parts of chapter 9's model: two blocks of 32 features, LayerNorm before each branch, and
a last LayerNorm before the matrix to the characters. `tools/train_speller.py`, which `make wild`
runs, trained it; `data/NOTICE.md` says on what.
"""

from importlib.resources import files

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

DATA = files("layernorm_book.chapters") / "data"
D, DEPTH, HEADS, TOKENS = 32, 2, 4, 32


def text():
    """Return what the model learned to continue: the Apache License, as it lies in the data."""
    return (DATA / "LICENSE-APACHE-2.0.txt").read_text(encoding="utf-8")


def characters():
    """Return the text as numbers: an int64 tensor of shape (length,), and how many there are."""
    alphabet = sorted(set(text()))
    place = {character: number for number, character in enumerate(alphabet)}
    return torch.tensor([place[character] for character in text()]), len(alphabet)


class Block(nn.Module):
    """One pre-LN block: each branch reads a normalized stream, and adds to the stream itself."""

    def __init__(self, d):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.qkv, self.out = nn.Linear(d, 3 * d), nn.Linear(d, d)
        self.wide, self.narrow = nn.Linear(d, 4 * d), nn.Linear(4 * d, d)

    def forward(self, h):
        """Return the stream after the block, of the shape of `h`: (batch, tokens, d)."""
        qkv = self.qkv(self.norm1(h)).unflatten(-1, (3, HEADS, -1))
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # (batch, heads, tokens, d / heads) each
        read = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        h = h + self.out(read.transpose(1, 2).flatten(2))  # (batch, tokens, d)
        return h + self.narrow(torch.relu(self.wide(self.norm2(h))))  # (batch, tokens, d)


class Speller(nn.Module):
    """A pre-LN transformer that says which character comes next.

    Args:
        alphabet: how many characters there are.
    """

    def __init__(self, alphabet):
        super().__init__()
        self.character, self.position = nn.Embedding(alphabet, D), nn.Embedding(TOKENS, D)
        self.blocks = nn.Sequential(*(Block(D) for _ in range(DEPTH)))
        self.final, self.head = nn.LayerNorm(D), nn.Linear(D, alphabet)

    def forward(self, ids):
        """Return logits of shape (batch, tokens, alphabet) for `ids` of shape (batch, tokens)."""
        h = self.character(ids) + self.position.weight[: ids.shape[1]]  # (batch, tokens, d)
        return self.head(self.final(self.blocks(h)))

    def norms_and_readers(self):
        """Return (norm, matrix) for each LayerNorm: the one `nn.Linear` that reads its output."""
        pairs = [((b.norm1, b.qkv), (b.norm2, b.wide)) for b in self.blocks]
        return [pair for both in pairs for pair in both] + [(self.final, self.head)]


def load_speller(dtype=torch.float64):
    """Return the trained model, ready to read.

    Args:
        dtype: of its parameters. They are stored as float16, so float32 and float64 hold them
            exactly.

    Example:
        >>> model = load_speller()
        >>> len(model.norms_and_readers()), model.final.weight.shape
        (5, torch.Size([32]))
    """
    with (DATA / "speller.npz").open("rb") as file, np.load(file) as stored:
        state = {name: torch.tensor(stored[name]) for name in stored.files}
    model = Speller(len(state["character.weight"]))
    model.load_state_dict(state)
    return model.to(dtype).eval().requires_grad_(False)
