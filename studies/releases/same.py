"""Trials of one build against itself: do intervals hold 1, with and without the term for installations?

A trial has the same code on both sides, so 95 of 100 intervals should hold 1. Each kind of installation has a
folder of trials.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from gradbench.versus.judge import Judged, VariantOutcome, judge_trial
from gradbench.versus.records import Trial, read_trial
from studies.releases.analysis import holds_one

# The sides in words, by the name of their folder, in the order of the page.
SIDES = {
    "one": "one environment twice",
    "installed": "two environments, their files in memory as pip wrote them",
    "b-anew": "the same, the files of B dropped from memory and read again before every third trial",
    "both-anew": "the same, the files of both before each trial",
    "links": "one environment, and hard links to its files in another",
    "copy": "one environment, and a copy of it, made when the term had been chosen",
}


@dataclass(frozen=True)
class Beyond:
    """The trials of one kind of installation.

    Attributes:
        sides: in words.
        variants: over all trials.
        pairs: the fewest and the most of a trial.
        over_pairs: variants whose 95 % interval over pairs does not hold 1.
        with_term: the same, where the interval includes the difference between two installations.
        alarms: variants that are called slower or faster, over pairs alone, beyond a margin of 2 %.
    """

    sides: str
    trials: int
    variants: int
    pairs: tuple[int, int]
    over_pairs: int
    with_term: int
    alarms: int


def read(data: Path) -> list[Beyond]:
    """The outcome of the trials under a folder, by their sides. Raises as `read_trial` does."""
    found = {
        sides: [read_trial(path) for path in sorted((data / name).glob("*.jsonl.gz"))]
        for name, sides in SIDES.items()
    }
    return [beyond(sides, trials) for sides, trials in found.items() if trials]


def beyond(sides: str, trials: Sequence[Trial]) -> Beyond:
    """The outcome of trials of identical code."""
    alone = [_judged(each, shared=True) for each in trials]
    pairs = [each.pairs for each in alone]
    over_pairs = [variant for each in alone for variant in each.variants]
    with_term = [variant for each in trials for variant in _judged(each, shared=False).variants]
    return Beyond(
        sides=sides,
        trials=len(trials),
        variants=len(over_pairs),
        pairs=(min(pairs), max(pairs)),
        over_pairs=_without_one(over_pairs),
        with_term=_without_one(with_term),
        alarms=sum(each.outcome in ("slower", "faster") for each in over_pairs),
    )


def _judged(trial: Trial, shared: bool) -> Judged:
    """The trial judged with the usual margin, as if its sides shared an installation, or did not.

    The margin of the trials is so small that no outcome ended them early.
    """
    options = msgspec.structs.replace(trial.header.options, margin=0.02)
    header = msgspec.structs.replace(trial.header, shared=shared, options=options)
    return judge_trial(replace(trial, header=header))


def _without_one(variants: Iterable[VariantOutcome]) -> int:
    ratios = [each.ratio for each in variants if each.ratio is not None and each.ratio.low is not None]
    return sum(not holds_one(each) for each in ratios)
