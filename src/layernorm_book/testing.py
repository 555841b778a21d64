"""How do I test many layers at once? With one line that makes one test of each.

One layer takes four lines:

    from layernorm_book import check_parity

    def test_my_layer_norm():
        check_parity(MyLayerNorm).raise_for_failure()

Many layers, each a test of its own:

    from layernorm_book.testing import parity_test

    test_parity = parity_test(MyLayerNorm, TheirLayerNorm, dtypes=["float32"])
    test_rms = parity_test({"mine": MyRMSNorm, "theirs": TheirRMSNorm}, against="rms_norm")
"""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from layernorm_book.parity import check_parity


def parity_test(*layers: Any, **options: Any) -> Callable[[Any], None]:
    """Return a test function, parametrized so that each layer is a test of its own.

    Args:
        layers: candidates of `check_parity`, or one mapping of names to candidates.
        options: passed on to `check_parity`: against, dtypes, backward, channels_last, seed, ...

    Raises:
        ValueError: there is no layer to test.
    """
    if len(layers) == 1 and isinstance(layers[0], Mapping):
        named = dict(layers[0])
    else:
        named = {getattr(layer, "__qualname__", repr(layer)): layer for layer in layers}
    if not named:
        raise ValueError("parity_test needs a layer: parity_test(MyLayerNorm).")

    @pytest.mark.parametrize("layer", list(named.values()), ids=list(named))
    def test_parity(layer: Any) -> None:
        check_parity(layer, **options).raise_for_failure()

    return test_parity
