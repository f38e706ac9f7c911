"""Rounds on an accelerator: two batches of each variant, and the host's and the device's part of its time.

A batch is longer than on the CPU: see `gradbench.measure.clock`.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy

from gradbench.measure import clock
from gradbench.measure.variant import ReadyVariant
from gradbench.measure.visit import FEWEST_ROUNDS, Rounds, Span, one_more, timed
from gradbench.record.visits import PartTime, VariantTime


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
    while one_more(len(rows), FEWEST_ROUNDS, span):
        row = numpy.zeros((3, len(places)))
        dice.shuffle(places)
        for place, (ready, n) in places:
            row[1, place], row[0, place] = timed(device.wall, ready, n)
        dice.shuffle(places)
        for place, (ready, n) in places:
            row[2, place] = timed(device.device, ready, n)
        rows.append(row)
    return Rounds(*numpy.stack(rows, axis=1))


def with_parts(
    variants: Sequence[VariantTime],
    roles: Sequence[str],
    host: numpy.ndarray[Any, Any],
    device: numpy.ndarray[Any, Any],
    per_call: bool,
) -> list[VariantTime]:
    """The times of variants on an accelerator, with the host's and the device's part.

    Args:
        variants: as `visit_times` returns them.
        host, device: nanoseconds of each batch, rounds x variants; the device's is NaN where it is unknown.
        per_call: each call was timed by itself.
    """
    calls = numpy.array([variant.calls for variant in variants])
    baseline = roles.index("baseline")
    # A pair of events takes time even without work between them: once a batch, or once a call with a setup
    # per call.
    pairs = calls if per_call else numpy.ones_like(calls)
    if "empty" in roles:
        empty = roles.index("empty")
        device = device - device[:, [empty]] / pairs[empty] * pairs
    least = clock.RESOLUTION_SECONDS * pairs / calls
    on_host = _parts(host / calls / 1e9, baseline, numpy.zeros(len(calls)))
    on_device = _parts(device / calls / 1e9, baseline, least)
    return [
        msgspec.structs.replace(variant, host=one, device=other)
        for variant, one, other in zip(variants, on_host, on_device, strict=True)
    ]


def _parts(
    per_call: numpy.ndarray[Any, Any], baseline: int, least: numpy.ndarray[Any, Any]
) -> list[PartTime | None]:
    """By variant the part of its time with these seconds per call, rounds x variants.

    It comes from the rounds that have a value, where most rounds have one; None otherwise.
    """
    parts: list[PartTime | None] = []
    known = ~numpy.isnan(per_call)
    enough = 2 * known.sum(axis=0) > len(per_call)
    base = per_call[:, baseline]
    above = bool(enough[baseline]) and numpy.nanmedian(base) > least[baseline]
    for place, smallest in enumerate(least):
        if not enough[place]:
            parts.append(None)
            continue
        column = per_call[:, place]
        q1, median, q3 = (float(each) for each in numpy.nanquantile(column, [0.25, 0.5, 0.75]))
        log_ratio = None
        both = (column > 0) & (base > 0)
        if above and median > smallest and both.any():
            log_ratio = float(numpy.median(numpy.log(column[both] / base[both])))
        parts.append(PartTime(median, q1, q3, log_ratio, float(smallest)))
    return parts
