"""Timing variants in rounds: every variant's batch once, in a fresh random order.

On an accelerator a round has two batches of each variant, and a batch is longer: see
`gradbench.measure.clock`.
"""

from __future__ import annotations

import contextlib
import math
import random
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple, TypeVar

import numpy

from gradbench.measure import clock
from gradbench.measure.calibration import calibrate
from gradbench.measure.processor_time import LONG_SECONDS, Clock, waits
from gradbench.measure.variant import ReadyVariant

# Fewer rounds than this give no median worth the name; a visit takes them even past its slice.
FEWEST_ROUNDS = 5
# Of calls as long as this, in seconds, a visit takes fewer: other processes tell more than other rounds.
_FEWER_ROUNDS = ((0.3, 1), (0.05, 2), (0.005, 3))
# A first execution may load libraries, which took 0.7 s at most; a longer one is a long call.
_SURELY_LONG = 1.0


class VariantFailed(Exception):
    """A variant raised while it was timed."""

    def __init__(self, ready: ReadyVariant, error: Exception) -> None:
        super().__init__(str(error))
        self.ready = ready
        self.error = error


_Taken = TypeVar("_Taken")


def timed(take: Callable[[ReadyVariant, int], _Taken], ready: ReadyVariant, n: int) -> _Taken:
    """What `take` times of n calls of a variant. Raises VariantFailed."""
    try:
        return take(ready, n)
    except Exception as error:
        raise VariantFailed(ready, error) from error


def run_batch(ready: ReadyVariant, n: int) -> int:
    """One batch of a variant, in nanoseconds. Raises VariantFailed."""
    return timed(lambda each, calls: each.batch(calls), ready, n)


class Rounds(NamedTuple):
    """Nanoseconds of each batch: rounds x variants. Host and device are of an accelerator's rounds.

    Attributes:
        wall: on the CPU by `clock`.
    """

    wall: numpy.ndarray[Any, Any]
    host: numpy.ndarray[Any, Any] | None = None
    device: numpy.ndarray[Any, Any] | None = None
    clock: Clock = "wall"


class Span(NamedTuple):
    """How long rounds go on, as of `time.perf_counter`.

    Attributes:
        until: there are enough from then on.
        latest: no further round begins from then on, however few there were.
    """

    until: float
    latest: float = math.inf


def calibrated(
    variants: list[ReadyVariant],
    batch_seconds: float,
    device: clock.DeviceClock | None,
    known: Mapping[str, float] = {},
) -> list[int]:
    """The calls in a batch of each variant; where its seconds per call are `known`, no batch is run for them.

    Raises VariantFailed.
    """
    if device is None:
        return [_calls(ready, batch_seconds, known.get(ready.variant.name, 0.0)) for ready in variants]
    wanted = max(batch_seconds, clock.BATCH_SECONDS)
    return [timed(lambda each, _: device.calibrate(each, wanted), ready, 0) for ready in variants]


def _calls(ready: ReadyVariant, batch_seconds: float, known: float) -> int:
    if known > 0:
        ready.took = known
        return max(1, round(batch_seconds / known))
    if not 0 < ready.took < LONG_SECONDS:
        # It was not executed yet, or may have loaded a library when it was: one call more tells.
        if ready.took < _SURELY_LONG:
            taken = timed(lambda each, n: each.long_batch("wall")(n), ready, 1) / 1e9
            ready.took = min(ready.took or taken, taken)
        if ready.took >= LONG_SECONDS:
            return 1
    return calibrate(partial(run_batch, ready), batch_seconds)


def take_cpu_rounds(
    variants: list[ReadyVariant], calls: list[int], span: Span, dice: random.Random, threads: int
) -> Rounds:
    """Rounds on the CPU: short batches by the wall clock, long calls by processor time where that is whole.

    Raises VariantFailed.
    """
    place = next(place for place, ready in enumerate(variants) if ready.variant.role == "baseline")
    seconds = variants[place].took
    if calls[place] > 1 or seconds < LONG_SECONDS:
        return Rounds(take_rounds(run_batch, variants, calls, span, FEWEST_ROUNDS, dice))
    fewest = next((count for least, count in _FEWER_ROUNDS if seconds >= least), FEWEST_ROUNDS)
    if threads == 1 and waits() is not None:
        with contextlib.suppress(_Waited):
            run = _ByProcessorTime(len(variants))
            return Rounds(take_rounds(run, variants, calls, span, fewest, dice), clock="thread")
    return Rounds(take_rounds(_run_long, variants, calls, span, fewest, dice))


class _Waited(Exception):
    """The thread of a batch waited for something, so its processor time is not all that the batch took."""


def _run_long(ready: ReadyVariant, n: int) -> int:
    return timed(lambda each, calls: each.long_batch("wall")(calls), ready, n)


class _ByProcessorTime:
    """Runs batches by processor time; raises _Waited where one of the first `trials` waits for something."""

    def __init__(self, trials: int) -> None:
        self._trials = trials

    def __call__(self, ready: ReadyVariant, n: int) -> int:
        before = waits()
        taken = timed(lambda each, calls: each.long_batch("thread")(calls), ready, n)
        self._trials -= 1
        if self._trials >= 0 and waits() != before:
            raise _Waited
        return taken


def take_rounds(
    run: Callable[[ReadyVariant, int], float],
    variants: list[ReadyVariant],
    calls: list[int],
    span: Span,
    fewest: int,
    dice: random.Random,
) -> numpy.ndarray[Any, Any]:
    """Nanoseconds of each batch, as `run` takes them: one row a round, one column a variant.

    There are at least `fewest`, unless it is too late for them, and one. Raises VariantFailed.
    """
    places = list(enumerate(zip(variants, calls, strict=True)))
    rows: list[list[float]] = []
    while _wanted(len(rows), fewest, span):
        dice.shuffle(places)
        row = [0.0] * len(places)
        for place, (ready, n) in places:
            row[place] = run(ready, n)
        rows.append(row)
    return numpy.array(rows, dtype=numpy.float64)


def _wanted(rounds: int, fewest: int, span: Span) -> bool:
    """Whether one more round is wanted after so many."""
    now = time.perf_counter()
    return rounds == 0 or now < span.until or (rounds < fewest and now < span.latest)


def take_device_rounds(
    device: clock.DeviceClock,
    variants: list[ReadyVariant],
    calls: list[int],
    span: Span,
    dice: random.Random,
) -> Rounds:
    """As `take_rounds`, with two batches of each variant in a round: by the host's clock, and by events."""
    places = list(enumerate(zip(variants, calls, strict=True)))
    rows: list[numpy.ndarray[Any, Any]] = []
    while _wanted(len(rows), FEWEST_ROUNDS, span):
        row = numpy.zeros((3, len(places)))
        dice.shuffle(places)
        for place, (ready, n) in places:
            row[1, place], row[0, place] = timed(device.wall, ready, n)
        dice.shuffle(places)
        for place, (ready, n) in places:
            row[2, place] = timed(device.device, ready, n)
        rows.append(row)
    return Rounds(*numpy.stack(rows, axis=1))
