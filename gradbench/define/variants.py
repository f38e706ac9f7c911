"""From rows to variants: a workload under each method, or its alternatives, as code."""

from __future__ import annotations

import msgspec

from gradbench.define.methods import BASELINE, Method, methods
from gradbench.define.needs import lacks
from gradbench.define.templates import fill, insert, joined
from gradbench.define.workloads.workload import Alternative, Workload
from gradbench.record.devices import kind_of
from gradbench.record.plan import Expectation, Request, Variant
from gradbench.record.user_file import Under


def variants_of(workload: Workload, request: Request, numel: int) -> tuple[list[Variant], dict[str, str]]:
    """The variants that a request wants of a workload, and by name why others are left out."""
    if workload.alternatives:
        return _alternative_variants(workload, request, numel)
    return _method_variants(workload, request)


def _method_variants(workload: Workload, request: Request) -> tuple[list[Variant], dict[str, str]]:
    variants: list[Variant] = []
    skipped: dict[str, str] = {}
    for method in methods():
        if request.methods and method.name not in (*request.methods, workload.baseline):
            continue
        if workload.methods and method.name not in workload.methods:
            continue
        if workload.work is None and method.alone is None:
            skipped[method.name] = "there is no statement without work: it acts on, or through, an operation"
            continue
        if workload.on_model and method.on_input:
            what = (
                "the parameters are tracked as well"
                if workload.with_input
                else ("the parameters are what is tracked")
            )
            skipped[method.name] = f"it acts on the input, and {what}"
            continue
        seen = _seen(method, workload)
        if seen is not None and seen.raises:
            skipped[method.name] = seen.raises
            continue
        variant = _method_variant(method, workload, seen)
        variants.append(variant)
        if variant.role == "baseline":
            variants.extend(_twins(variant, workload.own_buffer))
    return variants, skipped


def _seen(method: Method, workload: Workload) -> Under | None:
    """What the work was seen to do under a method, or under one that is the same to it."""
    if method.name == "detach_after":
        return None
    same = BASELINE if method.on_input else method.entered_as
    return workload.observed.get(method.name) or workload.observed.get(same)


def _method_variant(method: Method, workload: Workload, seen: Under | None) -> Variant:
    work = workload.work
    if work is None:
        setup = method.setup if method.setup_alone is None else method.setup_alone
        statement, has_result = method.alone or "", method.shares is not None
        shares, asks_mode = method.shares, method.disables
    else:
        template = method.setup
        if workload.on_model and method.setup_model is not None:
            template = joined(method.setup_model, method.setup if workload.with_input else "")
        setup, statement = fill(template, work), fill(method.within, work)
        # With work, the flags of the result already show whether it was recorded.
        has_result, shares, asks_mode = True, False, False
    promised = Under("", method.tracks, not method.tracks, method.inference)
    flags = seen or promised
    mode = "torch.is_grad_enabled()"
    return Variant(
        name=method.name,
        label=method.label,
        role="baseline" if method.name == workload.baseline else "method",
        setup=joined(workload.leaf, workload.setup, setup),
        statement=statement,
        probe=joined(fill(method.setup, mode), fill(method.within, mode)) if asks_mode else "",
        expect=Expectation(
            input_requires_grad=method.name != BASELINE and (workload.with_input or not workload.on_model),
            result_requires_grad=flags.requires_grad if has_result else None,
            result_is_leaf=flags.is_leaf if has_result else None,
            result_inference=flags.inference if has_result else None,
            shares_storage=shares if has_result else None,
            grad_enabled_inside=False if asks_mode else None,
            result_dtype=workload.dtype,
        ),
        source=method.source,
        effect=method.effect,
        recommendable=method.recommendable,
        group=("recorded" if method.tracks or method.records else "unrecorded") if workload.apart else "",
    )


def _alternative_variants(
    workload: Workload, request: Request, numel: int
) -> tuple[list[Variant], dict[str, str]]:
    variants: list[Variant] = []
    skipped: dict[str, str] = {}
    for alternative in workload.alternatives:
        asked = alternative.name in request.methods
        if request.methods and not asked and alternative.name != workload.baseline:
            continue
        if alternative.devices and kind_of(request.device) not in alternative.devices:
            skipped[alternative.name] = (
                f"it works on {' and '.join(alternative.devices)}, not on {request.device}"
            )
            continue
        if alternative.name != workload.baseline and not asked and request.preset not in alternative.presets:
            skipped[alternative.name] = (
                f"only measured by --preset {alternative.presets[0]}, or by --method {alternative.name}"
            )
            continue
        seen = workload.observed.get(alternative.name)
        if seen is not None and seen.raises:
            skipped[alternative.name] = seen.raises
            continue
        if wanting := lacks(alternative.needs.get(kind_of(request.device), ())):
            skipped[alternative.name] = wanting
            continue
        if numel < alternative.least:
            skipped[alternative.name] = (
                f"it differs from the others only from {alternative.least:,} elements on"
            )
            continue
        if alternative.dtypes and request.dtype not in alternative.dtypes:
            skipped[alternative.name] = (
                f"it works in {' and '.join(alternative.dtypes)}, not in {request.dtype}"
            )
            continue
        variant = _alternative_variant(alternative, workload)
        variants.append(variant)
        if variant.role == "baseline":
            variants.extend(_twins(variant, workload.own_buffer))
    return variants, skipped


def _alternative_variant(alternative: Alternative, workload: Workload) -> Variant:
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


def _twins(baseline: Variant, own_buffer: str) -> list[Variant]:
    """The A/A controls: the baseline once more, on the same storage and on one of its own."""
    replace = msgspec.structs.replace
    return [
        replace(baseline, name="twin", label="twin: the baseline again", role="twin"),
        replace(
            baseline,
            name="twin_own_buffer",
            label="twin on a buffer of its own",
            role="twin_own_buffer",
            setup=joined(own_buffer, baseline.setup),
        ),
    ]


def empty_loop(per_call: bool) -> Variant:
    """The loop with nothing in it; `per_call` where the calls of its comparison are set up one by one."""
    return Variant(
        name="empty",
        label="empty loop",
        role="empty",
        setup="",
        statement="pass",
        probe="",
        expect=Expectation(),
        setup_per_call="pass" if per_call else "",
        result="",
    )
