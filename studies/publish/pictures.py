"""The figure of the newest run as pictures: for the README, and for links in social networks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from gradbench import format
from gradbench.analyse.analysis import Analysis
from gradbench.report.drawing import Theme, picture, settle, style, write_line
from gradbench.report.glance import METHODS, Glance, draw_glance, glance_of, headline
from gradbench.report.palette import LIGHT
from gradbench.report.slides import source

ABOUT = "gradbench: what gradient control costs in PyTorch"


@dataclass(frozen=True)
class Form:
    """A picture, on white paper.

    Attributes:
        name: of its file in reports/.
        size: width and height in inches.
        dpi: dots per inch.
        text: points of its text.
        about: whether its title describes gradbench instead of the measured figures.
    """

    name: str
    size: tuple[float, float]
    dpi: int
    text: float
    about: bool = False


# The README is about 830 pixels wide: there a dot is half a pixel. A card has the size that networks ask for.
FORMS = (
    Form("glance.png", (8.0, 4.7), 200, 8.5),
    Form("card.png", (8.0, 4.0), 160, 9.5, about=True),
)
MARGIN = 0.25


def write(run: Analysis, reports: Path) -> list[Path]:
    """Write the pictures of a run into reports/. A run with too little data removes those of older runs."""
    found = glance_of(run)
    paths = [reports / form.name for form in FORMS]
    if found is None:
        for path in paths:
            path.unlink(missing_ok=True)
        return []
    for form, path in zip(FORMS, paths, strict=True):
        path.write_bytes(_drawn(found, form, source(run.results)))
    return paths


def _drawn(found: Glance, form: Form, origin: str) -> bytes:
    theme = Theme(LIGHT, form.text, "path")
    width, height = form.size
    own = found.comparisons[0].comparison
    lines = (headline(found), f"Time that a method adds to a call with {found.baseline} ({own.device})")
    title, note = (ABOUT, lines[0]) if form.about else lines
    with style(theme):
        figure = Figure(figsize=form.size, dpi=form.dpi)
        figure.set_canvas(FigureCanvasAgg(figure))
        write_line(figure, height - 0.4, title, 1.7 * form.text, theme["ink"], MARGIN, bold=True)
        write_line(figure, height - 0.67, note, 1.15 * form.text, theme["faint"], MARGIN)
        write_line(figure, 0.15, origin, 0.85 * form.text, theme["faint"], MARGIN)
        box = (MARGIN / width, 0.38 / height, 1 - 2 * MARGIN / width, (height - 0.8 - 0.38) / height)
        figure.set_layout_engine("constrained", rect=box)
        draw_glance(figure.add_subplot(), found, theme)
        settle(figure)
    return picture(figure, "png", title, theme, described(found))


def described(found: Glance) -> str:
    """All marks of a picture in words. A test compares them with the stored data."""
    listed = [
        f"{METHODS[name]}: "
        + ", ".join(
            f"{'' if point.shown else 'at most '}{max(0.0, point.price or 0.0):.4f} % of {point.work:.4e} s"
            for point in points
        )
        for name, points in found.points.items()
    ]
    block = format.seconds(found.empty_block)
    return f"{headline(found)}. {'; '.join(listed)}. An empty no_grad() block: {block}."
