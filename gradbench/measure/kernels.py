"""The work of a device for a call of each variant, from the profiler, in calls without timing.

`gradbench.analyse.trust` compares the times of its clock by events with these.
"""

from __future__ import annotations

import bisect
import time
from collections.abc import Iterable, Sequence

import numpy
import torch
from torch.profiler import ProfilerActivity, profile, record_function

from gradbench.measure.clock import Accelerator
from gradbench.measure.profiled import started
from gradbench.measure.variant import ReadyVariant
from gradbench.record.visits import Kernels

# Watched calls of each variant, after a call that does the one-time setup.
CALLS = 5
# The profiler aligns the device's clock with the host's to some microseconds. The gap between two calls is
# longer.
_APART = 50e-6
# Cycles of the one kernel that must appear: some 60 µs, more than any difference of the clocks.
_SPIN = 100_000
# The name of the ranges of the calls.
_CALL = "gradbench call"

# Begin and duration of work, in nanoseconds.
Span = tuple[int, int]


def watch_kernels(
    variants: Sequence[ReadyVariant], comparison_id: str, accelerator: Accelerator
) -> list[Kernels]:
    """For each variant the number and time of the kernels of a call, with copies and fills of memory.

    Empty where the profiler does not see this device.
    """
    with started(profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA])) as profiler:
        # This kernel shows whether the profiler sees the device at all, for variants that launch no kernel.
        with record_function(_CALL):
            accelerator.spin(_SPIN)
            accelerator.synchronize()
        for ready in variants:
            for _ in range(1 + CALLS):
                per_call = ready.set_up_call()
                accelerator.synchronize()
                time.sleep(_APART)
                with record_function(_CALL):
                    kept = ready.run_and_keep(per_call)
                    accelerator.synchronize()
                del kept, per_call
    events = profiler.profiler.kineto_results.events()
    on_host = [each for each in events if each.device_type() == torch.autograd.DeviceType.CPU]
    calls = [(each.start_ns(), each.duration_ns()) for each in on_host if each.name() == _CALL]
    expected = 1 + len(variants) * (1 + CALLS)
    if len(calls) != expected:
        raise RuntimeError(f"the profiler saw {len(calls)} calls; expected {expected}")
    # The profiler repeats ranges of the host (gradbench's, an optimizer's, a model's) among the work of the
    # device.
    ranges = {each.name() for each in on_host}
    work = [
        (each.start_ns(), each.duration_ns())
        for each in events
        if each.device_type() != torch.autograd.DeviceType.CPU and each.name() not in ranges
    ]
    known, *found = by_call(work, calls)
    if not known:
        return []
    made = []
    for place, ready in enumerate(variants):
        own = found[place * (1 + CALLS) + 1 : (place + 1) * (1 + CALLS)]
        made.append(
            Kernels(
                comparison=comparison_id,
                variant=ready.variant.name,
                count=int(numpy.median([len(each) for each in own])),
                seconds=float(numpy.median([sum(each) for each in own])) / 1e9,
            )
        )
    return made


def by_call(work: Iterable[Span], calls: Iterable[Span]) -> list[list[int]]:
    """By call, in order of time, the durations of the work whose middle lies in it."""
    spans = sorted(calls)
    begins = [begin for begin, _ in spans]
    found: list[list[int]] = [[] for _ in spans]
    for begin, duration in sorted(work):
        middle = begin + duration // 2
        place = bisect.bisect_right(begins, middle) - 1
        if place >= 0 and middle <= sum(spans[place]):
            found[place].append(duration)
    return found
