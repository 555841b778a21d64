"""How far is a cell that takes long: one output, redrawn in place while it runs?"""

from IPython.display import display


class ProgressBar:
    """A bar that fills as work is done, and stays behind as one line when the cell has ended.

    It is plain HTML with a line of text, so a page that was built from the notebook shows the full
    bar without a kernel and without a widget.

    Args:
        total: int, how many times `advance` will be called.
        unit: str, what is counted, in the plural.
        ended: str, what stands in place of the bar when all is done; if None, the full bar stays.

    Example:
        >>> bar = ProgressBar(4, "steps")
        0 of 4 steps
        >>> bar.advance()
        >>> bar
        1 of 4 steps
    """

    _redraws = 100

    def __init__(self, total, unit, ended=None):
        self._total, self._unit, self._ended = total, unit, ended
        self._done = 0
        self._shown = display(self, display_id=True)  # None outside a notebook

    def advance(self):
        """Count one more; redraw when the bar has moved by about a hundredth."""
        before = self._done * self._redraws // self._total
        self._done += 1
        if self._shown and self._done * self._redraws // self._total > before:
            self._shown.update(self)

    def __repr__(self):
        if self._ended and self._done == self._total:
            return self._ended
        return f"{self._done:,} of {self._total:,} {self._unit}"

    def _repr_html_(self):
        if repr(self) == self._ended:
            return f"<div>{self._ended}</div>"
        state = f'value="{self._done}" max="{self._total}" aria-label="progress"'
        return f"<div><progress {state}></progress> {self!r}</div>"
