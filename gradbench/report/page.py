"""The page: the values for the template, and the place of the file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from gradbench import format
from gradbench.analyse.analysis import Analysis
from gradbench.analyse.bounds import executions_in_words, verdict_in_full
from gradbench.analyse.claims.claim import SHOWN, VERDICTS, verdicts_in_words
from gradbench.analyse.phrases import memory_notes
from gradbench.analyse.traits import TABLES
from gradbench.analyse.visits import LEAST_LOOPS
from gradbench.record.plan import USER_MODEL, VERSIONS, Comparison, Variant
from gradbench.record.results import Header
from gradbench.record.versions import FileText
from gradbench.report import devices, figures, guide, template
from gradbench.report.glance import glance_of, in_words
from gradbench.report.presets import PRESETS
from gradbench.report.sections import sections
from gradbench.report.snippet import snippet
from gradbench.report.template import Link, put

# A table with more columns than this is too wide for a glance.
GLANCE = 24


def write_report(analysis: Analysis, output: Path, site: Sequence[Link] = ()) -> None:
    """Write the report of a run. Imports no torch; it replaces an existing report as a whole.

    A page of a site has the site's navigation; any other page has none. Raises RequestError where it cannot
    be written.
    """
    put(render(analysis, output, site), output)


def render(analysis: Analysis, output: Path | None = None, site: Sequence[Link] = ()) -> str:
    """The page as text, for a file at `output`; without it for one beside the results."""
    results = analysis.results
    comparisons = [each.comparison for each in analysis.comparisons]
    own, answer = analysis.user_file, analysis.answer
    files = analysis.version_files or ((own,) if own is not None else ())
    return template.render(
        "page.html",
        site=site,
        analysis=analysis,
        header=results.header,
        failures=results.failures,
        results_name=results.path.name,
        results_href=template.way(results.path, output),
        answer=answer,
        screen=analysis.screen,
        heading=_heading(analysis),
        facts=_facts(results.header),
        files=files,
        snippet=partial(_snippet_of_user_file, files) if files else snippet,
        verdict=verdict_in_full,
        executions_in_words=executions_in_words,
        memory_notes=memory_notes,
        by_id={each.id: each for each in comparisons},
        measured={each.workload for each in comparisons},
        kinds=_kinds(comparisons),
        left_out=_left_out(analysis),
        sections=sections(analysis),
        presets=PRESETS,
        marks=SHOWN,
        guide=guide.tables(analysis),
        side_by_side=devices.tables(analysis),
        trait_tables=TABLES,
        machine=_machine(results.header),
        least_loops=LEAST_LOOPS,
        **_claims(analysis),
        **_glance(analysis),
        **_first_figure(analysis),
    )


def _claims(analysis: Analysis) -> dict[str, Any]:
    """The verdicts, and separately the claims that this run could not judge.

    Claims that many people repeat come before those of the guide.
    """
    judged = [each for each in analysis.judgements if each.verdict != "not measured"]
    words = [each.verdict for each in judged]
    used = [word for word in VERDICTS if word in words]
    return {
        # A list of claims helps nobody where the run judges none of them.
        "judgements": sorted(judged, key=lambda each: not template.web(each.claim.source)),
        "unmeasured": [each for each in analysis.judgements if each.verdict == "not measured"]
        if judged
        else [],
        "counts": verdicts_in_words(words),
        "verdicts": used,
    }


def _facts(header: Header) -> list[str]:
    """Machine, software and day, in a line."""
    machine = header.environment
    devices = {each.device for each in header.plan.comparisons}
    names = [each.name for each in machine.accelerators if each.device in devices]
    if "cpu" in devices or not names:
        names.insert(0, machine.processor.partition(" (")[0])
    threads = format.counted(machine.threads, "thread")
    return [*names, f"torch {machine.torch.partition('+')[0]}", threads, header.created[:10]]


def _first_figure(analysis: Analysis) -> dict[str, str]:
    """The figure of the first screen, for a wide window and for a phone, and its words; empty without one."""
    found = None if analysis.answer is None else glance_of(analysis)
    if found is None:
        return dict.fromkeys(("glance_words", "glance_wide", "glance_narrow"), "")
    return {
        "glance_words": in_words(found),
        "glance_wide": figures.glance(analysis),
        "glance_narrow": figures.glance(analysis, narrow=True),
    }


def _left_out(analysis: Analysis) -> dict[str, str]:
    """The comparisons that the plan left out, of workloads without a section, with the reasons."""
    measured = {each.comparison.workload for each in analysis.comparisons}
    skipped = analysis.results.header.plan.skipped
    return {id: why for id, why in skipped.items() if re.split(r"[./]", id)[0] not in measured}


def _heading(analysis: Analysis) -> str:
    """The heading of the page."""
    files = [each.name for each in analysis.version_files]
    if len(files) > 1:
        return f"{', '.join(files[:-1])} and {files[-1]}, compared"
    if files:
        return f"The variants of {files[0]}, compared"
    own = analysis.user_file
    return f"The cost of gradient control {f'in {own.name}' if own else 'here'}"


def _snippet_of_user_file(files: Sequence[FileText], comparison: Comparison, variant: Variant) -> str:
    """A variant's code without the user's file, which the page shows once."""
    if comparison.workload not in (USER_MODEL, VERSIONS):
        return snippet(comparison, variant)
    stands = f"# {variant.file or files[0].name} goes here, as shown below"
    shown = msgspec.structs.replace(comparison, prepare=stands, files=())
    return snippet(shown, variant)


def _kinds(comparisons: Sequence[Comparison]) -> list[tuple[str, list[str]]]:
    """The facets that a reader may choose among, with their values in order."""
    by_size = sorted(comparisons, key=lambda each: each.numel)
    found = [
        ("size", [each.size for each in by_size]),
        ("device", [each.device for each in comparisons]),
        ("dtype", [each.dtype for each in comparisons]),
    ]
    return [(name, list(dict.fromkeys(values))) for name, values in found if values]


def _glance(analysis: Analysis) -> dict[str, Any]:
    """The table at a glance: all methods, every workload as a whole; empty where there are too many.

    Its columns are comparisons. A row has a variant that names a method, and the method's variant in every
    comparison, None where the method does not fit.
    """
    columns = [
        each for each in analysis.comparisons if not each.comparison.alternatives and not each.comparison.part
    ]
    if len(columns) > GLANCE:
        columns = []
    # The comparison with most methods goes first, so that a method that others lack keeps its place.
    ordered = sorted(columns, key=lambda each: -len(each.methods))
    named = {variant.name: variant.definition for each in ordered for variant in each.methods}
    rows = [(variant, [each.variant(name) for each in columns]) for name, variant in named.items()]
    return {"glanced": columns, "glance": rows}


def _machine(header: Header) -> list[tuple[str, str]]:
    machine, options = header.environment, header.options
    keeps = (
        "freed pages are kept (MALLOC_* set by gradbench)" if options.allocator == "keep" else "its defaults"
    )
    threads = format.counted(machine.threads, "thread")
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
        ("PyTorch", f"{machine.torch} ({machine.torch_git[:10]}), {threads}"),
        ("Python", f"{machine.implementation} {machine.python}, NumPy {machine.numpy}"),
        ("C allocator", f"{keeps}; for memory figures its defaults"),
        ("gradbench", f"{header.gradbench}, seed {header.request.seed}"),
        *([("Cache", "flushed before each call (--cold)")] if header.request.cold else []),
        ("Measured", header.created),
    ]
