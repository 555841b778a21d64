"""From what was measured to findings: which known bugs, together, do what the candidate does.

The candidate is measured (`measure`), the measurement is a layer of its own, and that layer has to
give what the candidate gave in every case that failed. What it leaves over goes to four questions
of precision and gradients, and what those leave over is `unknown`: no name is better than a wrong
one.
"""

import math
from dataclasses import dataclass, replace

import torch

from layernorm_book.cases import Inputs, largest
from layernorm_book.catalogue import CATALOGUE
from layernorm_book.measure import NoAnswer, Refused, measure, n_of, subsets
from layernorm_book.report import Comparison, Finding
from layernorm_book.sizes import size

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


def make_finding(code, message, size="", fix=""):
    """Return a Finding with what the catalogue has for its code."""
    entry = CATALOGUE[code]
    return Finding(code, message, fix or entry.fix, size, entry.step, entry.chapter)


def diagnose(prober, trials, judge):
    """Explain the comparisons that failed.

    Args:
        prober: a Prober, to ask the candidate more.
        trials: list of Trial, every case.
        judge: Inputs -> Trial, to try the candidate on other inputs.

    Returns:
        list of Finding, in the order of the catalogue.
    """
    failed = [(t, c) for t in trials if t.valid for c in t.comparisons if not c.passed]
    if not failed:
        return []
    try:
        found = measure(prober)
    except Refused:
        if any(t.outcome.error for t in trials):
            return []  # what it raises is reported, and comes first
        return [_unknown(failed, "it raises when it is asked more")]
    except NoAnswer as reason:
        return [_unknown(failed, str(reason))]
    codes = _codes_of(found)
    left = _left_over(found, codes, failed)
    for explain in (_wide_result, _one_pass, _low_precision, _nan_gradient, _last_axis_alone):
        more, left = explain(prober, found, codes, left, judge)
        codes |= more
    findings = [
        replace(
            make_finding(code, codes[code], size(code, found, prober)),
            lesser=code == "low-precision-statistics"
            or (code == "wrong-axis" and _right_axes(found)),
        )
        for code in CATALOGUE
        if code in codes
    ]
    if left:
        findings.append(_unknown(left, "what else was measured is as it should be"))
    return findings


def _right_axes(found):
    return found.axes == (len(found.shape) - 1,)


# --- what the measurement says --------------------------------------------------------------------


def _codes_of(found):
    """Return {code: message} for the ways in which a measurement differs from a layer norm."""
    codes = {}
    if not _right_axes(found):
        codes["wrong-axis"] = _axis_message(found)
    if found.centring != "centred":
        codes["no-centering"] = {
            "not centred": "it divides x by its root mean square, and subtracts no mean: RMSNorm",
            "mean left in": "the variance is right, and the mean is not subtracted from x",
            "variance not centred": "it divides by the root of the mean of x², taken about 0",
        }[found.centring]
    if found.unbiased:
        n = n_of(found.axes, found.shape)
        codes["unbiased-variance"] = (
            f"the sum of squares is divided by n − 1, and not by n: by {n - 1} where n = {n}"
        )
    if found.place in ("no root", "squared"):
        codes["missing-sqrt"] = {
            "no root": "it divides by var + eps, and not by its square root",
            "squared": "it divides by the square of var + eps, and not by its square root",
        }[found.place]
    if found.place in ("outside", "reciprocal"):
        codes["eps-outside-sqrt"] = (
            "it divides by √var + eps, and not by √(var + eps)"
            if found.place == "outside"
            else "it multiplies by 1/√var + eps, and not by 1/√(var + eps)"
        )
    if all(e == 0 for e in found.eps.values()):
        codes["missing-eps"] = "it divides by a standard deviation with no eps added"
    elif not all(found.same_eps(g, e) for g, e in found.eps.items()):
        codes["wrong-eps"] = _eps_message(found)
    if found.affine.code:
        codes[found.affine.code] = {
            "missing-affine": f"it makes no use of {found.affine.words}",
            "swapped-affine": "it scales by the bias and shifts by the weight",
            "shift-before-scale": "it adds the bias first, and the weight scales that too",
        }[found.affine.code]
    if found.detached:
        names = " and ".join(sorted(found.detached))
        codes["detached-statistics"] = (
            f"the forward pass is as it is, and no gradient flows back through the {names}"
        )
    return codes


def _axis_message(found):
    """Say over which axes statistics are shared, in the layout that the candidate takes."""
    shape, right = found.shape, (len(found.shape) - 1,)
    if not found.channels_last:
        place = [0, 2, 3, 1]  # of our axes among those of an image
        shape = tuple(shape[place.index(a)] for a in range(4))
        axes = tuple(sorted(place[a] for a in found.axes))
        right = (1,)
    else:
        axes = found.axes
    return (
        f"for x of shape {shape} it shares its statistics over {_axes(axes)}, and not over "
        f"{_axes(right)}"
    )


def _axes(axes):
    return f"axis {axes[0]}" if len(axes) == 1 else f"axes {', '.join(map(str, axes))}"


def _eps_message(found):
    """Say which eps is in use, and how it comes from the eps that was given."""
    n = n_of(found.axes, found.shape)
    pairs = list(found.eps.items())
    laws = {
        "the square of what is given": lambda g: g * g,
        "the root of what is given": math.sqrt,
        "n times what is given": lambda g: n * g,
        "what is given, divided by n": lambda g: g / n,
        "whatever is given": lambda g: pairs[0][1],
    }
    shown = ", ".join(f"{e:.3g} where {g:g} is given" for g, e in pairs)
    for words, law in laws.items():
        if all(found.same_eps(law(g), e) for g, e in pairs):
            if len(pairs) == 1:
                return f"it uses eps = {pairs[0][1]:.3g}, and not {pairs[0][0]:g}"
            if words == "whatever is given":
                return f"it uses eps = {pairs[0][1]:.3g}, {words} ({shown})"
            return f"the eps in use is {words}: {shown}"
    return f"the eps in use is {shown}"


# --- what it leaves over --------------------------------------------------------------------------


def _left_over(found, codes, failed):
    """Return the failed comparisons that the measured layer does not share."""
    wrong_axis = "wrong-axis" in codes
    known = {}  # by the rank of x, the axes that explained the case before
    left = []
    for trial in dict.fromkeys(t for t, _ in failed):
        mine = [c for t, c in failed if t is trial]
        ndim = trial.inputs.x.ndim
        for axes in [known.get(ndim), *subsets(ndim)] if wrong_axis else [None]:
            expected = _expected(found, trial.inputs, axes)
            still = [c for c in mine if not _shares(trial, c, expected[c.quantity], codes)]
            if still:
                slack = _slack(found, trial.inputs, axes, expected)
                still = [
                    c
                    for c in still
                    if not _shares(trial, c, expected[c.quantity], codes, slack[c.quantity])
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


def _shares(trial, comparison, expected, codes, slack=0.0):
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
    return error <= bound + 8 * dtype.smallest_normal * dtype.eps


def _allowed(trial, comparison):
    """Return what is allowed; for weight and bias the larger, as a bug may exchange the two."""
    parameters = ("grad_weight", "grad_bias")
    both = parameters if comparison.quantity in parameters else (comparison.quantity,)
    return max(c.allowed for c in trial.comparisons if c.quantity in both)


def _wide_result(prober, found, codes, left, judge):
    """A result of lower precision than x is rounded to it: no bug besides the dtype."""

    def rounded(trial, comparison):
        dtype = trial.outcome.results["y"].dtype
        return dtype.is_floating_point and _is_rounding(trial, comparison, dtype)

    return {}, [(t, c) for t, c in left if not rounded(t, c)]


def _is_rounding(trial, comparison, dtype):
    """Whether an error is no more than a dtype coarser than that of x accounts for."""
    coarser = torch.finfo(dtype).eps / torch.finfo(trial.inputs.x.dtype).eps
    return coarser > 1 and comparison.error <= coarser * _allowed(trial, comparison)


def _one_pass(prober, found, codes, left, judge):
    """Ask whether the variance loses digits as the square of the mean, and the mean loses none."""
    if not any(t.shifted for t, _ in left):
        return {}, left
    for dtype, means in ((torch.float32, (50.0, 500.0)), (torch.float64, (3e5, 3e6))):
        near, far = (_variance_error(prober, found, mean, dtype) for mean in means)
        if near is None or far is None:
            continue
        (near, _), (far, mean_error) = near, far
        unit = torch.finfo(dtype).eps
        grows = far > 20 * near > 0 and far > 100 * unit * means[1]
        if grows and mean_error < 100 * unit:
            lost = f"{far:.0%}" if math.isfinite(far) else "all"
            message = (
                "the variance is E[x²] − E[x]²: its relative error grows as the square of the "
                f"mean, to {lost} at a mean of {means[1]:g}σ in {_name(dtype)}"
            )
            return {"one-pass-variance": message}, [(t, c) for t, c in left if not t.shifted]
    return {}, left


def _variance_error(prober, found, mean, dtype):
    """Return the relative errors of the variance and of the mean at an offset, or None."""
    generator = torch.Generator().manual_seed(7)
    if _right_axes(found):
        shape = (64, 256) if prober.subject.channels_last else (4, 4, 4, 256)
        dims = (-1,)
    else:
        shape, dims = tuple(6 * size for size in found.shape), found.axes
    x = (mean + torch.randn(shape, generator=generator, dtype=torch.float64)).to(dtype)
    weight, bias = (torch.full(shape[-1:], v, dtype=dtype) for v in found.affine.neutral)
    try:
        y = prober.answer(x, shape[-1:], weight, bias)
    except NoAnswer:
        return None
    wide = x.double()
    centred = wide - wide.mean(dims, keepdim=True)
    expected = found.layer(dims)(wide, shape[-1:], weight.double(), bias.double(), 1e-5)
    slope, due = ((centred * v).sum(dims, keepdim=True) for v in (y, expected))
    ratio = slope / due
    error = (ratio.square().reciprocal() - 1).nan_to_num(math.inf)  # of the variance
    d = centred.square().sum(dims, keepdim=True) / slope
    offset = (d * (y - expected * ratio)).mean(dims)
    offset = offset[offset.isfinite()]
    mean_error = offset.abs().median().item() / mean if offset.numel() else math.inf
    # The root mean square without the largest tenth: one row's luck is not to decide.
    kept = error.abs().flatten().sort().values[: int(0.9 * error.numel())]
    return kept.square().mean().sqrt().item(), mean_error


def _low_precision(prober, found, codes, left, judge):
    """Ask the same numbers in a wider dtype: if those come out right, precision is the cause."""
    reasons = []
    halves = dict.fromkeys(t for t, _ in left if t.half)
    if halves and _right_on_easy_halves(prober, found):
        widened = {}
        for trial in halves:
            inputs = replace(trial.inputs, **_float32(trial.inputs))
            again = judge(trial.case, inputs)
            bad = [(again, c) for c in again.comparisons if not c.passed]
            widened[trial] = again.valid and not _left_over(found, codes, bad)
        explained = [t for t, right in widened.items() if right]
        if explained:
            names = sorted({_name(t.inputs.x.dtype) for t in explained})
            reasons.append(
                f"{' and '.join(names)} x is computed in its own precision: the same numbers in "
                f"float32 come out right ({explained[0].case.name})"
            )
            left = [(t, c) for t, c in left if not widened.get(t)]
    for dtype, resolution in ((torch.bfloat16, 1e-5), (torch.float32, 1e-10)):
        coarse = [pair for pair in left if _is_rounding(*pair, dtype)]
        if coarse and _blind_to(prober, found, resolution):
            name = "half precision" if dtype is torch.bfloat16 else "float32"
            reasons.append(
                f"wider x is computed in {name}: it cannot tell x from x · (1 + {resolution:g})"
            )
            left = [pair for pair in left if pair not in coarse]
    return ({"low-precision-statistics": "; ".join(reasons)} if reasons else {}), left


def _float32(inputs):
    names = ("x", "weight", "bias", "grad_y")
    tensors = {k: getattr(inputs, k) for k in names}
    return {k: None if v is None else v.float() for k, v in tensors.items()}


def _right_on_easy_halves(prober, found):
    """Whether half precision is right to a few percent where it should be easy."""
    generator = torch.Generator().manual_seed(8)
    shape = (8, 16) if prober.subject.channels_last else (2, 2, 2, 16)
    x = torch.randn(shape, generator=generator).half()
    weight, bias = (torch.full(shape[-1:], v).half() for v in found.affine.neutral)
    eps = 0.1 if prober.subject.eps else 1e-5
    try:
        y = prober.answer(x, shape[-1:], weight, bias, eps=eps)
    except NoAnswer:
        return False
    axes = None if _right_axes(found) else found.axes
    if axes is not None and (not axes or max(axes) >= x.ndim):
        return True
    expected = found.layer(axes)(x.double(), shape[-1:], weight.double(), bias.double(), eps)
    return bool(((y - expected).abs().max() <= 0.05 * expected.abs().max()).item())


def _blind_to(prober, found, resolution):
    """Whether a change of one element by this much, relatively, moves the output as it should not.

    A layer that computes in lower precision does not see it; one that is merely inexact does.
    """
    generator = torch.Generator().manual_seed(9)
    x = (1.0 + torch.rand(found.shape, generator=generator)).half().double()
    nudged = x.clone()
    nudged[..., 0] *= 1 + resolution
    weight, bias = (torch.full(found.shape[-1:], v).double() for v in found.affine.neutral)
    eps = next(iter(found.eps))
    arguments = (found.shape[-1:], weight, bias, eps)
    try:
        moved = prober.answer(nudged, *arguments) - prober.answer(x, *arguments)
    except NoAnswer:
        return False
    layer = found.layer(found.axes)
    due = layer(nudged, *arguments) - layer(x, *arguments)
    return largest(moved - due) > 0.1 * largest(due)


def _nan_gradient(prober, found, codes, left, judge):
    """Name a gradient that is NaN where the forward is right."""

    def is_nan(trial, comparison):
        got = trial.outcome.results[comparison.quantity]
        y = trial.outcome.results["y"]
        return comparison.quantity != "y" and not got.isfinite().all() and y.isfinite().all()

    nan = [(t, c) for t, c in left if is_nan(t, c)]
    if not nan:
        return {}, left
    trial, comparison = nan[0]
    bad = ~trial.outcome.results[comparison.quantity].isfinite()
    message = (
        f"{comparison.quantity} is NaN in {bad.float().mean().item():.0%} of its elements where a "
        f"row is constant, though y is right ({trial.case.name})"
    )
    hit = {id(t) for t, _ in nan}
    return {"nan-gradient": message}, [(t, c) for t, c in left if id(t) not in hit]


def _last_axis_alone(prober, found, codes, left, judge):
    """Several axes were asked for: tell whether it reduces other ones."""
    several = [(t, c) for t, c in left if t.case.axes > 1]
    if not several or found.axes_of_two in (None, (2, 3)):
        return {}, left
    message = (
        f"for x of shape (3, 4, 6, 5) and normalized_shape (6, 5) it shares its statistics over "
        f"{_axes(found.axes_of_two)}, and not over axes 2, 3"
    )
    still = _left_over(found, {"wrong-axis": message}, several)
    return {"wrong-axis": message}, [(t, c) for t, c in left if t.case.axes == 1] + still


def _unknown(left, evidence):
    """Say that nothing fits, and what was seen."""
    trial, worst = max(left, key=lambda pair: pair[1].severity)
    quantities = list(dict.fromkeys(c.quantity for _, c in left))
    where = "y" if "y" in quantities else f"{' and '.join(quantities)}, and not in y"
    return make_finding(
        "unknown",
        f"it fits no known mistake. It shows in {where}. Largest breach in {worst.name}: error "
        f"{worst.error:.2g}, allowed {worst.allowed:.2g}. Measured: {evidence}",
    )


def _name(dtype):
    return str(dtype).removeprefix("torch.")
