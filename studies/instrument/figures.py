"""The figures of the page, from the numbers of `analysis`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from gradbench.record.interval import Interval
from gradbench.report.drawing import COLOURS, LINES, PAGE, WIDTH, style, svg
from gradbench.report.palette import LOOKS, SOLID, Look
from studies.instrument.analysis import Table, share_interval
from studies.instrument.simulation import Coverage

# A control looks as in every chart of a report. No report shows nullcontext.
CONTROLS = {**LOOKS, "nullcontext": Look("faint", SOLID, "x")}
# How the mark of a control is filled, by the operation before the control.
FILLS: dict[str, Literal["full", "none", "left"]] = {
    "": "full", "reading": "full", "writing": "none", "computing": "left"
}  # fmt: skip
# Readers who do not see the colours see the marks.
MARKS = "os^"
# The first figure is as wide as the column of its page, in inches.
WIDE = 9.9


def _canvas(height: float) -> tuple[Figure, Any]:
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    return figure, figure.add_subplot()


def coverage(rows: Sequence[Coverage]) -> str:
    """The share of simulated runs whose interval holds the truth, by regime."""
    with style():
        figure, axes = _canvas(0.6 + 0.22 * len(rows))
        axes.axvspan(93, 97, color=COLOURS["band"], linewidth=0)
        axes.axvline(95, color=COLOURS["faint"], linewidth=0.8)
        for place, row in enumerate(rows):
            low, high = (100 * each for each in share_interval(round(row.covered * row.runs), row.runs))
            paint = COLOURS["slower"] if high < 93 or low > 97 else COLOURS["faster"]
            axes.plot([low, high], [place, place], color=paint, linewidth=2)
            axes.plot([100 * row.covered], [place], "o", color=paint, markersize=4)
        axes.set_yticks(range(len(rows)), [row.regime for row in rows])
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.tick_params(axis="y", length=0)
        axes.set_xlabel("intervals that hold the truth, %")
        return svg(figure, "coverage")


def p_values(values: Sequence[float]) -> str:
    """Identical variants: their p-values, which are uniform where the test keeps its level."""
    with style():
        figure, axes = _canvas(1.9)
        counts, edges = numpy.histogram(values, bins=20, range=(0, 1))
        colours = [COLOURS["slower"], *[COLOURS["line1"]] * 19]
        axes.bar(edges[:-1], counts, width=0.046, align="edge", color=colours, linewidth=0)
        axes.axhline(len(values) / 20, color=COLOURS["ink"], linewidth=0.8)
        axes.set_xlabel("p of a comparison of identical variants")
        axes.set_ylabel("comparisons")
        return svg(figure, "p")


def power(curves: dict[str, list[tuple[float, float]]]) -> str:
    """The smallest difference that is found in four of five runs, by the time that the run has."""
    with style():
        figure, axes = _canvas(2.3)
        for paint, dash, (name, points) in zip(LINES, ("-", "--"), curves.items(), strict=False):
            axes.plot(
                [x for x, _ in points], [100 * y for _, y in points], color=paint, linestyle=dash, label=name
            )
        _logarithmic(axes, "xy")
        axes.set_xlabel("seconds, starts of processes included")
        axes.set_ylabel("smallest difference, %")
        axes.grid(color=COLOURS["grid"], linewidth=0.5)
        axes.legend(frameon=False, fontsize=8)
        return svg(figure, "power")


def added(rows: Table, horizontal: str, label: str, unit: float) -> str:
    """The time that each control adds, in µs, over a quantity that grows."""
    names = list(dict.fromkeys(name for row in rows for name in row["added"]))
    with style():
        figure, axes = _canvas(2.9)
        for name in names:
            control, _, done = name.partition(" after ")
            look = PAGE.line(CONTROLS[control.removesuffix("()")])
            points = [
                (row[horizontal] / unit, row["added"][name])
                for row in rows
                if row["added"].get(name) is not None and row["added"][name].mean > 0
            ]
            where = [x for x, _ in points]
            axes.plot(where, [1e6 * each.mean for _, each in points], **look, markersize=4.5,
                      fillstyle=FILLS[done], linewidth=1.4, label=name)  # fmt: skip
            low = [1e6 * max(each.low, each.mean / 3) for _, each in points]
            high = [1e6 * each.high for _, each in points]
            axes.fill_between(where, low, high, color=look["color"], alpha=0.18, linewidth=0)
        axes.set_xscale("log")
        _logarithmic(axes, "y")
        axes.set_xlabel(label)
        axes.set_ylabel("added by the control, µs")
        axes.grid(color=COLOURS["grid"], linewidth=0.5)
        axes.legend(frameon=False, fontsize=7.5, loc="upper left")
        return svg(figure, horizontal)


def peers(rows: Table, ratio: str) -> str:
    """The error of every tool on one ratio whose truth is known, by condition of the machine."""
    conditions = list(dict.fromkeys(row["condition"] for row in rows))
    tools = list(dict.fromkeys(row["tool"] for row in rows))
    with style():
        figure, axes = _canvas(0.8 + 0.3 * len(tools))
        for shift, (paint, mark, condition) in enumerate(zip(LINES, MARKS, conditions, strict=False)):
            for place, tool in enumerate(tools):
                row = next((r for r in rows if r["tool"] == tool and r["condition"] == condition), None)
                rms = None if row is None else row["rms"][ratio]
                if not rms or not rms.mean:
                    continue
                height = place + 0.18 * (shift - 1)
                if rms.low is not None:
                    axes.plot([100 * rms.low, 100 * rms.high], [height] * 2, color=paint, linewidth=1.6)
                axes.plot(
                    [100 * rms.mean], [height], mark, color=paint, markersize=5,
                    label=condition if place == 0 else None,
                )  # fmt: skip
        _rows_of_tools(axes, tools, "root mean square error, %")
        figure.legend(frameon=False, fontsize=7.5, loc="outside upper right", ncols=3)
        return svg(figure, f"peers {ratio}")


@dataclass(frozen=True)
class Error:
    """The error of one tool on one ratio.

    Attributes:
        tool: its name.
        known: whether the true ratio is known by construction; otherwise the code is identical.
        length: of the call: short or long.
        rms: the root of the mean square, with its interval where that is known.
    """

    tool: str
    known: bool
    length: str
    rms: Interval


def errors_of(rows: Table) -> list[Error]:
    """The errors of all tools in the first condition, gradbench first."""
    here = [row for row in rows if row["condition"] == rows[0]["condition"]]
    here.sort(key=lambda row: row["tool"] != "gradbench")
    return [
        Error(row["tool"], kind == "more", length, rms)
        for kind in ("more", "again")
        for length in ("short", "long")
        for row in here
        if (rms := row["rms"][f"{length}/{kind}"]) is not None and rms.mean
    ]


def errors(found: Sequence[Error], narrow: bool = False) -> str:
    """The first figure: the errors of all tools, for a known ratio and for identical code."""
    tools = list(dict.fromkeys(each.tool for each in found))
    size, shape = ((WIDTH, 4.2), (2, 1)) if narrow else ((WIDE, 3.6), (1, 2))
    with style():
        figure = Figure(figsize=size, layout="constrained")
        both = figure.subplots(*shape, sharey=True)
        # `svg` removes only the background of the first axes.
        both[1].set_facecolor("none")
        for axes, known in zip(both, (True, False), strict=True):
            for shift, (paint, mark, length) in enumerate(zip(LINES, MARKS, ("short", "long"), strict=False)):
                for each in found:
                    if each.known is not known or each.length != length:
                        continue
                    height = tools.index(each.tool) + 0.28 * (shift - 0.5)
                    if each.rms.low is not None and each.rms.high is not None:
                        ends = [100 * each.rms.low, 100 * each.rms.high]
                        axes.plot(ends, [height] * 2, color=paint, linewidth=1.6)
                    axes.plot(
                        [100 * each.rms.mean], [height], mark, color=paint, markersize=5,
                        label=f"{length} call" if each.tool == tools[0] and known else None,
                    )  # fmt: skip
            _rows_of_tools(axes, tools, f"error on {'a known ratio' if known else 'identical code'}, %")
        figure.legend(frameon=False, loc="outside upper right", ncols=2, borderaxespad=0, borderpad=0.1)
        return svg(figure, f"errors{' narrow' if narrow else ''}")


def _rows_of_tools(axes: Any, tools: Sequence[str], label: str) -> None:
    """A row for each tool, over errors on a logarithmic axis."""
    _logarithmic(axes, "x")
    axes.set_yticks(range(len(tools)), tools)
    axes.set_ylim(len(tools) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color=COLOURS["grid"], linewidth=0.5)
    axes.set_xlabel(label)


def _logarithmic(axes: Any, directions: str) -> None:
    """Give the axes x, y or both a logarithmic scale with plain numbers."""
    for direction in directions:
        axes.set(**{f"{direction}scale": "log"})
        axis = getattr(axes, f"{direction}axis")
        low, high = axis.get_data_interval()
        axis.set_major_locator(LogLocator(10, subs=(1.0, 3.0) if high < 100 * low else (1.0,)))
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
