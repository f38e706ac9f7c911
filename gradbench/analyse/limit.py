"""How near a variant comes to the limit of memory: to copies that move as many bytes as it must."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gradbench.analyse.model import ComparisonSummary, VariantSummary
from gradbench.record.interval import Interval


@dataclass(frozen=True)
class Nearness:
    """One variant compared with the copy; None where it is not known.

    Attributes:
        rate: bytes per second at which it moves the bytes that it must move at least.
        distance: its time ÷ the time of the copy; from the device's times where both are known.
        share: its rate in per cent of the copy's rate.
    """

    rate: float | None
    distance: Interval | None
    share: Interval | None


@dataclass(frozen=True)
class Limited:
    """A comparison with a copy, `copy`, that is large enough for memory to be the limit."""

    summary: ComparisonSummary
    copy: VariantSummary
    by_variant: dict[str, Nearness]


def find_limits(comparisons: Sequence[ComparisonSummary]) -> tuple[Limited, ...]:
    """The comparisons that show how near the limit of memory is, in their order."""
    # With few elements the time of a copy is the price of a call, and no measure of memory.
    return tuple(
        Limited(each, copy, {variant.name: _nearness(each, variant, copy) for variant in each.methods})
        for each in comparisons
        if each.comparison.size == "large" and (copy := each.limit) is not None and copy.ratio
    )


def _nearness(each: ComparisonSummary, variant: VariantSummary, copy: VariantSummary) -> Nearness:
    time = variant.time if variant.device is None else variant.device
    # A copy reads as many bytes as it writes.
    known = copy.memory is not None and time is not None
    rate = 2 * copy.memory.allocated / time.mean if known and copy.memory and time else None
    if variant is copy:
        return Nearness(rate, None, None)
    pair = (variant.name, copy.name)
    distance = each.device_ratios.get(pair, each.time_ratios.get(pair))
    share = None if distance is None else distance.mirrored(lambda times: 100 / times)
    return Nearness(rate, distance, share)
