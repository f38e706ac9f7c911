"""Exact bytes of one execution of a variant, in an execution that is not timed.

On the CPU there is no allocator statistic; the profiler's memory events are one per allocation and
release and carry the size in bytes. On an accelerator torch's allocator counts the bytes that it was asked
for, and gives them in blocks that are larger. What the graph keeps is seen through saved-tensor hooks.
"""

from __future__ import annotations

import contextlib
import gc
import warnings
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

import psutil
import torch
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile, record_function

from gradbench.measure.clock import Accelerator
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


def _counted(ready: _Execution, accelerator: Accelerator) -> _Counted:
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


class _Execution(Protocol):
    """What can be executed again and again: a variant, or a call."""

    @property
    def x(self) -> torch.Tensor | None: ...

    def set_up_call(self) -> dict[str, Any]: ...

    def run_and_keep(self, per_call: dict[str, Any]) -> list[Any]: ...


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


def _repeated(execution: _Execution) -> tuple[list[int], int]:
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


def _allocations(ready: _Execution) -> tuple[list[int], int]:
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
    storages = {each.untyped_storage().data_ptr(): each.untyped_storage() for each in _tensors(kept)}
    storages.pop(x.untyped_storage().data_ptr(), None)
    return sum(storage.nbytes() for storage in storages.values())


def _tensors(kept: Any) -> Iterator[torch.Tensor]:
    if isinstance(kept, torch.Tensor):
        yield kept
    elif isinstance(kept, list | tuple):
        for each in kept:
            yield from _tensors(each)


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
    live, stretches, at = 0, [], 0
    for number, line in enumerate(lines):
        reached = []
        while at < len(events) and (events[at][0] <= ends[str(number)] or number == len(lines) - 1):
            live += events[at][1]
            reached.append(live)
            at += 1
        stretches.append(Stretch(line, tuple(reached)))
    return Timeline(comparison_id, ready.variant.name, tuple(stretches))


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


class _Saved:
    """Stands in the graph for a saved tensor, so that it can be seen when the graph lets go of it.

    It holds the storage, so that no other takes its address, and not the tensor: an operation that saves
    its own result would then hold itself, through the result's history, and never be released.
    """

    def __init__(self, tensor: torch.Tensor) -> None:
        self.storage = tensor.untyped_storage()
        self._like = torch.empty(0, dtype=tensor.dtype, device=tensor.device)
        self._place = tensor.storage_offset(), tensor.shape, tensor.stride()

    def unpack(self) -> torch.Tensor:
        """The tensor again, for a statement that runs backward."""
        offset, shape, stride = self._place
        return self._like.set_(self.storage, offset, shape, stride)


def _saved(ready: _Execution) -> int:
    """Bytes of the unique storages that graphs keep after the statement, its result still held."""
    held: weakref.WeakSet[_Saved] = weakref.WeakSet()

    def pack(tensor: torch.Tensor) -> _Saved:
        saved = _Saved(tensor)
        held.add(saved)
        return saved

    with torch.autograd.graph.saved_tensors_hooks(pack, _Saved.unpack):
        per_call = ready.set_up_call()
        kept = ready.run_and_keep(per_call)
    storages = {saved.storage.data_ptr(): saved.storage.nbytes() for saved in held}
    del kept, per_call
    return sum(storages.values())


def _resident(ready: ReadyVariant) -> int:
    """Growth of the process's resident set over one execution, the result held, in whole pages."""
    process = psutil.Process()
    per_call = ready.set_up_call()
    before = process.memory_info().rss
    kept = ready.run_and_keep(per_call)
    after = process.memory_info().rss
    del kept, per_call
    return after - before
