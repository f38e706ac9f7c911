"""What the A/A twins show: what identical code differs by, and what memory of its own does to it."""

from __future__ import annotations

import math
from collections.abc import Iterable

from gradbench.analyse.model import (
    ComparisonSummary,
)
from gradbench.record.interval import Interval


def parts_apart(comparisons: Iterable[ComparisonSummary]) -> dict[str, list[float]]:
    """What the twins differ from 1 by, without sign, in the host's and in the device's time."""
    twins = [twin for each in comparisons if (twin := each.variant("twin")) is not None]
    return {
        "host": [abs(twin.host_ratio.mean - 1) for twin in twins if twin.host_ratio],
        "device": [abs(twin.device_ratio.mean - 1) for twin in twins if twin.device_ratio],
    }


def moved(comparison: ComparisonSummary) -> Interval | None:
    """How many times as long identical code takes on memory of its own; None where that is within what the
    twin leaves open, or within what is called the same."""
    variant = next((each for each in comparison.variants if each.role == "twin_own_buffer"), None)
    if variant is None or variant.ratio is None or variant.ratio.low is None or comparison.floor is None:
        return None
    log = variant.ratio.map(math.log)
    assert log.low is not None
    assert log.high is not None
    # The whole interval, and not its middle: of many comparisons some would be beyond it by chance.
    beyond = max(log.low, -log.high) > comparison.floor
    return variant.ratio if beyond and variant.verdict != "same" else None


def farthest_moved(comparisons: Iterable[ComparisonSummary]) -> tuple[ComparisonSummary, Interval] | None:
    """The comparison in which memory of its own moves identical code the farthest; None where in none."""
    found = [(each, ratio) for each in comparisons if (ratio := moved(each)) is not None]
    return max(found, key=lambda pair: abs(math.log(pair[1].mean)), default=None)
