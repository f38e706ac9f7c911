"""Exact bytes of one execution of a variant, in an execution that is not timed.

On the CPU there is no allocator statistic; the profiler's memory events are one per allocation and
release and carry the size in bytes. On an accelerator torch's allocator counts the bytes that it was asked
for, and gives them in blocks that are larger. What the graph keeps is seen through saved-tensor hooks.
"""

from __future__ import annotations

import contextlib
import gc
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import psutil
import torch
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile, record_function

from gradbench.measure.clock import Accelerator
from gradbench.measure.execution import Executable, Observed, bytes_of, observe, saving, tensors_in
from gradbench.measure.variant import ReadyVariant
from gradbench.record.visits import Memory, Stretch, Timeline

SOURCE = "torch.profiler memory events"
# By what the counters are called; its other form, cudaMallocAsync, has none of requested bytes.
DEVICE_SOURCE = "torch.{kind}.memory_stats, requested bytes"


class Unrepeatable(Exception):
    """Two executions of the same statement did not allocate the same."""


class Uncounted(Exception):
    """The allocator of an accelerator does not count the bytes that it is asked for."""


def measure_memory(ready: ReadyVariant, comparison_id: str, accelerator: Accelerator | None = None) -> Memory:
    """What one execution does to memory, in bytes (see `gradbench.record.visits.Memory`).

    With an accelerator, to its memory. Each figure is taken twice; raises Unrepeatable when the two differ,
    and Uncounted where they cannot be had.
    """
    if accelerator is not None:
        return _on_device(ready, comparison_id, accelerator)
    events, result = _repeated(ready)
    peak, retained = _levels(events)
    return Memory(
        comparison=comparison_id,
        variant=ready.variant.name,
        allocated=sum(event for event in events if event > 0),
        allocations=sum(1 for event in events if event > 0),
        peak=peak,
        retained=retained,
        graph=retained - result,
        saved=_saved(ready),
        resident=_resident(ready),
        source=SOURCE,
    )


def measure_long(
    ready: ReadyVariant,
    comparison_id: str,
    known: Callable[[Observed], bool],
    repeats: bool,
    by_line: bool,
) -> tuple[Memory, Timeline | None] | None:
    """The bytes of a long execution, in as few executions as can be; None where they are `known`.

    The first is observed, and is not counted: it is under the same profiler, so that what the next releases
    of it is seen. One is counted, or two that `repeats` asks for. With `by_line` they are followed as well.
    Raises Unrepeatable where the two differ.
    """
    with _profiled() as profiler:
        observed = observe(ready)
        if known(observed):
            return None
        # Where it could not be seen, that is said as of a short call.
        saved = _saved(ready) if observed.saved is None else observed.saved
        counted = [_by_line(ready, number) for number in range(1 + repeats)]
    events = _events(profiler)
    found = [_within(events, *_bounds(profiler, number)) for number in range(len(counted))]
    sizes = [[size for _, size in each] for each in found]
    if sizes[0] != sizes[-1]:
        raise Unrepeatable(f"two executions allocated {sizes[0]} and {sizes[-1]} bytes; expected the same")
    lines, result = counted[-1]
    peak, retained = _levels(sizes[-1])
    memory = Memory(
        comparison=comparison_id,
        variant=ready.variant.name,
        allocated=sum(size for size in sizes[-1] if size > 0),
        allocations=sum(1 for size in sizes[-1] if size > 0),
        peak=peak,
        retained=retained,
        graph=retained - result,
        saved=saved,
        resident=observed.resident,
        source=SOURCE,
        executions=len(counted),
    )
    if not by_line:
        return memory, None
    ends = _ends(profiler, f"{_LINE}{len(counted) - 1} ")
    # What the lines name is still held where the last of them ends.
    held = [event for event in found[-1] if event[0] <= ends[str(len(lines) - 1)]]
    return memory, Timeline(comparison_id, ready.variant.name, _stretches(lines, held, ends))


def _by_line(ready: ReadyVariant, number: int) -> tuple[list[str], int]:
    """Execute the statement line by line, in ranges of this number; its lines, and bytes new in its result.

    What else the statement names is released inside the ranges, as where it is executed in one piece.
    """
    with record_function(f"{_SETUP} {number}"):
        per_call = ready.set_up_call()
    lines, names = ready.run_by_line(lambda line: record_function(f"{_LINE}{number} {line}"), dict(per_call))
    kept = ready.result_of(names)
    del names
    with record_function(f"{_DONE} {number}"):
        return lines, _result_bytes(kept, ready.x)


def _bounds(profiler: profile, number: int) -> tuple[int, int]:
    """When the setup of an execution of this number ended, and when it was done."""
    return _ends(profiler, f"{_SETUP} ")[str(number)], _ends(profiler, f"{_DONE} ")[str(number)]


def _within(events: list[tuple[int, int]], begin: int, end: int) -> list[tuple[int, int]]:
    return [event for event in events if begin < event[0] <= end]


# What is asked of the counters: bytes asked for since the start, their number, live now, and most live.
_ALLOCATED = "requested_bytes.all.allocated"
_ALLOCATIONS = "allocation.all.allocated"
_LIVE = "requested_bytes.all.current"
_PEAK = "requested_bytes.all.peak"
_BLOCKS = "allocated_bytes.all.current"
_BLOCKS_PEAK = "allocated_bytes.all.peak"


def _counters(accelerator: Accelerator) -> dict[str, int]:
    """The counters once all that was issued is done. Raises Uncounted."""
    accelerator.synchronize()
    counters = accelerator.statistics()
    if _PEAK not in counters or (counters[_BLOCKS] and not counters[_LIVE]):
        raise Uncounted(
            "expected torch's own allocator, which counts requested bytes; this one does not "
            "(PYTORCH_CUDA_ALLOC_CONF may name another)"
        )
    return counters


class _Counted(NamedTuple):
    """What the counters of an accelerator say of one execution, and the bytes new in its result."""

    allocated: int
    allocations: int
    peak: int
    retained: int
    blocks: int
    result: int


def _counted(ready: Executable, accelerator: Accelerator) -> _Counted:
    """Of two executions that agree; raises Unrepeatable where they do not, and Uncounted."""

    def execute() -> _Counted:
        per_call = ready.set_up_call()
        before = _counters(accelerator)
        accelerator.reset_peaks()
        kept = ready.run_and_keep(per_call)
        after = _counters(accelerator)
        return _Counted(
            after[_ALLOCATED] - before[_ALLOCATED],
            after[_ALLOCATIONS] - before[_ALLOCATIONS],
            after[_PEAK] - before[_LIVE],
            after[_LIVE] - before[_LIVE],
            after[_BLOCKS_PEAK] - before[_BLOCKS],
            _result_bytes(kept, ready.x),
        )

    # Not the first: libraries make their workspaces in it.
    _, first, second = (execute() for _ in range(3))
    # What blocks the allocator gives depends on those that it has left.
    if first._replace(blocks=0) != second._replace(blocks=0):
        raise Unrepeatable(f"two executions counted {tuple(first)} and {tuple(second)}; expected the same")
    return second


def _on_device(ready: ReadyVariant, comparison_id: str, accelerator: Accelerator) -> Memory:
    found = _counted(ready, accelerator)
    return Memory(
        comparison=comparison_id,
        variant=ready.variant.name,
        allocated=found.allocated,
        allocations=found.allocations,
        peak=found.peak,
        retained=found.retained,
        graph=found.retained - found.result,
        saved=_saved(ready),
        resident=None,
        source=DEVICE_SOURCE.format(kind=accelerator.device.partition(":")[0]),
        peak_blocks=found.blocks,
    )


def measure_call(
    function: Callable[..., object],
    setup: Callable[[], object] | None = None,
    accelerator: Accelerator | None = None,
) -> tuple[int, int, int, int]:
    """Bytes allocated, peak, retained and saved by one call of a function, as in
    `gradbench.record.visits.Memory`.

    With `setup` it is called before, and what it returns is passed. With an accelerator they are those of its
    memory. Raises Unrepeatable and Uncounted as `measure_memory`.
    """
    call = _Call(function, setup)
    if accelerator is not None:
        with _uncollected():
            counted = _counted(call, accelerator)
        return counted.allocated, counted.peak, counted.retained, _saved(call)
    events, _ = _repeated(call)
    return sum(event for event in events if event > 0), *_levels(events), _saved(call)


class _Call:
    """A function in the place of a variant."""

    x = None

    def __init__(self, function: Callable[..., object], setup: Callable[[], object] | None) -> None:
        self._function = function
        self._setup = setup

    def set_up_call(self) -> dict[str, Any]:
        return {} if self._setup is None else {"made": self._setup()}

    def run_and_keep(self, per_call: dict[str, Any]) -> list[Any]:
        return [self._function(*per_call.values())]


def _repeated(execution: Executable) -> tuple[list[int], int]:
    """As `_allocations`, of two executions that agree; raises Unrepeatable where they do not."""
    # Not the first: what it releases of earlier executions was made before there was a profiler to see it.
    _, first, second = (_allocations(execution) for _ in range(3))
    if first != second:
        raise Unrepeatable(f"two executions allocated {first} and {second} bytes; expected the same")
    return second


def _levels(events: list[int]) -> tuple[int, int]:
    """Most bytes live at once, and those live at the end."""
    live = peak = 0
    for event in events:
        live += event
        peak = max(peak, live)
    return peak, live


@contextmanager
def _profiled() -> Iterator[profile]:
    with _uncollected(), started(profile(activities=[ProfilerActivity.CPU], profile_memory=True)) as profiler:
        yield profiler


@contextmanager
def started(profiler: profile) -> Iterator[profile]:
    """The profiler, started, without the warning of torch 2.11 that it forgets one cycle with the next.

    There is one; to ask it to keep all (`acc_events`) makes each use ten times as dear.
    """
    with contextlib.ExitStack() as stack:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Warning: Profiler clears events")
            stack.enter_context(profiler)
        yield profiler


@contextmanager
def _uncollected() -> Iterator[None]:
    """With the collector off: what it releases of others would be counted among what is measured."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def _allocations(ready: Executable) -> tuple[list[int], int]:
    """The sizes of all allocations (positive) and releases (negative), in order; bytes new in the result.

    What is made for the statement is made before it, under the same profiler, so that its release by the
    statement is seen; it is held until the end.
    """
    with _profiled() as profiler:
        with record_function(_SETUP):
            per_call = ready.set_up_call()
        kept = ready.run_and_keep(per_call)
    (begun,) = _ends(profiler, _SETUP).values()
    return [size for time, size in _events(profiler) if time > begun], _result_bytes(kept, ready.x)


def _result_bytes(kept: list[Any], x: torch.Tensor | None) -> int:
    """Bytes of the storages of a result, other than that of x; 0 where there is no x to tell them from."""
    if x is None:
        return 0
    storages = {each.untyped_storage().data_ptr(): each.untyped_storage() for each in tensors_in(kept)}
    storages.pop(x.untyped_storage().data_ptr(), None)
    return sum(storage.nbytes() for storage in storages.values())


def _events(profiler: profile) -> list[tuple[int, int]]:
    """The time in nanoseconds and the size of each allocation and release, in order."""
    events = [
        (event.start_ns(), event.nbytes())
        for event in profiler.profiler.kineto_results.events()
        # Where torch uses another device the profiler sees its allocator as well.
        if event.name() == "[memory]" and event.device_type() == DeviceType.CPU
    ]
    # The stable sort keeps the order of events within one nanosecond.
    return sorted(events, key=lambda event: event[0])


# The names of ranges in a profile.
_SETUP = "gradbench setup per call"
_DONE = "gradbench done"
_LINE = "gradbench line "


def _ends(profiler: profile, prefix: str) -> dict[str, int]:
    """When each range ended whose name begins so, by the rest of its name."""
    return {
        event.name().removeprefix(prefix): event.start_ns() + event.duration_ns()
        for event in profiler.profiler.kineto_results.events()
        if event.name().startswith(prefix)
    }


def follow(ready: ReadyVariant, comparison_id: str, accelerator: Accelerator | None = None) -> Timeline:
    """The bytes that are live through one execution, line by line; what the lines name is held to the end.

    Of an accelerator, the most in each line, and those at its end.
    """
    if accelerator is not None:
        return _follow_on_device(ready, comparison_id, accelerator)
    with _profiled() as profiler:
        lines, held = ready.run_by_line(lambda number: record_function(f"{_LINE}{number}"))
    events = _events(profiler)
    ends = _ends(profiler, _LINE)
    del held
    return Timeline(comparison_id, ready.variant.name, _stretches(lines, events, ends))


def _stretches(lines: list[str], events: list[tuple[int, int]], ends: dict[str, int]) -> tuple[Stretch, ...]:
    """The bytes that are live after each event, by the line that it is in; the last has all that is left."""
    live, stretches, at = 0, [], 0
    for number, line in enumerate(lines):
        reached = []
        while at < len(events) and (events[at][0] <= ends[str(number)] or number == len(lines) - 1):
            live += events[at][1]
            reached.append(live)
            at += 1
        stretches.append(Stretch(line, tuple(reached)))
    return tuple(stretches)


def _follow_on_device(ready: ReadyVariant, comparison_id: str, accelerator: Accelerator) -> Timeline:
    seen: list[tuple[int, int]] = []

    @contextmanager
    def line(number: int) -> Iterator[None]:
        before = _counters(accelerator)[_LIVE]
        accelerator.reset_peaks()
        yield
        after = _counters(accelerator)
        start = seen[-1][1] if seen else 0
        seen.append((start + after[_PEAK] - before, start + after[_LIVE] - before))

    lines, held = ready.run_by_line(line)
    del held
    stretches = tuple(Stretch(code, live) for code, live in zip(lines, seen, strict=True))
    return Timeline(comparison_id, ready.variant.name, stretches)


def _saved(ready: Executable) -> int:
    """Bytes of the unique storages that graphs keep after the statement, its result still held."""
    with saving() as held:
        per_call = ready.set_up_call()
        kept = ready.run_and_keep(per_call)
    saved = bytes_of(held)
    del kept, per_call
    return saved


def _resident(ready: ReadyVariant) -> int:
    """Growth of the process's resident set over one execution, the result held, in whole pages."""
    process = psutil.Process()
    per_call = ready.set_up_call()
    before = process.memory_info().rss
    kept = ready.run_and_keep(per_call)
    after = process.memory_info().rss
    del kept, per_call
    return after - before
