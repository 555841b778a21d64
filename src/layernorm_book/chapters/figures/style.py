"""How do the book's pictures look, and how does a notebook get to show them?

One colour stands for one quantity throughout the book, in the labs too: x blue, x − μ sky, x̂
green, γ and β ochre, y orange, gradients purple. Each is a CSS variable, so that a picture follows
the switch between light and dark, in the book and in a live notebook, and needs no ground of its
own. A panel is narrow enough to be read on a phone; where there is room, panels stand side by side.
"""

import math
import re
from hashlib import sha256
from io import StringIO
from itertools import count
from xml.etree import ElementTree

import matplotlib
import numpy as np
from cycler import cycler
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.ticker import LogFormatterSciNotation

# name: (light, dark)
COLOURS = {
    "ink": ("#22272e", "#e6eaef"),
    "soft": ("#59636e", "#a3adb8"),
    "line": ("#c3cad3", "#4a535e"),
    "ground": ("#ffffff", "#121212"),
    "x": ("#0072b2", "#4ea8e0"),
    "centred": ("#56b4e9", "#8fd0f5"),
    "x_hat": ("#009e73", "#35c498"),
    "affine": ("#8a6d00", "#d9b53c"),
    "y": ("#d55e00", "#f0874a"),
    "gradient": ("#a4488a", "#dc9ac8"),
}
INK, SOFT, LINE, GROUND, X, CENTRED, X_HAT, AFFINE, Y, GRADIENT = (
    light for light, _ in COLOURS.values()
)
# The same six where they stand for no quantity; readers with any colour vision tell them apart.
BLUE, SKY, GREEN, ORANGE, VERMILION, PURPLE = X, CENTRED, X_HAT, AFFINE, Y, GRADIENT

STYLE = {
    "axes.edgecolor": LINE,
    "axes.facecolor": "none",
    "axes.grid": False,
    "axes.labelcolor": INK,
    "axes.labelsize": "medium",
    "axes.prop_cycle": cycler(color=[BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY]),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlesize": "medium",
    "figure.facecolor": "none",
    "font.size": 10,
    "legend.fontsize": "medium",
    "svg.fonttype": "none",  # text stays text: half the bytes, and it can be searched
    "svg.hashsalt": "layernorm-book",  # the same picture gives the same bytes
    "text.color": INK,
    "xtick.color": LINE,
    "xtick.labelcolor": INK,
    "xtick.labelsize": "medium",
    "ytick.color": LINE,
    "ytick.labelcolor": INK,
    "ytick.labelsize": "medium",
}
# In inches: text of 10 points in a panel this wide is 11 pixels high on a phone of 390, and two of
# the others stand side by side in the book's column.
ALONE, BESIDE = 4.5, 3.5

DARK = (
    'html[data-theme="dark"]',
    'html[theme="dark"]',
    'body[data-jp-theme-light="false"]',
    "body.vscode-dark",
    "body.vscode-high-contrast",
)
SAID = "html:not([data-theme], [theme]) body:not([data-jp-theme-light], [class*='vscode'])"


def _css():
    """Return the rules for all pictures: their colours, and how panels stand."""
    light, dark = (
        "".join(f"--fig-{name}:{pair[i]};" for name, pair in COLOURS.items()) for i in (0, 1)
    )
    named = ",".join(f"{theme} .ln-figure" for theme in DARK)
    return (
        f".ln-figure{{{light}display:flex;flex-wrap:wrap;align-items:start;gap:1rem;"
        "margin:.25rem 0;font-family:var(--ln-sans,system-ui),sans-serif}"
        ".ln-figure svg{max-width:100%;height:auto;overflow:visible;stroke-linejoin:round}"
        ".ln-figure svg:only-child{width:31rem}"
        ".ln-figure text{fill:var(--fig-ink)}"
        f"@media screen{{{named}{{{dark}}}}}"
        f"@media screen and (prefers-color-scheme:dark){{{SAID} .ln-figure{{{dark}}}}}"
    )


CSS = _css()


class Picture:
    """Panels, each a matplotlib figure, that a notebook shows as SVG: side by side, or not."""

    def __init__(self, figures):
        self.figures = figures

    def _repr_html_(self):
        """Return the panels as HTML. Its words for those who do not see it come from the cell."""
        panels = "".join(map(_svg, self.figures))
        return f'<style>{CSS}</style><div class="ln-figure" role="img">{panels}</div>'


def new_picture(rows=1, columns=1, width=ALONE, height=2.8, **kwargs):
    """Return (picture, axes) in the book's style, axes as `subplots` gives them.

    Args:
        rows: axes in each panel, one below the other.
        columns: panels, each a figure of its own.
        width, height: of the whole picture, in inches. A panel is never too wide for a phone.
        kwargs: as in `subplots`, for the rows of each panel.
    """
    width = min(width / columns, ALONE if columns == 1 else BESIDE)
    panels = [new_panel(width, height) for _ in range(columns)]
    with matplotlib.rc_context(STYLE):
        axes = [figure.subplots(rows, 1, **kwargs) for figure in panels]
    return Picture(panels), axes[0] if columns == 1 else axes


def new_panel(width, height, layout="constrained"):
    """Return a matplotlib figure in the book's style, for a picture to hold."""
    with matplotlib.rc_context(STYLE):
        return Figure(figsize=(width, height), layout=layout)


def name(ax, text, point, colour=INK, offset=(6, 0), **kwargs):
    """Write the name of a line or a mark beside a point of it, `offset` in points away."""
    side = "left" if offset[0] > 0 else "right" if offset[0] < 0 else "center"
    look = {"ha": side, "va": "center", "color": colour, "textcoords": "offset points"}
    return ax.annotate(text, point, offset, **(look | kwargs))


def name_all(ax, named, gap=12.5):
    """Write names to the right of points, moved up or down where they would lie on each other.

    Args:
        named: list of (text, point, colour).
        gap: points between two names, at least.
    """
    height = 72 * ax.figure.get_figheight() * 0.8  # of the axes, nearly: labels take the rest

    def level(point):
        return height * ax.transAxes.inverted().transform(ax.transData.transform(point))[1]

    places = sorted((level(point), text, point, colour) for text, point, colour in named)
    wanted = [place for place, *_ in places]
    free = list(wanted)
    for _ in range(100):  # push neighbours apart, half the way each, until all have room
        for k in range(1, len(free)):
            push = max(0.0, gap - (free[k] - free[k - 1])) / 2
            free[k - 1], free[k] = free[k - 1] - push, free[k] + push
    for at, was, (_, text, point, colour) in zip(free, wanted, places, strict=True):
        name(ax, text, point, colour, (7, at - was))


def dots(ax, x, y, **look):
    """Draw many dots as one path: strokes of no length, with ends that are round or square."""
    points = np.repeat(np.column_stack([x, y]), 2, axis=0)
    path = Path(points, np.tile([Path.MOVETO, Path.LINETO], len(x)))
    path.should_simplify = False  # or nothing would be left
    ax.add_patch(PathPatch(path, facecolor="none", **{"capstyle": "round"} | look))
    ax.update_datalim(points)
    ax.autoscale_view()


def power_of_ten(value, _position=None, plain=1):
    """Return 1000 as 10³: text of one size, where matplotlib would set a formula.

    Up to 10 to the power of `plain`, and down to its inverse, the number is written out.
    """
    exponent = round(math.log10(value))
    return f"10{str(exponent).translate(RAISED)}" if abs(exponent) > plain else f"{value:g}"


# --- From matplotlib's SVG to one that is part of a page ---

VARIABLES = {light: f"var(--fig-{name},{light})" for name, (light, _) in COLOURS.items()}
COLOUR = re.compile("|".join(VARIABLES))
NUMBER = re.compile(r"-?\d+\.\d+(?:e-?\d+)?")
FONT = re.compile(r"font: (?:(italic|[5-9]00) )?([\d.]+)px [^;]*")
DOT = re.compile(r"M ([\d.]+ [\d.]+) +L \1(?=\s*(?:M|$))")
FAMILY = re.compile(r" ?font-family: [^;]*;?")
RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
COUNT = count()
SVG = "{http://www.w3.org/2000/svg}"
LINK = "{http://www.w3.org/1999/xlink}href"


def _svg(figure):
    """Return a figure as an <svg> whose colours are variables, without what nobody uses."""
    for legend in filter(None, (ax.get_legend() for ax in figure.axes)):
        legend.set_frame_on(False)
    for axis in (axis for ax in figure.axes for axis in (ax.xaxis, ax.yaxis)):
        if isinstance(axis.get_major_formatter(), LogFormatterSciNotation):
            axis.set_major_formatter(power_of_ten)
            axis.set_minor_formatter("")
    out = StringIO()
    with matplotlib.rc_context(STYLE):
        figure.savefig(out, format="svg", transparent=True, metadata={"Date": None})
    text = out.getvalue()
    root = ElementTree.fromstring(text)
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag.endswith("}metadata") or child.find(f"{SVG}style") is not None:
                parent.remove(child)
    # Two notebooks may stand in one window, and two equal pictures in one notebook.
    stem = f"f{sha256(text.encode()).hexdigest()[:5]}{next(COUNT)}"
    used = sorted({a or b for a, b in re.findall(r'href="#([^"]+)|url\(#([^)]+)\)', text)})
    own = {id: f"{stem}-{number}" for number, id in enumerate(used)}
    for element in root.iter():
        _trim(element, own)
    _unwrap(root)
    width, height = (round(float(v) * 4 / 3) for v in root.get("viewBox").split()[2:])
    box = root.get("viewBox")
    root.attrib.clear()
    root.attrib.update(viewBox=box, width=str(width), height=str(height))
    text = ElementTree.tostring(root, encoding="unicode").replace("ns0:", "").replace(":ns0", "")
    return re.sub(r">\s+<", "><", text).replace(' xmlns="http://www.w3.org/2000/svg"', "")


def _trim(element, own):
    """Shorten the attributes of one element."""
    for name, value in list(element.attrib.items()):
        if name == "id":
            del element.attrib[name]
            if value in own:
                element.set("id", own[value])
        elif name == LINK:
            del element.attrib[name]
            element.set("href", f"#{own[value[1:]]}")
        else:
            value = re.sub(r"url\(#([^)]+)\)", lambda m: f"url(#{own[m[1]]})", value)
            value = FAMILY.sub("", FONT.sub(_font, value))
            digits = 2 if len(value) < 20_000 else 1  # thousands of dots need no hundredths
            value = NUMBER.sub(lambda m: f"{round(float(m[0]), digits):g}", value)  # noqa: B023
            value = DOT.sub(r"M\1h0", value)
            value = COLOUR.sub(lambda m: VARIABLES[m[0]], value)
            element.set(name, " ".join(value.split()) if name != "style" else value)
    if element.text and not element.text.strip():
        element.text = None
    element.tail = None


def _font(match):
    kind = {"italic": ";font-style:italic", None: ""}.get(match[1], f";font-weight:{match[1]}")
    return f"font-size:{match[2]}px{kind}"


def _unwrap(parent):
    """Put what stands in a group that says nothing in its place; drop what is not to be seen."""
    for child in list(parent):
        _unwrap(child)
        if child.tag == f"{SVG}path" and child.get("style") == "fill: none":
            parent.remove(child)
        if child.tag in (f"{SVG}g", f"{SVG}defs") and not child.attrib:
            if child.tag == f"{SVG}defs" and len(child):
                continue
            place = list(parent).index(child)
            parent.remove(child)
            for offset, inner in enumerate(child):
                parent.insert(place + offset, inner)
