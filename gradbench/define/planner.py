"""From a request to a plan: which comparisons a run makes, and what is left out and why."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from gradbench.define.dtypes import DTYPES, EPSILON
from gradbench.define.methods import methods
from gradbench.define.metrics import measured_metrics
from gradbench.define.shapes import shapes_of, unfit
from gradbench.define.sizes import size_class
from gradbench.define.templates import joined
from gradbench.define.variants import empty_loop, variants_of
from gradbench.define.workloads import PRESETS, Workload, workloads
from gradbench.errors import RequestError
from gradbench.extension import choose
from gradbench.record.plan import FLUSH, Comparison, Plan, Request, Variant, full_name

# More than the last cache of any device so far: written between calls it leaves nothing of theirs there.
FLUSHED = 256 * 2**20


def plan_run(request: Request) -> Plan:
    """The plan for a request.

    Without sizes, each workload is measured at those of the preset; a workload asked for by name is
    measured at least as a deeper preset would. The baseline is always measured, asked for or not: ratios
    are taken to it. Raises RequestError for a name that does not exist, or where nothing is left.
    """
    choose("--dtype", (request.dtype,), DTYPES, str)
    choose("--preset", (request.preset,), PRESETS, str)
    rows = workloads()
    wanted = choose("--workload", request.workloads, _names(each.name for each in rows), str)
    choose(
        "--method",
        request.methods,
        _names(variant_names(rows)),
        str,
        _names(variant_names([each for each in rows if each.name in wanted])),
    )
    comparisons: list[Comparison] = []
    skipped: dict[str, str] = {}
    if request.cold and "cpu" in request.devices:
        raise RequestError("--cold flushes the cache of an accelerator: expected --device cuda; got the CPU")
    for device in request.devices:
        own = msgspec.structs.replace(request, device=device)
        for workload in rows:
            if workload.name not in wanted:
                continue
            for shape in shapes_of(workload, own):
                reason = unfit(workload, math.prod(shape), own)
                if reason:
                    skipped[_id(workload, math.prod(shape), own)] = reason
                    continue
                comparison = comparison_at(workload, shape, own)
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
    return Plan(tuple(comparisons), skipped, measured_metrics())


def _names(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))


def variant_names(workloads: Sequence[Workload]) -> Iterator[str]:
    """What `--method` may name in these workloads: methods, and alternatives; some more than once."""
    if any(not workload.alternatives for workload in workloads):
        yield from (method.name for method in methods())
    yield from (alternative.name for workload in workloads for alternative in workload.alternatives)


def _id(workload: Workload, numel: int, request: Request) -> str:
    return f"{full_name(workload.name, workload.part)}/{numel}/{request.dtype}/{request.device}"


def comparison_at(workload: Workload, shape: tuple[int, ...], request: Request) -> Comparison:
    """The comparison of a workload of gradbench's own, with an x of this shape."""
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
    variants, skipped = variants_of(workload, request, numel)
    per_call = any(variant.setup_per_call for variant in variants)
    variants = [_named_device(variant, request.device) for variant in variants]
    variants.append(empty_loop(per_call))
    if request.cold:
        prepare = joined(
            prepare, f'flush = torch.zeros({FLUSHED}, dtype=torch.uint8, device="{request.device}")'
        )
        variants = [_flushed(variant) for variant in variants]
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
        headline=workload.headline,
        purpose=workload.purpose,
    )


def _flushed(variant: Variant) -> Variant:
    """The variant with the cache flushed before each call; the empty loop has that and nothing else there."""
    before = "" if variant.role == "empty" else variant.setup_per_call
    return msgspec.structs.replace(variant, setup_per_call=joined(before, FLUSH))


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
