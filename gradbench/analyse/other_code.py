"""How the time of a user's code changed between two runs, where its baseline changed as well.

A ratio to a baseline that changed says nothing. Seconds of two runs are minutes apart, on a machine that
drifts by 1.6x within seconds. So seconds are relative to other work of the same pass that is not the user's
code. A change counts where it is beyond the margin and beyond the change of that other work.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy

from gradbench.analyse import stats
from gradbench.analyse.visits import ODD_LOOP, Net, net_of_loops
from gradbench.record.interval import Interval
from gradbench.record.plan import PRICE
from gradbench.record.results import Results

EMPTY = "the empty loop"
OTHER_WORK = "work that is gradbench's own"

TimeOutcome = Literal["slower", "faster", "same", "cannot tell"]
# By pass, the logarithm of seconds.
Logs = Mapping[int, float]


@dataclass(frozen=True)
class SecondsChange:
    """The change of one variant's seconds per call, new against old, relative to what both runs share.

    Attributes:
        outcome: as in `Change`.
        change: the change as a factor, with its 95 % interval, relative to the work that shows the least.
        moved: by the work that it is relative to, the new seconds ÷ old seconds of that work.
    """

    outcome: TimeOutcome
    change: Interval
    moved: dict[str, float]


class Seconds:
    """The seconds of one run, by pass."""

    def __init__(self, results: Results) -> None:
        self._nets = {
            each.comparison.id: each for each in net_of_loops(results.header.plan.comparisons, results.visits)
        }

    def of(self, comparison: str, variant: str) -> Logs:
        """The seconds of a variant's calls, net of the empty loop."""
        net = self._nets.get(comparison)
        known = {} if net is None or variant in net.indistinct else net.seconds.get(variant, {})
        return {number: math.log(seconds) for number, seconds in known.items()}

    def shared(self, comparison: str) -> dict[str, Logs]:
        """The seconds of work that is not the user's code, by its name: timed in the comparison's passes."""
        found: dict[str, Logs] = {}
        net = self._nets.get(comparison)
        if net is not None:
            found[EMPTY] = _loops(net)
        for other in self._nets.values():
            if other.comparison.workload == PRICE and other.comparison.device == "cpu":
                found[OTHER_WORK] = self.of(other.comparison.id, other.baseline)
        return {what: logs for what, logs in found.items() if logs}


def _loops(net: Net) -> Logs:
    seconds = {
        visit.number: visit.variants["empty"].seconds for visit in net.visits if "empty" in visit.variants
    }
    usual = float(numpy.median(list(seconds.values()) or [0.0]))
    # One in a hundred turns three times as slowly, and no other code with it.
    return {number: math.log(each) for number, each in seconds.items() if 0 < each <= ODD_LOOP * usual}


def comparable(old: Seconds, new: Seconds, comparison: str, variant: str) -> bool:
    """Whether a variant has enough passes in both runs: two or more."""
    return bool(_relative(old, new, comparison, variant))


def _relative(
    old: Seconds, new: Seconds, comparison: str, variant: str
) -> dict[str, tuple[list[float], list[float], float]]:
    """By work that both runs share: the variant's logs relative to it, old and new, and how it moved."""
    before, after = old.of(comparison, variant), new.of(comparison, variant)
    one, other = old.shared(comparison), new.shared(comparison)
    found = {}
    for what in one.keys() & other.keys():
        numbers = [before.keys() & one[what].keys(), after.keys() & other[what].keys()]
        if min(map(len, numbers)) >= 2:
            moved = float(
                numpy.mean([other[what][number] for number in numbers[1]])
                - numpy.mean([one[what][number] for number in numbers[0]])
            )
            found[what] = (
                [before[number] - one[what][number] for number in sorted(numbers[0])],
                [after[number] - other[what][number] for number in sorted(numbers[1])],
                moved,
            )
    return found


def outcome_of(
    joint: Sequence[tuple[Interval, float]], usual: Sequence[Interval], reach: float
) -> TimeOutcome:
    """The outcome of a change of time, by logarithms: every interval of `joint` has to be beyond its bound.

    Args:
        joint: intervals at the confidence of all variants together, with their bounds.
        usual: intervals at 95 %; the outcome is `same` where all of these are within `reach`.
    """
    if all(found.low is not None and found.low > beyond for found, beyond in joint):
        return "slower"
    if all(found.high is not None and found.high < -beyond for found, beyond in joint):
        return "faster"
    ends = [end for found in usual for end in (found.low, found.high)]
    return "same" if all(end is not None and abs(end) <= reach for end in ends) else "cannot tell"


def change_of_seconds(
    old: Seconds, new: Seconds, comparison: str, variant: str, confidence: float, reach: float
) -> SecondsChange | None:
    """How a variant's seconds changed; None where a run has fewer than two usable passes.

    Args:
        confidence: of the interval that has to be beyond `reach`.
        reach: the margin, as a logarithm.
    """
    relative = _relative(old, new, comparison, variant)
    if not relative:
        return None
    usual = {what: stats.difference(after, before) for what, (before, after, _) in relative.items()}

    joint = [
        (stats.difference(after, before, confidence), reach + abs(moved))
        for before, after, moved in relative.values()
    ]
    outcome = outcome_of(joint, list(usual.values()), reach)
    least = min(usual.values(), key=lambda each: abs(each.mean))
    return SecondsChange(
        outcome, least.map(stats.factor), {what: math.exp(moved) for what, (*_, moved) in relative.items()}
    )
