"""How does a GPU's own LayerNorm look? Kernels in Triton, and what launches them.

A kernel is a function that many programs run at once, each on its own rows. On a machine without
a GPU Triton's interpreter runs the same code, one program after the other, on tensors in ordinary
memory. The forward kernel stands in the chapter on speed; here are the backward pass in two stages
and `layer`, which makes a function with gradients of all three.
"""

import inspect
import linecache
import math
import os
import sys
from textwrap import fill
from types import SimpleNamespace

import torch
import torch.nn.functional as F

# Triton reads this once, while it is imported; `torch.compile` imports it too.
if not torch.cuda.is_available() and "triton" not in sys.modules:
    os.environ.setdefault("TRITON_INTERPRET", "1")
try:
    import triton
    import triton.language as tl
except ImportError:  # there are wheels for Linux alone
    triton = SimpleNamespace(jit=lambda function: SimpleNamespace(fn=function))
    tl = SimpleNamespace(constexpr=int)
    MISSING = "Triton is not installed here (its wheels are for Linux), so no kernel is run."
else:
    MISSING = ""
DEVICE = "cpu" if os.environ.get("TRITON_INTERPRET") == "1" else "cuda"
if DEVICE == "cuda" and not torch.cuda.is_available():
    DEVICE, MISSING = "cpu", "Triton was imported before it was told to interpret: restart."
DTYPES = ["float32", "float16", "bfloat16"]
"""What the kernels take. A GPU that has no bfloat16, such as Colab's T4, is not asked for it."""
if DEVICE == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
    DTYPES.remove("bfloat16")
PROGRAMS = 64
"""How many programs share the rows of a backward pass, at most: one partial sum for each.

On a GPU as many as it has processors, its SMs, so that none is idle and the sums stay few.
"""
if DEVICE == "cuda":
    PROGRAMS = torch.cuda.get_device_properties(DEVICE).multi_processor_count


@triton.jit
def rounded(value, dtype: tl.constexpr):
    """Convert float32 to another format, to the nearest number and to an even one at a tie.

    A GPU rounds like that by itself. Triton 3.9's interpreter does so for float16, and cuts the
    last 16 bits off for bfloat16; so bfloat16 is rounded here, and its bits are handed on as such.
    """
    if dtype == tl.bfloat16:
        bits = value.to(tl.uint32, bitcast=True)
        bits += 0x7FFF + ((bits >> 16) & 1)  # half a step, or one bit less before an even number
        result = (bits >> 16).to(tl.uint16).to(tl.bfloat16, bitcast=True)
    else:
        result = value.to(dtype)
    return result


@triton.jit
def backward_rows(
    grad_y, x, weight, mean, rstd, grad_x, grad_weights, grad_biases, rows, n, BLOCK: tl.constexpr
):
    """Stage one: grad_x of some rows, and what these rows add to grad_weight and grad_bias.

    grad_y, x, grad_x point to (rows, n); mean, rstd to (rows,); weight to (n,); grad_weights and
    grad_biases to (programs, n), float32. BLOCK is a power of two, and n at least.
    """
    i = tl.arange(0, BLOCK)
    inside = i < n
    gamma = tl.load(weight + i, mask=inside, other=0.0).to(tl.float32)
    sum_weight = tl.zeros([BLOCK], tl.float32)
    sum_bias = tl.zeros([BLOCK], tl.float32)
    for row in range(tl.program_id(0), rows, tl.num_programs(0)):
        at = tl.cast(row, tl.int64) * n + i  # int32 ends at 2³¹ numbers
        dy = tl.load(grad_y + at, mask=inside, other=0.0).to(tl.float32)
        centred = tl.load(x + at, mask=inside, other=0.0).to(tl.float32) - tl.load(mean + row)
        scale = tl.load(rstd + row)
        x_hat = tl.where(inside, centred * scale, 0.0)
        g = dy * gamma
        dx = scale * (g - tl.sum(g, 0) / n - x_hat * (tl.sum(g * x_hat, 0) / n))
        tl.store(grad_x + at, rounded(dx, grad_x.dtype.element_ty), mask=inside)
        sum_weight += dy * x_hat
        sum_bias += dy
    own = tl.program_id(0) * n + i
    tl.store(grad_weights + own, sum_weight, mask=inside)
    tl.store(grad_biases + own, sum_bias, mask=inside)


@triton.jit
def add_up(parts, total, count, n, BLOCK: tl.constexpr):
    """Stage two: add `count` rows of (count, n), BLOCK columns for each program, into (n,)."""
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    found = tl.zeros([BLOCK], tl.float32)
    for part in range(count):
        found += tl.load(parts + part * n + i, mask=i < n, other=0.0)
    tl.store(total + i, rounded(found, total.dtype.element_ty), mask=i < n)


def layer(forward):
    """Return a layer norm with gradients from a forward kernel.

    Args:
        forward: a Triton kernel of (x, weight, bias, y, mean, rstd, n, eps, BLOCK): pointers to
            (rows, n), (n,), (n,), (rows, n), (rows,), (rows,); one program for each row; BLOCK is
            the power of two that is at least n.

    Returns:
        A function with the signature of `torch.nn.functional.layer_norm`, for float32, float16 and
        bfloat16, on the CPU where Triton interprets and on a GPU where it compiles. Where there is
        no Triton it gives NaN.
    """

    class Layer(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, weight, bias, n, eps):
            x = x.contiguous()
            rows, block = x.numel() // n, triton.next_power_of_2(n)
            y = torch.empty_like(x)
            mean, rstd = torch.empty(2, rows, dtype=torch.float32, device=x.device)  # (rows,) each
            if rows:
                forward[(rows,)](x, weight, bias, y, mean, rstd, n, eps, BLOCK=block)
            ctx.save_for_backward(x, weight, mean, rstd)
            ctx.n, ctx.block, ctx.rows = n, block, rows
            return y

        @staticmethod
        def backward(ctx, grad_y):
            x, weight, mean, rstd = ctx.saved_tensors
            n, programs, grad_y = ctx.n, max(1, min(ctx.rows, PROGRAMS)), grad_y.contiguous()
            parts = torch.empty(2, programs, n, dtype=torch.float32, device=x.device)
            grad_x, grads = torch.empty_like(x), [torch.empty_like(weight) for _ in range(2)]
            given = (grad_y, x, weight, mean, rstd, grad_x, *parts, ctx.rows, n)
            backward_rows[(programs,)](*given, BLOCK=ctx.block)
            for part, grad in zip(parts, grads, strict=True):
                add_up[(triton.cdiv(n, 128),)](part, grad, programs, n, BLOCK=128)
            return grad_x, *grads, None, None

    def layer_norm(x, normalized_shape, weight=None, bias=None, eps=1e-5):
        if MISSING:
            return math.nan * F.layer_norm(x, normalized_shape, weight, bias, eps)
        n = math.prod(normalized_shape)
        weight = x.new_ones(n) if weight is None else weight.reshape(n)
        bias = x.new_zeros(n) if bias is None else bias.reshape(n)
        given = (tensor.to(DEVICE) for tensor in (x, weight, bias))
        return Layer.apply(*given, n, eps).to(x.device)

    where = "Triton's interpreter" if DEVICE == "cpu" else "Triton"
    layer_norm.__qualname__ = f"layer_norm in {where}"
    return layer_norm


def verdict(report):
    """Return in lines what the judge says: its summary, and each bug by its name.

    Args:
        report: what `check_parity` returned; without Triton there is nothing to say about it.
    """
    if MISSING:
        return MISSING
    findings = (f"{found.code}: {found.message}. {found.fix}" for found in report.findings)
    return "\n".join(fill(said, 76) for said in (report.summary(), *findings))


def too_small(layer, n):
    """Return by which share a layer's x̂ is too small, on rows of n numbers with mean 1 and σ 1."""
    x_hat = F.layer_norm(torch.randn(8, n), (n,))  # (8, n)
    return 1 - (layer(x_hat + 1, (n,)) / x_hat).median().item()


def with_line(kernel, line, before):
    """Return a kernel with a line more, above the one that begins with the text `before`."""
    return edited(kernel, (f"    {before}", f"    {line}\n    {before}"))


def edited(kernel, *changes):
    """Return a kernel with some of its text replaced.

    Args:
        kernel: a function under `triton.jit`, from a cell or a file.
        changes: pairs (old, new) of text.

    Raises:
        ValueError: an old text is not in the kernel.
    """
    function = kernel.fn
    source = inspect.getsource(function)
    for old, new in changes:
        if old not in source:
            raise ValueError(f"The kernel has no {old!r}.")
        source = source.replace(old, new)
    path = f"<kernel {hash(source)}>"
    linecache.cache[path] = (len(source), None, source.splitlines(keepends=True), path)
    names = dict(function.__globals__)
    exec(compile(source, path, "exec"), names)
    return names[function.__name__]
