"""The questions of claims to the results. A question finds the cases that it can, and gives their figures."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

from gradbench import format
from gradbench.analyse.claims.amount import Amount
from gradbench.analyse.claims.case import Case
from gradbench.analyse.claims.claim import Claim, Question, Topic
from gradbench.analyse.claims.deciding import range_of
from gradbench.analyse.claims.decision import (
    AS_SEEN,
    NOT_SLOWER,
    case_of,
    confidence_of,
    decided,
    more_passes,
    opened,
    within,
)
from gradbench.analyse.model import ComparisonSummary, RunSummary, VariantSummary
from gradbench.analyse.stats import geometric, has_quartile, quartile, wider
from gradbench.record.interval import Interval
from gradbench.record.observation import Observation, Value


def comparisons(
    summary: RunSummary, names: Sequence[str], sizes: Sequence[str] = ()
) -> Iterator[ComparisonSummary]:
    """The comparisons of these workloads (or parts, such as `freeze.training`) at these classes of size."""
    for each in summary.comparisons:
        own = each.comparison
        if (own.name in names or own.workload in names) and (not sizes or own.size in sizes):
            yield each


def _of_each(
    names: Sequence[str], sizes: Sequence[str], case: Callable[[ComparisonSummary], Case | None]
) -> Question:
    """The question that takes these comparisons one by one; None is no case."""
    return lambda summary: [
        found for each in comparisons(summary, names, sizes) if (found := case(each)) is not None
    ]


def ratio(
    names: Sequence[str],
    one: str,
    other: str,
    bounds: tuple[float, float],
    sizes: Sequence[str] = (),
    named: bool = False,
) -> Question:
    """Is the ratio of the times of two variants between these bounds?

    `named`: the short figure names the other variant, because the claim has several rivals.
    """

    def case(each: ComparisonSummary) -> Case | None:
        found = each.time_ratios.get((one, other))
        a, b = each.variant(one), each.variant(other)
        if found is None or a is None or b is None:
            return None
        says = f"{a.label} takes {format.ratio_with_ends(found)} times as long as {b.label}"
        shown = Amount(found.mean, found.mean, "times", rival=b.label if named else "", subject=a.label)
        decisive = wider(found, confidence_of(each), logarithms=True)
        return decided(each, decisive, bounds, says, (one, other), shown)

    return _of_each(names, sizes, case)


def best(names: Sequence[str], method: str, rivals: Sequence[str], sizes: Sequence[str] = ()) -> Question:
    """Is no rival faster than the method, by more than a margin?"""
    others = [rival for rival in rivals if rival != method]
    ratios = [ratio(names, method, rival, NOT_SLOWER, sizes, len(others) > 1) for rival in others]
    return every(*ratios, figure_of=_highest)


def _highest(cases: Sequence[Case]) -> tuple[Amount | None, str]:
    """The largest of several amounts: the figure against the fastest rival."""
    found = [case for case in cases if case.amount is not None]
    if not found:
        return range_of(cases)
    case = max(found, key=lambda case: case.amount.high if case.amount else 0.0)
    return case.amount, case.figure


def smallest(names: Sequence[str], method: str, rivals: Sequence[str], sizes: Sequence[str] = ()) -> Question:
    """Does no rival peak at fewer bytes than the method?"""

    def case(each: ComparisonSummary) -> Case | None:
        own = each.variant(method)
        peaks = {
            variant.label: variant.memory.peak
            for name in rivals
            if name != method and (variant := each.variant(name)) is not None and variant.memory is not None
        }
        if own is None or own.memory is None or not peaks:
            return None
        least = min(peaks, key=lambda label: peaks[label])
        peak = own.memory.peak
        says = f"{own.label} peaks at {format.size(peak)} and {least} at {format.size(peaks[least])}"
        shown = (
            Amount(peak / peaks[least], peak / peaks[least], "times", "the peak of", least)
            if peaks[least]
            else Amount(peak, peak, "B", "at the peak")
        )
        return case_of(each, peak <= peaks[least], says, shown)

    return _of_each(names, sizes, case)


def seconds(
    names: Sequence[str], method: str, bounds: tuple[float, float], sizes: Sequence[str] = ()
) -> Question:
    """Is the time of an undisturbed call between these bounds, in seconds?"""

    def case(each: ComparisonSummary) -> Case | None:
        variant = each.variant(method)
        if variant is None or not variant.seconds:
            return None
        found = _undisturbed(each, variant, len(variant.seconds))
        says = f"{variant.label} takes {format.seconds(found.mean)}"
        if has_quartile(found.count, confidence_of(each)):
            says += " (the lower quartile of its passes)"
        return decided(each, found, bounds, says, (method,), Amount(found.mean, found.mean, "s"))

    return _of_each(names, sizes, case)


def _undisturbed(each: ComparisonSummary, variant: VariantSummary, fewest: int) -> Interval:
    """Seconds of an undisturbed call, by a statistic for `fewest` passes, at the deciding confidence."""
    confidence = confidence_of(each)
    seconds = list(variant.seconds.values())
    if has_quartile(fewest, confidence):
        return quartile(seconds, confidence)
    found = geometric(seconds)
    assert found is not None
    return wider(found, confidence, logarithms=True)


def grows(
    label: str,
    names: Sequence[str],
    method: str,
    exponents: tuple[float, float],
    added: bool = False,
) -> Question:
    """Does a cost grow with a power of the number of elements between these, over the sizes measured?

    `added`: the cost is the time above the baseline, and not the whole time.
    """

    def ask(summary: RunSummary) -> list[Case]:
        found = {
            each.comparison.numel: (each, variant)
            for each in comparisons(summary, names)
            if (variant := each.variant(method)) is not None and variant.seconds
        }
        # Both times are of one kind, quartiles or means, or their ratio would mix the kinds.
        fewest = min((len(variant.seconds) for _, variant in found.values()), default=0)
        costs = {
            numel: cost
            for numel, (each, variant) in found.items()
            if (cost := _added(each, variant) if added else _undisturbed(each, variant, fewest)) is not None
            and cost.mean > 0
        }
        if len(costs) < 2:
            return []
        few, many = min(costs), max(costs)
        small, large, first, last = found[few][0], found[many][0], costs[few], costs[many]
        exponent = _exponent(first, last, math.log(many / few))
        says = (
            f"{label} costs {format.seconds(first.mean)} at {few:,} elements and "
            f"{format.seconds(last.mean)} at {many:,}, "
            f"{format.significant(last.mean / first.mean)} times for {many / few:,.0f} times the elements"
        )
        between = (small, large)
        holds = within(exponent, *exponents)
        visits = None if holds is not None else more_passes(exponent, *exponents, logarithms=False)
        passes = None if visits is None else math.ceil(visits * max(e.passes_per_visit for e in between))
        ids = tuple(each.comparison.id for each in between)
        shown = _growth(first, last, few, many)
        figure, amount = (
            (shown.words, shown) if holds is not None else opened(shown, _factor(exponent, many / few))
        )
        return [
            Case(
                label,
                holds,
                says,
                passes,
                among=ids,
                variants=(method,),
                visits=visits,
                figure=figure,
                amount=amount,
                place=small.comparison.name,
            )
        ]

    return ask


def _growth(first: Interval, last: Interval, few: int, many: int) -> Amount:
    """How many times as much the last cost is as the first."""
    times = last.mean / first.mean
    return Amount(times, times, "times", f"from {format.count(few)} to {format.count(many)}")


def _factor(exponent: Interval, steps: float) -> Interval | None:
    """The factor between two costs, by the interval of the exponent; None where the interval has no ends."""
    if exponent.low is None or exponent.high is None or math.isinf(exponent.high - exponent.low):
        return None
    return Interval(steps**exponent.mean, steps**exponent.low, steps**exponent.high, exponent.count)


def _added(each: ComparisonSummary, variant: VariantSummary) -> Interval | None:
    """Seconds above the baseline, at the confidence that decides cases."""
    return None if variant.extra is None else wider(variant.extra, confidence_of(each), logarithms=False)


def _exponent(first: Interval, last: Interval, steps: float) -> Interval:
    """The power of the number of elements, between the ends of both intervals.

    The low end of an added time may be 0 or less: the other end then bounds the power.
    """
    middle = math.log(last.mean / first.mean) / steps
    if None in (first.low, first.high, last.low, last.high):
        return Interval(middle, None, None, first.count)
    least, most, low, high = (
        -math.inf if end is None or end <= 0 else math.log(end)
        for end in (first.low, first.high, last.low, last.high)
    )
    return Interval(middle, (low - most) / steps, (high - least) / steps, first.count)


# Every figure of bytes in a few words: alone, and relative to another variant.
_BYTES = {"allocated": "allocated", "peak": "at the peak", "retained": "kept", "graph": "in the graph"}
_RELATIVE = {
    "allocated": "the bytes allocated",
    "peak": "the peak",
    "retained": "the bytes kept",
    "graph": "the bytes of the graph",
}


def memory(
    names: Sequence[str],
    one: str,
    field: str,
    bounds: tuple[float, float],
    other: str = "",
    sizes: Sequence[str] = (),
) -> Question:
    """Is a figure of memory (in bytes, or relative to that of another variant) between these bounds?"""

    def case(each: ComparisonSummary) -> Case | None:
        a, b = each.variant(one), each.variant(other) if other else None
        if a is None or a.memory is None or (other and (b is None or b.memory is None)):
            return None
        value = getattr(a.memory, field)
        if value is None or (field == "graph" and not a.definition.keeps_graph):
            return None
        says = f"{a.label}: {field} {format.size(value)}"
        shown = Amount(value, value, "B", _BYTES[field], subject=a.label)
        if b is not None and b.memory is not None:
            base = getattr(b.memory, field)
            says += f", against {format.size(base)} of {b.label}"
            if not base:
                return None
            value /= base
            if value:
                shown = Amount(value, value, "times", _RELATIVE[field], subject=a.label)
        holds = bounds[0] <= value <= bounds[1]
        return case_of(each, holds, says, shown)

    return _of_each(names, sizes, case)


def observed(
    trait: str, method: str, expected: Callable[[dict[str, Value]], bool], says: str, figure: str = ""
) -> Question:
    """Was a trait observed as expected? `says` is filled in with the observed values.

    `figure` is a shorter text, filled in likewise: the values that decide. Without it `says` is the figure.
    """

    def ask(summary: RunSummary) -> list[Case]:
        for each in summary.results.observations:
            if (each.trait, each.method) == (trait, method):
                return [_observed(each, expected, says, figure or says)]
        return []

    return ask


def seen_claim(
    id: str,
    says: str,
    source: str,
    trait: str,
    expected: Callable[[dict[str, Value]], bool],
    shows: str,
    method: str = "",
    tolerance: str = AS_SEEN,
    topic: Topic | Literal[""] = "",
    figure: str = "",
) -> Claim:
    """A claim on a trait that a probe observed; `shows` is filled in with the observed values.

    `method` is empty for a probe of no method. `figure` is as for `observed`.
    """
    return Claim(id, says, source, observed(trait, method, expected, shows, figure), tolerance, topic=topic)


def _observed(
    each: Observation, expected: Callable[[dict[str, Value]], bool], says: str, figure: str
) -> Case:
    place = f"{each.trait} of {each.method}" if each.method else each.trait
    if each.error:
        return Case(place, None, f"the probe failed: {each.error}", figure="the probe failed")
    try:
        shown = {name: _shown(value) for name, value in each.observed.items()}
        holds = bool(expected(each.observed))
        short = {name: _short(value) for name, value in each.observed.items()}
        return Case(place, holds, says.format(**shown), figure=figure.format(**short))
    except KeyError as missing:
        unseen = f"the probe saw nothing of {missing}"
        return Case(place, None, unseen, figure=unseen)


def _shown(value: Value) -> str:
    """An observed value for readers; numbers have four digits, or are whole."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    return "nothing" if value in ("", None) else str(value)


def _short(value: Value) -> str:
    """An observed value in a short figure: three digits, with separators of thousands."""
    if isinstance(value, float):
        return f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else _shown(value)


def every(
    *questions: Question,
    figure_of: Callable[[Sequence[Case]], tuple[Amount | None, str]] = range_of,
) -> Question:
    """All of these at once: where one fails, the whole fails. A place is one case, with all its figures.

    `figure_of` makes the one figure of a place from the cases that decide it.

    Where one question found no case at all, the others alone do not make the claim true.
    """

    def ask(summary: RunSummary) -> list[Case]:
        places: dict[str, list[Case]] = {}
        found = [question(summary) for question in questions]
        for case in (case for each in found for case in each):
            places.setdefault(case.where, []).append(case)
        if not all(found):
            for place, cases in places.items():
                cases.append(
                    Case(place, None, "the rest was not measured", figure="the rest was not measured")
                )
        merged = []
        for place, cases in places.items():
            holds = _all([case.holds for case in cases])
            says = "; ".join(case.says for case in cases)
            open_ = [case for case in cases if case.holds is None] if holds is None else []
            amount, figure = figure_of([case for case in cases if case.holds is holds])
            merged.append(
                Case(
                    place,
                    holds,
                    says,
                    _most([case.passes for case in open_]),
                    cases[0].comparison,
                    cases[0].among,
                    tuple(dict.fromkeys(name for case in open_ for name in case.variants)),
                    _most([case.visits for case in open_]),
                    figure,
                    amount,
                    cases[0].place,
                )
            )
        return merged

    return ask


def _most(wanted: Sequence[int | None]) -> int | None:
    """The most that one of them takes; None where one is not known."""
    known = [each for each in wanted if each is not None]
    return max(known) if known and len(known) == len(wanted) else None


def _all(known: Sequence[bool | None]) -> bool | None:
    if False in known:
        return False
    return None if None in known else True


def each_of(*questions: Question) -> Question:
    """These questions side by side: the claim may hold for one and not for another."""
    return lambda summary: [case for question in questions for case in question(summary)]
