"""The command line: what it prints, its exit code, and that no candidate can choose either."""

import json
import subprocess
import sys

import pytest

from layernorm_book.__main__ import main
from layernorm_book.parity.bugs import BUGS

LAYERS = """
import os, sys, time
import torch
import torch.nn.functional as F
from neighbour import EPS

Right = torch.nn.LayerNorm
number = 3

class Namespace:
    Right = torch.nn.LayerNorm

class Wrong(torch.nn.Module):
    def __init__(self, features, eps=EPS):
        super().__init__()
        self.a_2 = torch.nn.Parameter(torch.ones(features))
        self.b_2 = torch.nn.Parameter(torch.zeros(features))
        self.eps = eps

    def forward(self, x):
        print("noise")
        std, mean = torch.std_mean(x, -1, keepdim=True)
        return self.a_2 * (x - mean) / (std + self.eps) + self.b_2

class Needy(torch.nn.Module):
    def __init__(self, features, config, groups):
        super().__init__()

def detached(x, weight, bias, eps):
    with torch.no_grad():
        return F.layer_norm(x, x.shape[-1:], weight, bias, eps)

def textbook(x, shape, weight, bias, eps):
    var, mean = torch.var_mean(x, tuple(range(-len(shape), 0)), correction=0, keepdim=True)
    y = (x - mean) / torch.sqrt(var + eps)
    y = y if weight is None else y * weight
    return y if bias is None else y + bias

def image(x, weight, bias, eps):
    y = F.layer_norm(x.movedim(1, -1), x.shape[1:2], weight, bias, eps)
    return y.movedim(-1, 1)

def hangs(x, shape, weight, bias, eps):
    while True:
        pass

def sleeps(x, shape, weight, bias, eps):
    time.sleep(1e6)

def raises(x, shape, weight, bias, eps):
    raise KeyError("no such thing")

def leaves(x, shape, weight, bias, eps):
    os._exit(0)

def fills(x, shape, weight, bias, eps):
    while True:
        os.write(1, b"z" * 65536)

def closes(x, shape, weight, bias, eps):
    os.closerange(3, 100)

def patches(x, shape, weight, bias, eps):
    from layernorm_book.parity import check, report
    report.Comparison.passed = report.ParityReport.ok = property(lambda self: True)
    check.check_parity = check.judge = lambda *args, **options: report.ParityReport("", "", "")
    F.layer_norm = torch.nn.functional.layer_norm = lambda x, *rest: x
    return x
"""
AT_IMPORT = {
    "broken": "import nothing_of_the_kind",
    "misspelt": "def layer(:",
    "failing": "1 / 0",
    "ending": "raise SystemExit(0)",
    "leaving": "import os; os._exit(0)",
    "sleeping": "import time; time.sleep(1e6)",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("somebody")
    (folder / "somebodys.py").write_text(LAYERS)
    (folder / "neighbour.py").write_text("EPS = 1e-6\n")
    (folder / "subfolder").mkdir()
    for name, source in AT_IMPORT.items():
        (folder / f"{name}.py").write_text(source + "\n")
    return folder


@pytest.fixture
def here(folder, monkeypatch, capfd):
    """Run the command in this process, which spares the time to load torch again."""

    def run(*arguments):
        monkeypatch.chdir(folder)
        try:
            code = main(arguments)
        except SystemExit as usage:
            code = usage.code
        return code, *capfd.readouterr()

    return run


def one_line(text):
    return " ".join(text.split())


SHORT = ("--time-limit", "0.2")
PRINTS = {
    ("somebodys.py:Right",): (0, "LayerNorm agrees with PyTorch"),
    ("somebodys.py:Namespace.Right",): (0, "agrees"),
    ("somebodys:Right",): (0, "agrees"),
    ("torch.nn:LayerNorm", "--backward"): (0, "forward and gradients"),
    ("torch.nn:LayerNorm", "--no-backward"): (0, "forward only"),
    ("torch.nn:LayerNorm", "--against", "rms_norm"): (1, "mean-subtracted: "),
    ("torch.nn:RMSNorm", "--against", "rms_norm"): (0, "agrees with rms_norm of PyTorch"),
    ("torch.nn:RMSNorm",): (1, "no-centering: "),
    ("somebodys.py:image", "--channels-first"): (0, "agrees"),
    ("somebodys.py:detached",): (0, "forward only"),
    ("somebodys.py:detached", "--backward"): (1, "no graph"),
    ("somebodys.py:textbook",): (1, "low-precision-statistics: "),
    ("somebodys.py:textbook", "--dtype", "float32", "--dtype", "float64"): (0, "agrees"),
    ("somebodys.py:textbook", "--dtype", "float32", "--dtype", "float16"): (1, "low-precision"),
    ("somebodys.py:Wrong", "--seed", "3"): (1, "eps-outside-sqrt: "),
    ("somebodys.py:patches", "--dtype", "float32"): (1, "unknown: it fits no known mistake"),
}
REFUSES = {
    ("check", "nowhere.py:Layer"): "there is no file nowhere.py",
    ("check", "subfolder:Layer"): "subfolder is a directory: name a file in it",
    ("check", "somebodys.py:Wring"): "has no Wring; it has Wrong",
    ("check", "no_such_module:Layer"): "needs 'no_such_module', which is not installed here",
    ("check", "broken.py:Layer"): "needs 'nothing_of_the_kind', which is not installed here",
    ("check", "misspelt.py:layer"): "misspelt.py is not Python: line 1",
    ("check", "failing.py:Layer"): "failing.py fails on import: ZeroDivisionError",
    ("check", "ending.py:Layer"): "it tried to end the program",
    ("check", "leaving.py:Layer"): "its process ended (exit code 0) without an answer",
    ("check", "sleeping.py:Layer", *SHORT): "no answer within 0.2 s",
    ("check", "somebodys.py"): "write FILE.py:NAME or module:NAME",
    ("check", "somebodys.py:number"): "check_parity takes a torch.nn.Module class",
    ("check", "somebodys.py:Needy"): "it needs arguments besides the shape (config, groups)",
    ("check", "somebodys.py:hangs", *SHORT): "no answer within 0.2 s",
    ("check", "somebodys.py:sleeps", *SHORT): "no answer within",
    ("check", "somebodys.py:fills", *SHORT): "no answer within",
    ("check", "somebodys.py:raises"): "KeyError: 'no such thing'",
    ("check", "somebodys.py:leaves"): "its process ended (exit code 0) without an answer",
    ("check", "somebodys.py:closes"): "its process ended",
    ("check", "--list", "eps-outside-sqrt,nonsense"): "no such code: nonsense",
}
MISUSES = {
    ("check",): "name a candidate",
    ("check", "torch.nn:LayerNorm", "--dtype", "float8"): "invalid choice: 'float8'",
    ("check", "torch.nn:LayerNorm", "--against", "batch_norm"): "invalid choice: 'batch_norm'",
    (): "usage: python -m layernorm_book",
}


def assert_report(done, code, words):
    exit_code, out, err = done
    assert exit_code == code, out + err
    assert words in one_line(out)
    assert "noise" not in out.partition("note:")[0]
    assert max(map(len, out.splitlines())) <= 80
    assert not err


def assert_refusal(done, words, lines=1):
    exit_code, out, err = done
    assert exit_code == 2, out + err
    assert words in err
    assert len(err.splitlines()) <= lines, err
    assert not out


@pytest.mark.parametrize("arguments", PRINTS)
def test_it_prints_the_report_and_returns_the_verdict(here, arguments):
    assert_report(here("check", *arguments), *PRINTS[arguments])


@pytest.mark.parametrize("arguments", REFUSES)
def test_what_cannot_be_run_returns_2_and_says_why_in_one_sentence(here, arguments):
    assert_refusal(here(*arguments), REFUSES[arguments])


@pytest.mark.parametrize("arguments", MISUSES)
def test_misuse_returns_2_and_the_usage(here, arguments):
    assert_refusal(here(*arguments), MISUSES[arguments], lines=20)


@pytest.mark.parametrize("arguments", [("somebodys.py:Right",), ("somebodys.py:Wrong",)])
def test_a_process_exits_with_the_verdict(folder, arguments):
    command = [sys.executable, "-m", "layernorm_book", "check", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    code = 0 if "Right" in arguments[0] else 1
    assert_report((done.returncode, done.stdout, done.stderr), code, "with PyTorch 2.")


def test_json_is_the_dictionary_of_the_report(here):
    exit_code, out, _ = here("check", "somebodys.py:Wrong", "--json", "--dtype", "float32")
    assert exit_code == 1
    report = json.loads(out)
    assert report["schema"] == 1
    assert report["ok"] is False
    assert report["dtypes"] == ["float32"]
    assert {f["code"] for f in report["findings"]} == {"unbiased-variance", "eps-outside-sqrt"}
    assert all(set(c) >= {"name", "error", "allowed", "passed"} for c in report["cases"])
    _, out, _ = here("check", "somebodys.py:Wrong", "--json", "--dtype", "float32", "--seed", "1")
    assert json.loads(out)["cases"] != report["cases"]


def test_the_list_says_what_codes_mean(here):
    exit_code, out, _ = here("check", "--list")
    assert exit_code == 0
    for code, bug in BUGS.items():
        assert f"{code} ({bug.severity})" in out
        assert one_line(bug.fix) in one_line(out)
    exit_code, out, _ = here("check", "--list", "wrong-eps,missing-sqrt")
    heads = [line for line in out.splitlines() if not line.startswith(" ")]
    assert (exit_code, heads) == (0, ["wrong-eps (wrong)", "missing-sqrt (wrong)"])


def test_help_says_what_the_exit_codes_are(here):
    exit_code, out, _ = here("check", "--help")
    assert exit_code == 0
    assert "Exit codes: 0 it is right, 1 it is wrong, 2 it could not be run." in one_line(out)
