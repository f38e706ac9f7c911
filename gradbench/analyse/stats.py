"""Statistics on plain numbers. The unit is the pass: one number per pass, never pooled rounds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy
from scipy.special import bdtr, ndtri, stdtr, stdtrit  # scipy.stats takes four times as long to import

from gradbench.record.interval import Interval

CONFIDENCE = 0.95


# The chance that a run of identical variants calls any of them different.
FAMILY = 0.01


POWER = 0.8

# The quantile of a call's times over passes that represents an undisturbed host.
QUARTILE = 0.25


def interval(values: Sequence[float], confidence: float = CONFIDENCE, common: float = 0.0) -> Interval | None:
    """Student's t-interval on the mean of independent values; None without any value.

    `common` is the standard deviation of an error that all values share, and so do not show.
    """
    count = len(values)
    if count == 0:
        return None
    mean = float(numpy.mean(values))
    if count == 1:
        return Interval(mean, None, None, 1)
    own = (
        float(stdtrit(count - 1, 0.5 + confidence / 2)) * float(numpy.std(values, ddof=1)) / math.sqrt(count)
    )
    reach = math.hypot(own, float(ndtri(0.5 + confidence / 2)) * common)
    return Interval(mean, mean - reach, mean + reach, count)


def geometric(values: Sequence[float]) -> Interval | None:
    """The geometric mean of independent positive values, with its interval."""
    return geometric_of_logs([math.log(value) for value in values])


def geometric_of_logs(logs: Sequence[float]) -> Interval | None:
    """The geometric mean with its interval, from the logarithms of the values."""
    found = interval(logs)
    return None if found is None else found.map(math.exp)


def quartile(seconds: Sequence[float], confidence: float = CONFIDENCE) -> Interval:
    """The lower quartile of independent times: a disturbance only adds time, in some passes to all calls.

    Its interval lies between two of the times in their order, for any distribution of the times. A binomial
    number of times lies below the quartile. `low` is 0 and `high` infinite where there are too few times.
    """
    ordered = [0.0, *sorted(seconds), math.inf]
    low, high = _around_quartile(len(seconds), confidence)
    return Interval(float(numpy.quantile(seconds, QUARTILE)), ordered[low], ordered[high], len(seconds))


def has_quartile(count: int, confidence: float = CONFIDENCE) -> bool:
    """Whether `count` times give a quartile with two ends."""
    low, high = _around_quartile(count, confidence)
    return low > 0 and high <= count


def _around_quartile(count: int, confidence: float) -> tuple[int, int]:
    """The places of the ordered times, from 1, around the quartile; 0 and `count` + 1 where there is none."""
    tail = (1 - confidence) / 2
    below = [float(bdtr(number, count, QUARTILE)) for number in range(count)]
    # `tail` limits the chance that fewer than `low` times, or `high` and more, lie below the quartile.
    low = sum(chance <= tail for chance in below)
    high = next((number + 1 for number, chance in enumerate(below) if 1 - chance <= tail), count + 1)
    return low, high


def intervals(samples: numpy.ndarray[Any, Any]) -> list[Interval | None]:
    """As `interval`, for every column of passes x columns; NaN marks a missing value."""
    count = numpy.sum(~numpy.isnan(samples), axis=0)
    divisor = numpy.maximum(count, 1)
    mean = numpy.nansum(samples, axis=0) / divisor
    squares = numpy.nansum((samples - mean) ** 2, axis=0)
    freedom = numpy.maximum(count - 1, 1)
    reach = stdtrit(freedom, 0.5 + CONFIDENCE / 2) * numpy.sqrt(squares / freedom / divisor)
    return [
        None
        if own == 0
        else Interval(middle, None, None, 1)
        if own == 1
        else Interval(middle, middle - half, middle + half, own)
        for own, middle, half in zip(count.tolist(), mean.tolist(), reach.tolist(), strict=True)
    ]


# The exponential of much more overflows.
_MOST_REACH = 600.0


def factor(log: float) -> float:
    """From a logarithm to a factor; the ends of an interval over two or three passes may overflow."""
    return math.exp(min(log, _MOST_REACH))


def wider(interval: Interval, confidence: float, logarithms: bool) -> Interval:
    """The interval of the same values at another confidence than CONFIDENCE.

    `logarithms`: it was made of the logarithms of the values, like the intervals of times and ratios.
    """
    if interval.low is None or interval.high is None or interval.count < 2:
        return interval
    freedom = interval.count - 1
    factor = float(stdtrit(freedom, 0.5 + confidence / 2) / stdtrit(freedom, 0.5 + CONFIDENCE / 2))
    if logarithms:
        reach = factor * (math.log(interval.high) - math.log(interval.low)) / 2
        # The interval of two values may overflow.
        if reach > _MOST_REACH:
            return Interval(interval.mean, 0.0, math.inf, interval.count)
        low, high = interval.mean * math.exp(-reach), interval.mean * math.exp(reach)
        return Interval(interval.mean, low, high, interval.count)
    half = factor * (interval.high - interval.low) / 2
    return Interval(interval.mean, interval.mean - half, interval.mean + half, interval.count)


def difference(values: Sequence[float], others: Sequence[float], confidence: float = CONFIDENCE) -> Interval:
    """Welch's interval (1947) on the difference of two means; the samples are independent, of two or more."""
    errors = [float(numpy.var(each, ddof=1)) / len(each) for each in (values, others)]
    mean = float(numpy.mean(values)) - float(numpy.mean(others))
    total = sum(errors)
    if total == 0:
        return Interval(mean, mean, mean, len(values) + len(others))
    freedom = total**2 / sum(
        error**2 / (len(each) - 1) for error, each in zip(errors, (values, others), strict=True)
    )
    reach = float(stdtrit(freedom, 0.5 + confidence / 2)) * math.sqrt(total)
    return Interval(mean, mean - reach, mean + reach, len(values) + len(others))


def smallest_visible(values: Sequence[float], confidence: float = CONFIDENCE) -> float | None:
    """The mean that a two-sided t-test on as many values, scattered like these, finds in 80 % of cases.

    None for fewer than two values.
    """
    count = len(values)
    if count < 2:
        return None
    quantiles = float(stdtrit(count - 1, 0.5 + confidence / 2)) + float(stdtrit(count - 1, POWER))
    return quantiles * float(numpy.std(values, ddof=1)) / math.sqrt(count)


def p_values(samples: numpy.ndarray[Any, Any], common: float = 0.0) -> numpy.ndarray[Any, Any]:
    """Two-sided p of a t-test that the mean is 0, for every column; NaN marks a missing value.

    p is 1 for fewer than two values, which show nothing. `common` is the standard deviation of an error that
    the values of a column share, and so do not show.
    """
    count = numpy.sum(~numpy.isnan(samples), axis=0)
    enough = count >= 2
    filled = numpy.where(numpy.isnan(samples), 0.0, samples)
    divisor = numpy.maximum(count, 1)
    mean = filled.sum(axis=0) / divisor
    squares = numpy.where(numpy.isnan(samples), 0.0, (samples - mean) ** 2).sum(axis=0)
    error = numpy.hypot(numpy.sqrt(squares / numpy.maximum(count - 1, 1) / divisor), common)
    with numpy.errstate(divide="ignore", invalid="ignore"):
        t = numpy.abs(mean) / error
    # No scatter at all: a mean other than 0 is certain, a mean of 0 shows nothing.
    t = numpy.where(error == 0, numpy.where(mean == 0, 0.0, numpy.inf), t)
    result: numpy.ndarray[Any, Any] = numpy.where(
        enough, 2 * stdtr(numpy.maximum(count - 1, 1), -numpy.where(enough, t, 0.0)), 1.0
    )
    return result


def holm(p: numpy.ndarray[Any, Any]) -> numpy.ndarray[Any, Any]:
    """Adjusted p-values that keep the chance of any false alarm under the level (Holm 1979)."""
    order = numpy.argsort(p, kind="stable")
    scaled = p[order] * numpy.arange(len(p), 0, -1)
    adjusted = numpy.empty_like(p)
    adjusted[order] = numpy.minimum(1.0, numpy.maximum.accumulate(scaled))
    return adjusted


def above(samples: numpy.ndarray[Any, Any], level: float, least: float = 0.0) -> list[tuple[int, int]]:
    """The pairs of columns of which the first is shown to be more than the second, and by more than `least`.

    Samples are passes x columns, paired by row. Holm's method corrects the tests: the chance of any false
    pair is at most `level`.
    """
    if samples.shape[1] < 2:
        return []
    one, other = numpy.triu_indices(samples.shape[1], 1)
    differences = samples[:, one] - samples[:, other]
    shown = holm(p_values(differences)) < level
    # Without a pass that has both, nothing was shown.
    mean = numpy.array(
        [numpy.nanmean(each) if real else 0.0 for each, real in zip(differences.T, shown, strict=True)]
    )
    return [
        (int(a), int(b)) if difference > 0 else (int(b), int(a))
        for a, b, real, difference in zip(one, other, shown, mean, strict=True)
        if real and abs(difference) > least
    ]
