"""The themes of figures, for the page and for a talk, and the writing of figures to files."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from gradbench.report.palette import LIGHT, Look

# A phone of 360 pixels shows this width without scaling, so that text keeps its size.
WIDTH = 3.35

# matplotlib knows no CSS variables. It draws in these colours, and the page replaces them.
COLOURS = {
    "ink": "#010101", "faint": "#020202", "grid": "#030303", "slower": "#040404",
    "faster": "#050505", "same": "#060606", "band": "#070707", "paper": "#080808",
    "line0": "#090909", "line1": "#0a0a0a", "line2": "#0b0b0b", "line3": "#0c0c0c",
    "line4": "#0d0d0d", "line5": "#0e0e0e",
}  # fmt: skip
LINES = tuple(colour for name, colour in COLOURS.items() if name.startswith("line"))


@dataclass(frozen=True)
class Theme:
    """How a figure looks: on the page, in a talk or in a notebook.

    Attributes:
        colours: by name; on the page placeholders, which become variables of its style sheet.
        text: points of its text; lines and marks grow with it.
        text_as: `none` leaves text to the reader's fonts, `path` draws it, identical everywhere.
    """

    colours: Mapping[str, str]
    text: float
    text_as: str

    def __getitem__(self, colour: str) -> str:
        return self.colours[colour]

    def points(self, on_the_page: float) -> float:
        """Convert points on the page to points in this theme."""
        return on_the_page * self.text / PAGE.text

    def line(self, look: Look) -> dict[str, Any]:
        """The arguments for matplotlib to draw a line with this look."""
        return {
            "color": self[look.colour],
            "linestyle": (0, look.dash) if look.dash else "-",
            "marker": look.marker,
        }


PAGE = Theme(COLOURS, 8.5, "none")
# For a projector: no text under 15 points on a slide of 13.3 by 7.5 inches.
TALK = Theme(LIGHT, 16.0, "path")


@contextmanager
def style(theme: Theme = PAGE) -> Iterator[None]:
    """Draw in this theme."""
    with matplotlib.rc_context(
        {
            "svg.fonttype": theme.text_as,
            "svg.hashsalt": "gradbench",
            "font.size": theme.text,
            "font.family": "sans-serif",
            "text.color": theme["ink"],
            "axes.edgecolor": theme["faint"],
            "axes.labelcolor": theme["ink"],
            "axes.linewidth": theme.points(0.8),
            "xtick.color": theme["faint"],
            "ytick.color": theme["faint"],
            "xtick.labelcolor": theme["ink"],
            "ytick.labelcolor": theme["ink"],
            "axes.spines.top": False,
            "axes.spines.right": False,
            "figure.facecolor": theme["paper"],
        }
    ):
        yield


def svg(figure: Figure, name: str) -> str:
    """The figure as an SVG element that takes its colours from the page's style sheet.

    The name must be unique in its page: references inside the SVG begin with it.
    """
    text = io.StringIO()
    FigureCanvasSVG(figure).print_svg(text, metadata={"Date": None, "Creator": None})
    drawn = text.getvalue()
    drawn = drawn[drawn.index("<svg") :]
    drawn = re.sub(r"<metadata>.*?</metadata>", "", drawn, flags=re.DOTALL)
    for colour, stand_in in COLOURS.items():
        drawn = drawn.replace(stand_in, f"var(--{colour})")
    # The page has its background, and a text that describes the figure.
    drawn = re.sub(r'<g id="patch_1">.*?</g>', "", drawn, count=1, flags=re.DOTALL)
    drawn = re.sub(r'<g id="patch_2">.*?</g>', "", drawn, count=1, flags=re.DOTALL)
    # Names like axes_1 would be in every figure of a page; nothing refers to them.
    drawn = re.sub(r' id="[A-Za-z.]+[A-Za-z0-9.]*_\d+"', "", drawn)
    prefix = re.sub(r"[^A-Za-z0-9]+", "-", name)
    drawn = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{prefix}-", drawn)
    return drawn.replace("<svg ", '<svg aria-hidden="true" focusable="false" ', 1)


def write_line(
    figure: Figure, up: float, words: str, size: float, colour: str, margin: float, bold: bool = False
) -> None:
    """Write a line of text, `up` inches from below, smaller than `size` where the margins leave less room."""
    width, height = figure.get_size_inches()
    text = figure.text(
        margin / width, up / height, words, fontsize=size, va="baseline", color=colour,
        fontweight="bold" if bold else "normal",
    )  # fmt: skip
    wide = text.get_window_extent().width / figure.dpi
    room = width - 2 * margin
    if wide > room:
        # Letters of a smaller size are on other dots: a line may be a little wider than in proportion.
        text.set_fontsize(0.98 * size * room / wide)


def settle(figure: Figure) -> None:
    """Fix all axes at the places of the layout engine. All formats then have the same layout."""
    if engine := figure.get_layout_engine():
        engine.execute(figure)
    figure.set_layout_engine("none")
    for axes in figure.axes:
        # The solver's last digits differ from call to call, and matplotlib makes names in an SVG from them.
        left, bottom, width, height = (round(each, 6) for each in axes.get_position().bounds)
        axes.set_position((left, bottom, width, height))


def picture(figure: Figure, form: str, title: str, theme: Theme, description: str = "") -> bytes:
    """The figure as a separate file, `svg` or `png`; equal figures give equal bytes.

    A PNG holds the description as text.
    """
    content = io.BytesIO()
    with style(theme):
        if form == "svg":
            dpi = figure.dpi
            FigureCanvasSVG(figure).print_svg(content, metadata={"Title": title, "Date": None})
            # Printing sets the figure to the 72 dots of an SVG.
            figure.dpi = dpi
        else:
            words = {"Title": title, **({"Description": description} if description else {})}
            FigureCanvasAgg(figure).print_png(content, metadata={**words, "Software": None})
    return content.getvalue()
