"""The table that shows how near every form comes to the limit of memory."""

from __future__ import annotations

from collections.abc import Sequence

from gradbench import format
from gradbench.analyse.limit import Limited
from gradbench.report.table import Table


def tables(limits: Sequence[Limited]) -> list[Table]:
    """By workload, device and type, the rate of every variant, and its share of the copy's rate."""
    grouped: dict[tuple[str, str, str], list[Limited]] = {}
    for each in limits:
        of = each.summary.comparison
        grouped.setdefault((of.workload, of.device, of.dtype), []).append(each)
    return [_table(found, *kind) for kind, found in grouped.items()]


def _table(found: Sequence[Limited], workload: str, device: str, dtype: str) -> Table:
    # The copy is the limit and comes last, under any name that it has in a comparison.
    labels = {
        variant.name: variant.label
        for each in found
        for variant in each.summary.methods
        if variant is not each.copy
    }
    comparisons = [each.summary.comparison for each in found]
    return Table(
        f"limit-{workload}-{device.replace(':', '')}-{dtype}",
        f"How near {workload} comes to the limit of memory ({device}, {dtype})",
        ("variant", *(f"{each.part}, {each.numel:,}" for each in comparisons)),
        (
            *((label, *(_cell(each, name) for each in found)) for name, label in labels.items()),
            ("copies of as many bytes", *(_cell(each, each.copy.name) for each in found)),
        ),
        "The least bytes that a variant must read and write, per second, and their share of the rate of "
        + f"copies{', from cache where they fit' if device == 'cpu' else ', in time of the device'}.",
        places=(None, *comparisons),
    )


def _cell(each: Limited, name: str) -> str:
    near = each.by_variant.get(name)
    if near is None or near.rate is None:
        return ""
    rate = f"{format.size(round(near.rate))}/s"
    if near.share is None:
        return rate
    ends = "" if near.share.low is None else f" ({format.ends(near.share)})"
    return f"{rate}, {format.ratio(near.share)} %{ends}"
