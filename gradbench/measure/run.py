"""A run: started in a new folder or resumed, pass after pass, until its goal is reached.

The parent owns the results file and imports no torch. Each pass is a fresh process. The parent writes every
visit as it arrives, so that a run may end at any moment. `resume` finishes missing work and adds passes.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import MappingProxyType

from gradbench.define.planner import plan_run
from gradbench.errors import EndedEarly, RequestError
from gradbench.measure.devices import resolve_devices
from gradbench.measure.goal import FEWEST_FOR_PRECISION
from gradbench.measure.lanes import Lane, Stopped, run_lanes
from gradbench.measure.leave_out import LONG
from gradbench.measure.one_pass import OnePass
from gradbench.measure.ongoing import Kind, Measured, Ongoing, Open
from gradbench.measure.opening import create_results, expect_same_plan, read_unfinished, reopen
from gradbench.measure.process import WorkerLost, WorkerProcess
from gradbench.measure.protocol import Task, WorkerSettings
from gradbench.measure.remaining import Remaining
from gradbench.measure.schedule import Share
from gradbench.measure.steering import LOOKS, Steering
from gradbench.record.plan import Comparison, Plan, Request
from gradbench.record.results import Options, Record, Results, new_folder, sessions
from gradbench.record.visits import Failure, Look, RunEnd

# The count of bytes gets this part of the budget, and more where other passes are timed at the same time.
MEMORY_PART, MEMORY_PART_BESIDE = 0.65, 0.85
# The observation of the methods takes the start of a process, and about as long again.
OBSERVED_WITHIN = 3.0


@dataclass(frozen=True)
class Order:
    """The order for a new run, which the run keeps.

    A plan made by hand takes the place of the request's, and so does a plan of a user's `file`. Such a run is
    resumed only with the same plan, since code never runs from a results file.

    Attributes:
        command: the command of the user.
        calls: by comparison id seconds of a call, where that is known beforehand.
        records: records that follow the header, known before the measurement.
        files: for a plan of several files, the path of each by name; `file` is the first of them.
        again: the first words of the command that goes on with the run; empty for those of `file`.
    """

    request: Request
    options: Options
    command: str
    plan: Plan | None = None
    file: Path | None = None
    calls: Mapping[str, float] = field(default_factory=dict)
    records: tuple[Record, ...] = ()
    files: Mapping[str, Path] = field(default_factory=dict)
    again: tuple[str, ...] = ()


def start(output: Path, order: Order, steering: Steering) -> Results:
    """Measure an order into a new folder.

    Raises RequestError before anything is written when the request cannot be met, and EndedEarly when
    the run was interrupted, with its finished visits kept.
    """
    new_folder(output)
    request, plan = order.request, order.plan
    if plan is None and request.device != "cpu":
        request = resolve_devices(request)
    plan = plan or plan_run(request)
    measured = Measured(plan, request, order.options, order.file, order.calls, order.files, order.again)
    return Passes(
        measured, steering, partial(create_results, output, order.command, order.records, measured), None
    ).go()


def resume(
    output: Path,
    steering: Steering,
    plan: Plan | None = None,
    file: Path | None = None,
    calls: Mapping[str, float] = MappingProxyType({}),
    files: Mapping[str, Path] = MappingProxyType({}),
    again: tuple[str, ...] = (),
) -> Results:
    """Go on with the run in a folder: its plan, its options, its results.

    A run of a user's `file` or of an expression needs the current `plan` of it, and by comparison id the
    seconds of its `calls`. For several files `files` has the path of each by name. `again` is as in `Order`.

    Raises RequestError, with nothing changed, when there is no run, or it was measured elsewhere.
    """
    old = read_unfinished(output, plan is not None)
    # Code comes from our tables or the user's file, never from results. All passes of a run time the same
    # code.
    plan = plan or plan_run(old.header.request)
    measured = Measured(plan, old.header.request, old.header.options, file, calls, files, again)
    expect_same_plan(old, measured)
    return Passes(measured, steering, partial(reopen, old), old).go()


class Passes(Ongoing):
    """Does the missing work of a run."""

    def __init__(self, measured: Measured, steering: Steering, open_: Open, old: Results | None) -> None:
        """Go on with the `old` results, where there are some."""
        super().__init__(measured, steering, open_, old)
        self.steering = steering
        self._old = old
        self._todo = Remaining(measured.plan, old)
        self._number = self._todo.first_pass
        self._looks = list(LOOKS)
        self._session = 0 if old is None else sessions(old)

    def go(self) -> Results:
        """Measure. Raises RequestError where the run cannot measure, and EndedEarly with the kept visits."""
        passes, made = self.steering.goal.passes, self._todo.first_pass - 1
        if passes is not None and made >= passes and not self._todo.unfinished:
            raise RequestError(
                f"nothing to do: the run has its {made} passes; ask for more with --passes {2 * made}"
            )
        try:
            self._measure()
        except KeyboardInterrupt:
            raise self._ended_early("interrupted") from None
        except OSError as error:
            raise self._ended_early(f"cannot go on: {error.strerror or error}") from None
        except RequestError as error:
            # Before there are results, the request is at fault; afterwards, a later change is.
            if self.results is None:
                raise
            raise self._ended_early(str(error)) from None
        assert self.results is not None
        return self.results

    def _nothing_to_do(self) -> str:
        """Why no process was started."""
        if self.schedule.complete():
            return (
                "nothing to do: each comparison has the visits that the preset asks for; ask for more with "
                "--budget SECONDS"
            )
        left = self.pace.left() or 0.0
        return (
            f"nothing to do: the budget leaves {max(left, 0.0):.0f} s, too few for another process; give a "
            "longer --budget"
        )

    def _ended_early(self, why: str) -> EndedEarly:
        kept = self.results or self._old
        if kept is None:
            return EndedEarly(f"{why} before anything was measured; nothing was written")
        command = [
            "gradbench",
            *(self.measured.again or self._of_files()),
            "--resume",
            "--output",
            str(kept.path.parent),
            *self.steering.goal.options(self.measured.options.preset),
        ]
        return EndedEarly(
            f"{why}; {len(kept.visits)} visits are kept in {kept.path}; go on with: {shlex.join(command)}"
        )

    def _of_files(self) -> list[str]:
        """The first words of a command that goes on with this run."""
        measured = self.measured
        if measured.file is None:
            return ["run"]
        return ["model", *map(str, measured.files.values() or [measured.file])]

    def _measure(self) -> None:
        goal, plan = self.steering.goal, self.measured.plan
        memory = self._todo.memory if self.measured.options.memory else []
        known = None
        if goal.passes is not None:
            known = sum(len(comparisons) for comparisons in self._todo.unfinished.values())
            known += sum(len(plan.due(number)) for number in range(self._number, goal.passes + 1))
        self.progress.begin(len(memory), known)
        self._first = self._first_work(memory)
        try:
            run_lanes(self.places, self._work)
            if self.results is None:
                raise RequestError(self._nothing_to_do())
            reached = None if goal.precision is None else self._reached()
            self.write(RunEnd(self.reason, self.pace.elapsed(), goal.precision, reached))
        finally:
            # A disk that becomes full here ends the run like one that was full before.
            self.close()

    def _first_work(self, memory: list[Comparison]) -> list[Callable[[Lane], None]]:
        """The work before new passes: bytes, observation of the methods, and passes that were cut off."""
        first: list[Callable[[Lane], None]] = []
        if memory:
            if self.measured.file is not None:
                # The count of bytes shows which variants need no timing. Where the count takes long, the
                # table of methods decides.
                self.ready_to_time -= {
                    each.id for each in memory if self.measured.calls.get(each.id, 0.0) <= LONG
                }
            first.append(lambda lane: self._count(lane, memory))
        # A run of a few workloads is about them, and needs no observation of the methods.
        if self.measured.options.memory and not self.measured.request.workloads and self._todo.observe:
            first.append(self._observe)
        if self.steering.goal.passes is not None:
            for number, comparisons in self._todo.unfinished.items():
                first.append(
                    lambda lane, number=number, due=comparisons: self._pass(  # type: ignore[misc]
                        lane, number, "time", self.schedule.fixed(due, self._for_pass(len(self.places)))
                    )
                )
        return first

    def _work(self, lane: Lane) -> None:
        """Do the work of the run, one item after another, until none is left."""
        while not lane.stop.is_set():
            with self.lock:
                work = self._first.pop(0) if self._first else self._new_pass()
            if work is None:
                return
            work(lane)

    def _new_pass(self) -> Callable[[Lane], None] | None:
        """The next pass; None where there are no more. The lock is held."""
        goal = self.steering.goal
        if goal.precision is not None and self._precise_enough(goal.precision):
            self.reason = "precision"
            return None
        self._look()
        if goal.passes is not None and self._number > goal.passes:
            return None
        left = self.pace.left()
        if goal.passes is not None:
            shares = self.schedule.fixed(self.measured.plan.due(self._number), self._for_pass(goal.passes))
            short = left is not None and left < self.schedule.startup + len(shares) * 0.1
        else:
            waiting = len(self.ready_to_time) < len(self.measured.plan.comparisons)
            among = self.ready_to_time if waiting else None
            shares = self.schedule.next(left if left is not None else 1e9, len(self.places), among)
            if not shares and waiting and (left is None or left > 0):
                return _wait
            short = not shares and not self.schedule.complete()
        # The first pass ignores the budget, since a report needs it.
        if short and not (goal.passes is not None and self._number == 1):
            self.reason = "budget"
            return None
        if not shares:
            return None
        number, self._number = self._number, self._number + 1
        return lambda lane: self._pass(lane, number, "time", shares)

    def _for_pass(self, passes: int) -> float | None:
        """Seconds for the visits of one of the passes that are left."""
        left = self.pace.left()
        if left is None:
            return None
        rounds = max(1, -(-(passes - self._number + 1) // len(self.places)))
        return left / rounds - self.schedule.startup

    def _precise_enough(self, asked: float) -> bool:
        if self.schedule.fewest() < FEWEST_FOR_PRECISION:
            return False
        reached = self._reached()
        return reached is not None and reached <= asked

    def _reached(self) -> float | None:
        return None if self.results is None else self.steering.precision(self.results)

    def _look(self) -> None:
        """Look at the open questions, where it is time for a look and the run chooses its passes."""
        if self.pace.all is None or self.results is None or not self._looks:
            return
        if self.steering.goal.passes is not None:
            return
        spent = self.pace.elapsed() / self.pace.all
        if spent < self._looks[0]:
            return
        self._looks = [each for each in self._looks if each > spent]
        found = self.steering.undecided(self.results, self._session)
        self.write(Look(min(1.0, spent), dict(found.open), found.says, self._session))
        # A precision applies to every interval.
        if self.steering.goal.precision is None:
            self.schedule.ask(found.questions)
        self.progress.decided(found.says)

    def _count(self, lane: Lane, comparisons: list[Comparison]) -> None:
        """Count bytes."""
        visits = OnePass(self, lane, 0, "memory", {each.id: 0.0 for each in comparisons})
        part = MEMORY_PART if len(self.places) == 1 else MEMORY_PART_BESIDE
        visits.until = None if self.pace.all is None else part * self.pace.all
        if self.measured.file is None:
            comparisons = visits.shuffled(comparisons)
        try:
            visits.make(comparisons)
        finally:
            with self.lock:
                self.ready_to_time = {each.id for each in self.measured.plan.comparisons}

    def _pass(self, lane: Lane, number: int, kind: Kind, shares: list[Share]) -> None:
        """Visit comparisons in random order; for a user's model, the most important first."""
        visits = OnePass(self, lane, number, kind, {each.comparison.id: each.seconds for each in shares})
        comparisons = [each.comparison for each in shares]
        if self.measured.file is None or number > 1:
            comparisons = visits.shuffled(comparisons)
        visits.make(comparisons)

    def _observe(self, lane: Lane) -> None:
        """Let a fresh process observe the methods, where there is time for it."""
        left = self.pace.left()
        if left is not None and left < OBSERVED_WITHIN * self.schedule.startup:
            return
        self.progress.observing()
        settings = WorkerSettings(0, "memory", self.measured.request.seed % (1 << 32), 1)
        with WorkerProcess(settings, 0, 0, "system") as worker:
            lane.works_with(worker)
            self.opened(worker.ready())
            try:
                # Write all observations or none: with a part of them a resumed run would not make the rest.
                for message in list(worker.visit(Task(None, 0.0), self.measured.options.timeout)):
                    self.write(message)  # type: ignore[arg-type]
            except WorkerLost as lost:
                if lane.stop.is_set():
                    raise Stopped from None
                self.write(Failure(0, "traits", None, "traits", lost.kind, str(lost)))


def _wait(lane: Lane) -> None:
    """Wait while another lane counts the bytes of comparisons that this lane could time."""
    lane.stop.wait(0.2)
