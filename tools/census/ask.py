"""Ask the judge about one layer, in a process of its own with a time limit."""

import multiprocessing
import warnings
from unittest.mock import patch

import torch

from census.build import NotBuilt, call_text, factory, is_channels_last, load, said
from census.frameworks import CUT, DTYPES, cut_function, own_function
from census.measure import measure, same_as_pytorchs
from layernorm_book import check_parity
from layernorm_book.calling.candidate import DEFAULT_EPS
from layernorm_book.parity import cases

SECONDS = 1200  # a layer in tinygrad's Python interpreter takes minutes


def in_process(question, *arguments, seconds=SECONDS):
    """Return question(*arguments), run in a process of its own.

    Args:
        question: `ask_about_cut` or `ask_about_own`; a module-level function.
        arguments: what can be pickled.
        seconds: after which the process is ended.

    Returns:
        dict: the answer, or {"reason": why there is none}.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["census.ask"])
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_answer, args=(there, question, arguments), daemon=True)
    process.start()
    there.close()
    try:
        if not here.poll(seconds):
            return {"reason": f"it took more than {seconds} seconds"}
        return here.recv()
    except EOFError:
        process.join()
        return {"reason": f"its process ended with {process.exitcode}"}
    finally:
        process.kill()
        process.join()
        here.close()


def _answer(pipe, question, arguments):
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    try:
        answer = question(*arguments)
    except NotBuilt as error:
        answer = {"reason": str(error)}
    except Exception as error:  # a published class may raise anything
        answer = {"reason": said(error)}
    pipe.send(answer)


def ask_about_cut(framework, name, source, review):
    """Build a class that was cut out of a wheel, and ask the judge about it.

    Args:
        framework: "torch", "keras" or "mlx".
        name: the class.
        source: a module that defines it, see `cut`.
        review: dict, what `reviewed.json` says of it; may hold "call", "against" and "own_eps".

    Returns:
        dict with call, channels_last, against, dtypes, what the judge said, and how far off the
        layer is on the inputs of `measure`.

    Raises:
        NotBuilt: it could not be built or called, and why.
    """
    try:
        cls = load(source, name)
    except Exception as error:
        reason = "the census cut it out of its package, and what it cut does not run alone"
        raise NotBuilt(f"{reason}: {said(error)}") from error
    call = review.get("call") or call_text(cls)
    make = factory(cls, call)
    last, candidate = True, make
    if framework == "torch":
        last = is_channels_last(make)
    elif framework in CUT:
        candidate = cut_function(framework, make, name)
    else:
        raise NotBuilt(f"the census has no adapter for classes on {framework}")
    dtypes = None if framework == "torch" else DTYPES
    against = review.get("against") or ("rms_norm" if "rms" in name.lower() else "layer_norm")
    answer = _ask(candidate, against, dtypes, last)
    if "no-centering" in answer["codes"] and "against" not in review:
        # It is called LayerNorm and subtracts no mean: it is asked as what it is.
        answer = _ask(candidate, "rms_norm", dtypes, last)
    answer["off"] = measure(candidate, answer["against"], last, SECONDS)
    if "own_eps" in review:
        answer["own_eps"] = at_its_own_eps(candidate, answer["against"], last, review["own_eps"])
    return {"call": call, "channels_last": last} | answer


def at_its_own_eps(candidate, against, last, values):
    """Ask about a layer whose ε is fixed as if PyTorch's default were that ε.

    Args:
        candidate, against, last: see `check_parity`; the candidate takes no ε.
        values: the ε that its source has; several where it has others in other dtypes.

    Returns:
        dict with values, the dtypes in which every comparison passes at one of them, and whether
        PyTorch's layer with the first gives the same bits on all inputs of `measure`.
    """
    how = {"against": against, "channels_last": last, "time_limit": SECONDS}
    passes = []
    for dtype in cases.DTYPES:
        for eps in values:
            with patch.dict(DEFAULT_EPS, {against: eps}):
                if check_parity(candidate, dtypes=[dtype], **how).ok:
                    passes.append(dtype)
                    break
    with patch.dict(DEFAULT_EPS, {against: values[0]}):
        same = same_as_pytorchs(candidate, against, last, SECONDS)
    return {"values": values, "passes": passes, "same": same}


def ask_about_own(own):
    """Ask the judge about a layer that a framework ships.

    Args:
        own: a `frameworks.Own`.

    Returns:
        dict as `ask_about_cut` returns, with the file and line of its source.
    """
    cls = own.load()
    file, line = own.source(cls)
    function = own_function(own, cls)
    answer = _ask(function, own.against, DTYPES)
    answer["off"] = measure(function, own.against, True, SECONDS)
    return {"file": file, "line": line, "call": own.call, "channels_last": True} | answer


def _ask(candidate, against, dtypes, channels_last=True):
    """Return what the judge says, as the census keeps it."""
    how = {"against": against, "channels_last": channels_last, "time_limit": SECONDS}
    report = check_parity(candidate, dtypes=dtypes, **how)
    wrong = [finding for finding in report.findings if finding.severity == "wrong"]
    limits = [finding for finding in report.findings if finding.severity == "limit"]
    answer = {
        "against": against,
        "dtypes": list(dtypes or ()),
        "verdict": _verdict(report),
        "codes": [finding.code for finding in wrong],
        "limits": [finding.code for finding in limits],
        "besides": [finding.code for finding in report.secondary],
        "message": {finding.code: finding.message for finding in wrong},
        "effect": {finding.code: finding.effect for finding in wrong if finding.effect},
    }
    if wrong:
        failed = {_dtype_of(c.case) for c in report.cases if not c.passed}
        answer["fails_in"] = [name for name in report.dtypes if name in failed]
    return answer


def _dtype_of(case):
    """Return the dtype of a case of the judge: its name begins with each but float32."""
    return next((name for name in cases.DTYPES if case.startswith(name)), "float32")


def _verdict(report):
    if not report.ok:
        return "wrong"
    return "limit" if report.findings else "right"
