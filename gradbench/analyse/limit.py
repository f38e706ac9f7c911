"""How near a variant comes to what memory allows: to copies that move as many bytes as it must."""

from __future__ import annotations

from collections.abc import Sequence

from gradbench import format
from gradbench.analyse.model import ComparisonSummary, VariantSummary
from gradbench.analyse.summary import between, between_on_device
from gradbench.define.workloads.workload import COPY
from gradbench.record.interval import Interval
from gradbench.report.table import Table


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


def tables(comparisons: Sequence[ComparisonSummary]) -> list[Table]:
    """By device and type, the rate of each variant of one workload, and its share of the copy's."""
    found = limited(comparisons)
    kinds = list(dict.fromkeys((each.comparison.device, each.comparison.dtype) for each in found))
    return [
        _table([each for each in found if (each.comparison.device, each.comparison.dtype) == kind], kind)
        for kind in kinds
    ]


def _table(found: Sequence[ComparisonSummary], kind: tuple[str, str]) -> Table:
    variants = {variant.name: variant.label for each in found for variant in each.methods}
    # The copy last, whatever it is called in each: it is the limit.
    names = [name for name in variants if name != COPY]
    device, dtype = kind
    workload = found[0].comparison.workload
    return Table(
        f"limit-{workload}-{device.replace(':', '')}-{dtype}",
        f"How near {workload} comes to what memory allows ({device}, {dtype})",
        ("variant", *(f"{each.comparison.part}, {each.comparison.numel:,}" for each in found)),
        (
            *((variants[name], *(_cell(each, name) for each in found)) for name in names),
            ("copies of as many bytes", *(_cell(each, COPY) for each in found)),
        ),
        "Bytes that must be read and written at least, in a second; and what share that is of what "
        + f"copies reach{', from cache where they fit' if device == 'cpu' else ', in time of the device'}.",
        places=(None, *(each.comparison for each in found)),
    )


def _cell(each: ComparisonSummary, name: str) -> str:
    variant = each.variant(name)
    reached = None if variant is None else rate(each, variant)
    if variant is None or reached is None:
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
