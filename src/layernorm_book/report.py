"""What the parity check reports: each comparison, and the findings drawn from them."""

from dataclasses import dataclass, field
from html import escape
from textwrap import fill


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
    """What is wrong, in words: a fixed code, a message with figures, and the mend."""

    code: str
    message: str
    fix: str


@dataclass(frozen=True)
class ParityReport:
    """The outcome of `check_parity`.

    Attributes:
        candidate: the name of what was checked.
        kind: "module", "torch function" or "NumPy function".
        torch_version: of the PyTorch it was compared with.
        cases: list of Comparison, in the order in which they ran.
        findings: list of Finding; empty where all is right.
    """

    candidate: str
    kind: str
    torch_version: str
    cases: list[Comparison] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    @property
    def ok(self):
        """Whether every comparison passed and nothing was found."""
        return bool(self.cases) and all(c.passed for c in self.cases) and not self.findings

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

    def __str__(self):
        """Return the table for a terminal, at most 80 columns wide."""
        lines = [_wrap(self.summary()), ""]
        for finding in self.findings:
            lines += [_wrap(f"{finding.code}: {finding.message}"), _wrap(f"  mend: {finding.fix}")]
        lines += [""] if self.findings else []
        lines += [_ROW.format("case", "worst in", "error", "allowed", "PyTorch", "")]
        lines += [_ROW.format(*_cells(c)) for c in self.worst()]
        return "\n".join(line.rstrip() for line in lines)

    def _repr_html_(self):
        """Return the same table for a notebook."""
        findings = "".join(
            f"<p><strong>{escape(f.code)}</strong>: {escape(f.message)}<br>"
            f"Mend: {escape(f.fix)}</p>"
            for f in self.findings
        )
        head = "".join(
            f'<th scope="col">{h}</th>'
            for h in ("case", "worst in", "error", "allowed", "PyTorch’s own", "result")
        )
        rows = "".join(
            "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in _cells(c)) + "</tr>"
            for c in self.worst()
        )
        return (
            f'<div class="ln-report"><p>{escape(self.summary())}</p>{findings}'
            f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
        )


def _wrap(text):
    """Break a sentence into lines of at most 80 columns, all but the first indented."""
    return fill(text, 80, subsequent_indent="  ")


_ROW = "{:<22} {:<12} {:>9} {:>9} {:>9}  {}"


def _cells(c):
    figures = (f"{v:.1e}" for v in (c.error, c.allowed, c.pytorch_error))
    return c.case, c.quantity, *figures, "ok" if c.passed else "FAILS"
