"""The figures, drawn by matplotlib from a summary alone, as SVG that takes its colours from the page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from gradbench.report.drawing import COLOURS, WIDTH, style, svg
from gradbench.report.format import ratio_places
from gradbench.summary import ComparisonSummary, LaneSummary


def colour(lane: LaneSummary) -> str:
    """The colour that tells a verdict: the page explains it beside the figure."""
    return COLOURS.get(lane.verdict, COLOURS["same"])


def ratios(comparison: ComparisonSummary) -> str:
    """One comparison: each method's ratio to the reference with its interval, and the twin's band."""
    lanes = [lane for lane in comparison.methods if lane.ratio is not None]
    with style():
        figure = Figure(figsize=(WIDTH, 0.55 + 0.235 * max(1, len(lanes))), layout="constrained")
        axes = figure.add_subplot()
        highest = max((lane.ratio.mean for lane in lanes if lane.ratio), default=1.0)
        logarithmic = highest > 4
        if logarithmic:
            axes.set_xscale("log")
        if comparison.floor is not None:
            low, high = math.exp(-comparison.floor), math.exp(comparison.floor)
            axes.axvspan(low, high, color=COLOURS["band"], linewidth=0)
        axes.axvline(1.0, color=COLOURS["faint"], linewidth=0.8)
        for row, lane in enumerate(lanes):
            _interval(axes, row, lane)
        axes.set_yticks(range(len(lanes)), [lane.lane.name for lane in lanes])
        axes.set_ylim(len(lanes) - 0.4, -0.6)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        _room_for_numbers(axes, lanes, logarithmic)
        _ratio_axis(axes.xaxis, logarithmic)
        axes.set_xlabel("time ÷ time of the reference")
        return svg(figure, comparison.comparison.id)


def _interval(axes: Any, row: int, lane: LaneSummary) -> None:
    assert lane.ratio is not None
    paint = colour(lane)
    if lane.ratio.low is not None and lane.ratio.high is not None:
        axes.plot(
            [lane.ratio.low, lane.ratio.high], [row, row], color=paint, linewidth=2.2, solid_capstyle="butt"
        )
    shown = lane.verdict in ("slower", "faster", "reference")
    axes.plot(
        [lane.ratio.mean], [row], "o", markersize=4.5, markeredgecolor=paint,
        markerfacecolor=paint if shown else COLOURS["paper"], markeredgewidth=1.2, zorder=3,
    )  # fmt: skip
    ends = lane.ratio.high if lane.ratio.high is not None else lane.ratio.mean
    places = min(3, ratio_places(lane.ratio))
    axes.annotate(
        f"{lane.ratio.mean:,.{places}f}", (ends, row), xytext=(5, 0), textcoords="offset points",
        va="center", fontsize=8, color=COLOURS["ink"],
    )  # fmt: skip


def _ratio_axis(axis: Any, logarithmic: bool) -> None:
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    if logarithmic:
        low, high = axis.get_view_interval()
        axis.set_major_locator(LogLocator(10, subs=(1.0, 3.0) if high < 100 * low else (1.0,)))
        axis.set_minor_locator(NullLocator())
    else:
        axis.set_major_locator(MaxNLocator(4))


def _room_for_numbers(axes: Any, lanes: Sequence[LaneSummary], logarithmic: bool) -> None:
    """Widen the axis to the right, where the numbers stand, and keep 1 in sight."""
    ends = [
        end
        for lane in lanes
        if lane.ratio
        for end in (lane.ratio.low, lane.ratio.mean, lane.ratio.high)
        if end
    ]
    low, high = min([1.0, *ends]), max([1.0, *ends])
    if logarithmic:
        span = math.log(high / low)
        axes.set_xlim(low * math.exp(-0.06 * span), high * math.exp(0.3 * span))
    else:
        span = max(high - low, 0.004)
        axes.set_xlim(low - 0.08 * span, high + 0.3 * span)


# What people choose between; a sweep with every method would be a thicket.
SWEPT = ("tracked", "detach", "no_grad", "inference_mode", "set_grad_enabled_false", "detach_clone")


def sweep(comparisons: Sequence[ComparisonSummary]) -> str:
    """One workload over many sizes: the ratios of the best-known methods, with their intervals."""
    with style():
        figure = Figure(figsize=(2 * WIDTH, 3.6), layout="constrained")
        axes = figure.add_subplot()
        axes.set_xscale("log")
        highest = 1.0
        for index, name in enumerate(SWEPT):
            points = [
                (each.comparison.numel, lane.ratio)
                for each in comparisons
                if (lane := each.lane(name)) is not None and lane.ratio is not None
            ]
            if not points:
                continue
            paint = COLOURS[f"line{index}"]
            sizes = [numel for numel, _ in points]
            means = [interval.mean for _, interval in points]
            highest = max(highest, *means)
            axes.plot(sizes, means, color=paint, linewidth=1.5, marker="o", markersize=3, label=name)
            bounded = [
                (numel, each.low, each.high)
                for numel, each in points
                if each.low is not None and each.high is not None
            ]
            if bounded:
                where, lows, highs = zip(*bounded, strict=True)
                axes.fill_between(where, lows, highs, color=paint, alpha=0.2, linewidth=0)
        if highest > 4:
            axes.set_yscale("log")
        _ratio_axis(axes.yaxis, highest > 4)
        axes.axhline(1.0, color=COLOURS["faint"], linewidth=0.8)
        axes.set_xlabel("elements of x")
        axes.set_ylabel("time ÷ time of the reference")
        axes.grid(color=COLOURS["grid"], linewidth=0.5)
        axes.legend(frameon=False, fontsize=8, ncols=2)
        return svg(figure, f"sweep {comparisons[0].comparison.workload}")
