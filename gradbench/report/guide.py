"""The tables of the guide, with measured figures in place of its statements."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from gradbench import format
from gradbench.analyse.analysis import Analysis
from gradbench.analyse.claims.guide.scope import GUIDED
from gradbench.analyse.model import ComparisonSummary, RunSummary, VariantSummary, leaders
from gradbench.analyse.traits import Characteristics
from gradbench.record.interval import Interval
from gradbench.report.table import Table


def tables(analysis: Analysis) -> list[Table]:
    """The guide's tables from the figures of a run, for every device where there are several.

    Tables without any figure are left out.
    """
    if analysis.by_device:
        return [
            replace(table, name=f"{table.name}-{device.replace(':', '')}", title=f"{table.title} ({device})")
            for device, there in analysis.by_device.items()
            for table in tables(there)
        ]
    made = (
        _time(analysis),
        _memory(analysis),
        _speed(analysis),
        _implications(analysis),
        _comparison(analysis),
    )
    return [table for table in made if table is not None and any(any(row[1:]) for row in table.rows)]


def _found(summary: RunSummary, name: str) -> list[ComparisonSummary]:
    return [each for each in summary.comparisons if each.comparison.name == name]


def _time(summary: RunSummary) -> Table | None:
    alone, around = _found(summary, "control"), _found(summary, "elementwise")
    if not alone:
        return None
    ends = (alone[0], alone[-1])
    places = [each for each in around if each.comparison.numel in {end.comparison.numel for end in ends}]

    def row(method: str) -> tuple[str, ...]:
        cells = [_seconds(each.variant(method), lambda variant: variant.time) for each in ends]
        cells += [_seconds(each.variant(method), _added) for each in places]
        return (summary.results.header.label(method), *cells)

    return Table(
        "time",
        "Time Complexity",
        (
            "method",
            *(f"alone, {format.counted(each.comparison.numel, 'element')}" for each in ends),
            *(f"adds to x * 2, {each.comparison.numel:,}" for each in places),
        ),
        tuple(row(method) for method in GUIDED),
        "The guide calls all three linear, and detach() a copy.",
        places=(None, *(each.comparison for each in (*ends, *places))),
    )


def _added(variant: VariantSummary) -> Interval | None:
    """The time of a variant above the baseline; the baseline itself has none."""
    return None if variant.verdict == "baseline" else variant.extra


def _seconds(variant: VariantSummary | None, of: Callable[[VariantSummary], Interval | None]) -> str:
    found = None if variant is None else of(variant)
    return "" if found is None else format.seconds(found.mean)


def _memory(summary: Analysis) -> Table | None:
    alone = _found(summary, "control")
    known = {row.method: row for row in summary.characteristics}
    if not alone:
        return None
    last = alone[-1]

    def row(method: str) -> tuple[str, ...]:
        variant = last.variant(method)
        allocated = "" if variant is None or variant.memory is None else format.size(variant.memory.allocated)
        own = known.get(method, Characteristics(method))
        return (summary.results.header.label(method), allocated, own.persistence or "", own.objects or "")

    return Table(
        "memory",
        "Memory Usage",
        (
            "method",
            f"allocated at {format.counted(last.comparison.numel, 'element')}",
            "duration",
            "additional objects",
        ),
        tuple(row(method) for method in GUIDED),
        "The guide says none, a new tensor, none; permanent, permanent, temporary.",
        places=(None, last.comparison, None, None),
    )


def _speed(summary: RunSummary) -> Table | None:
    shown = [
        each
        for name in ("control", "elementwise", "chain")
        for each in _found(summary, name)
        if each.comparison.size in ("small", "large")
    ]
    if not shown:
        return None

    def cell(each: ComparisonSummary, method: str) -> str:
        variant = each.variant(method)
        if variant is None or variant.ratio is None:
            return ""
        return "1" if variant.verdict == "baseline" else format.ratio_with_ends(variant.ratio)

    return Table(
        "speed",
        "Operation Speed Comparison",
        ("method", *(f"{each.comparison.name}, {each.comparison.numel:,}" for each in shown)),
        tuple(
            (summary.results.header.label(method), *(cell(each, method) for each in shown))
            for method in GUIDED
        ),
        "Time relative to requires_grad_(False), with 95 % intervals. The guide says 1, 1.2 and 1.1.",
        places=(None, *(each.comparison for each in shown)),
    )


_CHOICES = {
    "small": "requires_grad_(False)",
    "medium": "torch.no_grad()",
    "large": "it depends on the operations",
}


def _implications(summary: RunSummary) -> Table | None:
    wanted = ("elementwise", "chain", "matmul", "inference")
    names = [name for name in wanted if any(best_of(each, GUIDED) for each in _found(summary, name))]
    if not names:
        return None

    def cell(name: str, size: str) -> str:
        own = [each for each in _found(summary, name) if each.comparison.size == size]
        return "; ".join(best_of(each, GUIDED) for each in own)

    return Table(
        "implications",
        "Practical Implications",
        ("size", "the guide's choice", *names),
        tuple((size, choice, *(cell(name, size) for name in names)) for size, choice in _CHOICES.items()),
        "The ones among the three that no other is shown to be faster than.",
        sizes=tuple(_CHOICES),
    )


def best_of(each: ComparisonSummary, names: Sequence[str]) -> str:
    """The ones among these variants that no other is shown to be faster than; empty where none has a rank."""
    variants = (variant for name in names if (variant := each.variant(name)) is not None)
    return ", ".join(variant.label for variant in leaders(variants))


def _comparison(summary: Analysis) -> Table | None:
    known = {row.method: row for row in summary.characteristics}
    if not known:
        return None

    def row(method: str) -> tuple[str, ...]:
        own = known.get(method, Characteristics(method))
        cells = (own.scope, own.persistence, own.reversibility, own.memory, own.graph)
        return (summary.results.header.label(method), *(cell or "" for cell in cells))

    return Table(
        "comparison",
        "Comparison Table",
        ("method", "scope", "persistence", "reversibility", "new storage", "kept by the graph"),
        tuple(row(method) for method in GUIDED),
        "By observation. In the guide they are efficient, a new allocation, and `very efficient`.",
    )
