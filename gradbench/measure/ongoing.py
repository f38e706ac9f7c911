"""A run in progress, as its passes see it: the plan, the clock, the schedule and the results."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from gradbench.measure.pace import Pace
from gradbench.measure.processors import places
from gradbench.measure.protocol import Ready
from gradbench.measure.schedule import Schedule
from gradbench.measure.steering import Steering
from gradbench.record.environment import Environment
from gradbench.record.lines import Writer
from gradbench.record.plan import Comparison, Plan, Request
from gradbench.record.results import Options, Record, Results
from gradbench.record.visits import Visit

Kind = Literal["memory", "time"]
# Opens the results once the first worker has shown its machine.
Open = Callable[[Environment], tuple[Results, Writer]]


@dataclass(frozen=True)
class Measured:
    """The plan of a run, with its options.

    Attributes:
        file: the user's file of the plan.
        files: for several files, the path of each by name; `file` is the first of them.
        calls: by comparison id seconds of a call, where that is known beforehand.
        again: the first words of the command that goes on with it; empty for those of `file`.
    """

    plan: Plan
    request: Request
    options: Options
    file: Path | None
    calls: Mapping[str, float] = field(default_factory=dict)
    files: Mapping[str, Path] = field(default_factory=dict)
    again: tuple[str, ...] = ()


class Ongoing:
    """The state that the passes of a run share.

    Attributes:
        results: None before the first process has shown its machine.
        places: by concurrent pass, the processor that it is bound to.
        lost: by comparison id the number of visits lost in a row.
        lock: held by the lane that writes, or chooses the next work.
        reason: why the run ends.
        ready_to_time: ids of comparisons whose bytes are counted, or need no count.
    """

    def __init__(self, measured: Measured, steering: Steering, open_: Open, old: Results | None) -> None:
        """Go on with the `old` results, where there are some."""
        self.measured = measured
        self.progress = steering.progress
        self.pace = Pace(steering.goal, steering.spent)
        self.schedule = Schedule(measured.plan, steering.goal, old.visits if old else (), measured.calls)
        alone = any(each.device != "cpu" for each in measured.plan.comparisons)
        self.places = places(steering.jobs, measured.options.threads, alone)
        self.results: Results | None = None
        self.lost: dict[str, int] = {}
        self.lock = threading.RLock()
        self.reason: Literal["passes", "budget", "precision"] = "passes"
        self.ready_to_time = {each.id for each in measured.plan.comparisons}
        self._open = open_
        self._writer: Writer | None = None

    def opened(self, ready: Ready) -> None:
        """A worker shows its machine: with the first one there are results."""
        with self.lock:
            if self.results is None:
                self.results, self._writer = self._open(ready.environment)

    def write(self, record: Record) -> None:
        """Keep a record."""
        assert self._writer is not None
        assert self.results is not None
        with self.lock:
            self._writer.write(record)
            self.results.add(record)
            if isinstance(record, Visit):
                self.schedule.heard(record)

    def missed(self, comparison: Comparison, kind: Kind) -> None:
        """Leave out a visit for which there is no time."""
        with self.lock:
            self.reason = "budget"
            if kind == "time":
                self.schedule.missed(comparison)

    def counted(self, comparison: Comparison) -> None:
        """Bytes of a comparison are counted: its time may be taken."""
        with self.lock:
            self.ready_to_time.add(comparison.id)

    def close(self) -> None:
        """Let go of the results file, where there is one."""
        if self._writer is not None:
            self._writer.close()
