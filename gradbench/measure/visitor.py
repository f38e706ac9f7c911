"""Visits one after another, in a fresh process after the loss of a process."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from gradbench.measure.process import WorkerLost, WorkerProcess
from gradbench.measure.protocol import Finish, Message, Ready, Task
from gradbench.record.plan import Comparison


class Visitor(Protocol):
    """The owner of visits, which gets their results."""

    def start(self) -> WorkerProcess:
        """Start a fresh process."""

    def started(self, ready: Ready) -> None:
        """The process has imported torch."""

    def task(self, comparison: Comparison) -> tuple[Task, float] | None:
        """The task for a comparison, and the seconds that the process may be silent; None for no task."""

    def hear(self, comparison: Comparison, message: Message) -> None:
        """Take a result."""

    def lost(self, comparison: Comparison, why: WorkerLost) -> None:
        """The visit cost its process."""

    def visited(self, comparison: Comparison, finish: Finish | None) -> None:
        """The visit is over; None where it was lost."""


def visit_each(comparisons: Iterable[Comparison], visitor: Visitor) -> None:
    """Visit comparisons in their order; a lost process costs one visit, and a fresh one goes on.

    Raises RequestError where a process cannot start.
    """
    left = list(comparisons)
    while left:
        with visitor.start() as worker:
            visitor.started(worker.ready())
            stands = True
            while left and stands:
                stands = _visit(left.pop(0), worker, visitor)


def _visit(comparison: Comparison, worker: WorkerProcess, visitor: Visitor) -> bool:
    """Visit one comparison; returns whether the process still lives afterwards."""
    asked = visitor.task(comparison)
    if asked is None:
        return True
    finish = None
    try:
        for message in worker.ask(*asked):
            if isinstance(message, Finish):
                finish = message
                break
            visitor.hear(comparison, message)
    except WorkerLost as lost:
        visitor.lost(comparison, lost)
    finally:
        visitor.visited(comparison, finish)
    return finish is not None
