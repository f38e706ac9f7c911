"""The figure of the study: each comparison's variants over releases."""

from __future__ import annotations

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from gradbench.report.drawing import COLOURS, LINES, WIDTH, style, svg
from gradbench.report.palette import LOOKS
from studies.releases.analysis import Study, labels_of, outcome

# The first figure of the page is as wide as its column, in inches.
WIDE = 9.9


def marks(study: Study) -> dict[str, tuple[str, str]]:
    """The colour and the marker of every variant's name. No two names share both.

    A method looks as in every chart of a report.
    """
    used = {name: (COLOURS[look.colour], look.marker) for name, look in LOOKS.items()}
    pairs = ((paint, marker) for marker in "osD^vXP<>ph*d" for paint in LINES)
    left = (pair for pair in pairs if pair not in used.values())
    names = dict.fromkeys(each.name for each in study.variants)
    others = [name for name in names if name not in used]
    return {**used, **dict(zip(others, left, strict=False))}


def over_releases(study: Study, comparison: str, wide: bool = False) -> str:
    """One comparison: the time of each variant in each release ÷ that in the first, with 95 % intervals."""
    names = [each.name for each in study.variants if each.comparison.id == comparison]
    styles = marks(study)
    labels = [labels_of(each)[1] for each in study.against_first]
    with style():
        figure = Figure(figsize=(WIDE if wide else WIDTH, 3.1), layout="constrained")
        axes = figure.add_subplot()
        axes.axhline(1.0, color=COLOURS["faint"], linewidth=0.8)
        for index, name in enumerate(names):
            found = [outcome(each, comparison, name) for each in study.against_first]
            ratios = [None if each is None else each.ratio for each in found]
            # Intervals side by side do not cover one another.
            shift = (index - (len(names) - 1) / 2) * 0.09
            paint, marker = styles[name]
            for place, each in enumerate(ratios):
                if each is None:
                    continue
                ends = (each.low or each.mean, each.high or each.mean)
                axes.plot([place + shift] * 2, ends, color=paint, linewidth=1.8)
                axes.plot(
                    [place + shift], [each.mean], marker, color=paint, markersize=4,
                    label=None if place else name,
                )  # fmt: skip
        axes.set_xticks(range(len(labels)), [label.removeprefix("torch-") for label in labels])
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.10g}"))
        axes.set_ylabel(f"time ÷ time in {study.first.removeprefix('torch-')}")
        axes.grid(axis="y", color=COLOURS["grid"], linewidth=0.5)
        axes.set_xlim(-0.5, len(labels) - 0.5)
        figure.legend(loc="outside lower left", frameon=False, fontsize=7.5, ncols=7 if wide else 2)
        return svg(figure, f"releases {comparison}{' wide' if wide else ''}")
