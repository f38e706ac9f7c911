"""The page: what the template is given, and where the file goes."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gradbench import format
from gradbench.claims import WORDS, verdicts
from gradbench.claims.text import counted
from gradbench.methods import METHODS
from gradbench.report import figures, guide, template
from gradbench.report.advice import advice
from gradbench.report.findings import findings
from gradbench.report.snippet import snippet
from gradbench.report.template import put
from gradbench.results import Results, read_results
from gradbench.summary import (
    LEAST_LOOPS,
    ComparisonSummary,
    LaneSummary,
    RunSummary,
    between,
    split,
    summarise,
)
from gradbench.traits import characteristics

# More sizes than this are read as a curve, not one by one.
SWEEP = 4

# A table with more columns than this is no glance.
GLANCE = 24


def write_report(results: Path, output: Path) -> None:
    """Build the report of a results file. Imports no torch; an existing report is replaced as a whole."""
    put(render(read_results(results)), output)


def render(results: Results) -> str:
    """The page as text."""
    summary = summarise(results)
    judgements = verdicts(summary)
    glanced = _glanced(summary)
    measured = {each.comparison.workload for each in summary.comparisons}
    return template.render(
        "page.html",
        snippet=snippet,
        between=between,
        split=split,
        summary=summary,
        header=results.header,
        results_name=results.path.name,
        findings=findings(summary),
        judgements=judgements,
        counted=counted(judgements),
        measured=measured,
        advice=advice(summary),
        tables=guide.tables(summary),
        words=[word for word in WORDS if any(each.verdict == word for each in judgements)],
        glanced=glanced,
        glance=_glance(glanced),
        workloads=_workloads(summary),
        failures=results.failures,
        left_out={
            id: why
            for id, why in results.header.plan.skipped.items()
            if re.split(r"[./]", id)[0] not in measured
        },
        labels={method.name: method.label for method in METHODS},
        characteristics=characteristics(results.observations),
        observations=results.observations,
        machine=_machine(results),
        least_loops=LEAST_LOOPS,
    )


def _workloads(summary: RunSummary) -> list[dict[str, Any]]:
    """By workload its title, its figure over sizes or operations, and its parts."""
    grouped: dict[str, list[ComparisonSummary]] = defaultdict(list)
    for each in summary.comparisons:
        grouped[each.comparison.workload].append(each)
    skipped = summary.results.header.plan.skipped
    return [
        {
            "name": name,
            "title": comparisons[0].comparison.title.partition(":")[0],
            "sweep": figures.operations(comparisons) if name == "break_even" else None,
            "parts": _parts(comparisons),
            "skipped": {id: why for id, why in skipped.items() if id.startswith((f"{name}/", f"{name}."))},
        }
        for name, comparisons in grouped.items()
    ]


def _parts(comparisons: Sequence[ComparisonSummary]) -> list[dict[str, Any]]:
    grouped: dict[str, list[ComparisonSummary]] = defaultdict(list)
    for each in comparisons:
        grouped[each.comparison.part].append(each)
    said: set[str] = set()
    parts = []
    for name, own in grouped.items():
        first = own[0].comparison
        # A sentence that holds for all parts stands once.
        shows = "" if first.shows in said else first.shows
        said.add(first.shows)
        parts.append(
            {
                "name": name,
                "title": first.title.partition(": ")[2],
                "shows": shows,
                "skipped": first.skipped,
                "sweep": figures.sweep(own) if len(own) > SWEEP else None,
                "comparisons": [
                    {
                        "summary": each,
                        # A figure that a curve stands for is not drawn.
                        "figure": ""
                        if len(own) > SWEEP or own[0].comparison.workload == "break_even"
                        else figures.ratios(each),
                        "words": _words(each),
                        "timeline": figures.timeline(each) if each.timelines else None,
                    }
                    for each in own
                ],
            }
        )
    return parts


def _glanced(summary: RunSummary) -> list[ComparisonSummary]:
    """The comparisons of the table at a glance: all methods, each workload as a whole; none if too many."""
    found = [each for each in summary.comparisons if not each.comparison.ways and not each.comparison.part]
    return [] if len(found) > GLANCE else found


def _glance(comparisons: Sequence[ComparisonSummary]) -> list[tuple[str, list[LaneSummary | None]]]:
    """Per method its label and its lane in each comparison, None where it does not fit."""
    # Whatever has most methods goes first, so that one that is left out elsewhere keeps its place.
    ordered = sorted(comparisons, key=lambda each: -len(each.methods))
    labels = {lane.lane.name: lane.lane.label for each in ordered for lane in each.methods}
    return [(label, [each.lane(name) for each in comparisons]) for name, label in labels.items()]


def _words(comparison: ComparisonSummary) -> str:
    """What a figure shows, for those who do not see it."""
    listed = [
        f"{lane.lane.name} {format.ratio_with_ends(lane.ratio)}" for lane in comparison.methods if lane.ratio
    ]
    label = comparison.comparison.reference.label
    return f"Time relative to {label}, with 95 % intervals: {'; '.join(listed)}"


def _machine(results: Results) -> list[tuple[str, str]]:
    header = results.header
    machine, options = header.environment, header.options
    keeps = (
        "freed pages are kept (MALLOC_* set by gradbench)" if options.allocator == "keep" else "its defaults"
    )
    return [
        ("Processor", f"{machine.processor}, {machine.cpus} logical, {machine.machine}"),
        ("Memory", format.size(machine.memory)),
        ("System", f"{machine.system}, {machine.libc}"),
        ("PyTorch", f"{machine.torch} ({machine.torch_git[:10]}), {machine.threads} thread(s)"),
        ("Python", f"{machine.implementation} {machine.python}, NumPy {machine.numpy}"),
        ("C allocator", f"{keeps}; for memory figures its defaults"),
        ("gradbench", f"{header.gradbench}, seed {header.request.seed}"),
        ("Measured", header.created),
    ]
