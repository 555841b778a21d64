"""How often does a layer pass a usual test? It is asked again and again, on drawn inputs."""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from layernorm_book.calling.call import Inputs
from layernorm_book.parity.bugs import VARIANTS
from layernorm_book.parity.cases import Case
from layernorm_book.parity.formula import LAYER_NORM
from layernorm_book.widgets.bugs import TOLERANCES as USUAL

SEEDS = range(200)
TOLERANCES = {
    "assert_close": USUAL["assert_close"],
    "10⁻³": USUAL["1e-3"],
    "10⁻²": {"rtol": 1e-2, "atol": 1e-2},
}
"""What usual tests allow: the defaults of torch.testing.assert_close for float32, and two more."""


class Trial(NamedTuple):
    """A layer and an input: what each is called, and what it is."""

    layer: str
    case: Case


LAYERS: dict[str, Callable[..., Tensor]] = {
    "ε outside": VARIANTS["eps-outside-sqrt"],
    "n − 1": VARIANTS["unbiased-variance"],
    "one pass": VARIANTS["one-pass-variance"],
    "right": LAYER_NORM,
}
TRIALS = (
    Trial("ε outside", Case("2×3×4", (2, 3, 4))),
    Trial("ε outside", Case("8×768, σ = 0.5", (8, 768), sigma=0.5)),
    Trial("ε outside", Case("2×3×4, ε = 0.5", (2, 3, 4), eps=0.5)),
    Trial("n − 1", Case("8×768", (8, 768))),
    Trial("n − 1", Case("2×3×4", (2, 3, 4))),
    Trial("one pass", Case("8×768", (8, 768))),
    Trial("one pass", Case("8×768, mean 100", (8, 768), mean=100.0)),
    Trial("one pass", Case("8×768, mean 2000", (8, 768), mean=2000.0)),
    Trial("right", Case("8×768", (8, 768))),
    Trial("right", Case("8×768, mean 2000", (8, 768), mean=2000.0)),
)


def _results(layer: str, case: Case, seeds: Iterable[int]):
    for seed in seeds:
        inputs = case.make(seed)
        given = (inputs.x, inputs.normalized_shape, None, None, inputs.eps)
        yield LAYERS[layer](*given), F.layer_norm(*given)


def shares_passed(
    trials: Iterable[Trial] = TRIALS,
    tolerances: Mapping[str, Mapping[str, float]] = TOLERANCES,
    seeds: Iterable[int] = SEEDS,
) -> np.ndarray:
    """Return the share of draws in which each layer passes for PyTorch's: (trials, tolerances)."""
    shares = []
    for layer, case in trials:
        passed = [
            [torch.allclose(y, right, **allowed) for allowed in tolerances.values()]
            for y, right in _results(layer, case, seeds)
        ]
        shares.append(np.mean(passed, axis=0))
    return np.array(shares)


def shares_mistaken(
    trials: Iterable[Trial] = TRIALS,
    tolerances: Mapping[str, Mapping[str, float]] = TOLERANCES,
    seeds: Iterable[int] = SEEDS,
) -> np.ndarray:
    """Return in which share of draws each test misses a wrong layer, or fails the right one.

    Its shape is (trials, tolerances).
    """
    trials = list(trials)
    passed = shares_passed(trials, tolerances, seeds)
    right = np.array([[layer == "right"] for layer, _ in trials])  # (trials, 1)
    return np.where(right, 1 - passed, passed)


def one_by_one(given: Inputs) -> Tensor:
    """Return y of a right layer whose two sums are running float32 sums, (rows, n)."""
    x, weight, bias = (tensor.numpy() for tensor in (given.x, given.weight, given.bias))

    def mean(values: np.ndarray) -> np.ndarray:  # (rows, n) to (rows, 1)
        return np.add.accumulate(values, axis=-1)[:, -1:] / np.float32(values.shape[-1])

    centred = x - mean(x)  # (rows, n)
    x_hat = centred / np.sqrt(mean(centred**2) + np.float32(given.eps))
    return torch.from_numpy(x_hat * weight + bias)
