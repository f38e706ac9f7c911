"""One execution of a statement with marks between its parts, and the figures from the bytes at marks.

The marks go on until the result is released. So the figures separate bytes that stay from bytes that the
result and its graph held.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

import torch
from torch.multiprocessing.reductions import StorageWeakRef

from gradbench.measure.clock import Accelerator
from gradbench.measure.execution import (
    Executable,
    Saved,
    no_hooks_allowed,
    saving,
    storages_of,
    tensors_in,
)
from gradbench.measure.gradients import Gradients, standing
from gradbench.measure.variant import ReadyVariant
from gradbench.record.visits import Memory


class Unrepeatable(Exception):
    """Two executions of the same statement made different allocations."""


class Uncounted(Exception):
    """The allocator of an accelerator does not count requested bytes."""


class Counted(NamedTuple):
    """The memory of one execution: figures of `gradbench.record.visits.Memory`, by their names."""

    allocated: int
    allocations: int
    peak: int
    retained: int
    graph: int
    standing: int = 0
    left: int = 0
    cycles: int = 0
    threads: int = 1
    peak_blocks: int | None = None

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
            saved=saved,
            resident=resident,
            source=source,
            executions=executions,
            **self._asdict(),
        )


class Call:
    """A function in the place of a variant."""

    x = None

    def __init__(self, function: Callable[..., object], setup: Callable[[], object] | None) -> None:
        self.function = function
        self._setup = setup

    def set_up_call(self) -> dict[str, Any]:
        return {} if self._setup is None else {"made": self._setup()}

    def run_and_keep(self, per_call: dict[str, Any]) -> list[Any]:
        return [self.function(*per_call.values())]


# The type of a mark: its number for the profiler, counters for an accelerator.
Mark = TypeVar("Mark")


@dataclass(frozen=True)
class Marked(Generic[Mark]):
    """The marks of one execution, and observations beside the bytes that are live at each mark.

    Attributes:
        start: before the setup of the call.
        begin, done: begin and end of the call; at the end its result is held.
        released: after the release of the result.
        over: after the release of the call's setup as well.
        collected: after a run of the collector as well; as `over` where it did not run.
        own: bytes of the result's storages that no other object holds.
        standing: bytes of the gradients that the call found, and cleared, replaced or added to.
    """

    start: Mark
    begin: Mark
    done: Mark
    released: Mark
    over: Mark
    collected: Mark
    own: int
    standing: int


class ByLine:
    """Executes a statement line by line.

    Attributes:
        lines: lines of the statement; a block is one line.
        holds: all objects that the lines name, which live as long as this object.
    """

    def __init__(
        self, ready: ReadyVariant, within: Callable[[int], AbstractContextManager[Any]], holds: bool
    ) -> None:
        """Each line runs `within` a separate context."""
        self.lines: list[str] = []
        self.holds = holds
        self._ready, self._within = ready, within
        self._held: dict[str, Any] = {}

    def run(self, per_call: dict[str, Any]) -> list[Any]:
        """Execute it on the setup of a call."""
        self.lines, names = self._ready.run_by_line(self._within, dict(per_call))
        if not self.holds:
            # Other names of the statement are released when this returns, as in an execution in one piece.
            return self._ready.result_of(names)
        self._held = names
        return []


class MarkedExecution:
    """Executes one statement again and again, with marks."""

    def __init__(self, ready: Executable, device: str) -> None:
        self._ready = ready
        self._gradients = Gradients(device)
        self._gradients.find(_roots(ready))

    def execute(
        self,
        mark: Callable[[], Mark],
        run: Callable[[dict[str, Any]], list[Any]] | None = None,
        collects: bool = False,
    ) -> Marked[Mark]:
        """One execution.

        Args:
            run: a function in place of the one that keeps only the result.
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
        # The first execution may have made tensors that have gradients.
        self._gradients.find(_roots(self._ready))
        results = storages_made(kept, self._ready.x)
        kept = []
        own = sum(size for each, size in results.items() if each.expired())
        released = mark()
        per_call = {}
        over = collected = mark()
        if collects:
            gc.collect()
            collected = mark()
        return Marked(start, begin, done, released, over, collected, own, found)


def _roots(ready: Executable) -> Iterable[Any]:
    """The objects that an execution reads, which may hold tensors with gradients."""
    if isinstance(ready, ReadyVariant):
        return ready.names.values()
    return (ready.function,) if isinstance(ready, Call) else ()


def storages_made(kept: Any, x: torch.Tensor | None) -> dict[StorageWeakRef, int]:
    """The storages of a result other than that of x, by weak references, and their bytes."""
    storages = {storage.data_ptr(): storage for each in tensors_in(kept) for storage in storages_of(each)}
    if x is not None:
        storages.pop(x.untyped_storage().data_ptr(), None)
    return {StorageWeakRef(each): each.nbytes() for each in storages.values()}


class Kept(NamedTuple):
    """Bytes that stay after the release of a result, and bytes that the graph held."""

    graph: int
    left: int
    cycles: int


def let_go(marked: Marked[Mark], live: Callable[[Mark], int], saved: Saved | None, device: str) -> Kept:
    """The kept bytes of an execution, after the collector ran; `saved` is None where no hook saw tensors."""
    # A list may hold a tensor with its history. Saved tensors that no other object holds are the graph's.
    alone = 0 if saved is None else saved.bytes_of_graph_alone(device)
    return Kept(
        graph=live(marked.done) - live(marked.released) - marked.own + alone,
        left=live(marked.collected) - alone,
        cycles=live(marked.over) - live(marked.collected),
    )


def saved_bytes(ready: Executable, accelerator: Accelerator | None = None) -> int | None:
    """Bytes of the unique storages that graphs keep after the statement, its result still held.

    None where hooks do not see them: the statement works under no hook, as torch.func does. None also on an
        accelerator
    while a thread runs that cannot be entered. On the CPU such a thread raises Unseen, as for all other
    bytes.
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
