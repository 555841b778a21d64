"""Which tests see which wrong layer, and what did a printed table give away?"""

import numpy as np
from matplotlib.patches import Rectangle

from layernorm_book.chapters.figures.style import (
    BLUE,
    GREEN,
    INK,
    LINE,
    PURPLE,
    SOFT,
    VERMILION,
    X_HAT,
    name,
    new_picture,
)

WRONG = {
    "wrong-axis": "averages over axis 0",
    "no-centering": "subtracts no μ",
    "sum-for-mean": "÷ √Σ(x − μ)²",
    "one-pass-variance": "σ² = mean x² − μ²",
    "low-precision-statistics": "float16 in float16",
    "missing-eps": "no ε",
    "missing-affine": "no γ, no β",
    "swapped-affine": "x̂ · β + γ",
    "shift-before-scale": "(x̂ + β) · γ",
    "unit-offset-weight": "x̂ · (1 + γ) + β",
    "detached-statistics": "no gradient of μ, σ",
    "swapped-gradients": "gradients of γ, β swapped",
}
"""What each of the judge's wrong layers does, by the code of its bug, in a few signs."""

ROW_MARKERS = ((BLUE, "o"), (VERMILION, "s"), (GREEN, "^"), (PURPLE, "D"))


def read_sigma(factor, sigma, implied):
    """Draw how a row's σ is read off its differences, and the inputs that follow from it.

    Args:
        factor: array of shape (rows,), root mean square difference / ε.
        sigma: array of shape (rows,), the σ at which 1/(2σ²) − 1/σ equals `factor`.
        implied: array of shape (rows, n), the inputs up to a constant a row.
    """
    picture, (curve, inputs) = new_picture(1, 2, width=7.0, height=3.2)
    grid = np.linspace(0.2, 0.75, 300)
    curve.plot(grid, 1 / (2 * grid**2) - 1 / grid, color=INK, linewidth=1.5)
    curve.axhline(0, color=LINE, linewidth=1)
    curve.axvline(0.5, color=LINE, linewidth=1, linestyle=":")
    name(curve, "the sign changes\nat σ = ½", (0.5, 2), SOFT)
    for index, (row, (colour, marker)) in enumerate(zip(implied, ROW_MARKERS, strict=True)):
        across, down = [grid[0], *[sigma[index]] * 2], [*[factor[index]] * 2, 0]
        curve.plot(across, down, color=colour, linewidth=1, linestyle="--")
        curve.plot(sigma[index], factor[index], marker, color=colour)
        inputs.plot(row - row.min(), np.full(len(row), index), marker, color=colour, alpha=0.6)
    curve.set(xlabel="σ", xlim=(grid[0], grid[-1]))
    curve.set_title("1/(2σ²) − 1/σ", loc="left")
    inputs.axvspan(0, 1, color=SOFT, alpha=0.12, linewidth=0)
    inputs.set(xlim=(-0.08, 1.12), ylim=(len(implied) - 0.5, -0.5))
    inputs.set_yticks(range(len(implied)), [f"row {i + 1}" for i in range(len(implied))])
    inputs.set_xlabel("implied x, from the row's smallest")
    _note(inputs, "shaded: width 1")
    return picture


def power(trials, tolerances, mistaken, same=None):
    """Draw the share of draws in which each test is mistaken, as a bar in a frame.

    Args:
        trials: list of (layer, input) as str.
        tolerances: list of str.
        mistaken: array of shape (trials, tolerances), from 0 to 1.
        same: the place of a trial in which a wrong layer computes the right numbers, if one does.
    """
    rows, level, headings = [], 0, {}
    for k, (layer, _) in enumerate(trials):  # a line for each layer, its inputs below
        if k == 0 or trials[k - 1][0] != layer:
            headings[layer] = level
            level += 1
        rows.append(level)
        level += 1
    picture, ax = new_picture(height=0.29 * level + 0.4)
    for (k, column), share in np.ndenumerate(mistaken):
        if k == same:
            continue
        ax.add_patch(_box(column, rows[k], 1, edgecolor=LINE, facecolor="none"))
        ax.add_patch(_box(column, rows[k], share, facecolor=VERMILION, alpha=0.55))
        look = {"ha": "center", "va": "center", "weight": "bold" if share > 0.05 else "normal"}
        ax.text(column + 0.5, rows[k] + 0.5, f"{share:.0%}", **look)
    if same is not None:
        middle = (len(tolerances) / 2, rows[same] + 0.5)
        across = (len(tolerances) - 0.12) / 0.88  # from the first frame's edge to the last's
        ax.add_patch(_box(0, rows[same], across, facecolor=SOFT, alpha=0.2))
        ax.annotate("right numbers: nothing to catch", middle, ha="center", va="center")
    for layer, at in headings.items():
        ax.text(-1.45, at + 0.55, layer, va="center", weight="bold")
        ax.plot([-1.45, len(tolerances)], [at + 0.06] * 2, color=LINE, linewidth=1, clip_on=False)
    for at, (_, given) in zip(rows, trials, strict=True):
        ax.text(-1.45, at + 0.5, given, va="center")
    ax.set_xticks(np.arange(len(tolerances)) + 0.5, tolerances)
    ax.set(xlim=(-1.5, len(tolerances)), ylim=(level, 0), yticks=[])
    ax.tick_params(length=0)
    ax.xaxis.tick_top()
    ax.spines[:].set_visible(False)
    return picture


def _box(column, row, share, **look):
    return Rectangle((column + 0.06, row + 0.12), 0.88 * share, 0.76, linewidth=1, **look)


def lost(losses, right, blind):
    """Draw what a trained model loses to each wrong layer in the place of its LayerNorms.

    Args:
        losses: {code of the bug: the loss of the model with it}.
        right: the loss of the model as it is.
        blind: the loss of one that holds all characters for equally likely.
    """
    picture, ax = new_picture(height=0.27 * len(losses) + 0.9)
    for level, code in enumerate(sorted(losses, key=losses.get)):
        value = losses[code]
        ax.plot([right, value], [level] * 2, color=VERMILION, linewidth=2, alpha=0.4)
        ax.plot(value, level, "o", color=VERMILION)
        name(ax, WRONG[code], (0, level), offset=(-6, 0))
        name(ax, f"{value:.3f}", (value, level), offset=(8, 0))
    for text, value in (("right", right), ("blind guess", blind)):
        ax.axvline(value, 0, 0.95, color=INK, linewidth=1, zorder=0)
        ax.annotate(text, (value, -1.1), ha="center", va="center")
    ax.set(xlim=(0, 5.6), ylim=(len(losses) - 0.5, -1.5), yticks=[], xticks=range(6))
    ax.set_xlabel("mean loss for a character")
    ax.spines["left"].set_visible(False)
    return picture


def further(right, wrong, allowed, steps):
    """Draw how far a right layer and a wrong one are from PyTorch, a dot for each draw.

    Args:
        right, wrong: (what it was asked, array of shape (draws,), the largest differences).
        allowed: {name: the difference that a tolerance allows}.
        steps: array of shape (draws,), how many float32 steps apart the right layer is.
    """
    picture, ax = new_picture(height=2.3)
    rng = np.random.default_rng(0)
    for level, ((asked, values), colour) in enumerate(((right, X_HAT), (wrong, VERMILION))):
        ax.plot(values, level + rng.uniform(-0.22, 0.22, len(values)), ".", color=colour, alpha=0.5)
        if level:
            name(ax, asked, (values.max(), level))
        else:
            name(ax, asked, (np.median(values), -0.3), offset=(0, 7))
            for count in range(5):
                if not (steps == count).any():
                    continue
                text = "1 step" if count == 1 else str(count)
                name(ax, text, (np.median(values[steps == count]), 0.42), SOFT, offset=(0, 0))
    for text, value in allowed.items():
        ax.axvline(value, 0, 0.86, color=INK, linewidth=1)
        ax.annotate(text, (value, -0.85), ha="center", va="center")
    ax.set(xscale="log", xlim=(3e-6, 1e-2), ylim=(1.4, -1.05), yticks=[])
    ax.set_xlabel("largest difference from PyTorch in one draw")
    ax.spines["left"].set_visible(False)
    return picture


def allowances(comparisons):
    """Draw how far PyTorch and a layer are from float64 in each case, and how far they may be.

    Args:
        comparisons: of a report, one for each case.
    """
    picture, ax = new_picture(height=0.2 * len(comparisons) + 0.7)
    least = 1e-18  # where exact results stand, on the edge of a log axis
    for level, c in enumerate(comparisons):
        own, error, allowed = (max(v, least) for v in (c.pytorch_error, c.error, c.allowed))
        ax.plot([own, allowed], [level, level], color=LINE, linewidth=1)
        ax.plot(allowed, level, "|", color=INK, markersize=10)
        ax.plot(own, level, "o", color=BLUE, markersize=6)
        ax.plot(error, level, "o", color=X_HAT, markersize=3.5)
    name(ax, "allowed", (allowed, level), offset=(0, -12))
    name(ax, "PyTorch", (own, level), BLUE, offset=(-6, -12))
    name(ax, "the book", (own, level), X_HAT, offset=(6, -12))
    ax.set_yticks(range(len(comparisons)), [c.case for c in comparisons])
    ax.set(xscale="log", xlabel="largest error", ylim=(len(comparisons) + 0.6, -0.8))
    return picture


def _note(ax, text):
    """Write `text` above the right end of `ax`."""
    ax.annotate(text, (1, 1), xycoords="axes fraction", ha="right", va="bottom", color=SOFT)
