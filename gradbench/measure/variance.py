"""The price of the visits of a comparison, and their scatter: within a visit, and between processes.

A visit of t seconds estimates a log-ratio with the variance b + w/t: b between processes, w/t within. With o
seconds around its rounds, the variance that a second of work buys is least for t = √(o·w/b) (Kalibera and
Jones 2013). Hosts differ in both. Where calls are interrupted, w is large and visits are long. On a quiet
host visits are short and many.
"""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from dataclasses import dataclass, field

from gradbench.record.visits import Visit

# A visit shorter than this is mostly overhead.
SHORTEST_SLICE = 0.1
# With fewer visits a variance between processes is too uncertain, and the median over comparisons takes its
# place.
FEW = 4
# The last visits, this many, give the price of the next one; some of them have all variants.
LATEST = 6
# A visit of fewer rounds does not show their scatter.
FEWEST_WITH_ERROR = 3
# Assumptions before the first visits: 1 % between processes, and within a tenth of a second.
_SUPPOSED = 1e-4


@dataclass
class _Spread:
    """The variance of values that come one by one (Welford 1962)."""

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0

    def add(self, value: float) -> None:
        self.count += 1
        apart = value - self.mean
        self.mean += apart / self.count
        self.squares += apart * (value - self.mean)

    @property
    def variance(self) -> float:
        return self.squares / (self.count - 1)


@dataclass
class Scatter:
    """The visits of a comparison so far.

    Attributes:
        planned: number of visits that are made or in progress.
    """

    planned: int = 0
    visits: int = 0
    # For the last visits the number of variants, the seconds around the rounds, and the seconds of a round.
    _last: list[tuple[int, float, float]] = field(default_factory=list)
    _seconds: list[float] = field(default_factory=list)
    _errors: list[float] = field(default_factory=list)
    _twin: _Spread = field(default_factory=_Spread)
    _ratios: dict[str, _Spread] = field(default_factory=lambda: defaultdict(_Spread))
    _inverse: float = 0.0

    def add(self, visit: Visit) -> None:
        """Take in a visit."""
        self.visits += 1
        # The first visit of a process pays for its imports; the latest visits predict the next.
        round = visit.timed_seconds / max(1, visit.rounds)
        self._last = [*self._last[1 - LATEST :], (len(visit.variants), visit.other_seconds, round)]
        # The quartiles of one or two rounds do not show scatter.
        if visit.rounds >= FEWEST_WITH_ERROR:
            self._errors.append(visit.error**2 * visit.timed_seconds)
        for name, variant in visit.variants.items():
            if name == "twin":
                # The true log-ratio of identical code is 0.
                self._twin.add(variant.log_ratio**2 * visit.timed_seconds)
            if name != "empty":
                self._ratios[name].add(variant.log_ratio)
        self._seconds = [*self._seconds[1 - LATEST :], visit.timed_seconds]
        self._inverse += 1 / visit.timed_seconds

    @property
    def other(self) -> float:
        """Seconds of a visit around its rounds, with all of its variants."""
        return statistics.median(other for other, _ in self._widest()) if self._last else SHORTEST_SLICE

    @property
    def round(self) -> float:
        """Seconds of a round with all variants, from the last visit."""
        return self._widest()[-1][1] if self._last else 0.0

    def _widest(self) -> list[tuple[float, float]]:
        """The last visits with the most variants, whose price predicts a whole visit."""
        most = max(count for count, _, _ in self._last)
        return [(other, round) for count, other, round in self._last if count == most]

    @property
    def seconds(self) -> float:
        """Seconds of the rounds of a visit, from the last visits."""
        return statistics.median(self._seconds) if self._seconds else SHORTEST_SLICE

    @property
    def least(self) -> float:
        """Seconds of the shortest useful visit."""
        return self.other + self.round

    @property
    def within(self) -> float:
        """The variance of a log-ratio after one second of rounds.

        Identical code differs from visit to visit only by this noise. That shows bursts which outlast a
        visit, and which its rounds do not show.
        """
        seen = statistics.median(self._errors) if self._errors else 0.0
        if self._twin.count >= FEW:
            return max(seen, self._twin.mean)
        return 2 * seen or _SUPPOSED * SHORTEST_SLICE

    @property
    def between(self) -> float | None:
        """The variance of a log-ratio between processes, for the median variant; None for few visits."""
        if self.visits < FEW:
            return None
        known = [each.variance for each in self._ratios.values() if each.count >= FEW]
        scatter = [each for each in known if each > 0]
        if not scatter:
            return 0.0
        noise = self.within * self._inverse / self.visits
        return max(0.0, statistics.median(scatter) - noise)


def best_slice(other: float, within: float, between: float, longest: float) -> float:
    """Seconds of rounds that make the most of a visit, from SHORTEST_SLICE to `longest`.

    >>> best_slice(other=0.1, within=4e-6, between=1e-5, longest=2.0)
    0.2
    """
    if within <= 0:
        return SHORTEST_SLICE
    best = math.sqrt(other * within / between) if between > 0 else longest
    return min(longest, max(SHORTEST_SLICE, best))
