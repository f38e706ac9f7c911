"""How near a lane comes to what memory allows: to copies that move as many bytes as it must."""

from __future__ import annotations

from collections.abc import Sequence

from gradbench import format
from gradbench.report.table import Table
from gradbench.stats import Interval
from gradbench.summary import ComparisonSummary, LaneSummary, between, between_on_device
from gradbench.workloads.workload import COPY


def limited(comparisons: Sequence[ComparisonSummary]) -> list[ComparisonSummary]:
    """Those that have the yardstick, and enough elements for it to be one."""
    # Of few elements a copy is the price of a call, and no measure of memory.
    return [
        each
        for each in comparisons
        if each.comparison.size == "large" and (copy := each.lane(COPY)) is not None and copy.ratio
    ]


def distance(each: ComparisonSummary, name: str) -> Interval | None:
    """A lane's time in that of the yardstick; of the device's times where both are known."""
    on_device = between_on_device(each, name, COPY)
    return between(each, name, COPY) if on_device is None else on_device


def rate(each: ComparisonSummary, lane: LaneSummary) -> float | None:
    """Bytes per second at which a lane moves what it must move at least; None where that is not known."""
    copy = each.lane(COPY)
    time = _time(lane)
    if copy is None or copy.memory is None or time is None:
        return None
    # A copy reads as many bytes as it writes.
    return 2 * copy.memory.allocated / time.mean


def _time(lane: LaneSummary) -> Interval | None:
    return lane.time if lane.device is None else lane.device


def tables(comparisons: Sequence[ComparisonSummary]) -> list[Table]:
    """By device and type, the rate of each lane of one workload, and its share of the yardstick's."""
    found = limited(comparisons)
    kinds = list(dict.fromkeys((each.comparison.device, each.comparison.dtype) for each in found))
    return [
        _table([each for each in found if (each.comparison.device, each.comparison.dtype) == kind], kind)
        for kind in kinds
    ]


def _table(found: Sequence[ComparisonSummary], kind: tuple[str, str]) -> Table:
    lanes = {lane.lane.name: lane.lane.label for each in found for lane in each.methods}
    # The yardstick last, whatever it is called in each: it is the limit.
    names = [name for name in lanes if name != COPY]
    device, dtype = kind
    workload = found[0].comparison.workload
    return Table(
        f"limit-{workload}-{device.replace(':', '')}-{dtype}",
        f"How near {workload} comes to what memory allows ({device}, {dtype})",
        ("way", *(f"{each.comparison.part}, {each.comparison.numel:,}" for each in found)),
        (
            *((lanes[name], *(_cell(each, name) for each in found)) for name in names),
            ("copies of as many bytes", *(_cell(each, COPY) for each in found)),
        ),
        "Bytes that must be read and written at least, in a second; and what share that is of what "
        + f"copies reach{', from cache where they fit' if device == 'cpu' else ', in time of the device'}.",
        places=(None, *(each.comparison for each in found)),
    )


def _cell(each: ComparisonSummary, name: str) -> str:
    lane = each.lane(name)
    reached = None if lane is None else rate(each, lane)
    if lane is None or reached is None:
        return ""
    told = f"{format.size(round(reached))}/s"
    away = None if name == COPY else distance(each, name)
    if away is None:
        return told
    share = Interval(
        100 / away.mean,
        None if away.high is None else 100 / away.high,
        None if away.low is None else 100 / away.low,
        away.count,
    )
    ends = "" if share.low is None else f" ({format.ends(share)})"
    return f"{told}, {format.ratio(share)} %{ends}"
