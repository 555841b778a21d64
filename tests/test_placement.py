"""Chapter 9's harness: what a placement inherits, what is trained, and what is recorded of it."""

import numpy as np
import pytest
import torch

from layernorm_book.chapters.placement import (
    Attention,
    FeedForward,
    Speller,
    Sublayer,
    norms_used,
    own_part,
)
from layernorm_book.chapters.training import (
    WATCHED,
    entropy,
    feed_forward,
    frequencies_loss,
    gradients,
    look,
    named,
    sample,
    source_code,
    train,
    train_all,
)
from layernorm_book.widgets.collapse import apart


class Pre(Sublayer):
    def forward(self, h):
        return h + self.branch(self.norm(h))


class Post(Sublayer):
    final = False

    def forward(self, h):
        return self.norm(h + self.branch(h))


class Small(Pre):
    def gains(self):
        return 0.5, 0.25


@pytest.fixture(scope="module")
def data():
    return source_code()


def test_a_placement_is_one_line_and_its_norms_are_counted():
    assert norms_used(Speller(Pre, d=8, depth=3)) == 7
    assert norms_used(Speller(Post, d=8, depth=3)) == 6


def test_gains_shrink_the_first_and_the_last_matrix_of_a_branch():
    for Branch in (Attention, FeedForward):
        torch.manual_seed(0)
        plain = dict(Pre(Branch(8), 8, 1, 6).branch.named_parameters())
        torch.manual_seed(0)
        small = dict(Small(Branch(8), 8, 1, 6).branch.named_parameters())
        assert torch.equal(small["out.weight"], 0.25 * plain["out.weight"])
        if Branch is FeedForward:
            assert torch.equal(small["wide.weight"], 0.5 * plain["wide.weight"])
        else:  # only what makes the values: queries and keys stay
            assert torch.equal(small["qkv.weight"][16:], 0.5 * plain["qkv.weight"][16:])
            assert torch.equal(small["qkv.weight"][:16], plain["qkv.weight"][:16])


def test_attention_reads_nothing_that_comes_later():
    torch.manual_seed(0)
    layer, h = Attention(8), torch.randn(1, 5, 8)
    torch.testing.assert_close(layer(h[:, :3]), layer(h)[:, :3])


def test_what_frequencies_alone_score(data):
    assert entropy(torch.tensor([3, 3, 5, 5])) == pytest.approx(np.log(2))
    assert frequencies_loss(data) == pytest.approx(entropy(data), abs=0.15)
    one = torch.full((100,), 65)
    assert frequencies_loss(one) == 0


def test_a_run_is_the_same_twice_and_records_what_was_asked(data):
    runs = [train(Pre, data, seed=3, steps=4, frames=(0, 2, 4)) for _ in range(2)]
    first, second = runs
    assert np.array_equal(first.losses, second.losses)
    assert len(first.losses) == 4
    assert list(first.recording.steps) == [0, 2, 4]
    assert first.recording.cosines.shape == (3, 7, WATCHED, WATCHED)
    assert first.recording.losses[-1] == first.loss
    assert first.shared.shape == first.own.shape == (3, 12)
    seen = look(first.model, sample(data))
    assert np.array_equal(seen.cosines, first.recording.cosines[-1])
    assert np.array_equal(seen.shared, first.shared[-1])
    assert np.array_equal(gradients(first.model, data), first.gradients[-1])
    assert first.gradients.shape == (3, 6)
    assert seen.loss == pytest.approx(first.loss, rel=1e-5)
    assert (apart(seen.cosines) > 0).all()


def test_what_all_tokens_share_of_a_branch_is_told_from_the_rest(data):
    class Constant(torch.nn.Module):
        def forward(self, h):
            return self.row + self.size * h

    model, piece = Speller(Pre, d=8, depth=1), sample(data)[:4]
    h = model.states(piece[:, :-1])[0]  # (4, 32, 8)
    for sublayer, size in zip(model.sublayers, (0.0, 0.5), strict=True):
        sublayer.norm, sublayer.branch = torch.nn.Identity(), Constant()
        sublayer.branch.row, sublayer.branch.size = torch.arange(8.0) - h.mean((0, 1)) * size, size
    seen = look(model, piece)
    assert seen.shared[0] == pytest.approx(5.25)  # the variance of 0 to 7
    assert seen.own[0] == 0
    assert seen.own[1] == pytest.approx((0.5 * (h - h.mean((0, 1)))).var(correction=0).item())


def test_how_far_each_block_moves_is_counted_step_by_step(data):
    start, end = (train(Post, data, seed=1, steps=steps) for steps in (2, 3))
    assert end.moved.shape == (3, 6)
    assert np.array_equal(start.moved, end.moved[:2])
    for block, (old, new) in enumerate(
        zip(feed_forward(start.model), feed_forward(end.model), strict=True)
    ):
        gone = (new.out.weight - old.out.weight).norm().item()
        assert gone == pytest.approx(end.moved[2, block], rel=1e-5)


def test_gradients_are_changed_before_adam_sees_them(data):
    def none(gradients):
        for gradient in gradients:
            gradient *= 0

    run = train(Post, data, steps=2, change=none)
    assert not run.moved.any()
    assert train(Post, data, steps=2).moved.min() > 0.01


def test_the_warm_up_rises_to_the_rate(data):
    still = train(Pre, data, steps=2, warm_up=10**9).losses
    moved = train(Pre, data, steps=2).losses
    assert still[0] == moved[0]
    assert abs(still[1] - moved[1]) > 0.05


def test_several_places_train_from_several_seeds_under_one_bar(data, capsys):
    places = {"after": Post, "before": Pre}
    every = train_all(places, data, seeds=(2, 5), steps=2, frames=(2,))
    assert "0 of 8 steps" in capsys.readouterr().out
    assert {name: len(runs) for name, runs in every.items()} == {"after": 2, "before": 2}
    alone = train(Pre, data, 5, steps=2, frames=(2,))
    assert np.array_equal(every["before"][1].losses, alone.losses)


def test_the_own_part_is_free_of_what_tokens_share():
    torch.manual_seed(0)
    f = torch.randn(3, 5, 4)  # (batch, tokens, d)
    own = own_part(f)
    torch.testing.assert_close(own_part(f + torch.randn(5, 4)), own)  # the same in all texts
    assert own_part(f[:1]).abs().max() < 1e-6  # one text has nothing of its own
    assert own[:, 0].abs().max() < 1e-6  # nor has a first token
    torch.testing.assert_close(own_part(f[:, :3]), own[:, :3])  # what comes later does not count


def test_what_came_in_is_read_off_the_last_block(data):
    class Same(Sublayer):
        def forward(self, h):
            return h

    class Lost(Sublayer):
        def forward(self, h):
            return 0 * h

    torch.manual_seed(0)
    most = (torch.bincount(data).max() / len(data)).item()  # one character for all tokens
    assert named(Speller(Same), data) > 0.9
    assert named(Speller(Lost), data) == pytest.approx(most, abs=0.05)
