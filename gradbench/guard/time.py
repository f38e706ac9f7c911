"""Guards of time: this is not slower than that."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal

import msgspec
import numpy

from gradbench import format
from gradbench.guard.calls import Once, call_once, expect_callable, expect_number, wait_for_devices
from gradbench.guard.interleave import (
    BASELINE,
    CANDIDATE,
    COPY_SECONDS,
    FEWEST_BLOCKS,
    MOST_EMPTY,
    Blocks,
    Interleaved,
    batch_of,
)
from gradbench.measure.calibration import Batch
from gradbench.record.interval import Interval
from gradbench.record.results import BATCH_SECONDS

# The chance that what takes exactly as long as is allowed is called slower: the sum over all looks.
ALPHA = 0.001

# A place in memory may change identical code by this much (METHODOLOGY.md has the counts). One process cannot
# show less.
LEAST_MARGIN = 0.02

# A longer call finds the caches as it would after itself: another one before the clock only costs time.
LONG = 1e-3

# A call, or its setup, that takes so long is alone in its batch: to find that out would take more calls.
ALONE = 2 * COPY_SECONDS

# Differences of identical code below this say more of the clock's tick than of the code.
LEAST_SAME = 1e-4

Verdict = Literal["slower", "not slower", "not shown"]


class TimeRatio(msgspec.Struct, frozen=True):
    """The outcome for a candidate and a baseline.

    Attributes:
        verdict: `slower` by more than the margin, the floor and the resolution; `not slower` by as much as
            the margin; `not shown` where neither is shown.
        ratio: the candidate's time to the baseline's, net of the loop and of calling a function that does
            nothing. Its ends have the confidence that the verdict rests on, at least 99.9 %; they are None
            where there were too few rounds.
        margin: by what share the candidate was allowed to be slower.
        floor: the largest difference that is left open for identical code, at 95 %.
        same: by what share identical code differed; None where it was not timed.
        empty: the share of the baseline's time that was taken off; at most a half.
        candidate, baseline: median seconds per call, net.
        rounds: that were taken; 0 where there was no time for any, and each was called once or twice.
        seconds: wall time that they took.
    """

    verdict: Verdict
    ratio: Interval
    margin: float
    floor: float | None
    same: float | None
    empty: float
    candidate: float
    baseline: float
    rounds: int
    seconds: float

    @property
    def sentence(self) -> str:
        """The outcome with its figures."""
        allowed = f"{1 + self.margin:.6g}"
        words = {
            "slower": f"; at most {allowed} was allowed",
            "not slower": f", and at most {allowed} is allowed",
            "not shown": f"; whether it is at most {allowed} could not be shown in {self.seconds:.2g} s",
        }[self.verdict]
        if self.verdict == "not shown" and self.too_short:
            words = f"; {allowed} is allowed, and what an empty call takes is too near for a verdict"
        elif self.verdict == "not shown" and self.rounds < FEWEST_BLOCKS:
            words += ", into which too few calls fit; give more with seconds="
        said = f"candidate takes {format.ratio_with_ends(self.ratio)} times baseline{words}"
        if self.same is None:
            return said
        same = max(abs(self.same), LEAST_SAME)
        return f"{said}; identical code differed by {'at most ' * (same == LEAST_SAME)}{format.percent(same)}"

    @property
    def resolution(self) -> float:
        """The time of an empty call, in times of the baseline: a smaller difference is not called slower."""
        return self.empty / (1 - self.empty)

    @property
    def too_short(self) -> bool:
        """Whether the calls are too short for any verdict, however many rounds there are."""
        low, high = self.ratio.low, self.ratio.high
        return self.empty >= MOST_EMPTY or (
            low is not None
            and high is not None
            and low > 1 + self.margin
            and high < 1 + self.margin + self.resolution
        )

    def check(self, *, require_proof: bool = False) -> None:
        """Raise AssertionError where it is slower; with `require_proof` also where that is open."""
        __tracebackhide__ = True
        if self.verdict == "slower" or (require_proof and self.verdict != "not slower"):
            raise AssertionError(self.sentence)


def compare_time(
    candidate: Callable[..., object],
    baseline: Callable[..., object],
    *,
    margin: float = 0.05,
    seconds: float = 5.0,
    setup: Callable[[], object] | None = None,
    device: str | None = None,
    seed: int | None = None,
) -> TimeRatio:
    """Time two functions in turns until it is clear whether the candidate is slower, or time is up.

    Both are called without arguments. `setup`, where given, is called before each call, outside the clock,
    and its result is passed. Both functions are called once first, and their exceptions are raised.

    Looks are taken after so many rounds, twice as many, and so on. Look k spends `ALPHA / (k (k + 1))`, the
    sum of which over all looks is ALPHA.

    Args:
        margin: by what share the candidate may be slower; at least 0.02.
        seconds: most time to spend; functions of tens of microseconds and less mostly need a fifth of a
            second. Two calls are made in any case. Where five rounds of three calls do not fit into the
            rest, the verdict stays open.
        device: that does the work of a call after it has returned, such as `cuda:1`: batches end when it is
            done. None is each CUDA device that torch uses in this process; `cpu` is none.
        seed: of the random orders; None is a new one.

    Raises:
        TypeError, ValueError: for arguments that cannot be meant, and a device that cannot be used.
    """
    __tracebackhide__ = True
    expect_callable("candidate", candidate)
    expect_callable("baseline", baseline)
    if setup is not None:
        expect_callable("setup", setup)
    expect_number("margin", margin, LEAST_MARGIN, "identical code in two places differs by up to that much")
    expect_number("seconds", seconds, 0.05, "less leaves no round to judge by")
    turns = InTurns([candidate], baseline, seconds, setup=setup, device=device)
    interleaved = turns.interleave(seed)
    if interleaved is None:
        return _found(turns.single_calls(), 1 - 2 * ALPHA, margin, turns.seconds)
    look, wanted = 1, interleaved.fewest
    while True:
        in_time = interleaved.take(wanted, turns.until)
        confidence = 1 - 2 * ALPHA / (look * (look + 1))
        ratio = _found(interleaved.blocks(), confidence, margin, turns.seconds)
        if ratio.verdict != "not shown" or ratio.too_short or not in_time:
            return ratio
        look, wanted = look + 1, 2 * wanted


class InTurns:
    """Alternatives and a baseline that are timed in turns, within a time that has begun.

    Attributes:
        begun, until: of `time.perf_counter()`.
        calls: seconds of a single call of each alternative, and last of the baseline; NaN for an alternative
            that raised.
        errors: by alternative, what it raised, where errors are kept.
    """

    def __init__(
        self,
        alternatives: Sequence[Callable[..., object]],
        baseline: Callable[..., object],
        seconds: float,
        *,
        setup: Callable[[], object] | None,
        device: str | None,
        keep_errors: bool = False,
    ) -> None:
        """Call each once, and where there is time for it a second time.

        With `keep_errors` an alternative that raises is left out from then on. Exceptions of the baseline
        are raised, and without `keep_errors` those of an alternative as well.
        """
        self.begun = time.perf_counter()
        self.until = self.begun + seconds
        self.errors: dict[int, Exception] = {}
        self._functions = [*alternatives, baseline]
        self._setup, self._device, self._keep_errors = setup, device, keep_errors
        # Before anything else, and with any tracer of this process: faults of the functions show here.
        self.calls = [self._once(place) for place in range(len(self._functions))]
        # A first call may load and compile: a second says what calls take, where there is time for one.
        for place, first in enumerate(self.calls):
            if place not in self.errors and time.perf_counter() + first.whole <= self.until:
                self.calls[place] = min(first, self._once(place), key=lambda each: each.whole)

    def _once(self, place: int) -> Once:
        try:
            return call_once(self._functions[place], self._setup, self._device)
        except Exception as error:
            if not self._keeps(place, error):
                raise
            return Once(math.nan, math.nan)

    def _keeps(self, place: int, error: Exception) -> bool:
        """Whether an error is one to keep, which is done here."""
        if not self._keep_errors or place == len(self._functions) - 1:
            return False
        self.errors.setdefault(place, error)
        return True

    @property
    def seconds(self) -> float:
        """Wall time since it began."""
        return time.perf_counter() - self.begun

    @property
    def running(self) -> list[int]:
        """The alternatives that have not raised."""
        return [place for place in range(len(self._functions) - 1) if place not in self.errors]

    def use_up(self, seed: int | None) -> Blocks:
        """Take rounds of those that are `running` for as long as there is time; see `interleave`."""
        interleaved = self.interleave(seed)
        if interleaved is None:
            return self.single_calls()
        interleaved.take(10**9, self.until)
        return interleaved.blocks()

    def single_calls(self) -> Blocks:
        """The outcome of the `running` alternatives without any round; their twin was not timed."""
        seconds = [self.calls[place].call for place in (*self.running, -1)]
        gross = numpy.array([*seconds, math.nan, 0.0])
        return Blocks(gross[numpy.newaxis] / seconds[-1], gross, 0.0, rounds=0)

    def interleave(self, seed: int | None) -> Interleaved | None:
        """The rounds of the `running` alternatives; None where five rounds do not fit into the time.

        An alternative that raises in a round keeps its column, in which then stands nothing.
        """
        running, base = self.running, len(self._functions) - 1
        calls = [self.calls[place] for place in running]
        baseline = self.calls[base]
        # A round takes at the least: the baseline twice, and the setup of the empty loop as well.
        shortest = sum(each.whole for each in calls) + 2 * baseline.whole + baseline.setup_per_call
        if time.perf_counter() + FEWEST_BLOCKS * shortest > self.until:
            return None
        wait, batch_seconds = wait_for_devices(self._device), BATCH_SECONDS
        if wait is not None:
            from gradbench.measure import clock

            batch_seconds = clock.BATCH_SECONDS
        first = min(each.whole for each in (*calls, baseline)) < LONG
        makers = [
            partial(batch_of, self._functions[place], self._setup, first, wait)
            for place in (*running, base, base)
        ]
        if self._keep_errors:
            makers[: len(running)] = [
                partial(self._sheltered, place, make) for place, make in zip(running, makers, strict=False)
            ]
        wholes = [each.whole for each in (*calls, baseline, baseline)]
        return Interleaved(
            *makers,
            partial(batch_of, None, self._setup, first, wait),
            batch_seconds=batch_seconds,
            calls=[1 if whole >= ALONE else None for whole in (*wholes, baseline.setup_per_call)],
            until=self.until,
            seed=seed,
        )

    def _sheltered(self, place: int, make: Callable[[], Batch]) -> Batch:
        """A batch that keeps what it raises, and takes a nanosecond a call from then on."""
        batch = make()

        def run(n: int) -> int:
            if place not in self.errors:
                try:
                    return batch(n)
                except Exception as error:
                    self._keeps(place, error)
            return n

        return run


def _found(shown: Blocks, confidence: float, margin: float, seconds: float) -> TimeRatio:
    """The outcome of the rounds, with an interval of that confidence."""
    floor, same = shown.twin()
    found = TimeRatio(
        verdict="not shown",
        ratio=shown.ratio(CANDIDATE, BASELINE, confidence),
        margin=margin,
        floor=floor,
        same=same,
        empty=shown.empty,
        candidate=shown.seconds(CANDIDATE),
        baseline=shown.seconds(BASELINE),
        rounds=shown.rounds,
        seconds=seconds,
    )
    return msgspec.structs.replace(found, verdict=_judge(found))


def _judge(found: TimeRatio) -> Verdict:
    low, high = found.ratio.low, found.ratio.high
    if low is None or high is None or found.floor is None:
        return "not shown"
    if low > 1 + found.margin + found.floor + found.resolution:
        return "slower"
    # Where half of the baseline is the loop, what is left of the ratio may be nearer to 1 than the truth.
    return "not slower" if high < 1 + found.margin and found.empty < MOST_EMPTY else "not shown"


def assert_not_slower(
    candidate: Callable[..., object],
    baseline: Callable[..., object],
    *,
    margin: float = 0.05,
    seconds: float = 5.0,
    setup: Callable[[], object] | None = None,
    device: str | None = None,
    require_proof: bool = False,
) -> TimeRatio:
    """Fail where the candidate is shown to be slower than the baseline by more than the margin.

    An open verdict passes, since a test that fails on a busy machine is soon ignored. The returned record
    says so. With `require_proof` an open verdict fails. The other arguments are those of
    `compare_time`.

    >>> assert_not_slower(lambda: sorted(data), lambda: sorted(list(data)))  # doctest: +SKIP
    """
    __tracebackhide__ = True
    ratio = compare_time(candidate, baseline, margin=margin, seconds=seconds, setup=setup, device=device)
    ratio.check(require_proof=require_proof)
    return ratio
