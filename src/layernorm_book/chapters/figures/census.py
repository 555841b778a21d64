"""How many published layers agree with PyTorch, and what do the others do?"""

from layernorm_book.chapters.census import group_of, is_slip
from layernorm_book.chapters.figures.style import (
    BLUE,
    GREEN,
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
    "one-plus": "scale by 1 + weight",
    "half": "differ only in float16",
    "no-eps": "take no ε: theirs is fixed, or they have none",
    "rest": "differ in another way",
}
ACROSS = 22  # dots in a line


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
                f"{differ} differ in at least one comparison. Of these",
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


def _places(count, top):
    places = [divmod(at, ACROSS) for at in range(count)]
    return [across for _, across in places], [top + line for line, _ in places]
