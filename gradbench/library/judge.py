"""What rounds of several functions show: the time of each, and which pairs are told apart."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from gradbench.analyse.stats import CONFIDENCE, FAMILY
from gradbench.guard.interleave import BASELINE, MOST_EMPTY, Blocks
from gradbench.guard.time import InTurns
from gradbench.record.interval import Interval

# What one function is shown to be against another.
Relation = Literal["slower", "faster", "same"]
_INVERSE: Mapping[Relation, Relation] = {"slower": "faster", "faster": "slower", "same": "same"}


class Judged(msgspec.Struct, frozen=True):
    """Functions that were timed in turns.

    Attributes:
        seconds: by name, median per call, net of the empty loop; the baseline's among them.
        ratios: by name, to the baseline's time, with their 95 % intervals; the baseline has none.
        relations: by pair of names, what the first is shown to be against the second, both ways round; pairs
            that nothing is shown of are not there.
        errors: by name, what was raised.
        blocks: of the rounds.
        spent: seconds of wall time that the timing took.
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
        names: of the alternatives, and last of the baseline.
        margin: a difference within it is called none.
        seed: of the random orders.
    """
    started = turns.running
    blocks = turns.use_up(seed)
    floor, _ = blocks.twin()
    # What raised in the meantime is no longer running, and its column says nothing.
    columns = {names[place]: column for column, place in enumerate(started) if place in turns.running}
    *_, base = names
    columns[base] = BASELINE
    pairs = list(itertools.combinations(columns, 2))
    relations: dict[tuple[str, str], Relation] = {}
    for one, other in pairs:
        # Ratios are to the longer of two alternatives, which takes a time of its own if either does.
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
    """What takes no time of its own comes out below 0 by chance."""
    return max(0.0, value)


def relation(
    blocks: Blocks, one: int, other: int, confidence: float, margin: float, floor: float | None
) -> Relation | None:
    """What a column is shown to be against another; None where that is open.

    `slower` and `faster` are beyond the margin, what is left open for identical code, and the time of an
    empty call, by the whole interval. `same` is within the margin by the whole interval, and so is
    identical code.
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
