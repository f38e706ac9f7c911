"""How every figure is drawn: its style, the page's colours, and the way from matplotlib to SVG."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager

import matplotlib
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

# A phone of 360 pixels shows this width without scaling, so that text keeps its size.
WIDTH = 3.35

# Drawn in these colours, which the page then replaces: matplotlib knows no CSS variables.
COLOURS = {
    "ink": "#010101", "faint": "#020202", "grid": "#030303", "slower": "#040404",
    "faster": "#050505", "same": "#060606", "band": "#070707", "paper": "#080808",
    "line0": "#090909", "line1": "#0a0a0a", "line2": "#0b0b0b", "line3": "#0c0c0c",
    "line4": "#0d0d0d", "line5": "#0e0e0e",
}  # fmt: skip

_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "gradbench",
    "font.size": 8.5,
    "font.family": "sans-serif",
    "text.color": COLOURS["ink"],
    "axes.edgecolor": COLOURS["faint"],
    "axes.labelcolor": COLOURS["ink"],
    "xtick.color": COLOURS["faint"],
    "ytick.color": COLOURS["faint"],
    "xtick.labelcolor": COLOURS["ink"],
    "ytick.labelcolor": COLOURS["ink"],
    "axes.spines.top": False,
    "axes.spines.right": False,
}


@contextmanager
def style() -> Iterator[None]:
    """Draw as the page looks."""
    with matplotlib.rc_context(_STYLE):
        yield


def svg(figure: Figure, name: str) -> str:
    """The figure as an SVG element that takes its colours from the page's style sheet.

    The name must be the figure's own in its page: what the SVG refers to inside itself begins with it.
    """
    text = io.StringIO()
    FigureCanvasSVG(figure).print_svg(text, metadata={"Date": None, "Creator": None})
    drawn = text.getvalue()
    drawn = drawn[drawn.index("<svg") :]
    drawn = re.sub(r"<metadata>.*?</metadata>", "", drawn, flags=re.DOTALL)
    for colour, stand_in in COLOURS.items():
        drawn = drawn.replace(stand_in, f"var(--{colour})")
    # The page's white is not the figure's business, and the page already says what the figure shows.
    drawn = re.sub(r'<g id="patch_1">.*?</g>', "", drawn, count=1, flags=re.DOTALL)
    drawn = re.sub(r'<g id="patch_2">.*?</g>', "", drawn, count=1, flags=re.DOTALL)
    # Names like axes_1 would stand in every figure of a page; nothing refers to them.
    drawn = re.sub(r' id="[A-Za-z.]+[A-Za-z0-9.]*_\d+"', "", drawn)
    prefix = re.sub(r"[^A-Za-z0-9]+", "-", name)
    drawn = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{prefix}-", drawn)
    return drawn.replace("<svg ", '<svg aria-hidden="true" focusable="false" ', 1)
