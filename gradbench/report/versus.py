"""The page of a trial: is B slower than A?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from gradbench import format
from gradbench.growth import in_words
from gradbench.report.drawing import COLOURS, WIDTH, style, svg
from gradbench.report.figures import FromOne
from gradbench.report.snippet import snippet
from gradbench.report.template import Link, put, render
from gradbench.versus import text
from gradbench.versus.judge import LOOKS, Judged, LaneOutcome
from gradbench.versus.records import NAMES


def write_versus(judged: Judged, output: Path, site: Sequence[Link] = ()) -> None:
    """Write the page, with the navigation of the site that it is part of, if any.

    Raises RequestError where it cannot be written.
    """
    groups: dict[str, list[LaneOutcome]] = {}
    for each in judged.lanes:
        groups.setdefault(each.comparison.id, []).append(each)
    page = render(
        "versus.html",
        site=site,
        judged=judged,
        header=judged.trial.header,
        sides=list(zip(NAMES, judged.trial.header.sides, strict=True)),
        groups=[
            {"comparison": lanes[0].comparison, "lanes": lanes, "figure": _figure(lanes, judged)}
            for lanes in groups.values()
        ],
        text=text,
        in_words=in_words,
        snippet=snippet,
        looks=LOOKS,
        results_name=judged.trial.path.name,
        described=_alternative,
    )
    put(page, output)


def _alternative(lanes: Sequence[LaneOutcome]) -> str:
    """The figure in words."""
    return "B ÷ A: " + "; ".join(
        f"{each.lane.name} {format.ratio_with_ends(each.ratio)}, {each.outcome}" for each in lanes
    )


def _figure(lanes: Sequence[LaneOutcome], judged: Judged) -> str:
    """One comparison: each lane's ratio of B to A with its interval; the band is the margin."""
    timed = [each for each in lanes if each.ratio is not None]
    margin = judged.trial.header.options.margin
    with style():
        figure = Figure(figsize=(WIDTH, 0.55 + 0.235 * max(1, len(timed))), layout="constrained")
        axes = figure.add_subplot()
        axes.axvspan(1 / (1 + margin), 1 + margin, color=COLOURS["band"], linewidth=0)
        axes.axvline(1.0, color=COLOURS["faint"], linewidth=0.8)
        low, high = 1 / (1 + 1.5 * margin), 1 + 1.5 * margin
        for row, each in enumerate(timed):
            assert each.ratio is not None
            paint = COLOURS.get(each.outcome, COLOURS["same"])
            shown = each.outcome in ("slower", "faster")
            ends = (each.ratio.low or each.ratio.mean, each.ratio.high or each.ratio.mean)
            low, high = min(low, ends[0]), max(high, ends[1])
            axes.plot(ends, [row, row], color=paint, linewidth=2.2, solid_capstyle="butt")
            axes.plot(
                [each.ratio.mean], [row], "o", markersize=4.5, markeredgecolor=paint, markeredgewidth=1.2,
                markerfacecolor=paint if shown else COLOURS["paper"], zorder=3,
            )  # fmt: skip
            axes.annotate(
                f"{each.ratio.mean:.3f}", (ends[1], row), xytext=(5, 0), textcoords="offset points",
                va="center", fontsize=8, color=COLOURS["ink"],
            )  # fmt: skip
        span = math.log(high / low)
        axes.set_xlim(low * math.exp(-0.06 * span), high * math.exp(0.3 * span))
        axes.set_yticks(range(len(timed)), [each.lane.name for each in timed])
        axes.set_ylim(len(timed) - 0.4, -0.6)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.xaxis.set_major_locator(FromOne())
        axes.set_xlabel("time of B ÷ time of A")
        return svg(figure, lanes[0].comparison.id)
