"""How long does each of several versions take, and how sure is that?

Versions take turns, round after round: what disturbs the machine then disturbs them all. Each is
compared with the unit of the same round, and the spread of those ratios is shown beside their
median. One core works, since cores that wait for one another blur the clock, and its clock stands
still while it works for other programs. The chapter on speed and `make bench` measure with this,
and with nothing else.
"""

import ctypes
import statistics
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

FINE = time.get_clock_info("thread_time").resolution < 1e-6
CLOCK = time.thread_time if FINE else time.perf_counter


def keep_memory():
    """Let this process keep the memory of arrays that are gone for those that come.

    glibc, the C library of most Linux systems, gives a large array's memory back to the system,
    and then the next one comes as new pages that have to be filled with zeros first. Told so, it
    keeps what it has, as PyTorch does on a GPU.

    Returns:
        Whether that worked; other C libraries have their own ways.

    Source: mallopt(3), M_MMAP_MAX and M_TRIM_THRESHOLD.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return bool(mallopt(-4, 0) and mallopt(-1, -1))


def machine(x, files="/sys/devices/system/cpu/cpu0/cache"):
    """Return the caches of the first core in a line, and in another whether x outgrows them.

    Args:
        x: tensor.
        files: folder where Linux describes the caches, and other systems have nothing.
    """
    told = {}
    for cache in sorted(Path(files).glob("index*")):
        with suppress(OSError, ValueError):
            level, kind, size = ((cache / f).read_text().strip() for f in ("level", "type", "size"))
            if kind != "Instruction":
                told[f"L{level}"] = int(size.removesuffix("K"))
    if not told:
        return "caches: this system does not say"
    line = ", ".join(f"{level} {kibibytes(size)}" for level, size in told.items())
    largest = max(told, key=told.get)
    times = x.nbytes / (1024 * told[largest])
    so = "few rows stay" if times >= 3 else "many rows may stay"
    return f"caches: {line}\nx is {times:.1f} times {largest}: {so}"


def kibibytes(count):
    """Return a number of KiB in words."""
    return f"{count} KiB" if count < 1024 else f"{count / 1024:g} MiB"


@contextmanager
def one_core():
    """Let PyTorch use one thread within a `with` block."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@dataclass(frozen=True)
class Times:
    """Seconds that each version took: {name: [one for each round]}."""

    seconds: dict[str, list[float]]
    unit: str  # the version that the others are compared with

    def ratio(self, name):
        """Return (median, lower quartile, upper quartile) of a version's time, in units."""
        pairs = zip(self.seconds[name], self.seconds[self.unit], strict=True)
        low, median, high = statistics.quantiles((t / u for t, u in pairs), n=4)
        return median, low, high

    def best(self, name):
        """Return a version's shortest time in seconds: the round that was disturbed the least."""
        return min(self.seconds[name])

    def slower(self, name):
        """Return in a line whether a version took more time than the unit, and how much."""
        asked = f"Slower {in_words(name)}?"
        if name not in self.seconds:
            return f"{asked} Not timed here"
        median, low, high = self.ratio(name)
        if low < 1.05 and high > 0.95:
            return f"{asked} No, about the same time"
        answer, more = ("Yes", "more") if median > 1 else ("No", "less")
        return f"{asked} {answer}, {100 * abs(median - 1):.0f}% {more} time"

    def again(self, earlier, name):
        """Return in a line how long a version took, in units, here and in earlier `Times`."""
        if name == self.unit:
            return f"Only {in_words(name)} was timed here"
        here, there = self.ratio(name)[0], Times(earlier.seconds, self.unit).ratio(name)[0]
        return f"{in_words(name)} / {in_words(self.unit)}: {there:.1f} above, {here:.1f} here"

    def explained(self):
        """Return the table, and a line above it that says what its numbers are."""
        rounds, unit = len(self.seconds[self.unit]), in_words(self.unit)
        return f"times as long as {unit} (middle half of {rounds} rounds)\n{self.table()}"

    def table(self):
        """Return one line for each version: its median, and the quartiles around it."""
        rows = ((in_words(name), *self.ratio(name)) for name in self.seconds)
        return "\n".join(
            f"{name:18}{m:5.1f}  ({low:.1f} to {high:.1f})" for name, m, low, high in rows
        )


def in_words(version):
    """Return the name of a version, which is that of a function, as text."""
    return version.replace("_", " ")


def side_by_side(counted, **measured):
    """Return a table with one line for each version: what was counted, and what was measured.

    Args:
        counted: {name: Passes}; of a compiled version nothing can be counted, and it is left out.
        measured: columns by name, each a `Times`, whose medians are shown in units.
    """
    columns = list(measured.values())
    versions = list(columns[0].seconds if columns else counted)
    wide = max(10, *map(len, versions))
    lines = [" " * wide + " calls copies" + "".join(f"{name:>9}" for name in measured)]
    for version in versions:
        name = in_words(version)
        line = f"{name:{wide}}" + " " * 13
        if version in counted:
            passes = counted[version]
            line = f"{name:{wide}}{passes.calls:6}{passes.copies:7g}"
        lines.append(line + "".join(f"{column.ratio(version)[0]:9.1f}" for column in columns))
    return "\n".join(lines)


def measure(calls, unit="copy", rounds=15, device="cpu"):
    """Time calls in turn, on one core or on a GPU.

    Args:
        calls: dict from a name to a function without arguments.
        unit: the name of the one that the others are compared with.
        rounds: how often each is called. Every round starts with another of them.
        device: "cpu", or "cuda", where a call comes back before its work is done. There two events
            are put into the queue around each call, and the GPU itself notes when it reached them.

    Returns:
        Times.
    """
    once = on_gpu if device == "cuda" else on_cpu
    seconds, names = {name: [] for name in calls}, list(calls)
    with one_core():
        keep_memory()  # where that works, no version waits for new memory
        for call in calls.values():  # warm up: caches, pages, a compiler
            call()
        for _ in range(rounds):
            for name in names:
                seconds[name].append(once(calls[name]))
            names.append(names.pop(0))
    return Times(seconds, unit)


def calls(returning, writing, x, weight, bias):
    """Return versions of the layer as calls, by name, with a copy of x as the first.

    Args:
        returning: functions of (x, weight, bias) that return a new array.
        writing: functions of (x, weight, bias, y) that write into y, which they are given.
        x, weight, bias: what they are called with; x has shape (rows, n), the others (n,).
    """
    y = torch.zeros_like(x)  # (rows, n), touched once, so that its memory is there
    ways = {"copy": partial(y.copy_, x)}
    ways |= {f.__name__: partial(f, x, weight, bias) for f in returning}
    return ways | {f.__name__: partial(f, x, weight, bias, y) for f in writing}


def backward(function, x, weight, bias):
    """Return a call of the backward pass of a function of (x, weight, bias)."""
    leaves = [t.clone().requires_grad_() for t in (x, weight, bias)]
    given = function(*leaves), leaves, torch.ones_like(x)
    return partial(torch.autograd.grad, *given, retain_graph=True)


def compiled(function, *args, name="compiled"):
    """Return {name: a call of the compiled function}, or {} and print why not.

    Args:
        function: on tensors.
        args: what it is called with.
        name: of the version.
    """
    call = partial(torch.compile(function), *args)
    try:
        with one_core():  # as it will be measured; for other threads it would compile again
            call()
    except Exception as error:  # it takes a C++ compiler, or on a GPU Triton
        print(f"torch.compile does not work here: {type(error).__name__}")
        return {}
    return {name: call}


def on_cpu(call):
    """Return the seconds that this thread's core works on a call.

    While the core works for other programs this clock stands still, where the system has one that
    is fine enough; elsewhere it is the ordinary clock.
    """
    start = CLOCK()
    call()
    return CLOCK() - start


def on_gpu(call):
    """Return the seconds that a GPU works on a call."""
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    # A write of 256 MB before it, so that the work starts without its data in the GPU's cache.
    torch.empty(2**26, device="cuda").zero_()
    start.record()
    call()
    end.record()
    end.synchronize()
    return start.elapsed_time(end) / 1000  # it counts milliseconds
