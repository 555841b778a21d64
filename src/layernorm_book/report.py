"""What the parity check reports: each comparison, and the findings drawn from them."""

import math
from dataclasses import asdict, dataclass, field
from html import escape
from textwrap import TextWrapper

WIDTH = 80


class ParityError(AssertionError):
    """A LayerNorm disagrees with PyTorch; the message is the report."""


@dataclass(frozen=True)
class Comparison:
    """One result of a candidate, compared with the truth in float64."""

    case: str
    quantity: str  # y, grad_x, grad_weight or grad_bias
    error: float  # largest absolute error of the candidate
    allowed: float
    pytorch_error: float  # what PyTorch's own kernel shows on the same input
    true_size: float = 0.0  # largest absolute value of the truth

    @property
    def name(self):
        """The case and the quantity, in one line."""
        return f"{self.case} · {self.quantity}"

    @property
    def passed(self):
        """Whether the error is within what is allowed; NaN is not."""
        return self.error <= self.allowed

    @property
    def severity(self):
        """The error as a multiple of what is allowed, for sorting; NaN counts as infinite."""
        if self.passed:
            return self.error / self.allowed if self.allowed else 0.0
        return self.error / self.allowed if self.error < float("inf") else float("inf")


@dataclass(frozen=True)
class Finding:
    """What is wrong, in words.

    Attributes:
        code: the name of the bug, one of `catalogue.CATALOGUE`.
        message: what was seen, with figures.
        fix: the line to change.
        size: how much it matters on ordinary rows.
        step: which step of the layer it sits in.
        chapter: the chapter of the book that explains it.
        lesser: whether it stands back while the plain arithmetic is not right.
    """

    code: str
    message: str
    fix: str
    size: str = ""
    step: str = ""
    chapter: str = ""
    lesser: bool = False


@dataclass
class ParityReport:
    """The outcome of `check_parity`.

    Attributes:
        candidate: the name of what was checked.
        kind: "module", "torch function" or "NumPy function".
        torch_version: of the PyTorch it was compared with.
        cases: list of Comparison, in the order in which they ran.
        findings: list of Finding; empty where all is right.
        besides: list of Finding that are true as well, and can wait until the others are mended:
            how it treats several axes at once, and half precision.
        notes: list of str, on how the candidate was called and what it did that is no fault.
    """

    candidate: str
    kind: str
    torch_version: str
    cases: list[Comparison] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    besides: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def ok(self):
        """Whether every comparison passed and nothing was found."""
        return bool(self.cases) and all(c.passed for c in self.cases) and not self.findings

    @property
    def ran(self):
        """Whether the candidate gave at least one result to compare."""
        return any(math.isfinite(c.allowed) and c.true_size > 0 for c in self.cases)

    @property
    def gradients_checked(self):
        """Whether the candidate gave gradients to compare."""
        return any(c.quantity != "y" for c in self.cases)

    def raise_for_failure(self):
        """Return None where the report is ok.

        Raises:
            ParityError: with the report as its message.
        """
        if not self.ok:
            raise ParityError(f"\n{self}")

    def summary(self):
        """Return the outcome in one line."""
        if not self.cases:
            return f"{self.candidate} could not be compared with PyTorch {self.torch_version}"
        total, failed = len(self.cases), sum(not c.passed for c in self.cases)
        scope = "forward and gradients" if self.gradients_checked else "forward only"
        verdict, count = (
            ("agrees", f"{total} of {total} comparisons pass")
            if self.ok
            else ("disagrees", f"{failed} of {total} comparisons fail")
        )
        return f"{self.candidate} {verdict} with PyTorch {self.torch_version}: {count}, {scope}"

    def worst(self):
        """Return the comparison of each case that comes nearest to its bound, or passes it most."""
        by_case = {}
        for comparison in self.cases:
            best = by_case.get(comparison.case)
            if best is None or comparison.severity > best.severity:
                by_case[comparison.case] = comparison
        return list(by_case.values())

    def hints(self, level=1):
        """Return a hint for each finding, and no more than was asked for.

        Args:
            level: 1 for the symptom, 2 for the step it sits in, 3 for the line to change.

        Returns:
            str, a line for each finding.

        Raises:
            ValueError: there is no such level.
        """
        if level not in (1, 2, 3):
            raise ValueError(f"level is 1 (symptom), 2 (step) or 3 (line), got {level!r}.")
        if self.ok:
            return "Nothing to mend."
        failed = [c for c in self.worst() if not c.passed]
        symptom = "; ".join(c.name for c in failed[:3])
        lines = {
            1: lambda f: f.size or f"it shows in {symptom}",
            2: lambda f: f"look at {f.step}; see {f.chapter}",
            3: lambda f: f"{f.code}: {f.fix}",
        }
        return "\n".join(lines[level](finding) for finding in self.findings)

    def to_dict(self):
        """Return the report as what JSON can hold; an error that is not finite becomes None."""
        return {
            "candidate": self.candidate,
            "kind": self.kind,
            "torch_version": self.torch_version,
            "ok": self.ok,
            "ran": self.ran,
            "summary": self.summary(),
            "findings": [asdict(finding) for finding in self.findings],
            "besides": [asdict(finding) for finding in self.besides],
            "notes": list(self.notes),
            "cases": [
                {
                    "name": c.name,
                    "case": c.case,
                    "quantity": c.quantity,
                    "error": _finite(c.error),
                    "allowed": _finite(c.allowed),
                    "pytorch_error": _finite(c.pytorch_error),
                    "passed": c.passed,
                }
                for c in self.cases
            ],
        }

    def __str__(self):
        """Return the report for a terminal, at most 80 columns wide."""
        lines = [*_wrap(self.summary()), ""]
        for finding in self.findings:
            lines += [*_describe(finding), ""]
        for finding in self.besides:
            lines += [*_wrap(f"besides, {finding.code}: {finding.message}", 4), ""]
        for note in self.notes:
            lines += _wrap(f"note: {note}", 6)
        lines += [""] if self.notes else []
        if self.cases:
            lines += [_ROW.format("case", "worst in", "error", "allowed", "PyTorch", "")]
        lines += [_ROW.format(*_cells(c)) for c in self.worst()]
        return "\n".join(line.rstrip() for line in lines)

    def _repr_html_(self):
        """Return the same report for a notebook; the page's own style sheet colours it."""
        parts = [f"<p>{escape(self.summary())}</p>"]
        parts += [_finding_html(finding) for finding in self.findings]
        parts += [
            f"<p>Besides, <strong>{escape(f.code)}</strong>: {escape(f.message)}</p>"
            for f in self.besides
        ]
        parts += [f"<p>Note: {escape(note)}</p>" for note in self.notes]
        head = "".join(
            f'<th scope="col">{h}</th>'
            for h in ("case", "worst in", "error", "allowed", "PyTorch’s own", "result")
        )
        rows = "".join(
            "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in _cells(c)) + "</tr>"
            for c in self.worst()
        )
        table = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
        return f'<div class="ln-report">{"".join(parts)}{table}</div>'


_ROW = "{:<22.22} {:<12} {:>9} {:>9} {:>9}  {}"


def _cells(c):
    figures = (f"{v:.1e}" for v in (c.error, c.allowed, c.pytorch_error))
    return c.case, c.quantity, *figures, "ok" if c.passed else "FAILS"


def _describe(finding):
    """Yield the lines of a finding: what, how much, the mend, and where it is explained."""
    yield from _wrap(f"{finding.code}: {finding.message}", 2)
    for name in ("size", "fix", "chapter"):
        if text := getattr(finding, name):
            yield from _wrap(f"  {_LABELS[name]}: {text}", 4)


_LABELS = {"size": "size", "fix": "mend", "chapter": "see"}


def _wrap(text, indent=0):
    return TextWrapper(width=WIDTH, subsequent_indent=" " * indent).wrap(text)


def _finding_html(finding):
    lines = [f"<strong>{escape(finding.code)}</strong>: {escape(finding.message)}"]
    lines += [
        f"{_LABELS[name].capitalize()}: {escape(text)}"
        for name in ("size", "fix", "chapter")
        if (text := getattr(finding, name))
    ]
    return f"<p>{'<br>'.join(lines)}</p>"


def _finite(number):
    return number if math.isfinite(number) else None
