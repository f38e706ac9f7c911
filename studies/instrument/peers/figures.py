"""How right each tool was: statistics of the readings."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Any

from scipy.special import chdtri

from gradbench.record.interval import Interval
from studies.instrument.peers.question import GROUPS, TRUTH
from studies.instrument.peers.study import TOOLS
from studies.instrument.peers.tool import Reading

# A reader would take this for a difference.
NOTICED = 0.01
# With fewer errors than these an interval on their root mean square reaches beyond 2.5 times it.
ENOUGH = 5


def figures(readings: Sequence[Reading]) -> list[dict[str, Any]]:
    """A row for each condition and tool that were tried. A figure without data is None.

    The figures of a row:
        n, failed: readings with an answer, and readings without one.
        wall: seconds, mean.
        rms: by ratio, as in TRUTH, the root mean square error of log(ratio) against the truth, with a 95 %
            interval if there are ENOUGH errors. Natural logarithms are nearly fractions.
        called_different: share of `again` that the tool itself calls different from `a`.
        noticed: share of `again` that is off by more than 1 %.
    """
    conditions = dict.fromkeys(reading.condition for reading in readings)
    tools = dict.fromkeys([*(kind.name for kind in TOOLS), *(reading.tool for reading in readings)])
    rows = {
        (condition, tool): [each for each in readings if (each.condition, each.tool) == (condition, tool)]
        for condition in conditions
        for tool in tools
    }
    return [_row(*key, found) for key, found in rows.items() if found]


def _row(condition: str, tool: str, readings: list[Reading]) -> dict[str, Any]:
    good = [reading for reading in readings if reading.error is None]
    errors = {
        name: [math.log(reading.ratios[name] / true) for reading in good] for name, true in TRUTH.items()
    }
    again = [error for group in GROUPS for error in errors[f"{group}/again"]]
    verdicts = [each for reading in good for each in reading.verdicts.values() if each is not None]
    return {
        "condition": condition,
        "tool": tool,
        "n": len(good),
        "failed": len(readings) - len(good),
        "wall": _mean([reading.wall for reading in good]),
        "rms": {name: root_mean_square(each) for name, each in errors.items()},
        "called_different": _mean([verdict == "different" for verdict in verdicts]),
        "noticed": _mean([abs(error) > NOTICED for error in again]),
    }


def _mean(values: Sequence[float]) -> float | None:
    return statistics.fmean(values) if values else None


def root_mean_square(errors: Sequence[float]) -> Interval | None:
    """With its chi-square interval, errors taken for normal and right on average; None for no error."""
    count = len(errors)
    if count == 0:
        return None
    rms = math.sqrt(statistics.fmean(error * error for error in errors))
    if count < ENOUGH:
        return Interval(rms, None, None, count)
    # chdtri gives the value that is exceeded with this probability.
    low, high = (math.sqrt(count / float(chdtri(count, tail))) for tail in (0.025, 0.975))
    return Interval(rms, low * rms, high * rms, count)
