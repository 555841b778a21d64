"""Puts questions to a candidate, one call after another, within a time for all of them."""

from time import monotonic

import torch

from layernorm_book.candidates import DEFAULT_EPS
from layernorm_book.cases import Inputs
from layernorm_book.sandbox import TimeLimit


class NoAnswer(Exception):
    """The candidate gave nothing that could be measured."""


class Refused(NoAnswer):
    """The candidate raised, which is a finding of its own."""


class Prober:
    """Puts questions to a candidate, within a time for all of them together."""

    def __init__(self, subject, sandbox, seconds):
        self.subject, self.sandbox = subject, sandbox
        self.end = monotonic() + seconds

    def ask(self, x, shape, weight=None, bias=None, eps=DEFAULT_EPS, grad_y=None):
        """Return the Outcome for this input.

        Raises:
            NoAnswer: it raised, took too long, or gave no array of the shape of x.
        """
        if monotonic() > self.end:
            raise NoAnswer("it is too slow to be questioned")
        grad_y = torch.zeros_like(x) if grad_y is None else grad_y
        weight = weight if self.subject.weight else None
        bias = bias if self.subject.bias else None
        inputs = Inputs(x, tuple(shape), weight, bias, eps, grad_y)
        try:
            outcome = self.sandbox.run(self.subject.call, inputs)
        except TimeLimit:
            self.end = 0.0
            raise NoAnswer("it stopped answering") from None
        except Exception as error:
            raise Refused(f"{type(error).__name__}: {error}") from None
        y = outcome.results.get("y")
        if not isinstance(y, torch.Tensor) or y.shape != x.shape:
            raise NoAnswer("it gave no result of the shape of x")
        return outcome

    def answer(self, *args, **kwargs):
        """Return y for this input, in float64."""
        return self.ask(*args, **kwargs).results["y"].detach().double()
