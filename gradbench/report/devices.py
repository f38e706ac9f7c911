"""The devices of a run side by side: the cost of control on every device, and claims that differ."""

from __future__ import annotations

from collections.abc import Sequence

from gradbench import format
from gradbench.analyse.analysis import Analysis
from gradbench.analyse.claims import Judgement
from gradbench.analyse.model import ComparisonSummary, RunSummary
from gradbench.report.table import Table

# The methods that people choose between, and recording.
SHOWN = ("no_grad", "inference_mode", "tracked")
# Verdicts that decide: an open verdict differs from no other.
_DECIDED = ("supported", "refuted", "depends")


def tables(analysis: Analysis) -> list[Table]:
    """Tables of the figures that devices of a run share, and of claims that differ; empty for one device."""
    if not analysis.by_device:
        return []
    made = (_times(analysis), _claims(analysis, analysis.judgements))
    return [table for table in made if table is not None]


def _times(summary: RunSummary) -> Table | None:
    """By workload and size, the time of the baseline and the ratios of a few methods, on every device."""
    rows: dict[tuple[str, int, str], dict[str, ComparisonSummary]] = {}
    for each in summary.comparisons:
        of = each.comparison
        if not of.alternatives and not of.part:
            rows.setdefault((of.workload, of.numel, of.dtype), {})[of.device] = each
    shared = {key: found for key, found in rows.items() if len(found) > 1}
    if not shared:
        return None
    baseline = next(each.comparison.baseline for found in shared.values() for each in found.values())
    several = len({dtype for _, _, dtype in shared}) > 1
    names = [
        name
        for name in SHOWN
        if any(each.variant(name) is not None for found in shared.values() for each in found.values())
    ]

    label = summary.results.header.label

    def cells(found: dict[str, ComparisonSummary]) -> list[str]:
        of = [found.get(device) for device in summary.devices]
        made = [_time(each) for each in of]
        for name in names:
            made += [_ratio(each, name) for each in of]
        return made

    return Table(
        "devices",
        "Cost of gradient control by device",
        (
            "workload, elements",
            *(f"{baseline.label}, {device}" for device in summary.devices),
            *(f"{label(name)}, {device}" for name in names for device in summary.devices),
        ),
        tuple(
            (f"{workload}, {numel:,}{f', {dtype}' if several else ''}", *cells(found))
            for (workload, numel, dtype), found in shared.items()
        ),
        "The time of a baseline call until the device has finished, and times relative to it. On an "
        "accelerator the host pays the price of a method. A device that is busy for longer hides it.",
        sizes=tuple(next(iter(found.values())).comparison.size for found in shared.values()),
    )


def _time(each: ComparisonSummary | None) -> str:
    return "" if each is None or each.baseline.time is None else format.seconds(each.baseline.time.mean)


def _ratio(each: ComparisonSummary | None, name: str) -> str:
    variant = None if each is None else each.variant(name)
    return "" if variant is None or variant.ratio is None else format.multiple(variant.ratio)


def _claims(summary: RunSummary, judgements: Sequence[Judgement]) -> Table | None:
    """The claims whose verdicts differ between devices."""
    by_claim: dict[str, dict[str, Judgement]] = {}
    for each in judgements:
        if each.device and each.verdict in _DECIDED:
            by_claim.setdefault(each.claim.id, {})[each.device] = each
    changed = [
        found for found in by_claim.values() if len({judgement.verdict for judgement in found.values()}) > 1
    ]
    if not changed:
        return None
    return Table(
        "sides",
        "Claims that come out differently",
        ("claim", *summary.devices),
        tuple(
            (
                next(iter(found.values())).claim.says,
                *(found[device].verdict if device in found else "" for device in summary.devices),
            )
            for found in changed
        ),
        f"{len(changed)} of the {len(by_claim)} claims that at least one device decides.",
    )
