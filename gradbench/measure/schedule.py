"""What the next pass visits, and for how long: time goes where a question is open and a second buys most."""

from __future__ import annotations

import math
import statistics
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from gradbench.measure.goal import Goal
from gradbench.measure.leave_out import LONG
from gradbench.measure.variance import SHORTEST_SLICE, Scatter, best_slice
from gradbench.record.plan import Comparison, Plan
from gradbench.record.visits import Visit

# So many visits each comparison gets before any gets more: of fewer an interval is wide by its few degrees of
# freedom alone.
FIRST_VISITS = 5
# Which of them take no longer than this part of the longest.
FIRST_PART = 0.5
# A pass takes so many times as long as its process takes to start.
PASS_PER_START = 8.0
# A process starts only if the budget holds so many times what its start takes.
WORTH_A_START = 2.0
# A comparison with nothing open gets this part of the visits that one with something open gets.
SETTLED = 0.15
# No comparison is worth less or more than this against the median one, whatever its noise.
LEAST_WORTH, MOST_WORTH = 0.5, 3.0


@dataclass(frozen=True)
class Share:
    """A visit of the next pass: `seconds` of rounds."""

    comparison: Comparison
    seconds: float


class Schedule:
    """Chooses what passes visit, from what the visits so far cost and how they scatter.

    Attributes:
        startup: seconds that a process takes to start, as the last ones did.
        open: by comparison id what is left open in it, from 0 for nothing to 1; empty before that is known.
    """

    def __init__(
        self, plan: Plan, goal: Goal, visits: Iterable[Visit] = (), calls: Mapping[str, float] = {}
    ) -> None:
        """Go on from these visits. `calls` are seconds of a call where that is known, by comparison id."""
        self._plan = plan
        self._goal = goal
        self._calls = calls
        self._scatter = {each.id: Scatter() for each in plan.comparisons}
        self.startup = 2.0
        self._begun = False
        self._given_up: set[str] = set()
        self._per_pass = max(1, len(plan.comparisons))
        self.open: Mapping[str, float] = {}
        for visit in visits:
            if visit.comparison in self._scatter:
                self._scatter[visit.comparison].planned += 1
                self._begun = True
                self.heard(visit)

    def heard(self, visit: Visit) -> None:
        """Take in a visit."""
        self._scatter[visit.comparison].add(visit)

    def least(self, comparison: Comparison) -> float:
        """Seconds of the shortest visit of a comparison that says anything."""
        known, call = self._scatter[comparison.id], self._calls.get(comparison.id, 0.0)
        if known.visits and call > LONG:
            # Later visits execute the baseline once before their round.
            return call + known.round
        # Before a first visit: the baseline and another, executed twice.
        return known.least if known.visits else max(known.least, 4 * call)

    def fixed(self, comparisons: Iterable[Comparison], seconds: float | None) -> list[Share]:
        """Visits of all these, in equal slices: the goal's, or as long as `seconds` in all allow."""
        due = list(comparisons)
        each = self._goal.slice
        if seconds is not None and due:
            around = sum(self._scatter[one.id].other for one in due)
            each = min(each, max(SHORTEST_SLICE, (seconds - around) / len(due)))
        for one in due:
            self._scatter[one.id].planned += 1
        return [Share(one, each) for one in due]

    def next(self, left: float, beside: int, among: Collection[str] | None = None) -> list[Share]:
        """The visits of the next pass; none where the budget or the goal leaves no room for one.

        Args:
            left: seconds of wall time.
            beside: passes at the same time.
            among: ids of the comparisons that may be visited; None for all.
        """
        eligible = [each for each in self._wanted() if among is None or each.id in among]
        if not eligible or (self._begun and left < WORTH_A_START * self.startup):
            return []
        between = self._between()
        slices = self._slices(between, left, beside)
        rank = self._rank(between, slices)
        passes = max(1, round(left / (PASS_PER_START * self.startup + self.startup)))
        room = left / passes - self.startup
        chosen: list[Share] = []
        for each in sorted(eligible, key=lambda each: rank[each.id]):
            cost = self.least(each)
            if self._calls.get(each.id, 0.0) <= LONG:
                cost = max(cost, self._scatter[each.id].other + slices[each.id])
            if chosen and cost > room:
                continue
            if cost > left - self.startup and self.least(each) > left - self.startup:
                continue
            chosen.append(Share(each, slices[each.id]))
            room -= cost
            if room <= 0:
                break
        self._per_pass = max(1, len(chosen))
        if not chosen and not self._begun:
            # Without a visit there is nothing to report.
            chosen = [Share(eligible[0], SHORTEST_SLICE)]
        self._begun = True
        for share in chosen:
            self._scatter[share.comparison.id].planned += 1
        return chosen

    def missed(self, comparison: Comparison) -> None:
        """A visit that was planned is not made."""
        self._scatter[comparison.id].planned -= 1

    def give_up(self, comparison: Comparison) -> None:
        """Plan no more visits of a comparison."""
        self._given_up.add(comparison.id)

    def fewest(self) -> int:
        """The visits of the comparison that has fewest."""
        return min((each.visits for each in self._scatter.values()), default=0)

    def complete(self) -> bool:
        """Whether no comparison lacks a visit."""
        return not self._wanted()

    def _wanted(self) -> list[Comparison]:
        """The comparisons that lack visits."""
        most = math.inf if self._goal.visits is None else self._goal.visits
        return [
            each
            for each in self._plan.comparisons
            if each.id not in self._given_up and self._scatter[each.id].planned < most
        ]

    def _between(self) -> dict[str, float]:
        known = {id: each.between for id, each in self._scatter.items()}
        pooled = statistics.median([each for each in known.values() if each is not None] or [1e-5])
        return {id: pooled if each is None else each for id, each in known.items()}

    def _slices(self, between: Mapping[str, float], left: float, beside: int) -> dict[str, float]:
        """Seconds of rounds by comparison: the best ones, or shorter where FIRST_VISITS of all do not fit."""
        best, around, missing = {}, 0.0, {}
        for id, each in self._scatter.items():
            # The start of a process is spent on all of its visits.
            other = each.other + self.startup / self._per_pass
            longest = self._goal.slice * (FIRST_PART if each.planned < FIRST_VISITS else 1.0)
            best[id] = best_slice(other, each.within, between[id], longest)
            missing[id] = max(0, FIRST_VISITS - each.planned)
            around += missing[id] * each.other
        # Of all the time a ninth goes into starting processes.
        room = left * beside * PASS_PER_START / (PASS_PER_START + 1) - around
        wanted = sum(missing[id] * seconds for id, seconds in best.items())
        part = min(1.0, room / wanted) if wanted > 0 else 1.0
        return {id: max(SHORTEST_SLICE, part * seconds) for id, seconds in best.items()}

    def _rank(
        self, between: Mapping[str, float], slices: Mapping[str, float]
    ) -> dict[str, tuple[bool, float]]:
        """What to sort by: who lacks FIRST_VISITS is first, then who has few visits against their worth."""
        worth = {}
        for id, each in self._scatter.items():
            variance = between[id] + each.within / slices[id]
            worth[id] = math.sqrt(max(variance, 1e-12) / (each.other + slices[id]))
        middle = statistics.median(worth.values())
        found: dict[str, tuple[bool, float]] = {}
        for id, each in self._scatter.items():
            against = min(MOST_WORTH, max(LEAST_WORTH, worth[id] / middle))
            against *= SETTLED + (1 - SETTLED) * self.open.get(id, 1.0)
            begun = each.planned >= FIRST_VISITS
            found[id] = (begun, each.planned / against if begun else each.planned)
        return found
