"""What becomes of a trained model whose LayerNorms are replaced by a wrong layer?"""

import copy

import torch
from torch import Tensor, nn

from layernorm_book.chapters.pre_ln import TOKENS, PreSpeller, text
from layernorm_book.parity.bugs import Variant


class Wrong(nn.Module):
    """A wrong layer with the γ, β and ε of a trained one.

    Args:
        formula: which wrong layer.
        norm: the layer whose place it takes.
    """

    def __init__(self, formula: Variant, norm: nn.LayerNorm) -> None:
        super().__init__()
        self.formula, self.norm = formula, norm

    def forward(self, x: Tensor) -> Tensor:
        """Return the wrong y, of the shape of `x`: (*, n)."""
        norm = self.norm
        return self.formula(x, norm.normalized_shape, norm.weight, norm.bias, norm.eps)


def transplanted(model: PreSpeller, formula: Variant) -> PreSpeller:
    """Return a copy of a trained model with a wrong layer in each place of a LayerNorm.

    Args:
        model: the model, which stays as it is.
        formula: the wrong layer.
    """
    model = copy.deepcopy(model)
    for sublayer in model.sublayers:
        sublayer.norm = Wrong(formula, sublayer.norm)
    model.final = Wrong(formula, model.final)
    return model


def continued(model: PreSpeller, start: str, length: int) -> str:
    """Return what a model writes after `start`: each time the likeliest character.

    Args:
        model: a trained model.
        start: characters of the text that it learned, which it is given.
        length: how many characters it adds.
    """
    alphabet = sorted(set(text()))
    ids = [alphabet.index(character) for character in start]
    for _ in range(length):
        with torch.no_grad():
            logits = model(torch.tensor([ids[-TOKENS:]]))  # (1, tokens, symbols)
        ids.append(int(logits[0, -1].argmax()))
    return "".join(alphabet[i] for i in ids[len(start) :])
