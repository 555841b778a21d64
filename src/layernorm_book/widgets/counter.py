"""Which random numbers can Python and every browser draw alike? Sums of a scrambled counter."""

import numpy as np


def noise(seed: int, count: int) -> np.ndarray:
    """Return numbers that are all but Gaussian, the same bits as the browser draws.

    Each is the sum of twelve even draws from 0 to 1, less 6: exact in float64, and of standard
    deviation 1. The even draws are a counter, scrambled.
    """
    with np.errstate(over="ignore"):
        i = np.arange(12 * count, dtype=np.uint32) + np.uint32(seed << 20)
        for shift, factor in ((16, 0x21F0AAAD), (15, 0x735A2D97)):
            i = (i ^ i >> np.uint32(shift)) * np.uint32(factor)
        i ^= i >> np.uint32(15)
    return i.reshape(count, 12).sum(1, dtype=np.int64) / 2.0**32 - 6.0
