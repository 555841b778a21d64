"""Swap the 13 LayerNorms of a real sentence encoder, and record what happens to its embeddings.

python tools/swap_layernorms.py           write the data file
python tools/swap_layernorms.py --check   compare it, and exit 1 where it differs

`make wild` runs it. The book's layer must agree with PyTorch's to float32 rounding, or it exits 1
and writes nothing. Chapter 8 quotes what it writes.
"""

import copy
import sys

import torch
from encoder import (
    compare,
    digits,
    edited,
    embed,
    finish,
    layer_norm_names,
    layer_norms,
    load,
    median,
    readers,
)

from layernorm_book import LayerNorm
from layernorm_book.chapters.trained import EPS, NAMES


class NoteLayerNorm(torch.nn.Module):
    """The layer of the note that started the book: eps added to the standard deviation."""

    def __init__(self, normalized_shape, eps=1e-5):
        super().__init__()
        self.eps = eps
        self.weight = torch.nn.Parameter(torch.ones(normalized_shape))
        self.bias = torch.nn.Parameter(torch.zeros(normalized_shape))

    def forward(self, x):
        """Return y, of the shape of `x`."""
        mean = x.mean(-1, keepdim=True)  # (*, 1)
        std = x.std(-1, keepdim=True, unbiased=False)  # (*, 1)
        return self.weight * (x - mean) / (std + self.eps) + self.bias


def swapped(model, make, which=None):
    """Return a copy of the model in which `make(shape, eps=...)` replaces each LayerNorm.

    Args:
        model: a torch.nn.Module, left as it is.
        make: a class or function; what it returns must take the LayerNorm's state dict, strictly.
        which: positions of those to replace, all if None.
    """
    model = copy.deepcopy(model)
    names = layer_norm_names(model)
    for position in range(len(names)) if which is None else which:
        parent, _, child = names[position].rpartition(".")
        old = model.get_submodule(names[position])
        new = make(old.normalized_shape, eps=old.eps)
        new.load_state_dict(old.state_dict(), strict=True)
        setattr(model.get_submodule(parent), child, new.eval())
    return model


def with_eps(layer, eps):
    """Return a maker of `layer` that takes its own eps, whatever it is asked for."""
    return lambda shape, **_: layer(shape, eps=eps)


def without_affine(weight, bias):
    """Set γ to 1 and β to 0, as in a fresh layer."""
    weight.fill_(1)
    bias.zero_()


def without_bias(weight, bias):
    """Set β to 0 and keep γ."""
    bias.zero_()


def one_gamma(weight, bias):
    """Give every channel of a layer the layer's average γ, and keep β."""
    weight.fill_(weight.mean())


def releveled(model):
    """Return a copy in which each γ has mean 1, and the weights around it take the change back.

    Multiply γ and β by c. The matrices that read them are divided by c, and what is added to them
    on the residual path is multiplied by c: then the next LayerNorm sees c·x, and ignores the c.
    """
    model = copy.deepcopy(model)
    norms = layer_norms(model)
    with torch.no_grad():
        for norm, reading, output in zip(norms, readers(model), outputs(model), strict=False):
            c = 1 / norm.weight.mean()
            for tensor in (norm.weight, norm.bias, *output.dense.parameters()):
                tensor *= c
            for reader in reading:
                reader.weight /= c
        c = 1 / norms[-1].weight.mean()
        norms[-1].weight *= c
        norms[-1].bias *= c
    return model


def outputs(model):
    """Return the 12 modules that add a branch to the residual path and normalize the sum."""
    return [part for b in model.encoder.layer for part in (b.attention.output, b.output)]


def folded(model, carry):
    """Return a copy in which the matrices have taken over γ and β, of all LayerNorms but the last.

    Args:
        model: the encoder, left as it is.
        carry: whether the residual path multiplies by γ and adds β itself. It reads the LayerNorm
            too, and no matrix stands on it.
    """
    model = copy.deepcopy(model)
    parts = zip(layer_norms(model), readers(model), outputs(model), strict=False)
    with torch.no_grad():
        for norm, reading, output in parts:
            for reader in reading:
                reader.bias += reader.weight @ norm.bias
                reader.weight *= norm.weight
            if carry:
                kept = norm.weight.clone(), norm.bias.clone()  # (384,) each

                def scale(module, inputs, kept=kept):
                    branch, skip = inputs  # (sentences, tokens, 384) each
                    return branch, skip * kept[0] + kept[1]

                output.register_forward_pre_hook(scale)
            norm.weight.fill_(1)
            norm.bias.zero_()
    return model


def watch(model, tokens):
    """Return, for each LayerNorm, the σ of its input rows: smallest, median and largest."""
    mask, seen, hooks = tokens["attention_mask"].bool(), {}, []
    for name, layer in zip(NAMES, layer_norms(model), strict=True):

        def record(module, inputs, output, name=name):
            std = inputs[0][mask].std(-1, correction=0)  # (tokens,), padding left out
            seen[name] = [digits(s) for s in (std.min(), median(std), std.max())]

        hooks.append(layer.register_forward_hook(record))
    embed(model, tokens)
    for hook in hooks:
        hook.remove()
    return seen


def measure(model, tokens):
    """Return everything that chapter 8 quotes, from one encoder and one batch of sentences."""
    expected = embed(model, tokens)
    truth = embed(copy.deepcopy(model).double(), tokens)  # float64: what rounding is measured by
    rounding = (expected - truth).abs().max()
    models = {
        "book": swapped(model, LayerNorm),
        "note": swapped(model, NoteLayerNorm),
        "book, eps 1e-5": swapped(model, with_eps(LayerNorm, 1e-5)),
        "note, eps 1e-5": swapped(model, with_eps(NoteLayerNorm, 1e-5)),
        "book, eps 1e-3": swapped(model, with_eps(LayerNorm, 1e-3)),
        "note, eps 1e-3": swapped(model, with_eps(NoteLayerNorm, 1e-3)),
        "book, eps 1e-3, first layer only": swapped(model, with_eps(LayerNorm, 1e-3), [0]),
        "book, eps 1e-3, all but the first": swapped(
            model, with_eps(LayerNorm, 1e-3), range(1, len(NAMES))
        ),
        "no affine": edited(model, without_affine),
        "no beta": edited(model, without_bias),
        "one gamma per layer": edited(model, one_gamma),
        "every gamma at mean 1, weights adjusted": releveled(model),
        "gamma in the matrices": folded(model, carry=False),
        "gamma in the matrices and on the path": folded(model, carry=True),
    }
    assert not layer_norm_names(models["book"]), "a torch.nn.LayerNorm is still there"
    return {
        "sentences": len(tokens["input_ids"]),
        "parameters": sum(p.numel() for p in model.parameters()),
        "largest_entry": digits(expected.abs().max()),
        "error_of_pytorch": digits(rounding),
        "error_of_book": digits((embed(models["book"], tokens) - truth).abs().max()),
        "swaps": {name: compare(embed(each, tokens), expected) for name, each in models.items()},
        "sigma": watch(model, tokens),
    }


def main(arguments):
    """Run every swap, refuse a disagreement beyond rounding, write the results or compare them."""
    model, tokens = load()
    assert [layer.eps for layer in layer_norms(model)] == [EPS] * len(NAMES)
    results = measure(model, tokens)
    for name, cosine in results["swaps"].items():
        print(f"{name:42} {cosine['worst']:.4f} {cosine['median']:.4f}")

    # Rounding: within twice what PyTorch's own layers are off by, and one unit in the last place.
    ulp = torch.finfo(torch.float32).eps * results["largest_entry"]
    if results["error_of_book"] > 2 * results["error_of_pytorch"] + ulp:
        print("The book's layer is off by more than float32 rounding.", file=sys.stderr)
        return 1
    return finish("swapped_layernorms.json", results, arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
