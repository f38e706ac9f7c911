"""The passes of a run, each in a fresh process, until the plan, the budget or the precision is reached."""

from __future__ import annotations

import random
import shlex
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gradbench.errors import EndedEarly, RequestError
from gradbench.measure.goal import BUDGETS, FEWEST_FOR_PRECISION, Goal
from gradbench.measure.pace import Pace
from gradbench.measure.process import WorkerLost, WorkerProcess
from gradbench.measure.progress import Progress
from gradbench.measure.protocol import Finish, Message, Ready, Task, WorkerSettings
from gradbench.measure.remaining import Remaining
from gradbench.measure.slices import noise_of, share
from gradbench.measure.visitor import visit_each
from gradbench.record.environment import Environment
from gradbench.record.lines import Writer
from gradbench.record.plan import Comparison, Plan, Request
from gradbench.record.results import Options, Record, Results
from gradbench.record.visits import Failure, PassEnd, PassStart, RunEnd, Visit

# A comparison that lost this many visits in a row is not tried again in this run.
GIVE_UP_AFTER = 3


@dataclass(frozen=True)
class Steering:
    """What guides a run while it goes on.

    Attributes:
        goal: when it is done.
        precision: the widest half width of the intervals so far, as a fraction; None where one has none. It
            is asked where the goal names a precision.
        progress: hears how far the run is.
    """

    goal: Goal
    precision: Callable[[Results], float | None] = lambda _: None
    progress: Progress = Progress()  # noqa: RUF009 -- has no state


@dataclass(frozen=True)
class Measured:
    """What a run measures: its plan, as these options say.

    Attributes:
        file: of the user's, that the plan is made of.
    """

    plan: Plan
    request: Request
    options: Options
    file: Path | None


# Opens the results once the first worker has shown its machine.
Open = Callable[[Environment], tuple[Results, Writer]]


class Passes:
    """Measures what is missing of a run."""

    def __init__(self, measured: Measured, steering: Steering, open_: Open, old: Results | None) -> None:
        """Go on with the `old` results, where there are some."""
        self.measured = measured
        self.steering = steering
        self.pace = Pace(steering.goal)
        self._open = open_
        self._old = old
        self._writer: Writer | None = None
        self.results: Results | None = None
        # By comparison the visits that were lost in a row.
        self.lost: dict[str, int] = {}

    def go(self) -> Results:
        """Measure. Raises RequestError where nothing can be, and EndedEarly with what is kept."""
        todo = Remaining(self.measured.plan, self._old)
        passes, made = self.steering.goal.passes, todo.first_pass - 1
        if passes is not None and made >= passes and not todo.unfinished:
            raise RequestError(
                f"nothing to do: the run has its {made} passes; ask for more with --passes {2 * made}"
            )
        try:
            self._measure(todo)
        except KeyboardInterrupt:
            raise self._ended_early("interrupted") from None
        except OSError as error:
            raise self._ended_early(f"cannot go on: {error.strerror or error}") from None
        except RequestError as error:
            # Before there are results, the request is at fault; afterwards, what changed since.
            if self.results is None:
                raise
            raise self._ended_early(str(error)) from None
        assert self.results is not None
        return self.results

    def _ended_early(self, why: str) -> EndedEarly:
        kept = self.results or self._old
        if kept is None:
            return EndedEarly(f"{why} before anything was measured; nothing was written")
        file = self.measured.file
        command = [
            "gradbench",
            *(["run"] if file is None else ["model", str(file)]),
            "--resume",
            "--output",
            str(kept.path.parent),
            *self.steering.goal.options(BUDGETS.get(self.measured.options.preset)),
        ]
        return EndedEarly(
            f"{why}; {len(kept.visits)} visits are kept in {kept.path}; go on with: {shlex.join(command)}"
        )

    def _measure(self, todo: Remaining) -> None:
        try:
            self._begin(todo)
            for number, comparisons in todo.unfinished.items():
                self._pass(number, "time", comparisons, self.pace.unfinished(len(comparisons)))
            reason = self._new_passes(todo.first_pass)
            asked = self.steering.goal.precision
            reached = None if asked is None else self._reached()
            self.write(RunEnd(reason, self.pace.elapsed(), asked, reached))
        finally:
            # A disk that turns out to be full here ends the run as one that was full before.
            if self._writer is not None:
                self._writer.close()

    def _begin(self, todo: Remaining) -> None:
        """Count bytes, and observe the methods."""
        plan, options, total = self.measured.plan, self.measured.options, self.steering.goal.passes
        known = None
        if total is not None:
            known = sum(len(comparisons) for comparisons in todo.unfinished.values())
            known += sum(len(plan.due(number)) for number in range(todo.first_pass, total + 1))
        memory = todo.memory if options.memory else []
        self.steering.progress.begin(len(memory), known)
        if memory:
            self._pass(0, "memory", memory, len(memory) * self.steering.goal.slice)
        # A run of a few workloads asks about them, and not about all that the methods do.
        if options.memory and not self.measured.request.workloads and todo.observe:
            self._observe()

    def _new_passes(self, number: int) -> Literal["passes", "budget", "precision"]:
        """Make passes from this one on; why there are no more."""
        goal, plan = self.steering.goal, self.measured.plan
        while goal.passes is None or number <= goal.passes:
            comparisons = plan.due(number)
            seconds = self.pace.next_pass(number, len(comparisons))
            if seconds is None:
                return "budget"
            self._pass(number, "time", comparisons, seconds)
            visited = number // max(each.every for each in plan.comparisons)
            if goal.precision is not None and visited >= FEWEST_FOR_PRECISION:
                reached = self._reached()
                if reached is not None and reached <= goal.precision:
                    return "precision"
            number += 1
        return "passes"

    def _reached(self) -> float | None:
        return None if self.results is None else self.steering.precision(self.results)

    def _pass(
        self, number: int, kind: Literal["memory", "time"], comparisons: list[Comparison], seconds: float
    ) -> None:
        """Visit comparisons in random order."""
        began = time.monotonic()
        one = _Pass(self, number, kind, self._slices(comparisons, seconds))
        visit_each(one.shuffled(comparisons), one)
        took = time.monotonic() - began
        self.write(PassEnd(number, took))
        if kind == "time":
            self.pace.startup = max(0.5, took - one.timed)

    def _slices(self, comparisons: list[Comparison], seconds: float) -> dict[str, float]:
        noise = noise_of(self.results.visits if self.results else ())
        return share({each.id: noise.get(each.id) for each in comparisons}, seconds, self.steering.goal.slice)

    def _observe(self) -> None:
        """Have a fresh process observe what the methods do to tensors."""
        self.steering.progress.observing()
        settings = WorkerSettings(0, "memory", self.measured.request.seed % (1 << 32), 1)
        with WorkerProcess(settings, 0, 0, "system") as worker:
            self.opened(worker.ready())
            try:
                # All or none: a part of them would keep the rest from being asked for again.
                for message in list(worker.visit(Task(None, 0.0), self.measured.options.timeout)):
                    self.write(message)  # type: ignore[arg-type]
            except WorkerLost as lost:
                self.write(Failure(0, "traits", None, "traits", lost.kind, str(lost)))

    def opened(self, ready: Ready) -> None:
        """A worker shows its machine: with the first one there are results."""
        if self.results is None:
            self.results, self._writer = self._open(ready.environment)

    def write(self, record: Record) -> None:
        """Keep a record."""
        assert self._writer is not None
        assert self.results is not None
        self._writer.write(record)
        self.results.add(record)


class _Pass:
    """The visits of one pass; see `gradbench.measure.visitor`.

    Attributes:
        timed: seconds of all rounds so far.
    """

    def __init__(
        self, run: Passes, number: int, kind: Literal["memory", "time"], slices: dict[str, float]
    ) -> None:
        self._run = run
        self._number = number
        self._kind = kind
        self._slices = slices
        self._progress = run.steering.progress
        self._dice = random.Random(f"{run.measured.request.seed}/{number}/{kind}")
        self._hash_seed = self._padding = 0
        self.timed = 0.0

    def shuffled(self, comparisons: list[Comparison]) -> list[Comparison]:
        order = list(comparisons)
        self._dice.shuffle(order)
        return order

    def start(self) -> WorkerProcess:
        plan, options, file = self._run.measured.plan, self._run.measured.options, self._run.measured.file
        settings = WorkerSettings(
            self._number,
            self._kind,
            self._dice.getrandbits(32),
            options.threads,
            options.batch_seconds,
            accelerators=any(each.device != "cpu" for each in plan.comparisons),
            file="" if file is None else str(file.absolute()),
            metrics=plan.metrics,
        )
        self._hash_seed, self._padding = self._dice.randrange(1 << 32), self._dice.randrange(4096)
        self._progress.starting(self._number)
        # Resident memory grows only where freed pages go back to the system.
        allocator = options.allocator if self._kind == "time" else "system"
        return WorkerProcess(settings, self._hash_seed, self._padding, allocator)

    def started(self, ready: Ready) -> None:
        self._run.opened(ready)
        self._run.write(
            PassStart(self._number, self._kind, ready.import_seconds, self._hash_seed, self._padding)
        )

    def task(self, comparison: Comparison) -> tuple[Task, float] | None:
        if self._run.lost.get(comparison.id, 0) >= GIVE_UP_AFTER:
            message = f"lost {GIVE_UP_AFTER} visits in a row"
            self._run.write(Failure(self._number, comparison.id, None, "time", "given up", message))
            return None
        self._progress.visiting(self._number, comparison, self._run.pace.left())
        seconds = self._slices[comparison.id]
        return Task(comparison, seconds), self._run.measured.options.timeout + 3 * seconds

    def hear(self, comparison: Comparison, message: Message) -> None:
        if isinstance(message, Visit):
            self.timed += message.timed_seconds
            self._run.lost.pop(comparison.id, None)
        self._run.write(message)  # type: ignore[arg-type]

    def lost(self, comparison: Comparison, why: WorkerLost) -> None:
        self._run.lost[comparison.id] = self._run.lost.get(comparison.id, 0) + 1
        self._run.write(Failure(self._number, comparison.id, None, self._kind, why.kind, str(why)))

    def visited(self, finish: Finish | None) -> None:
        self._progress.visited()
