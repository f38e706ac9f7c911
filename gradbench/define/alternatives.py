"""The alternatives of a workload: which ones a request measures, and their code."""

from __future__ import annotations

from gradbench.define.methods import methods
from gradbench.define.needs import lacks
from gradbench.define.templates import insert, joined
from gradbench.define.workloads.workload import Alternative, Workload
from gradbench.record.devices import kind_of
from gradbench.record.plan import Expectation, Request, Variant


def why_not(alternative: Alternative, workload: Workload, request: Request, numel: int) -> str:
    """Why a run leaves out an alternative at a number of elements; empty where it measures it."""
    device = kind_of(request.device)
    if alternative.devices and device not in alternative.devices:
        return f"it works on {' and '.join(alternative.devices)}, not on {request.device}"
    named = alternative.name in (workload.baseline, *request.methods)
    if not named and request.preset not in alternative.presets:
        return f"only measured by --preset {alternative.presets[0]}, or by --method {alternative.name}"
    seen = workload.observed.get(alternative.name)
    if seen is not None and seen.raises:
        return seen.raises
    if wanting := lacks(alternative.needs.get(device, ())):
        return wanting
    if numel < alternative.least:
        return f"it differs from the other variants only from {alternative.least:,} elements on"
    if alternative.dtypes and request.dtype not in alternative.dtypes:
        return f"it works in {' and '.join(alternative.dtypes)}, not in {request.dtype}"
    return ""


def variant_of(alternative: Alternative, workload: Workload) -> Variant:
    """An alternative as a variant of its workload."""
    statement = workload.statement if alternative.statement is None else alternative.statement
    return Variant(
        name=alternative.name,
        label=alternative.label,
        role="baseline" if alternative.name == workload.baseline else "method",
        setup=joined(workload.leaf, alternative.setup, insert(workload.setup, alternative.code)),
        statement=insert(statement, alternative.code),
        probe="",
        expect=Expectation(),
        source=alternative.source,
        effect=alternative.effect,
        setup_per_call=insert(workload.setup_per_call, alternative.code),
        result=workload.result if alternative.result is None else alternative.result,
        answer=alternative.answer,
        holds=alternative.holds,
        writes=workload.writes,
        counted=alternative.counted,
        limit=alternative.limit,
        group=alternative.group,
        recommendable=alternative.recommendable
        and not any(method.name == alternative.name and not method.recommendable for method in methods()),
    )
