"""Plots for notebooks and scripts, on matplotlib's axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gradbench import format
from gradbench.record.interval import Interval
from gradbench.report.drawing import Theme
from gradbench.report.figures import Row, draw_rows
from gradbench.report.palette import LIGHT

# A notebook shows figures on white, also where its theme is dark.
NOTEBOOK = Theme(LIGHT, 9.5, "none")
WIDTH = 6.0

# The name of a row, its ratio, and the verdict on it.
Drawn = tuple[str, Interval | None, str]


def axes_for(axes: Any, rows: int) -> Any:
    """The given axes, or those of a new figure of pyplot, as high as `rows` rows need."""
    if axes is None:
        from matplotlib import pyplot

        _, axes = pyplot.subplots(figsize=(WIDTH, 0.9 + 0.32 * max(1, rows)), layout="constrained")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return axes


def draw_ratios(
    axes: Any,
    rows: Sequence[Drawn],
    band: tuple[float, float] | None,
    label: str,
) -> Any:
    """Draw a row with name, ratio and verdict for every entry; a dash where there is no ratio.

    Args:
        axes: of matplotlib; None makes a new figure.
        band: a ratio inside it may be that of identical code.
        label: of the axis: which time is divided by which.
    """
    on = axes_for(axes, len(rows))
    drawn = [
        Row(name, ratio, NOTEBOOK.colours.get(verdict, NOTEBOOK["same"]), verdict in ("faster", "slower"))
        for name, ratio, verdict in rows
    ]
    draw_rows(on, drawn, band, label, NOTEBOOK)
    return on


def draw_bars(axes: Any, bars: Sequence[tuple[str, float]], label: str) -> Any:
    """Draw a bar for every name with its seconds, the first at the top; `axes` as in `draw_ratios`."""
    on = axes_for(axes, len(bars))
    drawn = on.barh([name for name, _ in bars], [seconds for _, seconds in bars], color=NOTEBOOK["line1"])
    on.bar_label(drawn, [format.seconds(seconds) for _, seconds in bars], padding=4)
    on.invert_yaxis()
    on.margins(x=0.2)
    on.xaxis.set_major_formatter(lambda value, _: format.seconds(value))
    on.set_xlabel(label)
    return on
