"""The collapse lab: what it packs, its sentences, and its use in a real browser."""

import json

import numpy as np
import pytest
import torch
from browser import ROOT, move, pixels, run_copied, run_on_packed, values
from traitlets import TraitError

from layernorm_book.widgets import CollapseLab
from layernorm_book.widgets.collapse import LETTERS, STORED, Recording, apart, pack

WIDGETS = ROOT / "src/layernorm_book/widgets"
SOURCES = {
    name: (WIDGETS / name).read_text(encoding="utf-8") for name in ("merge.js", "shared/numbers.js")
}
SOURCES["merge.js"] = SOURCES["merge.js"].replace("./shared/", "./")
SOURCES["numbers.js"] = SOURCES.pop("shared/numbers.js")
SAY = """
    const { step, runs } = rows[0];
    return new TextEncoder().encode(module.sentence(step, runs));"""
UNPACK = """
    return Float64Array.from(rows.flatMap(({ maps, frames, blocks, tokens }) =>
        Array.from({ length: frames }, (_, frame) =>
            module.powersOf(maps, frame, blocks, tokens).map(map => [...map])).flat(2)));"""


def tokens(frames, blocks, count, seed=0):
    """Draw cosines of tokens that merge, block by block."""
    rng = np.random.default_rng(seed)
    h = rng.normal(size=(frames, blocks, count, 16))
    h += rng.normal(size=(frames, blocks, 1, 16)) * np.arange(blocks)[:, None, None]
    h /= np.linalg.norm(h, axis=-1, keepdims=True)
    return h @ h.swapaxes(-1, -2)


def recording(seed=0, steps=(0, 5, 10), blocks=4, count=5):
    return Recording(steps, [5.0, 4.0, 3.0][: len(steps)], tokens(len(steps), blocks, count, seed))


def test_the_browser_reads_what_python_packs(page):
    """To an eighth of a power of ten, from 10⁻⁵ to 2; and each token is like itself."""
    drawn = [tokens(3, 4, count, seed) for seed, count in enumerate((2, 5, 12))]
    rows = [{"maps": pack(c), "frames": 3, "blocks": 4, "tokens": c.shape[-1]} for c in drawn]
    read = np.frombuffer(run_on_packed(page, SOURCES, "merge.js", UNPACK, b"", rows))
    for cosines in drawn:
        mine, read = read[: cosines.size].reshape(cosines.shape), read[cosines.size :]
        assert np.abs(mine - np.log10((1 - cosines).clip(1e-5))).max() <= 1 / 8 + 1e-9
        assert (np.diagonal(mine, axis1=-2, axis2=-1) == -5).all()
    assert not read.size
    assert pack(np.array([[1.0, -1.0], [-1.0, 1.0]])) == LETTERS[21]
    assert pack(np.eye(2)) == LETTERS[20]
    assert pack(np.ones((2, 2))) == pack(np.array([[1, 1 - 1e-9], [1 - 1e-9, 1]])) == LETTERS[0]


def test_how_far_apart_tokens_are():
    assert apart(np.ones((3, 3))) == 0
    assert apart(np.eye(3)) == 1
    h = np.array([[1.0, 0.0], [1.0, 1e-5]])  # (tokens, d)
    h /= np.linalg.norm(h, axis=-1, keepdims=True)
    assert apart(h @ h.T) == pytest.approx(5e-11, rel=1e-3)  # half of the angle, squared


@pytest.mark.parametrize(
    ("step", "sizes", "said"),
    [
        (0, (0.5, 0.4), "Before training, the tokens of a and b differ."),
        (1, (0.5, 0.09), "After one step, the tokens of b lie close together; the tokens of a di"),
        (9, (9e-7, 0.1), "After 9 steps, a has merged all tokens into one; the tokens of b differ"),
        (9, (0, 1e-6), "After 9 steps, a has merged all tokens into one; the tokens of b lie cl"),
        (9, (0, 1e-9), "After 9 steps, a and b have merged all tokens into one."),
        (9, (0.2, 1, 2), "After 9 steps, the tokens of a, b and c differ."),
    ],
)
def test_its_sentence_follows_the_tokens(page, step, sizes, said):
    runs = [{"name": name, "apart": size} for name, size in zip("abc", sizes, strict=False)]
    row = {"step": step, "runs": runs}
    text = run_on_packed(page, SOURCES, "merge.js", SAY, b"", [row]).decode()
    assert text.startswith(said)
    assert text.endswith(".")


# --- the recording --------------------------------------------------------------------------------


def test_without_runs_it_shows_the_small_one_that_is_stored():
    lab = CollapseLab()
    assert [run["name"] for run in lab.runs] == ["post-LN", "pre-LN"]
    assert lab.frame == len(lab.steps) - 1
    pairs = len(lab.tokens) * (len(lab.tokens) - 1) // 2
    for run in lab.runs:
        assert len(run["losses"]) == len(run["apart"]) == len(lab.steps)
        assert len(run["maps"]) == len(lab.steps) * len(run["apart"][0]) * pairs
    stuck, other = lab.runs
    assert stuck["apart"][-1][-1] < 1e-6 < 0.1 < other["apart"][-1][-1]
    assert STORED.stat().st_size < 3000
    assert "after 100 steps of training" in lab.to_html()


def test_runs_are_packed_into_few_letters():
    lab = CollapseLab({"a": recording(), "b": recording(1)}, tokens="lorem", level=3.5, frame=1)
    assert lab.steps == [0, 5, 10]
    assert lab.runs[0]["losses"] == [5.0, 4.0, 3.0]
    assert lab.runs[0]["apart"][2][3] == pytest.approx(apart(recording().cosines)[2, 3], rel=0.05)
    assert len(json.dumps(lab.runs)) < 2 * (3 * 4 * 10 + 3 * 4 * 8 + 100)


@pytest.mark.parametrize(
    ("runs", "tokens", "level"),
    [
        ({}, "", 1.0),
        ({"a": recording()}, "lorem", None),
        ({"a": recording(), "b": recording(steps=(0, 5))}, "lorem", 1.0),
        ({"a": recording()}, "four", 1.0),
        ({"a": recording()._replace(losses=[1.0])}, "lorem", 1.0),
        (dict.fromkeys("abcd", recording()), "lorem", 1.0),
    ],
)
def test_recordings_that_do_not_go_together_are_refused(runs, tokens, level):
    with pytest.raises(TraitError, match="runs takes"):
        CollapseLab(runs, tokens=tokens, level=level)


def test_a_frame_that_was_not_recorded_is_refused():
    with pytest.raises(TraitError, match="frame takes 0 to 6, got 7"):
        CollapseLab(frame=7)
    lab = CollapseLab()
    with pytest.raises(TraitError, match="frame takes 0 to 6"):
        lab.frame = 7
    assert lab.frame == 6


# --- in a browser ---------------------------------------------------------------------------------


def run_painted(page, k):
    """Return what is painted of one run: (tokens, width, 4)."""
    return pixels(page.locator(".ln-lab canvas").nth(k))


def test_scrubbing_shows_the_step_in_maps_numbers_and_words(show):
    python = CollapseLab({"a": recording(), "b": recording(1)}, tokens="lorem", level=3.5)
    lab = show(python)
    for frame, step in enumerate((0, 5, 10)):
        move(lab, "[name=frame]", frame)
        assert values(lab, "step") == [step]
        assert values(lab, "loss") == [5.0 - frame] * 2
        last = [run["apart"][frame][-1] for run in python.runs]
        assert values(lab, "apart") == last
        assert lab.text_content("[data-quantity=sentence]").startswith(
            f"After {step} steps" if step else "Before training"
        )
        for k in range(2):
            cosines = recording(k).cosines[frame]  # (blocks, tokens, tokens)
            seen = run_painted(lab, k)
            assert seen.shape == (5, 4 * 6 - 1, 4)
            assert not seen[:, 5::6].any()  # between two squares
            for block in range(4):
                square = seen[:, 6 * block : 6 * block + 5].astype(float)
                full = (-np.log10((1 - cosines[block]).clip(1e-5)) / 5).clip(0, 1)
                assert np.abs(square[..., 3] / 255 - full).max() < 0.03


def test_untouched_it_makes_its_point(show):
    lab = show(CollapseLab())
    assert lab.text_content("[data-quantity=sentence]") == (
        "After 100 steps, post-LN has merged all tokens into one; the tokens of pre-LN differ."
    )
    painted = run_painted(lab, 0)[:, -4:]
    assert (painted == painted[0, 0]).all()
    assert not (run_painted(lab, 1)[:, -4:] == painted[0, 0]).all()
    _, names = run_copied(lab)
    assert names["recorded"]["post-LN"] == CollapseLab().runs[0]["apart"][-1]
    assert 0.5 < names["apart"](torch.randn(12, 64)) < 1.5
