"""From trials of releases to figures: times against the first release, and the price of a method."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path

from gradbench.analyse import stats
from gradbench.record.interval import Interval
from gradbench.record.plan import Comparison
from gradbench.versus.judge import Judged, VariantOutcome, installation_spread, judge_trial
from gradbench.versus.records import read_trial


@dataclass(frozen=True)
class Study:
    """The trials by the name of their folder, in order."""

    trials: dict[str, Judged]

    @property
    def first(self) -> str:
        """The label of the release that most trials begin with."""
        labels = [labels_of(each)[0] for each in self.trials.values()]
        return max(labels, key=labels.count)

    @property
    def against_first(self) -> list[Judged]:
        """The trials that begin with the first release."""
        return [each for each in self.trials.values() if labels_of(each)[0] == self.first]

    @property
    def comparisons(self) -> list[Comparison]:
        """The comparisons of a trial against the first release, in the order of the plan."""
        return list({each.comparison.id: each.comparison for each in self.variants}.values())

    @property
    def variants(self) -> tuple[VariantOutcome, ...]:
        """The variants of a trial against the first release, in the order of the plan."""
        return self.against_first[0].variants


def read(data: Path) -> Study:
    """The trials under a folder, one in each of its folders. Raises as `read_trial` does."""
    folders = [path for path in sorted(data.iterdir()) if path.is_dir()]
    return Study({path.name: judge_trial(read_trial(path)) for path in folders})


def labels_of(judged: Judged) -> tuple[str, str]:
    """The labels of the sides, A and B."""
    a, b = judged.trial.header.sides
    return a.label, b.label


def outcome(judged: Judged, comparison: str, variant: str) -> VariantOutcome | None:
    """One variant of a trial; None where it was not in it."""
    key = comparison, variant
    return next((each for each in judged.variants if (each.comparison.id, each.name) == key), None)


def holds_one(interval: Interval) -> bool:
    """Whether an interval on a ratio allows that there is no difference."""
    return interval.low is not None and interval.high is not None and interval.low <= 1 <= interval.high


@dataclass(frozen=True)
class Prices:
    """The price of a method relative to its baseline, on both sides of a trial.

    Attributes:
        a, b: time of the variant ÷ time of its baseline, on side A and on side B.
        change: b ÷ a, made per pair. A drift that both variants of a side share cancels. The interval
            includes the difference between installations for both variants.
    """

    a: Interval
    b: Interval
    change: Interval


def prices(judged: Judged, comparison: str, variant: str, baseline: str) -> Prices | None:
    """The price of a method on both sides; None where it was not measured in two pairs."""
    pairs = [
        (visit.variants[variant], visit.variants[baseline])
        for visit in judged.trial.visits
        if visit.comparison == comparison and {variant, baseline} <= visit.variants.keys()
    ]
    if len(pairs) < 2:
        return None
    a = [math.log(method.a / base.a) for method, base in pairs]
    b = [math.log(method.b / base.b) for method, base in pairs]
    common = math.sqrt(2) * installation_spread(judged.trial)
    change = stats.interval([after - before for before, after in zip(a, b, strict=True)], common=common)
    found = (stats.interval(a), stats.interval(b), change)
    return Prices(*(each.map(math.exp) for each in found if each is not None))


def closures(study: Study) -> list[tuple[VariantOutcome, Interval]]:
    """For each variant, how far (first → middle) × (middle → last) ÷ (first → last) is from 1.

    The trials are independent. If 95 % of these intervals hold 1, the intervals of the trials miss nothing.
    """
    trials = {labels_of(each): each for each in study.trials.values()}
    labels = dict.fromkeys(label for sides in trials for label in sides)
    found = []
    for start, middle, end in permutations(labels, 3):
        steps = [trials.get(sides) for sides in ((start, middle), (middle, end), (start, end))]
        whole = steps[-1]
        if whole is None or None in steps:
            continue
        for variant in whole.variants:
            key = variant.comparison.id, variant.name
            outcomes = [outcome(step, *key) for step in steps if step is not None]
            ratios = [each.ratio for each in outcomes if each is not None and each.ratio is not None]
            if len(ratios) == 3 and all(each.low is not None for each in ratios):
                found.append((variant, _closed(ratios)))
    return found


def _closed(ratios: list[Interval]) -> Interval:
    """The product of the first two over the third, with the root of the sum of squares as its reach."""
    logs = [math.log(each.mean) for each in ratios]
    reach = math.hypot(*(math.log(each.high / each.mean) for each in ratios if each.high is not None))
    mean = logs[0] + logs[1] - logs[2]
    count = min(each.count for each in ratios)
    return Interval(mean, mean - reach, mean + reach, count).map(math.exp)
