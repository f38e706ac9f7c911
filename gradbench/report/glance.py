"""A run at a glance: the time that every method adds to work, over the time of that work."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from gradbench import format
from gradbench.analyse.analysis import Analysis
from gradbench.analyse.model import ComparisonSummary, VariantSummary
from gradbench.report.drawing import Theme
from gradbench.report.palette import Look, looks

# The methods that people choose between, as the legend names them.
METHODS = {
    "no_grad": "no_grad()",
    "inference_mode": "inference_mode()",
    "set_grad_enabled_false": "set_grad_enabled(False)",
    "tracked": "recording",
    "detach": "detach() before",
}
# One comparison shows no trend over the time of the work.
LEAST_COMPARISONS = 2
# The axis of prices begins here, in per cent: a mark at its end is at most this.
LOWEST = 0.1


@dataclass(frozen=True)
class Point:
    """The price of a method in one comparison.

    Attributes:
        work: seconds of a call of the baseline.
        price: per cent of `work`. Where the run shows no difference it is the upper end of the interval. None
            where that end is below 0, or the method is faster.
        low, high: the 95 % interval of a price that the run shows; None otherwise.
    """

    work: float
    price: float | None
    low: float | None = None
    high: float | None = None

    @property
    def shown(self) -> bool:
        """Whether the run shows that the method costs something here."""
        return self.high is not None


@dataclass(frozen=True)
class Glance:
    """The points of a run on one device.

    Attributes:
        comparisons: the comparisons that have points, the shortest work first.
        points: by method, in the order of METHODS.
        empty_block: seconds that an empty no_grad() block takes; None where the run did not time it.
        baseline: the label of the baseline.
    """

    comparisons: tuple[ComparisonSummary, ...]
    points: dict[str, tuple[Point, ...]]
    empty_block: float | None
    baseline: str


def glance_of(analysis: Analysis) -> Glance | None:
    """The points of the run on the device that answers; None where there are too few comparisons."""
    found = []
    there = analysis.on(analysis.leading_device).comparisons if analysis.devices else ()
    for each in there:
        plan = each.comparison
        # Alternatives and parts ask other questions. Where nothing is computed there is no work.
        if plan.alternatives or plan.part or not plan.answer or each.baseline.time is None:
            continue
        if any(_point(each, name) is not None for name in METHODS):
            found.append(each)
    if len(found) < LEAST_COMPARISONS:
        return None
    found.sort(key=_work)
    points = {
        name: tuple(point for each in found if (point := _point(each, name)) is not None) for name in METHODS
    }
    return Glance(
        tuple(found),
        {name: own for name, own in points.items() if own},
        _empty_block(there),
        found[0].baseline.label,
    )


def _work(each: ComparisonSummary) -> float:
    time = each.baseline.time
    assert time is not None
    return time.mean


def _point(each: ComparisonSummary, name: str) -> Point | None:
    """The price of a method in a comparison; None where its interval is not known."""
    variant = each.variant(name)
    if variant is None or variant.ratio is None or variant.ratio.low is None or variant.ratio.high is None:
        return None
    low, mean, high = (_percent(end) for end in (variant.ratio.low, variant.ratio.mean, variant.ratio.high))
    if variant.verdict == "slower":
        return Point(_work(each), mean, low, high)
    if variant.verdict in ("same", "cannot tell") and high > 0:
        return Point(_work(each), high)
    return Point(_work(each), None) if variant.verdict in ("same", "cannot tell", "faster") else None


def _percent(ratio: float) -> float:
    return 100 * (ratio - 1)


def _empty_block(there: Sequence[ComparisonSummary]) -> float | None:
    """Seconds of `with torch.no_grad(): pass` around nothing, at the smallest size."""
    for each in sorted(there, key=lambda each: each.comparison.numel):
        variant = each.variant("no_grad")
        if not each.comparison.answer and not each.comparison.alternatives and _timed(variant):
            assert variant is not None
            assert variant.time is not None
            return variant.time.mean
    return None


def _timed(variant: VariantSummary | None) -> bool:
    return variant is not None and variant.time is not None


def in_words(found: Glance) -> str:
    """The figure in words: a caption, and the text for readers who do not see it."""
    ends = (found.comparisons[0], found.comparisons[-1])
    sentences = [
        f"The time that a method adds to a call, in per cent of the call with {found.baseline}, over the "
        "time of that call."
    ]
    for each in ends:
        listed = [words for name in METHODS if (words := _price_in_words(each, name))]
        plan = each.comparison
        sentences.append(
            f"{plan.workload} with {format.counted(plan.numel, 'element')} takes "
            f"{format.seconds(_work(each))}; added: {', '.join(listed)}."
        )
    return " ".join(sentences)


def headline(found: Glance) -> str:
    """The time that the first method of METHODS adds to the shortest and to the longest work."""
    ends = (found.comparisons[0], found.comparisons[-1])
    for name, label in METHODS.items():
        first, last = (_point(each, name) for each in ends)
        if first is not None and last is not None:
            return (
                f"{label} adds {_added(first)} to {format.seconds(first.work)} of work, "
                f"and {_added(last)} to {format.seconds(last.work)}"
            )
    return "the time that a method adds to work"


def _added(point: Point) -> str:
    if point.price is None:
        return "nothing"
    return f"{'' if point.shown else 'at most '}{format.percent(point.price / 100)}"


def _price_in_words(each: ComparisonSummary, name: str) -> str:
    point = _point(each, name)
    variant = each.variant(name)
    if point is None or variant is None:
        return ""
    return f"{variant.label} {_added(point)}"


def draw_glance(axes: Any, found: Glance, theme: Theme, narrow: bool = False) -> None:
    """Draw prices over the time of the work.

    A filled mark has an interval: the run shows this price. A hollow mark has an arrow: the run shows no
    difference, and the price is at most this. A wide figure names the methods beside the marks, a narrow one
    above the axes.
    """
    axes.set_xscale("log")
    axes.set_yscale("log")
    _limits(axes, found, theme, narrow)
    styles = looks(METHODS)
    for name, points in found.points.items():
        for point in points:
            _mark(axes, point, styles[name], theme)
    _references(axes, found, theme, narrow)
    axes.xaxis.set_major_locator(LogLocator(10))
    axes.yaxis.set_major_locator(LogLocator(10))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _short(value)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g} %"))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_minor_locator(NullLocator())
    axes.set_axisbelow(True)
    axes.grid(color=theme["grid"], linewidth=theme.points(0.6))
    head, under = "added time, in % of the work", "time of the work itself"
    # The meaning of filled and hollow marks is outside the axes: marks may be anywhere inside.
    key = "filled: measured; hollow: at most this"
    if not narrow:
        key = "filled: measured, with 95 % interval; hollow: not measurable, at most this"
        under += ", without a method"
    words = {"fontsize": theme.text, "pad": theme.points(6)}
    axes.set_title(head, loc="left", color=theme["ink"], **words)
    if _width(f"{head}   {key}", theme) < _room(axes, theme)[0]:
        axes.set_title(key, loc="right", color=theme["faint"], **words)
    else:
        under += f"\n{key}"
    axes.set_xlabel(under)
    if narrow:
        _legend(axes, found, styles, theme)
    else:
        _labels(axes, found, styles, theme)


def _width(words: str, theme: Theme) -> float:
    """About the points that words take across."""
    return 0.56 * theme.text * len(words)


def _room(axes: Any, theme: Theme) -> tuple[float, float]:
    """About the points that the axes take across and up, before they are laid out."""
    figure = axes.figure
    engine = figure.get_layout_engine()
    rect = engine.get().get("rect") if engine else None
    _, _, width, height = rect or (0.0, 0.0, 1.0, 1.0)
    across, up = 72 * width * figure.get_figwidth(), 72 * height * figure.get_figheight()
    return 0.9 * across, up - 7 * theme.text


def _short(seconds: float) -> str:
    """A decade of seconds: 10 µs."""
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= 0.99 * scale:
            return f"{seconds / scale:,.0f} {unit}"
    return f"{seconds / 1e-9:,.3g} ns"


def _limits(axes: Any, found: Glance, theme: Theme, narrow: bool) -> None:
    works = [_work(each) for each in found.comparisons]
    # A decade at least; on the left of a wide figure there is room for names.
    middle = math.sqrt(works[0] * works[-1])
    low, high = min(works[0], middle / 3), max(works[-1], middle * 3)
    span = math.log(high / low)
    # The names take this share of the axes.
    share = (
        0.08
        if narrow
        else 0.06 + max(_width(METHODS[name], theme) for name in found.points) / _room(axes, theme)[0]
    )
    left = 1.08 * share / (1 - share)
    axes.set_xlim(low * math.exp(-left * span), high * math.exp(0.08 * span))
    tops = [end for own in found.points.values() for point in own for end in (point.price, point.high) if end]
    axes.set_ylim(LOWEST, 1.5 * max([200.0, *tops]))


def _mark(axes: Any, point: Point, look: Look, theme: Theme) -> None:
    paint = theme[look.colour]
    price = max(LOWEST, point.price or LOWEST)
    size = theme.points(5.0 if look.marker in "os" else 4.4 if look.marker == "D" else 5.6)
    axes.plot(
        [point.work], [price], marker=look.marker, linestyle="", markersize=size, markeredgecolor=paint,
        markerfacecolor=paint if point.shown else theme["paper"], markeredgewidth=theme.points(1.1), zorder=3,
        clip_on=False,
    )  # fmt: skip
    if point.low is not None and point.high is not None:
        axes.plot(
            [point.work] * 2, [max(LOWEST, point.low), point.high], color=paint, linewidth=theme.points(1.2),
            solid_capstyle="butt", zorder=2,
        )  # fmt: skip
    elif price > LOWEST:
        axes.annotate(
            "", (point.work, price), xytext=(0, -theme.points(13)), textcoords="offset points", zorder=2,
            arrowprops={"arrowstyle": "<-", "color": paint, "linewidth": theme.points(0.9), "shrinkA": 0,
                        "mutation_scale": theme.points(6)},
        )  # fmt: skip


def _references(axes: Any, found: Glance, theme: Theme, narrow: bool) -> None:
    """Draw a line where a method costs as much as the work, and another for the price of an empty block."""
    axes.axhline(100.0, color=theme["faint"], linewidth=theme.points(1.0), zorder=1)
    axes.annotate(
        "as much as the work itself", (1, 100), xycoords=axes.get_yaxis_transform(),
        xytext=(0, theme.points(3)), textcoords="offset points", ha="right", color=theme["faint"],
    )  # fmt: skip
    if found.empty_block is None:
        return
    (low, high), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    start = max(low, _work(found.comparisons[0]) / 1.5, 100 * found.empty_block / top)
    end = 100 * found.empty_block / bottom
    # Left of the line's end there is room for its name, unless all work is far shorter or far longer.
    if end > high or start > end / 3 or math.log(end / low) < 0.55 * math.log(high / low):
        return
    axes.plot(
        [start, end], [100 * found.empty_block / each for each in (start, end)], color=theme["faint"],
        linewidth=theme.points(1.0), dashes=(4, 3), zorder=1,
    )  # fmt: skip
    # Left of the line and just above the axis, where no price is.
    # Work that uses the caches makes a block cost more than alone: its points lie above the line.
    separator, cold = ("\n", "") if narrow else (": ", "\nabove it: the block is cold")
    words = f"an empty no_grad() block{separator}{format.seconds(found.empty_block)}{cold}"
    lines = 2
    share = (0.8 + 1.4 * lines) * theme.text / _room(axes, theme)[1]
    price = bottom * (top / bottom) ** share
    axes.annotate(
        words, (100 * found.empty_block / price, price), xytext=(-theme.points(6), 0),
        textcoords="offset points", ha="right", va="top", color=theme["faint"], bbox=_paper(theme),
        zorder=1.2,
    )  # fmt: skip


def _paper(theme: Theme) -> dict[str, Any]:
    """The box of words in the axes: it hides the lines behind them."""
    return {"facecolor": theme["paper"], "linewidth": 0, "pad": 1.0}


def _labels(axes: Any, found: Glance, styles: dict[str, Look], theme: Theme) -> None:
    """Write the names left of the first marks, without overlaps, and draw a line to the mark."""
    bottom, top = (math.log(end) for end in axes.get_ylim())
    # A part of the axes' height.
    apart = 1.3 * theme.text / _room(axes, theme)[1]
    first = {
        name: (math.log(max(points[0].price or 0, math.exp(bottom))) - bottom) / (top - bottom)
        for name, points in found.points.items()
    }
    names = sorted(first, key=lambda name: first[name])
    # Not beyond the axes, where other words are.
    least, most = 0.5 * apart, 1 - 0.5 * apart
    places = spread([first[name] for name in names], apart)
    places = [max(place, least + number * apart) for number, place in enumerate(places)]
    places = [min(place, most - (len(places) - 1 - number) * apart) for number, place in enumerate(places)]
    left, right = (math.log(end) for end in axes.get_xlim())
    beside = (math.log(_work(found.comparisons[0])) - left) / (right - left) - 0.035
    for name, place in zip(names, places, strict=True):
        paint = theme[styles[name].colour]
        mark = (math.log(found.points[name][0].work) - left) / (right - left)
        axes.plot(
            [beside, mark], [place, first[name]], transform=axes.transAxes, color=paint,
            linewidth=theme.points(0.7), zorder=2,
        )  # fmt: skip
        axes.text(
            beside - 0.005, place, METHODS[name], transform=axes.transAxes, ha="right", va="center",
            color=paint, bbox=_paper(theme),
        )  # fmt: skip


def spread(places: Sequence[float], apart: float) -> list[float]:
    """Move ascending places as little as possible, so that neighbours are at least this far apart.

    >>> spread([0.0, 0.0, 5.0], 1.0)
    [-0.5, 0.5, 5.0]
    """
    # Neighbours that touch move as one group, around the mean of the places that they want.
    groups: list[list[float]] = []
    starts: list[float] = []
    for place in places:
        groups.append([place])
        starts.append(place)
        while len(groups) > 1 and starts[-1] < starts[-2] + apart * len(groups[-2]):
            groups[-2:] = [groups[-2] + groups[-1]]
            own = groups[-1]
            starts[-2:] = [sum(each - apart * number for number, each in enumerate(own)) / len(own)]
    return [
        start + apart * number
        for start, own in zip(starts, groups, strict=True)
        for number in range(len(own))
    ]


def _legend(axes: Any, found: Glance, styles: dict[str, Look], theme: Theme) -> None:
    """Write the names above a narrow figure."""
    handles = [
        Line2D(
            [], [], marker=styles[name].marker, linestyle="", color=theme[styles[name].colour],
            markersize=theme.points(5), label=METHODS[name],
        )
        for name in found.points
    ]  # fmt: skip
    axes.figure.legend(
        handles=handles, loc="outside upper left", ncols=2, frameon=False, borderaxespad=0, borderpad=0.1,
        handletextpad=0.2, columnspacing=0.8, handlelength=1.2, fontsize=theme.text,
    )  # fmt: skip
