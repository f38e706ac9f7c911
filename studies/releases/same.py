"""Trials of one build against itself: what their intervals leave out, with and without what is said of it.

Each trial's code is the same on both sides, so that 95 of 100 intervals should hold 1. The trials lie under a
folder for each way in which the two sides were installed.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

from gradbench.versus.judge import VariantOutcome, judge_trial
from gradbench.versus.records import Trial, read_trial

# By the name of their folder, what the sides were; in the order in which they are shown.
WAYS = {
    "one": "one environment twice",
    "installed": "two environments, their files in memory as pip wrote them",
    "b-anew": "the same, the files of B dropped from memory and read anew before every third trial",
    "both-anew": "the same, the files of both before each trial",
    "links": "one environment, and hard links to its files in another",
    "copy": "one environment, and a copy of it, made when the term had been chosen",
}


@dataclass(frozen=True)
class Beyond:
    """The trials of one alternative.

    Attributes:
        variants: over all trials.
        pairs: the fewest and the most of a trial.
        over_pairs: variants whose 95 % interval over pairs does not hold 1.
        with_term: as many where the interval holds what two installations differ by.
        alarms: variants that are called slower or faster, over pairs alone, beyond a margin of 2 %.
    """

    way: str
    trials: int
    variants: int
    pairs: tuple[int, int]
    over_pairs: int
    with_term: int
    alarms: int


def read(data: Path) -> list[Beyond]:
    """What the trials under a folder show, way by way. Raises as `read_trial` does."""
    found = []
    for name, way in WAYS.items():
        trials = [read_trial(path) for path in sorted((data / name).glob("*.jsonl.gz"))]
        if trials:
            found.append(beyond(way, trials))
    return found


def beyond(way: str, trials: list[Trial]) -> Beyond:
    """What trials of identical code show."""
    # What was asked of these trials was to go on, whatever they found.
    options = [msgspec.structs.replace(each.header.options, margin=0.02) for each in trials]
    variants: dict[bool, list[VariantOutcome]] = {True: [], False: []}
    pairs = []
    for each, own in zip(trials, options, strict=True):
        for shared, seen in variants.items():
            each.header = msgspec.structs.replace(each.header, shared=shared, options=own)
            judged = judge_trial(each)
            seen += judged.variants
        pairs.append(judged.pairs)
    return Beyond(
        way, len(trials), len(variants[True]), (min(pairs), max(pairs)), _missing(variants[True]),
        _missing(variants[False]), sum(each.outcome in ("slower", "faster") for each in variants[True]),
    )  # fmt: skip


def _missing(variants: list[VariantOutcome]) -> int:
    ratios = [each.ratio for each in variants if each.ratio is not None]
    ends = [(each.low, each.high) for each in ratios if each.low is not None and each.high is not None]
    return sum(not low <= 1 <= high for low, high in ends)
