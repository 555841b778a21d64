"""What are trained γ and β by layer, what does ε do to them, and what do swaps do to an encoder?"""

import numpy as np

from layernorm_book.chapters.figures.style import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PURPLE,
    VERMILION,
    new_picture,
)


def gammas(names, weight, traced):
    """Draw every γ of every layer as a dot, and follow a few channels through the layers.

    Args:
        names: list of the layers' names.
        weight: array of shape (layers, n).
        traced: list of up to four channels to follow.
    """
    picture, ax = new_picture(width=8.0, height=4.4)
    layers, n = weight.shape
    offset = np.random.default_rng(0).uniform(-0.2, 0.2, n)  # so that dots do not hide dots
    for layer in range(layers):
        ax.scatter(layer + offset, weight[layer], s=4, color=GREY, alpha=0.35, linewidths=0)
    marks = zip(traced, (VERMILION, BLUE, GREEN, PURPLE), "osD^", strict=False)
    for channel, colour, marker in marks:
        ax.plot(weight[:, channel], color=colour, marker=marker, label=f"channel {channel}")
    ax.axhline(1, color=INK, linewidth=1, linestyle="--")
    ax.annotate("a fresh layer", (layers - 0.55, 1), ha="right", va="bottom", color=INK)
    ax.set_xticks(range(layers), names, rotation=40, ha="right", rotation_mode="anchor")
    ax.set(ylabel="γ", xlabel="LayerNorm: block, and what stands before it")
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=4)
    return picture


def shrinkage(sigma):
    """Draw how much of x_hat is left, by σ, for three ε, and where a real encoder's σ lie.

    Args:
        sigma: dict, for each layer's name its smallest, median and largest σ.
    """
    picture, (upper, lower) = new_picture(
        2, 1, width=7.5, height=6.0, sharex=True, height_ratios=(1, 1.2)
    )
    grid = np.logspace(-3, 1.3, 300)
    for eps, colour, style in ((1e-12, GREEN, "-"), (1e-5, BLUE, "--"), (1e-3, VERMILION, "-.")):
        left = grid / np.sqrt(grid**2 + eps)
        upper.plot(grid, left, color=colour, linestyle=style, label=f"ε = {eps:.0e}")
    upper.set(ylabel="σ / √(σ² + ε)", ylim=(0, 1.05))
    upper.legend(loc="lower right")
    for position, (low, median, high) in enumerate(sigma.values()):
        colour = ORANGE if position == 0 else INK
        lower.plot([low, high], [position] * 2, color=colour, linewidth=2)
        lower.plot(median, position, color=colour, marker="o", markersize=5)
        for ax in (upper, lower):
            if position == 0:
                ax.axvspan(low, high, color=ORANGE, alpha=0.15, linewidth=0)
    lower.set_yticks(range(len(sigma)), sigma)
    lower.invert_yaxis()
    lower.set(xscale="log", xlabel="σ of a row (logarithmic)", ylabel="LayerNorm")
    return picture


def swaps(largest, rounding):
    """Draw how far each swap moves the embeddings, on a logarithmic axis.

    Args:
        largest: dict, for each swap's name the largest difference of any entry.
        rounding: the error of the untouched float32 model, drawn as the floor.
    """
    picture, ax = new_picture(width=7.8, height=0.34 * len(largest) + 1.0)
    order = sorted(largest, key=largest.get)
    position = np.arange(len(order))
    values = np.array([largest[name] for name in order])
    ax.hlines(position, rounding / 4, values, color=GREY, linewidth=0.8)
    ax.plot(values, position, "o", color=BLUE)
    ax.axvline(rounding, color=VERMILION, linestyle="--")
    ax.annotate(
        "float32 rounding",
        (rounding, len(order) - 0.4),
        xytext=(5, 0),
        textcoords="offset points",
        va="center",
        color=VERMILION,
    )
    for code, symbol in (("eps", "ε ="), ("gamma", "γ"), ("beta", "β"), ("affine", "γ and β")):
        order = [name.replace(code, symbol) for name in order]
    ax.set_yticks(position, order)
    ax.set(xscale="log", xlim=(rounding / 4, 2), ylim=(-0.6, len(order)))
    ax.set_xlabel("largest difference in an embedding")
    return picture
