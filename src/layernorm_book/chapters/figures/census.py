"""How many published layers agree with PyTorch, in which precision, and what do the others do?"""

from collections import Counter

from layernorm_book.chapters.census import group_of, is_slip
from layernorm_book.chapters.figures.style import (
    BLUE,
    GREEN,
    GROUND,
    INK,
    ORANGE,
    PURPLE,
    SKY,
    SOFT,
    VERMILION,
    new_picture,
)

HUES = {
    "agrees": GREEN,
    "limit": SKY,
    "one-plus": ORANGE,
    "half": BLUE,
    "no-eps": PURPLE,
    "rest": VERMILION,
}
SAID = {
    "agrees": "agree in all that they were asked",
    "limit": "agree, with a limit",
    "one-plus": "store γ − 1, and scale by 1 + weight",
    "half": "are right in float32, and not in float16",
    "no-eps": "take no ε, and do not use PyTorch’s default",
    "rest": "are left",
}
BRIEF = {
    "agrees": "agree",
    "limit": "agree, with a limit",
    "one-plus": "1 + γ",
    "half": "half precision",
    "no-eps": "take no ε",
    "rest": "differ in another way",
    "unseen": "differ elsewhere, not seen here",
}
LOOKS = {
    group: {"facecolor": hue, "alpha": 0.8, "edgecolor": GROUND} for group, hue in HUES.items()
} | {"unseen": {"facecolor": "none", "hatch": "////", "edgecolor": SOFT, "linewidth": 0}}
ACROSS, BEFORE = 22, 38  # dots in a line
DTYPES = ("float64", "float32", "float16", "bfloat16")
LIMITS = {  # the dtypes in which a limit is felt
    "narrows-float64": ("float64",),
    "rounds-before-scale": ("float16", "bfloat16"),
    "float32-parameters": ("float64", "float16", "bfloat16"),
}


def before(rows):
    """Draw a dot for each layer that was compared, all alike: nobody has asked them yet.

    Args:
        rows: those of census.json.
    """
    picture, ax = new_picture(height=0.75)
    across, lines = _places(sum("against" in row for row in rows), 0, BEFORE)
    ax.plot(across, lines, "o", color=SOFT, markersize=5.6, markeredgewidth=0)
    ax.set(xlim=(-0.6, BEFORE - 0.4), ylim=(lines[-1] + 0.6, -0.6))
    ax.axis("off")
    return picture


def each_layer(rows):
    """Draw each layer that was compared as a dot, in a block for each group; slips have a ring.

    Args:
        rows: those of census.json.
    """
    picture, ax = new_picture(height=5.3)
    groups = {group: [row for row in rows if group_of(row) == group] for group in HUES}
    differ = sum(len(members) for members in list(groups.values())[2:])
    down = 0.0
    for group, members in groups.items():
        if group == "one-plus":  # the first of those that differ
            ax.text(
                -0.4,
                down,
                f"{differ} fail at least one comparison. Of these",
                color=SOFT,
                va="center",
            )
            down += 1.5
        members.sort(key=is_slip)
        ax.text(-0.4, down, f"{len(members)}", color=INK, weight="bold", va="center")
        ax.text(1.4, down, SAID[group], color=INK, va="center")
        across, lines = _places(len(members), down + 1.05)
        ax.plot(across, lines, "o", color=HUES[group], markersize=8.5, markeredgewidth=0)
        rings = {"markersize": 9.5, "markeredgecolor": INK, "markeredgewidth": 1.6}
        for at in [at for at, row in enumerate(members) if is_slip(row)]:
            ax.plot(across[at], lines[at], "o", color=HUES[group], **rings)
        down = lines[-1] + 1.5
    ax.set(xlim=(-0.6, ACROSS - 0.4), ylim=(down - 0.8, -0.7))
    ax.axis("off")
    return picture


def _places(count, top, across=ACROSS):
    places = [divmod(at, across) for at in range(count)]
    return [across for _, across in places], [top + line for line, _ in places]


def in_precisions(rows):
    """Return {dtype: Counter of groups}: what came of it in each dtype, where it was asked.

    A layer whose limit shows in other dtypes alone agrees in this one. One that differs in other
    dtypes alone is "unseen".

    Args:
        rows: those of census.json that were compared.
    """
    return {
        dtype: Counter(_came(row, dtype) for row in rows if dtype in row.get("dtypes", DTYPES))
        for dtype in DTYPES
    }


def _came(row, dtype):
    returned = row.get("message", {}).get("wrong-dtype", "")  # "float16: returned y of ..."
    if dtype in row.get("fails_in", []) or returned.startswith(f"{dtype}:"):
        return group_of(row)
    if row["verdict"] == "wrong":
        return "unseen"
    return "limit" if any(dtype in LIMITS[code] for code in row.get("limits", [])) else "agrees"


def agreement(rows):
    """Draw which share of the layers agrees in each precision.

    Args:
        rows: those of census.json.
    """
    bars = in_precisions([row for row in rows if "against" in row])
    picture, ax = new_picture(height=3.9)
    down = _legend(ax)
    for name, parts in bars.items():
        _bar(ax, name, parts, down)
        down += 1
    ax.set(xlim=(0, 1), ylim=(down - 0.6, -0.3))
    ax.axis("off")
    return picture


def _legend(ax):
    """Name the colours above the bars, two in a line; return where the bars may begin."""
    for at, (group, look) in enumerate(LOOKS.items()):
        x, y = 0.5 * (at % 2), 0.42 * (at // 2)
        ax.barh(y, 0.035, left=x, height=0.26, **look)
        ax.text(x + 0.05, y, BRIEF[group], color=INK, va="center")
    return 0.42 * (len(LOOKS) + 1) // 2 + 1.3


def _bar(ax, name, parts, down):
    """Draw shares of a whole in a line, each with its number of layers, above it where narrow."""
    whole, start = sum(parts.values()), 0.0
    ax.text(0, down - 0.32, f"{name}: {whole}", color=INK, va="bottom")
    for group, look in LOOKS.items():
        share = parts[group] / whole
        ax.barh(down, share, left=start, height=0.5, **look)
        at = start + share / 2
        if share > 0.05:
            hatched = {"facecolor": GROUND, "edgecolor": "none", "pad": 1}
            ground = hatched if group == "unseen" else None
            ax.text(at, down, f"{parts[group]}", ha="center", va="center", bbox=ground)
        elif share:
            ax.text(at, down - 0.29, f"{parts[group]}", ha="center", va="bottom")
        start += share
