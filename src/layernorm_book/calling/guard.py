"""How is somebody else's code run so that its accidents stay its own?

Within a time limit. What a candidate prints is kept, and not shown; what it does to the random
generators, to the warnings, to torch's default dtype and to its number of threads is undone. This
guards against accidents alone: code in this process can change anything in it, and code that never
returns to Python cannot be stopped from here. The command line runs a candidate in a process of its
own.
"""

import contextlib
import ctypes
import queue
import random
import sys
import threading
import warnings
from collections.abc import Callable
from io import TextIOBase
from typing import Any

import numpy as np
import torch

from layernorm_book.calling.call import CallResult, Inputs

MOST_EXTENSIONS = 10  # of the time limit, while torch compiles a candidate


class TimeLimit(Exception):
    """The candidate did not answer in time."""


class _Output(TextIOBase):
    """Keeps the first characters that are written to it, and counts the lines."""

    def __init__(self, keep: int = 2000) -> None:
        self.keep, self.text, self.lines = keep, "", 0

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self.lines += text.count("\n")
        self.text += text[: self.keep - len(self.text)]
        return len(text)


class Guard(contextlib.ExitStack):
    """Runs a candidate: `with Guard(seconds) as guard: guard.run(function, x)`.

    Args:
        seconds: how long one call may take.

    Attributes:
        output: what was printed: `text`, its beginning, and `lines`, their number.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds
        self.output = _Output()
        self._worker: _Worker | None = None

    def __enter__(self) -> "Guard":
        super().__enter__()
        self.callback(torch.set_rng_state, torch.get_rng_state())
        self.callback(np.random.set_state, np.random.get_state())  # noqa: NPY002
        self.callback(random.setstate, random.getstate())
        self.callback(torch.set_default_dtype, torch.get_default_dtype())
        self.callback(torch.set_num_threads, torch.get_num_threads())
        torch.set_num_threads(1)  # the inputs are small, and waiting for a second core costs more
        self.callback(self._dismiss)
        self.enter_context(warnings.catch_warnings(action="ignore"))
        self.enter_context(np.errstate(all="ignore"))
        return self

    def run(self, function: Callable[..., Any], *args: Any) -> Any:
        """Return function(*args).

        Raises:
            TimeLimit: it took longer than it may.
            RuntimeError: it tried to end the program.
            Exception: its own.
        """
        if self._worker is None:
            self._worker = _Worker()
        with contextlib.redirect_stdout(self.output), contextlib.redirect_stderr(self.output):
            outcome = self._worker.call(function, args, self.seconds)
        if outcome is None:
            self._worker = None
            raise TimeLimit(f"no answer within {self.seconds:g} s")
        value, error = outcome
        if error is None:
            return value
        if not isinstance(error, Exception):
            raise RuntimeError(f"it tried to end the program: {error!r}") from error
        raise error

    def ask(self, call: Callable[[Inputs], CallResult], inputs: Inputs) -> CallResult:
        """Return what came of one call; what it raises, and that it hangs, is a result too."""
        try:
            came: CallResult = self.run(call, inputs)
            return came
        except TimeLimit as limit:
            return CallResult(error=f"it hangs: {limit}", hung=True)
        except Exception as error:
            return CallResult(error=f"{type(error).__name__}: {error}")

    def _dismiss(self) -> None:
        if self._worker:
            self._worker.tasks.put(None)
            self._worker.join(1)  # a thread that is still ending may abort a program that ends too


class _Worker(threading.Thread):
    """A thread that runs one function after another, and that can be given up.

    One for all calls: to start a thread takes longer than most calls do.
    """

    def __init__(self) -> None:
        super().__init__(daemon=True, name="candidate")
        self.tasks: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.outcomes: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.start()

    def run(self) -> None:
        """Work until told to stop."""
        while task := self.tasks.get():
            function, args = task
            outcome: tuple[Any, BaseException | None]
            try:
                with torch.enable_grad(), np.errstate(all="ignore"):
                    outcome = function(*args), None
            except BaseException as error:  # SystemExit too: a candidate must not end its judge
                outcome = None, error
            self.outcomes.put(outcome)

    def call(self, function: Callable[..., Any], args: tuple[Any, ...], seconds: float) -> Any:
        """Return (value, error), or None where there is no answer in time."""
        self.tasks.put((function, args))
        try:
            for _ in range(MOST_EXTENSIONS):
                with contextlib.suppress(queue.Empty):
                    return self.outcomes.get(timeout=seconds)
                if not self._is_compiling():
                    break
            self._halt()
            return None
        except BaseException:  # the reader's own Ctrl+C: take the candidate down with it
            self._halt()
            raise

    def _is_compiling(self) -> bool:
        """Whether it stands inside torch.compile, which takes its time over every new shape."""
        frame = sys._current_frames().get(self.ident or 0)
        while frame:
            if frame.f_globals.get("__name__", "").startswith(("torch._dynamo", "torch._inductor")):
                return True
            frame = frame.f_back
        return False

    def _halt(self) -> None:
        """Raise in this thread, at its next Python instruction, and give it a moment to end."""
        self.tasks.put(None)
        stop = ctypes.py_object(SystemExit)
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self.ident or 0), stop)
        self.join(0.5)
