"""The ratios of all pairs of variants in a comparison, with their intervals."""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping

import numpy

from gradbench.analyse import stats
from gradbench.record.interval import Interval

# Two variants, by name.
Pair = tuple[str, str]


def ratios_of_pairs(log_ratios: Mapping[str, Mapping[int, float]]) -> dict[Pair, Interval]:
    """By pair, the ratio of the first to the second, from the passes that have both.

    Args:
        log_ratios: by name and pass, the logarithm of the ratio to one baseline.

    Returns:
        The mean ratio with its 95 % interval; a pair without a common pass is left out.
    """
    names = list(log_ratios)
    passes = sorted({number for each in log_ratios.values() for number in each})
    if len(names) < 2 or not passes:
        return {}
    samples = numpy.array([[log_ratios[name].get(number, math.nan) for name in names] for number in passes])
    places = numpy.triu_indices(len(names), 1)
    differences = samples[:, places[0]] - samples[:, places[1]]
    found: dict[Pair, Interval] = {}
    for one, other, interval in zip(*places, stats.intervals(differences), strict=True):
        if interval is not None:
            found[names[one], names[other]] = interval.map(stats.factor)
            found[names[other], names[one]] = interval.mirrored(operator.neg).map(stats.factor)
    return found
