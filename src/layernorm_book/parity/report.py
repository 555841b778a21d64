"""What does the parity check say? Each comparison, and the findings drawn from them."""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from html import escape
from textwrap import TextWrapper
from typing import Any

WIDTH = 80
SCREEN = 24  # lines: a report without failures fits one, and shows the cases that there is room for


class ParityError(AssertionError):
    """A layer disagrees with PyTorch; the message is the report."""


@dataclass(frozen=True)
class Comparison:
    """One result of a candidate, compared with the right one in float64."""

    case: str
    quantity: str  # y, grad_x, grad_weight or grad_bias
    error: float  # largest absolute error of the candidate
    allowed: float
    pytorch_error: float  # what PyTorch's own kernel shows on the same input

    @property
    def name(self) -> str:
        """The case and the quantity, in one line."""
        return f"{self.case} · {self.quantity}"

    @property
    def passed(self) -> bool:
        """Whether the error is within what is allowed; NaN is not."""
        return self.error <= self.allowed

    @property
    def ratio(self) -> float:
        """The error as a multiple of what is allowed; NaN counts as infinite."""
        if not self.allowed:
            return 0.0 if self.passed else math.inf
        return self.error / self.allowed if self.error < math.inf else math.inf


@dataclass(frozen=True)
class Finding:
    """What is wrong, or limited, in words.

    Attributes:
        code: the name of the bug, a key of `bugs.BUGS`.
        severity: "wrong", or "limit", which leaves a layer right.
        message: what was seen, with figures.
        fix: the line to change.
        effect: how much it matters on ordinary rows, at n = 4 and n = 768.
        step: which step of the layer it sits in.
        chapter: the chapter of the book that explains it.
    """

    code: str
    severity: str
    message: str
    fix: str
    effect: str = ""
    step: str = ""
    chapter: str = ""


@dataclass
class ParityReport:
    """The outcome of `check_parity`.

    Attributes:
        candidate: the name of what was checked.
        kind: "module", "torch function" or "NumPy function".
        against: "layer_norm" or "rms_norm".
        dtypes: names of the dtypes that decide the verdict.
        torch_version: of the PyTorch it was compared with.
        cases: each Comparison, in the order in which they ran.
        findings: each Finding; a right layer has none but limits.
        secondary: findings that are true as well, and can wait until the others are fixed.
        notes: on how the candidate was called, and what it did that is no fault.
    """

    candidate: str
    kind: str
    torch_version: str
    against: str = "layer_norm"
    dtypes: tuple[str, ...] = ()
    cases: list[Comparison] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    secondary: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether something was compared, all of it passed, and nothing is wrong."""
        wrong = any(finding.severity == "wrong" for finding in self.findings)
        return bool(self.cases) and all(c.passed for c in self.cases) and not wrong

    @property
    def ran(self) -> bool:
        """Whether the candidate gave at least one result to compare."""
        return any(math.isfinite(c.error) and c.allowed > 0 for c in self.cases)

    @property
    def gradients_checked(self) -> bool:
        """Whether the candidate gave gradients to compare."""
        return any(c.quantity != "y" for c in self.cases)

    def raise_for_failure(self) -> None:
        """Return None where the report is ok.

        Raises:
            ParityError: with the report as its message.
        """
        if not self.ok:
            raise ParityError(f"\n{self}")

    def summary(self) -> str:
        """Return the outcome in one line."""
        theirs = f"PyTorch {self.torch_version}"
        theirs = theirs if self.against == "layer_norm" else f"{self.against} of {theirs}"
        if not self.cases:
            return f"{self.candidate} could not be compared with {theirs}"
        total, failed = len(self.cases), sum(not c.passed for c in self.cases)
        scope = "forward and gradients" if self.gradients_checked else "forward only"
        verdict, count = "agrees", f"{total} of {total} comparisons pass"
        if not self.ok:
            verdict, count = "disagrees", f"{failed} of {total} comparisons fail"
        return f"{self.candidate} {verdict} with {theirs}: {count}, {scope}"

    def worst(self) -> list[Comparison]:
        """Return the comparison of each case that came closest to failing, or failed most."""
        by_case: dict[str, Comparison] = {}
        for comparison in self.cases:
            if comparison.case not in by_case or comparison.ratio > by_case[comparison.case].ratio:
                by_case[comparison.case] = comparison
        return list(by_case.values())

    def hints(self, level: int = 1) -> str:
        """Return a hint for each finding, and no more than was asked for.

        Args:
            level: 1 for the symptom, 2 for the step it sits in, 3 for the line to change.

        Raises:
            ValueError: there is no such level.
        """
        if level not in (1, 2, 3):
            raise ValueError(f"level is 1 (symptom), 2 (step) or 3 (line), got {level!r}.")
        if self.ok:
            return "Nothing to fix."
        symptom = "; ".join(c.name for c in [c for c in self.worst() if not c.passed][:3])
        lines: dict[int, Callable[[Finding], str]] = {
            1: lambda f: f.effect or f"it shows in {symptom}",
            2: lambda f: f"look at {f.step}; see {f.chapter}",
            3: lambda f: f"{f.code}: {f.fix}",
        }
        return "\n".join(lines[level](f) for f in self.findings if f.severity == "wrong")

    def to_dict(self) -> dict[str, Any]:
        """Return the report as what JSON can hold: schema 1, which later versions only add to.

        candidate, kind, against, torch_version, summary: text; schema: 1; ok, ran: booleans;
        dtypes, notes: lists of text; findings, secondary: lists of code, severity, message, fix,
        effect, step, chapter; cases: list of name, case, quantity, error, allowed, pytorch_error
        (null where one is not finite) and passed.
        """
        cases = [asdict(c) | {"name": c.name, "passed": c.passed} for c in self.cases]
        for case in cases:
            for key in ("error", "allowed", "pytorch_error"):
                case[key] = case[key] if math.isfinite(case[key]) else None
        head = {"schema": 1, "ok": self.ok, "ran": self.ran, "summary": self.summary()}
        return head | asdict(self) | {"cases": cases, "dtypes": list(self.dtypes)}

    def __str__(self) -> str:
        """Return the report for a terminal, at most 80 columns wide."""
        lines = [*_wrap(self.summary()), ""]
        for finding in self.findings:
            limit = "limit, " if finding.severity == "limit" else ""
            lines += _wrap(f"{limit}{finding.code}: {finding.message}", 2)
            for label, text in _details(finding)[: 1 if limit else 3]:
                lines += _wrap(f"  {label}: {text}", 4)
            lines += [""]
        for finding in self.secondary:
            lines += [*_wrap(f"besides, {finding.code}: {finding.message}", 4), ""]
        for note in self.notes:
            lines += _wrap(f"note: {note}", 6)
        lines += [""] if self.notes else []
        rows = self.worst()
        if rows:
            lines += [_ROW.format("case", "worst in", "error", "allowed", "PyTorch", "")]
        more = len(rows) - max(3, SCREEN - 1 - len(lines)) if self.ok else 0
        if more > 0:
            rows = sorted(rows, key=lambda c: -c.ratio)[:-more]
        lines += [_ROW.format(*_cells(c)) for c in rows]
        if more > 0:
            lines += [f"... and {more} more cases, further from their bounds"]
        return "\n".join(line.rstrip() for line in lines)

    def _repr_html_(self) -> str:
        """Return the same report for a notebook; the page's own style sheet colours it."""
        notes = [f"Besides, {f.code}: {f.message}" for f in self.secondary]
        notes += [f"Note: {note}" for note in self.notes]
        found = []
        for f in self.findings:
            lines = [f"<strong>{escape(f.code)}</strong>: {escape(f.message)}"]
            lines += [f"{label.capitalize()}: {escape(text)}" for label, text in _details(f)]
            found.append(f"<p>{'<br>'.join(lines)}</p>")
        head = ("case", "worst in", "error", "allowed", "PyTorch’s own", "result")
        cells = "".join(f'<th scope="col">{h}</th>' for h in head)
        rows = "".join(
            "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in _cells(c)) + "</tr>"
            for c in self.worst()
        )
        table = f"<table><thead><tr>{cells}</tr></thead><tbody>{rows}</tbody></table>"
        first, *rest = (f"<p>{escape(text)}</p>" for text in (self.summary(), *notes))
        return f'<div class="ln-report">{first}{"".join([*found, *rest])}{table}</div>'


_ROW = "{:<22.22} {:<12} {:>9} {:>9} {:>9}  {}"


def _cells(c: Comparison) -> tuple[str, ...]:
    figures = (f"{v:.1e}" for v in (c.error, c.allowed, c.pytorch_error))
    return c.case, c.quantity, *figures, "ok" if c.passed else "FAILS"


def _details(f: Finding) -> list[tuple[str, str]]:
    pairs = [("effect", f.effect), ("fix", f.fix), ("see", f.chapter)]
    return [(label, text) for label, text in pairs if text]


def _wrap(text: str, indent: int = 0) -> list[str]:
    return TextWrapper(width=WIDTH, subsequent_indent=" " * indent).wrap(text)
