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
    VERMILION,
    new_picture,
)

HUES = {
    "agrees": GREEN,
    "limit": SKY,
    "one-plus": ORANGE,
    "half": BLUE,
    "eps": PURPLE,
    "rest": VERMILION,
}
SAID = {
    "agrees": "agree in all that they were asked",
    "limit": "agree, with a limit",
    "one-plus": "are right once 1 is taken off γ",
    "half": "are right in float32, not in half precision",
    "eps": "have another ε, or have it elsewhere",
    "rest": "take one pass, or fit no known formula",
}
ACROSS = 22  # dots in a line
DTYPES = ("float64", "float32", "float16", "bfloat16")
LIMITS = {  # the dtypes in which a limit is felt
    "narrows-float64": ("float64",),
    "rounds-before-scale": ("float16", "bfloat16"),
    "float32-parameters": ("float64", "float16", "bfloat16"),
}


def each_layer(rows):
    """Draw each layer that was compared as a dot, in a block for each group; slips have a ring.

    Args:
        rows: those of census.json.
    """
    picture, ax = new_picture(height=4.9)
    down = 0.0
    for group, colour in HUES.items():
        members = [row for row in rows if group_of(row) == group]
        members.sort(key=is_slip)
        ax.text(-0.4, down, f"{len(members)}", color=INK, weight="bold", va="center")
        ax.text(1.4, down, SAID[group], color=INK, va="center")
        across, lines = _places(len(members), down + 1.05)
        ax.plot(across, lines, "o", color=colour, markersize=8.5, markeredgewidth=0)
        ringed = [at for at, row in enumerate(members) if is_slip(row)]
        ax.plot(
            [across[at] for at in ringed],
            [lines[at] for at in ringed],
            "o",
            color=colour,
            markersize=9.5,
            markeredgecolor=INK,
            markeredgewidth=1.6,
        )
        down = lines[-1] + 1.5
    ax.set(xlim=(-0.6, ACROSS - 0.4), ylim=(down - 0.8, -0.7))
    ax.axis("off")
    return picture


def _places(count, top):
    places = [divmod(at, ACROSS) for at in range(count)]
    return [across for _, across in places], [top + line for line, _ in places]


def in_precisions(rows):
    """Return {dtype: Counter of groups}: what came of it in each dtype, where it was asked.

    A layer whose fault or limit shows in other dtypes alone agrees in this one.

    Args:
        rows: those of census.json that were compared.
    """
    return {
        dtype: Counter(_came(row, dtype) for row in rows if dtype in row.get("dtypes", DTYPES))
        for dtype in DTYPES
    }


def _came(row, dtype):
    limited = any(dtype in LIMITS[code] for code in row.get("limits", []))
    differs = dtype in row.get("fails_in", [])
    return group_of(row) if differs or limited else "agrees"


def agreement(rows):
    """Draw, of the layers that were compared, how many agree in which precision, and of which kind.

    Args:
        rows: those of census.json.
    """
    judged = [row for row in rows if "against" in row]
    picture, (precision, sort) = new_picture(1, 2, width=7.0, height=2.9)
    groups = {
        "LayerNorms": [row for row in judged if row["against"] == "layer_norm"],
        "RMSNorms": [row for row in judged if row["against"] == "rms_norm"],
        "on PyTorch": [row for row in judged if row["framework"] == "pytorch"],
        "on other frameworks": [row for row in judged if row["framework"] != "pytorch"],
    }
    most = len(judged)
    _stack(precision, in_precisions(judged), most)
    precision.set_title("By precision", loc="left")
    _stack(sort, {name: Counter(map(group_of, group)) for name, group in groups.items()}, most)
    sort.set_title("By what they are", loc="left")
    return picture


def _stack(ax, bars, most):
    """Draw bars of groups, one below the other, each part with its number where there is room."""
    for at, (name, parts) in enumerate(bars.items()):
        start = 0
        ax.text(0, at - 0.27, f"{name}: {sum(parts.values())}", color=INK, va="bottom")
        for group, colour in HUES.items():
            part = parts[group]
            ax.barh(at, part, left=start, height=0.5, color=colour, alpha=0.8, edgecolor=GROUND)
            if part >= most / 15:
                ax.text(start + part / 2, at, str(part), ha="center", va="center")
            start += part
    ax.set(xlim=(0, most), ylim=(3.4, -0.8))
    ax.axis("off")
