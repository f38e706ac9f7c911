"""The visits of the next pass, and their length: time goes to open questions where a second helps most."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

import msgspec

from gradbench.measure.goal import Goal
from gradbench.measure.leave_out import LONG
from gradbench.measure.variance import SHORTEST_SLICE, Scatter, best_slice
from gradbench.record.plan import Comparison, Plan
from gradbench.record.undecided import Question
from gradbench.record.visits import Visit

# Every comparison gets this many visits before any gets more. With fewer visits the few degrees of freedom
# alone make an interval wide.
FIRST_VISITS = 5
# A pass lasts this many times the start of its process.
PASS_PER_START = 8.0
# A process starts only if the budget holds this many times its start.
WORTH_A_START = 2.0
# A pass lasts at least this many starts of its process. If needed, it visits comparisons without open
# questions.
LEAST_PER_START = 5.0
# The rounds of a visit take at most this many times its other work. Longer rounds gain little, and visits of
# one length make the best mean.
PER_OTHER = 8.0
# Every third visit has all variants, so that a variant that was decided while it was an outlier stays under
# measurement.
WHOLE_EVERY = 3
# The limit of visits for a comparison with an open question, as a multiple of the visits that are enough.
MORE_WHERE_OPEN = 3.0
# Limits of the worth of a comparison against the median one, for any noise.
LEAST_WORTH, MOST_WORTH = 0.5, 3.0


# Ranks in a pass. First come comparisons that lack first visits. Then come questions that the budget decides,
# or all comparisons before the first question. Then come questions that it does not decide, and then the
# rest.
_FIRST, _OPEN, _BEYOND, _SETTLED = range(4)

# By comparison id the names of the variants that open questions need; None for all of them.
Focus = dict[str, frozenset[str] | None]


@dataclass(frozen=True)
class Share:
    """A visit of the next pass: `seconds` of rounds."""

    comparison: Comparison
    seconds: float


class Schedule:
    """Chooses the visits of passes, by the price and the scatter of the visits so far.

    Attributes:
        startup: seconds that a process takes to start, as the last ones did.
    """

    def __init__(
        self, plan: Plan, goal: Goal, visits: Iterable[Visit] = (), calls: Mapping[str, float] = {}
    ) -> None:
        """Go on from these visits. `calls` are known seconds of a call, by comparison id."""
        self._plan = plan
        self._goal = goal
        self._calls = calls
        self._scatter = {each.id: Scatter() for each in plan.comparisons}
        self.startup = 2.0
        self._begun = False
        self._given_up: set[str] = set()
        self._questions: tuple[Question, ...] | None = None
        # By comparison id and variant, the visits planned since the last questions.
        self._since: dict[str, Counter[str]] = {id: Counter() for id in self._scatter}
        self._names = {each.id: frozenset(one.name for one in each.variants) for each in plan.comparisons}
        for visit in visits:
            if visit.comparison in self._scatter:
                self._scatter[visit.comparison].planned += 1
                self._begun = True
                self.heard(visit)

    def heard(self, visit: Visit) -> None:
        """Take in a visit."""
        self._scatter[visit.comparison].add(visit)

    def ask(self, questions: tuple[Question, ...] | None) -> None:
        """Visit from now on the comparisons that decide these questions; None for all comparisons alike."""
        self._questions = questions
        self._since = {id: Counter() for id in self._scatter}

    def least(self, comparison: Comparison) -> float:
        """Seconds of the shortest useful visit of a comparison."""
        known, call = self._scatter[comparison.id], self._calls.get(comparison.id, 0.0)
        if known.visits and call > LONG:
            # Later visits execute the baseline once before their round.
            return call + known.round
        # Before a first visit: two executions of the baseline and of another variant.
        return known.least if known.visits else max(known.least, 4 * call)

    def fixed(self, comparisons: Iterable[Comparison], seconds: float | None) -> list[Share]:
        """Visits of all these comparisons, in equal slices: the goal's, or as `seconds` in all allow."""
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
            beside: number of passes at the same time.
            among: ids of the comparisons that may be visited; None for all.
        """
        focus, open_ = self._focus(left * beside), self._open()
        eligible = [each for each in self._wanted(open_) if among is None or each.id in among]
        if not eligible or (self._begun and left < WORTH_A_START * self.startup):
            return []
        between = self._between()
        slices = self._slices(between, left, beside)
        rank = self._rank(between, slices, focus, open_)
        passes = max(1, round(left / (PASS_PER_START * self.startup + self.startup)))
        room = left / passes - self.startup
        # Once a pass has lasted this many starts, it gets no visit that the budget does not decide.
        enough = room - LEAST_PER_START * self.startup
        needed = {**open_, **(focus or {})}
        chosen: list[Share] = []
        for each in sorted(eligible, key=lambda each: rank[each.id]):
            if chosen and room <= enough and focus and rank[each.id][0] > _OPEN:
                break
            share = self._share(each, slices[each.id], needed)
            cost = self.least(each)
            if self._calls.get(each.id, 0.0) <= LONG:
                cost = max(cost, self._scatter[each.id].other + share.seconds)
            if chosen and cost > room:
                continue
            if cost > left - self.startup and self.least(each) > left - self.startup:
                continue
            chosen.append(share)
            room -= cost
            if room <= 0:
                break
        if not chosen and not self._begun:
            # A report needs at least one visit.
            chosen = [Share(eligible[0], SHORTEST_SLICE)]
        self._begun = True
        for share in chosen:
            self._scatter[share.comparison.id].planned += 1
            self._since[share.comparison.id].update(_names(share.comparison))
        return chosen

    def _share(self, each: Comparison, seconds: float, needed: Focus) -> Share:
        """A visit of the comparison, only with the variants that its questions need."""
        names = needed.get(each.id)
        planned = self._scatter[each.id].planned
        whole = planned < FIRST_VISITS or planned % WHOLE_EVERY == 0
        # A visit with long calls has the variants for which there is time.
        if names is None or whole or self._calls.get(each.id, 0.0) > LONG:
            return Share(each, seconds)
        kept = tuple(one for one in each.variants if one.role != "method" or one.name in names)
        part = len(kept) / len(each.variants)
        # The same number of rounds takes less time; a part of the saving goes into more rounds.
        seconds = max(SHORTEST_SLICE, seconds * math.sqrt(part))
        return Share(msgspec.structs.replace(each, variants=kept), seconds)

    def _focus(self, seconds: float) -> Focus | None:
        """The needs of open questions; None before the first questions.

        The questions with the lowest price for their worth come first, as many as `seconds` of work decide.
        """
        if self._questions is None:
            return None
        left = seconds * PASS_PER_START / (PASS_PER_START + 1)
        focus: Focus = {}
        # By comparison the visits for the questions so far. Further questions there share them.
        paid: dict[str, int] = {}
        for question in sorted(self._questions, key=lambda each: self._cost(each, {}) / each.worth):
            cost = self._cost(question, paid)
            if self._cost(question, {}) == 0 or cost > left:
                continue
            left -= cost
            for id in question.takes:
                paid[id] = max(paid.get(id, 0), self._more(question, id))
            _add(focus, question)
        return focus

    def _open(self) -> Focus:
        """The needs of all questions that lack visits, whether the budget decides them or not."""
        found: Focus = {}
        for question in self._questions or ():
            if self._cost(question, {}) > 0:
                _add(found, question)
        return found

    def _cost(self, question: Question, paid: Mapping[str, int]) -> float:
        """Seconds of the visits that a question still takes, beyond those of other questions."""
        return sum(
            max(0, self._more(question, id) - paid.get(id, 0))
            * (self._scatter[id].other + self._scatter[id].seconds)
            for id in question.takes
        )

    def _more(self, question: Question, id: str) -> int:
        """The visits of a comparison that a question still takes."""
        since = self._since[id]
        names = question.variants.get(id, self._names[id])
        # Any visit serves a question that only needs the baseline and its twin.
        made = min(since[name] for name in names) if names else max(since.values(), default=0)
        return max(0, question.takes[id] - made)

    def missed(self, comparison: Comparison) -> None:
        """Take back a planned visit that is not made."""
        self._scatter[comparison.id].planned -= 1
        self._since[comparison.id].subtract(_names(comparison))

    def give_up(self, comparison: Comparison) -> None:
        """Plan no more visits of a comparison."""
        self._given_up.add(comparison.id)

    def fewest(self) -> int:
        """The number of visits of the comparison with the fewest."""
        return min((each.visits for each in self._scatter.values()), default=0)

    def complete(self) -> bool:
        """Whether no comparison lacks a visit."""
        return not self._wanted({})

    def _wanted(self, open_: Focus) -> list[Comparison]:
        """The comparisons that lack visits."""
        most = math.inf if self._goal.visits is None else self._goal.visits
        return [
            each
            for each in self._plan.comparisons
            if each.id not in self._given_up
            and self._scatter[each.id].planned < most * (MORE_WHERE_OPEN if each.id in open_ else 1.0)
        ]

    def _between(self) -> dict[str, float]:
        known = {id: each.between for id, each in self._scatter.items()}
        pooled = statistics.median([each for each in known.values() if each is not None] or [1e-5])
        return {id: pooled if each is None else each for id, each in known.items()}

    def _slices(self, between: Mapping[str, float], left: float, beside: int) -> dict[str, float]:
        """Seconds of rounds by comparison: the best length, or less where FIRST_VISITS of all do not fit."""
        best, around, missing = {}, 0.0, {}
        for id, each in self._scatter.items():
            # All visits of a process share its start.
            other = each.other + self.startup / len(self._scatter)
            longest = min(self._goal.slice, PER_OTHER * other)
            best[id] = best_slice(other, each.within, between[id], longest)
            missing[id] = max(0, FIRST_VISITS - each.planned)
            around += missing[id] * each.other
        # A ninth of all the time goes into starts of processes.
        room = left * beside * PASS_PER_START / (PASS_PER_START + 1) - around
        wanted = sum(missing[id] * seconds for id, seconds in best.items())
        part = min(1.0, room / wanted) if wanted > 0 else 1.0
        return {id: max(SHORTEST_SLICE, part * seconds) for id, seconds in best.items()}

    def _rank(
        self,
        between: Mapping[str, float],
        slices: Mapping[str, float],
        focus: Focus | None,
        open_: Focus,
    ) -> dict[str, tuple[int, float]]:
        """The sort key: first visits, then questions that the budget decides, then few visits by worth."""
        worth = {}
        for id, each in self._scatter.items():
            variance = between[id] + each.within / slices[id]
            worth[id] = math.sqrt(max(variance, 1e-12) / (each.other + slices[id]))
        middle = statistics.median(worth.values())
        found: dict[str, tuple[int, float]] = {}
        for id, each in self._scatter.items():
            against = min(MOST_WORTH, max(LEAST_WORTH, worth[id] / middle))
            if each.planned < FIRST_VISITS:
                found[id] = _FIRST, each.planned
            elif focus is None or id in focus:
                found[id] = _OPEN, each.planned / against
            else:
                found[id] = _BEYOND if id in open_ else _SETTLED, each.planned / against
        return found


def _names(comparison: Comparison) -> list[str]:
    return [each.name for each in comparison.variants]


def _add(focus: Focus, question: Question) -> None:
    """Add the needs of a question."""
    for id in question.takes:
        names, known = question.variants.get(id), focus.get(id, frozenset())
        focus[id] = None if names is None or known is None else known | names
