"""What do γ and β do to a row, how do they learn, and what does weight decay do to them?"""

import numpy as np

from layernorm_book.chapters.figures.style import BLUE, GREY, VERMILION, new_picture


def learning(losses, floor, x_hat, target, weight, bias):
    """Draw the loss by step, and one feature's target over its x_hat with two lines through it.

    Args:
        losses: list of the loss at each step.
        floor: the smallest loss that any γ and β reach.
        x_hat, target: arrays of shape (rows,): one feature of every row.
        weight, bias: the learned γ and β of that feature.
    """
    picture, (left, right) = new_picture(1, 2, width=8.0, height=3.2)
    left.plot(losses, color=BLUE, label="loss")
    left.axhline(floor, color=VERMILION, linestyle="--", label=f"best possible, {floor:.2f}")
    left.set(xlabel="step", ylabel="mean squared error", ylim=(0, None))
    left.legend()

    ends = np.array([x_hat.min(), x_hat.max()])
    right.scatter(x_hat, target, s=6, color=GREY, alpha=0.5, linewidths=0)
    right.plot(ends, ends, color=BLUE, linestyle=":", label="start: γ = 1, β = 0")
    label = f"learned: γ = {weight:.2f}, β = {bias:.2f}"
    right.plot(ends, weight * ends + bias, color=VERMILION, label=label)
    right.set(xlabel=r"$\hat{x}$ of one feature", ylabel="its target")
    right.legend(loc="lower right", bbox_to_anchor=(1, 1), borderpad=0)
    return picture


def decay(idle, kept, decayed):
    """Draw γ under weight decay: without a gradient by step, and after training by feature.

    Args:
        idle: list of the γ that has no gradient, at each step.
        kept, decayed: arrays of shape (n,): γ after training without and with decay.
    """
    picture, (left, right) = new_picture(1, 2, width=8.0, height=3.0)
    left.plot(idle, color=VERMILION)
    left.axhline(1, color=GREY, linewidth=0.8, linestyle="--")
    left.axhline(0, color=GREY, linewidth=0.8)
    left.set(xlabel="step", ylabel="γ", ylim=(-0.05, 1.1), title="γ with no gradient")

    position = np.arange(len(kept))
    right.bar(position - 0.2, kept, width=0.38, color=BLUE, label="no decay")
    right.bar(position + 0.2, decayed, width=0.38, color=VERMILION, label="decay")
    right.set(xlabel="feature", ylabel="γ", title="γ after training", xticks=position)
    right.legend(loc="upper left")
    return picture
