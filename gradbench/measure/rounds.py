"""Timing variants in rounds: every variant's batch once, in a fresh random order.

On an accelerator a round has two batches of each variant, and a batch is longer: see
`gradbench.measure.clock`.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, TypeVar

import numpy

from gradbench.measure import clock
from gradbench.measure.calibration import calibrate
from gradbench.measure.variant import ReadyVariant

# Fewer rounds than this give no median worth the name; a visit takes them even past its slice.
FEWEST_ROUNDS = 5


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
    """Nanoseconds of each batch: rounds x variants. Host and device are of an accelerator's rounds."""

    wall: numpy.ndarray[Any, Any]
    host: numpy.ndarray[Any, Any] | None = None
    device: numpy.ndarray[Any, Any] | None = None


def calibrated(
    variants: list[ReadyVariant], batch_seconds: float, device: clock.DeviceClock | None
) -> list[int]:
    """The calls in a batch of each variant. Raises VariantFailed."""
    if device is None:
        return [calibrate(partial(run_batch, ready), batch_seconds) for ready in variants]
    wanted = max(batch_seconds, clock.BATCH_SECONDS)
    return [timed(lambda each, _: device.calibrate(each, wanted), ready, 0) for ready in variants]


def take_rounds(
    run: Callable[[ReadyVariant, int], float],
    variants: list[ReadyVariant],
    calls: list[int],
    until: float,
    fewest: int,
    dice: random.Random,
) -> numpy.ndarray[Any, Any]:
    """Nanoseconds of each batch, as `run` takes them: one row a round, one column a variant.

    Rounds go on until the clock (as of `time.perf_counter`) stands at `until`. Raises VariantFailed.
    """
    places = list(enumerate(zip(variants, calls, strict=True)))
    rows: list[list[float]] = []
    while len(rows) < fewest or time.perf_counter() < until:
        dice.shuffle(places)
        row = [0.0] * len(places)
        for place, (ready, n) in places:
            row[place] = run(ready, n)
        rows.append(row)
    return numpy.array(rows, dtype=numpy.float64)


def take_device_rounds(
    device: clock.DeviceClock,
    variants: list[ReadyVariant],
    calls: list[int],
    until: float,
    dice: random.Random,
) -> Rounds:
    """As `take_rounds`, with two batches of each variant in a round: by the host's clock, and by events."""
    places = list(enumerate(zip(variants, calls, strict=True)))
    rows: list[numpy.ndarray[Any, Any]] = []
    while len(rows) < FEWEST_ROUNDS or time.perf_counter() < until:
        row = numpy.zeros((3, len(places)))
        dice.shuffle(places)
        for place, (ready, n) in places:
            row[1, place], row[0, place] = timed(device.wall, ready, n)
        dice.shuffle(places)
        for place, (ready, n) in places:
            row[2, place] = timed(device.device, ready, n)
        rows.append(row)
    return Rounds(*numpy.stack(rows, axis=1))
