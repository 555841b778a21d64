"""Which formula does a candidate follow? Try them, simplest first, and keep what explains it all.

A formula explains an answer when it gives the same numbers within rounding, on the very inputs that
the candidate was asked. Single exchanged parts are tried first, then pairs, then triples: forward
on well-conditioned cases, then gradients. What a formula leaves over is a question of precision, or
of a gradient that is NaN; what those leave over is `unknown`: no name is better than a wrong one.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from itertools import combinations
from typing import Any

import torch
from torch import Tensor

from layernorm_book.calling.call import QUANTITIES, CallResult, Inputs
from layernorm_book.calling.candidate import AdaptedCandidate
from layernorm_book.parity.bugs import BUGS, Bug, Variant, one_pass, percent
from layernorm_book.parity.cases import (
    ROUNDINGS,
    Answer,
    Case,
    answer_to,
    max_abs,
    name_of,
    of_rank,
    tolerance,
)
from layernorm_book.parity.formula import HALF, RIGHT, Formula
from layernorm_book.parity.report import Comparison

Exchange = tuple[Bug, Variant]
Failed = list[tuple["CaseResult", Comparison]]
Left = tuple[list[Exchange], Failed]
PROBED = {"one-pass-variance", "low-precision-statistics", "narrows-float64", "rounds-before-scale"}
"""Bugs that change no more than digits: no formula in float64 tells them, a question each does."""


@dataclass(frozen=True, eq=False)
class CaseResult:
    """One case as it went: what was asked, what came back, how it compares."""

    case: Case
    inputs: Inputs
    answer: Answer
    came: CallResult
    comparisons: list[Comparison]

    @cached_property
    def wide(self) -> Inputs:
        """The tensors in float64, in which formulas are run."""
        return self.inputs.to(torch.float64)

    @property
    def valid(self) -> bool:
        """Whether there is a y of the right shape to judge."""
        return self.came.y is not None and self.came.y.shape == self.inputs.x.shape

    @property
    def half(self) -> bool:
        """Whether x has half precision."""
        return self.inputs.x.dtype in HALF


@dataclass
class Explanation:
    """What was found: bugs with their variants, and the comparisons that none of them explains."""

    found: list[Exchange] = field(default_factory=list)
    unexplained: Failed = field(default_factory=list)
    seen: str = ""  # what was seen of a layer that follows no formula


@dataclass
class Search:
    """The search for the formula of one candidate: `Search(...).run()` gives the explanation."""

    results: list[CaseResult]  # of every case
    adapted: AdaptedCandidate
    ask: Callable[[Inputs], CallResult]  # puts one more question to the candidate
    against: str  # "layer_norm" or "rms_norm"
    level: torch.dtype | None = None  # to what all of its arithmetic is taken to be rounded

    def __post_init__(self) -> None:
        self.right = RIGHT[self.against]
        self.answers: dict[Any, Tensor | None] = {}  # to what was asked about eps
        self.exchanges = [
            (b, v) for b in BUGS.values() for v in b.variants if self.against in v.against
        ]

    def run(self) -> Explanation:
        """Name what explains the comparisons that failed, and give back what it leaves."""
        failed = [(r, c) for r in self.results if r.valid for c in r.comparisons if not c.passed]
        if not failed:
            return Explanation()
        if self.is_padded():
            message = "it is right where n is a power of two, and wrong where padding makes it one"
            return Explanation([(BUGS["padded-row"], Variant({}, message))])
        wide = [r for r in self.results if r.valid and not r.half and not r.case.shifted]
        wide = wide or [w for r in self.results if r.half and (w := self.widened(r)).valid]
        wide.sort(key=lambda r: (-r.inputs.eps, r.inputs.x.numel()))
        failing = {r.inputs.x.dtype for r, _ in failed}
        some = [r for r in wide if r.inputs.x.dtype in failing]  # it may differ by dtype
        levels = (torch.bfloat16,) if self.is_blind() else (None, torch.float32)
        lists = [wide, some] if some and some != wide else [wide]
        tries = [(e, level) for e in lists for level in levels]
        deeper = [(3, tries[0]), *((2, t) for t in tries[1:])]
        for most, (evidence, self.level) in [*((1, t) for t in tries), *deeper]:
            if (forward := self.simplest(evidence, ("y",), most)) is not None:
                break
        else:
            return Explanation(unexplained=failed, seen=self.describe())
        graded = [r for r in evidence if len(r.came.results) > 1 and not r.came.mutated]
        found = forward + (self.simplest(graded, QUANTITIES[1:], 2, forward) or [])
        formula = self.formula(found)
        left = [(r, c) for r, c in failed if not self.explains(formula, r, c.quantity)]
        for question in (self.narrow, self.one_pass, self.low_precision, self.nan_gradient):
            more, left = question(formula, left)
            found += more
        return Explanation([self.name_axes(e) for e in found], left)

    def formula(self, exchanges: Iterable[Exchange]) -> Formula:
        """Return the right formula with these parts exchanged."""
        return replace(self.right, **{k: p for _, v in exchanges for k, p in v.parts.items()})

    # --- does a formula explain an answer? --------------------------------------------------------

    def simplest(
        self,
        results: list[CaseResult],
        quantities: tuple[str, ...],
        most: int,
        known: Sequence[Exchange] = (),
    ) -> list[Exchange] | None:
        """Return the fewest exchanges that explain these quantities, or None."""
        if not results:
            return []
        forward = quantities == ("y",)
        pool = [e for e in self.exchanges if e[0].backward is not forward]
        pool = [e for e in pool if e[0].code not in PROBED]

        def explain(formula: Formula) -> bool:
            return all(self.explains(formula, r, q) for r in results for q in quantities)

        for size in range(most + 1):
            sets = [[*known, *c] for c in combinations(pool, size)]
            keys = [[k for _, v in exchanges for k in v.parts] for exchanges in sets]
            sets = [e for e, k in zip(sets, keys, strict=True) if len(set(k)) == len(k)]
            for exchanges in sets:
                if explain(self.formula(exchanges)):
                    return exchanges[len(known) :]
            for exchanges in sets if forward and size < 2 else ():
                law = self.measured_eps(self.formula(exchanges), results[0])
                if law and explain(replace(self.formula(exchanges), **law.parts)):
                    return [*exchanges, (BUGS["wrong-eps"], law)]
        return None

    def explains(self, formula: Formula, result: CaseResult, quantity: str) -> bool:
        """Whether the formula gives what came back, within what rounding allows."""
        got, inputs = result.came.results.get(quantity), result.inputs
        if got is None or (result.came.mutated and quantity != "y"):
            return True  # autograd's own copies of x may have been changed with it
        parts = ("centre", "about", "eps", "normalize")
        as_right = all(getattr(formula, p) == getattr(self.right, p) for p in parts)
        if result.case.flat and not as_right:
            return True  # a root at or near 0: what comes of it depends on how it is written
        due = self.due(formula, result.wide, quantity)
        if due is None or got.shape != due.shape:
            return False
        known = due.isfinite() & (due.abs() <= torch.finfo(inputs.x.dtype).max)

        def distance(a: Tensor) -> float:
            return max_abs((a.double() - due)[known].nan_to_num(math.inf))

        arithmetic = self.precision(result)
        allowed, right = result.answer.allowed, result.answer.expected
        if arithmetic is not torch.promote_types(inputs.x.dtype, torch.float32):
            errors = result.answer.pytorch_error
            allowed = tolerance(inputs, right, errors, self.against, arithmetic)
        pair = ("grad_weight", "grad_bias")  # a bug may exchange the two
        bound = max(allowed.get(q, 0.0) for q in (pair if quantity in pair else (quantity,)))
        size = max_abs(right[quantity])  # type: ignore[arg-type]
        bound *= max(1.0, max_abs(due[known]) / size if size else 1.0)
        off = distance(got)
        if off <= bound:
            return True
        # How far does one rounding move this formula: in x, in its mean, in its float32 arithmetic?
        unit, single = torch.finfo(arithmetic).eps, torch.finfo(torch.float32).eps
        noise = torch.randn(inputs.x.shape, generator=torch.Generator().manual_seed(0))
        nudged = replace(result.wide, x=result.wide.x * (1 + unit * noise))
        tilt = unit * max_abs(inputs.x)
        tilted = replace(formula, centre=lambda x, dims: formula.centre(x, dims) + tilt)
        tries = (self.due(formula, nudged, quantity), self.due(tilted, result.wide, quantity))
        moved = max(distance(t) for t in tries if t is not None)
        rough = self.due(formula, inputs, quantity, torch.float32)
        return off <= bound + ROUNDINGS * max(moved, distance(rough) * unit / single)  # type: ignore[arg-type]

    def explains_all(self, formula: Formula, result: CaseResult) -> bool:
        """Whether the formula gives all that came back."""
        return result.valid and all(self.explains(formula, result, q) for q in result.came.results)

    def due(
        self, formula: Formula, inputs: Inputs, quantity: str, dtype: torch.dtype = torch.float64
    ) -> Tensor | None:
        """Return what the formula gives, computed in float64 or another dtype."""
        if quantity == "y":
            return formula.run(inputs if inputs.x.dtype is dtype else inputs.to(dtype))
        return formula.results(inputs, dtype).get(quantity)

    def precision(self, result: CaseResult) -> torch.dtype:
        """Return the coarsest of the right arithmetic, the level, and the dtype that came back."""
        dtypes = [torch.promote_types(result.inputs.x.dtype, torch.float32)]
        dtypes += [self.level] if self.level else []
        if not result.half and result.came.y is not None and result.came.y.is_floating_point():
            dtypes.append(result.came.y.dtype)
        return max(dtypes, key=lambda dtype: torch.finfo(dtype).eps)

    def question(self, n: int, sigma: float, eps: float, **options: Any) -> Inputs:
        """Return rows of n with a mean that leaves the digits of x alone."""
        options = {"mean": 1.5 * sigma, "dtype": torch.float64, **options}
        case = Case("question", (16, n), eps=eps, sigma=sigma, **options)
        case = replace(case, weight=self.adapted.weight, bias=self.adapted.bias)
        return of_rank(case, self.adapted.rank).make()

    def answer(self, q: Inputs) -> Tensor | None:
        """Return the candidate's y, asked once, in float64 or else in float32."""
        key = (q.x.shape, float(q.x.flatten()[0]), q.eps)
        if key not in self.answers:
            came = self.ask(q)
            y = came.y if came.y is not None else self.ask(q.to(torch.float32)).y
            self.answers[key] = y if y is not None and y.shape == q.x.shape else None
        return self.answers[key]

    def solve(self, formula: Formula, q: Inputs, y: Tensor | None, visible: float) -> float | None:
        """Return the eps with which the formula comes nearest to y.

        What eps does to y is to shrink it, row by row, from its value without eps towards that with
        a huge one; the position between the two falls as eps grows. None where leaving eps out
        moves y by less than the share `visible`, so that no eps can be read.
        """

        def at(log_eps: float) -> Tensor:
            return replace(formula, eps=lambda eps, n: 10**log_eps).run(q)

        low, high = -30.0, 3.0
        start, end = at(low), at(high)

        def position(y: Tensor) -> float:
            way = start - end
            return float(((y.double() - end) * way).sum() / way.square().sum())

        got = math.nan if y is None else position(y)
        if not 0 < got < 1 - visible:
            return None
        for _ in range(55):  # halves 33 decades down to a relative 2e-15
            middle = (low + high) / 2
            low, high = (middle, high) if position(at(middle)) > got else (low, middle)
        return float(10**low)

    def read_eps(self, formula: Formula, eps: float, n: int) -> float | None:
        """Return the eps that the candidate uses where this one is given, or None.

        On rows of tiny spread y is x/√eps, so there it shows best.
        """
        questions = (self.question(n, sigma, eps) for sigma in (1e-8, 1e-4)) if n > 1 else ()
        read = (self.solve(formula, q, self.answer(q), visible=1e-3) for q in questions)
        return next((found for found in read if found is not None), None)

    def measured_eps(self, formula: Formula, first: CaseResult) -> Variant | None:
        """Return the law by which a candidate of this formula turns eps into another, or None."""
        q = first.inputs.to(torch.float64)
        at_first = self.solve(formula, q, first.came.y, visible=0.0) or 0.0
        if not self.explains(replace(formula, eps=lambda eps, n: at_first), first, "y"):
            return None
        given = (0.5, 0.01) if self.adapted.eps else (first.inputs.eps,)
        read = {(g, n): self.read_eps(formula, g, n) or 0.0 for g in given for n in (5, 8)}
        constant, short = read[given[0], 5], float(f"{read[given[0], 5]:.3g}")
        if not all(read.values()):
            return None
        constant = short if abs(short / constant - 1) < 1e-9 else constant
        laws: dict[str, Callable[[float, int], float]] = {
            "as it should be": lambda eps, n: eps,
            "whatever is given": lambda eps, n: constant,
            "the square of what is given": lambda eps, n: eps * eps,
            "the root of what is given": lambda eps, n: math.sqrt(eps),
            "n times what is given": lambda eps, n: n * eps,
            "what is given, divided by n": lambda eps, n: eps / n,
            "by no simple law": cache(lambda eps, n: self.read_eps(formula, eps, n) or eps),
        }

        def fits(law: Callable[[float, int], float]) -> bool:  # as far as float32 answers can tell
            return all(abs(law(*at) / e - 1) < 1e-4 for at, e in read.items())

        if (words := next(w for w, law in laws.items() if fits(law))) == "as it should be":
            return None
        law = laws[words]
        shown = ", ".join(f"{law(g, 5):.3g} where {g:g} is given" for g in given)
        message = f"the eps in use is {words}: {shown}"
        if words == "whatever is given":
            instead = f", {words} ({shown})" if len(given) > 1 else f", and not {given[0]:.3g}"
            message = f"it uses eps = {constant:.3g}{instead}"
        return Variant({"eps": law}, message)

    # --- questions that a formula leaves open -----------------------------------------------------

    def widened(self, result: CaseResult) -> CaseResult:
        """Ask the same numbers in float32."""
        inputs = result.inputs.to(torch.float32)
        answer = answer_to(inputs, self.against)
        return CaseResult(result.case, inputs, answer, self.ask(inputs), [])

    def is_blind(self) -> bool:
        """Whether the output stands still when one element changes by 1e-5, as in half precision.

        x is exact in both 16-bit formats, so a layer that rounds to them first sees no change.
        """
        at = self.question(8, 1.0, 0.5).to(torch.bfloat16).to(torch.float32)
        nudged = replace(at, x=at.x.clone())
        nudged.x[..., 0] *= 1 + 1e-5
        a, b = self.ask(at).y, self.ask(nudged).y
        return a is not None and b is not None and torch.equal(a, b) and max_abs(a) > 0

    def narrow(self, formula: Formula, left: Failed) -> Left:
        """Name the precision in which wider x is computed, where that explained the rest."""
        if self.level is None:
            return [], left
        if self.level is torch.float32:
            q = self.question(8, 1.0, self.results[0].inputs.eps)
            due, y = formula.run(q), self.ask(q).y
            off = 1.0 if y is None else max_abs(y.double() - due) / max_abs(due)
            between = math.sqrt(torch.finfo(torch.float32).eps * torch.finfo(torch.float64).eps)
            if off > between:  # float32's unit is the nearer one, on a log scale
                return [(BUGS["narrows-float64"], BUGS["narrows-float64"].variants[0])], left
            self.level = None if formula == self.right else self.level  # no bug explains it either
            failed = [(r, c) for r in self.results for c in r.comparisons if not c.passed]
            return [], [(r, c) for r, c in failed if not self.explains(formula, r, c.quantity)]
        message = "wider x is computed in half precision: it cannot tell x from x · (1 + 1e-05)"
        variant = Variant({"widen": lambda dtype: torch.float16}, message)
        left = [(r, c) for r, c in left if not r.case.shifted]  # no digit is left of x there
        return [(BUGS["low-precision-statistics"], variant)], left

    def one_pass(self, formula: Formula, left: Failed) -> Left:
        """Ask whether the variance loses digits as E[x²] − E[x]² does.

        At two means its relative error must be nearer to that formula's than to the two-pass one's,
        on a log scale, and grow faster than the mean does, as no other error does.
        """
        shifted = {r.inputs.x.dtype for r, _ in left if r.case.shifted}
        dtype, means = torch.float32, (50.0, 500.0)
        if shifted == {torch.float64}:
            dtype, means = torch.float64, (3e5, 3e6)
        if not shifted or self.against == "rms_norm":
            return [], left
        errors = []
        for mean in means:
            q = self.question(256, 1.0, self.results[0].inputs.eps, mean=mean, dtype=dtype)
            ones = [None if p is None else torch.ones_like(p) for p in (q.weight, q.bias)]
            q = replace(q, weight=ones[0], bias=ones[1])
            due, y = formula.run(q.to(torch.float64)), self.ask(q).y
            if y is None or y.shape != due.shape:
                return [], left
            layers = (formula, replace(formula, squares=one_pass))
            got, two, one = (_variance_error(a, due, q) for a in (y, *(f.run(q) for f in layers)))
            errors.append(got)
            if got <= math.sqrt(one * two):
                return [], left
        if errors[1] / errors[0] <= means[1] / means[0]:
            return [], left
        message = (
            "the variance is E[x²] − E[x]²: its relative error grows as the square of the mean, to "
            f"{percent(got)} at a mean of {mean:g}σ in {name_of(dtype)}"
        )
        variant = replace(BUGS["one-pass-variance"].variants[0], message=message)
        left = [(r, c) for r, c in left if not r.case.shifted]
        return [(BUGS["one-pass-variance"], variant)], left

    def low_precision(self, formula: Formula, left: Failed) -> Left:
        """Ask the same numbers in float32: if those come out right, precision is the cause."""
        cause, level = [], self.level
        for result in dict.fromkeys(r for r, _ in left if r.half):
            self.level = result.inputs.x.dtype  # where half precision suffices, it must be right
            hard = result.case.shifted or result.case.sigma != 1
            right = hard or self.explains_all(formula, result)
            self.level = level
            wide = self.widened(result)  # in float32 it may be another layer: a right one
            if right and any(self.explains_all(f, wide) for f in (formula, self.right)):
                cause.append(result)
        if not cause:
            return [], left
        names = " and ".join(sorted({name_of(r.inputs.x.dtype) for r in cause}))
        message = (
            f"{names} x is computed in its own precision: the same numbers in "
            f"float32 come out right ({cause[0].case.name})"
        )
        bug = BUGS["low-precision-statistics"]
        variant = replace(bug.variants[0], message=message)
        return [(bug, variant)], [(r, c) for r, c in left if r not in cause]

    def nan_gradient(self, formula: Formula, left: Failed) -> Left:
        """Name a gradient that is NaN where the forward pass is right."""
        for result in (r for r in self.results if r.case.flat and r.valid):
            came = result.came.results
            nan = {q: g.isnan().double().mean().item() for q, g in came.items() if g.isnan().any()}
            if nan and came["y"].isfinite().all():
                break
        else:
            return [], left
        quantity, share = next(iter(nan.items()))
        message = (
            f"{quantity} is NaN in {share:.0%} of its elements where a row is constant, though y "
            f"is right ({result.case.name})"
        )
        kept = [(r, c) for r, c in left if not r.case.flat]
        # Where another bug explains the case, NaN goes away with it.
        variant = Variant({}, message, secondary=len(kept) == len(left))
        return [(BUGS["nan-gradient"], variant)], kept

    def is_padded(self) -> bool:
        """Whether all is right where n is a power of two, and something wrong where it is not."""

        def fits(n: int) -> bool:
            q = self.question(n, 1.0, self.results[0].inputs.eps, dtype=torch.float32)
            answer, came = answer_to(q, self.against), self.ask(q).results
            pairs = [(g, answer.expected[k], answer.allowed[k]) for k, g in came.items()]
            return bool(pairs) and all(
                d is not None and g.shape == d.shape and max_abs(g - d) <= most
                for g, d, most in pairs
            )

        return all(fits(n) == (n.bit_count() == 1) for n in (3, 4, 7, 8, 12, 16, 20))

    def name_axes(self, exchange: Exchange) -> Exchange:
        """Say over which axes statistics are shared, in the layout that the candidate takes."""
        bug, variant = exchange
        if "axes" not in variant.parts:
            return exchange
        for result in self.results:
            shape, k = result.inputs.x.shape, len(result.inputs.normalized_shape)
            axes, asked = (f(len(shape), k) for f in (variant.parts["axes"], self.right.axes))
            if axes != asked and (len(shape) > 2 or self.adapted.rank):
                break
        n = len(shape)  # the place of our axes among the candidate's
        place = [*range(n)] if self.adapted.channels_last else [0, *range(2, n), 1]

        def name(dims: Iterable[int]) -> str:
            names = sorted(place[d] for d in dims)
            return f"{'axis' if len(names) == 1 else 'axes'} {', '.join(map(str, names))}"

        shown = tuple(shape[place.index(i)] for i in range(n))
        message = variant.message.format(shape=shown, axes=name(axes), asked=name(asked))
        return bug, replace(variant, message=message)

    def describe(self) -> str:
        """Say what is seen of a layer that follows no known formula: its divisor, if it has one."""
        pairs = []
        for sigma in (1e-3, 0.1, 1.0, 10.0):
            q = self.question(8, sigma, self.results[0].inputs.eps)
            q = replace(q, weight=None if q.weight is None else torch.ones_like(q.weight))
            y = self.ask(replace(q, bias=None if q.bias is None else torch.zeros_like(q.bias))).y
            if y is None or y.shape != q.x.shape:
                return "it raises when it is asked more"
            x, y = (t.double() - t.double().mean(-1, keepdim=True) for t in (q.x, y))
            slope = (y * x).sum(-1, keepdim=True) / x.square().sum(-1, keepdim=True)
            if not max_abs(y - slope * x) <= 1e-3 * max_abs(y):  # a tenth of a percent, to the eye
                return "its output is no shifted and scaled copy of x, over any axes"
            var, d = float(x[..., :1, :].square().mean()), 1 / float(slope.flatten()[0])
            pairs.append(f"{d:.3g} (not {math.sqrt(var + q.eps):.3g}) at σ = {math.sqrt(var):.2g}")
        return f"with eps {q.eps:g} it divides by {', '.join(pairs)}"


def rounds_before_scale(search: Search, found: Sequence[Exchange], dtype: torch.dtype) -> bool:
    """Whether x_hat is rounded to half precision before the weight scales it, told by its bits.

    Of the elements on which the two orders differ, it must give the majority as that order does.
    """
    options = {"dtype": dtype, "float32_parameters": search.adapted.float32_parameters}
    q = search.question(64, 1.0, search.results[0].inputs.eps, mean=0.0, **options)
    q = replace(q, bias=None if q.bias is None else torch.zeros_like(q.bias))
    order = (BUGS["rounds-before-scale"], BUGS["rounds-before-scale"].variants[0])
    once, twice = (search.formula(e).run(q) for e in (found, [*found, order]))
    y = search.ask(q).y
    fits = y is not None and y.shape == q.x.shape
    return fits and bool((y == twice)[once != twice].double().mean() > 0.5)  # type: ignore[index]


def _variance_error(y: Tensor, due: Tensor, q: Inputs) -> float:
    """Return the relative error of the variance, as a root mean square; 1 where it is lost."""
    x = q.x.double() - q.x.double().mean(-1, keepdim=True)
    ratio = (x * y.double()).sum(-1) / (x * due).sum(-1)  # of one over the root
    error = (ratio.square().reciprocal() - 1).abs().nan_to_num(1.0).clamp(max=1.0)
    return max(float(error.square().mean().sqrt()), torch.finfo(x.dtype).eps)
