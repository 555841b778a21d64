"""How do the book's pictures look, and how does a notebook get to show them?

Colours are those of Okabe and Ito, told apart by readers with any kind of colour vision, on a
ground of its own, so that a picture reads the same on a light and on a dark page.
"""

from io import StringIO

import matplotlib
from cycler import cycler
from matplotlib.figure import Figure

BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#D55E00",
    "#CC79A7",
    "#56B4E9",
)
INK, GREY = "#22272e", "#6b7280"

STYLE = {
    "axes.edgecolor": GREY,
    "axes.grid": False,
    "axes.labelcolor": INK,
    "axes.prop_cycle": cycler(
        color=[BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY],
    ),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlesize": "medium",
    "figure.facecolor": "#ffffff",
    "font.size": 11,
    "svg.fonttype": "none",  # text stays text: half the bytes, and it can be searched
    "svg.hashsalt": "layernorm-book",  # the same picture gives the same bytes
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}


class Picture(Figure):
    """A matplotlib figure that a notebook shows as SVG, whatever its backend."""

    def _repr_svg_(self):
        drawn = (ax.get_legend() for ax in self.axes)
        for legend in (*self.legends, *filter(None, drawn)):
            legend.set_frame_on(False)
        out = StringIO()
        with matplotlib.rc_context(STYLE):
            self.savefig(out, format="svg", metadata={"Date": None})
        return out.getvalue()


def new_picture(rows=1, columns=1, width=7.0, height=2.8, **kwargs):
    """Return (picture, axes) in the book's style; sizes in inches, `kwargs` as in `subplots`."""
    with matplotlib.rc_context(STYLE):
        picture = Picture(figsize=(width, height), layout="constrained")
        return picture, picture.subplots(rows, columns, **kwargs)
