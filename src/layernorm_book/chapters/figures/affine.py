"""What do γ and β do to a row, how do they learn, and what does weight decay do to them?"""

import numpy as np

from layernorm_book.chapters.figures.style import AFFINE, INK, LINE, SOFT, name, new_picture


def learning(losses, floor, x_hat, target, weight, bias):
    """Draw the loss by step, and one feature's target over its x_hat with two lines through it.

    Args:
        losses: list of the loss at each step.
        floor: the smallest loss that any γ and β reach.
        x_hat, target: arrays of shape (rows,): one feature of every row.
        weight, bias: the learned γ and β of that feature.
    """
    picture, (left, right) = new_picture(1, 2, width=7.0, height=3.0)
    left.plot(losses, color=INK)
    left.axhline(floor, color=SOFT, linewidth=1, linestyle="--")
    last = len(losses) - 1
    name(left, f"best possible, {floor:.2f}", (last, floor), SOFT, (0, -8), ha="right")
    left.set(xlabel="step", ylim=(0, None), title="mean squared error")

    ends = np.array([x_hat.min(), x_hat.max()])
    right.plot(x_hat, target, ".", color=LINE, markersize=4)
    right.plot(ends, ends, color=SOFT, linestyle=":")
    right.plot(ends, weight * ends + bias, color=AFFINE, linewidth=2)
    learned = f"learned: γ = {weight:.2f}, β = {bias:.2f}"
    right.text(0.02, 0.98, learned, color=AFFINE, va="top", transform=right.transAxes)
    right.text(0.02, 0.89, "start: γ = 1, β = 0", color=SOFT, va="top", transform=right.transAxes)
    top = max(target.max(), ends.max())
    right.set_ylim(min(target.min(), ends.min()), top + 0.25 * (top - target.min()))
    right.set(xlabel="x̂ of one feature", title="its target")
    return picture


def decay(idle, kept, decayed):
    """Draw γ under weight decay: without a gradient by step, and after training by feature.

    Args:
        idle: list of the γ that has no gradient, at each step.
        kept, decayed: arrays of shape (n,): γ after training without and with decay.
    """
    picture, (left, right) = new_picture(1, 2, width=7.0, height=2.8)
    left.plot(idle, color=AFFINE, linewidth=2)
    left.axhline(1, color=LINE, linewidth=1, linestyle="--")
    left.axhline(0, color=LINE, linewidth=1)
    left.set(xlabel="step", ylim=(-0.05, 1.1), title="a γ with no gradient")

    position = np.arange(len(kept))
    right.bar(position - 0.2, kept, width=0.38, color=AFFINE, alpha=0.4, label="no decay")
    right.bar(position + 0.2, decayed, width=0.38, color=AFFINE, label="decay")
    right.axhline(0, color=LINE, linewidth=1)
    right.set(xlabel="feature", title="γ after training", xticks=position)
    right.margins(y=0.22)
    right.legend(loc="upper left", ncols=2, columnspacing=1, handlelength=1)
    return picture
