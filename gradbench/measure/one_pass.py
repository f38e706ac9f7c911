"""One pass: its process, its visits, and their results."""

from __future__ import annotations

import random
import time

import msgspec

from gradbench.measure.lanes import Lane, Stopped
from gradbench.measure.leave_out import LONG, affordable, left_out, left_out_unseen, not_executed
from gradbench.measure.ongoing import Kind, Ongoing
from gradbench.measure.process import WorkerLost, WorkerProcess
from gradbench.measure.protocol import Check, Finish, Message, Ready, Task, WorkerSettings
from gradbench.measure.visitor import visit_each
from gradbench.record.plan import Comparison
from gradbench.record.visits import Failure, PassEnd, PassStart, Visit

# After this many lost visits in a row a comparison gets no further visit in this run.
GIVE_UP_AFTER = 3
# This many visits of a comparison compare results with each other, and the first also with NumPy's.
CHECKED_VISITS = 3


class OnePass:
    """The visits of one pass.

    Attributes:
        lane: the lane of the pass.
        until: seconds since the start of the run after which no visit begins; None for those of the budget.
    """

    def __init__(
        self,
        run: Ongoing,
        lane: Lane,
        number: int,
        kind: Kind,
        slices: dict[str, float],
    ) -> None:
        self.lane = lane
        self.until: float | None = None
        self._run = run
        self._number = number
        self._kind = kind
        self._slices = slices
        self._progress = run.progress
        self._dice = random.Random(f"{run.measured.request.seed}/{number}/{kind}")
        self._hash_seed = self._padding = 0
        self._started = 0.0

    def shuffled(self, comparisons: list[Comparison]) -> list[Comparison]:
        """The comparisons in a random order, which is the same whenever this pass runs."""
        order = list(comparisons)
        self._dice.shuffle(order)
        return order

    def make(self, comparisons: list[Comparison]) -> None:
        """Visit comparisons in their order; `visit_each` asks the methods below for each of them."""
        began = time.monotonic()
        visit_each(comparisons, self)
        if not self.lane.stop.is_set():
            self._run.write(PassEnd(self._number, time.monotonic() - began))

    def start(self) -> WorkerProcess:
        """A fresh process that runs `gradbench.measure.worker`, and ends with the lane."""
        if self.lane.stop.is_set():
            raise Stopped
        plan, options, file = self._run.measured.plan, self._run.measured.options, self._run.measured.file
        settings = WorkerSettings(
            self._number,
            self._kind,
            self._dice.getrandbits(32),
            options.threads,
            options.batch_seconds,
            accelerators=any(each.device != "cpu" for each in plan.comparisons),
            file="" if file is None else str(file.absolute()),
            files={name: str(each.absolute()) for name, each in self._run.measured.files.items()},
            metrics=plan.metrics,
        )
        self._hash_seed, self._padding = self._dice.randrange(1 << 32), self._dice.randrange(4096)
        self._progress.starting(self._number)
        # Resident memory grows only where freed pages go back to the system.
        allocator = options.allocator if self._kind == "time" else "system"
        self._started = time.monotonic()
        return self.lane.works_with(WorkerProcess(settings, self._hash_seed, self._padding, allocator))

    def started(self, ready: Ready) -> None:
        """The process has imported torch: from now on it stays where it is."""
        if self.lane.processor is not None and self.lane.worker is not None:
            self.lane.worker.bind({self.lane.processor})
        self._run.schedule.startup = max(0.5, time.monotonic() - self._started)
        self._run.opened(ready)
        self._run.write(
            PassStart(
                self._number,
                self._kind,
                ready.import_seconds,
                self._hash_seed,
                self._padding,
                self.lane.processor,
                len(self._run.places),
            )
        )

    def task(self, comparison: Comparison) -> tuple[Task, float] | None:
        """The task for a comparison; None where it is given up, or its time has run out."""
        if self.lane.stop.is_set():
            raise Stopped
        if self._run.lost.get(comparison.id, 0) >= GIVE_UP_AFTER:
            message = f"lost {GIVE_UP_AFTER} visits in a row"
            self._run.write(Failure(self._number, comparison.id, None, "time", "given up", message))
            self._run.schedule.give_up(comparison)
            return None
        left = self._run.pace.left()
        if left is not None and not self._fits(comparison, left):
            self._run.missed(comparison, self._kind)
            return None
        self._progress.visiting(self._number, comparison, left)
        seconds, timeout = self._slices[comparison.id], self._run.measured.options.timeout
        known = [each for each in self._visits() if each.comparison == comparison.id]
        call = self._run.measured.calls.get(comparison.id, 0.0)
        if self._kind == "memory":
            check: Check = "baseline" if call > LONG else "answers"
            free = not_executed(comparison, call)
            return Task(self._in_time(comparison, call, left, free), 0.0, check=check), timeout
        timed = self._in_time(self._without_what_is_known(comparison, call), call, left)
        if known and not _methods(timed) and not self._has_methods(comparison, call, left):
            # The seconds of the baseline are known, so a visit of it alone shows nothing new.
            self._run.missed(comparison, self._kind)
            return None
        task = Task(
            timed,
            seconds,
            known=_seconds(known),
            check=self._check(len(known), call),
            most=None if left is None else max(left, 0.0),
        )
        return task, timeout + 3 * seconds

    def _has_methods(self, comparison: Comparison, call: float, left: float | None) -> bool:
        """Whether a visit with all variants of the plan would time any method."""
        (whole,) = (each for each in self._run.measured.plan.comparisons if each.id == comparison.id)
        return _methods(self._in_time(self._without_what_is_known(whole, call), call, left))

    def _check(self, visits: int, call: float) -> Check:
        """How much to check of a comparison after so many visits: the code and the machine stay the same."""
        if visits == 0:
            return "answers"
        if call > LONG:
            return "warm"
        return "values" if visits < CHECKED_VISITS else "flags"

    def _in_time(
        self, comparison: Comparison, call: float, left: float | None, free: frozenset[str] = frozenset()
    ) -> Comparison:
        """The comparison without the variants for which a long call leaves no time; `free` ones take none."""
        if left is None or call <= LONG:
            return comparison
        until = left if self.until is None else self.until - self._run.pace.elapsed()
        return affordable(comparison, until / call, free)

    def _without_what_is_known(self, comparison: Comparison, call: float) -> Comparison:
        """The comparison without variants that execute the same as others, and need no timing."""
        known: frozenset[str] = frozenset()
        if self._run.results is not None:
            known = left_out(comparison, self._run.results)
        known |= left_out_unseen(comparison, call)
        kept = tuple(each for each in comparison.variants if each.name not in known)
        return msgspec.structs.replace(comparison, variants=kept) if known else comparison

    def _fits(self, comparison: Comparison, left: float) -> bool:
        """Whether a visit ends in time. The first timing visit always fits, since a report needs it."""
        # At least its baseline is executed twice.
        least = 2 * self._run.measured.calls.get(comparison.id, 0.0)
        if self._kind == "memory":
            return self.until is None or self._run.pace.elapsed() + least < self.until
        if least > 2 * LONG:
            return least <= left or not self._visits()
        return self._run.schedule.least(comparison) <= left or not self._visits()

    def _visits(self) -> list[Visit]:
        return [] if self._run.results is None else self._run.results.visits

    def hear(self, comparison: Comparison, message: Message) -> None:
        """Keep a message of the process."""
        if isinstance(message, Visit):
            self._run.lost.pop(comparison.id, None)
        self._run.write(message)  # type: ignore[arg-type]

    def lost(self, comparison: Comparison, why: WorkerLost) -> None:
        """The visit cost its process."""
        if self.lane.stop.is_set():
            raise Stopped
        self._run.lost[comparison.id] = self._run.lost.get(comparison.id, 0) + 1
        self._run.write(Failure(self._number, comparison.id, None, self._kind, why.kind, str(why)))

    def visited(self, comparison: Comparison, finish: Finish | None) -> None:
        """The visit is over."""
        if self._kind == "memory":
            self._run.counted(comparison)
        self._progress.visited()


def _methods(comparison: Comparison) -> bool:
    return any(each.role == "method" for each in comparison.variants)


def _seconds(visits: list[Visit]) -> dict[str, float]:
    """By variant the seconds per call of the latest visit that timed it; on the CPU, loop included."""
    found: dict[str, float] = {}
    for visit in visits[-3:]:
        found |= {
            name: each.seconds
            for name, each in visit.variants.items()
            if each.seconds > 0 and each.host is None
        }
    return found
