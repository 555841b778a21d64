"""How is a candidate kept from changing its own verdict? It runs in a process of its own.

The command line's process holds the judge; the candidate's process holds the candidate, and sends
back nothing but tensors and text. What it patches, prints or ends is its own process, and a process
that ends or falls silent without an answer is `NotRun`, whatever exit code it chose.
"""

import difflib
import importlib
import importlib.util
import io
import multiprocessing
import os
import sys
from dataclasses import asdict, fields
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch

from layernorm_book.calling.call import CallResult, Inputs
from layernorm_book.calling.candidate import AdaptedCandidate, adapt, needs_besides
from layernorm_book.calling.guard import MOST_EXTENSIONS, Guard, TimeLimit


class NotRun(Exception):
    """The candidate could not be run; the message is one sentence that says why."""


class CandidateProcess:
    """A candidate in a process of its own: `with CandidateProcess(...) as candidate: ...`.

    Args:
        spec: FILE.py:NAME or module:NAME.
        time_limit: seconds that one call may take.
        options: those of `adapt`.

    Attributes:
        name: what a reader would call the candidate.
        adapted: what it takes; its `call` asks the process.
        output: what it printed, at the end: its first line, and how many there were.

    Raises:
        NotRun: there is no such candidate, or its process ended or fell silent.
    """

    def __init__(self, spec: str, time_limit: float, **options: Any) -> None:
        # A forked process has torch loaded already, which takes a second; elsewhere it is unsafe.
        context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
        self._pipe, theirs = context.Pipe()
        self._seconds = time_limit
        self._process = context.Process(  # type: ignore[attr-defined]
            target=_serve, args=(theirs, spec, time_limit, options), daemon=True
        )
        self._process.start()
        theirs.close()
        try:
            first = self._receive()
        except NotRun:
            self.close()
            raise
        self.name: str = first.pop("name")
        self.adapted = AdaptedCandidate(call=self.call, **first)

    def __enter__(self) -> "CandidateProcess":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.join()

    def call(self, inputs: Inputs) -> CallResult:
        """Return what came of one call."""
        tensors = ("x", "weight", "bias", "grad_y", "normalized_shape", "eps")
        _send(self._pipe, {name: getattr(inputs, name) for name in tensors})
        came = self._receive()
        came["mutated"] = tuple(came["mutated"])
        return CallResult(**came)

    def output(self) -> tuple[str, int]:
        """Return the beginning of what was printed, and the number of lines."""
        _send(self._pipe, {})
        answer = self._receive()
        return answer["text"], answer["lines"]

    def _receive(self) -> dict[str, Any]:
        # The guard in there is first to give a call up; this is for code that never returns to it.
        seconds = self._seconds * (MOST_EXTENSIONS + 1)
        try:
            if not self._pipe.poll(seconds):
                raise NotRun(f"it gave no answer within {seconds:g} s")
            answer = torch.load(io.BytesIO(self._pipe.recv_bytes()), weights_only=True)
        except (EOFError, OSError):
            self._process.join(1)
            code = self._process.exitcode
            raise NotRun(f"its process ended (exit code {code}) without an answer") from None
        if sentence := answer.get("not run"):
            raise NotRun(sentence)
        return dict(answer)


def _send(pipe: Connection, message: dict[str, Any]) -> None:
    """Send tensors, text and numbers; anything else could run code where it is read."""
    stream = io.BytesIO()
    torch.save(message, stream)
    pipe.send_bytes(stream.getvalue())


# --- in the candidate's process -------------------------------------------------------------------


def _serve(pipe: Connection, spec: str, time_limit: float, options: dict[str, Any]) -> None:
    """Load the candidate, say what it takes, and answer questions until the pipe is closed."""
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):  # what is written past Python's own streams goes nowhere
        os.dup2(null, stream)
    with Guard(time_limit) as guard:
        try:
            candidate = guard.run(load, spec)
            if missing := needs_besides(candidate):
                raise NotRun(
                    f"it needs arguments besides the shape ({', '.join(missing)}): write a "
                    "function of (normalized_shape, eps) that makes one, and check that"
                )
            adapted = adapt(candidate, guard, **options)
        except TimeLimit as limit:
            _send(pipe, {"not run": f"it hangs: {limit}"})
            return
        except BaseException as error:
            own = isinstance(error, (NotRun, TypeError))
            _send(pipe, {"not run": str(error) if own else f"{type(error).__name__}: {error}"})
            return
        public = {f.name: getattr(adapted, f.name) for f in fields(adapted) if f.name != "call"}
        name = getattr(candidate, "__qualname__", None) or repr(candidate)
        _send(pipe, public | {"name": name})
        while question := torch.load(io.BytesIO(pipe.recv_bytes()), weights_only=True):
            _send(pipe, asdict(guard.ask(adapted.call, Inputs(**question))))
        _send(pipe, {"text": guard.output.text, "lines": guard.output.lines})


def load(spec: str) -> Any:
    """Return the object that FILE.py:NAME or module:NAME names.

    Raises:
        NotRun: it names nothing; the message says why, in one sentence.
    """
    place, colon, name = spec.rpartition(":")
    if not (place and colon and name):
        raise NotRun("write FILE.py:NAME or module:NAME")
    if Path(place).is_dir() and not (Path(place) / "__init__.py").exists():
        raise NotRun(
            f"{place} is a directory: name a file in it, {place.rstrip('/')}/FILE.py:{name}"
        )
    try:
        found = _module(place)
    except (NotRun, SystemExit):
        raise
    except SyntaxError as error:
        raise NotRun(f"{place} is not Python: line {error.lineno}: {error.msg}") from None
    except ModuleNotFoundError as error:
        raise NotRun(f"{place} needs {error.name!r}, which is not installed here") from None
    except Exception as error:
        raise NotRun(f"{place} fails on import: {type(error).__name__}: {error}") from None
    for part in name.split("."):
        if not hasattr(found, part):
            close = difflib.get_close_matches(part, dir(found), 3, 0.5)
            hint = f"; it has {', '.join(close)}" if close else ""
            raise NotRun(f"{place} has no {name}{hint}")
        found = getattr(found, part)
    return found


def _module(place: str) -> Any:
    if not place.endswith(".py"):
        sys.path.insert(0, os.getcwd())
        return importlib.import_module(place)
    path = Path(place).resolve()
    if not path.is_file():
        raise NotRun(f"there is no file {place}")
    sys.path.insert(0, str(path.parent))  # so that it finds its neighbours
    location = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(location)  # type: ignore[arg-type]
    sys.modules[path.stem] = module
    location.loader.exec_module(module)  # type: ignore[union-attr]
    return module
