"""Runs somebody else's code so that it harms nothing: within a time limit, and held back.

What a candidate prints is kept, and not shown; what it does to the random generators, to the
warnings and to torch's default dtype is undone. It is a guard against accidents, and not against
malice: code that never returns to Python cannot be stopped from Python.
"""

import contextlib
import ctypes
import random
import threading
import warnings
from io import TextIOBase

import numpy as np
import torch


class TimeLimit(Exception):
    """The candidate did not answer in time."""


class _Stop(SystemExit):
    """Raised inside a candidate's thread to end it; a thread ends silently on SystemExit."""


class _Output(TextIOBase):
    """Keeps the first characters that are written to it, and counts the lines."""

    def __init__(self, keep=2000):
        self.keep, self.text, self.lines = keep, "", 0

    def writable(self):
        return True

    def write(self, text):
        self.lines += text.count("\n")
        self.text += text[: self.keep - len(self.text)]
        return len(text)


class Sandbox(contextlib.ExitStack):
    """A place to run a candidate in: `with Sandbox(seconds) as sandbox: sandbox.run(f, x)`.

    Args:
        seconds: how long one call may take.

    Attributes:
        output: what was printed: `text`, its beginning, and `lines`, their number.
    """

    def __init__(self, seconds):
        super().__init__()
        self.seconds = seconds
        self.output = _Output()

    def __enter__(self):
        super().__enter__()
        self.callback(torch.set_rng_state, torch.get_rng_state())
        self.callback(np.random.set_state, np.random.get_state())  # noqa: NPY002
        self.callback(random.setstate, random.getstate())
        self.callback(torch.set_default_dtype, torch.get_default_dtype())
        self.enter_context(warnings.catch_warnings(action="ignore"))
        self.enter_context(np.errstate(all="ignore"))
        return self

    def run(self, function, *args):
        """Return function(*args).

        Raises:
            TimeLimit: it took longer than it may.
            RuntimeError: it tried to end the program.
            Exception: its own.
        """
        outcome = {}

        def work():
            try:
                with np.errstate(all="ignore"):
                    outcome["value"] = function(*args)
            except BaseException as error:  # SystemExit too: a candidate must not end its judge
                outcome["error"] = error

        # A thread of its own: it can be given up, and torch's grad mode is fresh in it.
        thread = threading.Thread(target=work, daemon=True, name="candidate")
        with contextlib.redirect_stdout(self.output), contextlib.redirect_stderr(self.output):
            thread.start()
            try:
                thread.join(self.seconds)
            finally:
                if thread.is_alive():
                    _interrupt(thread)
        if "value" in outcome:
            return outcome["value"]
        error = outcome.get("error")
        if error is None or isinstance(error, _Stop):
            raise TimeLimit(f"no answer within {self.seconds:g} s")
        if not isinstance(error, Exception):
            raise RuntimeError(f"it tried to end the program: {error!r}") from error
        raise error


def _interrupt(thread):
    """Raise in another thread, at its next Python instruction, and give it a moment to end."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(thread.ident), ctypes.py_object(_Stop)
    )
    thread.join(0.5)
