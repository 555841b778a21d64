"""The kernel lab: its loops are those that PyTorch runs, and both of its memories count alike."""

import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from browser import ROOT, move, run_copied, run_on_packed, values
from torch.utils._python_dispatch import TorchDispatchMode
from traitlets import TraitError

from layernorm_book.chapters.traffic import Passes
from layernorm_book.widgets import KernelLab
from layernorm_book.widgets.kernel import MACHINE
from layernorm_book.widgets.traffic import (
    AUTOGRAD,
    DIRECTIONS,
    PROGRAMS,
    WAYS,
    copies,
    program,
    ticks,
    traffic,
)

SOURCES = {"levels.js": (ROOT / "src/layernorm_book/widgets/levels.js").read_text("utf-8")}
# For each state: how many ticks there are, the four counts, and all that cache and memory hold.
RUN = """
    const text = JSON.stringify(rows.map(({ program, machine, until }) => {
        const ticks = module.ticksOf(program, machine);
        const now = module.run(program, ticks, machine, until);
        const { read, written, loaded, stored, cache, memory } = now;
        const needed = module.neededAfter(program, ticks, until, machine.rows);
        return [ticks.length, read, written, loaded, stored,
            [...cache].map(([key, { kind, dirty }]) => [key, kind, dirty]),
            [...memory].map(([key, { kind }]) => [key, kind]).sort(), [...needed].sort(),
            now.each.reduce((a, b) => a + b, 0)];
    }));
    return new TextEncoder().encode(text);"""


# --- the loops ------------------------------------------------------------------------------------


class Loops(TorchDispatchMode):
    """Notes which arrays of x's size each operation reads, and which one it writes."""

    VIEWS = ("permute", "view", "detach", "expand", "unsqueeze")

    def __init__(self, size):
        super().__init__()
        self.size, self.found, self.kept = size, [], []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        reads, writes = self._big(args), self._big([out])
        if (reads or writes) and not any(view in str(function) for view in self.VIEWS):
            self.found.append((reads, writes))
        self.kept += [args, out]  # so that no address comes twice
        return out

    def _big(self, values):
        tensors = [v for v in values if isinstance(v, torch.Tensor)]
        return {
            t.untyped_storage().data_ptr()
            for t in tensors
            if t.untyped_storage().nbytes() == t.element_size() * self.size
        }


def plain(x, weight, bias, eps=1e-5):
    mean = x.mean(-1, keepdim=True)  # (rows, 1)
    var = (x - mean).square().mean(-1, keepdim=True)  # (rows, 1)
    return (x - mean) / torch.sqrt(var + eps) * weight + bias  # (rows, n)


def in_place(x, weight, bias, eps=1e-5):
    y = x - x.mean(-1, keepdim=True)  # (rows, n)
    squares = torch.einsum("ij,ij->i", y, y)[:, None]  # (rows, 1)
    y /= torch.sqrt(squares / x.shape[-1] + eps)
    y *= weight
    y += bias
    return y


def plain_backward(grad_y, x, weight, mean, std):
    x_hat = (x - mean) / std  # (rows, n)
    grad_weight, grad_bias = (grad_y * x_hat).sum(0), grad_y.sum(0)  # (n,) each
    g = grad_y * weight  # (rows, n)
    means = g.mean(-1, keepdim=True), (g * x_hat).mean(-1, keepdim=True)  # (rows, 1) each
    line = x_hat * means[1]  # (rows, n)
    return (g - means[0] - line) / std, grad_weight, grad_bias


def in_place_backward(grad_y, x, weight, mean, std):
    n = x.shape[-1]
    a = x - mean  # (rows, n)
    a /= std
    grad_weight, grad_bias = torch.einsum("ij,ij->j", grad_y, a), grad_y.sum(0)  # (n,) each
    d = grad_y * weight  # (rows, n)
    mean_g = d.mean(-1, keepdim=True)  # (rows, 1)
    a *= torch.einsum("ij,ij->i", d, a)[:, None] / n
    d -= mean_g
    d -= a
    d /= std
    return d, grad_weight, grad_bias


def rows_of(count=12, n=768):
    generator = torch.Generator().manual_seed(0)
    x, grad_y = torch.randn(2, count, n, generator=generator, dtype=torch.float64).unbind()
    weight, bias = torch.randn(2, n, generator=generator, dtype=torch.float64).unbind()
    return x.clone() + 1, grad_y.clone(), weight.clone(), bias.clone()


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("way", ["plain", "in place"])
def test_the_loops_are_those_that_pytorch_runs(way, direction):
    """And each reads what the last one left there, though memory is handed out again."""
    x, grad_y, weight, bias = rows_of()
    forward = {"plain": plain, "in place": in_place}[way]
    backward = {"plain": plain_backward, "in place": in_place_backward}[way]
    statistics = x.mean(-1, keepdim=True), (x.var(-1, correction=0, keepdim=True) + 1e-5).sqrt()
    x.requires_grad_(), weight.requires_grad_(), bias.requires_grad_()
    y = F.layer_norm(x, (768,), weight, bias)
    gradients = torch.autograd.grad(y, (x, weight, bias), grad_y)
    with torch.no_grad(), Loops(x.numel()) as run:
        if direction == "forward":
            results = [forward(x, weight, bias)]
        else:
            results = backward(grad_y, x, weight, *statistics)
    for result, right in zip(results, [y] if direction == "forward" else gradients, strict=True):
        torch.testing.assert_close(result, right)

    what = program(way, direction)
    (group,) = what["groups"]
    held = {"x": x.data_ptr(), "grad_y": grad_y.data_ptr()}
    # Which of two independent loops comes first is the table's affair.
    assert len(run.found) == len(group["loops"])
    for loop, (reads, writes) in zip(group["loops"], run.found, strict=True):
        assert {held[array] for array in loop["reads"]} == reads, loop["name"]
        assert len(writes) == bool(loop["writes"]), loop["name"]
        if writes:
            (held[loop["writes"]],) = writes
    assert held[what["result"]] == results[0].data_ptr()


def test_blocks_give_what_the_whole_gives():
    x, _, weight, bias = rows_of()
    blocks = [in_place(x[i : i + 2], weight, bias) for i in range(0, 12, 2)]
    assert torch.equal(torch.cat(blocks), in_place(x, weight, bias))
    assert [g["over"] for g in PROGRAMS["forward in blocks"]["groups"]] == ["block"]
    for direction in DIRECTIONS:
        whole, cut = program("in place", direction), program("in blocks", direction)
        assert whole["groups"][0]["loops"] == cut["groups"][0]["loops"]


def test_autograd_of_the_plain_formula_makes_twenty_copies(show):
    """More than the three terms by hand. Two counts agree, and the lab says it in its More."""
    x, grad_y, weight, bias = (v.requires_grad_() for v in rows_of())
    y = plain(x, weight, bias)
    with Loops(x.numel()) as run, Passes(x) as counted:
        torch.autograd.grad(y, (x, weight, bias), grad_y.detach())
    assert sum(len(reads) + len(writes) for reads, writes in run.found) == 2 * AUTOGRAD
    assert counted.copies == AUTOGRAD == 20
    assert copies("plain", "backward") < AUTOGRAD
    page = show(KernelLab())
    assert values(page, "autograd") == [AUTOGRAD]
    assert "takes 20 copies" in " ".join(page.text_content(".lk-way").split())


# --- the counts -----------------------------------------------------------------------------------

# In copies: with a small cache; with a cache for everything; and where what is written is fetched.
COUNTS = {
    ("plain", "forward"): (7, 1, 10),
    ("in place", "forward"): (5, 1, 5.5),
    ("in blocks", "forward"): (1, 1, 1.5),
    ("fused", "forward"): (1, 1, 1.5),
    ("plain", "backward"): (12.5, 1.5, 17),
    ("in place", "backward"): (10.5, 1.5, 11.5),
    ("in blocks", "backward"): (1.5, 1.5, 25 / 12),  # the block's own array is fetched, too
    ("fused", "backward"): (2.5, 1.5, 3),
}


@pytest.mark.parametrize(("way", "direction"), COUNTS)
def test_how_many_copies_each_way_makes(way, direction):
    small, large, fetched = COUNTS[way, direction]
    assert copies(way, direction) == small
    assert copies(way, direction, cache=80) == large
    assert copies(way, direction, allocate=True) == pytest.approx(fetched)
    # More rows change nothing, as long as they outgrow the cache.
    for rows in (16, 96, 8192):
        if rows < 1000 or (way, direction) == ("plain", "forward"):
            assert copies(way, direction, rows=rows) == small
    lab = KernelLab(way, direction)
    assert lab.copies == small
    assert lab.bytes == small * 2 * 12 * 768 * 4


def test_what_changes_the_counts():
    assert copies("fused", "backward", kernels=1) == 1.5
    assert copies("fused", "backward", kernels=2) == 2.5
    # A cache one row short of x is of no use to the plain way, and three arrays are all it needs.
    assert [copies("plain", cache=size) for size in (2, 11, 36)] == [7, 7, 1]
    assert 1 < copies("plain", cache=24) == 2.5
    # A block must fit into the cache with its results: two arrays forward, four backward.
    sizes = (1, 2, 4, 6, 12)
    assert [copies("in blocks", block=size) for size in sizes] == [1, 1, 1, 1.75, 5]
    backward = [copies("in blocks", "backward", block=size) for size in (1, 2, 4, 12)]
    assert backward[:2] == [1.5, 1.5]
    assert backward[2] > 2.8
    assert backward[3] == 10.5


def test_registers_see_as_many_loads_and_stores_whatever_the_cache():
    for cache in (2, 8, 80):
        counts = [traffic(way, cache=cache) for way in WAYS]
        assert [(t.loaded + t.stored) / 24 for t in counts] == [7, 5, 5, 1.5]
        counts = [traffic(way, "backward", cache=cache) for way in WAYS]
        assert [(t.loaded + t.stored) / 24 for t in counts] == [12.5, 10.5, 10.5, 3.5]
    one = traffic("fused", "backward", kernels=1)
    assert (one.loaded + one.stored) / 24 == 4.5


def states(count):
    rng = np.random.default_rng(11)
    for _ in range(count):
        way, direction = rng.choice(WAYS), rng.choice(DIRECTIONS)
        machine = {
            name: int(rng.integers(MACHINE[name][0], MACHINE[name][2] + 1))
            for name in ("rows", "block")
        }
        small = rng.random() < 0.5
        machine["cache"] = int(rng.integers(2, 13 if small else 81))
        machine["allocate"] = bool(rng.random() < 0.5)
        kernels = int(rng.integers(1, 3))
        groups = program(way, direction, kernels)["groups"]
        length = len(list(ticks(groups, machine["rows"], machine["block"])))
        until = length + 1 if rng.random() < 0.3 else int(rng.integers(0, length + 1))
        yield str(way), str(direction), kernels, machine, until, length


def differing(page, drawn, sources=SOURCES):
    """Return how many states JavaScript counts in another way than Python."""
    asked = [
        {"program": program(way, direction, kernels), "machine": machine, "until": until}
        for way, direction, kernels, machine, until, _ in drawn
    ]
    answers = json.loads(run_on_packed(page, sources, "levels.js", RUN, b"", asked))
    wrong = 0
    for (way, direction, kernels, machine, until, length), answer in zip(
        drawn, answers, strict=True
    ):
        t = traffic(way, direction, kernels=kernels, until=until, **machine)
        cache = [[f"{a} {r}", kind, dirty] for (a, r), (kind, dirty) in t.cache.items()]
        memory = sorted([f"{a} {r}", kind] for (a, r), kind in t.memory.items())
        counts = [length, t.read, t.written, t.loaded, t.stored]
        wrong += answer[:7] != [*counts, cache, memory] or answer[8] != t.read + t.written
    return wrong


def test_thousands_of_states_are_counted_alike(page):
    drawn = list(states(4000))
    assert differing(page, drawn) == 0
    assert len({(way, direction) for way, direction, *_ in drawn}) == 8


BROKEN = {
    "first in, first out": (
        "      put(key, entry);\n      done.loaded++",
        "      if (!held) put(key, entry);\n      done.loaded++",
    ),
    "all is written": ("if (!dirty) return;", ""),
    "nothing is fetched for a write": ("machine.allocate && ", "false && "),
    "a fetch for every write": ("machine.allocate && ", ""),
    "one row more": ("cache.size <= machine.cache", "cache.size <= machine.cache + 1"),
    "no block's own array": ("array === local ? row - start : row)", "row)"),
    "everything is the result": ("if (entry.array !== program.result) continue;", ""),
    "nothing is left to write": ("until > ticks.length", "until > ticks.length + 1"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_memory_that_counts_otherwise_is_found(page, fault):
    right, wrong = BROKEN[fault]
    assert right in SOURCES["levels.js"]
    broken = {"levels.js": SOURCES["levels.js"].replace(right, wrong, 1)}
    assert differing(page, list(states(300)), broken) > 3


# --- in a browser ---------------------------------------------------------------------------------


def said(page):
    return page.text_content("[data-quantity=sentence]")


def go(page, tick):
    move(page, "[name=done]", tick)


def last(page):
    return int(page.get_attribute("[name=done]", "max"))


def test_scrubbing_fills_the_ledger(show):
    page = show(KernelLab())
    assert last(page) == 8 * 12 + 1
    assert values(page, "copies") == [0]
    assert values(page, "total") == [0, 0, 0, 0]  # a guess comes first
    seen, race = [], []
    for tick in range(0, last(page) + 1, 4):
        go(page, tick)
        seen += values(page, "copies")
        race.append(values(page, "total"))
        assert race[-1][0] == seen[-1]
    assert seen == sorted(seen)
    for way in zip(*race, strict=True):
        assert list(way) == sorted(way)
    go(page, last(page))
    assert values(page, "copies") == [7]
    assert values(page, "total") == [7, 5, 1, 1]
    assert values(page, "bytes") == [516_096]
    assert values(page, "each") == [56]
    for way, moved in zip(WAYS[1:], (5, 1, 1), strict=True):
        page.check(f"[name=way][value='{way}']", force=True)
        assert values(page, "copies") == [moved]  # it stays at the end
    page.check("[name=direction][value=backward]", force=True)
    assert values(page, "total") == [12.5, 10.5, 1.5, 2.5]
    assert values(page, "copies") == [2.5]
    page.click(".ln-more summary")
    page.check("[name=kernels]")
    assert values(page, "total") == [12.5, 10.5, 1.5, 1.5]
    page.check("[name=allocate]")
    assert values(page, "total") == pytest.approx([17, 11.5, 25 / 12, 2])


def test_a_way_after_the_chosen_one_gives_no_answer_away(show):
    page = show(KernelLab(done=0.2))
    go(page, last(page))

    def told():
        rows = page.query_selector_all("[data-way]")
        drawn = [bool(row.query_selector(".lk-past").get_attribute("d")) for row in rows]
        return drawn, [row.query_selector("output").text_content() for row in rows]

    assert told() == ([True, False, False, False], ["7 copies", "?", "?", "?"])
    page.check("[name=way][value=fused]", force=True)
    assert told() == ([True] * 4, ["7 copies", "5 copies", "1 copy", "1 copy"])


def test_what_is_drawn_is_what_cache_and_memory_hold(show):
    page = show(KernelLab())
    count = """() => [...document.querySelectorAll(".lk-levels .lk-tiles")]
        .flatMap(path => path.getAttribute("d")?.match(/M[^M]*/g) ?? [])
        .map(tile => Number(tile.split(" ")[1].split("h")[0]))"""
    for way in WAYS:
        page.check(f"[name=way][value='{way}']", force=True)
        for tick in (0, 1, 13, 20, last(page)):
            go(page, min(tick, last(page)))
            now = traffic(way, until=min(tick, last(page)))
            tops = page.evaluate(count)
            assert sum(top > 142 for top in tops) == len(now.memory)
            assert sum(52 <= top < 142 for top in tops) == len(now.cache)
            assert values(page, "held") == [len(now.cache)]
            moved = now.read + now.written
            assert values(page, "copies") == [moved / 24]


SAYS = [
    (
        {"way": "in blocks", "direction": "backward"},
        57,
        "Row 5: the mean of g · x̂. Row 5 of g and of x̂ are still in the cache.",
    ),
    ({}, 0, "Each operation makes a new array. Drag, and watch"),
    ({"way": "in place"}, 0, "All operations work on one array and write over it."),
    ({"way": "in blocks"}, 0, "All operations on two rows, then all of them on the next two."),
    ({"way": "in blocks", "block": 1}, 0, "All operations on one row, then all of them on"),
    (
        {"way": "in blocks", "block": 5},
        0,
        "All operations on 5 rows, then all of them on the next 5.",
    ),
    ({"way": "in blocks", "block": 12}, 0, "One block holds all rows: this is the way in place"),
    ({"way": "fused"}, 0, "One loop: a row is finished before the next one begins."),
    ({}, 1, "Step 1 of 8, the mean of x. Row 1 of x comes from memory."),
    ({}, 12, "Step 1 of 8, the mean of x. Row 12 of x comes from memory."),
    ({}, 13, "Step 2 of 8, x − μ. Row 1 of x comes from memory."),
    ({"cache": 40}, 13, "Step 2 of 8, x − μ. Row 1 of x is still in the cache."),
    ({}, 17, "Step 2 of 8, x − μ. Row 5 of x comes from memory. To make room, row 1 of x − μ goes"),
    (
        {"cache": 24},
        55,
        "Step 5 of 8, x − μ once more. Row 7 of x comes from memory. To make room, ",
    ),
    ({"way": "in blocks"}, 3, "Row 1: x − μ. Row 1 of x is still in the cache."),
    ({"way": "fused"}, 2, "Row 1: x̂, times γ, plus β. Row 1 of x is still in the cache."),
    (
        {"way": "fused", "direction": "backward"},
        1,
        "Row 1: the means of g and of g · x̂. Row 1 of x and of grad_y come from memory.",
    ),
    ({"way": "fused", "direction": "backward"}, 30, "Row 6: the sums over the rows, for γ and β."),
    (
        {},
        97,
        "Done: 7 copies through memory, 56 bytes for each number. The least would be 1 copy: "
        "x comes in once, and y goes out once.",
    ),
    (
        {"way": "fused"},
        25,
        "Done: 1 copy through memory, 8 bytes for each number. No way can do with less: x comes in",
    ),
    ({"cache": 40}, 97, "Done: 1 copy through memory, 8 bytes for each number. No way can do"),
    ({"way": "fused", "allocate": True}, 25, "Done: 1.5 copies through memory, 12 bytes"),
    (
        {"way": "in blocks", "direction": "backward"},
        133,
        "Done: 1.5 copies through memory, 12 bytes for each number. No way can do with less: "
        "x and grad_y come in once, and grad_x goes out once.",
    ),
    (
        {"way": "fused", "direction": "backward"},
        37,
        "Done: 2.5 copies through memory, 20 bytes for each number. The least would be 1.5 copies",
    ),
]


@pytest.mark.parametrize(("state", "tick", "says"), SAYS)
def test_its_sentences_follow_the_state(show, state, tick, says):
    page = show(KernelLab(**state))
    go(page, tick)
    assert said(page).startswith(says)


def test_it_says_when_the_cache_writes_what_nobody_needs(show):
    """A cache of 24 rows holds the squares until they are done with, and writes them later."""
    for state, useless in (({"cache": 24}, True), ({}, False), ({"way": "fused"}, False)):
        page, heard = show(KernelLab(**state)), []
        for tick in range(1, last(page) + 1):
            go(page, tick)
            heard.append(said(page))
        assert any(" to memory" in words for words in heard)
        assert any(", though no longer needed" in words for words in heard) == useless


def test_nothing_below_it_moves_while_it_is_used(show):
    page = show(KernelLab())
    high = "document.querySelector('.ln-more').getBoundingClientRect().top + scrollY"
    for width in (320, 390, 756):
        page.set_viewport_size({"width": width, "height": 800})
        found = set()
        for direction in DIRECTIONS:
            page.check(f"[name=direction][value={direction}]", force=True)
            for way in WAYS:
                page.check(f"[name=way][value='{way}']", force=True)
                for k in range(9):
                    go(page, round(k * last(page) / 8))
                    found.add(page.evaluate(high))
        assert len(found) == 1, width


def test_python_and_copied_python_count_the_same(show):
    lab = KernelLab("in blocks", "backward", block=4, cache=9, n=640, done=0.5)
    page = show(lab)
    _, names = run_copied(page)
    assert names["copies"] == lab.copies
    assert names["copies"] * 2 * names["x"].nbytes == lab.bytes
    assert "<td>" in lab.to_html()
    with pytest.raises(TraitError):
        lab.way = "by magic"
    with pytest.raises(TraitError):
        lab.done = 1.5
    with pytest.raises(TraitError):
        lab.cache = 0
