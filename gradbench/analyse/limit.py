"""How near a variant comes to what memory allows: to copies that move as many bytes as it must."""

from __future__ import annotations

from collections.abc import Sequence

from gradbench.analyse.model import ComparisonSummary, VariantSummary
from gradbench.analyse.summary import between, between_on_device
from gradbench.define.workloads.workload import COPY
from gradbench.record.interval import Interval


def limited(comparisons: Sequence[ComparisonSummary]) -> list[ComparisonSummary]:
    """Those that have a copy to compare with, and enough elements for it to be the limit."""
    # Of few elements a copy is the price of a call, and no measure of memory.
    return [
        each
        for each in comparisons
        if each.comparison.size == "large" and (copy := each.variant(COPY)) is not None and copy.ratio
    ]


def distance(each: ComparisonSummary, name: str) -> Interval | None:
    """A variant's time in that of the copy; of the device's times where both are known."""
    on_device = between_on_device(each, name, COPY)
    return between(each, name, COPY) if on_device is None else on_device


def rate(each: ComparisonSummary, variant: VariantSummary) -> float | None:
    """Bytes per second at which a variant moves what it must move at least; None where that is not known."""
    copy = each.variant(COPY)
    time = _time(variant)
    if copy is None or copy.memory is None or time is None:
        return None
    # A copy reads as many bytes as it writes.
    return 2 * copy.memory.allocated / time.mean


def _time(variant: VariantSummary) -> Interval | None:
    return variant.time if variant.device is None else variant.device
