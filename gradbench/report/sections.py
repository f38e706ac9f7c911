"""The sections of the page, a workload each: its parts with their figures, bars and tables."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from gradbench import format
from gradbench.analyse.analysis import Analysis
from gradbench.analyse.model import ComparisonSummary
from gradbench.analyse.turn import has_turn, turns
from gradbench.report import figures, limit_table
from gradbench.report.bars import bars

# More sizes than this are read as a curve, not one by one.
SWEEP = 4


def workloads(analysis: Analysis) -> list[dict[str, Any]]:
    """By workload its title, its figure over sizes or operations, and its parts."""
    grouped: dict[str, list[ComparisonSummary]] = defaultdict(list)
    for each in analysis.comparisons:
        grouped[each.comparison.workload].append(each)
    skipped = analysis.results.header.plan.skipped
    return [
        {
            "name": name,
            "title": comparisons[0].comparison.title.partition(":")[0],
            "sweeps": _sweeps(comparisons) if name == "break_even" else [],
            "parts": _parts(comparisons),
            "tables": limit_table.tables(
                [each for each in analysis.limits if each.summary.comparison.workload == name]
            ),
            "skipped": {id: why for id, why in skipped.items() if id.startswith((f"{name}/", f"{name}."))},
        }
        for name, comparisons in grouped.items()
    ]


def _kind(each: ComparisonSummary) -> str:
    return f"{each.comparison.device}, {each.comparison.dtype}"


def _sweeps(comparisons: Sequence[ComparisonSummary]) -> list[dict[str, Any]]:
    """A curve over operations for each device and type, and the comparisons that it shows."""
    grouped: dict[str, list[ComparisonSummary]] = defaultdict(list)
    for each in comparisons:
        if each.passes:
            grouped[_kind(each)].append(each)
    return [
        {
            "figure": figures.operations(own),
            "of": [each.comparison for each in figures.at_smallest(own)],
            "kind": kind if len(grouped) > 1 else "",
        }
        for kind, own in grouped.items()
    ]


def _parts(comparisons: Sequence[ComparisonSummary]) -> list[dict[str, Any]]:
    """The parts of a workload, one by one on each device and in each type."""
    grouped: dict[tuple[str, str], list[ComparisonSummary]] = defaultdict(list)
    for each in comparisons:
        grouped[each.comparison.part, _kind(each)].append(each)
    several = len({kind for _, kind in grouped}) > 1
    shown: set[str] = set()
    parts = []
    for (name, kind), group in grouped.items():
        first = group[0].comparison
        parts.append(
            {
                "name": f"{name} {kind}" if several else name,
                "title": first.title.partition(": ")[2],
                "kind": kind if several else "",
                # A sentence that holds for all parts stands once.
                "shows": "" if first.shows in shown else first.shows,
                "skipped": first.skipped,
                **_figures(group),
            }
        )
        shown.add(first.shows)
    return parts


def _figures(group: Sequence[ComparisonSummary]) -> dict[str, Any]:
    """The figures of a part: over its sizes, and of each comparison."""
    curve = len(group) > SWEEP
    # A figure that a curve stands for is not drawn; of bars the last, where they are longest.
    stands_alone = not curve and group[0].comparison.workload != "break_even"
    barred = {each.comparison.id: found for each in group if (found := bars(each)) is not None}
    if not stands_alone:
        barred = dict(list(barred.items())[-1:])
    return {
        "sweep": figures.sweep(group) if curve and any(each.passes for each in group) else None,
        "turn": figures.turn(group) if has_turn(group) else None,
        "turns": turns(group),
        "of": [each.comparison for each in group],
        "comparisons": [
            {
                "summary": each,
                "figure": figures.ratios(each) if stands_alone else "",
                "bars": barred.get(each.comparison.id),
                "words": _words(each),
                "timeline": figures.timeline(each) if each.timelines else None,
            }
            for each in group
        ],
    }


def _words(comparison: ComparisonSummary) -> str:
    """What a figure shows, for those who do not see it."""
    listed = [
        f"{variant.name} {format.ratio_with_ends(variant.ratio)}"
        for variant in comparison.methods
        if variant.ratio
    ]
    label = comparison.comparison.baseline.label
    return f"Time relative to {label}, with 95 % intervals: {'; '.join(listed)}"
