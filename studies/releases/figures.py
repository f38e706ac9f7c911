"""The figure of the study: each comparison's lanes over releases."""

from __future__ import annotations

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from gradbench.report.drawing import COLOURS, WIDTH, style, svg
from studies.releases.analysis import Study, outcome


def over_releases(study: Study, comparison: str) -> str:
    """One comparison: the time of each lane in each release ÷ that in the first, with 95 % intervals."""
    names = [each.lane.name for each in study.lanes if each.comparison.id == comparison]
    labels = [study.first, *(each.trial.header.sides[1].label for each in study.against_first)]
    with style():
        figure = Figure(figsize=(WIDTH, 2.9), layout="constrained")
        axes = figure.add_subplot()
        axes.axhline(1.0, color=COLOURS["faint"], linewidth=0.8)
        for index, name in enumerate(names):
            found = [outcome(each, comparison, name) for each in study.against_first]
            ratios = [None if each is None else each.ratio for each in found]
            # Beside each other, so that intervals do not cover one another.
            shift = (index - (len(names) - 1) / 2) * 0.09
            points = [(0 + shift, 1.0, 1.0, 1.0)] + [
                (place + shift, each.mean, each.low or each.mean, each.high or each.mean)
                for place, each in enumerate(ratios, start=1)
                if each is not None
            ]
            paint = COLOURS[f"line{index % 6}"]
            axes.plot(
                [x for x, *_ in points], [mean for _, mean, *_ in points], color=paint, linewidth=1.2,
                marker="o", markersize=3.2, label=name,
            )  # fmt: skip
            for x, _, low, high in points:
                axes.plot([x, x], [low, high], color=paint, linewidth=1.8)
        axes.set_xticks(range(len(labels)), [label.removeprefix("torch-") for label in labels])
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.10g}"))
        axes.set_ylabel(f"time ÷ time in {study.first.removeprefix('torch-')}")
        axes.grid(axis="y", color=COLOURS["grid"], linewidth=0.5)
        axes.legend(frameon=False, fontsize=7.5, ncols=2)
        return svg(figure, f"releases {comparison}")
