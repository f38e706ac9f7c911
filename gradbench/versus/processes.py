"""Fresh processes on the two sides of a trial."""

from __future__ import annotations

import contextlib
import random
from dataclasses import dataclass
from typing import Literal

from gradbench.measure.process import WorkerProcess
from gradbench.measure.protocol import WorkerSettings
from gradbench.record.plan import Comparison
from gradbench.record.results import Allocator
from gradbench.versus.records import Options
from gradbench.versus.sides import Side


@dataclass(frozen=True)
class TrialOrder:
    """The order for a trial: the sides A and B, the comparisons, the options, and the user's command."""

    sides: tuple[Side, Side]
    comparisons: tuple[Comparison, ...]
    options: Options
    command: str = "versus"


@dataclass(frozen=True)
class SidePair:
    """A process on each side; `stack` ends them."""

    stack: contextlib.ExitStack
    workers: list[WorkerProcess]


def start(
    order: TrialOrder, side: Side, number: int, kind: Literal["memory", "turns"], dice: random.Random
) -> WorkerProcess:
    """Start a process on a side, for pair `number`."""
    options = order.options
    settings = WorkerSettings(
        number, kind, dice.getrandbits(32), options.threads, options.batch_seconds,
        accelerators=any(each.device != "cpu" for each in order.comparisons), sources=side.sources,
    )  # fmt: skip
    # Resident memory grows only where freed pages go back to the system.
    allocator: Allocator = "system" if kind == "memory" else options.allocator
    return WorkerProcess(settings, dice.randrange(1 << 32), dice.randrange(4096), allocator, side.python)


def start_pair(order: TrialOrder, number: int, dice: random.Random) -> SidePair:
    with contextlib.ExitStack() as stack:
        workers = [stack.enter_context(start(order, side, number, "turns", dice)) for side in order.sides]
        return SidePair(stack.pop_all(), workers)
