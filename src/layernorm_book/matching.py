"""Does a measured layer give what the candidate gave? Case by case, within what rounding allows."""

import math
from dataclasses import dataclass, replace

import torch

from layernorm_book.cases import Inputs, largest
from layernorm_book.curve import subsets
from layernorm_book.report import Comparison

HALF = (torch.float16, torch.bfloat16)


@dataclass(frozen=True, eq=False)
class Trial:
    """One case as it went: what was asked, what came back, how it compares."""

    case: object
    inputs: Inputs
    outcome: object  # an Outcome
    comparisons: list[Comparison]

    @property
    def valid(self):
        """Whether there is a y of the right shape to judge."""
        y = self.outcome.results.get("y")
        return isinstance(y, torch.Tensor) and y.shape == self.inputs.x.shape

    @property
    def half(self):
        """Whether x has half precision."""
        return self.inputs.x.dtype in HALF

    @property
    def shifted(self):
        """Whether x has a mean that is large for its spread, which costs digits."""
        return self.case.mean != 0 and self.case.sigma != 0

    @property
    def flat(self):
        """Whether the variance of every row is zero."""
        return self.case.sigma == 0 or self.case.shape[-1] == 1


def left_over(found, codes, failed, rounded_to=None):
    """Return the failed comparisons that the measured layer does not share.

    Args:
        found: a Measurement.
        codes: dict of the codes found so far.
        failed: list of (Trial, Comparison).
        rounded_to: a function from a Trial to a dtype, to which its arithmetic may be rounded.

    Returns:
        list of (Trial, Comparison).
    """
    wrong_axis = "wrong-axis" in codes
    known = {}  # by the rank of x, the axes that explained the case before
    left = []
    for trial in dict.fromkeys(t for t, _ in failed):
        mine = [c for t, c in failed if t is trial]
        grain = _grain(trial, rounded_to)
        ndim = trial.inputs.x.ndim
        for axes in [known.get(ndim), *subsets(ndim)] if wrong_axis else [None]:
            expected = _expected(found, trial.inputs, axes)
            still = [c for c in mine if not _shares(trial, c, expected[c.quantity], codes, grain)]
            if still:
                slack = _slack(found, trial.inputs, axes, expected)
                still = [
                    c
                    for c in still
                    if not _shares(trial, c, expected[c.quantity], codes, grain, slack[c.quantity])
                ]
            if not still:
                known[ndim] = axes
                break
        left += [(trial, c) for c in still]
    return left


def _expected(found, inputs, axes, dtype=torch.float64):
    """Return what the measured layer gives for some inputs, in a wide dtype, with gradients."""
    names = [k for k in ("x", "weight", "bias") if getattr(inputs, k) is not None]
    leaves = {k: getattr(inputs, k).detach().to(dtype).requires_grad_() for k in names}
    parameters = (leaves.get("weight"), leaves.get("bias"))
    run = found.layer(axes)
    y = run(leaves["x"], inputs.normalized_shape, *parameters, inputs.eps)
    grads = torch.autograd.grad(
        y, list(leaves.values()), inputs.grad_y.to(dtype), allow_unused=True
    )
    results = {"y": y.detach()}
    for (name, leaf), grad in zip(leaves.items(), grads, strict=True):
        results[f"grad_{name}"] = torch.zeros_like(leaf) if grad is None else grad
    return results


def _slack(found, inputs, axes, expected):
    """Return how far rounding alone moves each result of that layer: in x, and in its arithmetic.

    Its arithmetic is tried in float32, and scaled to the precision at hand.
    """
    unit = torch.finfo(torch.promote_types(inputs.x.dtype, torch.float32)).eps
    single = torch.finfo(torch.float32).eps
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(inputs.x.shape, generator=generator, dtype=torch.float64)
    nudged = replace(inputs, x=inputs.x.double() * (1 + unit * noise))
    slack = dict.fromkeys(expected, 0.0)
    for results, share in (
        (_expected(found, nudged, axes), 1.0),
        (_expected(found, inputs, axes, torch.float32), unit / single),
    ):
        for name, moved in results.items():
            distance = largest((moved.double() - expected[name]).nan_to_num())
            slack[name] = max(slack[name], share * distance)
    return slack


def _grain(trial, rounded_to):
    """Return how many units in the last place of x there are in one of the dtype rounded to."""
    dtype = rounded_to(trial) if rounded_to else trial.inputs.x.dtype
    if not dtype.is_floating_point:
        return 1.0
    return max(1.0, torch.finfo(dtype).eps / torch.finfo(trial.inputs.x.dtype).eps)


def _shares(trial, comparison, expected, codes, grain=1.0, slack=0.0):
    """Whether the candidate's result is the measured layer's, within what rounding allows."""
    got = trial.outcome.results.get(comparison.quantity)
    if not isinstance(got, torch.Tensor) or got.shape != expected.shape:
        return False
    if trial.outcome.mutated and comparison.quantity != "y":
        return True  # autograd's own copies of x may have been changed with it
    dtype = torch.finfo(trial.inputs.x.dtype)
    if not (expected.abs() <= dtype.max).all():
        return True  # 0/0, or more than the dtype holds
    if trial.flat and codes.keys() & {"eps-outside-sqrt", "missing-eps", "wrong-eps"}:
        return True  # a root at or near 0: what comes of it depends on how it is written
    error = largest(got.detach().double() - expected)
    scale = 4 * max(1.0, largest(expected) / (comparison.true_size or math.inf))
    bound = scale * _allowed(trial, comparison) + 32 * slack
    return error <= grain * bound + 8 * dtype.smallest_normal * dtype.eps


def _allowed(trial, comparison):
    """Return what is allowed; for weight and bias the larger, as a bug may exchange the two."""
    parameters = ("grad_weight", "grad_bias")
    both = parameters if comparison.quantity in parameters else (comparison.quantity,)
    return max(c.allowed for c in trial.comparisons if c.quantity in both)
