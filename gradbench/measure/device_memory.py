"""Exact bytes of one execution of a variant on an accelerator, by the counters of its allocator."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator
from contextlib import contextmanager

from gradbench.measure.clock import Accelerator
from gradbench.measure.execution import Executable, saving
from gradbench.measure.marked import ByLine, Counted, Marked, MarkedExecution, Uncounted, Unrepeatable, let_go
from gradbench.measure.threads import other_threads
from gradbench.measure.variant import ReadyVariant
from gradbench.record.visits import Stretch

# From the counters: requested bytes since the start, number of requests, bytes live now, and most live.
_ALLOCATED = "requested_bytes.all.allocated"
_ALLOCATIONS = "allocation.all.allocated"
_LIVE = "requested_bytes.all.current"
_PEAK = "requested_bytes.all.peak"
_BLOCKS = "allocated_bytes.all.current"
_BLOCKS_PEAK = "allocated_bytes.all.peak"

_Counters = dict[str, int]


def _counters(accelerator: Accelerator) -> _Counters:
    """The counters after all issued work is done. Raises Uncounted."""
    accelerator.synchronize()
    counters = accelerator.statistics()
    if _PEAK not in counters or (counters[_BLOCKS] and not counters[_LIVE]):
        raise Uncounted(
            "expected torch's own allocator, which counts requested bytes; this one does not "
            "(PYTORCH_CUDA_ALLOC_CONF may name another)"
        )
    return counters


def count_on_device(ready: Executable, accelerator: Accelerator, hooks: bool) -> Counted:
    """The bytes of two executions that agree; raises Unrepeatable where they do not, and Uncounted.

    The counters cover all threads. `hooks`: the statement works under saved-tensor hooks.
    """
    execution = MarkedExecution(ready, accelerator.device)
    with other_threads(contextlib.nullcontext) as elsewhere:

        def mark() -> _Counters:
            elsewhere.settle()
            counters = _counters(accelerator)
            accelerator.reset_peaks()
            return counters

        # The first execution does not count, since libraries make their workspaces in it.
        _, first, second = (_between(execution.execute(mark)) for _ in range(3))
        threads = 1 + len(elsewhere.threads)
        if _comparable(first, threads) != _comparable(second, threads):
            raise Unrepeatable(
                f"two executions counted {tuple(first)} and {tuple(second)}; expected the same"
            )
        counted = second._replace(peak=max(first.peak, second.peak), threads=threads)
        if not counted.left:
            return counted
        gc.collect()
        with saving() if hooks else contextlib.nullcontext() as saved:
            marked = execution.execute(mark, collects=True)
    start = marked.start[_LIVE]
    kept = let_go(marked, lambda counters: counters[_LIVE] - start, saved, accelerator.device)
    return counted._replace(**kept._asdict())


def _between(marked: Marked[_Counters]) -> Counted:
    """The figures of one execution by its counters; all bytes that stay in the end are `left`."""
    begin, done = marked.begin, marked.done
    return Counted(
        allocated=done[_ALLOCATED] - begin[_ALLOCATED],
        allocations=done[_ALLOCATIONS] - begin[_ALLOCATIONS],
        peak=marked.standing + done[_PEAK] - begin[_LIVE],
        retained=marked.standing + done[_LIVE] - begin[_LIVE],
        graph=done[_LIVE] - begin[_LIVE] - marked.own,
        standing=marked.standing,
        left=marked.over[_LIVE] - marked.start[_LIVE],
        peak_blocks=done[_BLOCKS_PEAK] - begin[_BLOCKS],
    )


def _comparable(counted: Counted, threads: int) -> Counted:
    """The figures that must be the same in two executions."""
    # The allocator's blocks depend on those that it has left, and the timing of threads may differ.
    return counted._replace(peak_blocks=0, peak=0 if threads > 1 else counted.peak)


def follow_on_device(ready: ReadyVariant, accelerator: Accelerator) -> tuple[Stretch, ...]:
    """By line the most live bytes in it, and those at its end; all names of the lines stay alive."""
    seen: list[tuple[int, int]] = []

    @contextmanager
    def line(number: int) -> Iterator[None]:
        before = _counters(accelerator)[_LIVE]
        accelerator.reset_peaks()
        yield
        after = _counters(accelerator)
        start = seen[-1][1] if seen else 0
        seen.append((start + after[_PEAK] - before, start + after[_LIVE] - before))

    by_line = ByLine(ready, line, holds=True)
    marked = MarkedExecution(ready, accelerator.device).execute(lambda: None, by_line.run)
    return tuple(
        Stretch(code, tuple(marked.standing + each for each in live))
        for code, live in zip(by_line.lines, seen, strict=True)
    )
