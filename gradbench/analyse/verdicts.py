"""What is shown of the variants of a run: which is slower than which, ranks, and verdicts.

One rule serves verdicts, ranks and findings: a difference stands where chance is ruled out after a
correction, and where it is larger than what the twin leaves open.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy

from gradbench.analyse import stats
from gradbench.analyse.model import Verdict
from gradbench.analyse.net import Net
from gradbench.analyse.pairs import Pair
from gradbench.record.interval import Interval
from gradbench.record.plan import Variant
from gradbench.record.visits import Failure

# A difference within this is called "the same": a tenth of the smallest difference that the guide claims.
SAME_MARGIN = 0.01


@dataclass(frozen=True)
class Family:
    """What of the whole run decides in one comparison.

    Attributes:
        real: the (comparison, variant) that differ from the baseline after the correction over the run.
        tests: the ratios that it corrects for.
        comparisons: how many there are; each has an equal part of the level for pairs within it.
        level: the chance of a false verdict, in the whole run.
    """

    real: frozenset[tuple[str, str]]
    tests: int
    comparisons: int
    level: float = stats.FAMILY


def family_of(run: Sequence[Net], level: float = stats.FAMILY) -> Family:
    """What the comparisons of a run decide together, at this chance of any false verdict."""
    tests = sum(variant.role == "method" for each in run for variant in each.comparison.variants)
    return Family(_real(run, level), max(1, tests), len(run), level)


def _real(run: Sequence[Net], level: float) -> frozenset[tuple[str, str]]:
    """The (comparison, variant) that differ from the baseline, after Holm's correction over the run.

    Of runs in which nothing differs, at most this part shows anything.
    """
    passes = sorted({number for each in run for number in each.passes})
    columns = {
        (each.comparison.id, variant.name): [by_pass.get(number, math.nan) for number in passes]
        for each in run
        for variant in each.comparison.variants
        if variant.role == "method" and (by_pass := each.log_ratios.get(variant.name))
    }
    if not columns:
        return frozenset()
    adjusted = stats.holm(stats.p_values(numpy.array(list(columns.values())).T))
    return frozenset(key for key, p in zip(columns, adjusted, strict=True) if p < level)


def floor_of(net: Net) -> float | None:
    """The largest difference (a log-ratio) that the twin's interval leaves open; None before two passes."""
    twin = stats.interval(list(net.log_ratios.get("twin", {}).values()))
    if twin is None or twin.low is None or twin.high is None:
        return None
    return max(abs(twin.low), abs(twin.high))


def visible_in(net: Net, floor: float | None, family: Family) -> float | None:
    """The difference (a log-ratio) that would be called slower in 80 % of runs, for the median method."""
    confidence = 1 - family.level / family.tests
    known = [
        found
        for variant in net.comparison.variants
        if variant.role == "method"
        and (found := stats.smallest_visible(list(net.log_ratios[variant.name].values()), confidence))
    ]
    return max(float(numpy.median(known)), floor) if known and floor is not None else None


def above(net: Net, floor: float | None, family: Family) -> frozenset[Pair]:
    """The pairs of variants of which the first is shown to be slower.

    Against the baseline after the correction over the run, and among the others over those of this
    comparison; and in both by more than the twin leaves open.
    """
    if floor is None:
        return frozenset()
    names = [each.name for each in net.comparison.variants if each.role == "method" and net.known(each.name)]
    found = set()
    if net.known(net.baseline):
        for name in names:
            mean = float(numpy.mean(list(net.log_ratios[name].values())))
            if (net.comparison.id, name) in family.real and abs(mean) > floor:
                found.add((name, net.baseline) if mean > 0 else (net.baseline, name))
    if names and len(net.passes) > 1:
        samples = [[net.log_ratios[name].get(number, math.nan) for name in names] for number in net.passes]
        pairs = stats.above(numpy.array(samples), family.level / family.comparisons, floor)
        found |= {(names[one], names[other]) for one, other in pairs}
    return frozenset(found)


def ranks(net: Net, shown: frozenset[Pair]) -> dict[str, int]:
    """By method, 1 and the number of those that it is shown to be slower than; none before two passes."""
    if len(net.passes) < 2:
        return {}
    return {
        variant.name: 1 + sum(slower == variant.name for slower, _ in shown)
        for variant in net.comparison.variants
        if variant.role in ("method", "baseline") and net.known(variant.name)
    }


def against_baseline(name: str, baseline: str, shown: frozenset[Pair]) -> Literal["slower", "faster"] | None:
    """Whether a variant is shown to be slower or faster than the baseline."""
    if (name, baseline) in shown:
        return "slower"
    return "faster" if (baseline, name) in shown else None


def verdict(
    variant: Variant,
    log_ratio: Interval | None,
    indistinct: bool,
    shown: Literal["slower", "faster"] | None,
    failures: Sequence[Failure],
) -> Verdict:
    """The verdict on a variant.

    Args:
        log_ratio: to the baseline; None where it is not known.
        indistinct: its time cannot be told from the empty loop.
        shown: what it is shown to be against the baseline.
        failures: those that cost it its times.
    """
    if indistinct:
        return "no time of its own"
    if log_ratio is None:
        return "failed" if failures else "cannot tell"
    if variant.role == "baseline":
        return "baseline"
    if shown is not None:
        return shown
    if log_ratio.low is not None and log_ratio.high is not None:
        margin = math.log1p(SAME_MARGIN)
        if -margin <= log_ratio.low and log_ratio.high <= margin:
            return "same"
    return "cannot tell"
