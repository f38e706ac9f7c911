"""Exact bytes of one execution of a variant, in an execution that is not timed.

On the CPU there is no allocator statistic; the profiler's memory events are one per allocation and
release and carry the size in bytes. On an accelerator torch's allocator counts the bytes that it was asked
for, and gives them in blocks that are larger. What the graph keeps is seen through saved-tensor hooks.

An execution is counted until its result is let go of, so that what stays then can be told from what the
result and its graph held.
"""

from __future__ import annotations

import contextlib
import gc
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

import psutil
import torch
from torch.multiprocessing.reductions import StorageWeakRef

from gradbench.measure.clock import Accelerator
from gradbench.measure.execution import (
    Executable,
    Observed,
    Saved,
    no_hooks_allowed,
    observe,
    observing,
    saving,
    storages_of,
    tensors_in,
)
from gradbench.measure.gradients import Gradients, standing
from gradbench.measure.profiled import Event, Profiled, profiled, uncollected, worked_unseen
from gradbench.measure.threads import Unseen, other_threads
from gradbench.measure.variant import ReadyVariant
from gradbench.record.visits import Memory, Stretch, Timeline

SOURCE = "torch.profiler memory events"
# By what the counters are called; its other form, cudaMallocAsync, has none of requested bytes.
DEVICE_SOURCE = "torch.{kind}.memory_stats, requested bytes"


class Unrepeatable(Exception):
    """Two executions of the same statement did not allocate the same."""


class Uncounted(Exception):
    """The allocator of an accelerator does not count the bytes that it is asked for."""


class Counted(NamedTuple):
    """What one execution does to memory: the figures of `gradbench.record.visits.Memory`, in bytes.

    Attributes:
        blocks: the peak in the blocks that an accelerator's allocator gave; None elsewhere.
    """

    allocated: int
    allocations: int
    peak: int
    retained: int
    graph: int
    standing: int = 0
    left: int = 0
    cycles: int = 0
    threads: int = 1
    blocks: int | None = None

    def record(
        self,
        ready: ReadyVariant,
        comparison_id: str,
        saved: int | None,
        resident: int | None,
        source: str,
        executions: int = 2,
    ) -> Memory:
        """The record of a variant with these figures."""
        return Memory(
            comparison=comparison_id,
            variant=ready.variant.name,
            allocated=self.allocated,
            allocations=self.allocations,
            peak=self.peak,
            retained=self.retained,
            graph=self.graph,
            saved=saved,
            resident=resident,
            source=source,
            peak_blocks=self.blocks,
            executions=executions,
            standing=self.standing,
            left=self.left,
            cycles=self.cycles,
            threads=self.threads,
        )


def measure_memory(ready: ReadyVariant, comparison_id: str, accelerator: Accelerator | None = None) -> Memory:
    """What one execution does to memory, in bytes (see `gradbench.record.visits.Memory`).

    With an accelerator, to its memory. Each figure is taken twice; raises Unrepeatable when the two differ,
    Uncounted where they cannot be had, and Unseen where work was done in threads that cannot be watched.
    """
    saved = _saved(ready, accelerator)
    if accelerator is None:
        counted = _on_cpu(ready, saved is not None)
        return counted.record(ready, comparison_id, saved, _resident(ready), SOURCE)
    counted = _on_device(ready, accelerator, saved is not None)
    source = DEVICE_SOURCE.format(kind=accelerator.device.partition(":")[0])
    return counted.record(ready, comparison_id, saved, None, source)


# What a mark is: of the profiler its number, of an accelerator its counters.
_Mark = TypeVar("_Mark")


@dataclass(frozen=True)
class _Marked(Generic[_Mark]):
    """The marks of one execution, and what was seen of it beside the bytes that are live at each.

    Attributes:
        start: before anything was made for the call.
        begin, done: of the call; at the latter its result is held.
        released: the result has been let go of.
        over: what was made for the call as well.
        collected: the collector has run as well; as `over` where it was not asked to.
        own: bytes of the result's storages that nothing else holds.
        standing: bytes of the gradients that the call found, and cleared, replaced or added to.
    """

    start: _Mark
    begin: _Mark
    done: _Mark
    released: _Mark
    over: _Mark
    collected: _Mark
    own: int
    standing: int


class _Execution:
    """Executes one statement again and again, with marks."""

    def __init__(self, ready: Executable, device: str) -> None:
        self._ready = ready
        self._gradients = Gradients(device)
        self._gradients.find(_roots(ready))

    def execute(
        self,
        mark: Callable[[], _Mark],
        run: Callable[[dict[str, Any]], list[Any]] | None = None,
        collects: bool = False,
    ) -> _Marked[_Mark]:
        """One execution.

        Args:
            run: in the place of the one that keeps the result and nothing else.
            collects: the collector runs at the end.
        """
        before = self._gradients.now()
        start = mark()
        per_call = self._ready.set_up_call()
        at_begin = self._gradients.now()
        begin = mark()
        kept = (run or self._ready.run_and_keep)(per_call)
        done = mark()
        found = standing(before, at_begin, self._gradients.now())
        # The first execution may have made the tensors that have gradients.
        self._gradients.find(_roots(self._ready))
        results = _storages(kept, self._ready.x)
        kept = []
        own = sum(size for each, size in results.items() if each.expired())
        released = mark()
        per_call = {}
        over = collected = mark()
        if collects:
            gc.collect()
            collected = mark()
        return _Marked(start, begin, done, released, over, collected, own, found)


def _roots(ready: Executable) -> Iterable[Any]:
    """What an execution reads, in which tensors with gradients may be."""
    if isinstance(ready, ReadyVariant):
        return ready.names.values()
    return (ready.function,) if isinstance(ready, _Call) else ()


def _storages(kept: Any, x: torch.Tensor | None) -> dict[StorageWeakRef, int]:
    """The storages of a result other than that of x, which are not held, and their bytes."""
    storages = {storage.data_ptr(): storage for each in tensors_in(kept) for storage in storages_of(each)}
    if x is not None:
        storages.pop(x.untyped_storage().data_ptr(), None)
    return {StorageWeakRef(each): each.nbytes() for each in storages.values()}


class _Kept(NamedTuple):
    """What stays when a result has been let go of, and what the graph held."""

    graph: int
    left: int
    cycles: int


def _let_go(marked: _Marked[_Mark], live: Callable[[_Mark], int], saved: Saved | None, device: str) -> _Kept:
    """Of an execution after which the collector ran; `saved` is what it saved; None where not seen."""
    # A list may hold a tensor with its history: what that saved, and nothing else holds, is the graph's.
    alone = 0 if saved is None else saved.bytes_of_graph_alone(device)
    return _Kept(
        graph=live(marked.done) - live(marked.released) - marked.own + alone,
        left=live(marked.collected) - alone,
        cycles=live(marked.over) - live(marked.collected),
    )


def _kept_on_cpu(ready: Executable, hooks: bool) -> _Kept:
    """What stays after an execution; with `hooks` what graphs keep is told from what else is held."""
    execution = _Execution(ready, "cpu")
    with profiled() as profile:
        # What was executed without a profiler has left what this one releases, and garbage.
        execution.execute(profile.mark, collects=True)
        with saving() if hooks else contextlib.nullcontext() as saved:
            marked = execution.execute(profile.mark, collects=True)
    return _let_go(marked, lambda mark: _total(profile.between(marked.start, mark)), saved, "cpu")


def _total(events: list[Event]) -> int:
    return sum(each.size for each in events)


def _on_cpu(ready: Executable, hooks: bool) -> Counted:
    """Of two executions that agree; raises Unrepeatable where they do not, and Unseen.

    `hooks`: the statement works under saved-tensor hooks.
    """
    execution = _Execution(ready, "cpu")
    # Not the first: what it releases of earlier executions was made before there was a profiler to see it.
    _, first, second = (_taken(execution) for _ in range(3))
    if first.suspects or second.suspects:
        _expect_seen(ready)
    _expect_same(first, second)
    return _figures((first, second), lambda: _kept_on_cpu(ready, hooks))


class _Taken(NamedTuple):
    """One execution in a profile.

    Attributes:
        events: of the call, its result held.
        own, standing: as of `_Marked`.
        over: bytes live in the end, that were not before.
        threads: that worked, the caller's among them.
        suspects: threads ran that could not be entered.
    """

    events: list[Event]
    own: int
    standing: int
    over: int
    threads: int
    suspects: bool

    @property
    def sizes(self) -> list[int]:
        """Of allocations, and of releases below 0; in order where one thread worked."""
        sizes = [each.size for each in self.events]
        return sizes if self.threads == 1 else sorted(sizes)

    @property
    def levels(self) -> tuple[int, int]:
        """Most bytes live at once, and those live when the call was done, above its begin."""
        live = peak = 0
        for _, size in self.events:
            live += size
            peak = max(peak, live)
        return peak, live


def _taken(execution: _Execution) -> _Taken:
    with profiled() as profile:
        marked = execution.execute(profile.mark)
    return _read(profile, marked)


def _read(profile: Profiled, marked: _Marked[int]) -> _Taken:
    return _Taken(
        events=profile.between(marked.begin, marked.done),
        own=marked.own,
        standing=marked.standing,
        over=_total(profile.between(marked.start, marked.over)),
        threads=1 + profile.threads,
        suspects=profile.suspects,
    )


def _expect_same(first: _Taken, second: _Taken) -> None:
    """Raise Unrepeatable where two executions differ; threads may meet otherwise each time."""
    if Counter(first.sizes) != Counter(second.sizes) or (
        first.threads == second.threads == 1 and first.sizes != second.sizes
    ):
        raise Unrepeatable(
            f"two executions allocated {first.sizes} and {second.sizes} bytes; expected the same"
        )
    for what, one, other in (
        ("found gradients of", first.standing, second.standing),
        ("left", first.over, second.over),
        ("gave a result of", first.own, second.own),
    ):
        if one != other:
            raise Unrepeatable(f"two executions {what} {one} and {other} bytes; expected the same")


def _expect_seen(ready: Executable) -> None:
    """Raise Unseen where an execution has others work in threads that were not entered."""
    if worked_unseen(lambda: ready.run_and_keep(ready.set_up_call())):
        raise Unseen(
            "expected work in the caller's thread, in an executor of concurrent.futures or in threads that "
            "the call starts; another thread worked, where bytes are not seen: work in one of these"
        )


def _figures(taken: tuple[_Taken, ...], let_go: Callable[[], _Kept]) -> Counted:
    """The figures of executions that agree; `let_go` is asked where something stays."""
    last = taken[-1]
    _, live = last.levels
    kept = _Kept(live - last.own, 0, 0) if last.over == 0 else let_go()
    return Counted(
        allocated=sum(size for size in last.sizes if size > 0),
        allocations=sum(1 for size in last.sizes if size > 0),
        # How threads meet decides how much is live at once.
        peak=last.standing + max(each.levels[0] for each in taken),
        retained=last.standing + live,
        graph=kept.graph,
        standing=last.standing,
        left=kept.left,
        cycles=kept.cycles,
        threads=max(each.threads for each in taken),
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
    of it is seen. One is counted, or two that `repeats` asks for; where something stays, two more are.
    With `by_line` they are followed as well. Raises Unrepeatable where the two differ, and Unseen.
    """
    lines: list[str] = []

    def run(per_call: dict[str, Any]) -> list[Any]:
        # What else the statement names is released when this returns, as where it is executed in one piece.
        lines[:], names = ready.run_by_line(profile.line, dict(per_call))
        return ready.result_of(names)

    with profiled() as profile:
        observed = observe(ready)
        if known(observed):
            return None
        # Where it could not be seen, that is said as of a short call.
        saved = _saved(ready) if observed.saved is None else observed.saved
        execution = _Execution(ready, "cpu")
        marked = [execution.execute(profile.mark, run) for _ in range(1 + repeats)]
    taken = tuple(_read(profile, each) for each in marked)
    if profile.suspects:
        _expect_seen(ready)
    _expect_same(taken[0], taken[-1])
    counted = _figures(taken, lambda: _kept_on_cpu(ready, saved is not None))
    memory = counted.record(ready, comparison_id, saved, observed.resident, SOURCE, executions=len(taken))
    if not by_line:
        return memory, None
    stretches = _by_line(lines, profile, marked[-1], taken[-1])
    return memory, Timeline(comparison_id, ready.variant.name, stretches)


def _by_line(lines: list[str], profile: Profiled, marked: _Marked[int], taken: _Taken) -> tuple[Stretch, ...]:
    """The stretches of an execution whose lines the profile has marked."""
    ends = profile.ends_of_lines(marked.begin, len(lines))
    # What the lines name is still held where the last of them ends.
    held = [event for event in taken.events if event.time <= ends[-1]]
    return _stretches(lines, held, ends, taken.standing)


def measure_once(
    ready: ReadyVariant, comparison_id: str, by_line: bool
) -> tuple[Observed, Memory, Timeline | None]:
    """The bytes of an execution that takes too long for a second one, and what was observed of that same one.

    Where it leaves something, as gradients that stand, a second one is counted, which finds that. With
    `by_line` the bytes that are live are followed. The operators are not watched: under a mode of dispatch
    others are allocated.

    Raises Unseen; and what the statement raises, also where it raises only because it is watched.
    """
    lines: list[str] = []

    def run(per_call: dict[str, Any]) -> list[Any]:
        if not by_line:
            return ready.run_and_keep(per_call)
        lines[:], names = ready.run_by_line(profile.line, dict(per_call))
        return ready.result_of(names)

    execution = _Execution(ready, "cpu")

    def once() -> tuple[Observed, _Marked[int]]:
        with observing(ready, None) as observer:
            marked = execution.execute(profile.mark, observer.run(run))
        return observer.observed, marked

    with profiled() as profile:
        first, marked = once()
    last = first
    if _total(profile.between(marked.start, marked.over)):
        with profiled() as profile:
            last, marked = once()
    taken = _read(profile, marked)
    if profile.suspects:
        _expect_seen(ready)
    counted = _figures((taken,), lambda: _kept_on_cpu(ready, hooks=True))
    memory = counted.record(ready, comparison_id, last.saved, first.resident, SOURCE, executions=1)
    if not by_line:
        return first, memory, None
    stretches = _by_line(lines, profile, marked, taken)
    return first, memory, Timeline(comparison_id, ready.variant.name, stretches)


# What is asked of the counters: bytes asked for since the start, their number, live now, and most live.
_ALLOCATED = "requested_bytes.all.allocated"
_ALLOCATIONS = "allocation.all.allocated"
_LIVE = "requested_bytes.all.current"
_PEAK = "requested_bytes.all.peak"
_BLOCKS = "allocated_bytes.all.current"
_BLOCKS_PEAK = "allocated_bytes.all.peak"

_Counters = dict[str, int]


def _counters(accelerator: Accelerator) -> _Counters:
    """The counters once all that was issued is done. Raises Uncounted."""
    accelerator.synchronize()
    counters = accelerator.statistics()
    if _PEAK not in counters or (counters[_BLOCKS] and not counters[_LIVE]):
        raise Uncounted(
            "expected torch's own allocator, which counts requested bytes; this one does not "
            "(PYTORCH_CUDA_ALLOC_CONF may name another)"
        )
    return counters


def _on_device(ready: Executable, accelerator: Accelerator, hooks: bool) -> Counted:
    """Of two executions that agree; raises Unrepeatable where they do not, and Uncounted.

    The counters are of all threads. `hooks`: the statement works under saved-tensor hooks.
    """
    execution = _Execution(ready, accelerator.device)
    with other_threads(contextlib.nullcontext) as elsewhere:

        def mark() -> _Counters:
            elsewhere.settle()
            counters = _counters(accelerator)
            accelerator.reset_peaks()
            return counters

        # Not the first: libraries make their workspaces in it.
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
    kept = _let_go(marked, lambda counters: counters[_LIVE] - start, saved, accelerator.device)
    return counted._replace(**kept._asdict())


def _between(marked: _Marked[_Counters]) -> Counted:
    """The figures of one execution by its counters; all that stays in the end is `left`."""
    begin, done = marked.begin, marked.done
    return Counted(
        allocated=done[_ALLOCATED] - begin[_ALLOCATED],
        allocations=done[_ALLOCATIONS] - begin[_ALLOCATIONS],
        peak=marked.standing + done[_PEAK] - begin[_LIVE],
        retained=marked.standing + done[_LIVE] - begin[_LIVE],
        graph=done[_LIVE] - begin[_LIVE] - marked.own,
        standing=marked.standing,
        left=marked.over[_LIVE] - marked.start[_LIVE],
        blocks=done[_BLOCKS_PEAK] - begin[_BLOCKS],
    )


def _comparable(counted: Counted, threads: int) -> Counted:
    """What must be the same in two executions."""
    # What blocks the allocator gives depends on those that it has left, and threads may meet otherwise.
    return counted._replace(blocks=0, peak=0 if threads > 1 else counted.peak)


def measure_call(
    function: Callable[..., object],
    setup: Callable[[], object] | None = None,
    accelerator: Accelerator | None = None,
) -> tuple[Counted, int | None]:
    """What one call of a function does to memory, and the bytes that it saves; None where no hook sees them.

    With `setup` it is called before, and what it returns is passed. With an accelerator they are those of its
    memory. Raises Unrepeatable, Uncounted and Unseen as `measure_memory`.
    """
    call = _Call(function, setup)
    saved = _saved(call, accelerator)
    if accelerator is not None:
        with uncollected():
            return _on_device(call, accelerator, saved is not None), saved
    return _on_cpu(call, saved is not None), saved


class _Call:
    """A function in the place of a variant."""

    x = None

    def __init__(self, function: Callable[..., object], setup: Callable[[], object] | None) -> None:
        self.function = function
        self._setup = setup

    def set_up_call(self) -> dict[str, Any]:
        return {} if self._setup is None else {"made": self._setup()}

    def run_and_keep(self, per_call: dict[str, Any]) -> list[Any]:
        return [self.function(*per_call.values())]


def follow(ready: ReadyVariant, comparison_id: str, accelerator: Accelerator | None = None) -> Timeline:
    """The bytes that are live through one execution, line by line; what the lines name is held to the end.

    Of an accelerator, the most in each line, and those at its end.
    """
    if accelerator is not None:
        return _follow_on_device(ready, comparison_id, accelerator)
    lines: list[str] = []
    held: list[dict[str, Any]] = []

    def run(per_call: dict[str, Any]) -> list[Any]:
        lines[:], names = ready.run_by_line(profile.line, dict(per_call))
        held.append(names)
        return []

    with profiled() as profile:
        execution = _Execution(ready, "cpu")
        # What it leaves the next releases, which is seen of what was made under this profiler.
        execution.execute(profile.mark)
        marked = execution.execute(profile.mark, run)
    taken = _read(profile, marked)
    ends = profile.ends_of_lines(marked.begin, len(lines))
    held.clear()
    return Timeline(comparison_id, ready.variant.name, _stretches(lines, taken.events, ends, taken.standing))


def _stretches(lines: list[str], events: list[Event], ends: list[int], standing: int) -> tuple[Stretch, ...]:
    """The bytes that are live after each event, by the line that it is in; the last has all that is left."""
    live, stretches, at = standing, [], 0
    for number, line in enumerate(lines):
        reached = []
        while at < len(events) and (events[at].time <= ends[number] or number == len(lines) - 1):
            live += events[at].size
            reached.append(live)
            at += 1
        stretches.append(Stretch(line, tuple(reached)))
    return tuple(stretches)


def _follow_on_device(ready: ReadyVariant, comparison_id: str, accelerator: Accelerator) -> Timeline:
    seen: list[tuple[int, int]] = []
    lines: list[str] = []
    held: list[dict[str, Any]] = []

    @contextmanager
    def line(number: int) -> Iterator[None]:
        before = _counters(accelerator)[_LIVE]
        accelerator.reset_peaks()
        yield
        after = _counters(accelerator)
        start = seen[-1][1] if seen else 0
        seen.append((start + after[_PEAK] - before, start + after[_LIVE] - before))

    def run(per_call: dict[str, Any]) -> list[Any]:
        lines[:], names = ready.run_by_line(line, dict(per_call))
        held.append(names)
        return []

    marked = _Execution(ready, accelerator.device).execute(lambda: None, run)
    held.clear()
    stretches = tuple(
        Stretch(code, tuple(marked.standing + each for each in live))
        for code, live in zip(lines, seen, strict=True)
    )
    return Timeline(comparison_id, ready.variant.name, stretches)


def _saved(ready: Executable, accelerator: Accelerator | None = None) -> int | None:
    """Bytes of the unique storages that graphs keep after the statement, its result still held.

    None where they are not seen: the statement works under no hook, as torch.func does, or on an accelerator
    while a thread runs that cannot be entered. On the CPU that is refused, with all other bytes.
    """
    try:
        with saving() as held:
            per_call = ready.set_up_call()
            kept = ready.run_and_keep(per_call)
            unseen = accelerator is not None and held.elsewhere is not None and held.elsewhere.suspects()
    except Exception as error:
        if no_hooks_allowed(error):
            return None
        raise
    saved = None if unseen else held.bytes()
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
