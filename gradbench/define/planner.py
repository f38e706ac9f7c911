"""From a request to a plan: which comparisons a run makes, what variants time, what is left out and why."""

from __future__ import annotations

import importlib.util
import math
import shutil
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from gradbench.define.dtypes import BYTES, DTYPES, EPSILON
from gradbench.define.methods import BASELINE, METHODS, Method
from gradbench.define.names import choose
from gradbench.define.sizes import parse_size, size_class
from gradbench.define.templates import fill, insert, joined
from gradbench.define.workloads import PRESETS, WORKLOADS, Alternative, Workload
from gradbench.define.workloads.workload import COPY
from gradbench.errors import RequestError
from gradbench.record.devices import kind_of
from gradbench.record.plan import FLUSH, Comparison, Expectation, Plan, Request, Variant, full_name

# A comparison holds three tensors of the size of x at the least: x, its copy for the twin, and a result.
LEAST_TENSORS = 3


# More than the last cache of any device so far: written between calls it leaves nothing of theirs there.
FLUSHED = 256 * 2**20


# What an alternative may need of the machine: the programs of which any one provides it; a package, of its
# own name.
NEEDS = {
    "c compiler": ("cc", "gcc", "clang"),
    "c++ compiler": ("c++", "g++", "clang++"),
    "triton": (),
}


def plan_run(request: Request) -> Plan:
    """The plan for a request.

    Without sizes, each workload is measured at those of the preset; a workload asked for by name is
    measured at least as a deeper preset would. The baseline is always measured, asked for or not: ratios
    are taken to it. Raises RequestError for a name that does not exist, or where nothing is left.
    """
    choose("--dtype", (request.dtype,), DTYPES, str)
    choose("--preset", (request.preset,), PRESETS, str)
    wanted = choose("--workload", request.workloads, _names(each.name for each in WORKLOADS), str)
    choose(
        "--method",
        request.methods,
        _names(variant_names(WORKLOADS)),
        str,
        _names(variant_names([each for each in WORKLOADS if each.name in wanted])),
    )
    comparisons: list[Comparison] = []
    skipped: dict[str, str] = {}
    if request.cold and "cpu" in request.devices:
        raise RequestError("--cold flushes the cache of an accelerator: expected --device cuda; got the CPU")
    for device in request.devices:
        own = msgspec.structs.replace(request, device=device)
        for workload in WORKLOADS:
            if workload.name not in wanted:
                continue
            for shape in _shapes(workload, own):
                reason = _unfit(workload, math.prod(shape), own)
                if reason:
                    skipped[_id(workload, math.prod(shape), own)] = reason
                    continue
                comparison = _comparison(workload, shape, own)
                # A method that this workload has no alternative for does not bring it into the plan.
                if not (workload.alternatives and request.methods and not request.workloads) or any(
                    variant.role == "method" for variant in comparison.variants
                ):
                    comparisons.append(comparison)
    if not comparisons:
        reasons = "; ".join(f"{id}: {reason}" for id, reason in skipped.items())
        raise RequestError(
            "nothing to measure: expected at least one workload at a size, dtype and method that fit it; "
            f"{reasons or 'no workload here has that method'}"
        )
    return Plan(tuple(comparisons), skipped)


def _names(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))


def variant_names(workloads: Sequence[Workload]) -> Iterator[str]:
    """What `--method` may name in these workloads: methods, and alternatives; some more than once."""
    if any(not workload.alternatives for workload in workloads):
        yield from (method.name for method in METHODS)
    yield from (alternative.name for workload in workloads for alternative in workload.alternatives)


def _shapes(workload: Workload, request: Request) -> list[tuple[int, ...]]:
    """The shapes of x that are asked for, in order of size."""
    depths = PRESETS[PRESETS.index(request.preset) :] if request.workloads else (request.preset,)
    usual = next((classes for each in depths if (classes := workload.presets[each])), ())
    if request.sizes:
        if not usual:
            return []
        asked = [size for text in request.sizes for size in parse_size(text)]
    else:
        asked = list(usual)
        if kind_of(request.device) != "cpu" and "large" in usual:
            asked.extend(_filling(workload, request))
    shapes = {workload.shape(workload.sizes[size] if isinstance(size, str) else size) for size in asked}
    return sorted(shapes, key=lambda shape: (math.prod(shape), shape))


def _filling(workload: Workload, request: Request) -> list[int]:
    """The size at which a call keeps an accelerator busy; where there is no room, a tenth of it, or less."""
    most = request.room.get(request.device, math.inf) / workload.tensors / BYTES[request.dtype]
    numel = workload.filling
    while numel is not None and numel > most:
        numel //= 10
    return [] if numel is None or numel <= workload.sizes["large"] else [numel]


def _unfit(workload: Workload, numel: int, request: Request) -> str:
    """Why a workload is not measured at a size, dtype or device; empty where it is."""
    dtype, device = request.dtype, request.device
    if workload.largest is not None and numel > workload.largest:
        return f"{numel:,} elements are more than the {workload.largest:,} that it is fit for"
    if workload.dtypes and dtype not in workload.dtypes:
        return f"it is measured in {' and '.join(workload.dtypes)}, not in {dtype}"
    least = LEAST_TENSORS * numel * BYTES[dtype]
    if least > request.room.get(device, least):
        return f"{least:,} bytes are the least that it takes; {request.room[device]:,} were free on {device}"
    return ""


def _id(workload: Workload, numel: int, request: Request) -> str:
    return f"{full_name(workload.name, workload.part)}/{numel}/{request.dtype}/{request.device}"


def _comparison(workload: Workload, shape: tuple[int, ...], request: Request) -> Comparison:
    device, dtype = request.device, request.dtype
    options = f"dtype=torch.{dtype}" + ("" if device == "cpu" else f', device="{device}"')
    inputs = {"base": "torch.rand({shape}, {options})", **workload.inputs}
    prepare = joined(
        workload.imports,
        f"torch.manual_seed({request.seed})",
        *(f"{name} = {code.format(shape=shape, options=options)}" for name, code in inputs.items()),
        workload.definitions,
    )
    return compose(workload, shape, request, _on(prepare, device))


def compose(workload: Workload, shape: tuple[int, ...], request: Request, prepare: str) -> Comparison:
    """The comparison of a workload whose inputs `prepare` makes: an x of this shape, and what it needs."""
    numel = math.prod(shape)
    variants, skipped = (
        _alternative_variants(workload, request, numel)
        if workload.alternatives
        else _method_variants(workload, request)
    )
    per_call = any(variant.setup_per_call for variant in variants)
    variants = [_named_device(variant, request.device) for variant in variants]
    variants.append(
        Variant(
            "empty",
            "empty loop",
            "empty",
            "",
            "pass",
            "",
            Expectation(),
            setup_per_call="pass" if per_call else "",
            result="",
        )
    )
    if request.cold:
        prepare = joined(
            prepare, f'flush = torch.zeros({FLUSHED}, dtype=torch.uint8, device="{request.device}")'
        )
        variants = [
            # The empty loop has no work of its own before it but that.
            msgspec.structs.replace(
                variant,
                setup_per_call=FLUSH
                if variant.role == "empty" or not variant.setup_per_call
                else f"{variant.setup_per_call}\n{FLUSH}",
            )
            for variant in variants
        ]
    return Comparison(
        id=_id(workload, numel, request),
        workload=workload.name,
        title=workload.title,
        shows=workload.shows,
        size=size_class(numel),
        numel=numel,
        shape=shape,
        dtype=request.dtype,
        device=request.device,
        prepare=prepare,
        answer=workload.answer or "",
        # torch adds up in float32 at least, whatever the dtype of the result.
        tolerance=workload.roundings * EPSILON[request.dtype]
        + workload.terms(shape) * min(EPSILON[request.dtype], EPSILON["float32"]),
        variants=tuple(variants),
        skipped=skipped,
        part=workload.part,
        alternatives=bool(workload.alternatives),
        normwise=workload.normwise,
        timeline=workload.timeline,
        pointwise=workload.pointwise,
        # Ten quick passes are few enough, and who names a workload wants it to be measured.
        every=1 if request.workloads or request.preset == "quick" else workload.every,
    )


def _on(code: str, device: str) -> str:
    """The code with its tensors on a device.

    >>> _on("torch.zeros((), DEVICE)", "cpu"), _on("torch.zeros((), DEVICE)", "cuda:0")
    ('torch.zeros(())', 'torch.zeros((), device="cuda:0")')
    """
    return code.replace(", DEVICE", "" if device == "cpu" else f', device="{device}"')


def _named_device(variant: Variant, device: str) -> Variant:
    parts = {
        name: _on(getattr(variant, name), device)
        for name in ("setup", "statement", "setup_per_call", "result")
    }
    return msgspec.structs.replace(variant, **parts)


def _method_variants(workload: Workload, request: Request) -> tuple[list[Variant], dict[str, str]]:
    variants: list[Variant] = []
    skipped: dict[str, str] = {}
    for method in METHODS:
        if request.methods and method.name not in (*request.methods, BASELINE):
            continue
        if workload.methods and method.name not in workload.methods:
            continue
        if workload.work is None and method.alone is None:
            skipped[method.name] = "there is no statement without work: it acts on, or through, an operation"
            continue
        if workload.on_model and method.on_input:
            skipped[method.name] = "it acts on the input, and the parameters are what is tracked"
            continue
        variant = _method_variant(method, workload)
        variants.append(variant)
        if variant.role == "baseline":
            variants.extend(_twins(variant, workload.own_buffer))
    return variants, skipped


def _method_variant(method: Method, workload: Workload) -> Variant:
    work = workload.work
    if work is None:
        setup = method.setup if method.setup_alone is None else method.setup_alone
        statement, has_result = method.alone or "", method.shares is not None
        shares, asks_mode = method.shares, method.disables
    else:
        template = method.setup
        if workload.on_model and method.setup_model is not None:
            template = method.setup_model
        setup, statement = fill(template, work), fill(method.within, work)
        # With work, the flags of the result already show whether it was recorded.
        has_result, shares, asks_mode = True, False, False
    mode = "torch.is_grad_enabled()"
    return Variant(
        name=method.name,
        label=method.label,
        role="baseline" if method.name == BASELINE else "method",
        setup=joined(workload.leaf, workload.setup, setup),
        statement=statement,
        probe=joined(fill(method.setup, mode), fill(method.within, mode)) if asks_mode else "",
        expect=Expectation(
            input_requires_grad=method.name != BASELINE and not workload.on_model,
            result_requires_grad=method.tracks if has_result else None,
            result_is_leaf=not method.tracks if has_result else None,
            result_inference=method.inference if has_result else None,
            shares_storage=shares if has_result else None,
            grad_enabled_inside=False if asks_mode else None,
        ),
        source=method.source,
        effect=method.effect,
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
        if lacks := _lacks(alternative.needs.get(kind_of(request.device), ())):
            skipped[alternative.name] = lacks
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


def _lacks(needs: Sequence[str]) -> str:
    """What of these is not on the machine; empty where nothing is wanting."""
    for each in needs:
        programs = NEEDS[each]
        if programs and not any(map(shutil.which, programs)):
            return f"there is no {each} here: expected one of {', '.join(programs)}"
        if not programs and importlib.util.find_spec(each) is None:
            return f"there is no package {each} here"
    return ""


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
        limit=alternative.name == COPY,
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
