"""From what was measured to findings: which known bugs, together, do what the candidate does.

The candidate is measured (`measure`), the measurement is a layer of its own, and that layer has to
give what the candidate gave in every case that failed (`matching`). What it leaves over goes to
questions of precision and gradients (`causes`), and what those leave over is `unknown`: no name is
better than a wrong one.
"""

from dataclasses import replace

from layernorm_book.catalogue import CATALOGUE
from layernorm_book.causes import QUESTIONS
from layernorm_book.matching import left_over
from layernorm_book.measure import measure
from layernorm_book.probing import NoAnswer, Refused
from layernorm_book.report import Finding
from layernorm_book.sizes import size
from layernorm_book.wording import codes_of


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
    codes = codes_of(found)
    left = left_over(found, codes, failed)
    for question in QUESTIONS:
        more, left = question(prober, found, codes, left, judge)
        codes |= more
    findings = [
        replace(
            make_finding(code, codes[code], size(code, found, prober)),
            lesser=code == "low-precision-statistics"
            or (code == "wrong-axis" and found.right_axes),
        )
        for code in CATALOGUE
        if code in codes
    ]
    if left:
        findings.append(_unknown(left, "what else was measured is as it should be"))
    return findings


def _unknown(left, evidence):
    """Say that nothing fits, and what was seen."""
    _, worst = max(left, key=lambda pair: pair[1].severity)
    quantities = list(dict.fromkeys(c.quantity for _, c in left))
    where = "y" if "y" in quantities else f"{' and '.join(quantities)}, and not in y"
    return make_finding(
        "unknown",
        f"it fits no known mistake. It shows in {where}. Largest breach in {worst.name}: error "
        f"{worst.error:.2g}, allowed {worst.allowed:.2g}. Measured: {evidence}",
    )
