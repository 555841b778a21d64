"""The command line: what it prints, and its exit code, as a process and within this one."""

import json
import subprocess
import sys

import pytest

from layernorm_book.__main__ import main

LAYERS = """
import time
import torch
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

def detached(x, weight, bias, eps):
    with torch.no_grad():
        return torch.nn.functional.layer_norm(x, x.shape[-1:], weight, bias, eps)

def hangs(x, normalized_shape, weight, bias, eps):
    while True:
        pass

def raises(x, normalized_shape, weight, bias, eps):
    raise KeyError("no such thing")

def image(x, weight, bias, eps):
    y = torch.nn.functional.layer_norm(x.movedim(1, -1), x.shape[1:2], weight, bias, eps)
    return y.movedim(-1, 1)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("somebody")
    (folder / "somebodys.py").write_text(LAYERS)
    (folder / "neighbour.py").write_text("EPS = 1e-6\n")
    (folder / "broken.py").write_text("import nothing_of_the_kind\n")
    (folder / "leaving.py").write_text("raise SystemExit(0)\n")
    return folder


def process(folder, *arguments):
    """Run the command as a process."""
    command = [sys.executable, "-m", "layernorm_book", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def here(folder, monkeypatch, capsys):
    """Run the command in this process, which spares the time to load torch again."""

    def run(*arguments):
        monkeypatch.chdir(folder)
        monkeypatch.setattr(sys, "path", list(sys.path))
        monkeypatch.setattr(sys, "modules", dict(sys.modules))
        try:
            code = main(arguments)
        except SystemExit as usage:
            code = usage.code
        return code, *capsys.readouterr()

    return run


def one_line(text):
    return " ".join(text.split())


PRINTS = {
    ("somebodys.py:Right",): (0, "LayerNorm agrees with PyTorch"),
    ("somebodys.py:Namespace.Right",): (0, "agrees"),
    ("somebodys:Right",): (0, "agrees"),
    ("torch.nn:LayerNorm", "--backward"): (0, "forward and gradients"),
    ("torch.nn:LayerNorm", "--no-backward"): (0, "forward only"),
    ("somebodys.py:image", "--channels-first"): (0, "agrees"),
    ("somebodys.py:detached",): (0, "forward only"),
    ("somebodys.py:detached", "--backward"): (1, "no graph"),
    ("somebodys.py:Wrong", "--seed", "3"): (1, "eps-outside-sqrt: "),
    ("somebodys.py:hangs", "--time-limit", "1"): (2, "no answer within 1 s"),
    ("somebodys.py:raises",): (2, "KeyError: 'no such thing'"),
}
REFUSES = {
    ("check", "nowhere.py:Layer"): "there is no file nowhere.py",
    ("check", "somebodys.py:Missing"): "has no attribute 'Missing'",
    ("check", "no_such_module:Layer"): "No module named 'no_such_module'",
    ("check", "broken.py:Layer"): "No module named 'nothing_of_the_kind'",
    ("check", "leaving.py:Layer"): "it tried to end the program",
    ("check", "somebodys.py"): "write FILE.py:NAME or module:NAME",
    ("check", "somebodys.py:number"): "check_parity takes a torch.nn.Module class",
    ("check",): "usage: python -m layernorm_book check",
    (): "usage: python -m layernorm_book",
}


def assert_report(done, code, words):
    exit_code, out, err = done
    assert exit_code == code, out + err
    assert words in one_line(out)
    assert "noise" not in out.partition("note:")[0]
    assert max(map(len, out.splitlines())) <= 80
    assert not err


def assert_refusal(done, words):
    exit_code, out, err = done
    assert exit_code == 2, out + err
    assert words in err
    assert "Traceback" not in err
    assert not out


@pytest.mark.parametrize("arguments", PRINTS)
def test_it_prints_the_report_and_returns_the_verdict(here, arguments):
    assert_report(here("check", *arguments), *PRINTS[arguments])


@pytest.mark.parametrize("arguments", REFUSES)
def test_what_cannot_be_run_returns_2_and_says_why(here, arguments):
    assert_refusal(here(*arguments), REFUSES[arguments])


@pytest.mark.parametrize(
    "arguments",
    [
        ("somebodys.py:Right",),
        ("somebodys.py:detached", "--backward"),
        ("somebodys.py:hangs", "--time-limit", "1"),
    ],
)
def test_a_process_exits_with_the_verdict(folder, arguments):
    assert_report(process(folder, "check", *arguments), *PRINTS[arguments])


@pytest.mark.parametrize("arguments", [("check", "nowhere.py:Layer"), ("check",)])
def test_a_process_that_cannot_run_it_exits_with_2(folder, arguments):
    assert_refusal(process(folder, *arguments), REFUSES[arguments])


def test_json_is_json(folder):
    exit_code, out, _ = process(folder, "check", "somebodys.py:Wrong", "--json")
    assert exit_code == 1
    report = json.loads(out)
    assert report["ok"] is False
    assert {f["code"] for f in report["findings"]} == {"unbiased-variance", "eps-outside-sqrt"}
    assert all(set(c) >= {"name", "error", "allowed", "passed"} for c in report["cases"])


def test_help_says_what_the_exit_codes_are(here):
    exit_code, out, _ = here("check", "--help")
    assert exit_code == 0
    assert "Exit codes: 0 it is right, 1 it is wrong, 2 it could not be run." in one_line(out)
