"""How far to trust a run: what identical code came out different by, and whether two clocks agree."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from gradbench import format
from gradbench.analyse.model import ComparisonSummary, Finding, RunSummary

# Where identical code may seem to differ by more than this (a log-ratio), times are rough.
ROUGH = 0.02


# The most of the comparisons that may be rough in a run to be trusted.
_FEW_ROUGH = 0.1


@dataclass(frozen=True)
class Trust:
    """How far to trust a run.

    Attributes:
        grade: `good`, `fair` or `poor`.
        sentence: the figures that the grade goes by.
        advice: what to do where the grade is not good; empty otherwise.
    """

    grade: str
    sentence: str
    advice: str


def trust(summary: RunSummary) -> Trust:
    """The grade of a run, by what identical code came out different by."""
    twins, results = summary.twins, summary.results
    more = results.go_on_longer(2 * max(1, summary.passes))
    if summary.passes < 2 or twins.median is None or twins.worst is None:
        words = f"{summary.passes} pass{'' if summary.passes == 1 else 'es'}, so no interval is known."
        return Trust("poor", words, more)
    known = [each.floor for each in summary.comparisons if each.floor is not None]
    rough = sum(floor > ROUGH for floor in known)
    sentence = (
        f"Identical code differed by {format.percent(twins.median)} in the median, "
        f"{format.percent(twins.worst)} at worst."
    )
    if not rough or (rough <= _FEW_ROUGH * len(known) and twins.worst <= ROUGH):
        return Trust("good", sentence, "")
    sentence += f" {rough} of {len(known)} comparisons are rough: over {format.percent(ROUGH)} is open."
    return Trust("poor" if rough > len(known) / 2 else "fair", sentence, more)


def floor(summary: RunSummary) -> Finding | None:
    """What identical code came out different by."""
    twins = summary.twins
    if twins.median is None or twins.worst is None:
        return None
    count = len(twins.differences)
    evidence = f"{twins.near} of the {count} twins are within 0.3 % of 1."
    if summary.visible is not None:
        evidence += (
            f" A method that differs by {format.difference(summary.visible)} would be "
            f"called slower in four of five runs of {summary.passes} passes, in the median comparison."
        )
    if summary.farthest_moved is not None:
        where, ratio = summary.farthest_moved
        cold = ", which is cold," if ratio.mean > 1 else ""
        evidence += (
            f" On a buffer of its own{cold} the same code takes {format.ratio_with_ends(ratio)} times as "
            f"long at the farthest, in {where.comparison.id}: no method's doing, and in no verdict."
        )
    return Finding(
        f"How far to trust this: the same code, entered twice in each of {count} comparisons, "
        f"came out different by {format.percent(twins.median)} in the median and "
        f"{format.percent(twins.worst)} at worst.",
        evidence,
    )


def floor_of_parts(summary: RunSummary) -> Finding | None:
    """What identical code came out different by in the host's and in the device's time, on an accelerator."""
    known = {f"the {part}'s": twins for part, twins in summary.parts_of_twins.items() if twins.differences}
    if not known:
        return None
    apart = "; ".join(
        f"{name} time by {format.percent(twins.median)} in the median and "
        f"{format.percent(twins.worst)} at worst"
        for name, twins in known.items()
    )
    near = ", ".join(f"{twins.near} of {len(twins.differences)} of {name}" for name, twins in known.items())
    return Finding(f"The same code, taken apart: {apart}.", f"Within 0.3 % of 1: {near}.")


# A kernel that is shorter is little against what lies between two, which the profiler leaves out.
_LONG_KERNELS = 20e-6


def agreement(comparisons: Sequence[ComparisonSummary]) -> Finding | None:
    """Whether the device's time by events is what the profiler sees its kernels take."""
    found = [
        (variant.device.mean / kernels.seconds, kernels.count, f"{each.comparison.id}, {variant.name}")
        for each in comparisons
        for variant in each.methods
        if variant.device is not None
        and (kernels := variant.kernels) is not None
        and kernels.count
        and kernels.seconds / kernels.count > _LONG_KERNELS
    ]
    if not found:
        return None
    apart = [abs(ratio - 1) for ratio, *_ in found]
    worst, count, where = max(found, key=lambda each: abs(each[0] - 1))
    within = sum(difference <= 0.03 for difference in apart)
    return Finding(
        f"Two clocks of the device: in {len(found)} variants whose kernels take more than "
        f"{format.seconds(_LONG_KERNELS)} each, its time by events is that of the kernels by the profiler "
        f"within {format.percent(statistics.median(apart))} in the median, and "
        f"{format.percent(max(apart))} at worst.",
        f"Within 3 %: {within} of {len(found)}. The worst is {format.significant(worst)} times, of {count} "
        f"kernel{'' if count == 1 else 's'}, in {where}. Events see what lies between kernels as well.",
    )
