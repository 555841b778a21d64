"""The arithmetic of the labs in a real browser, against PyTorch: the third implementation."""

import math
from fractions import Fraction
from functools import cache

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from browser import ROOT, run_on_packed

from layernorm_book.calling.call import Inputs
from layernorm_book.parity.cases import expected_float64
from layernorm_book.widgets.bits import FORMATS

WIDGETS = ROOT / "src/layernorm_book/widgets"
SOURCES = {
    name: (WIDGETS / name).read_text(encoding="utf-8")
    for name in ("layernorm.js", "backward.js", "formats.js")
}
COUNTS = {1: 300, 2: 900, 3: 900, 4: 900, 5: 900, 7: 900, 8: 1500, 16: 900, 31: 700, 64: 600}
COUNTS |= {100: 400, 255: 250, 256: 250, 768: 300, 1000: 120, 2048: 80, 4095: 60, 4096: 60}
SPECIAL = (math.inf, -math.inf, math.nan)

# Runs a module on three rows of n numbers, packed one after the other; returns packed results.
RUN = """
    const floats = new Float32Array(packed);
    const out = new Float32Array(floats.length / 3);
    let [from, to] = [0, 0];
    const next = (n) => floats.subarray(from, (from += n));
    for (const { n, eps, placement } of rows) {
        const [a, b, c] = [next(n), next(n), next(n)];
        out.set(%s, to);
        to += n;
    }
    return out;"""
FORWARD = RUN % "module.layerNorm(a, { weight: b, bias: c, eps, placement }).y"
BACKWARD = RUN % "module.layerNormBackward(c, a, { weight: b, eps }).gradX"
# Stores packed float64 numbers in each format; returns, for each number and format: the stored
# value, 1 + it in the format, and the word that its bits make.
STORE = """
    const { FORMATS, store, addOne, fieldsOf } = module;
    const values = new Float64Array(packed);
    const out = new Float64Array(values.length * 9);
    values.forEach((value, i) => FORMATS.forEach((format, k) => {
        const stored = store(value, format);
        const word = parseInt(fieldsOf(stored, format).fields.join(""), 2);
        out.set([stored, addOne(stored, format), word], 9 * i + 3 * k);
    }));
    return out;"""


# --- rows through the layer, forward and backward -------------------------------------------------


@cache
def sample_rows():
    """Return more than 10,000 rows: (x, weight, bias or grad_y, eps, placement), float32."""
    rng = np.random.default_rng(20)
    rows = []
    for n, count in COUNTS.items():
        for k in range(count):
            mean = rng.choice([0.0, rng.normal(), 100 * rng.normal(), 2000.0])
            sigma = 10 ** rng.uniform(-6, 2) if k % 5 else 0.0  # every fifth row is constant
            eps = float(10 ** rng.uniform(-12, 0)) if k % 3 else rng.choice([1e-12, 1e-5, 0.5, 1.0])
            x = mean + sigma * rng.normal(size=n)
            if k % 40 == 1:
                x[rng.integers(n)] = rng.choice(SPECIAL)
            tensors = (torch.tensor(v, dtype=torch.float32) for v in (x, *rng.normal(size=(2, n))))
            rows.append((*tensors, float(eps), ("inside", "outside")[k % 2]))
    return rows


def forward(x, weight, bias, eps, placement):
    """Return y as PyTorch computes it: its kernel, or its operations where eps is outside."""
    if placement == "inside":
        return F.layer_norm(x, x.shape, weight, bias, eps)
    return (x - x.mean()) / (x.std(correction=0) + eps) * weight + bias


def backward(x, weight, grad_y, eps, placement):
    """Return grad_x as PyTorch's kernel computes it."""
    leaf = x.clone().requires_grad_()
    return torch.autograd.grad(F.layer_norm(leaf, x.shape, weight, None, eps), leaf, grad_y)[0]


def breaches(rows, results, pytorch=forward):
    """Return (n, placement, eps, error) of the rows that err more than check_parity allows.

    That is four times PyTorch's own error and sixteen units in the last place of the result and of
    the largest term on the way to it.
    """
    found, alike = [], {}
    for row, result in zip(rows, results, strict=True):
        alike.setdefault((len(row[0]), row[-1]), []).append((*row[:3], row[3], result))
    for (n, placement), group in alike.items():  # at once, for speed
        own = torch.stack([pytorch(*row[:4], placement) for row in group])  # rows, n
        x, weight, third, result = (torch.stack([row[i] for row in group]) for i in (0, 1, 2, 4))
        eps = torch.tensor([row[3] for row in group], dtype=torch.float64)[:, None]  # rows, 1
        std = x.double().std(-1, correction=0, keepdim=True)
        inside = eps if placement == "inside" else 2 * std * eps + eps**2  # gives the same
        expected = expected_float64(Inputs(x, (n,), weight, third, inside, grad_y=third))
        expected = expected["y" if pytorch is forward else "grad_x"]
        rstd = 1 / (std**2 + inside).sqrt()
        amplified = 1 + x.abs() * rstd  # what a relative error of the mean is multiplied by
        rms = (third * weight).square().mean(-1, keepdim=True).sqrt()
        terms = amplified * (weight.abs() if pytorch is forward else rstd * rms)
        units = expected.abs().amax(-1) + terms.amax(-1)
        own_error, error = ((v.double() - expected).abs().amax(-1) for v in (own, result))
        good = error <= 4 * own_error + 16 * torch.finfo(torch.float32).eps * units
        same = (result.isnan() == own.isnan()).all(-1) & ~result.isfinite().any(-1)
        good = torch.where(x.isfinite().all(-1), good, same)
        found += [(n, placement, eps[i].item(), error[i].item()) for i in (~good).nonzero()]
    return found


def run_rows(page, sources, rows, module, run):
    packed = b"".join(v.numpy().tobytes() for row in rows for v in row[:3])
    described = [{"n": len(x), "eps": eps, "placement": where} for x, *_, eps, where in rows]
    results = np.frombuffer(run_on_packed(page, sources, module, run, packed, described), "f4")
    return torch.from_numpy(results.copy()).split([len(x) for x, *_ in rows])


def test_more_than_ten_thousand_rows_agree_with_pytorch(page):
    rows = sample_rows()
    assert len(rows) >= 10_000
    assert sum(not x.isfinite().all() for x, *_ in rows) >= 200
    found = breaches(rows, run_rows(page, SOURCES, rows, "layernorm.js", FORWARD))
    assert not found, f"{len(found)} rows: {found[:5]}"


def inside_rows(step):
    finite = [row for row in sample_rows() if row[0].isfinite().all()]
    return [(*row[:4], "inside") for row in finite[::step] if len(row[0]) <= 768]


def test_three_thousand_gradients_agree_with_pytorch(page):
    rows = inside_rows(3)
    assert len(rows) > 3000
    found = breaches(rows, run_rows(page, SOURCES, rows, "backward.js", BACKWARD), backward)
    assert not found, f"{len(found)} rows: {found[:5]}"


# --- numbers in three formats ---------------------------------------------------------------------


def store(page, values, sources=SOURCES):
    """Return an array of (numbers, formats, (stored, 1 + stored, word)), float64."""
    packed = np.asarray(values, dtype=np.float64).tobytes()
    results = run_on_packed(page, sources, "formats.js", STORE, packed, None)
    return np.frombuffer(results, dtype=np.float64).reshape(-1, 3, 3)


@cache
def sample_values():
    """Return thousands of float32 numbers: every size, both signs, halfway points, the edges."""
    rng = np.random.default_rng(6)
    words = rng.integers(0, 2**32, size=8000, dtype=np.uint32)
    anything = words.view(np.float32)
    eps = (10 ** rng.uniform(-13, 0, size=4000)).astype(np.float32)
    halves = np.arange(2**16, dtype=np.uint16).view(np.float16)
    halves = np.sort(halves[np.isfinite(halves) & (halves >= 0)].astype(np.float32))
    between = ((halves[1:] + halves[:-1]) / 2)[::7]  # exact: halfway between two float16
    tops = (words[:2000] & 0x7FFF0000 | 0x8000).view(np.float32)  # between two bfloat16
    edges = [0.0, 65504.0, 65519.0, 65520.0, 3.3895e38, 3.4e38, 2.0**-24, 2.0**-25, 2.0**-149]
    near = [np.nextafter(np.float32(v), np.float32(to)) for v in edges for to in (0, np.inf)]
    values = np.concatenate([anything, eps, between, halves[::7], tops, np.float32(edges), near])
    return values[np.isfinite(values)]


def stored_by_pytorch(values):
    """Return what PyTorch stores of float32 numbers, in the layout of `store`."""
    x = torch.from_numpy(values)
    columns = []
    for dtype in FORMATS:
        stored, size = x.to(dtype), torch.finfo(dtype).bits
        word = stored.view(torch.int32 if size == 32 else torch.int16).double() % 2**size
        columns.append(torch.stack([stored.double(), (1 + stored).double(), word], -1))
    return torch.stack(columns, 1).numpy()


def test_thousands_of_numbers_are_stored_as_pytorch_stores_them(page):
    values = sample_values()
    assert len(values) > 15_000
    np.testing.assert_array_equal(store(page, values), stored_by_pytorch(values))


def nearest(value, dtype):
    """Round a float64 in exact fractions: the nearest number of the format, ties to even."""
    info, exact = torch.finfo(dtype), abs(Fraction(value))
    step = Fraction(info.smallest_normal) * Fraction(info.eps)
    while exact >= 2 * step / Fraction(info.eps):
        step *= 2
    rounded = float(round(exact / step) * step)  # Python rounds a Fraction's tie to even
    return np.copysign(rounded if rounded <= info.max else np.inf, value)


def test_a_float64_is_rounded_once(page):
    """PyTorch rounds to float32 on its way to 16 bits; the lab promises the nearest number."""
    rng = np.random.default_rng(7)
    doubles = 10 ** rng.uniform(-44, 5, size=400)
    just_above = np.nextafter(2.0**-25, 1)  # rounded twice, this becomes 0 in float16
    doubles = np.append(doubles, [just_above, 1e-8, 1e-12, 1e-50, 1e50])
    results = store(page, doubles)
    expected = [[nearest(v, dtype) for dtype in FORMATS] for v in doubles.tolist()]
    np.testing.assert_array_equal(results[..., 0], expected)
    assert results[400, 1, 0] == 2.0**-24
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(results[:, 0, 0], doubles.astype(np.float32))


# --- each of these must be found ------------------------------------------------------------------

BROKEN = {
    ("layernorm.js", "unbiased variance"): (
        "f(sum(squares) / x.length)",
        "f(sum(squares) / (x.length - 1))",
    ),
    ("layernorm.js", "eps always inside"): ('"inside" ? f(', "placement ? f("),
    ("layernorm.js", "eps always outside"): ('"inside" ? f(', "0 ? f("),
    ("layernorm.js", "no square root"): ("f(Math.sqrt(f(variance + e)))", "f(variance + e)"),
    ("layernorm.js", "no centring"): ("f(v - mean) * rstd", "v * rstd"),
    ("layernorm.js", "shift before scale"): (
        "f(v * weight[i]) + bias[i]",
        "f(v + bias[i]) * weight[i]",
    ),
    ("layernorm.js", "one by one sum"): ("to - from > 8", "to - from > 8000"),
    ("layernorm.js", "another eps"): ("const e = f(eps)", "const e = f(eps * 1.01)"),
    ("backward.js", "no weight"): ("v * f(weight[i])", "v"),
    ("backward.js", "no mean"): ("f(v - level) - line[i]", "v - line[i]"),
    ("backward.js", "no line"): ("f(v - level) - line[i]", "f(v - level)"),
    ("backward.js", "no rstd"): ("v * rstd)", "v)"),
    ("formats.js", "ties up"): ("value + 2 ** 52 - 2 ** 52", "Math.floor(value + 0.5)"),
    ("formats.js", "ties down"): ("value + 2 ** 52 - 2 ** 52", "Math.ceil(value - 0.5)"),
    ("formats.js", "no subnormal numbers"): (
        "Math.max(exponentOf(size), leastExponent(format))",
        "exponentOf(size)",
    ),
    ("formats.js", "no infinity"): ("rounded > largest ? Infinity : rounded", "rounded"),
    ("formats.js", "leading 1 stored"): ("significand - 1]", "significand]"),
    ("formats.js", "bias off by one"): ("2 - (1 << (exponent - 1))", "1 - (1 << (exponent - 1))"),
}


@pytest.mark.parametrize(("module", "fault"), BROKEN)
def test_broken_arithmetic_is_found(page, module, fault):
    right, wrong = BROKEN[module, fault]
    assert SOURCES[module].count(right) == 1
    sources = SOURCES | {module: SOURCES[module].replace(right, wrong)}
    if module == "formats.js":
        some = np.concatenate([sample_values()[::5], sample_values()[-30:]])
        assert (store(page, some, sources) != stored_by_pytorch(some)).any()
    elif module == "backward.js":
        rows = inside_rows(40)
        assert breaches(rows, run_rows(page, sources, rows, module, BACKWARD), backward)
    else:
        rows = sample_rows()[::40] + sample_rows()[-12:]
        assert breaches(rows, run_rows(page, sources, rows, module, FORWARD))
