"""Exact bytes of one execution of a variant, in an execution that is not timed.

On the CPU there is no allocator statistic. The profiler has a memory event for every allocation and release,
with the size in bytes. On an accelerator torch's allocator counts requested bytes, and gives larger blocks.
Saved-tensor hooks show the tensors that the graph keeps.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

import psutil

from gradbench.measure.clock import Accelerator
from gradbench.measure.device_memory import count_on_device, follow_on_device
from gradbench.measure.execution import Executable, Observed, observe, observing, saving
from gradbench.measure.marked import (
    ByLine,
    Call,
    Counted,
    Kept,
    Marked,
    MarkedExecution,
    Uncounted,
    Unrepeatable,
    let_go,
    saved_bytes,
)
from gradbench.measure.profiled import Event, Profiled, profiled, uncollected, worked_unseen
from gradbench.measure.threads import Unseen
from gradbench.measure.variant import ReadyVariant
from gradbench.record.visits import Memory, Stretch, Timeline

# Other modules import these names from here, also the errors.
__all__ = [
    "Counted",
    "Uncounted",
    "Unrepeatable",
    "follow",
    "measure_call",
    "measure_long",
    "measure_memory",
    "measure_once",
]

SOURCE = "torch.profiler memory events"
# The name of the counters. The allocator cudaMallocAsync has no counter of requested bytes.
DEVICE_SOURCE = "torch.{kind}.memory_stats, requested bytes"


def measure_memory(ready: ReadyVariant, comparison_id: str, accelerator: Accelerator | None = None) -> Memory:
    """The memory of one execution, in bytes (see `gradbench.record.visits.Memory`).

    With an accelerator the figures are of its memory. Each figure is taken twice. Raises Unrepeatable when
    the two differ, Uncounted where the allocator does not count, and Unseen for work in threads that cannot
    be watched.
    """
    saved = saved_bytes(ready, accelerator)
    if accelerator is None:
        counted = _on_cpu(ready, saved is not None)
        return counted.record(ready, comparison_id, saved, _resident(ready), SOURCE)
    counted = count_on_device(ready, accelerator, saved is not None)
    source = DEVICE_SOURCE.format(kind=accelerator.device.partition(":")[0])
    return counted.record(ready, comparison_id, saved, None, source)


def _kept_on_cpu(ready: Executable, hooks: bool) -> Kept:
    """The bytes that stay after an execution; with `hooks`, those of graphs are separate from the rest."""
    execution = MarkedExecution(ready, "cpu")
    with profiled() as profile:
        # Earlier executions without a profiler have left tensors that this one releases, and garbage.
        execution.execute(profile.mark, collects=True)
        with saving() if hooks else contextlib.nullcontext() as saved:
            marked = execution.execute(profile.mark, collects=True)
    return let_go(marked, lambda mark: _total(profile.between(marked.start, mark)), saved, "cpu")


def _total(events: list[Event]) -> int:
    return sum(each.size for each in events)


def _on_cpu(ready: Executable, hooks: bool) -> Counted:
    """The bytes of two executions that agree; raises Unrepeatable where they do not, and Unseen.

    `hooks`: the statement works under saved-tensor hooks.
    """
    execution = MarkedExecution(ready, "cpu")
    # The first execution does not count: it releases tensors from before the profiler began.
    _, first, second = (_taken(execution) for _ in range(3))
    if first.suspects or second.suspects:
        _expect_seen(ready)
    _expect_same(first, second)
    return _figures((first, second), lambda: _kept_on_cpu(ready, hooks))


class _Taken(NamedTuple):
    """One execution in a profile.

    Attributes:
        events: events of the call, its result held.
        own, standing: as in `Marked`.
        over: bytes live in the end that were not live before.
        threads: number of threads that worked, the caller's among them.
        suspects: whether threads ran that could not be entered.
    """

    events: list[Event]
    own: int
    standing: int
    over: int
    threads: int
    suspects: bool

    @property
    def sizes(self) -> list[int]:
        """Sizes of allocations, and of releases below 0; in order where one thread worked."""
        sizes = [each.size for each in self.events]
        return sizes if self.threads == 1 else sorted(sizes)

    @property
    def levels(self) -> tuple[int, int]:
        """Most bytes live at once, and bytes live at the end of the call, both above its begin."""
        live = peak = 0
        for _, size in self.events:
            live += size
            peak = max(peak, live)
        return peak, live


def _taken(execution: MarkedExecution) -> _Taken:
    with profiled() as profile:
        marked = execution.execute(profile.mark)
    return _read(profile, marked)


def _read(profile: Profiled, marked: Marked[int]) -> _Taken:
    return _Taken(
        events=profile.between(marked.begin, marked.done),
        own=marked.own,
        standing=marked.standing,
        over=_total(profile.between(marked.start, marked.over)),
        threads=1 + profile.threads,
        suspects=profile.suspects,
    )


def _expect_same(first: _Taken, second: _Taken) -> None:
    """Raise Unrepeatable where two executions differ; the timing of threads may differ each time."""
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
    """Raise Unseen where an execution has work done in threads that were not entered."""
    if worked_unseen(lambda: ready.run_and_keep(ready.set_up_call())):
        raise Unseen(
            "expected work in the caller's thread, in an executor of concurrent.futures or in threads that "
            "the call starts; another thread worked, where bytes are not seen: work in one of these"
        )


def _figures(taken: tuple[_Taken, ...], let_go: Callable[[], Kept]) -> Counted:
    """The figures of executions that agree; calls `let_go` where bytes stay."""
    last = taken[-1]
    _, live = last.levels
    kept = Kept(live - last.own, 0, 0) if last.over == 0 else let_go()
    return Counted(
        allocated=sum(size for size in last.sizes if size > 0),
        allocations=sum(1 for size in last.sizes if size > 0),
        # The timing of threads decides how many bytes are live at once.
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
    """The bytes of a long execution, in as few executions as possible; None where they are `known`.

    The first execution is observed and does not count. It runs under the same profiler, so that the profiler
    sees releases of its tensors by the next. One execution counts, or two with `repeats`; where bytes stay,
    two more follow. With `by_line` the live bytes are followed by line. Raises Unrepeatable where the two
    differ, and Unseen.
    """
    with profiled() as profile:
        observed = observe(ready)
        if known(observed):
            return None
        # Where it could not be seen, report that as for a short call.
        saved = saved_bytes(ready) if observed.saved is None else observed.saved
        execution, statement = MarkedExecution(ready, "cpu"), ByLine(ready, profile.line, holds=False)
        marked = [execution.execute(profile.mark, statement.run) for _ in range(1 + repeats)]
    taken = tuple(_read(profile, each) for each in marked)
    if profile.suspects:
        _expect_seen(ready)
    _expect_same(taken[0], taken[-1])
    counted = _figures(taken, lambda: _kept_on_cpu(ready, saved is not None))
    memory = counted.record(ready, comparison_id, saved, observed.resident, SOURCE, executions=len(taken))
    timeline = _timeline(ready, comparison_id, statement, profile, marked[-1], taken[-1]) if by_line else None
    return memory, timeline


def _timeline(
    ready: ReadyVariant,
    comparison_id: str,
    statement: ByLine,
    profile: Profiled,
    marked: Marked[int],
    taken: _Taken,
) -> Timeline:
    """The bytes of an execution whose lines the profile has marked."""
    ends = profile.ends_of_lines(marked.begin, len(statement.lines))
    # The names of the lines are still held at the end of the last line.
    events = [each for each in taken.events if statement.holds or each.time <= ends[-1]]
    return Timeline(
        comparison_id, ready.variant.name, _stretches(statement.lines, events, ends, taken.standing)
    )


def measure_once(
    ready: ReadyVariant, comparison_id: str, by_line: bool
) -> tuple[Observed, Memory, Timeline | None]:
    """The bytes of an execution that takes too long for a second one, and the observation of the same
    execution.

    Where it leaves bytes, such as gradients that stay, a second execution counts, which finds them. With
    `by_line` the live bytes are followed by line. The operators are not watched, since a mode of dispatch
    changes the allocations.

    Raises Unseen, and errors of the statement, also errors that only come from the watch.
    """
    execution = MarkedExecution(ready, "cpu")

    def once(profile: Profiled) -> tuple[Observed, Marked[int], ByLine]:
        statement = ByLine(ready, profile.line, holds=False)
        with observing(ready, None) as observer:
            run = observer.run(statement.run if by_line else ready.run_and_keep)
            marked = execution.execute(profile.mark, run)
        return observer.observed, marked, statement

    with profiled() as profile:
        first, marked, statement = once(profile)
    last = first
    if _total(profile.between(marked.start, marked.over)):
        with profiled() as profile:
            last, marked, statement = once(profile)
    taken = _read(profile, marked)
    if profile.suspects:
        _expect_seen(ready)
    counted = _figures((taken,), lambda: _kept_on_cpu(ready, hooks=True))
    memory = counted.record(ready, comparison_id, last.saved, first.resident, SOURCE, executions=1)
    timeline = _timeline(ready, comparison_id, statement, profile, marked, taken) if by_line else None
    return first, memory, timeline


def measure_call(
    function: Callable[..., object],
    setup: Callable[[], object] | None = None,
    accelerator: Accelerator | None = None,
) -> tuple[Counted, int | None]:
    """The memory of one call of a function, and the bytes that it saves; None where no hook sees them.

    `setup` is called before, and its result is the argument of the call. With an accelerator the bytes are of
    its memory. Raises Unrepeatable, Uncounted and Unseen as `measure_memory`.
    """
    call = Call(function, setup)
    saved = saved_bytes(call, accelerator)
    if accelerator is not None:
        with uncollected():
            return count_on_device(call, accelerator, saved is not None), saved
    return _on_cpu(call, saved is not None), saved


def follow(ready: ReadyVariant, comparison_id: str, accelerator: Accelerator | None = None) -> Timeline:
    """The live bytes through one execution, line by line; objects that the lines name are held to the end.

    For an accelerator, the most in each line, and those at its end.
    """
    if accelerator is not None:
        return Timeline(comparison_id, ready.variant.name, follow_on_device(ready, accelerator))
    with profiled() as profile:
        execution, statement = MarkedExecution(ready, "cpu"), ByLine(ready, profile.line, holds=True)
        # The next execution releases tensors of this one. The profiler sees that for tensors made under it.
        execution.execute(profile.mark)
        marked = execution.execute(profile.mark, statement.run)
    taken = _read(profile, marked)
    return _timeline(ready, comparison_id, statement, profile, marked, taken)


def _stretches(lines: list[str], events: list[Event], ends: list[int], standing: int) -> tuple[Stretch, ...]:
    """The live bytes after each event, by its line; the last line has all remaining events."""
    live, stretches, at = standing, [], 0
    for number, line in enumerate(lines):
        reached = []
        while at < len(events) and (events[at].time <= ends[number] or number == len(lines) - 1):
            live += events[at].size
            reached.append(live)
            at += 1
        stretches.append(Stretch(line, tuple(reached)))
    return tuple(stretches)


def _resident(ready: ReadyVariant) -> int:
    """Growth of the process's resident set over one execution, the result held, in whole pages."""
    process = psutil.Process()
    per_call = ready.set_up_call()
    before = process.memory_info().rss
    kept = ready.run_and_keep(per_call)
    after = process.memory_info().rss
    del kept, per_call
    return after - before
