"""Measuring two sides against each other: pairs of fresh processes that take turns on one processor.

    for each pair (two fresh processes, one on each side, new hash seeds, padded environments):
        bind both to one processor, drawn anew
        for each comparison, in random order:
            build the variants on both sides; choose one n per variant for both
            until the slice of time is used:
                A and B, in random order: rounds of all variants for 10 ms
            keep per variant the median over turns of log(time of B / time of A)

The machine's drift is slow against a turn, so it cancels between turns that stand beside each other, and
absolute times can be compared. What is left is what each process drew by its start (METHODOLOGY.md has the
figures); so the pair is the unit of replication.
"""

from __future__ import annotations

import contextlib
import datetime
import math
import os
import random
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from gradbench import __version__
from gradbench.errors import EndedEarly, RequestError
from gradbench.measure.devices import resolve_devices
from gradbench.measure.process import WorkerLost, WorkerProcess
from gradbench.measure.protocol import (
    PROTOCOL,
    Calibrated,
    Finish,
    Message,
    Ready,
    Task,
    Turn,
    Turned,
    WorkerSettings,
)
from gradbench.record.lines import SCHEMA, Writer
from gradbench.record.plan import Comparison, Request
from gradbench.record.results import Allocator, new_folder
from gradbench.record.visits import Failure, Memory
from gradbench.versus.judge import LOOKS, decided, judge_trial, keeps_from_timing
from gradbench.versus.records import (
    FILENAME,
    FORMAT,
    NAMES,
    End,
    Header,
    Name,
    Options,
    PairStart,
    PairTime,
    PairVisit,
    Record,
    SideFacts,
    SideFailure,
    SideMemory,
    Trial,
)
from gradbench.versus.sides import Side

# A comparison that lost this many visits is not tried again.
GIVE_UP_AFTER = 3


class Watcher:
    """Told what a trial finds while it goes on; this one keeps quiet."""

    def began(self, trial: Trial) -> None:
        """Both sides stand, and the bytes of all variants are counted."""

    def paired(self, trial: Trial, elapsed: float) -> None:
        """A pair ended, so many seconds after the trial began."""


def can_bind(threads: int) -> bool:
    """Whether both processes of a pair can share one processor without harm."""
    return threads == 1 and hasattr(os, "sched_setaffinity")


def on_both(request: Request, sides: tuple[Side, Side]) -> Request:
    """The request with its device by name, and the room that both sides have there.

    Raises RequestError where torch does not find it on one of them.
    """
    found = []
    for name, side in zip(NAMES, sides, strict=True):
        try:
            found.append(resolve_devices(request, side.python))
        except RequestError as error:
            raise RequestError(f"{name} ({side.label}): {error}") from None
    room = {name: min(each.room.get(name, free) for each in found) for name, free in found[0].room.items()}
    return msgspec.structs.replace(found[0], room=room)


def measure(
    output: Path,
    sides: tuple[Side, Side],
    comparisons: tuple[Comparison, ...],
    options: Options,
    command: str,
    watcher: Watcher,
) -> Trial:
    """Measure two sides into a new folder, until every variant is decided or the budget is used.

    Raises RequestError before anything is written when a side cannot be measured, and EndedEarly when
    the trial was interrupted, with the pairs it has kept.
    """
    new_folder(output)
    trial = _Measuring(output, sides, comparisons, options, command, watcher)
    try:
        return trial.go()
    except KeyboardInterrupt:
        raise trial.ended_early("interrupted") from None
    except OSError as error:
        raise trial.ended_early(f"cannot go on: {error.strerror or error}") from None
    except RequestError as error:
        if trial.trial is None:
            raise
        raise trial.ended_early(str(error)) from None
    finally:
        trial.close()


class _Measuring:
    def __init__(
        self,
        output: Path,
        sides: tuple[Side, Side],
        comparisons: tuple[Comparison, ...],
        options: Options,
        command: str,
        watcher: Watcher,
    ) -> None:
        self._began = time.monotonic()
        self._output = output
        self._sides = sides
        self._comparisons = comparisons
        self._options = options
        self._command = command
        self._watcher = watcher
        self._dice = random.Random(options.seed)
        self._pinned = can_bind(options.threads)
        self._processors = sorted(os.sched_getaffinity(0)) if self._pinned else []
        self._writer: Writer | None = None
        self._lost: dict[str, int] = {}
        # Variants that raised while they were timed: the others go on without them.
        self._fallen: set[tuple[str, str]] = set()
        # The pair that is to come, where it could start already.
        self._next: _Processes | None = None
        self.trial: Trial | None = None

    def close(self) -> None:
        if self._next is not None:
            self._next.stack.close()
        if self._writer is not None:
            # On a full disk this fails again, and what it kept is to be told.
            with contextlib.suppress(OSError):
                self._writer.close()

    def ended_early(self, why: str) -> EndedEarly:
        if self.trial is None:
            return EndedEarly(f"{why} before anything was measured; nothing was written")
        return EndedEarly(
            f"{why}; {len(self.trial.pairs)} pairs are kept in {self.trial.path}; "
            f"see them with: gradbench report {self._output}"
        )

    def go(self) -> Trial:
        self._count_bytes()
        assert self.trial is not None
        self._watcher.began(self.trial)
        took = 0.0
        number = 0
        while True:
            reason = self._done(number, took)
            if reason is not None:
                self._write(End(reason, self._elapsed()))
                return self.trial
            number += 1
            begun = time.monotonic()
            self._pair(number)
            took = time.monotonic() - begun
            self._watcher.paired(self.trial, self._elapsed())

    def _elapsed(self) -> float:
        return time.monotonic() - self._began

    def _done(self, pairs: int, took: float) -> Literal["decided", "budget", "pairs"] | None:
        assert self.trial is not None
        judged = judge_trial(self.trial)
        if pairs in LOOKS and decided(judged):
            return "decided"
        if all(each.outcome == "failed" for each in judged.variants):
            return "decided"
        if pairs >= self._options.pairs:
            return "pairs"
        # The first pair is made whatever the budget; without it there is nothing to say.
        if pairs and self._elapsed() + took > self._options.budget:
            return "budget"
        if not self._left():
            return "pairs"
        return None

    def _left(self) -> list[Comparison]:
        return [each for each in self._comparisons if self._lost.get(each.id, 0) < GIVE_UP_AFTER]

    def _write(self, record: Record) -> None:
        assert self._writer is not None
        assert self.trial is not None
        self._writer.write(record)
        self.trial.add(record)

    def _count_bytes(self) -> None:
        """Count bytes on both sides, and begin the file with what they are."""
        said: list[SideMemory | SideFailure] = []
        ready = []
        for name, side in zip(NAMES, self._sides, strict=True):
            own, imported = self._count_on(name, side, said)
            ready.append(own)
            if name == "A":
                self._refuse_where_nothing_stands(said)
            # A module that raises while it is imported is not among those that were: what fails in B and
            # stands in A is broken there.
            if side.sources and not imported and not _lost(said, "B").keys() - _lost(said, "A").keys():
                raise RequestError(
                    f"{side.label}: nothing that is measured is imported from there, so both sides would be "
                    "the same; name code of yours with --setup and --statement, or the folder of the package"
                )
        self._open(ready)
        for record in said:
            self._write(record)

    def _count_on(self, name: Name, side: Side, said: list[SideMemory | SideFailure]) -> tuple[Ready, int]:
        """Count bytes on one side; what it is, and how many modules it imported from its sources."""
        left = list(self._comparisons)
        first: Ready | None = None
        imported = 0
        while left or first is None:
            with self._process(0, "memory", "system", side) as worker:
                ready = worker.ready()
                if ready.protocol != PROTOCOL:
                    raise RequestError(
                        f"{side.label}: has gradbench {ready.gradbench or 'of another age'}, which measures "
                        f"otherwise than this one, {__version__}; install this one there"
                    )
                first = first or ready
                while left:
                    comparison = left.pop(0)
                    try:
                        for message in worker.ask(Task(comparison, 0.0), self._options.timeout):
                            if isinstance(message, Finish):
                                imported = max(imported, message.imported)
                                break
                            if isinstance(message, Memory):
                                said.append(SideMemory(name, message))
                            elif isinstance(message, Failure):
                                said.append(SideFailure(name, message))
                    except WorkerLost as lost:
                        failure = Failure(0, comparison.id, None, "memory", lost.kind, str(lost))
                        said.append(SideFailure(name, failure))
                        # The others get a process of their own.
                        break
        return first, imported

    def _refuse_where_nothing_stands(self, said: list[SideMemory | SideFailure]) -> None:
        """Raise RequestError where no variant stands on A: there is nothing that B could be held against."""
        lost = _lost(said, "A")
        variants = [
            (c.id, variant.name)
            for c in self._comparisons
            for variant in c.variants
            if variant.role != "calibration_task"
        ]
        if all((id, variant) in lost or (id, None) in lost for id, variant in variants):
            first = next(iter(lost.values()))
            raise RequestError(
                f"{self._sides[0].label}: nothing can be measured on side A: {first.failure.message}"
            )

    def _open(self, ready: list[Ready]) -> None:
        facts = [
            SideFacts(side.label, each.gradbench, each.environment)
            for side, each in zip(self._sides, ready, strict=True)
        ]
        created = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
        header = Header(
            FORMAT, SCHEMA, __version__, created, self._command, self._options,
            (facts[0], facts[1]), self._comparisons, self._pinned,
            same_file(*(Path(each.torch_file) for each in ready)),
        )  # fmt: skip
        path = self._output / FILENAME
        try:
            self._output.mkdir(parents=True, exist_ok=True)
            self._writer = Writer(path)
        except OSError as error:
            raise RequestError(f"--output {self._output}: cannot be written: {error.strerror}") from None
        self._writer.write(header)
        self.trial = Trial(path, header)

    def _hear(self, name: Name, message: Message) -> None:
        """Write what a side says besides its times."""
        if isinstance(message, Failure):
            self._write(SideFailure(name, message))
            if message.variant is not None and message.stage == "time":
                self._fallen.add((message.comparison, message.variant))

    def _process(
        self, number: int, kind: Literal["memory", "turns"], allocator: Allocator, side: Side
    ) -> WorkerProcess:
        """Start a fresh process on a side."""
        dice, options = self._dice, self._options
        settings = WorkerSettings(
            number, kind, dice.getrandbits(32), options.threads, options.batch_seconds,
            accelerators=any(each.device != "cpu" for each in self._comparisons), sources=side.sources,
        )  # fmt: skip
        return WorkerProcess(settings, dice.randrange(1 << 32), dice.randrange(4096), allocator, side.python)

    def _start(self, number: int) -> _Processes:
        """Start a fresh process on each side."""
        with contextlib.ExitStack() as stack:
            workers = [
                stack.enter_context(self._process(number, "turns", self._options.allocator, side))
                for side in self._sides
            ]
            return _Processes(stack.pop_all(), workers)

    def _pair(self, number: int) -> None:
        begun = time.monotonic()
        pair = self._next or self._start(number)
        self._next = None
        with pair.stack:
            for worker in pair.workers:
                worker.ready()
            processor = None
            if self._pinned:
                processor = self._dice.choice(self._processors)
                for worker in pair.workers:
                    worker.bind({processor})
            self._write(PairStart(number, time.monotonic() - begun, processor))
            others = {each for each in self._processors if each != processor}
            if others and number < self._options.pairs:
                # The next pair imports torch meanwhile, elsewhere. That disturbs A and B alike.
                self._next = self._start(number + 1)
                for worker in self._next.workers:
                    worker.bind(others)
            order = self._left()
            self._dice.shuffle(order)
            for comparison in order:
                try:
                    self._visit(number, comparison, pair.workers)
                except _SideLost as lost:
                    self._lost[comparison.id] = self._lost.get(comparison.id, 0) + 1
                    failure = Failure(number, comparison.id, None, "time", lost.why.kind, str(lost.why))
                    self._write(SideFailure(lost.name, failure))
                    # What is left of the pair has lost its partner; the next pair begins afresh.
                    return

    def _visit(self, number: int, comparison: Comparison, workers: list[WorkerProcess]) -> None:
        two = [_Partner(name, worker, self) for name, worker in zip(NAMES, workers, strict=True)]
        offers = [each.ask(Task(comparison, 0.0), self._options.timeout) for each in two]
        calls = {}
        if all(isinstance(offer, Calibrated) for offer in offers):
            calls = self._agreed(comparison, offers)  # type: ignore[arg-type]
        if set(calls) - {"calibration_task"}:
            self._take_turns(number, comparison, two, calls)
        for partner in two:
            partner.dismiss(self._options.timeout)

    def _agreed(self, comparison: Comparison, offers: list[Calibrated]) -> dict[str, int]:
        """The calls in a batch, the same on both sides: what differs must not be their number."""
        a, b = (offer.calls for offer in offers)
        return {
            variant.name: max(1, round(math.sqrt(a[variant.name] * b[variant.name])))
            for variant in comparison.variants
            if variant.name in a and variant.name in b and (comparison.id, variant.name) not in self._fallen
        }

    def _take_turns(
        self, number: int, comparison: Comparison, two: list[_Partner], calls: dict[str, int]
    ) -> None:
        turns: dict[Name, list[dict[str, float]]] = {"A": [], "B": []}
        turn = Turn(calls, self._options.turn)
        until = time.monotonic() + 2 * self._options.slice
        while len(turns["A"]) < 2 or time.monotonic() < until:
            first = self._dice.randrange(2)
            for partner in (two[first], two[1 - first]):
                said = partner.ask(turn, self._options.timeout)
                if not isinstance(said, Turned):
                    return
                turns[partner.name].append(said.seconds)
        variants = {}
        for variant, n in calls.items():
            a, b = ([each[variant] for each in turns[name]] for name in NAMES)
            log_ratio = statistics.median(math.log(y / x) for x, y in zip(a, b, strict=True))
            variants[variant] = PairTime(n, statistics.median(a), statistics.median(b), log_ratio)
        self._write(PairVisit(number, comparison.id, len(turns["A"]), variants))


def _lost(said: list[SideMemory | SideFailure], name: Name) -> dict[tuple[str, str | None], SideFailure]:
    """What keeps variants of a side from being timed; None for a whole comparison."""
    return {
        (each.failure.comparison, each.failure.variant): each
        for each in said
        if isinstance(each, SideFailure) and each.side == name and keeps_from_timing(each)
    }


def same_file(one: Path, other: Path) -> bool:
    """Whether two names are of one file; a hard link, as some installers make, is another one.

    Environments of hard links differed in more variants than one environment does from itself
    (METHODOLOGY.md).
    """
    return one.resolve() == other.resolve()


@dataclass(frozen=True)
class _Processes:
    """A process on each side; `stack` ends them."""

    stack: contextlib.ExitStack
    workers: list[WorkerProcess]


class _SideLost(Exception):
    def __init__(self, name: Name, why: WorkerLost) -> None:
        super().__init__(str(why))
        self.name = name
        self.why = why


class _Partner:
    """One process of a pair, in one visit."""

    def __init__(self, name: Name, worker: WorkerProcess, measuring: _Measuring) -> None:
        self.name = name
        self._worker = worker
        self._measuring = measuring
        self._waits_for_turn = False

    def ask(self, request: Task | Turn, timeout: float) -> Calibrated | Turned | Finish:
        """Send a request, write what the process says beside the answer, and return that. Raises _SideLost.

        A variant that raises in its turn is left out by the process, which then offers the others anew.
        """
        try:
            for message in self._worker.ask(request, timeout):
                if isinstance(message, Calibrated | Turned | Finish):
                    self._waits_for_turn = not isinstance(message, Finish)
                    return message
                self._measuring._hear(self.name, message)
        except WorkerLost as lost:
            raise _SideLost(self.name, lost) from None
        raise AssertionError("a process answers or is lost")

    def dismiss(self, timeout: float) -> None:
        """End the visit on this side."""
        if self._waits_for_turn:
            self.ask(Turn(), timeout)
