"""Whether a figure of a comparison agrees with a claim: by its whole interval, or it is open."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from gradbench import format
from gradbench.analyse.claims.amount import Amount
from gradbench.analyse.claims.case import Case
from gradbench.analyse.model import ComparisonSummary
from gradbench.analyse.spending import FEWEST_TO_SETTLE
from gradbench.record.interval import Interval

# A smaller difference counts as none: a fifth of the smallest difference that the guide claims. Five minutes
# resolve it at a million elements.
MARGIN = 0.02

# The interval at this confidence decides a case: the claims have some 150 cases together. A case should not
# be decided where the table, corrected for all of its variants, leaves the difference open.
DECISIVE = 0.999

# Tolerances that several claims share.
BY_MARGIN = "2 %, a fifth of the smallest difference that the guide claims"
EXACTLY = "none: bytes are counted exactly"
AS_SEEN = "none: the probe sees it or not"

FASTER = 0.0, 1 / (1 + MARGIN)
NOT_SLOWER = 0.0, 1 + MARGIN
SAME = 1 / (1 + MARGIN), 1 + MARGIN
SLOWER = 1 + MARGIN, math.inf


def within(interval: Interval | None, low: float, high: float) -> bool | None:
    """Whether a figure lies between two bounds, by its interval; None where that crosses a bound.

    >>> within(Interval(1.2, 1.18, 1.22, 10), 1.1, 1.3), within(Interval(1.2, 1.0, 1.4, 10), 1.1, 1.3)
    (True, None)
    """
    if interval is None or interval.low is None or interval.high is None:
        return None
    if low <= interval.low and interval.high <= high:
        return True
    return False if interval.high < low or interval.low > high else None


def more_passes(interval: Interval | None, low: float, high: float, logarithms: bool = True) -> int | None:
    """How many more passes should take the interval off the bound that it crosses.

    The width falls with the root of the number of passes. None where the middle is on the bound, or where
    there is no interval. As many passes again where the interval has no end, or has too few passes for its
    width to be reliable. `logarithms`: the interval was made of the logarithms of the values.
    """
    if interval is None or interval.low is None or interval.high is None:
        return None
    if (logarithms and interval.low <= 0) or math.isinf(interval.high - interval.low):
        return interval.count
    scale: Callable[[float], float] = math.log if logarithms else float
    least = 0.0 if logarithms else -math.inf
    gaps = [abs(scale(interval.mean) - scale(bound)) for bound in (low, high) if least < bound < math.inf]
    half = (scale(interval.high) - scale(interval.low)) / 2
    if not gaps or min(gaps) < half / 30:
        return interval.count if gaps and interval.count < FEWEST_TO_SETTLE else None
    return max(1, math.ceil(interval.count * ((half / min(gaps)) ** 2 - 1)))


def decided(
    each: ComparisonSummary,
    decisive: Interval,
    bounds: tuple[float, float],
    says: str,
    variants: tuple[str, ...],
    amount: Amount,
) -> Case:
    """Whether a figure of these variants lies between bounds; for an open case, the passes that decide it.

    The interval has the confidence that decides cases (`confidence_of`). `amount` is its middle; the figure
    of an open case is the whole interval.
    """
    holds = within(decisive, *bounds)
    visits = None if holds is not None else more_passes(decisive, *bounds)
    passes = None if visits is None else math.ceil(visits * each.passes_per_visit)
    found = replace(case_of(each, holds, says, amount, passes), variants=variants, visits=visits)
    if holds is not None:
        return found
    figure, whole = opened(amount, decisive)
    return replace(found, figure=figure, amount=whole)


def opened(amount: Amount, decisive: Interval | None) -> tuple[str, Amount | None]:
    """The figure of an open case: its whole interval; the middle where the interval has no ends."""
    if decisive is None or decisive.low is None or decisive.high is None or math.isinf(decisive.high):
        return f"{amount.words} (no interval)", None
    whole = replace(amount, low=max(0.0, decisive.low), high=decisive.high, open=True)
    return whole.words, whole


def case_of(
    each: ComparisonSummary, holds: bool | None, says: str, amount: Amount, passes: int | None = None
) -> Case:
    """The case of a claim in a comparison; `says` are the figures, without the place."""
    return Case(
        where(each),
        holds,
        f"{says} in {where(each)}",
        passes,
        each.comparison.id,
        figure=amount.words,
        amount=amount,
        place=f"{each.comparison.name} {format.count(each.comparison.numel)}",
    )


def confidence_of(each: ComparisonSummary) -> float:
    """The confidence at which the intervals of a comparison decide cases."""
    return 1 - (1 - DECISIVE) * each.part


def where(each: ComparisonSummary) -> str:
    return f"{each.comparison.name} at {format.counted(each.comparison.numel, 'element')}"
