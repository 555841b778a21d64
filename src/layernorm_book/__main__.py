"""Does a layer of mine agree with PyTorch? The parity check from a terminal.

    python -m layernorm_book check FILE.py:NAME
    python -m layernorm_book check package.module:NAME --against rms_norm --dtype float32 --json
    python -m layernorm_book check --list

Exit codes: 0 the layer is right, 1 it is wrong, 2 it could not be run.
"""

import argparse
import json
import sys
import warnings
from collections.abc import Sequence
from textwrap import fill, indent
from warnings import catch_warnings

RIGHT, WRONG, NOT_RUN = 0, 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    parser, options = _options(arguments)
    if options.list:
        return _list(options.list)
    if options.candidate is None:
        parser.error("name a candidate, FILE.py:NAME or module:NAME, or write --list")
    warnings.simplefilter("ignore")  # PyTorch's, of dtypes that a case mixes on purpose
    # torch takes a second: not for --help
    import torch

    from layernorm_book.calling.process import CandidateProcess, NotRun
    from layernorm_book.parity.check import chosen_dtypes, judge, note_output

    torch.set_num_threads(1)  # the inputs are small, and a forked process wants no threads
    dtypes = chosen_dtypes(options.dtype)
    adapting = {
        "against": options.against,
        "backward": options.backward,
        "channels_last": not options.channels_first,
        "half": any("16" in name for name in dtypes),
    }
    try:
        with CandidateProcess(options.candidate, options.time_limit, **adapting) as candidate:
            adapted, name = candidate.adapted, candidate.name
            with catch_warnings(action="ignore"):  # PyTorch's own, over mixed dtypes
                report = judge(name, adapted, candidate.call, options.against, dtypes, options.seed)
            note_output(report, *candidate.output())
    except NotRun as error:
        print(f"{options.candidate}: {error}", file=sys.stderr)
        return NOT_RUN
    if not report.ran:
        reason = report.findings[0].message if report.findings else "nothing could be compared"
        print(f"{options.candidate}: {reason}", file=sys.stderr)
        return NOT_RUN
    print(json.dumps(report.to_dict(), indent=2, ensure_ascii=False) if options.json else report)
    return RIGHT if report.ok else WRONG


def _list(codes: str) -> int:
    """Print what each code means: all of them, or those asked for, separated by commas."""
    from layernorm_book.parity.bugs import BUGS

    asked = list(BUGS) if codes.lower() == "codes" else codes.split(",")
    if unknown := [code for code in asked if code not in BUGS]:
        print(f"no such code: {', '.join(unknown)}; --list names them all", file=sys.stderr)
        return NOT_RUN
    for code in asked:
        bug = BUGS[code]
        seen = [v.message for v in bug.variants if v.message and "{" not in v.message]
        lines = [f"in {bug.step}", *seen[:1], f"fix: {bug.fix}", f"see {bug.chapter}"]
        print(f"{code} ({bug.severity})")
        print(indent("\n".join(fill(line, 76, subsequent_indent="  ") for line in lines), "  "))
    return RIGHT


def _options(
    arguments: Sequence[str] | None,
) -> tuple[argparse.ArgumentParser, argparse.Namespace]:
    parser = argparse.ArgumentParser(prog="python -m layernorm_book")
    commands = parser.add_subparsers(dest="command", required=True, metavar="check")
    check = commands.add_parser(
        "check",
        help="compare a layer with PyTorch's",
        description="Compare a LayerNorm or RMSNorm with PyTorch's. "
        "Exit codes: 0 it is right, 1 it is wrong, 2 it could not be run.",
    )
    add = check.add_argument
    add("candidate", nargs="?", metavar="FILE.py:NAME", help="or module:NAME")
    against = ("layer_norm", "rms_norm")
    add("--against", choices=against, default="layer_norm", help="what it is meant to be")
    dtypes = ("float64", "float32", "float16", "bfloat16")
    add("--dtype", action="append", choices=dtypes, help="ask in this one (repeat; default: all)")
    add("--channels-first", action="store_true", help="axis 1 of (N, C, L) or (N, C, H, W)")
    add("--json", action="store_true", help="print the report as JSON, schema 1")
    add("--list", nargs="?", const="codes", metavar="CODES", help="say what codes mean, and end")
    backward = "insist on gradients, or leave them out (default: check those that there are)"
    add("--backward", action=argparse.BooleanOptionalAction, help=backward)
    add("--seed", type=int, default=0, help="draw other inputs of the same kinds")
    limit = "for one call of the layer (default: 20)"
    add("--time-limit", type=float, default=20.0, metavar="SECONDS", help=limit)
    return check, parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
