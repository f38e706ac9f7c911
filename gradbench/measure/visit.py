"""From the rounds of a visit to what is kept of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy

from gradbench.measure import clock
from gradbench.record.visits import PartTime, VariantTime


def visit_times(
    roles: Sequence[str], calls: Sequence[int], times: numpy.ndarray[Any, Any]
) -> tuple[list[VariantTime], float]:
    """What is kept of the rounds of a visit.

    Args:
        roles: of the variants, one of them `baseline` and one `twin`.
        calls: in a batch, by variant.
        times: nanoseconds of each batch, rounds x variants.

    Returns:
        The times by variant, and the estimated standard error of the twin's log-ratio.
    """
    per_call = times / numpy.array(calls) / 1e9
    logs = numpy.log(per_call)
    ratios = logs - logs[:, [roles.index("baseline")]]
    q1, median, q3 = numpy.quantile(per_call, [0.25, 0.5, 0.75], axis=0)
    log_ratios = numpy.median(ratios, axis=0)
    variants = [
        VariantTime(n, float(middle), float(low), float(high), float(ratio))
        for n, middle, low, high, ratio in zip(calls, median, q1, q3, log_ratios, strict=True)
    ]
    error = 0.0
    if "twin" in roles:
        low, high = numpy.quantile(ratios[:, roles.index("twin")], [0.25, 0.75])
        # Of a median: 1.2533 s/√n; s from the quartiles, which are 1.349 s apart in a normal sample.
        error = 1.2533 * float(high - low) / 1.349 / len(ratios) ** 0.5
    return variants, error


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
        host, device: nanoseconds of each batch, rounds x variants; the device's is NaN where it is not known.
        per_call: each call was timed by itself.
    """
    calls = numpy.array([variant.calls for variant in variants])
    baseline = roles.index("baseline")
    # A pair of events takes time with nothing between them: once a batch, or once a call where calls are
    # per_call.
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
    """By variant the part that these seconds per call are, rounds x variants.

    Of the rounds that have one, where those are most of them; None otherwise.
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
