"""Where does ε stand, what does that do to the output, and which tests see it?"""

import numpy as np
from matplotlib.patches import Rectangle

from layernorm_book.chapters.figures.style import (
    BLUE,
    GREEN,
    GROUND,
    INK,
    LINE,
    PURPLE,
    SOFT,
    VERMILION,
    X_HAT,
    X,
    name,
    new_picture,
)

ROW_MARKERS = ((BLUE, "o"), (VERMILION, "s"), (GREEN, "^"), (PURPLE, "D"))


def inside_and_outside(x, eps=1e-5):
    """Draw one row, its x_hat with ε inside and outside the root, and the gap between the two.

    Args:
        x: float64 array of shape (n,).
        eps: the number that both versions add.
    """
    centred = x - x.mean()
    inside = centred / np.sqrt(x.var() + eps)
    outside = centred / (x.std() + eps)
    position = np.arange(len(x))

    picture, axes = new_picture(3, 1, height=5.2, sharex=True)
    axes[0].bar(position, x, color=X, width=0.6)
    axes[0].axhline(x.mean(), color=INK, linewidth=1.5)
    axes[1].bar(position - 0.17, inside, color=X_HAT, width=0.34, label="ε inside the root")
    open_bar = {"facecolor": GROUND, "edgecolor": X_HAT, "width": 0.34}
    axes[1].bar(position + 0.17, outside, label="ε outside", **open_bar)
    axes[1].legend(ncols=2, loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0)
    axes[2].bar(position, (outside - inside) * 1e5, color=SOFT, width=0.6)
    for ax, quantity in zip(axes, ("x", "x̂", "gap\n× 10⁵"), strict=True):
        ax.axhline(0, color=LINE, linewidth=1)
        ax.set_ylabel(quantity, rotation=0, labelpad=20, va="center")
    _note(axes[0], f"mean {x.mean():.3g}, σ = {x.std():.3g}")
    _note(axes[2], f"outside − inside, ε = {eps:.0e}")
    axes[2].set_xlabel("element")
    axes[2].set_xticks(position)
    return picture


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


def power(trials, tolerances, shares, right_rows=()):
    """Draw the share of runs in which each layer passes each test, wrong verdicts shaded.

    Args:
        trials: list of str, a layer and its input.
        tolerances: list of str.
        shares: array of shape (trials, tolerances), from 0 to 1.
        right_rows: indices of the trials whose layer is right, so that a failure is the error.
    """
    wrong_verdict = np.array(shares, dtype=float)
    wrong_verdict[list(right_rows)] = 1 - wrong_verdict[list(right_rows)]
    picture, ax = new_picture(height=0.34 * len(trials) + 0.5)
    for (row, column), share in np.ndenumerate(shares):
        look = {"facecolor": VERMILION, "alpha": 0.55 * wrong_verdict[row, column]}
        ax.add_patch(Rectangle((column + 0.02, row + 0.04), 0.96, 0.92, linewidth=0, **look))
        ax.text(column + 0.5, row + 0.5, f"{share:.0%}", ha="center", va="center")
    ax.set_xticks(np.arange(len(tolerances)) + 0.5, tolerances)
    ax.set_yticks(np.arange(len(trials)) + 0.5, trials)
    ax.set(xlim=(0, len(tolerances)), ylim=(len(trials), 0))
    ax.tick_params(length=0)
    ax.xaxis.tick_top()
    ax.spines[:].set_visible(False)
    return picture


def _note(ax, text):
    """Write `text` above the right end of `ax`."""
    ax.annotate(text, (1, 1), xycoords="axes fraction", ha="right", va="bottom", color=SOFT)
