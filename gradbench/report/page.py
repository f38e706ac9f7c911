"""The page: what the template is given, and where the file goes."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from gradbench import format
from gradbench.analyse.analysis import Analysis
from gradbench.analyse.bounds import executions_in_words, verdict_in_full
from gradbench.analyse.claims import VERDICTS, counted
from gradbench.analyse.model import ComparisonSummary
from gradbench.analyse.phrases import memory_notes
from gradbench.analyse.traits import TABLES
from gradbench.analyse.turn import has_turn, turns
from gradbench.analyse.visits import LEAST_LOOPS
from gradbench.record.plan import USER_MODEL, VERSIONS, Comparison, Variant
from gradbench.record.results import Header
from gradbench.record.versions import FileText
from gradbench.report import devices, figures, guide, limit_table, template
from gradbench.report.bars import bars
from gradbench.report.snippet import snippet
from gradbench.report.template import Link, put

# A table with more columns than this is no glance.
GLANCE = 24


def write_report(analysis: Analysis, output: Path, site: Sequence[Link] = ()) -> None:
    """Write the report of a run. Imports no torch; an existing report is replaced as a whole.

    A page of a site has its navigation; any other stands alone. Raises RequestError where it cannot be
    written.
    """
    put(render(analysis, output, site), output)


def render(analysis: Analysis, output: Path | None = None, site: Sequence[Link] = ()) -> str:
    """The page as text, for a file at `output`; without it for one beside the results."""
    results = analysis.results
    comparisons = [each.comparison for each in analysis.comparisons]
    own = analysis.user_file
    files = analysis.version_files or ((own,) if own is not None else ())
    return template.render(
        "page.html",
        site=site,
        analysis=analysis,
        header=results.header,
        failures=results.failures,
        results_name=results.path.name,
        results_href=template.way(results.path, output),
        screen=analysis.screen,
        heading=_heading(analysis),
        files=files,
        snippet=partial(_snippet_of_user_file, files) if files else snippet,
        verdict=verdict_in_full,
        executions_in_words=executions_in_words,
        memory_notes=memory_notes,
        by_id={each.id: each for each in comparisons},
        measured={each.workload for each in comparisons},
        kinds=_kinds(comparisons),
        left_out=_left_out(analysis),
        workloads=_workloads(analysis),
        tables=guide.tables(analysis),
        side_by_side=devices.tables(analysis),
        trait_tables=TABLES,
        machine=_machine(results.header),
        least_loops=LEAST_LOOPS,
        **_claims(analysis),
        **_glance(analysis),
    )


def _claims(analysis: Analysis) -> dict[str, Any]:
    """The verdicts, those apart that this run could not give."""
    judged = [each for each in analysis.judgements if each.verdict != "not measured"]
    return {
        # A list of claims that none of this was asked about tells nothing: without the first there is none.
        "judgements": judged,
        "unmeasured": [each for each in analysis.judgements if each.verdict == "not measured"],
        "counted": counted(analysis.judgements),
        "verdicts": [word for word in VERDICTS if any(each.verdict == word for each in judged)],
    }


def _workloads(analysis: Analysis) -> list[dict[str, Any]]:
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
                "comparisons": group,
                **_figures(group),
            }
        )
        shown.add(first.shows)
    return parts


def _figures(group: Sequence[ComparisonSummary]) -> dict[str, Any]:
    """The figures of a part: over its sizes, and of its comparisons."""
    curve = len(group) > figures.PANELS
    # A figure that a curve stands for is not drawn; of bars the last, where they are longest.
    stands_alone = not curve and group[0].comparison.workload != "break_even"
    barred = [(each.comparison, found) for each in group if (found := bars(each)) is not None]
    followed = [each for each in group if each.timelines]
    return {
        "of": [each.comparison for each in group],
        "sweep": figures.sweep(group) if curve and any(each.passes for each in group) else None,
        "turn": figures.turn(group) if has_turn(group) else None,
        "turns": turns(group),
        "ratios": [
            (each.comparison, figure, _words(each))
            for each in (group if stands_alone else ())
            if (figure := figures.ratios(each))
        ],
        "bars": barred if stands_alone else barred[-1:],
        "timeline": (followed[-1].comparison, figures.timeline(followed[-1])) if followed else None,
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


def _left_out(analysis: Analysis) -> dict[str, str]:
    """What the plan left out of workloads that have no section, with the reasons."""
    measured = {each.comparison.workload for each in analysis.comparisons}
    skipped = analysis.results.header.plan.skipped
    return {id: why for id, why in skipped.items() if re.split(r"[./]", id)[0] not in measured}


def _heading(analysis: Analysis) -> str:
    """What the page is about."""
    files = [each.name for each in analysis.version_files]
    if len(files) > 1:
        return f"{', '.join(files[:-1])} and {files[-1]}, held against each other"
    if files:
        return f"The variants of {files[0]}, held against each other"
    own = analysis.user_file
    return f"What gradient control costs {own.name if own else 'here'}"


def _snippet_of_user_file(files: Sequence[FileText], comparison: Comparison, variant: Variant) -> str:
    """A variant's code without the user's file, which the page shows once."""
    if comparison.workload not in (USER_MODEL, VERSIONS):
        return snippet(comparison, variant)
    stands = f"# {variant.file or files[0].name} stands here, as shown below"
    shown = msgspec.structs.replace(comparison, prepare=stands, files=())
    return snippet(shown, variant)


def _kinds(comparisons: Sequence[Comparison]) -> list[tuple[str, list[str]]]:
    """What a reader may choose among, each with its values in their order."""
    by_size = sorted(comparisons, key=lambda each: each.numel)
    found = [
        ("size", [each.size for each in by_size]),
        ("device", [each.device for each in comparisons]),
        ("dtype", [each.dtype for each in comparisons]),
    ]
    return [(name, list(dict.fromkeys(values))) for name, values in found if values]


def _glance(analysis: Analysis) -> dict[str, Any]:
    """The table at a glance: all methods, each workload as a whole; empty where there are too many.

    Its columns are comparisons, and its rows a variant that names a method, with the method's variant in
    each comparison, None where it does not fit.
    """
    columns = [
        each for each in analysis.comparisons if not each.comparison.alternatives and not each.comparison.part
    ]
    if len(columns) > GLANCE:
        columns = []
    # Whatever has most methods goes first, so that one that is left out elsewhere keeps its place.
    ordered = sorted(columns, key=lambda each: -len(each.methods))
    named = {variant.name: variant.definition for each in ordered for variant in each.methods}
    rows = [(variant, [each.variant(name) for each in columns]) for name, variant in named.items()]
    return {"glanced": columns, "glance": rows}


def _machine(header: Header) -> list[tuple[str, str]]:
    machine, options = header.environment, header.options
    keeps = (
        "freed pages are kept (MALLOC_* set by gradbench)" if options.allocator == "keep" else "its defaults"
    )
    return [
        ("Processor", f"{machine.processor}, {machine.cpus} logical, {machine.machine}"),
        *(
            (
                each.device,
                f"{each.name}, {format.size(each.memory)}, capability {each.capability or format.UNKNOWN}, "
                f"driver {each.driver or format.UNKNOWN}",
            )
            for each in machine.accelerators
        ),
        ("Memory", format.size(machine.memory)),
        ("System", f"{machine.system}, {machine.libc}"),
        ("PyTorch", f"{machine.torch} ({machine.torch_git[:10]}), {machine.threads} thread(s)"),
        ("Python", f"{machine.implementation} {machine.python}, NumPy {machine.numpy}"),
        ("C allocator", f"{keeps}; for memory figures its defaults"),
        ("gradbench", f"{header.gradbench}, seed {header.request.seed}"),
        *([("Cache", "flushed before each call (--cold)")] if header.request.cold else []),
        ("Measured", header.created),
    ]
