"""Alternatives compared with a baseline in one process, by batches that take turns.

    for each round: in random order, one batch of each alternative, the baseline, its twin, and the empty loop
    divide the rounds, in the order in which they were taken, into blocks of equal length
    take the median over the rounds of each block; the interval is over blocks

Neighbouring rounds are alike, so that rounds are no independent sample. Blocks of many rounds nearly are
(the method of batch means, Schmeiser 1982). Every few milliseconds each loop, with the function in it, is
copied. So the place of the code in memory differs between blocks, as does the interpreter's specialisation
of it. The interval then holds that difference. Without copies one in eighty comparisons of identical
functions of 100 ns called one of them slower.
"""

from __future__ import annotations

import gc
import math
import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import repeat
from types import FunctionType, MethodType
from typing import Any, NamedTuple, TypeVar

import numpy

from gradbench.analyse.stats import interval
from gradbench.measure.calibration import Batch, calibrate, level
from gradbench.record.interval import Interval
from gradbench.record.results import BATCH_SECONDS

# Student's t for fewer is wide; with more, a batch is short. 10 to 30 are usual.
BLOCKS = 10
FEWEST_BLOCKS = 5
# A copy of the loops is used for so long: many rounds of short calls, and many copies to a block.
COPY_SECONDS = 0.005
# At most this share of the baseline is taken off as the empty loop's. An error of the ratio is then at most
# doubled.
MOST_EMPTY = 0.5

_Function = TypeVar("_Function", bound=Callable[..., Any])

# The columns of a round: first the alternatives, of which a candidate is the only one.
CANDIDATE = 0
BASELINE, TWIN, EMPTY = -3, -2, -1


class Interleaved:
    """Takes rounds, and says what they show.

    Attributes:
        calls: in a batch, by column.
        times: nanoseconds per call of each round taken, by column.
        round_seconds: what a round takes, about.
    """

    def __init__(
        self,
        *makers: Callable[[], Batch],
        batch_seconds: float = BATCH_SECONDS,
        calls: Sequence[int | None] | None = None,
        until: float = math.inf,
        seed: int | None = None,
    ) -> None:
        """Choose the calls of each batch, which runs each a few times, and take a round or three.

        Args:
            makers: of the alternatives, then of the baseline, of its twin, and of the empty loop. The empty
                loop is the loop of the others around nothing. A maker makes a new copy of its batch at each
                call (see `copy_of`, `batch_of`).
            batch_seconds: what a batch should take by its own clock.
            calls: in a batch, by column, where they are known already; None where none is.
            until: of `time.perf_counter()`; after it no second round begins.
            seed: of the random orders; None is a new one.
        """
        self._makers = makers
        self._batches = [make() for make in self._makers]
        self._random = random.Random(seed)
        self.times: list[list[float]] = []
        with undisturbed():
            chosen = [
                known or calibrate(_bounded(batch, batch_seconds), batch_seconds)
                for batch, known in zip(self._batches, calls or [None] * len(makers), strict=True)
            ]
            alternatives = ["method"] * (len(makers) + BASELINE)
            self.calls = level(chosen, (*alternatives, "baseline", "twin", "empty"))
            # The least of three: one that was interrupted would make every copy, and every block, short.
            self.round_seconds = self._timed_round()
            while len(self.times) < 3 and time.perf_counter() < until:
                self.round_seconds = min(self.round_seconds, self._timed_round())
            self._per_copy = max(1, round(COPY_SECONDS / self.round_seconds))

    def _timed_round(self) -> float:
        started = time.perf_counter()
        self.times.append(self._round())
        return time.perf_counter() - started

    @property
    def fewest(self) -> int:
        """The rounds after which each block holds those of one copy of the loops."""
        return BLOCKS * self._per_copy

    def _round(self) -> list[float]:
        places = list(range(len(self._batches)))
        self._random.shuffle(places)
        row = [0.0] * len(places)
        for place in places:
            row[place] = self._batches[place](self.calls[place]) / self.calls[place]
        return row

    def _renew(self) -> None:
        """New copies, which have learnt what they can before they are in a round."""
        for place, make in enumerate(self._makers):
            if self.calls[place] >= _LEARNING:
                self._batches[place] = make()
                self._batches[place](_LEARNING)
        # The collector is off, and old copies may be in cycles.
        gc.collect(0)

    def take(self, rounds: int, until: float) -> bool:
        """Take rounds until there are so many; False where the next would not end before `until`.

        Both by `time.perf_counter()`, in seconds.
        """
        with undisturbed():
            while len(self.times) < rounds:
                if time.perf_counter() + self.round_seconds > until:
                    return False
                if len(self.times) % self._per_copy == 0:
                    self._renew()
                self.times.append(self._round())
        return True

    def blocks(self) -> Blocks:
        """The rounds so far, divided into blocks."""
        times = numpy.array(self.times)
        to_baseline = times / times[:, [BASELINE]]
        empty = min(MOST_EMPTY, float(numpy.median(to_baseline[:, EMPTY])))
        count = min(BLOCKS, len(times))
        medians = numpy.array(
            [numpy.median(block, axis=0) for block in numpy.array_split(to_baseline, count)]
        )
        gross = numpy.median(times, axis=0) / 1e9
        return Blocks((medians - empty) / (1 - empty), gross, empty, len(times))


class Blocks(NamedTuple):
    """Rounds, divided into blocks.

    Attributes:
        net: by block and column, the ratio to the baseline, net of the empty loop.
        gross: by column, median seconds per call, the loop included.
        empty: the share of the baseline's time that the empty loop takes.
        rounds: how many; 0 where the figures are of single calls.
    """

    net: numpy.ndarray[Any, Any]
    gross: numpy.ndarray[Any, Any]
    empty: float
    rounds: int

    def ratio(self, one: int, other: int, confidence: float) -> Interval:
        """The net ratio of the time of one column to that of another.

        It has no ends where blocks are too few, or the other column takes no time above the empty loop.
        """
        if (self.net[:, other] <= 0).any():
            return Interval(math.nan, None, None, len(self.net))
        return _interval(self.net[:, one] / self.net[:, other], confidence)

    def twin(self) -> tuple[float | None, float | None]:
        """The largest difference that is left open for identical code, at 95 %, and by what it differed.

        The first is None where blocks are too few, both where there are no rounds.
        """
        if not self.rounds:
            return None, None
        found = self.ratio(TWIN, BASELINE, 0.95)
        open_ = None if found.low is None or found.high is None else max(1 - found.low, found.high - 1)
        return open_, found.mean - 1

    def seconds(self, column: int) -> float:
        """Median seconds per call of a column, net."""
        return float(self.gross[column] - self.empty * self.gross[BASELINE])


def _bounded(batch: Batch, batch_seconds: float) -> Batch:
    """The batch as calibration sees it.

    A batch with setups of any length has so few calls that it takes no longer than the use of a copy.
    """

    def run(n: int) -> int:
        started = time.perf_counter_ns()
        taken = batch(n)
        whole = time.perf_counter_ns() - started
        return max(taken, round(whole * batch_seconds / COPY_SECONDS))

    return run


def _interval(values: numpy.ndarray[Any, Any], confidence: float) -> Interval:
    """The interval on the mean; without ends where there are too few blocks for any."""
    found = interval(values.tolist(), confidence)
    assert found is not None
    return found if len(values) >= FEWEST_BLOCKS else Interval(found.mean, None, None, found.count)


def copy_of(function: _Function) -> _Function:
    """The same function with separate code, in another place, which the interpreter has not specialised.

    Names, closure and defaults are shared. Any other callable is returned as it is.
    """
    if isinstance(function, MethodType):
        return MethodType(copy_of(function.__func__), function.__self__)  # type: ignore[return-value]
    if not isinstance(function, FunctionType):
        return function
    copy = FunctionType(
        function.__code__.replace(),
        function.__globals__,
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    copy.__kwdefaults__ = function.__kwdefaults__
    copy.__dict__.update(function.__dict__)
    return copy  # type: ignore[return-value]


# Turns after which CPython has specialised a loop. A loop that turns less often in a batch is not copied:
# the turn is then a thousandth of the call.
_LEARNING = 20


def _nothing() -> None:
    pass


def _take_nothing(made: object) -> None:
    pass


def _plain(
    n: int,
    function: Callable[[], object] = _nothing,
    first: bool = True,
    wait: Callable[[], None] | None = None,
) -> int:
    # As in gradbench.measure.variant: one call before the clock loads the caches with the function's data.
    clock = time.perf_counter_ns
    if first:
        function()
    if wait is not None:
        wait()
    started = clock()
    for _ in repeat(None, n):
        function()
    if wait is not None:
        wait()
    return clock() - started


def _per_call(
    n: int,
    function: Callable[[Any], object] = _take_nothing,
    setup: Callable[[], object] = _nothing,
    first: bool = True,
    wait: Callable[[], None] | None = None,
) -> int:
    # As in gradbench.measure.variant: the setup per call is outside the clock, and released there.
    clock = time.perf_counter_ns
    if first:
        function(setup())
    taken = 0
    for _ in repeat(None, n):
        made = setup()
        if wait is not None:
            wait()
        started = clock()
        function(made)
        if wait is not None:
            wait()
        taken += clock() - started
    return taken


def batch_of(
    function: Callable[..., object] | None,
    setup: Callable[[], object] | None = None,
    first: bool = True,
    wait: Callable[[], None] | None = None,
) -> Batch:
    """A loop of calls of a function, both copies; without a function, of one that does nothing.

    Args:
        setup: called before each call, outside the clock; what it returns is passed to the function.
        first: call once before the clock.
        wait: waits until a device has done the issued work. It is called before the clock starts and before
            it stops: once a batch, or once a call where there is a setup.
    """
    if setup is None:
        return _with_defaults(_plain, copy_of(function or _nothing), first, wait)
    return _with_defaults(_per_call, copy_of(function or _take_nothing), setup, first, wait)


def _with_defaults(loop: Callable[..., int], *defaults: object) -> Batch:
    copy: Any = copy_of(loop)
    copy.__defaults__ = defaults
    batch: Batch = copy
    return batch


@contextmanager
def undisturbed() -> Iterator[None]:
    """Without the cyclic collector, and without a tracer or a profiler such as that of coverage."""
    collects, tracer, profiler = gc.isenabled(), sys.gettrace(), sys.getprofile()
    gc.disable()
    sys.settrace(None)
    sys.setprofile(None)
    try:
        yield
    finally:
        sys.setprofile(profiler)
        sys.settrace(tracer)
        if collects:
            gc.enable()
