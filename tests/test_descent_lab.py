"""The descent lab: its steps are those of torch.optim.SGD, and its sentences say what happens."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from browser import move, values

from layernorm_book.widgets import DescentLab
from layernorm_book.widgets.descent import STEPS, task


def test_the_front_end_takes_pytorchs_steps(show):
    lab = DescentLab()
    page = show(lab)
    generator = np.random.default_rng(0)
    drawn = [(int(generator.integers(0, STEPS + 1)), 0.05 * int(k)) for k in range(1, 42, 2)]
    for step, rate in [(0, 0.1), (40, 0.1), (1, 1.0), *drawn]:
        lab.rate, lab.step = round(rate, 2), step
        move(page, "[name=rate]", lab.rate)
        move(page, "[name=step]", step)
        assert values(page, "rate") == [lab.rate]
        if lab.loss > 1e6:
            continue  # float32 and float64 part ways where everything flies off
        assert values(page, "weight") == pytest.approx(lab.weight, rel=2e-3, abs=2e-3)
        assert values(page, "bias") == pytest.approx(lab.bias, rel=2e-3, abs=2e-3)
        assert values(page, "loss")[0] == pytest.approx(lab.loss, rel=2e-3)


def test_the_averages_are_those_of_the_task():
    z, target = (part.double() for part in task())
    x_hat = F.layer_norm(z, (8,))
    averages = DescentLab().averages
    torch.testing.assert_close(torch.tensor(averages["x"]).double(), x_hat.mean(0))
    torch.testing.assert_close(torch.tensor(averages["xt"]).double(), (x_hat * target).mean(0))
    assert target.std(0).min() < 0.6
    assert target.std(0).max() > 3.8


SAID = """(([averages, rate]) => {
    const [points, best] = [m.path(averages, rate, 40), m.bestOf(averages)];
    return points.map((_, k) => m.descentSays(points, best, k));
})(given)"""


@pytest.fixture
def said(run_module):
    """A function that returns what is said at every step at a rate."""
    averages = DescentLab().averages
    return lambda rate: run_module("descends.js", SAID, averages, rate)


@pytest.mark.parametrize(
    ("rate", "step", "says"),
    [
        (0.1, 0, "γ is 1 and β is 0, as in every fresh layer. Take a step."),
        (0.1, 5, "64% of the avoidable loss is gone."),
        (0.1, 40, "Arrived: the bars stand at the best values."),
        (1.0, 1, "99% of the avoidable loss is gone."),
        (1.0, 2, "Arrived: the bars stand at the best values."),
        (1.8, 3, "Bars jump across their best values, but the loss falls: 70% of the avoidable"),
        (1.8, 30, "Bars jump across their best values, and some land farther out: the loss grows."),
        (2.2, 3, "Bars jump across their best values, and some land farther out: the loss grows."),
    ],
)
def test_the_sentence_says_what_becomes_of_the_loss(said, rate, step, says):
    assert said(rate)[step].startswith(says)


def test_what_it_says_of_the_bars_and_the_loss_is_so_at_every_rate_and_step(said):
    averages = DescentLab().averages
    x, xx, t, xt = (np.array(averages[name]) for name in ("x", "xx", "t", "xt"))
    slope = (xt - x * t) / (xx - x * x)
    best = np.array([slope, t - slope * x])  # (2, 8)
    heard = set()
    for rate in np.round(np.arange(0.05, 2.51, 0.05), 2).tolist():
        point = np.array([np.ones(8), np.zeros(8)])  # γ and β
        off = [point - best]
        for _ in range(STEPS):
            weight, bias = point
            point = point - rate * np.array([weight * xx + bias * x - xt, weight * x + bias - t])
            off.append(point - best)
        avoidable = [((g * g * xx + b * b) / 2 + g * b * x).sum() for g, b in off]
        for step, sentence in enumerate(said(rate)[1:], start=1):
            jumped = off[step] * off[step - 1] < 0
            farther = abs(off[step]) > abs(off[step - 1])
            if "jump" in sentence:
                assert jumped.any(), (rate, step)
            if "loss grows" in sentence:
                assert (jumped & farther).any(), (rate, step)
                assert avoidable[step] > avoidable[step - 1], (rate, step)
            elif not sentence.startswith("Arrived"):
                assert avoidable[step] < avoidable[step - 1], (rate, step)
            heard.add(" ".join(word for word in sentence.split() if "%" not in word))
    assert len(heard) == 4, heard


def test_a_loss_that_leaves_its_plot_ends_in_an_arrow(show):
    page = show(DescentLab())
    assert not page.get_attribute(".ln-off", "d")
    move(page, "[name=rate]", 2.2)
    off = next(k for k in range(STEPS + 1) if DescentLab(rate=2.2, step=k).loss > 1e4)
    curve = page.get_attribute(".ln-curve", "d")[1:].split("L")
    points = np.array([[float(v) for v in point.split()] for point in curve])
    assert len(points) == off + 1
    assert points[:, 1].min() == points[-1, 1] == 4  # where 10⁴ stands
    assert off - 1 < (points[-1, 0] - 34) / 164 * STEPS <= off
    assert page.get_attribute(".ln-off", "d")
    for step in (off, STEPS):  # the dot stays whole
        move(page, "[name=step]", step)
        whole = """([dot, svg]) => {
            const [d, { x, y, width }] = [dot.getAttribute("d"), svg.viewBox.baseVal];
            const [left, top] = d.slice(1).split("h")[0].split(" ").map(Number);
            const half = parseFloat(getComputedStyle(dot).strokeWidth) / 2;
            return left + half <= x + width && top - half >= y;
        }"""
        parts = [page.query_selector(f".ln-loss {part}") for part in (".ln-dot", "svg")]
        assert page.evaluate(whole, parts)
