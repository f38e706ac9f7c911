"""A run: passes, each in a fresh process, until the plan, the budget or the wanted precision is reached.

The parent owns the results file and imports no torch. Every visit is written as it arrives, so that a
run may be ended at any moment; `resume` finishes what is missing and adds passes.
"""

from __future__ import annotations

import datetime
import random
import shlex
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec

from gradbench import __version__
from gradbench.analyse.summary import worst_precision
from gradbench.define.methods import methods
from gradbench.define.planner import plan_run
from gradbench.define.workloads import user_model as own
from gradbench.errors import EndedEarly, RequestError
from gradbench.measure.goal import FEWEST_FOR_PRECISION, PRESETS, Goal
from gradbench.measure.process import WorkerLost, WorkerProcess
from gradbench.measure.protocol import Ready, Task, WorkerSettings
from gradbench.measure.remaining import Remaining
from gradbench.record.devices import KINDS, kind_of
from gradbench.record.environment import Environment, differences
from gradbench.record.lines import SCHEMA, Writer
from gradbench.record.plan import Comparison, Plan, Request
from gradbench.record.results import (
    FILENAME,
    FORMAT,
    Header,
    Options,
    Results,
    locate,
    new_folder,
    read_results,
)
from gradbench.record.visits import Failure, PassEnd, PassStart, RunEnd, Visit

# A visit shorter than this is mostly calibration.
SHORTEST_SLICE = 0.1


# A comparison that lost this many visits in a row is not tried again in this run.
GIVE_UP_AFTER = 3


# What the report takes at the end, out of the budget.
REPORT_SECONDS = 6.0


class Progress:
    """What a run tells while it goes on; this one keeps quiet."""

    def begin(self, memory: int, visits: int | None) -> None:
        """The run begins: visits that count bytes, and those that take time, where their number is known."""

    def starting(self, number: int) -> None:
        """A process starts for pass `number`; it imports torch first."""

    def observing(self) -> None:
        """What the methods do to tensors is observed."""

    def visiting(self, number: int, comparison: Comparison, left: float | None) -> None:
        """A visit begins, in pass `number` (0: memory); seconds left for the run, where known."""

    def visited(self) -> None:
        """A visit ended."""


def start(
    output: Path,
    request: Request,
    options: Options,
    goal: Goal,
    command: str,
    progress: Progress,
    plan: Plan | None = None,
    file: Path | None = None,
) -> Results:
    """Measure what was requested into a new folder.

    A plan made by hand takes the place of the request's, as one made of a `file` of the user's does. Such a
    run is resumed only with the same plan: code is never run from a results file.

    Raises RequestError before anything is written when the request cannot be met, and EndedEarly when
    the run was interrupted, with its finished visits kept.
    """
    new_folder(output)
    if plan is None and request.device != "cpu":
        request = resolve_devices(request)
    plan = plan or plan_run(request)
    run = _Run(plan, request, options, goal, progress, file)

    def begin(environment: Environment) -> tuple[Results, Writer]:
        created = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
        labels = {method.name: method.label for method in methods()}
        header = Header(
            FORMAT, SCHEMA, __version__, created, command, request, options, environment, plan, labels
        )
        path = output / FILENAME
        try:
            output.mkdir(parents=True, exist_ok=True)
            writer = Writer(path)
        except OSError as error:
            raise RequestError(f"--output {output}: cannot be written: {error.strerror}") from None
        writer.write(header)
        return Results(path, header), writer

    return run.go(begin)


def resolve_devices(request: Request, python: str = sys.executable) -> Request:
    """The request with its devices by name, and what was free on each; asks a process with torch.

    Args:
        python: the interpreter of that process.

    Raises RequestError, in one line, for a device that is not here, or that there is no clock for.
    """
    with WorkerProcess(WorkerSettings(0, "devices", 0, 1), 0, 0, "system", python) as worker:
        ready = worker.ready()
    here = ready.environment.devices
    wanted = (
        ",".join(["cpu", *(each for each in here if kind_of(each) in KINDS[1:])])
        if request.device == "all"
        else request.device
    )
    named = msgspec.structs.replace(request, device=wanted)
    for device in named.devices:
        if device not in here:
            raise RequestError(
                f"--device {request.device}: torch {ready.environment.torch} finds only {', '.join(here)} "
                + (f"here: {ready.lacks['cuda']}" if device.startswith("cuda") and len(here) == 1 else "here")
            )
        if kind_of(device) not in KINDS:
            raise RequestError(
                f"--device {request.device}: this version measures on {' and '.join(KINDS)}; there is no "
                f"clock for {kind_of(device)} yet"
            )
        if device in ready.lacks:
            raise RequestError(
                f"--device {request.device}: {device} cannot be used now: {ready.lacks[device]}"
            )
    devices = named.devices
    return msgspec.structs.replace(
        named,
        device=",".join(devices),
        room={device: ready.free[device] for device in devices if device in ready.free},
    )


def resume(
    output: Path, goal: Goal, progress: Progress, plan: Plan | None = None, file: Path | None = None
) -> Results:
    """Go on with the run in a folder: its plan, its options, its results.

    What was measured of a `file` of the user's needs the `plan` that is made of it now.

    Raises RequestError, with nothing changed, when there is no run, or it was measured elsewhere.
    """
    old = read_results(locate(output))
    if old.schema != SCHEMA:
        raise RequestError(
            f"{old.path}: cannot go on: an older gradbench wrote it, in schema {old.schema}, this one writes "
            f"schema {SCHEMA}; start a new run"
        )
    if old.compressed:
        raise RequestError(f"{old.path}: cannot go on: it is compressed; decompress it with gunzip first")
    if file is None and own.NAME in old.header.request.workloads:
        raise RequestError(
            f"{old.path}: cannot go on: it measures a model of yours, and code is never run from a results "
            "file; expected its own: gradbench model FILE.py --resume --output " + shlex.quote(str(output))
        )
    # Code is run from our own tables or the user's file, never from results; and passes of one run time the
    # same code.
    plan = plan or plan_run(old.header.request)
    if plan != old.header.plan:
        what = f"the text of {file}, or what it defines" if file else "methods or workloads"
        raise RequestError(
            f"{old.path}: cannot go on: {what}, are not those that it was measured with, by gradbench "
            f"{old.header.gradbench}; start a new run"
        )
    run = _Run(plan, old.header.request, old.header.options, goal, progress, file)

    def begin(environment: Environment) -> tuple[Results, Writer]:
        changed = differences(old.header.environment, environment)
        if changed:
            raise RequestError(
                f"{old.path}: cannot go on: this machine or its software is not the run's: "
                f"{'; '.join(changed)}; start a new run"
            )
        try:
            return old, Writer(old.path, old.length, old.cut_off)
        except OSError as error:
            raise RequestError(f"{old.path}: cannot be written: {error.strerror}") from None

    return run.go(begin, old)


class _Run:
    def __init__(
        self,
        plan: Plan,
        request: Request,
        options: Options,
        goal: Goal,
        progress: Progress,
        file: Path | None,
    ) -> None:
        self._plan = plan
        self._seed = request.seed
        self._observes = not request.workloads
        self._options = options
        self._goal = goal
        self._progress = progress
        self._file = file
        self._began = time.monotonic()
        self._writer: Writer | None = None
        self._begin: Callable[[Environment], tuple[Results, Writer]] | None = None
        self._results: Results | None = None
        self._startup = 2.0
        self._lost: dict[str, int] = {}

    def go(
        self, begin: Callable[[Environment], tuple[Results, Writer]], old: Results | None = None
    ) -> Results:
        """Measure what is missing; `begin` opens the results once the first worker has shown its machine."""
        self._begin = begin
        todo = Remaining(self._plan, old)
        if self._goal.passes is not None and todo.first_pass > self._goal.passes and not todo.unfinished:
            raise RequestError(
                f"nothing to do: the run has its {todo.first_pass - 1} passes; "
                f"ask for more with --passes {2 * (todo.first_pass - 1)}"
            )
        try:
            self._passes(todo)
        except KeyboardInterrupt:
            raise self._ended_early("interrupted", old) from None
        except OSError as error:
            raise self._ended_early(f"cannot go on: {error.strerror or error}", old) from None
        except RequestError as error:
            # Before there are results, the request is at fault; afterwards, what changed since.
            if self._results is None:
                raise
            raise self._ended_early(str(error), old) from None
        finally:
            if self._writer is not None:
                self._writer.close()
        assert self._results is not None
        return self._results

    def _ended_early(self, why: str, old: Results | None) -> EndedEarly:
        kept = self._results or old
        if kept is None:
            return EndedEarly(f"{why} before anything was measured; nothing was written")
        command = [
            "gradbench",
            *(["run"] if self._file is None else ["model", str(self._file)]),
            "--resume",
            "--output",
            str(kept.path.parent),
            *self._goal.options(PRESETS.get(self._options.preset)),
        ]
        return EndedEarly(
            f"{why}; {len(kept.visits)} visits are kept in {kept.path}; go on with: {shlex.join(command)}"
        )

    def _passes(self, todo: Remaining) -> None:
        total = self._goal.passes
        known = None
        if total is not None:
            known = sum(len(comparisons) for comparisons in todo.unfinished.values())
            known += sum(len(self._plan.due(number)) for number in range(todo.first_pass, total + 1))
        memory = todo.memory if self._options.memory else []
        self._progress.begin(len(memory), known)
        if memory:
            self._pass(0, "memory", memory, None)
        # A run of a few workloads asks about them, and not about all that the methods do.
        if self._options.memory and self._observes and todo.observe:
            self._observe()
        for number, comparisons in todo.unfinished.items():
            self._pass(number, "time", comparisons, self._unfinished_seconds(len(comparisons)))
        number = todo.first_pass
        reason: Literal["passes", "budget", "precision"] = "passes"
        while total is None or number <= total:
            seconds = self._pass_seconds(number)
            if seconds is not None and seconds <= 0:
                reason = "budget"
                break
            self._pass(number, "time", self._plan.due(number), seconds)
            visited = number // max(each.every for each in self._plan.comparisons)
            if self._goal.precision is not None and visited >= FEWEST_FOR_PRECISION:
                reached = self._reached()
                if reached is not None and reached <= self._goal.precision:
                    reason = "precision"
                    break
            number += 1
        asked = self._goal.precision
        self._write(
            RunEnd(reason, time.monotonic() - self._began, asked, None if asked is None else self._reached())
        )

    def _reached(self) -> float | None:
        return None if self._results is None else worst_precision(self._results)

    def _left(self) -> float | None:
        if self._goal.budget is None:
            return None
        return self._goal.budget - REPORT_SECONDS - (time.monotonic() - self._began)

    def _unfinished_seconds(self, count: int) -> float:
        """Seconds for so many visits of a pass that was cut off: what the budget leaves, within reason."""
        left = self._left()
        full = count * self._goal.slice
        return full if left is None else max(count * SHORTEST_SLICE, min(full, left - self._startup))

    def _pass_seconds(self, number: int) -> float | None:
        """Seconds for the visits of the next pass; None without a budget; 0 where none fits any more."""
        left = self._left()
        if left is None:
            return None
        count = len(self._plan.due(number))
        full = count * self._goal.slice
        if self._goal.passes is None:
            # At least five passes, so that an interval has degrees of freedom, then as many as fit.
            passes = max(1, 6 - number, round(left / (full + self._startup)))
        else:
            passes = self._goal.passes - number + 1
        seconds = min(full, left / passes - self._startup)
        if seconds < count * SHORTEST_SLICE:
            seconds = count * SHORTEST_SLICE
            # The first pass is made whatever the budget; without it there is nothing to report.
            return seconds if left > seconds + self._startup or number == 1 else 0.0
        return seconds

    def _pass(
        self,
        number: int,
        kind: Literal["memory", "time"],
        comparisons: list[Comparison],
        seconds: float | None,
    ) -> None:
        """Visit comparisons in random order; a lost worker costs one visit, and a fresh one goes on."""
        began = time.monotonic()
        order = list(comparisons)
        dice = random.Random(f"{self._seed}/{number}/{kind}")
        dice.shuffle(order)
        slices = self._slices(comparisons, seconds)
        timed = 0.0
        while order:
            job = WorkerSettings(
                number,
                kind,
                dice.getrandbits(32),
                self._options.threads,
                self._options.batch_seconds,
                accelerators=any(each.device != "cpu" for each in self._plan.comparisons),
                file="" if self._file is None else str(self._file.absolute()),
                metrics=self._plan.metrics,
            )
            hash_seed, padding = dice.randrange(1 << 32), dice.randrange(4096)
            # Resident memory grows only where freed pages go back to the system.
            allocator = self._options.allocator if kind == "time" else "system"
            self._progress.starting(number)
            with WorkerProcess(job, hash_seed, padding, allocator) as worker:
                ready = worker.ready()
                self._opened(ready)
                self._write(PassStart(number, kind, ready.import_seconds, hash_seed, padding))
                while order:
                    comparison = order.pop(0)
                    if self._lost.get(comparison.id, 0) >= GIVE_UP_AFTER:
                        self._give_up(number, comparison)
                        continue
                    self._progress.visiting(number, comparison, self._left())
                    task = Task(comparison, slices[comparison.id])
                    try:
                        for message in worker.visit(task, self._options.timeout + 3 * task.seconds):
                            if isinstance(message, Visit):
                                timed += message.timed_seconds
                                self._lost.pop(comparison.id, None)
                            self._write(message)  # type: ignore[arg-type]
                    except WorkerLost as lost:
                        self._lost[comparison.id] = self._lost.get(comparison.id, 0) + 1
                        self._write(Failure(number, comparison.id, None, kind, lost.kind, str(lost)))
                        break
                    finally:
                        self._progress.visited()
        took = time.monotonic() - began
        self._write(PassEnd(number, took))
        if kind == "time":
            # What a pass costs besides its rounds, for the share of the budget of those to come.
            self._startup = max(0.5, took - timed)

    def _observe(self) -> None:
        """Have a fresh process observe what the methods do to tensors."""
        self._progress.observing()
        with WorkerProcess(WorkerSettings(0, "memory", self._seed % (1 << 32), 1), 0, 0, "system") as worker:
            self._opened(worker.ready())
            try:
                # All or none: a part of them would keep the rest from being asked for again.
                for message in list(worker.visit(Task(None, 0.0), self._options.timeout)):
                    self._write(message)  # type: ignore[arg-type]
            except WorkerLost as lost:
                self._write(Failure(0, "traits", None, "traits", lost.kind, str(lost)))

    def _give_up(self, number: int, comparison: Comparison) -> None:
        self._write(
            Failure(number, comparison.id, None, "time", "given up", f"lost {GIVE_UP_AFTER} visits in a row")
        )

    def _opened(self, ready: Ready) -> None:
        if self._results is None:
            assert self._begin is not None
            self._results, self._writer = self._begin(ready.environment)

    def _write(self, record: PassStart | Visit | Failure | PassEnd | RunEnd) -> None:
        assert self._writer is not None
        assert self._results is not None
        self._writer.write(record)
        self._results.add(record)

    def _slices(self, comparisons: list[Comparison], seconds: float | None) -> dict[str, float]:
        """Seconds for each visit: more where the visits so far were noisier.

        The error of a visit falls with the square root of its time t: error² = k/t. The sum of all
        errors squared, for a given total time, is least when each t is proportional to √k (Neyman 1934).
        No comparison gets less than a quarter of an equal share, so that none depends on one bad guess.
        """
        total = len(comparisons) * self._goal.slice if seconds is None else seconds
        equal = total / max(1, len(comparisons))
        noise: dict[str, list[float]] = {}
        for visit in self._results.visits if self._results else ():
            noise.setdefault(visit.comparison, []).append(visit.error * visit.timed_seconds**0.5)
        if any(comparison.id not in noise for comparison in comparisons):
            return {comparison.id: equal for comparison in comparisons}
        weights = {c.id: sorted(noise[c.id])[len(noise[c.id]) // 2] for c in comparisons}
        mean = sum(weights.values()) / len(weights) or 1.0
        shares = {id: 0.25 + 0.75 * weight / mean for id, weight in weights.items()}
        return {id: equal * share for id, share in shares.items()}
