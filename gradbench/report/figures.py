"""The figures: matplotlib draws them from a summary alone, in a theme for the page or for a talk."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, Locator, LogLocator, NullLocator

from gradbench.analyse.analysis import Analysis
from gradbench.analyse.model import ComparisonSummary, VariantSummary
from gradbench.analyse.turn import followed
from gradbench.format import UNKNOWN, ratio_places, seconds, significant
from gradbench.record.interval import Interval
from gradbench.report.drawing import PAGE, WIDTH, Theme, style, svg
from gradbench.report.glance import draw_glance, glance_of
from gradbench.report.palette import looks


def colour(variant: VariantSummary, theme: Theme) -> str:
    """The colour of a verdict. The page explains it beside the figure."""
    return theme.colours.get(variant.verdict, theme["same"])


def ratios(comparison: ComparisonSummary) -> str:
    """Draw the ratios of one comparison with their intervals for the page; "" where no ratio is known."""
    names = [variant.name for variant in comparison.methods if variant.ratio is not None]
    if not names:
        return ""
    name = comparison.comparison.id
    return _drawn(rows_figure(len(names)), name, lambda axes: draw_ratios(axes, comparison, names, PAGE))


def glance(analysis: Analysis, narrow: bool = False) -> str:
    """Draw the run at a glance for the page, `narrow` for a phone; "" where the run has too little."""
    found = glance_of(analysis)
    if found is None:
        return ""
    width, height = (WIDTH, 3.25) if narrow else (7.9, 4.15)
    figure = Figure(figsize=(width, height), layout="constrained")
    name = "glance narrow" if narrow else "glance"
    return _drawn(figure, name, lambda axes: draw_glance(axes, found, PAGE, narrow))


def _drawn(figure: Figure, name: str, draw: Callable[[Any], None]) -> str:
    """The figure as SVG for the page, after `draw` has drawn its axes."""
    with style():
        draw(figure.add_subplot())
        return svg(figure, name)


def _wide_figure(height: float) -> Figure:
    """A figure for the page, as wide as two panels."""
    return Figure(figsize=(2 * WIDTH, height), layout="constrained")


def rows_figure(rows: int) -> Figure:
    """A figure for the page, as high as this number of rows needs."""
    return Figure(figsize=(WIDTH, 0.55 + 0.235 * max(1, rows)), layout="constrained")


def draw_ratios(axes: Any, comparison: ComparisonSummary, names: Sequence[str], theme: Theme) -> None:
    """Draw the ratios of these variants, one row for a variant. The band is what the twin leaves open."""
    rows = []
    for name in names:
        variant = comparison.variant(name)
        if variant is None or variant.ratio is None:
            rows.append(Row(name, None))
        else:
            rows.append(
                Row(
                    name,
                    variant.ratio,
                    colour(variant, theme),
                    variant.verdict in ("slower", "faster", "baseline"),
                )
            )
    floor = comparison.floor
    band = None if floor is None else (math.exp(-floor), math.exp(floor))
    draw_rows(axes, rows, band, "time ÷ time of the baseline", theme)


@dataclass(frozen=True)
class Row:
    """A ratio in a figure.

    Attributes:
        ratio: with its interval; None is a dash.
        paint: the colour of both.
        shown: whether the run shows the verdict of the colour. The mark is then filled.
    """

    name: str
    ratio: Interval | None
    paint: str = ""
    shown: bool = False


def draw_rows(
    axes: Any,
    rows: Sequence[Row],
    band: tuple[float, float] | None,
    label: str,
    theme: Theme,
    sight: tuple[float, float] = (1.0, 1.0),
) -> None:
    """Draw ratios with their intervals, one under the other.

    Args:
        band: inside it a ratio may be that of identical code; None draws none.
        label: of the axis: which time is divided by which.
        sight: the axis spans at least this.
    """
    ratios = [row.ratio for row in rows if row.ratio is not None]
    logarithmic = max((ratio.mean for ratio in ratios), default=1.0) > 4
    if logarithmic:
        axes.set_xscale("log")
    if band is not None:
        axes.axvspan(*band, color=theme["band"], linewidth=0)
    axes.axvline(1.0, color=theme["faint"], linewidth=theme.points(0.8))
    for place, row in enumerate(rows):
        if row.ratio is not None:
            _interval(axes, place, row.ratio, row.paint, row.shown, theme)
        else:
            _beside(axes, 1.0, place, UNKNOWN, theme)
    axes.set_yticks(range(len(rows)), [row.name for row in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    _room_for_numbers(axes, ratios, sight, logarithmic)
    _ratio_axis(axes.xaxis, logarithmic)
    axes.set_xlabel(label)


def _interval(axes: Any, place: int, ratio: Interval, paint: str, shown: bool, theme: Theme) -> None:
    if ratio.low is not None and ratio.high is not None:
        axes.plot(
            [ratio.low, ratio.high], [place, place],
            color=paint, linewidth=theme.points(2.2), solid_capstyle="butt",
        )  # fmt: skip
    axes.plot(
        [ratio.mean], [place], "o", markersize=theme.points(4.5), markeredgecolor=paint,
        markerfacecolor=paint if shown else theme["paper"], markeredgewidth=theme.points(1.2), zorder=3,
    )  # fmt: skip
    end = ratio.high if ratio.high is not None else ratio.mean
    _beside(axes, end, place, _number(ratio), theme)


def _number(ratio: Interval) -> str:
    """A ratio beside its mark: three digits, and a fourth near 1, where the difference is the point."""
    return f"{ratio.mean:.{min(3, ratio_places(ratio))}f}" if ratio.mean < 2 else significant(ratio.mean)


def _beside(axes: Any, where: float, row: float, text: str, theme: Theme) -> None:
    axes.annotate(
        text, (where, row), xytext=(theme.points(5), 0), textcoords="offset points",
        va="center", fontsize=theme.points(8), color=theme["ink"],
        # The line at 1 goes behind a number.
        bbox={"facecolor": theme["paper"], "linewidth": 0, "pad": 0.5, "alpha": 0.8},
    )  # fmt: skip


class FromOne(Locator):
    """A tick at 1, where the times are equal, and others at steps of 1, 2 or 5 from it."""

    def __call__(self) -> list[float]:
        assert self.axis is not None
        return self.tick_values(*self.axis.get_view_interval())

    def tick_values(self, vmin: float, vmax: float) -> list[float]:
        # At most four steps: their numbers fit side by side on a phone.
        least = (vmax - vmin) / 4
        size = 10.0 ** math.floor(math.log10(least))
        step = next(each * size for each in (1, 2, 5, 10) if each * size >= least * (1 - 1e-9))
        first, last = math.ceil((vmin - 1) / step - 1e-9), math.floor((vmax - 1) / step + 1e-9)
        return [round(1 + number * step, 12) for number in range(first, last + 1)]


def _ratio_axis(axis: Any, logarithmic: bool) -> None:
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    if logarithmic:
        low, high = axis.get_view_interval()
        axis.set_major_locator(LogLocator(10, subs=(1.0, 3.0) if high < 100 * low else (1.0,)))
        axis.set_minor_locator(NullLocator())
    else:
        axis.set_major_locator(FromOne())


def _room_for_numbers(
    axes: Any, ratios: Sequence[Interval], sight: tuple[float, float], logarithmic: bool
) -> None:
    """Widen the axis to the right, where the numbers are, and keep `sight` in it."""
    ends = [end for ratio in ratios for end in (ratio.low, ratio.mean, ratio.high) if end]
    low, high = min([*sight, *ends]), max([*sight, *ends])
    if logarithmic:
        span = math.log(high / low)
        axes.set_xlim(low * math.exp(-0.06 * span), high * math.exp(0.3 * span))
    else:
        span = max(high - low, 0.004)
        axes.set_xlim(low - 0.08 * span, high + 0.3 * span)


# A workload with more sizes than this has a curve instead of panels side by side.
PANELS = 4

# The methods that people choose between. A curve with all methods would be unreadable.
SWEPT = ("tracked", "detach", "no_grad", "inference_mode", "set_grad_enabled_false", "detach_clone")


def sweep(comparisons: Sequence[ComparisonSummary]) -> str:
    """Draw the ratios of the best-known methods over the sizes of one workload, for the page."""
    return _curves(comparisons, [each.comparison.numel for each in comparisons], SIZES)


def operations(comparisons: Sequence[ComparisonSummary]) -> str:
    """Draw one control around more and more operations for the page, at the smallest size of the run."""
    own = at_smallest(comparisons)
    return _curves(own, [int(each.comparison.part) for each in own], OPERATIONS)


SIZES, OPERATIONS = "elements of x", "operations under one control"


def at_smallest(comparisons: Sequence[ComparisonSummary]) -> list[ComparisonSummary]:
    """The comparisons of the smallest size."""
    numel = min(each.comparison.numel for each in comparisons)
    return [each for each in comparisons if each.comparison.numel == numel]


def _curves(comparisons: Sequence[ComparisonSummary], places: Sequence[int], label: str) -> str:
    if all(variant.ratio is None for each in comparisons for variant in each.methods):
        return ""
    name = f"curves {comparisons[0].comparison.id}"
    return _drawn(_wide_figure(3.6), name, lambda axes: draw_curves(axes, comparisons, places, label, PAGE))


def draw_curves(
    axes: Any, comparisons: Sequence[ComparisonSummary], places: Sequence[int], label: str, theme: Theme
) -> None:
    """Draw ratios with their intervals. `places` are the comparisons on the axis that `label` names."""
    axes.set_xscale("log")
    highest = 1.0
    first = comparisons[0].comparison
    names: tuple[str, ...] = SWEPT
    if first.alternatives:
        names = tuple(variant.name for variant in first.variants if variant.role == "method")[: len(SWEPT)]
    styles = looks(names)
    for name in names:
        points = [
            (place, variant.ratio)
            for place, each in zip(places, comparisons, strict=True)
            if (variant := each.variant(name)) is not None and variant.ratio is not None
        ]
        if not points:
            continue
        sizes = [place for place, _ in points]
        means = [interval.mean for _, interval in points]
        highest = max(highest, *means)
        axes.plot(
            sizes, means, **theme.line(styles[name]), linewidth=theme.points(1.4),
            markersize=theme.points(4), label=name,
        )  # fmt: skip
        bounded = [
            (place, each.low, each.high)
            for place, each in points
            if each.low is not None and each.high is not None
        ]
        if bounded:
            where, lows, highs = zip(*bounded, strict=True)
            axes.fill_between(where, lows, highs, color=theme[styles[name].colour], alpha=0.2, linewidth=0)
    if highest > 4:
        axes.set_yscale("log")
    _ratio_axis(axes.yaxis, highest > 4)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.axhline(1.0, color=theme["faint"], linewidth=theme.points(0.8))
    axes.set_xlabel(label)
    axes.set_ylabel("time ÷ time of the baseline")
    axes.grid(color=theme["grid"], linewidth=theme.points(0.5))
    axes.legend(frameon=False, fontsize=theme.points(8), ncols=2, handlelength=4)


def turn(comparisons: Sequence[ComparisonSummary]) -> str:
    """Draw for the page at which size the device's time becomes longer than the host's."""
    name = f"turn {comparisons[0].comparison.id}"
    return _drawn(_wide_figure(3.6), name, lambda axes: draw_turn(axes, comparisons, PAGE))


def draw_turn(axes: Any, comparisons: Sequence[ComparisonSummary], theme: Theme) -> None:
    """Draw times of a few variants over sizes. Wall time is solid, the host's dashed, the device's dotted."""
    axes.set_xscale("log")
    axes.set_yscale("log")
    kinds = (("time", "wall", "-"), ("host", "host", "--"), ("device", "device", ":"))
    styles = looks(followed(comparisons))
    for name in styles:
        for attribute, word, dash in kinds:
            points = [
                (each.comparison.numel, getattr(variant, attribute).mean)
                for each in comparisons
                if (variant := each.variant(name)) is not None and getattr(variant, attribute) is not None
            ]
            if points:
                axes.plot(
                    *zip(*points, strict=True), dash, color=theme[styles[name].colour],
                    marker=styles[name].marker, linewidth=theme.points(1.3), markersize=theme.points(4),
                    label=f"{name}, {word}",
                )  # fmt: skip
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: seconds(value)))
    axes.set_xlabel(SIZES)
    axes.set_ylabel("time of a call")
    axes.grid(color=theme["grid"], linewidth=theme.points(0.5))
    axes.legend(frameon=False, fontsize=theme.points(7), ncols=3, handlelength=3)


# The word under the axis for a line of a training step, by a part of its code. The first that fits counts.
_STRETCHES = ((".backward(", "backward"), (".step(", "step"), ("zero_grad(", "zero_grad"), ("loss", "loss"))


def timeline(comparison: ComparisonSummary) -> str:
    """Draw for the page the bytes that are live during one execution."""
    name = f"timeline {comparison.comparison.id}"
    return _drawn(_wide_figure(3.2), name, lambda axes: draw_timeline(axes, comparison, PAGE))


def draw_timeline(axes: Any, comparison: ComparisonSummary, theme: Theme) -> None:
    """Draw the bytes that are live during one execution. Variants with equal bytes share one line."""
    scale, unit = _bytes_unit(comparison)
    variants = [variant.definition for variant in comparison.methods if variant.name in comparison.timelines]
    variants = [variant for variant in variants if not variant.limit]
    equal: dict[tuple[tuple[int, ...], ...], list[str]] = defaultdict(list)
    for variant in variants:
        stretches = comparison.timelines[variant.name].stretches
        equal[tuple(tuple(stretch.live) for stretch in stretches)].append(variant.name)
    styles = looks(variant.name for variant in variants)
    labels = []
    # Solid and wide lines come first: where lines overlap, they show under the dashes of later lines.
    solid_first = sorted(equal.items(), key=lambda item: bool(styles[item[1][0]].dash))
    for place, (lives, names) in enumerate(solid_first):
        # Each line of code is as wide as any other: variants with more allocations stay comparable.
        where, live = [0.0], [0.0]
        for number, values in enumerate(lives):
            for step, value in enumerate(values):
                where.append(number + (step + 1) / (len(values) + 1))
                live.append(value / scale)
        where.append(float(len(lives)))
        live.append(live[-1])
        labels.append(f"{', '.join(names)}: equal" if len(names) > 1 else names[0])
        look = styles[names[0]]
        axes.step(
            where, live, where="post", color=theme[look.colour], label=labels[-1],
            linewidth=theme.points(max(1.2, 2.6 - 0.6 * place)),
            linestyle=(0, look.dash) if look.dash else "-",
        )  # fmt: skip
    # A change of a step may add a line: the longest variant has them all.
    named = max((comparison.timelines[variant.name].stretches for variant in variants), key=len)
    count = len(named)
    words = [next((name for part, name in _STRETCHES if part in each.code), "forward") for each in named]
    axes.set_xticks([number + 0.5 for number in range(count)], words)
    for number in range(1, count):
        axes.axvline(number, color=theme["grid"], linewidth=theme.points(0.8))
    axes.tick_params(axis="x", length=0)
    axes.set_xlim(0, count)
    axes.set_ylabel(f"live, {unit}")
    # Above the axes, because it would cover the lines of a step. About 96 letters fit in a row.
    columns = max(1, min(3, 96 // (max(map(len, labels)) + 9)))
    axes.legend(
        alignment="left", frameon=False, fontsize=theme.points(8), loc="lower left", handlelength=4,
        bbox_to_anchor=(0.0, 1.0), ncols=columns,
    )  # fmt: skip


def _bytes_unit(comparison: ComparisonSummary) -> tuple[float, str]:
    highest = max(
        (
            value
            for each in comparison.timelines.values()
            for stretch in each.stretches
            for value in stretch.live
        ),
        default=0,
    )
    return next(
        ((scale, unit) for scale, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")) if highest >= scale),
        (1.0, "B"),
    )
