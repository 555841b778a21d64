"""The parity check from a terminal.

    python -m layernorm_book check FILE.py:NAME
    python -m layernorm_book check package.module:NAME --json

Exit codes: 0 the layer is right, 1 it is wrong, 2 it could not be run.
"""

import argparse
import importlib
import importlib.util
import json
import os
import sys
from pathlib import Path

RIGHT, WRONG, NOT_RUN = 0, 1, 2


def main(arguments=None):
    """Run one command and return its exit code."""
    options = _parser().parse_args(arguments)
    from layernorm_book.parity import check_parity  # torch takes a second: not for --help
    from layernorm_book.sandbox import Sandbox

    try:
        with Sandbox(options.time_limit) as sandbox:
            candidate = sandbox.run(load, options.candidate)
        report = check_parity(
            candidate,
            backward=options.backward,
            seed=options.seed,
            channels_last=not options.channels_first,
            time_limit=options.time_limit,
        )
    except Exception as error:
        print(f"{options.candidate}: {type(error).__name__}: {error}", file=sys.stderr)
        return NOT_RUN
    print(json.dumps(report.to_dict(), indent=2, ensure_ascii=False) if options.json else report)
    if report.ok:
        return RIGHT
    return WRONG if report.ran else NOT_RUN


def load(spec):
    """Return the object that FILE.py:NAME or module:NAME names.

    Raises:
        ValueError: `spec` has not that form.
        FileNotFoundError: there is no such file.
        ImportError, AttributeError: there is no such module, or no such name in it.
        Exception: whatever importing it raises.
    """
    place, colon, name = spec.rpartition(":")
    if not (place and colon and name):
        raise ValueError("write FILE.py:NAME or module:NAME")
    if place.endswith(".py"):
        path = Path(place).resolve()
        if not path.is_file():
            raise FileNotFoundError(f"there is no file {place}")
        sys.path.insert(0, str(path.parent))  # so that it finds its neighbours
        location = importlib.util.spec_from_file_location(path.stem, path)
        module = importlib.util.module_from_spec(location)
        sys.modules[path.stem] = module
        location.loader.exec_module(module)
    else:
        sys.path.insert(0, os.getcwd())
        module = importlib.import_module(place)
    found = module
    for part in name.split("."):
        found = getattr(found, part)
    return found


def _parser():
    parser = argparse.ArgumentParser(prog="python -m layernorm_book")
    commands = parser.add_subparsers(dest="command", required=True, metavar="check")
    check = commands.add_parser(
        "check",
        help="compare a LayerNorm with PyTorch's",
        description="Compare a LayerNorm with PyTorch's. "
        "Exit codes: 0 it is right, 1 it is wrong, 2 it could not be run.",
    )
    check.add_argument("candidate", metavar="FILE.py:NAME", help="or module:NAME")
    check.add_argument("--json", action="store_true", help="print the report as JSON")
    check.add_argument(
        "--backward",
        action=argparse.BooleanOptionalAction,
        help="insist on gradients, or leave them out (default: check those that there are)",
    )
    check.add_argument("--seed", type=int, default=0, help="draw other inputs of the same kinds")
    check.add_argument(
        "--channels-first", action="store_true", help="for images: axis 1 is normalized"
    )
    check.add_argument(
        "--time-limit",
        type=float,
        default=20.0,
        metavar="SECONDS",
        help="for one call of the layer (default: 20)",
    )
    return parser


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # a candidate that was given up must not keep the program from ending
