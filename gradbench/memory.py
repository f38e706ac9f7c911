"""Exact bytes of one execution of a lane, in an execution that is not timed.

On the CPU there is no allocator statistic; the profiler's memory events are one per allocation and
release and carry the size in bytes. What the graph keeps is seen through saved-tensor hooks.
"""

from __future__ import annotations

import weakref
from typing import Any

import psutil
import torch
from torch.profiler import ProfilerActivity, profile

from gradbench.lane import ReadyLane
from gradbench.results import Memory

SOURCE = "torch.profiler memory events"


class Unrepeatable(Exception):
    """Two executions of the same statement did not allocate the same."""


def measure_memory(ready: ReadyLane, comparison_id: str) -> Memory:
    """What one execution does to memory, in bytes (see `gradbench.results.Memory`).

    Each figure is taken twice; raises Unrepeatable when the two differ.
    """
    ready.run()
    first, second = _allocations(ready), _allocations(ready)
    if first != second:
        raise Unrepeatable(f"two executions allocated {first} and {second} bytes; expected the same")
    events, own = second
    live = peak = 0
    for event in events:
        live += event
        peak = max(peak, live)
    return Memory(
        comparison=comparison_id,
        lane=ready.lane.name,
        allocated=sum(event for event in events if event > 0),
        allocations=sum(1 for event in events if event > 0),
        peak=peak,
        retained=live,
        graph=live - own,
        saved=_saved(ready),
        resident=_resident(ready),
        source=SOURCE,
    )


def _allocations(ready: ReadyLane) -> tuple[list[int], int]:
    """The sizes of all allocations (positive) and releases (negative), in order; bytes new in the result."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        y = ready.run()
    events = [
        (event.start_ns(), event.nbytes())
        for event in profiler.profiler.kineto_results.events()
        if event.name() == "[memory]"
    ]
    # The stable sort keeps the order of events within one nanosecond.
    events.sort(key=lambda event: event[0])
    own, x = 0, ready.x
    if isinstance(y, torch.Tensor) and x is not None:
        storage = y.untyped_storage()
        own = storage.nbytes() if storage.data_ptr() != x.untyped_storage().data_ptr() else 0
    return [size for _, size in events], own


class _Saved:
    """Stands in the graph for a saved tensor, so that it can be seen when the graph lets go of it.

    It holds the storage, so that no other takes its address, and not the tensor: an operation that saves
    its own result would then hold itself, through the result's history, and never be released.
    """

    def __init__(self, tensor: torch.Tensor) -> None:
        self.storage = tensor.untyped_storage()


def _never_unpacked(saved: _Saved) -> torch.Tensor:
    raise AssertionError("nothing runs backward while memory is measured")


def _saved(ready: ReadyLane) -> int:
    """Bytes of the unique storages that the graph of the result keeps, the result still held."""
    held: weakref.WeakSet[_Saved] = weakref.WeakSet()

    def pack(tensor: torch.Tensor) -> _Saved:
        saved = _Saved(tensor)
        held.add(saved)
        return saved

    with torch.autograd.graph.saved_tensors_hooks(pack, _never_unpacked):
        y: Any = ready.run()
    storages = {saved.storage.data_ptr(): saved.storage.nbytes() for saved in held}
    del y
    return sum(storages.values())


def _resident(ready: ReadyLane) -> int:
    """Growth of the process's resident set over one execution, the result held, in whole pages."""
    process = psutil.Process()
    before = process.memory_info().rss
    y: Any = ready.run()
    after = process.memory_info().rss
    del y
    return after - before
