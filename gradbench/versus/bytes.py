"""The bytes of every variant on both sides, before anything is timed."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from gradbench import __version__
from gradbench.errors import RequestError
from gradbench.measure.process import WorkerLost, WorkerProcess
from gradbench.measure.protocol import PROTOCOL, Finish, Message, Ready, Task
from gradbench.measure.visitor import visit_each
from gradbench.record.plan import Comparison
from gradbench.record.visits import Failure, Memory
from gradbench.versus.judge import keeps_from_timing
from gradbench.versus.processes import TrialOrder, start
from gradbench.versus.records import NAMES, Name, SideFailure, SideMemory
from gradbench.versus.sides import Side


@dataclass
class SideBytes:
    """The bytes of one side. `gradbench.measure.visitor` calls its methods.

    Attributes:
        ready: the first process's description of its environment.
        records: in the order in which they came.
        imported: the number of modules that the side imported from its sources.
    """

    name: Name
    side: Side
    order: TrialOrder
    dice: random.Random
    ready: Ready | None = None
    records: list[SideMemory | SideFailure] = field(default_factory=list)
    imported: int = 0

    @property
    def failures(self) -> dict[tuple[str, str | None], SideFailure]:
        """Failures that prevent timing, by comparison and variant; None is the whole comparison."""
        return {
            (each.failure.comparison, each.failure.variant): each
            for each in self.records
            if isinstance(each, SideFailure) and keeps_from_timing(each)
        }

    def start(self) -> WorkerProcess:
        return start(self.order, self.side, 0, "memory", self.dice)

    def started(self, ready: Ready) -> None:
        if ready.protocol != PROTOCOL:
            raise RequestError(
                f"{self.side.label}: has gradbench {ready.gradbench or 'of another age'}, which measures "
                f"otherwise than this one, {__version__}; install this one there"
            )
        self.ready = self.ready or ready

    def task(self, comparison: Comparison) -> tuple[Task, float]:
        return Task(comparison, 0.0), self.order.options.timeout

    def hear(self, comparison: Comparison, message: Message) -> None:
        if isinstance(message, Memory):
            self.records.append(SideMemory(self.name, message))
        elif isinstance(message, Failure):
            self.records.append(SideFailure(self.name, message))

    def lost(self, comparison: Comparison, why: WorkerLost) -> None:
        failure = Failure(0, comparison.id, None, "memory", why.kind, str(why))
        self.records.append(SideFailure(self.name, failure))

    def visited(self, comparison: Comparison, finish: Finish | None) -> None:
        if finish is not None:
            self.imported = max(self.imported, finish.imported)


def count_bytes(order: TrialOrder, dice: random.Random) -> tuple[SideBytes, SideBytes]:
    """Count on A, and then on B. Raises RequestError if there is nothing to compare."""
    a, b = (SideBytes(name, side, order, dice) for name, side in zip(NAMES, order.sides, strict=True))
    for each in (a, b):
        visit_each(order.comparisons, each)
        if each is a:
            _refuse_where_nothing_stands(a)
        # A module that raises during its import does not count as imported. A variant that then fails only
        # in B is a regression, and no mistake of the user.
        if each.side.sources and not each.imported and not b.failures.keys() - a.failures.keys():
            raise RequestError(
                f"{each.side.label}: nothing that is measured is imported from there, so both sides would be "
                "the same; name code of yours with --setup and --statement, or the folder of the package"
            )
    return a, b


def _refuse_where_nothing_stands(a: SideBytes) -> None:
    """Raise RequestError if no variant works on A: there is nothing to compare B with."""
    failures = a.failures
    if all(
        (comparison.id, variant.name) in failures or (comparison.id, None) in failures
        for comparison in a.order.comparisons
        for variant in comparison.variants
        if variant.role != "calibration_task"
    ):
        first = next(iter(failures.values()))
        raise RequestError(f"{a.side.label}: nothing can be measured on side A: {first.failure.message}")
