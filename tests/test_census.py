"""The census, offline: a small wheel of our own, in the forms that published layers take."""

import json
import zipfile

import numpy as np
import pytest
import torch
from census import ask, build, frameworks, measure, packages, table
from census.__main__ import DATA, REVIEWED, rows_of_wheels
from census.cut import TooEntangled, cut_out
from census.find import layers_of
from census.wheel import Wheel

from layernorm_book.chapters.census import INPUTS
from layernorm_book.parity import cases
from layernorm_book.parity.bugs import BUGS, Variant, effect

HELPERS = """
import torch
from .missing_extension import fused
from .availability import is_fused_available, is_torch_available

_torch_is_here = False
if is_torch_available():
    _torch_is_here = True
EPS = 1e-5
HALF = (torch.float16, torch.bfloat16)
if is_fused_available():
    widest = fused.widest
else:
    def widest(x):
        assert _torch_is_here
        return x.float() if x.dtype in HALF else x
"""

LAYERS = '''
import torch
from torch import nn
import torch.nn.functional as F
import a_package_that_is_not_installed as extras
from a_package_that_is_not_installed import register
from .helpers import EPS, widest as wide
from . import helpers


@register("rms_norm")
class WideRMSNorm(nn.Module):
    """Words that a copy need not have."""

    def __init__(self, dim: int, eps: float = 1e-6):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))
        self.eps = eps

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = wide(x)
        h = h * torch.rsqrt(h.pow(2).mean(-1, keepdim=True) + self.eps)
        return (self.weight * h).to(x.dtype)


class ChanLayerNorm(nn.Module):
    def __init__(self, channels, eps=EPS):
        super().__init__()
        self.eps = eps
        self.g = nn.Parameter(torch.ones(1, channels, 1, 1))
        self.b = nn.Parameter(torch.zeros(1, channels, 1, 1))

    def forward(self, x):
        from .helpers import widest

        h = widest(x)
        var, mean = torch.var_mean(h, dim=1, unbiased=False, keepdim=True)
        return ((h - mean) / (var.sqrt() + self.eps)).to(x.dtype) * self.g + self.b


class FromConfigLayerNorm(nn.LayerNorm):
    def __init__(self, config):
        super().__init__(config.hidden_size, eps=config.layer_norm_eps)


class PassesOnLayerNorm(nn.LayerNorm):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)


class T5StyleLayerNorm(nn.Module):
    def __init__(self, hidden_size, variance_epsilon=1e-6):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(hidden_size))
        self.variance_epsilon = variance_epsilon

    def forward(self, x):
        h = helpers.widest(x)
        rms = torch.sqrt(h.square().mean(-1, keepdim=True) + self.variance_epsilon)
        return (h / rms).to(x.dtype) * self.weight


class KernelLayerNorm(nn.LayerNorm):
    def forward(self, x):
        return extras.layer_norm(x, self.weight, self.bias)


class TwoInputsLayerNorm(nn.LayerNorm):
    def forward(self, x, scale):
        return F.layer_norm(x, self.normalized_shape) * scale


class BatchNorm(nn.Module):
    def forward(self, x):
        return x - x.mean(0)


class PreNorm(nn.Module):
    def __init__(self, dim, fn):
        super().__init__()
        self.norm, self.fn = nn.LayerNorm(dim), fn

    def forward(self, x):
        return self.fn(self.norm(x), F.layer_norm)


try:
    from a_package_that_is_not_installed import FusedLayerNorm
except ImportError:

    class FusedLayerNorm(nn.LayerNorm):
        pass
'''

COPY = """
import torch
from torch import nn
from .helpers import widest as wide


class CopiedRMSNorm(nn.Module):
    def __init__(self, dim, eps=1e-6):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))
        self.eps = eps

    def forward(self, x):
        h = wide(x)
        h = h * torch.rsqrt(h.pow(2).mean(-1, keepdim=True) + self.eps)
        return (self.weight * h).to(x.dtype)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    path = tmp_path_factory.mktemp("wheels") / "our_norms-1.2-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("our_norms/__init__.py", "")
        archive.writestr("our_norms/helpers.py", HELPERS)
        archive.writestr("our_norms/layers.py", LAYERS)
        archive.writestr("our_norms/copies.py", COPY)
        archive.writestr("our_norms/test_layers.py", LAYERS)
        archive.writestr("our_norms/tests/more_layers.py", LAYERS)
        archive.writestr("our_norms/old.py", "class LayerNorm: print 'Python 2'")
    return Wheel(path)


@pytest.fixture(scope="module")
def layers(wheel):
    return {layer.name: layer for layer in layers_of(wheel)}


def asked(layer, **review):
    return ask.ask_about_cut("torch", layer.name, cut_out(layer), review)


def test_it_finds_the_layers_of_one_input_and_nothing_else(layers):
    assert set(layers) == {
        *("WideRMSNorm", "CopiedRMSNorm", "ChanLayerNorm", "FromConfigLayerNorm"),
        *("PassesOnLayerNorm", "T5StyleLayerNorm", "KernelLayerNorm", "PreNorm", "FusedLayerNorm"),
    }
    line = LAYERS.splitlines()[layers["ChanLayerNorm"].line - 1]
    assert line.startswith("class ChanLayerNorm")


def test_copies_share_a_digest_and_others_do_not(layers):
    digests = {name: layer.digest for name, layer in layers.items()}
    assert digests["WideRMSNorm"] == digests["CopiedRMSNorm"]
    assert len(set(digests.values())) == len(digests) - 1


@pytest.mark.parametrize(
    ("name", "call", "last"),
    [
        ("WideRMSNorm", "WideRMSNorm(n, eps=eps)", True),
        ("ChanLayerNorm", "ChanLayerNorm(n, eps=eps)", False),
        ("FromConfigLayerNorm", "FromConfigLayerNorm(config(n, eps))", True),
        ("PassesOnLayerNorm", "PassesOnLayerNorm(shape, eps=eps)", True),
        ("T5StyleLayerNorm", "T5StyleLayerNorm(n, variance_epsilon=eps)", True),
        ("FusedLayerNorm", "FusedLayerNorm(shape, eps=eps)", True),
    ],
)
def test_it_builds_a_class_from_its_own_source(layers, name, call, last):
    cls = build.load(cut_out(layers[name]), name)
    assert build.call_text(cls) == call
    make = build.factory(cls, call)
    assert build.is_channels_last(make) is last
    module = make(7, eps=0.5) if "shape" not in call else make((7,), eps=0.5)
    eps = {value for key, value in vars(module).items() if "eps" in key}
    assert eps == {0.5}


def test_it_says_why_a_layer_is_not_built(layers):
    with pytest.raises(build.NotBuilt, match=r"NeedsPackage: .*not_installed.layer_norm"):
        asked(layers["KernelLayerNorm"])
    with pytest.raises(build.NotBuilt, match="asks for fn"):
        asked(layers["PreNorm"])


def test_a_class_that_needs_too_much_is_not_cut(layers, monkeypatch):
    monkeypatch.setattr("census.cut._MOST", 1)
    with pytest.raises(TooEntangled, match="more than 1 statements"):
        cut_out(layers["ChanLayerNorm"])


def test_the_judge_is_asked_what_the_layer_is_for(layers):
    chan = asked(layers["ChanLayerNorm"])
    assert (chan["against"], chan["channels_last"]) == ("layer_norm", False)
    assert (chan["verdict"], chan["fails_in"]) == ("wrong", ["float64", "float32", "float16"])
    assert "eps-outside-sqrt" in chan["codes"]
    assert chan["effect"]["eps-outside-sqrt"]


def test_a_layer_norm_that_subtracts_no_mean_is_asked_as_an_rms_norm(layers):
    answer = asked(layers["T5StyleLayerNorm"])
    assert (answer["against"], answer["verdict"]) == ("rms_norm", "limit")
    assert answer["limits"] == ["rounds-before-scale"]
    answer = asked(layers["T5StyleLayerNorm"], against="layer_norm")
    assert answer["codes"] == ["no-centering"]


class FixedNorm(torch.nn.LayerNorm):
    def __init__(self, n):
        super().__init__(n, eps=1e-3)


class OwnFixedNorm(FixedNorm):
    def forward(self, x):
        x_hat = torch.nn.functional.layer_norm(x, self.normalized_shape, None, None, self.eps)
        return x_hat * self.weight + self.bias + 1e-9  # other bits


def test_a_fixed_eps_is_asked_at_that_eps():
    every = list(cases.DTYPES)
    here = ask.at_its_own_eps(FixedNorm, "layer_norm", True, [1e-3])
    assert here == {"values": [1e-3], "passes": every, "same": True}
    assert ask.at_its_own_eps(FixedNorm, "layer_norm", True, [1e-6, 1e-3])["passes"] == every
    other = ask.at_its_own_eps(FixedNorm, "layer_norm", True, [1e-6])
    assert other == {"values": [1e-6], "passes": [], "same": False}
    assert not ask.at_its_own_eps(OwnFixedNorm, "layer_norm", True, [1e-3])["same"]


def test_the_committed_census_asks_every_fixed_eps():
    reviews = json.loads(REVIEWED.read_text())
    asked = [row for row in json.loads(DATA.read_text())["rows"] if "own_eps" in row]
    wanted = [review["own_eps"] for review in reviews.values() if "own_eps" in review]
    assert sorted(row["own_eps"]["values"] for row in asked) == sorted(wanted)


def test_one_row_for_all_copies(wheel, layers, monkeypatch):
    monkeypatch.setattr(ask, "in_process", lambda question, *arguments: {"reason": "not asked"})
    package = packages.Package("our-norms", "1.2", "", "https://example.org/o", "v1.2", "src")
    reviews = {layers["PreNorm"].key: {"other": "a norm before a layer"}}
    rows = {row["class"]: row for row in rows_of_wheels([(package, wheel)], reviews)}
    assert "WideRMSNorm" not in rows  # its copy stands in an earlier file
    copied = rows["CopiedRMSNorm"]
    assert (copied["copies"], copied["copied_in"]) == (2, ["our-norms"])
    assert copied["link"] == "https://example.org/o/blob/v1.2/src/our_norms/copies.py#L7"
    assert (copied["verdict"], copied["reason"]) == ("not built", "not asked")
    assert (rows["PreNorm"]["verdict"], rows["PreNorm"]["reason"]) == (
        "other",
        "a norm before a layer",
    )


def test_the_table_counts_and_compares():
    package = packages.Package("p", "1", "", "https://example.org/p", None)
    wrong = {"verdict": "wrong", "codes": ["missing-eps"], "limits": [], "effect": {}}
    read = {"confirmation": {"line": 3, "kind": "slip", "sentence": "Nothing is added."}}
    rows = [
        table.row("torch", package, ("A", "a.py", 1), ["p"], read, wrong),
        table.row("torch", package, ("B", "b.py", 1), ["p", "q"], {}, wrong),
    ]
    made = table.census(rows, "2026-01-01", "2.13.0+cpu", "0.1.0", {})
    assert made["counts"]["wrong"] == made["counts"]["implementations"] == 2
    assert (made["counts"]["copies"], made["torch"]) == (3, "2.13.0")
    assert rows[0]["confirmation"]["link"] == "https://example.org/p"
    assert "limits" not in rows[0]
    assert table.unconfirmed(made) == ["p b.py:1 B: missing-eps"]
    del rows[0]["file"]  # as where a framework's source is not Python
    again = json.loads(table.dumps(made))
    assert again == made
    assert table.differences(made, again) == []
    again["rows"][1]["verdict"] = "right"
    assert len(table.differences(made, again)) == 1


@pytest.mark.parametrize(
    ("field", "was", "now", "changes"),
    [
        ("off", {"usual": 0.043}, {"usual": 0.047}, 0),  # two machines round differently
        ("off", {"usual": 6e-8}, {"usual": 9e-8}, 0),
        ("off", {"usual": 0.043}, {"usual": 0.43}, 1),
        ("off", {"usual": 0.043}, {"usual": None}, 1),
        ("effect", {"wrong-eps": "off by 4%"}, {"wrong-eps": "off by 5%"}, 1),
        ("confirmation", {"kind": "convention"}, {"kind": "slip"}, 1),
        ("message", {"unknown": "allowed 3.1e-6"}, {"unknown": "allowed 3.2e-6"}, 0),
    ],
)
def test_a_second_census_may_differ_by_rounding_alone(field, was, now, changes):
    row = {"package": "p", "class": "A", "verdict": "wrong"}
    old, new = ({"rows": [row | {field: value}]} for value in (was, now))
    assert len(table.differences(old, new)) == changes


def test_a_layer_is_measured_on_the_inputs_that_the_table_names():
    assert list(measure.INPUTS) == list(INPUTS)
    right = measure.measure(torch.nn.LayerNorm, "layer_norm", True, 20)
    assert right == measure.pytorchs_own("layer_norm")
    assert right["usual"] < right["far"] < right["half"] < 1e-3

    def one_pass(x, weight, bias, eps):
        mean = x.mean(-1, keepdim=True)
        var = x.square().mean(-1, keepdim=True) - mean.square()
        return (x - mean) * torch.rsqrt(var + eps) * weight + bias

    found = measure.measure(one_pass, "layer_norm", True, 20)
    assert found["usual"] < 1e-6 < 1e-2 < found["far"]
    assert measure.measure(lambda x: x / 0, "layer_norm", True, 20)["usual"] is None
    assert measure.measure(lambda x: x[0], "layer_norm", True, 20) == {}


@pytest.mark.parametrize("rank", [2, 3, 4])
def test_the_rows_are_the_same_whatever_axes_a_layer_asks_for(rank):
    x = measure.inputs_of("quiet", rank).x
    assert x.shape == (*measure.LEADS[rank], 768)
    assert torch.equal(x.reshape(-1, 768), measure.inputs_of("quiet").x)


def test_a_case_is_of_the_dtype_that_its_name_says():
    for case in (*cases.CASES, *cases.MIXED):
        assert ask._dtype_of(case.name) == cases.name_of(case.dtype)


@pytest.mark.parametrize("against", ["layer_norm", "rms_norm"])
def test_a_frameworks_layer_becomes_a_numpy_function(against):
    def adapter(cls, options, x, weight, bias, eps):
        x, weight = torch.from_numpy(x), torch.from_numpy(weight)
        if bias is None:
            return torch.nn.functional.rms_norm(x, x.shape[-1:], weight, float(eps)).numpy()
        return cls(x, x.shape[-1:], weight, torch.from_numpy(bias), float(eps)).numpy()

    own = frameworks.Own(
        "torch", "torch.nn.functional:layer_norm", against, "layer_norm(n)", adapter, "https://x"
    )
    function = frameworks.own_function(own, own.load())
    answer = ask._ask(function, against=against, dtypes=frameworks.DTYPES)
    assert answer["verdict"] == "right"
    assert answer["dtypes"] == ["float32", "float16"]
    x = np.ones((2, 3), np.float32)
    arguments = (x, x[0], x[0], 0.5) if against == "layer_norm" else (x, x[0], 0.5)
    assert function(*arguments).shape == x.shape


def test_the_committed_effects_are_what_the_judge_says_today():
    """So nobody has edited them by hand, and no change of the judge has left them behind."""
    checked = 0
    for row in json.loads(DATA.read_text())["rows"]:
        for code, said in row.get("effect", {}).items():
            variants = list(BUGS[code].variants)
            if code == "wrong-eps":  # its variant is made with the eps that was measured
                size = float(row["message"][code].partition("eps = ")[2].split(",")[0])
                variants = [Variant({"eps": lambda eps, n, size=size: size}, "")]
            assert said in {effect(BUGS[code], v, row["against"]) for v in variants}, row["class"]
            checked += 1
    assert checked > 60


def test_the_committed_census_measures_every_layer_that_it_judged():
    made = json.loads(DATA.read_text())
    for row in made["rows"]:
        assert ("off" in row) == ("against" in row)
        assert list(row.get("off", INPUTS)) == list(INPUTS), row["class"]
        assert ("fails_in" in row) == (row["verdict"] == "wrong")
    for norm, own in made["pytorch"].items():
        assert own.keys() == measure.pytorchs_own(norm).keys()


def test_the_committed_census_is_of_this_format_and_every_wrong_row_is_confirmed():
    made = json.loads(DATA.read_text())
    assert made["format"] == table.FORMAT
    rows = [row for row in made["rows"] if row["verdict"] not in ("not built", "other")]
    assert len(rows) >= 60
    assert len({row["package"] for row in rows}) >= 25
    assert len({row["framework"] for row in rows}) >= 5
    assert table.unconfirmed(made) == []
    assert {row["confirmation"]["kind"] for row in rows if "confirmation" in row} <= {
        *("slip", "convention", "documented choice", "alone"),
    }
    assert all(row["verdict"] in table.VERDICTS for row in made["rows"])
    assert all(row["reason"] for row in made["rows"] if row["verdict"] in ("not built", "other"))
