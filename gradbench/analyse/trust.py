"""How far to trust a run: how much identical code differs, and whether two clocks agree."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from gradbench import format
from gradbench.analyse.model import ComparisonSummary, Finding, RunSummary, Twins
from gradbench.analyse.spending import FEWEST_TO_SETTLE

# Where identical code may seem to differ by more than this (a log-ratio), times are rough.
ROUGH = 0.02
# The advice never asks for fewer passes than this.
ENOUGH = 20
# A run with a larger part of rough comparisons is not graded good.
_FEW_ROUGH = 0.1


@dataclass(frozen=True)
class Trust:
    """How far to trust a run.

    Attributes:
        grade: `good`, `fair` or `poor`.
        sentence: the figures behind the grade.
        advice: what to do where the grade is not good; empty otherwise.
        evidence: further figures on the run's precision, one sentence each.
    """

    grade: str
    sentence: str
    advice: str
    evidence: tuple[str, ...] = ()


def trust(summary: RunSummary) -> Trust:
    """The grade of a run, by how much identical code differs and from how many passes.

    A comparison is rough whose twin leaves a difference of more than ROUGH open, or whose floor is not known.
    """
    twins, results = summary.twins, summary.results
    more = results.go_on_longer(max(2 * summary.passes, ENOUGH))
    if summary.passes < 2:
        return Trust("poor", f"{format.counted(summary.passes, 'pass')}, so no interval is known.", more)
    if twins.median is None or twins.worst is None:
        return Trust("poor", "No comparison shows by how much identical code differs.", more)
    count = len(summary.comparisons)
    rough = sum(each.floor is None or each.floor > ROUGH for each in summary.comparisons)
    sentence = _differed(twins.median, twins.worst)
    fewest = min(each.fewest for each in summary.comparisons)
    if fewest < FEWEST_TO_SETTLE:
        sentence += f" Some comparisons have only {format.counted(fewest, 'pass')}."
    if fewest >= FEWEST_TO_SETTLE and rough <= _FEW_ROUGH * count and twins.worst <= ROUGH:
        return Trust("good", sentence, "", _evidence(summary))
    if rough:
        verb = "is" if rough == 1 else "are"
        sentence += (
            f" {rough} of {format.counted(count, 'comparison')} {verb} rough: "
            f"a difference of over {format.percent(ROUGH)} may be noise."
        )
    poor = rough > count / 2 or twins.median > ROUGH
    return Trust("poor" if poor else "fair", sentence, more, _evidence(summary))


def floor(summary: RunSummary) -> Finding | None:
    """How much identical code differed; None before any twin is known."""
    twins = summary.twins
    if twins.median is None or twins.worst is None:
        return None
    return Finding(_differed(twins.median, twins.worst), " ".join(_evidence(summary)))


def _differed(median: float, worst: float) -> str:
    ends = format.percent(median), format.percent(worst)
    return f"Identical code differed by {ends[0]} in the median, {ends[1]} at worst."


def _evidence(summary: RunSummary) -> tuple[str, ...]:
    """Sentences on the twins and the clocks of a run, besides its worst and its median twin."""
    return tuple(
        found
        for found in (
            _near(summary.twins),
            _visible(summary),
            _moved(summary),
            *_parts(summary),
            agreement(summary.comparisons),
        )
        if found
    )


def _near(twins: Twins) -> str:
    """How many twins are within 0.3 % of their baseline."""
    every = len(twins.differences)
    is_ = "is" if twins.near == 1 else "are"
    return f"{twins.near} of {format.counted(every, 'twin')} {is_} within 0.3 %."


def _visible(summary: RunSummary) -> str:
    """The difference that the run would have shown."""
    if summary.visible is None:
        return ""
    return (
        f"Four of five runs like this one would call a difference of {format.difference(summary.visible)} "
        "slower, in the median comparison."
    )


def _moved(summary: RunSummary) -> str:
    """By how much identical code differs on other memory."""
    if summary.farthest_moved is None:
        return ""
    where, ratio = summary.farthest_moved
    cold = ", which is cold" if ratio.mean > 1 else ""
    return (
        f"In a separate buffer{cold}, identical code takes {format.ratio_with_ends(ratio)} times as long in "
        f"{where.comparison.id}. No verdict counts that."
    )


def _parts(summary: RunSummary) -> list[str]:
    """By how much identical code differs in the host's and in the device's time, on an accelerator."""
    return [
        f"In the {part}'s time identical code differs by {format.percent(twins.median)} in the median, "
        f"{format.percent(twins.worst)} at worst; {twins.near} of {len(twins.differences)} by at most 0.3 %."
        for part, twins in summary.parts_of_twins.items()
        if twins.differences
    ]


# Shorter kernels are little against the gaps between kernels, which the profiler leaves out.
_LONG_KERNELS = 20e-6


def agreement(comparisons: Sequence[ComparisonSummary]) -> str:
    """Whether the device's time by events is the time of its kernels by the profiler."""
    found = [
        (variant.device.mean / kernels.seconds, f"{each.comparison.id}, {variant.name}")
        for each in comparisons
        for variant in each.methods
        if variant.device is not None
        and (kernels := variant.kernels) is not None
        and kernels.count
        and kernels.seconds / kernels.count > _LONG_KERNELS
    ]
    if not found:
        return ""
    apart = [abs(ratio - 1) for ratio, _ in found]
    worst, where = max(found, key=lambda each: abs(each[0] - 1))
    return (
        f"Events and profiler agree within {format.percent(statistics.median(apart))} in the median of "
        f"{len(found)} variants with kernels over {format.seconds(_LONG_KERNELS)}. The worst is "
        f"{format.significant(worst)} times, in {where}."
    )
