"""What does the judge call a fault that stands in the bug museum?"""

from collections.abc import Callable
from typing import Any

from layernorm_book.parity import check_parity


def named(layer: Callable, **options: Any) -> list[str]:
    """Return the codes of all that the judge finds in a layer, asked in float32 alone.

    Args:
        layer: what `check_parity` takes.
        options: passed on to it.
    """
    report = check_parity(layer, dtypes=["float32"], **options)
    return [finding.code for finding in [*report.findings, *report.secondary]]
