"""A small pre-LN transformer that was trained on one text, for what becomes of its γ and β.

It is chapter 9's model with two blocks of 32 features, LayerNorm before each branch, and a last
LayerNorm before the matrix to the characters. `tools/train_speller.py`, which `make wild`
runs, trained it; `data/NOTICE.md` says on what.
"""

from importlib.resources import files

import numpy as np
import torch

from layernorm_book.chapters.placement import Speller, Sublayer

DATA = files("layernorm_book.chapters") / "data"
D, DEPTH, TOKENS = 32, 2, 32


def text():
    """Return what the model learned to continue: the Apache License, as it lies in the data."""
    return (DATA / "LICENSE-APACHE-2.0.txt").read_text(encoding="utf-8")


def characters():
    """Return the text as numbers: an int64 tensor of shape (length,), and how many there are."""
    alphabet = sorted(set(text()))
    place = {character: number for number, character in enumerate(alphabet)}
    return torch.tensor([place[character] for character in text()]), len(alphabet)


class Pre(Sublayer):
    """Pre-LN: the branch reads a normalized stream, and adds to the stream itself."""

    def forward(self, h):
        """Return the stream after the sublayer, of the shape of `h`: (batch, tokens, d)."""
        return h + self.branch(self.norm(h))


class PreSpeller(Speller):
    """Chapter 9's model at the size of the stored one.

    Args:
        alphabet: how many characters there are.
    """

    def __init__(self, alphabet):
        super().__init__(Pre, D, DEPTH, TOKENS, alphabet)

    def norms_and_readers(self):
        """Return (norm, matrix) for each LayerNorm: the one `nn.Linear` that reads its output."""
        pairs = [(sublayer.norm, sublayer.branch.reader) for sublayer in self.sublayers]
        return [*pairs, (self.final, self.head)]


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
    model = PreSpeller(len(state["character.weight"]))
    model.load_state_dict(model.state_dict() | state)  # `norm_after` is used by no pre-LN
    return model.to(dtype).eval().requires_grad_(False)
