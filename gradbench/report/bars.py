"""The bytes of one execution by method, where methods differ, and the bars that show them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from matplotlib.ticker import NullLocator

from gradbench import format
from gradbench.analyse.model import ComparisonSummary
from gradbench.report.drawing import Theme

# The figures of memory that have bars, and their heads.
FIGURES = ("peak", "saved", "retained")
HEADS = ("peak", "kept by the graph (saved)", "retained")
# The patterns of bars, for readers without colours: full, hatched, dotted.
PATTERNS = ("", "////", "...")


@dataclass(frozen=True)
class Row:
    """A method and its bytes, in the order of FIGURES; None where they are not known."""

    name: str
    values: tuple[int | None, ...]


@dataclass(frozen=True)
class Bars:
    """The rows of a comparison, and the largest absolute figure: one scale for all bars.

    A figure below 0 is memory that an execution releases: a backward frees the graph of the forward.
    """

    rows: tuple[Row, ...]
    highest: int

    def share(self, value: int | None) -> float:
        """The length of a bar, from 0 to 1; 0 for an unknown figure."""
        return abs(value or 0) / self.highest


def bars(comparison: ComparisonSummary) -> Bars | None:
    """The bars of a comparison; None where its methods do not differ, or have no known bytes."""
    rows = tuple(
        Row(
            variant.name,
            tuple(None if variant.memory is None else getattr(variant.memory, name) for name in FIGURES),
        )
        for variant in comparison.methods
    )
    known = {row.values for row in rows if any(value is not None for value in row.values)}
    if len(known) < 2:
        return None
    return Bars(rows, max(abs(value) for values in known for value in values if value is not None))


def draw_bars(row_of_axes: Any, found: Bars, theme: Theme) -> None:
    """Draw the bars in three axes side by side, with the figures beside the bars."""
    lowest = min(value for row in found.rows for value in row.values if value is not None)
    for index, (axes, head) in enumerate(zip(row_of_axes, HEADS, strict=True)):
        values = [row.values[index] for row in found.rows]
        places = range(len(values))
        paint, pattern = theme[f"line{index + 1}"], PATTERNS[index]
        # The pattern is in the colour of the edge. Without one the bar is full.
        axes.barh(
            places, [value or 0 for value in values], height=0.62, edgecolor=paint, hatch=pattern,
            facecolor=theme["paper"] if pattern else paint, linewidth=theme.points(0.8),
        )  # fmt: skip
        axes.vlines(0, -0.5, len(values) - 0.5, color=theme["faint"], linewidth=theme.points(0.8))
        for place, value in zip(places, values, strict=True):
            axes.annotate(
                format.size(value), (max(value or 0, 0), place), xytext=(theme.points(3), 0),
                textcoords="offset points", va="center", fontsize=theme.points(8), color=theme["ink"],
            )  # fmt: skip
        # One scale for all three; room for the figures on the right.
        axes.set_xlim(min(lowest, 0) * 1.05, found.highest * 1.62)
        # A few rows do not become thick bars.
        axes.set_ylim(max(len(values), 7) - 0.4, -0.6)
        axes.xaxis.set_major_locator(NullLocator())
        axes.set_yticks(places, [row.name for row in found.rows] if index == 0 else [""] * len(values))
        axes.tick_params(axis="y", length=0)
        axes.spines[["left", "bottom"]].set_visible(False)
        axes.annotate(
            head, (0, 1), xycoords=axes.get_xaxis_transform(), xytext=(0, theme.points(3)),
            textcoords="offset points", color=theme["ink"],
        )  # fmt: skip
