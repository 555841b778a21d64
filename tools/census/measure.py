"""How far off is a layer, on the same five inputs on which all others are measured?

The judge's findings name the input on which each of them shows, and every finding has its own. So
sizes of different findings cannot be compared. These can: five inputs, the same numbers for every
layer, and how far what comes out is from the right result.
"""

from dataclasses import replace

import torch

from layernorm_book.calling.candidate import DEFAULT_EPS, adapt
from layernorm_book.calling.guard import Guard, TimeLimit
from layernorm_book.parity.bugs import Rows, off
from layernorm_book.parity.cases import expected_float64, pytorch_results

N = 768
LEADS = {2: (8,), 3: (1, 8), 4: (1, 1, 8)}  # 8 rows, by the number of axes that x must have
INPUTS = {  # the names that the table shows; γ and β spread by 0.2 around 1 and 0, ε is 1e-5
    "usual": {"dtype": torch.float32},
    "quiet": {"dtype": torch.float32, "sigma": 0.01},
    "far": {"dtype": torch.float32, "mean": 1000.0},
    "half": {"dtype": torch.float16},
    "loud": {"dtype": torch.float16, "sigma": 1000.0},
}


def inputs_of(name, rank=2, eps=1e-5):
    """Return one of INPUTS: x of shape (*LEADS[rank], N), weight and bias of shape (N,)."""
    rows = Rows(N, affine=0.2, lead=LEADS[2], **INPUTS[name]).make()
    shape = (*LEADS[rank], N)
    return replace(rows, x=rows.x.reshape(shape), grad_y=rows.grad_y.reshape(shape), eps=eps)


def measure(candidate, against, channels_last, seconds):
    """Return {name of an input: how far off the layer is there}.

    Args:
        candidate, against, channels_last: see `check_parity`.
        seconds: that one call may take.

    Returns:
        dict; the root-mean-square difference between its y and the right one in float64, as a share
        of the smaller of the two, in two digits; None where NaN or infinity came out. An input that
        the layer refuses has no entry.
    """
    found = {}
    for name, (y, inputs) in _answers(candidate, against, channels_last, seconds).items():
        right = expected_float64(inputs, against)["y"]
        if y.shape == right.shape:
            found[name] = rounded(off(y, right))
    return found


def same_as_pytorchs(candidate, against, channels_last, seconds):
    """Return whether the layer gives the bits of PyTorch's own on all of INPUTS."""
    answers = _answers(candidate, against, channels_last, seconds)
    return answers.keys() == INPUTS.keys() and all(
        torch.equal(y, pytorch_results(inputs, against)["y"]) for y, inputs in answers.values()
    )


def _answers(candidate, against, channels_last, seconds):
    """Return {name of an input: (y, the input)}, without the inputs that the layer refuses."""
    found = {}
    with torch.inference_mode(False), torch.enable_grad(), Guard(seconds) as guard:
        try:
            adapted = adapt(candidate, guard, against, False, channels_last)
            eps = 1e-5 if adapted.eps else DEFAULT_EPS[against]
            for name in INPUTS:
                inputs = inputs_of(name, adapted.rank or 2, eps)
                inputs = replace(inputs, weight=inputs.weight if adapted.weight else None)
                inputs = replace(inputs, bias=inputs.bias if adapted.bias else None)
                given = _with_float32_parameters(inputs) if adapted.float32_parameters else inputs
                y = guard.ask(adapted.call, given).y
                if y is not None:
                    found[name] = y, inputs
        except TimeLimit:
            pass
    return found


def pytorchs_own(against):
    """Return the same of PyTorch's own layer."""
    found = {}
    for name in INPUTS:
        inputs = inputs_of(name, eps=DEFAULT_EPS[against])
        inputs = replace(inputs, bias=inputs.bias if against == "layer_norm" else None)
        y = pytorch_results(inputs, against)["y"]
        found[name] = rounded(off(y, expected_float64(inputs, against)["y"]))
    return found


def rounded(share):
    """Return a share in two digits; None for NaN and infinity, which JSON has no numbers for."""
    return float(f"{share:.1e}") if share < float("inf") else None


def _with_float32_parameters(inputs):
    weight, bias = (p if p is None else p.float() for p in (inputs.weight, inputs.bias))
    return replace(inputs, weight=weight, bias=bias)
