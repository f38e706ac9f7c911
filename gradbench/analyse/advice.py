"""What should I use? For each purpose, what the figures of this run say."""

from __future__ import annotations

from dataclasses import dataclass

from gradbench import format
from gradbench.analyse.model import ComparisonSummary, RunSummary, leaders
from gradbench.analyse.phrases import seconds
from gradbench.record.plan import Comparison


@dataclass(frozen=True)
class Advice:
    """What a run says for one purpose at one size.

    Attributes:
        comparison: whose figures these are.
        where: the workload and its size.
        use: the fastest, and those that are not shown to be slower.
        gain: what the dearest answer costs against them.
        memory: which of them peaks lowest, where they differ.
    """

    purpose: str
    comparison: Comparison
    where: str
    use: str
    gain: str
    memory: str


def advice(summary: RunSummary) -> list[Advice]:
    """The advice for each purpose that this run measured, by size; nothing where no rank could be given."""
    unsafe = {
        each.method
        for each in summary.results.observations
        if each.trait == "write" and each.observed.get("wrong_gradient") is True
    }
    purposes = dict.fromkeys(each.comparison.purpose for each in summary.comparisons)
    return [
        found
        for purpose in purposes
        if purpose
        for each in summary.comparisons
        if each.comparison.purpose == purpose
        and (found := _advice(each, unsafe, several=len(summary.devices) > 1)) is not None
    ]


def _advice(each: ComparisonSummary, unsafe: set[str], several: bool) -> Advice | None:
    variants = [
        variant
        for variant in each.methods
        if variant.definition.recommendable and variant.rank is not None and variant.time
    ]
    if not variants:
        return None
    best = leaders(variants)
    worst = max(variants, key=seconds)
    fastest = min(best, key=seconds)
    times = seconds(worst) / seconds(fastest)
    names = [variant.label + (" (unsafe: see traits)" if variant.name in unsafe else "") for variant in best]
    peaks = {variant.label: variant.memory.peak for variant in variants if variant.memory is not None}
    memory = ""
    if peaks and min(peaks.values()) < max(peaks.values()):
        most = max(peaks, key=lambda label: peaks[label])
        memory = (
            f"{most} peaks at {format.size(peaks[most])}, the lowest at {format.size(min(peaks.values()))}"
        )
    return Advice(
        purpose=each.comparison.purpose,
        comparison=each.comparison,
        where=f"{each.comparison.name}, {each.comparison.numel:,} elements"
        + (f", {each.comparison.device}" if several else ""),
        use=", ".join(names),
        gain="" if worst in best else f"{worst.label} takes {format.significant(times)} times as long",
        memory=memory,
    )
