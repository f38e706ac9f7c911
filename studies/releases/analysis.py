"""From trials of releases to figures: times against the first release, and the price of a method."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from gradbench.analyse import stats
from gradbench.record.interval import Interval
from gradbench.versus.judge import Judged, VariantOutcome, installation_spread, judge_trial
from gradbench.versus.records import PairTime, read_trial


@dataclass(frozen=True)
class Prices:
    """What a method costs relative to no control needed, on each side of a trial.

    Attributes:
        a, b: time of the variant ÷ time of its baseline, on side A and on side B.
        change: b ÷ a, made per pair; whatever both variants of a side share cancels. Each of the two variants
            has what installations differ by.
    """

    comparison: str
    variant: str
    a: Interval
    b: Interval
    change: Interval


@dataclass(frozen=True)
class Study:
    """The trials, by the folder that each lies in, in order.

    Attributes:
        first: the label of the side that the others are held against.
    """

    trials: dict[str, Judged]

    @property
    def first(self) -> str:
        """The label of the release that most trials begin with."""
        labels = [each.trial.header.sides[0].label for each in self.trials.values()]
        return max(labels, key=labels.count)

    @property
    def against_first(self) -> list[Judged]:
        """The trials that begin with the first release."""
        return [each for each in self.trials.values() if each.trial.header.sides[0].label == self.first]

    @property
    def variants(self) -> list[VariantOutcome]:
        """The variants of a trial against the first release, in the order of the plan."""
        return list(self.against_first[0].variants)


def read(data: Path) -> Study:
    """The trials under a folder, one in each of its own. Raises as `read_trial` does."""
    found = {path.name: judge_trial(read_trial(path)) for path in sorted(data.iterdir()) if path.is_dir()}
    return Study(found)


def outcome(judged: Judged, comparison: str, variant: str) -> VariantOutcome | None:
    """One variant of a trial."""
    return next(
        (
            each
            for each in judged.variants
            if (each.comparison.id, each.variant.name) == (comparison, variant)
        ),
        None,
    )


def prices(judged: Judged, comparison: str, variant: str, baseline: str) -> Prices | None:
    """The price of a method on both sides; None where it was not measured in two pairs."""
    found: list[tuple[float, float]] = []
    for visit in judged.trial.visits:
        if visit.comparison == comparison and {variant, baseline} <= visit.variants.keys():
            own, other = visit.variants[variant], visit.variants[baseline]
            found.append((_log(own, other, "a"), _log(own, other, "b")))
    if len(found) < 2:
        return None
    shared = math.sqrt(2) * installation_spread(judged.trial)
    columns = ([a for a, _ in found], 0.0), ([b for _, b in found], 0.0), ([b - a for a, b in found], shared)
    intervals = [
        each.map(math.exp)
        for values, common in columns
        if (each := stats.interval(values, common=common)) is not None
    ]
    return Prices(comparison, variant, *intervals)


def _log(one: PairTime, other: PairTime, side: str) -> float:
    return math.log(getattr(one, side) / getattr(other, side))


@dataclass(frozen=True)
class Closure:
    """Three trials between three releases: two steps, and both at once; the product of all should be 1."""

    variant: VariantOutcome
    product: Interval


def closures(study: Study) -> list[Closure]:
    """For each variant, how far (first → middle) × (middle → last) ÷ (first → last) is from 1.

    The trials are independent, so this tells what their intervals leave out: nothing, if 95 % of these
    intervals hold 1.
    """
    sides = {tuple(side.label for side in each.trial.header.sides): each for each in study.trials.values()}
    found = []
    for (start, middle), one in sides.items():
        for (begin, end), two in sides.items():
            whole = sides.get((start, end))
            if middle != begin or whole is None:
                continue
            for variant in whole.variants:
                key = (variant.comparison.id, variant.variant.name)
                parts = [outcome(each, *key) for each in (one, two, whole)]
                ratios = [each.ratio for each in parts if each is not None and each.ratio is not None]
                if len(ratios) == 3 and all(each.low is not None for each in ratios):
                    found.append(Closure(variant, _closed(ratios)))
    return found


def _closed(ratios: list[Interval]) -> Interval:
    """The product of the first two over the third, with the root of the sum of squares as its reach."""
    logs = [math.log(each.mean) for each in ratios]
    reaches = [math.log(each.high / each.mean) for each in ratios if each.high is not None]
    mean, reach = logs[0] + logs[1] - logs[2], math.hypot(*reaches)
    count = min(each.count for each in ratios)
    return Interval(mean, mean - reach, mean + reach, count).map(math.exp)
