"""The arithmetic of the lab, in a real browser, against PyTorch: the third implementation."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from browser import ROOT, run_on_packed
from layernorm_book.cases import Inputs, allowance, largest, truth

SOURCE = (ROOT / "src/layernorm_book/widgets/layernorm.js").read_text(encoding="utf-8")
ROWS = {1: 300, 2: 900, 3: 900, 4: 900, 5: 900, 7: 900, 8: 1500, 16: 900, 31: 700, 64: 600}
ROWS |= {100: 400, 255: 250, 256: 250, 768: 300, 1000: 120, 2048: 80, 4095: 60, 4096: 60}
SPECIAL = (math.inf, -math.inf, math.nan)

# Runs the module on rows packed one after the other as x, weight, bias; returns packed y.
RUN = """
    const floats = new Float32Array(packed);
    const out = new Float32Array(floats.length / 3);
    let [from, to] = [0, 0];
    const next = (n) => floats.subarray(from, (from += n));
    for (const { n, eps, placement } of rows) {
        const [x, weight, bias] = [next(n), next(n), next(n)];
        out.set(module.layerNorm(x, { weight, bias, eps, placement }).y, to);
        to += n;
    }
    return out;"""


def draw_rows():
    """Return more than 10,000 rows: (x, weight, bias, eps, placement), float32."""
    rng = np.random.default_rng(20)
    rows = []
    for n, count in ROWS.items():
        for k in range(count):
            mean = rng.choice([0.0, rng.normal(), 100 * rng.normal(), 2000.0])
            sigma = 10 ** rng.uniform(-6, 2) if k % 5 else 0.0  # every fifth row is constant
            eps = float(10 ** rng.uniform(-12, 0)) if k % 3 else rng.choice([1e-12, 1e-5, 0.5, 1.0])
            x = mean + sigma * rng.normal(size=n)
            if k % 40 == 1:
                x[rng.integers(n)] = rng.choice(SPECIAL)
            weight, bias = rng.normal(size=(2, n))
            tensors = (torch.tensor(v, dtype=torch.float32) for v in (x, weight, bias))
            rows.append((*tensors, float(eps), ("inside", "outside")[k % 2]))
    return rows


def pytorch(x, weight, bias, eps, placement):
    """Return what PyTorch computes in float32: its kernel, or its operations for eps outside."""
    if placement == "inside":
        return F.layer_norm(x, x.shape, weight, bias, eps)
    return (x - x.mean()) / (x.std(correction=0) + eps) * weight + bias


def equivalent_eps(x, eps, placement):
    """Return the eps inside the root that gives what eps outside gives: 2σε + ε²."""
    if placement == "inside":
        return eps
    sigma = x.double().std(correction=0)
    return 2 * sigma * eps + eps**2


def breaches(rows, results):
    """Return the rows whose result errs more than check_parity's rule allows."""
    found = []
    for row, y in zip(rows, results, strict=True):
        x, weight, bias, eps, placement = row
        own = pytorch(*row)
        if not x.isfinite().all():
            same = torch.equal(y.isnan(), own.isnan()) and not y.isfinite().any()
            if not same:
                found.append((len(x), "not finite", y[:3], own[:3]))
            continue
        inside = equivalent_eps(x, eps, placement)
        inputs = Inputs(x, (len(x),), weight, bias, inside, grad_y=torch.ones_like(x))
        true = truth(inputs)
        own_error = dict.fromkeys(true, 0.0) | {"y": largest(own.double() - true["y"])}
        allowed = allowance(inputs, true, own_error)["y"]
        error = largest(y.double() - true["y"])
        if not error <= allowed:
            found.append((len(x), placement, eps, error, allowed))
    return found


def run_in_browser(page, source, rows):
    packed = b"".join(v.numpy().tobytes() for row in rows for v in row[:3])
    described = [{"n": len(x), "eps": eps, "placement": where} for x, *_, eps, where in rows]
    y = np.frombuffer(run_on_packed(page, source, RUN, packed, described), dtype=np.float32)
    return torch.from_numpy(y.copy()).split([row["n"] for row in described])


@pytest.fixture(scope="module")
def rows():
    return draw_rows()


def test_more_than_ten_thousand_rows_agree_with_pytorch(page, rows):
    assert len(rows) >= 10_000
    assert sum(not x.isfinite().all() for x, *_ in rows) >= 200
    found = breaches(rows, run_in_browser(page, SOURCE, rows))
    assert not found, f"{len(found)} rows: {found[:5]}"


BROKEN = {
    "unbiased variance": ("f(sum(squares) / x.length)", "f(sum(squares) / (x.length - 1))"),
    "eps always inside": ('placement === "inside" ? ', "true ? "),
    "eps always outside": ('placement === "inside" ? ', "false ? "),
    "no square root": ("f(Math.sqrt(f(variance + e)))", "f(variance + e)"),
    "no centring": ("f(v - mean) * rstd", "v * rstd"),
    "shift before scale": ("f(v * weight[i]) + bias[i]", "f(v + bias[i]) * weight[i]"),
    "one by one sum": ("to - from > 8", "to - from > 8000"),
    "another eps": ("const e = f(eps)", "const e = f(eps * 1.01)"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_arithmetic_is_found(page, rows, name):
    right, wrong = BROKEN[name]
    assert SOURCE.count(right) == 1
    some = rows[::7] + rows[-120:]
    assert breaches(some, run_in_browser(page, SOURCE.replace(right, wrong), some))
