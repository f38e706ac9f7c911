"""Measuring two sides against each other: pairs of fresh processes that take turns on one processor.

    for each pair (two fresh processes, one on each side, new hash seeds, padded environments):
        bind both to one processor, drawn again
        for each comparison, in random order:
            build the variants on both sides; choose one n per variant for both
            until the slice of time is used:
                A and B, in random order: rounds of all variants for 10 ms
            keep per variant the median over turns of log(time of B / time of A)

The machine drifts slowly compared with a turn. So drift cancels between neighbouring turns, and absolute
times can be compared. The remaining difference comes from the start of each process (METHODOLOGY.md has the
figures). So the pair is the unit of replication.
"""

from __future__ import annotations

import datetime
import os
import random
import shlex
import time
from pathlib import Path
from typing import Literal

from gradbench import __version__
from gradbench.errors import EndedEarly, RequestError
from gradbench.measure.protocol import Check, Ready
from gradbench.record.lines import SCHEMA, Writer, create
from gradbench.record.plan import Comparison
from gradbench.record.results import new_folder
from gradbench.record.visits import Failure
from gradbench.versus.bytes import count_bytes
from gradbench.versus.judge import LOOKS, decided, judge_trial
from gradbench.versus.processes import SidePair, TrialOrder, start_pair
from gradbench.versus.records import (
    FILENAME,
    FORMAT,
    NAMES,
    End,
    Header,
    Name,
    PairStart,
    PairVisit,
    Record,
    SideFacts,
    SideFailure,
    Trial,
)
from gradbench.versus.sides import same_file
from gradbench.versus.turns import Partner, SideLost, visit

# A comparison that lost this many visits is given up.
GIVE_UP_AFTER = 3
# Later pairs compare results only with the baseline's: both sides have shown the right answers.
ANSWERED = 3


class Watcher:
    """Hears the progress of a trial. This watcher does nothing."""

    def began(self, trial: Trial) -> None:
        """Both sides work, and the bytes of all variants are counted."""

    def paired(self, trial: Trial, elapsed: float) -> None:
        """A pair ended, `elapsed` seconds after the trial began."""


def measure(output: Path, order: TrialOrder, watcher: Watcher) -> Trial:
    """Measure two sides into a new folder, until every variant is decided or the budget is used.

    Raises RequestError if a side cannot be measured, before it writes anything. Raises EndedEarly if the
    trial was interrupted; it names the pairs that are kept.
    """
    new_folder(output)
    measuring = _Measuring(output, order, watcher)
    try:
        return measuring.go()
    except KeyboardInterrupt:
        raise measuring.ended_early("interrupted") from None
    except OSError as error:
        raise measuring.ended_early(f"cannot go on: {error.strerror or error}") from None
    except RequestError as error:
        if measuring.trial is None:
            raise
        raise measuring.ended_early(str(error)) from None


class _Measuring:
    def __init__(self, output: Path, order: TrialOrder, watcher: Watcher) -> None:
        self._began = time.monotonic()
        self._output = output
        self._order = order
        self._options = order.options
        self._watcher = watcher
        self._dice = random.Random(order.options.seed)
        # Both processes of a pair share one processor if that does no harm.
        self._pinned = order.options.threads == 1 and hasattr(os, "sched_setaffinity")
        self._processors = sorted(os.sched_getaffinity(0)) if self._pinned else []
        self._writer: Writer | None = None
        self._lost: dict[str, int] = {}
        # Variants that raised while they were timed. The trial goes on without them.
        self._fallen: set[tuple[str, str]] = set()
        # The next pair, if it could start already.
        self._next: SidePair | None = None
        self.trial: Trial | None = None

    def go(self) -> Trial:
        try:
            return self._measure()
        finally:
            if self._next is not None:
                self._next.stack.close()
            # A disk that is found full here ends the trial like one that was full before.
            if self._writer is not None:
                self._writer.close()

    def ended_early(self, why: str) -> EndedEarly:
        if self.trial is None:
            return EndedEarly(f"{why} before anything was measured; nothing was written")
        return EndedEarly(
            f"{why}; {len(self.trial.pairs)} pairs are kept in {self.trial.path}; "
            f"see them with: gradbench report {shlex.quote(str(self._output))}"
        )

    def _measure(self) -> Trial:
        counted = count_bytes(self._order, self._dice)
        self.trial = self._open([each.ready for each in counted if each.ready is not None])
        for each in counted:
            for record in each.records:
                self._write(record)
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
        # The first pair ignores the budget; without it there is no outcome.
        if pairs and self._elapsed() + took > self._options.budget:
            return "budget"
        if not self._left():
            return "pairs"
        return None

    def _left(self) -> list[Comparison]:
        return [each for each in self._order.comparisons if self._lost.get(each.id, 0) < GIVE_UP_AFTER]

    def _write(self, record: Record) -> None:
        assert self._writer is not None
        assert self.trial is not None
        self._writer.write(record)
        self.trial.add(record)

    def _fail(self, name: Name, failure: Failure) -> None:
        self._write(SideFailure(name, failure))
        if failure.variant is not None and failure.stage == "time":
            self._fallen.add((failure.comparison, failure.variant))

    def _open(self, ready: list[Ready]) -> Trial:
        """Begin the file with the facts of the sides."""
        facts = [
            SideFacts(side.label, each.gradbench, each.environment)
            for side, each in zip(self._order.sides, ready, strict=True)
        ]
        created = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
        header = Header(
            FORMAT, SCHEMA, __version__, created, self._order.command, self._options,
            (facts[0], facts[1]), self._order.comparisons, self._pinned,
            same_file(*(Path(each.torch_file) for each in ready)),
        )  # fmt: skip
        path = self._output / FILENAME
        self._writer = create(path, header)
        return Trial(path, header)

    def _pair(self, number: int) -> None:
        begun = time.monotonic()
        pair = self._next or start_pair(self._order, number, self._dice)
        self._next = None
        with pair.stack:
            for worker in pair.workers:
                worker.ready()
            processor = self._bind(pair)
            self._write(PairStart(number, time.monotonic() - begun, processor))
            others = {each for each in self._processors if each != processor}
            if others and number < self._options.pairs:
                # Meanwhile the next pair imports torch on other processors. That disturbs A and B alike.
                self._next = start_pair(self._order, number + 1, self._dice)
                for worker in self._next.workers:
                    worker.bind(others)
            order = self._left()
            self._dice.shuffle(order)
            for comparison in order:
                try:
                    self._visit(number, comparison, pair)
                except SideLost as lost:
                    self._lost[comparison.id] = self._lost.get(comparison.id, 0) + 1
                    failure = Failure(number, comparison.id, None, "time", lost.why.kind, str(lost.why))
                    self._write(SideFailure(lost.name, failure))
                    # The other process has lost its partner, so the pair ends here.
                    return

    def _bind(self, pair: SidePair) -> int | None:
        """Bind both processes to one processor, drawn again; None if that is not possible."""
        if not self._pinned:
            return None
        processor = self._dice.choice(self._processors)
        for worker in pair.workers:
            worker.bind({processor})
        return processor

    def _visit(self, number: int, comparison: Comparison, pair: SidePair) -> None:
        partners = [
            Partner(name, worker, self._options.timeout, self._fail)
            for name, worker in zip(NAMES, pair.workers, strict=True)
        ]
        check: Check = "answers" if number <= ANSWERED else "values"
        found = visit(comparison, partners, self._options, self._dice, self._fallen, check)
        if found is not None:
            turns, variants = found
            self._write(PairVisit(number, comparison.id, turns, variants))
