"""From a request to the shapes of x for a workload, and why a shape does not fit."""

from __future__ import annotations

import math

from gradbench.define.dtypes import BYTES
from gradbench.define.sizes import parse_size
from gradbench.define.workloads.workload import PRESETS, Workload
from gradbench.record.devices import kind_of
from gradbench.record.plan import Request

# A comparison holds at least three tensors of the size of x: x, its copy for the twin, and a result.
LEAST_TENSORS = 3


def shapes_of(workload: Workload, request: Request) -> list[tuple[int, ...]]:
    """The requested shapes of x, in order of size."""
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
    """The size at which a call keeps an accelerator busy; without room for it, a tenth of it, or less."""
    most = request.room.get(request.device, math.inf) / workload.tensors / BYTES[request.dtype]
    numel = workload.filling
    while numel is not None and numel > most:
        numel //= 10
    return [] if numel is None or numel <= workload.sizes["large"] else [numel]


def unfit(workload: Workload, numel: int, request: Request) -> str:
    """Why a workload does not fit a size, dtype or device; empty where it does."""
    dtype, device = request.dtype, request.device
    if workload.largest is not None and numel > workload.largest:
        return f"{numel:,} elements are more than its limit of {workload.largest:,}"
    if workload.dtypes and dtype not in workload.dtypes:
        return f"it is measured in {' and '.join(workload.dtypes)}, not in {dtype}"
    least = LEAST_TENSORS * numel * BYTES[dtype]
    if least > request.room.get(device, least):
        return f"it takes at least {least:,} bytes; {request.room[device]:,} were free on {device}"
    return ""
