"""From a request to a plan: which comparisons a run makes, and which it leaves out and why."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from gradbench.define.alternatives import variant_of, why_not
from gradbench.define.dtypes import DTYPES, EPSILON
from gradbench.define.methods import BASELINE, Method, methods
from gradbench.define.metrics import measured_metrics
from gradbench.define.shapes import shapes_of, unfit
from gradbench.define.sizes import size_class
from gradbench.define.templates import fill, joined
from gradbench.define.workloads import PRESETS, Alternative, Workload, workloads
from gradbench.errors import RequestError
from gradbench.extension import choose
from gradbench.record.plan import FLUSH, Comparison, Expectation, Plan, Request, Variant, full_name
from gradbench.record.user_file import Under

# More than the last cache of any device so far. A write of it between calls evicts all their data.
FLUSHED = 256 * 2**20


def plan_run(request: Request) -> Plan:
    """The plan for a request.

    Without sizes, a run measures each workload at the sizes of the preset. A workload that the request names
    gets at least the sizes of a deeper preset. The baseline is always in the plan, since ratios are taken to
    it. Raises RequestError for a name that does not exist, or where nothing is left.
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
                # A workload without an alternative for the requested methods stays out of the plan.
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
    """The names for `--method` in these workloads: methods and alternatives; some more than once."""
    if any(not workload.alternatives for workload in workloads):
        yield from (method.name for method in methods())
    yield from (alternative.name for workload in workloads for alternative in workload.alternatives)


def _id(workload: Workload, numel: int, request: Request) -> str:
    return f"{full_name(workload.name, workload.part)}/{numel}/{request.dtype}/{request.device}"


def comparison_at(workload: Workload, shape: tuple[int, ...], request: Request) -> Comparison:
    """The comparison of a built-in workload, with an x of this shape."""
    options = tensor_options(request.dtype, request.device)
    inputs = {"base": "torch.rand({shape}, {options})", **workload.inputs}
    prepare = joined(
        workload.imports,
        f"torch.manual_seed({request.seed})",
        *(f"{name} = {code.format(shape=shape, options=options)}" for name, code in inputs.items()),
        workload.definitions,
    )
    return compose(workload, shape, request, _on(prepare, request.device))


def tensor_options(dtype: str, device: str) -> str:
    """The arguments of a call that makes a tensor of this dtype on this device."""
    return f"dtype=torch.{dtype}" + ("" if device == "cpu" else f', device="{device}"')


def compose(workload: Workload, shape: tuple[int, ...], request: Request, prepare: str) -> Comparison:
    """The comparison of a workload whose inputs `prepare` makes: an x of this shape, and further names."""
    numel = math.prod(shape)
    variants, skipped = _variants_of(workload, request, numel)
    per_call = any(variant.setup_per_call for variant in variants)
    variants = [_named_device(variant, request.device) for variant in variants]
    variants.append(_empty_loop(per_call))
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
        # torch adds up in float32 at least, for any dtype of the result.
        tolerance=workload.roundings * EPSILON[request.dtype]
        + workload.terms(shape) * min(EPSILON[request.dtype], EPSILON["float32"]),
        variants=tuple(variants),
        skipped=skipped,
        part=workload.part,
        alternatives=bool(workload.alternatives),
        normwise=workload.normwise,
        timeline=workload.timeline,
        pointwise=workload.pointwise,
        # Every pass of the quick preset visits a workload that the request names: ten passes are few.
        every=1 if request.workloads or request.preset == "quick" else workload.every,
        headline=workload.headline,
        purpose=workload.purpose,
    )


def _variants_of(workload: Workload, request: Request, numel: int) -> tuple[list[Variant], dict[str, str]]:
    """The variants of a workload that a request asks for, and by name why others are left out."""
    variants: list[Variant] = []
    skipped: dict[str, str] = {}
    for row in workload.alternatives or methods():
        if request.methods and row.name not in (*request.methods, workload.baseline):
            continue
        if isinstance(row, Alternative):
            why = why_not(row, workload, request, numel)
        elif workload.methods and row.name not in workload.methods:
            continue
        else:
            why = _why_not_under(row, workload)
        if why:
            skipped[row.name] = why
            continue
        variant = variant_of(row, workload) if isinstance(row, Alternative) else _under(row, workload)
        variants.append(variant)
        if variant.role == "baseline":
            variants.extend(_twins(variant, workload.own_buffer))
    return variants, skipped


def _why_not_under(method: Method, workload: Workload) -> str:
    """Why the plan leaves out a method for a workload; empty where it has it."""
    if workload.work is None and method.alone is None:
        return "there is no statement without work: it acts on, or through, an operation"
    if workload.on_model and method.on_input:
        what = (
            "the parameters are tracked as well"
            if workload.with_input
            else "the parameters are what is tracked"
        )
        return f"it acts on the input, and {what}"
    seen = _seen(method, workload)
    return "" if seen is None else seen.raises


def _seen(method: Method, workload: Workload) -> Under | None:
    """The observed behaviour of the work under a method, or under an equivalent method."""
    if method.name == "detach_after":
        return None
    same = BASELINE if method.on_input else method.entered_as
    return workload.observed.get(method.name) or workload.observed.get(same)


def _under(method: Method, workload: Workload) -> Variant:
    """The work of a workload under a method."""
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
    flags = _seen(method, workload) or promised
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


def _twins(baseline: Variant, own_buffer: str) -> list[Variant]:
    """The A/A controls: the baseline once more, on the same storage and on a separate one."""
    replace = msgspec.structs.replace
    return [
        replace(baseline, name="twin", label="twin: the baseline again", role="twin"),
        replace(
            baseline,
            name="twin_own_buffer",
            label="twin on a separate buffer",
            role="twin_own_buffer",
            setup=joined(own_buffer, baseline.setup),
        ),
    ]


def _empty_loop(per_call: bool) -> Variant:
    """The empty loop; `per_call` where the comparison has a setup per call."""
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


def _flushed(variant: Variant) -> Variant:
    """The variant with the cache flushed before each call; the empty loop does nothing but flush."""
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
