"""The bugs a finding can name: for each code the step it sits in, the mend, and the chapter."""

from dataclasses import dataclass

CHAPTERS = {
    "01_mean_and_variance": "chapter 1, Mean and variance",
    "02_normalize": "chapter 2, Centre, then scale",
    "03_gamma_and_beta": "chapter 3, Gamma and beta",
    "04_parity": "chapter 4, Parity",
    "05_backward": "chapter 5, The backward pass",
    "06_precision": "chapter 6, Precision",
    "10_relatives": "chapter 10, The relatives of LayerNorm",
    "11_bug_museum": "chapter 11, The bug museum",
}
"""The page of each chapter, and how a report refers to it."""


@dataclass(frozen=True)
class Entry:
    """What is known of a bug before any candidate is seen."""

    step: str  # where to look
    fix: str  # the line to change
    page: str  # a key of CHAPTERS

    @property
    def chapter(self):
        """The chapter that explains it."""
        return CHAPTERS[self.page]


_STATISTICS, _DIVISION = "step 1, mean and variance", "step 2, normalize"
_AFFINE, _GRADIENT, _FORM = "step 3, scale and shift", "the backward pass", "the result as a whole"
_ONE, _TWO, _THREE, _PARITY, _BACKWARD, _PRECISION, _RELATIVES, _MUSEUM = CHAPTERS

CATALOGUE = {
    "raises": Entry(_FORM, "PyTorch accepts this input; make the layer accept it too.", _PARITY),
    "wrong-shape": Entry(
        _FORM, "Keep the reduced axes (keepdim=True), so that they broadcast back to x.", _ONE
    ),
    "wrong-dtype": Entry(_FORM, "Convert the result back at the end: y.to(x.dtype).", _PRECISION),
    "mutates-input": Entry(
        _FORM, "Write to a new tensor: x = x - mean, and not x -= mean.", _MUSEUM
    ),
    "wrong-axis": Entry(
        _STATISTICS,
        "Reduce over the normalized axes: dims = tuple(range(-len(normalized_shape), 0)).",
        _ONE,
    ),
    "no-centering": Entry(
        _STATISTICS,
        "Subtract the mean, in x and in the variance: (x - mean), (x - mean).square().mean(dims).",
        _RELATIVES,
    ),
    "unbiased-variance": Entry(
        _STATISTICS, "Divide by n: x.var(dims, correction=0, keepdim=True).", _ONE
    ),
    "one-pass-variance": Entry(
        _STATISTICS, "Take the mean first: var = (x - mean).square().mean(dims).", _ONE
    ),
    "low-precision-statistics": Entry(
        _STATISTICS, "Widen first and round last: x.float() ... y.to(x.dtype).", _PRECISION
    ),
    "missing-sqrt": Entry(_DIVISION, "Divide by the root: (x - mean) / sqrt(var + eps).", _TWO),
    "missing-eps": Entry(_DIVISION, "Add eps under the root: sqrt(var + eps).", _TWO),
    "wrong-eps": Entry(_DIVISION, "Add eps as it is given: sqrt(var + eps).", _PRECISION),
    "eps-outside-sqrt": Entry(
        _DIVISION, "Move eps inside: sqrt(var + eps), and not sqrt(var) + eps.", _PARITY
    ),
    "missing-affine": Entry(_AFFINE, "Apply both: y = x_hat * weight + bias.", _THREE),
    "swapped-affine": Entry(
        _AFFINE, "Scale by weight, shift by bias: y = x_hat * weight + bias.", _THREE
    ),
    "shift-before-scale": Entry(
        _AFFINE, "Scale first: y = x_hat * weight + bias, and not (x_hat + bias) * weight.", _THREE
    ),
    "detached-statistics": Entry(
        _GRADIENT, "Compute mean and var from x itself: no detach(), no no_grad().", _BACKWARD
    ),
    "nan-gradient": Entry(
        _GRADIENT, "Take no root of the bare variance: sqrt(var + eps) at once.", _BACKWARD
    ),
    "unknown": Entry(_FORM, "Compare the steps one by one with layernorm_book.reference.", _PARITY),
}
"""Every code, in the order in which a report lists them."""
