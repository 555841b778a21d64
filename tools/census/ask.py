"""Ask the judge about one layer, in a process of its own with a time limit."""

import multiprocessing
import os
import warnings

os.environ.update(PYTORCH_JIT="0", TORCHDYNAMO_DISABLE="1")  # compiled layers run as plain Python

import torch

from census.build import NotBuilt, call_text, factory, is_channels_last, load, said
from census.frameworks import DTYPES, keras_answer, mlx_answer, numpy_function, own_function
from layernorm_book import check_parity

SECONDS = 240  # a layer in tinygrad's Python interpreter takes one minute
_SINGLE = ("float64", "float32")


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
        review: dict, what `reviewed.json` says of it; may hold "call" and "against".

    Returns:
        dict with call, channels_last, against, dtypes, and what the judge said.

    Raises:
        NotBuilt: it could not be built or called, and why.
    """
    try:
        cls = load(source, name)
    except Exception as error:
        raise NotBuilt(f"its source does not run alone: {said(error)}") from error
    call = review.get("call") or call_text(cls)
    make = factory(cls, call)
    if framework == "torch":
        last = is_channels_last(make)
        return {"call": call, "channels_last": last} | _ask_torch(make, name, last, review)
    if framework not in _ANSWERS:
        raise NotBuilt(f"the census has no adapter for classes on {framework}")

    def answer(x, weight, bias, eps):
        return _ANSWERS[framework](lambda: make(x.shape[-1], eps), x, weight, bias)

    return {"call": call, "channels_last": True} | _ask_numpy(answer, name, review)


def ask_about_own(own):
    """Ask the judge about a layer that a framework ships.

    Args:
        own: a `frameworks.Own`.

    Returns:
        dict as `ask_about_cut` returns, with the file and line of its source.
    """
    cls = own.load()
    file, line = own.source(cls)
    said_ = _ask(own_function(own, cls), against=own.against, dtypes=DTYPES)
    return {"file": file, "line": line, "call": own.call, "channels_last": True} | said_


_ANSWERS = {"keras": keras_answer, "mlx": mlx_answer}


def _ask_torch(make, name, last, review):
    return _ask_either(lambda **how: _ask(make, channels_last=last, **how), name, review)


def _ask_numpy(answer, name, review):
    def ask(against, dtypes=DTYPES):
        return _ask(numpy_function(answer, against, name), against=against, dtypes=DTYPES)

    return _ask_either(ask, name, review)


def _ask_either(ask, name, review):
    """Ask as what the layer is called; where it is called LayerNorm but subtracts no mean, as RMSNorm.

    What is wrong in all four dtypes together is asked once more in float64 and float32 alone.
    """
    against = review.get("against") or ("rms_norm" if "rms" in name.lower() else "layer_norm")
    answer = ask(against=against)
    if "no-centering" in answer["codes"] and not review.get("against"):
        answer = ask(against=(against := "rms_norm"))
    if answer["verdict"] == "wrong":
        answer["in_single"] = ask(against=against, dtypes=_SINGLE)["verdict"]
    return answer


def _ask(candidate, **how):
    """Return what the judge says, as the census keeps it."""
    report = check_parity(candidate, **how)
    wrong = [finding for finding in report.findings if finding.severity == "wrong"]
    limits = [finding for finding in report.findings if finding.severity == "limit"]
    return {
        "against": how["against"],
        "dtypes": list(how.get("dtypes") or ()),
        "verdict": "wrong" if wrong else "limit" if limits else "right",
        "codes": [finding.code for finding in wrong],
        "limits": [finding.code for finding in limits],
        "effect": {finding.code: finding.effect for finding in wrong if finding.effect},
    }
