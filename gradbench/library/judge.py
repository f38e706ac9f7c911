"""Judge rounds of several functions: the time of every function, and the pairs that differ."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from gradbench.analyse.stats import CONFIDENCE, FAMILY
from gradbench.guard.interleave import BASELINE, MOST_EMPTY, Blocks
from gradbench.guard.time import InTurns
from gradbench.record.interval import Interval

# How one function is shown to compare with another.
Relation = Literal["slower", "faster", "same"]
_INVERSE: Mapping[Relation, Relation] = {"slower": "faster", "faster": "slower", "same": "same"}


class Judged(msgspec.Struct, frozen=True):
    """Functions that were timed in turns.

    Attributes:
        seconds: by name, median per call, net of the empty loop; includes the baseline.
        ratios: by name, to the baseline's time, with their 95 % intervals; the baseline has none.
        relations: by pair of names, in both orders, how the first compares with the second; a pair that ties
            is not there.
        errors: by name, the error that a function raised.
        blocks: of the rounds.
        spent: seconds of wall time of the timing.
    """

    seconds: dict[str, float]
    ratios: dict[str, Interval]
    relations: dict[tuple[str, str], Relation]
    errors: dict[str, Exception]
    blocks: Blocks
    spent: float

    def beats(self, one: str, other: str) -> bool:
        """Whether the first is shown to be faster."""
        return self.relations.get((one, other)) == "faster"


def judge_turns(turns: InTurns, names: Sequence[str], margin: float, seed: int | None) -> Judged:
    """Spend the time of `turns` on rounds, and judge them.

    Args:
        names: of the alternatives, and the name of the baseline last.
        margin: a smaller difference counts as none.
        seed: for the random orders.
    """
    started = turns.running
    blocks = turns.use_up(seed)
    floor, _ = blocks.twin()
    # A function that raised in the meantime is no longer running, and its column says nothing.
    columns = {names[place]: column for column, place in enumerate(started) if place in turns.running}
    *_, base = names
    columns[base] = BASELINE
    pairs = list(itertools.combinations(columns, 2))
    relations: dict[tuple[str, str], Relation] = {}
    for one, other in pairs:
        # The longer of two alternatives is the denominator: it has a measurable time if either has one.
        if other != base and blocks.seconds(columns[one]) > blocks.seconds(columns[other]):
            one, other = other, one
        found = relation(blocks, columns[one], columns[other], 1 - FAMILY / len(pairs), margin, floor)
        if found is not None:
            relations[one, other], relations[other, one] = found, _INVERSE[found]
    return Judged(
        seconds={name: _above_zero(blocks.seconds(column)) for name, column in columns.items()},
        ratios={
            name: blocks.ratio(column, columns[base], CONFIDENCE).map(_above_zero)
            for name, column in columns.items()
            if name != base
        },
        relations=relations,
        errors={names[place]: error for place, error in turns.errors.items()},
        blocks=blocks,
        spent=turns.seconds,
    )


def _above_zero(value: float) -> float:
    """A net time of nearly 0 may come out below 0 by chance."""
    return max(0.0, value)


def relation(
    blocks: Blocks, one: int, other: int, confidence: float, margin: float, floor: float | None
) -> Relation | None:
    """How a column is shown to compare with another; None where that is open.

    For `slower` and `faster` the whole interval is beyond the margin, the floor of identical code and the
    time of an empty call together. For `same` the whole interval is within the margin, and so is the floor.
    """
    ratio = blocks.ratio(one, other, confidence)
    if ratio.low is None or ratio.high is None or floor is None:
        return None
    most = 1 + margin
    empty_call = blocks.empty / (1 - blocks.empty) / float(blocks.net[:, other].mean())
    if ratio.low > most + floor + empty_call:
        return "slower"
    if ratio.high < (1 - empty_call) / (most + floor):
        return "faster"
    within = 1 / most < ratio.low and ratio.high < most
    return "same" if within and floor < margin and blocks.empty < MOST_EMPTY else None
