"""The sections of the page: a question, the figures that answer it, and the workloads behind them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from gradbench import format
from gradbench.analyse.analysis import Analysis
from gradbench.analyse.model import ComparisonSummary
from gradbench.analyse.turn import has_turn, turns
from gradbench.record.plan import Comparison
from gradbench.report import figures, limit_table
from gradbench.report.bars import Bars, bars

Kind = Literal["time", "memory", "operations", "timeline"]


@dataclass(frozen=True)
class Lead:
    """A figure that a section shows before anything is opened.

    Attributes:
        name: of a comparison, such as `freeze.training`.
        kind: the kind of the figure.
        first: whether it shows the fewest elements instead of the most.
    """

    name: str
    kind: Kind = "time"
    first: bool = False


@dataclass(frozen=True)
class Section:
    """A question of readers.

    Attributes:
        id: its anchor.
        question: its heading.
        topics: the topics of claims that it belongs to; presets choose by them.
        workloads: the workloads that answer it.
        leads: the figures that it shows first; a figure that a run lacks is left out.
    """

    id: str
    question: str
    topics: tuple[str, ...]
    workloads: tuple[str, ...]
    leads: tuple[Lead, ...]


# Figures side by side: a row on a wide screen. A curve takes two places.
_ROW = 4
# A row with this many places taken needs no other figures.
_ENOUGH = 3
# The other figures of a workload, in the order in which they fill a row.
_OTHERS: tuple[tuple[Kind, bool], ...] = (("time", True), ("time", False), ("memory", False))

SECTIONS = (
    Section(
        "ask-cost",
        "What does a control cost by itself?",
        ("cost",),
        ("control", "view", "mixed"),
        (Lead("control", first=True), Lead("view"), Lead("mixed", first=True)),
    ),
    Section(
        "ask-around-work",
        "When does that price matter?",
        ("cost",),
        ("elementwise", "chain", "break_even", "matmul"),
        (Lead("break_even", "operations"), Lead("elementwise", first=True), Lead("matmul")),
    ),
    Section(
        "ask-evaluate",
        "How do I evaluate a model?",
        ("evaluate",),
        ("inference", "attention", "batch"),
        (Lead("inference"), Lead("attention"), Lead("batch"), Lead("inference", "memory")),
    ),
    Section(
        "ask-fine-tune",
        "How do I train a part of a model?",
        ("fine-tune",),
        ("freeze", "target"),
        (Lead("freeze.training"), Lead("target"), Lead("freeze.training", "timeline")),
    ),
    Section(
        "ask-write",
        "How do I write to parameters and clear gradients?",
        ("write",),
        ("update", "zero_grad"),
        (
            Lead("update", first=True),
            Lead("update"),
            Lead("zero_grad.step"),
            Lead("zero_grad.step", "memory"),
        ),
    ),
    Section(
        "ask-memory",
        "What keeps memory alive?",
        ("memory", "evaluate"),
        ("accumulate", "retain"),
        (
            Lead("accumulate.evaluation"),
            Lead("accumulate.evaluation", "memory"),
            Lead("retain"),
            Lead("retain", "memory"),
        ),
    ),
    Section(
        "ask-functions",
        "Is a custom Function worth it?",
        ("functions",),
        ("custom",),
        (
            Lead("custom.both", first=True),
            Lead("custom.forward"),
            Lead("custom.backward"),
            Lead("custom.both", "memory"),
        ),
    ),
    Section(
        "ask-tiny-model",
        "Is PyTorch worth it for a tiny model?",
        ("functions",),
        ("placement",),
        (Lead("placement", first=True), Lead("placement"), Lead("placement", "memory")),
    ),
)


@dataclass(frozen=True)
class Panel:
    """A figure on the page.

    Attributes:
        kind: of a Lead; `sweep` for a curve over sizes.
        comparisons: the comparisons that it shows.
        caption: its heading.
        words: a description for readers who do not see it.
        svg: the figure; empty where it is a table of bars.
        bars: the bytes of a comparison, as bars; None for any other figure.
    """

    kind: str
    comparisons: tuple[Comparison, ...]
    caption: str
    words: str
    svg: str = ""
    bars: Bars | None = None

    @property
    def places(self) -> int:
        """How many places of a row it takes."""
        return 2 if self.kind in ("operations", "timeline", "sweep") else 1


def sections(analysis: Analysis) -> list[dict[str, Any]]:
    """The sections that the run has figures for: a question, its first figures, and the workloads behind it.

    A workload that no section names, such as the user's model, gets its own section. The page shows a figure
    once: among the first figures of its section, or with its workload.
    """
    by_workload: dict[str, list[ComparisonSummary]] = defaultdict(list)
    for each in analysis.comparisons:
        by_workload[each.comparison.workload].append(each)
    listed = {name for section in SECTIONS for name in section.workloads}
    others = [_section_of(found) for name, found in by_workload.items() if name not in listed]
    made = []
    for section in (*SECTIONS, *others):
        found = [by_workload[name] for name in section.workloads if name in by_workload]
        if not found:
            continue
        panels = _panels(analysis, section)
        shown = {(panel.kind, comparison.id) for panel in panels for comparison in panel.comparisons}
        workloads = [_workload(analysis, comparisons, shown) for comparisons in found]
        made.append({"section": section, "panels": panels, "workloads": workloads})
    return made


def _section_of(found: Sequence[ComparisonSummary]) -> Section:
    """The section of a workload that no section names: it shows time and memory of the first parts."""
    first = found[0].comparison
    names = list(dict.fromkeys(each.comparison.name for each in found))[:2]
    leads = (*(Lead(name) for name in names), *(Lead(name, "memory") for name in names))
    return Section(
        f"of-{first.workload}", _capital(first.title.partition(":")[0]), (), (first.workload,), leads
    )


def _capital(text: str) -> str:
    """The text as a heading; code that it begins with stays as it is."""
    first = text.partition(" ")[0]
    return text[:1].upper() + text[1:] if first.isalpha() else text


def _panels(analysis: Analysis, section: Section) -> list[Panel]:
    """The first figures of a section, as many as fit in a row, on the device that the page answers for.

    Where a run lacks the section's leads, other figures of its workloads take their places.
    """
    timed = [each for each in analysis.comparisons if each.passes]
    on = next((each.comparison for each in timed if each.comparison.device == analysis.leading_device), None)
    on = on or next((each.comparison for each in timed), None)
    found: list[Panel] = []
    others = [Lead(name, kind, first) for name in section.workloads for kind, first in _OTHERS]
    for number, lead in enumerate((*section.leads, *others)):
        own = [
            each
            for each in timed
            if lead.name in (each.comparison.name, each.comparison.workload)
            and on is not None
            and (each.comparison.device, each.comparison.dtype) == (on.device, on.dtype)
        ]
        panel = _panel(own, lead) if own else None
        places = sum(each.places for each in found)
        if (
            panel is None
            or places + panel.places > _ROW
            or (number >= len(section.leads) and places >= _ENOUGH)
        ):
            continue
        if all((each.kind, each.comparisons) != (panel.kind, panel.comparisons) for each in found):
            found.append(panel)
    return found


def _panel(own: Sequence[ComparisonSummary], lead: Lead) -> Panel | None:
    """One figure, at the fewest or the most elements; a curve where there are many sizes."""
    each = (min if lead.first else max)(own, key=lambda found: found.comparison.numel)
    comparison = each.comparison
    size = _elements(comparison)
    title = _capital(comparison.title)
    if lead.kind == "operations":
        shown = figures.at_smallest(own)
        if len(shown) < 2:
            return None
        words = f"Time by number of operations, {_elements(shown[0].comparison)}"
        drawn = figures.operations(shown)
        return Panel(lead.kind, _of(shown), words, words, drawn) if drawn else None
    if lead.kind == "timeline":
        words = f"Live bytes through one step, {size}"
        drawn = figures.timeline(each) if each.timelines else ""
        return Panel(lead.kind, (comparison,), words, words, drawn) if drawn else None
    if lead.kind == "memory":
        counted = bars(each)
        words = f"Memory: {title}, {size}"
        return Panel(lead.kind, (comparison,), words, words, bars=counted) if counted else None
    if len(own) > figures.PANELS and comparison.workload != "break_even":
        words = f"{title}, by size"
        return Panel("sweep", _of(own), words, words, figures.sweep(own))
    # A baseline alone has nothing to compare.
    drawn = figures.ratios(each) if sum(variant.ratio is not None for variant in each.methods) > 1 else ""
    return Panel(lead.kind, (comparison,), f"{title}, {size}", _words(each), drawn) if drawn else None


def _elements(comparison: Comparison) -> str:
    return f"{format.count(comparison.numel)} element{'' if comparison.numel == 1 else 's'}"


def _of(found: Sequence[ComparisonSummary]) -> tuple[Comparison, ...]:
    return tuple(each.comparison for each in found)


def _workload(
    analysis: Analysis, comparisons: Sequence[ComparisonSummary], shown: set[tuple[str, str]]
) -> dict[str, Any]:
    """A workload: its title, its figures that are not `shown` above it, and its parts."""
    name = comparisons[0].comparison.workload
    skipped = analysis.results.header.plan.skipped
    return {
        "name": name,
        "heading": _capital(comparisons[0].comparison.title.partition(":")[0]),
        "count": len(comparisons),
        "sweeps": _sweeps(comparisons, shown) if name == "break_even" else [],
        "parts": _parts(comparisons, shown),
        "tables": limit_table.tables(
            [each for each in analysis.limits if each.summary.comparison.workload == name]
        ),
        "skipped": {id: why for id, why in skipped.items() if id.startswith((f"{name}/", f"{name}."))},
    }


def _kind(each: ComparisonSummary) -> str:
    return f"{each.comparison.device}, {each.comparison.dtype}"


def _sweeps(comparisons: Sequence[ComparisonSummary], shown: set[tuple[str, str]]) -> list[dict[str, Any]]:
    """A curve over operations for every device and type, and the comparisons that it shows."""
    grouped: dict[str, list[ComparisonSummary]] = defaultdict(list)
    for each in comparisons:
        if each.passes:
            grouped[_kind(each)].append(each)
    return [
        {
            "figure": drawn,
            "of": [each.comparison for each in figures.at_smallest(own)],
            "kind": kind if len(grouped) > 1 else "",
        }
        for kind, own in grouped.items()
        if ("operations", figures.at_smallest(own)[0].comparison.id) not in shown
        and (drawn := figures.operations(own))
    ]


def _parts(comparisons: Sequence[ComparisonSummary], shown: set[tuple[str, str]]) -> list[dict[str, Any]]:
    """The parts of a workload, for every device and type."""
    grouped: dict[tuple[str, str], list[ComparisonSummary]] = defaultdict(list)
    for each in comparisons:
        grouped[each.comparison.part, _kind(each)].append(each)
    several = len({kind for _, kind in grouped}) > 1
    said: set[str] = set()
    parts = []
    for (name, kind), group in grouped.items():
        first = group[0].comparison
        parts.append(
            {
                "name": f"{name} {kind}" if several else name,
                "title": first.title.partition(": ")[2],
                "kind": kind if several else "",
                # A sentence that holds for all parts appears once.
                "shows": "" if first.shows in said else first.shows,
                "skipped": first.skipped,
                "comparisons": group,
                **_figures(group, shown),
            }
        )
        said.add(first.shows)
    return parts


def _figures(group: Sequence[ComparisonSummary], shown: set[tuple[str, str]]) -> dict[str, Any]:
    """The figures of a part that are not `shown` above: over its sizes, and of its comparisons."""
    drawn = [each for each in group if ("time", each.comparison.id) not in shown]
    counted = [each for each in group if ("memory", each.comparison.id) not in shown]
    curve = len(group) > figures.PANELS
    # A curve replaces the figures of its comparisons. The page draws only their last bars, the longest.
    stands_alone = not curve and group[0].comparison.workload != "break_even"
    barred = [(each.comparison, found) for each in counted if (found := bars(each)) is not None]
    followed = [each for each in group if each.timelines and ("timeline", each.comparison.id) not in shown]
    swept = ("sweep", group[0].comparison.id) in shown
    return {
        "of": [each.comparison for each in group],
        "sweep": figures.sweep(group) if curve and not swept and any(each.passes for each in group) else None,
        "turn": figures.turn(group) if has_turn(group) else None,
        "turns": turns(group),
        "ratios": [
            (each.comparison, figure, _words(each))
            for each in (drawn if stands_alone else ())
            if (figure := figures.ratios(each))
        ],
        "bars": barred if stands_alone else barred[-1:],
        "timeline": (followed[-1].comparison, figures.timeline(followed[-1])) if followed else None,
    }


def _words(comparison: ComparisonSummary) -> str:
    """The words of a figure, for readers who do not see it."""
    listed = [
        f"{variant.name} {format.ratio_with_ends(variant.ratio)}"
        for variant in comparison.methods
        if variant.ratio
    ]
    label = comparison.comparison.baseline.label
    return f"Time relative to {label}, with 95 % intervals: {'; '.join(listed)}"
