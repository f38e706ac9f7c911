"""The figure of the page: the measured change of every pair of commits, by tool."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from gradbench.report.drawing import COLOURS, WIDTH, style, svg
from studies.regressions.part import Point

# The first figure of the page is as wide as its column, in inches.
WIDE = 9.9


def ratios(points: Sequence[tuple[str, Point]], narrow: bool = False) -> str:
    """The figure: a row for each label, a filled mark where the tool reported a change."""
    rows = list(dict.fromkeys(label for label, _ in points))
    with style():
        figure = Figure(figsize=(WIDTH if narrow else WIDE, 0.7 + 0.42 * len(rows)), layout="constrained")
        axes = figure.add_subplot()
        axes.axvline(0, color=COLOURS["faint"], linewidth=0.8)
        for label, point in points:
            paint = COLOURS["slower" if point.reported else "same"]
            axes.plot(
                [100 * (point.ratio - 1)], [rows.index(label)], "o", color=paint, markersize=5,
                fillstyle="full" if point.reported else "none",
            )  # fmt: skip
        axes.set_yticks(range(len(rows)), rows)
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x", color=COLOURS["grid"], linewidth=0.5)
        axes.set_xlabel("measured change, %")
        return svg(figure, f"ratios{' narrow' if narrow else ''}")


def in_words(points: Sequence[tuple[str, Point]]) -> str:
    """The figure in words."""
    said = []
    for row in dict.fromkeys(label for label, _ in points):
        alike = [point for label, point in points if label == row]
        ends = [100 * (end(point.ratio for point in alike) - 1) for end in (min, max)]
        reported = sum(point.reported for point in alike)
        said.append(f"{row}: {ends[0]:+.1f} to {ends[1]:+.1f} %, {reported} of {len(alike)} reported")
    return "; ".join(said)
