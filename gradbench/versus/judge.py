"""The outcome of a trial: for each variant, whether B is slower, faster or the same, and its memory."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy

from gradbench.analyse import stats
from gradbench.analyse.memory_difference import MemoryDifference, larger, memory_differences
from gradbench.record.interval import Interval
from gradbench.record.plan import Comparison, Variant
from gradbench.record.visits import Memory
from gradbench.versus.records import Name, SideFailure, Trial

# A trial looks at its outcome after so many pairs, and ends when every variant is decided. Each look may be
# the last. So all looks, and the one at the end of the budget, share the chance of a false alarm equally.
LOOKS = (5, 8, 12, 18, 27, 40, 60, 90)
LEVEL = stats.FAMILY / (len(LOOKS) + 1)

# Two installations of one build differ by this for a whole trial, because of where their files lie in memory.
# It is the standard deviation of a variant's log-ratio (METHODOLOGY.md has the trials). No pair shows it.
# We estimated it by maximum likelihood over the 161 variants whose mean is known to 0.6 %. The likely cause
# is physical memory: of libtorch_python.so, 80 % lay in runs of 16 KB in one installation, 0.5 % in another.
# After a fresh read from the disk it was 15 % at most. How these runs make a variant slower is not known.
INSTALLATION = 0.005

Outcome = Literal["slower", "faster", "same", "cannot tell", "failed"]


@dataclass(frozen=True)
class VariantOutcome:
    """One variant on both sides.

    Attributes:
        ratio: time of B ÷ time of A, with its 95 % interval over pairs; None if it was not timed. The
            interval includes INSTALLATION if the sides are two installations.
        seconds: median time per call on A and on B, the loop included.
        outcome: `slower` and `faster` are shown against chance over all variants and looks, with a mean
            beyond the margin. `same` has its whole 95 % interval within the margin. `failed` was not timed.
        memory: the differences in memory; None if memory is not known on both sides.
        failures: of the variant, and those that cost a visit of its comparison.
    """

    comparison: Comparison
    variant: Variant
    outcome: Outcome
    ratio: Interval | None
    seconds: tuple[float, float] | None
    memory: tuple[MemoryDifference, ...] | None
    failures: tuple[SideFailure, ...]

    @property
    def name(self) -> str:
        """The name of the variant, unique in its comparison."""
        return self.variant.name

    @property
    def larger(self) -> bool:
        """Whether B has more bytes than A in any figure of memory."""
        return larger(self.memory)

    @property
    def broken(self) -> bool:
        """Whether the variant has no time because it fails only in B."""
        return self.outcome == "failed" and {each.side for each in self.failures} == {"B"}

    @property
    def worse(self) -> bool:
        """Whether B is slower, has more bytes, or fails where A does not."""
        return self.outcome == "slower" or self.larger or self.broken


@dataclass(frozen=True)
class Judged:
    """A trial, judged.

    Attributes:
        variants: in the order of the plan, without the calibration task.
        calibration_task: time of B ÷ time of A for the same work on both sides, over all comparisons.
        lost: failures that cost a whole visit.
    """

    trial: Trial
    variants: tuple[VariantOutcome, ...]
    calibration_task: Interval | None
    lost: tuple[SideFailure, ...]
    pairs: int

    @property
    def worse(self) -> list[VariantOutcome]:
        """The variants that are worse in B."""
        return [each for each in self.variants if each.worse]


def judge_trial(trial: Trial) -> Judged:
    """Judge a trial by the pairs that it has so far."""
    keys = [
        (c, variant)
        for c in trial.header.comparisons
        for variant in c.variants
        if variant.role != "calibration_task"
    ]
    logs = _log_ratios(trial)
    margin = math.log1p(trial.header.options.margin)
    common = installation_spread(trial)
    shown = _shown(trial, [(c.id, variant.name) for c, variant in keys], logs, common)
    variants = []
    for comparison, variant in keys:
        key = (comparison.id, variant.name)
        found = stats.interval(list(logs.get(key, {}).values()), common=common)
        failures = tuple(
            each
            for each in trial.failures
            if each.failure.comparison == comparison.id and each.failure.variant in (variant.name, None)
        )
        variants.append(
            VariantOutcome(
                comparison=comparison,
                variant=variant,
                outcome=_outcome(found, key in shown, margin, any(map(keeps_from_timing, failures))),
                ratio=None if found is None else found.map(math.exp),
                seconds=_seconds(trial, key),
                memory=_grown(trial, key),
                failures=failures,
            )
        )
    return Judged(
        trial=trial,
        variants=tuple(variants),
        calibration_task=_calibration_task(trial),
        lost=tuple(each for each in trial.failures if each.failure.variant is None),
        pairs=len({visit.number for visit in trial.visits}),
    )


def installation_spread(trial: Trial) -> float:
    """The standard deviation of the difference between installations; 0 if both sides share one."""
    return 0.0 if trial.header.one_installation else INSTALLATION


def decided(judged: Judged) -> bool:
    """Whether every variant that can be measured has a verdict."""
    timed = [each for each in judged.variants if each.outcome != "failed"]
    return bool(timed) and all(each.outcome != "cannot tell" for each in timed)


def _log_ratios(trial: Trial) -> dict[tuple[str, str], dict[int, float]]:
    """By comparison and variant, and by pair: the log-ratio of B to A.

    If the two processes were not bound to one processor, their processors may differ in speed. Then the
    log-ratio is relative to that of the calibration task.
    """
    found: dict[tuple[str, str], dict[int, float]] = {}
    for visit in trial.visits:
        if not trial.header.pinned and "calibration_task" not in visit.variants:
            continue
        base = 0.0 if trial.header.pinned else visit.variants["calibration_task"].log_ratio
        for name, variant in visit.variants.items():
            found.setdefault((visit.comparison, name), {})[visit.number] = variant.log_ratio - base
    return found


def _shown(
    trial: Trial,
    keys: list[tuple[str, str]],
    logs: dict[tuple[str, str], dict[int, float]],
    common: float,
) -> set[tuple[str, str]]:
    """The variants that differ, after Holm's correction over all of them, at the level of one look."""
    numbers = sorted({visit.number for visit in trial.visits})
    if not numbers or not keys:
        return set()
    columns = [[logs.get(key, {}).get(number, math.nan) for number in numbers] for key in keys]
    adjusted = stats.holm(stats.p_values(numpy.array(columns).T, common))
    return {key for key, p in zip(keys, adjusted, strict=True) if p < LEVEL}


def keeps_from_timing(each: SideFailure) -> bool:
    """Whether the failure prevents timing. A failure to count the bytes of a variant does not."""
    return each.failure.stage != "memory" or each.failure.variant is None


def _outcome(found: Interval | None, shown: bool, margin: float, failed: bool) -> Outcome:
    if found is None:
        return "failed" if failed else "cannot tell"
    if found.low is None or found.high is None:
        return "cannot tell"
    if -margin <= found.low and found.high <= margin:
        return "same"
    # A test against the margin itself would need half as many pairs again for a change of 5 %. Two of three
    # trials of a minute did not find the change that way.
    if shown and abs(found.mean) > margin:
        return "slower" if found.mean > 0 else "faster"
    return "cannot tell"


def _seconds(trial: Trial, key: tuple[str, str]) -> tuple[float, float] | None:
    times = [
        visit.variants[key[1]]
        for visit in trial.visits
        if visit.comparison == key[0] and key[1] in visit.variants
    ]
    if not times:
        return None
    return float(numpy.median([each.a for each in times])), float(numpy.median([each.b for each in times]))


def _grown(trial: Trial, key: tuple[str, str]) -> tuple[MemoryDifference, ...] | None:
    sides: dict[Name, Memory] = {
        each.side: each.memory
        for each in trial.memory
        if (each.memory.comparison, each.memory.variant) == key
    }
    return memory_differences(sides.get("A"), sides.get("B"))


def _calibration_task(trial: Trial) -> Interval | None:
    """The ratio over pairs. A pair has the mean over its comparisons."""
    by_pair: dict[int, list[float]] = {}
    for visit in trial.visits:
        if "calibration_task" in visit.variants:
            by_pair.setdefault(visit.number, []).append(visit.variants["calibration_task"].log_ratio)
    found = stats.interval([sum(each) / len(each) for each in by_pair.values()])
    return None if found is None else found.map(math.exp)
