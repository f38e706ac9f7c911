"""The page: what the template is given, and where the file goes."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from gradbench import format
from gradbench.analyse.advice import advice
from gradbench.analyse.claims import WORDS, verdicts
from gradbench.analyse.model import ComparisonSummary, RunSummary, VariantSummary
from gradbench.analyse.summary import LEAST_LOOPS, between, summarise
from gradbench.analyse.timeline import split
from gradbench.analyse.traits import TABLES, characteristics, in_words
from gradbench.analyse.twins import moved
from gradbench.analyse.user_model import UserFile, user_file
from gradbench.define.sizes import CLASSES
from gradbench.record.plan import Comparison, Variant
from gradbench.record.results import Results, read_results
from gradbench.report import devices, figures, guide, limit_table, template
from gradbench.report.bars import bars
from gradbench.report.snippet import snippet
from gradbench.report.template import Link, put
from gradbench.report.terminal.brief import found
from gradbench.report.terminal.claims import counted

# More sizes than this are read as a curve, not one by one.
SWEEP = 4

# A table with more columns than this is no glance.
GLANCE = 24


def write_report(results: Path, output: Path, site: Sequence[Link] = ()) -> None:
    """Build the report of a results file. Imports no torch; an existing report is replaced as a whole.

    A page of a site has its navigation; any other stands alone.
    """
    put(render(read_results(results), output, site), output)


def render(results: Results, output: Path | None = None, site: Sequence[Link] = ()) -> str:
    """The page as text, for a file at `output`; without it for one beside the results."""
    summary = summarise(results)
    judgements = verdicts(summary)
    glanced = _glanced(summary)
    measured = {each.comparison.workload for each in summary.comparisons}
    own = user_file(results)
    return template.render(
        "page.html",
        site=site,
        snippet=snippet if own is None else partial(_snippet_of_own, own),
        own=own,
        between=between,
        split=split,
        verdict=_verdict,
        summary=summary,
        header=results.header,
        results_name=results.path.name,
        results_href=_way(results.path, output),
        by_id={each.comparison.id: each.comparison for each in summary.comparisons},
        kinds=_kinds(summary),
        devices=summary.devices,
        findings=found(summary),
        # A list of claims that none of this was asked about tells nothing: without the first there is none.
        judgements=[each for each in judgements if each.verdict != "not measured"],
        unmeasured=[each for each in judgements if each.verdict == "not measured"],
        counted=counted(judgements),
        measured=measured,
        advice=advice(summary),
        tables=guide.tables(summary),
        side_by_side=devices.tables(summary, judgements),
        words=[
            word
            for word in WORDS
            if word != "not measured" and any(each.verdict == word for each in judgements)
        ],
        glanced=glanced,
        glance=_glance(glanced),
        workloads=_workloads(summary),
        failures=results.failures,
        left_out={
            id: why
            for id, why in results.header.plan.skipped.items()
            if re.split(r"[./]", id)[0] not in measured
        },
        labels={each.method: each.label or each.method for each in results.observations},
        characteristics=characteristics(results.observations),
        trait_tables=TABLES,
        in_words=in_words,
        observations=results.observations,
        machine=_machine(results),
        least_loops=LEAST_LOOPS,
    )


def _snippet_of_own(own: UserFile, comparison: Comparison, variant: Variant) -> str:
    """A variant's code without the user's file, which the page shows once."""
    told = msgspec.structs.replace(comparison, prepare=f"# {own.name} stands here, as shown below")
    return snippet(told, variant)


def _way(results: Path, output: Path | None) -> str | None:
    """How a page at `output` leads to its results; None where nothing does, as from one drive to another."""
    if output is None:
        return quote(results.name)
    try:
        return quote(Path(os.path.relpath(results.resolve(), output.resolve().parent)).as_posix())
    except ValueError:
        return None


def _kinds(summary: RunSummary) -> list[tuple[str, list[str]]]:
    """What a reader may choose among, each with its values in their order."""
    own = [each.comparison for each in summary.comparisons]
    sizes = {each.size for each in own}
    found = [
        ("size", [size for size in CLASSES if size in sizes]),
        ("device", list(dict.fromkeys(each.device for each in own))),
        ("dtype", list(dict.fromkeys(each.dtype for each in own))),
    ]
    return [(name, values) for name, values in found if values]


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
            "sweeps": _sweeps(comparisons) if name == "break_even" else [],
            "parts": _parts(comparisons),
            "tables": limit_table.tables(comparisons),
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
    said: set[str] = set()
    parts = []
    for (name, kind), own in grouped.items():
        first = own[0].comparison
        # A sentence that holds for all parts stands once.
        shows = "" if first.shows in said else first.shows
        said.add(first.shows)
        # A figure that a curve stands for is not drawn; of bars the last, where they are longest.
        curve = len(own) > SWEEP or own[0].comparison.workload == "break_even"
        differing = [each.comparison.id for each in own if bars(each) is not None]
        barred = set(differing[-1:] if curve else differing)
        parts.append(
            {
                "name": f"{name} {kind}" if several else name,
                "title": first.title.partition(": ")[2],
                "kind": kind if several else "",
                "shows": shows,
                "skipped": first.skipped,
                "sweep": figures.sweep(own)
                if len(own) > SWEEP and any(each.passes for each in own)
                else None,
                "turn": figures.turn(own) if figures.has_turn(own) else None,
                "turns": figures.turns(own),
                "of": [each.comparison for each in own],
                "comparisons": [
                    {
                        "summary": each,
                        "figure": "" if curve else figures.ratios(each),
                        "bars": bars(each) if each.comparison.id in barred else None,
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
    found = [
        each for each in summary.comparisons if not each.comparison.alternatives and not each.comparison.part
    ]
    return [] if len(found) > GLANCE else found


def _glance(comparisons: Sequence[ComparisonSummary]) -> list[tuple[Variant, list[VariantSummary | None]]]:
    """Per method a variant that names it, and its variant in each comparison, None where it does not fit."""
    # Whatever has most methods goes first, so that one that is left out elsewhere keeps its place.
    ordered = sorted(comparisons, key=lambda each: -len(each.methods))
    named = {variant.name: variant.definition for each in ordered for variant in each.methods}
    return [(variant, [each.variant(name) for each in comparisons]) for name, variant in named.items()]


def _words(comparison: ComparisonSummary) -> str:
    """What a figure shows, for those who do not see it."""
    listed = [
        f"{variant.name} {format.ratio_with_ends(variant.ratio)}"
        for variant in comparison.methods
        if variant.ratio
    ]
    label = comparison.comparison.baseline.label
    return f"Time relative to {label}, with 95 % intervals: {'; '.join(listed)}"


def _verdict(comparison: ComparisonSummary, variant: VariantSummary) -> str:
    """What the table says of a variant: its verdict, or of memory that is not the methods' what it shows."""
    if variant.verdict == "no time of its own":
        return "not distinguishable from an empty loop"
    if variant.role == "twin_own_buffer" and moved(comparison) is not None:
        return "the buffer, not the method"
    return variant.verdict


def _machine(results: Results) -> list[tuple[str, str]]:
    header = results.header
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
