"""The table that says how near each form comes to what memory allows."""

from __future__ import annotations

from collections.abc import Sequence

from gradbench import format
from gradbench.analyse.limit import distance, limited, rate
from gradbench.analyse.model import ComparisonSummary
from gradbench.define.workloads.workload import COPY
from gradbench.record.interval import Interval
from gradbench.report.table import Table


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
