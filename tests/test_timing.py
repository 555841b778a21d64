"""What chapter 7 measures with: versions take turns, passes are counted, kernels can be edited."""

import math
import time

import pytest
import torch

from layernorm_book.chapters import ladder, timing
from layernorm_book.chapters import triton_kernels as kernels
from layernorm_book.chapters.timing import Times, measure, side_by_side
from layernorm_book.chapters.traffic import Passes, count
from layernorm_book.chapters.triton_kernels import rounded, tl, triton


def test_versions_take_turns_and_every_round_starts_with_another():
    order = []
    calls = {name: (lambda name=name: order.append(name)) for name in ("copy", "b", "c")}
    times = measure(calls, rounds=3)
    assert order[:3] == ["copy", "b", "c"], "a round that warms up"
    assert order[3:] == ["copy", "b", "c", "b", "c", "copy", "c", "copy", "b"]
    assert {len(seconds) for seconds in times.seconds.values()} == {3}


def test_a_ratio_is_that_of_its_own_round():
    """A machine that gets ten times slower half way changes no ratio."""
    slower = [1, 1, 1, 10, 10, 10]
    times = Times({"copy": slower, "twice": [2.0 * s for s in slower]}, "copy")
    assert times.ratio("twice") == (2.0, 2.0, 2.0)
    assert times.table().splitlines()[1].split() == ["twice", "2.0", "(2.0", "to", "2.0)"]


def test_an_explained_table_says_what_its_numbers_are():
    times = Times({"one_loop": [1.0] * 4, "b": [2.0] * 4}, "one_loop")
    head, _, table = times.explained().partition("\n")
    assert head == "times as long as one loop (middle half of 4 rounds)"
    assert table == times.table()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch.compile's own imports
def test_a_compiled_version_has_the_name_it_is_given():
    found = timing.compiled(torch.neg, torch.ones(2), name="minus")
    assert list(found) in ([], ["minus"])  # [] where there is no C++ compiler


def test_without_a_gpu_the_verdict_names_the_interpreter():
    name = kernels.layer(None).__qualname__
    assert ("interpreter" in name) == (kernels.DEVICE == "cpu")


def test_one_core_works_while_versions_are_timed():
    before, during = torch.get_num_threads(), set()
    measure({"copy": lambda: during.add(torch.get_num_threads())}, rounds=1)
    assert during == {1}
    assert torch.get_num_threads() == before


@pytest.mark.skipif(
    time.get_clock_info("thread_time").resolution >= 1e-6, reason="the clock of a thread is coarse"
)
def test_the_clock_stands_still_while_the_core_works_for_others():
    assert timing.on_cpu(lambda: time.sleep(0.1)) < 0.05
    x = torch.zeros(4096, 4096)
    assert timing.on_cpu(x.clone) > 1e-4


def test_memory_is_kept_before_anything_is_called(monkeypatch):
    asked = []
    monkeypatch.setattr(timing, "keep_memory", lambda: asked.append("keep"))
    measure({"copy": lambda: asked.append("call")}, rounds=2)
    assert asked == ["keep", "call", "call", "call"]


def test_the_caches_are_told_as_far_as_the_system_tells_them(tmp_path):
    x = torch.empty(2**25)  # 128 MiB
    assert timing.machine(x, tmp_path) == "caches: this system does not say"
    found = [("1", "Data", "48K"), ("1", "Instruction", "32K"), ("2", "Unified", "1280K")]
    for index, cache in enumerate((*found, ("3", "Unified", "32768K"), ("4", "Unified", "?"))):
        folder = tmp_path / f"index{index}"
        folder.mkdir()
        for name, text in zip(("level", "type", "size"), cache, strict=True):
            (folder / name).write_text(f"{text}\n")
    (tmp_path / "index5").mkdir()
    line = "caches: L1 48 KiB, L2 1.25 MiB, L3 32 MiB\nx is {} times L3: {}"
    for size, words in ((2**25, ("4.0", "few rows stay")), (2**23, ("1.0", "many rows may stay"))):
        assert timing.machine(x[:size], tmp_path) == line.format(*words)


def test_the_ladder_is_the_layer():
    x, weight, bias = torch.randn(1024, 8), *torch.randn(2, 8)
    right = ladder.fused(x, weight, bias)
    torch.testing.assert_close(right, torch.layer_norm(x, (8,), weight, bias))
    for write, rows in ((ladder.in_place, 1024), (ladder.in_blocks, 1024), (ladder.one_block, 512)):
        y = torch.zeros_like(x)
        write(x, weight, bias, y)
        torch.testing.assert_close(y[:rows], right[:rows])
        assert not y[rows:].any()


def test_both_counts_stand_beside_what_was_measured():
    times = Times({"copy": [1.0] * 4, "plain": [7.2] * 4, "in_place": [3.5] * 4}, "copy")
    plain, in_place = ladder.fetches(times).splitlines()[1:]
    assert plain.split() == ["plain", "7", "6.7", "7.2"]
    assert in_place.split() == ["in", "place", "5", "3.7", "3.5"]


def test_a_price_is_told_where_the_rounds_agree_on_it():
    rounds = [1.0] * 4
    others = {"more": [1.25] * 4, "less": [0.5] * 4, "same": [1.0, 1.2, 0.9, 1.1]}
    times = Times({"one_loop": rounds} | others, "one_loop")
    assert times.slower("more") == "Slower more? Yes, 25% more time"
    assert times.slower("less") == "Slower less? No, 50% less time"
    assert times.slower("same") == "Slower same? No, about the same time"
    assert times.slower("not_there") == "Slower not there? Not timed here"


def test_two_measurements_stand_side_by_side():
    first = Times({"copy": [1.0] * 4, "a": [2.0] * 4, "one_loop": [1.0] * 4}, "copy")
    second = Times({"one_loop": [2.0] * 4, "a": [5.0] * 4}, "one_loop")
    assert second.again(first, "a") == "a / one loop: 2.0 above, 2.5 here"
    assert second.again(first, "one_loop") == "Only one loop was timed here"


def test_the_lines_below_a_docstring_are_all_there():
    lines = ladder.body(ladder.in_place).splitlines()
    assert len(lines) == 4
    assert lines[0].startswith("torch.sub(")
    assert lines[-1].startswith("y.mul_(")


def test_a_table_has_what_was_counted_beside_what_was_measured():
    x, y = torch.randn(2, 4, 8)
    counted = count({"copy": lambda: y.copy_(x), "two": lambda: (x + 1) * 2}, x)
    times = Times({"copy": [1.0, 1.0], "two": [3.0, 3.0], "compiled": [2.0, 2.0]}, "copy")
    lines = [line.split() for line in side_by_side(counted, ready=times).splitlines()]
    assert lines[0] == ["calls", "copies", "ready"]
    assert lines[1:] == [["copy", "1", "1", "1.0"], ["two", "2", "2", "3.0"], ["compiled", "2.0"]]
    assert len(side_by_side(counted).splitlines()) == 3


def test_a_gpu_is_timed_by_events(monkeypatch):
    happened = []

    class Event:
        def __init__(self, enable_timing):
            assert enable_timing

        def record(self):
            happened.append("record")

        def synchronize(self):
            happened.append("wait")

        def elapsed_time(self, end):
            return 3.0  # milliseconds

    empty = torch.empty
    monkeypatch.setattr(timing.torch.cuda, "Event", Event)
    monkeypatch.setattr(timing.torch, "empty", lambda size, device: empty(4))
    times = measure({"copy": lambda: happened.append("call")}, rounds=1, device="cuda")
    assert happened == ["call", "record", "call", "record", "wait"]
    assert times.seconds == {"copy": [0.003]}


def test_a_version_that_does_not_compile_says_so(monkeypatch, capsys):
    def refuse(function):
        raise RuntimeError("no compiler")

    monkeypatch.setattr(timing.torch, "compile", lambda function: refuse)
    assert timing.compiled(torch.relu, 1) == {}
    assert capsys.readouterr().out == "torch.compile does not work here: RuntimeError\n"


def test_passes_are_those_of_the_operations():
    x, y = torch.randn(4, 8), torch.empty(4, 8)
    with Passes(x) as counted:
        torch.sub(x, 1, out=y)  # 1 read, 1 write
        y *= 2  # 1 read, 1 write
        y[:2].sum()  # half a read, and no view counts
    assert counted.calls == 3
    assert counted.reads == 2.5
    assert counted.writes == pytest.approx(2 + 1 / 32)


def test_what_was_expanded_counts_as_the_few_numbers_that_it_is():
    x, mean = torch.randn(2, 4, 8)[0], torch.randn(4, 1)
    with Passes(x) as counted:
        x - mean.expand(4, 8)
    assert (counted.reads, counted.writes) == (1 + 1 / 8, 1)


def test_versions_are_called_by_name_and_the_copy_is_the_first():
    def returns(x, weight, bias):
        return x * weight + bias

    def writes(x, weight, bias, y):
        y.copy_(x)

    x, weight, bias = torch.randn(4, 8), *torch.randn(2, 8)
    ways = timing.calls([returns], [writes], x, weight, bias)
    assert list(ways) == ["copy", "returns", "writes"]
    assert torch.equal(ways["returns"](), x * weight + bias)
    assert torch.equal(ways["copy"](), x)
    ways["writes"]()


def test_without_triton_a_layer_gives_nan(monkeypatch):
    monkeypatch.setattr(kernels, "MISSING", "There is none.")
    x = torch.randn(2, 4, requires_grad=True)
    y = kernels.layer(None)(x, (4,))
    assert y.isnan().all()
    assert torch.autograd.grad(y.sum(), x)[0].isnan().all()


@pytest.mark.skipif(bool(kernels.MISSING), reason=kernels.MISSING)
class TestKernels:
    def test_a_changed_kernel_is_another_one(self):
        with pytest.raises(ValueError, match=r"no 'tl\.dot'"):
            kernels.edited(kernels.add_up, ("tl.dot", ""))
        twice = kernels.edited(kernels.add_up, ("parts + part", "parts + 0 * part"))
        parts, total = torch.arange(6.0).reshape(2, 3), torch.zeros(3)  # (count, n), (n,)
        for kernel, due in ((kernels.add_up, parts.sum(0)), (twice, 2 * parts[0])):
            kernel[(1,)](parts, total, 2, 3, BLOCK=128)
            assert torch.equal(total, due)

    def test_a_line_more_goes_above_the_one_that_is_named(self):
        once = kernels.with_line(kernels.add_up, "found *= 2", before="tl.store(")
        parts, total = torch.ones(2, 3), torch.zeros(3)  # (count, n), (n,)
        once[(1,)](parts, total, 2, 3, BLOCK=128)
        assert torch.equal(total, torch.full((3,), 4.0))

    def test_rounding_goes_to_the_nearest_and_to_even(self):
        @triton.jit
        def convert(x, y, BLOCK: tl.constexpr):
            i = tl.arange(0, BLOCK)
            value = rounded(tl.load(x + i), y.dtype.element_ty)
            tl.store(y + i, value)

        step = 2.0**-7
        special = [0.0, -0.0, math.inf, -math.inf, 1 + step / 2, 1 + 3 * step / 2, 3.4e38, 1e-40]
        drawn = torch.randn(1024 - 8) * torch.logspace(-30, 30, 1024 - 8)
        values = torch.cat([torch.tensor(special), drawn])
        for dtype in (torch.bfloat16, torch.float16, torch.float32):
            if dtype is torch.float16:  # NumPy would warn of those that are too large
                values = torch.where(values.abs() < 6e4, values, 1.0)
            found = torch.zeros(1024, dtype=dtype)
            convert[(1,)](values, found, BLOCK=1024)
            assert torch.equal(found, values.to(dtype)), dtype
