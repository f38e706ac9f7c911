"""One execution of a statement with marks between its parts, and the figures that bytes at marks make.

An execution is marked until its result is let go of, so that what stays then can be told from what the
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
    """Two executions of the same statement did not allocate the same."""


class Uncounted(Exception):
    """The allocator of an accelerator does not count the bytes that it is asked for."""


class Counted(NamedTuple):
    """What one execution does to memory: figures of `gradbench.record.visits.Memory`, by their names."""

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


# What a mark is: of the profiler its number, of an accelerator its counters.
Mark = TypeVar("Mark")


@dataclass(frozen=True)
class Marked(Generic[Mark]):
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
        lines: of the statement; a block is one.
        holds: all that the lines name is held for as long as this is.
    """

    def __init__(
        self, ready: ReadyVariant, within: Callable[[int], AbstractContextManager[Any]], holds: bool
    ) -> None:
        """Each line runs `within` a context of its own."""
        self.lines: list[str] = []
        self.holds = holds
        self._ready, self._within = ready, within
        self._held: dict[str, Any] = {}

    def run(self, per_call: dict[str, Any]) -> list[Any]:
        """Execute it on what was made for a call."""
        self.lines, names = self._ready.run_by_line(self._within, dict(per_call))
        if not self.holds:
            # What else the statement names is released when this returns, as where it is one piece.
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
    """What an execution reads, in which tensors with gradients may be."""
    if isinstance(ready, ReadyVariant):
        return ready.names.values()
    return (ready.function,) if isinstance(ready, Call) else ()


def storages_made(kept: Any, x: torch.Tensor | None) -> dict[StorageWeakRef, int]:
    """The storages of a result other than that of x, which are not held, and their bytes."""
    storages = {storage.data_ptr(): storage for each in tensors_in(kept) for storage in storages_of(each)}
    if x is not None:
        storages.pop(x.untyped_storage().data_ptr(), None)
    return {StorageWeakRef(each): each.nbytes() for each in storages.values()}


class Kept(NamedTuple):
    """What stays when a result has been let go of, and what the graph held."""

    graph: int
    left: int
    cycles: int


def let_go(marked: Marked[Mark], live: Callable[[Mark], int], saved: Saved | None, device: str) -> Kept:
    """Of an execution after which the collector ran; `saved` is what it saved; None where not seen."""
    # A list may hold a tensor with its history: what that saved, and nothing else holds, is the graph's.
    alone = 0 if saved is None else saved.bytes_of_graph_alone(device)
    return Kept(
        graph=live(marked.done) - live(marked.released) - marked.own + alone,
        left=live(marked.collected) - alone,
        cycles=live(marked.over) - live(marked.collected),
    )


def saved_bytes(ready: Executable, accelerator: Accelerator | None = None) -> int | None:
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
