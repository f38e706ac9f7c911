"""What a run leaves open while it goes on, by comparison: where more visits would decide something."""

from __future__ import annotations

import math
from collections.abc import Iterator

from gradbench.analyse.claims import verdicts
from gradbench.analyse.claims.claim import Judgement
from gradbench.analyse.model import ComparisonSummary, VariantSummary
from gradbench.analyse.spending import FEWEST_TO_SETTLE, part_at_look
from gradbench.analyse.summary import summarise
from gradbench.analyse.visits import SAME_MARGIN
from gradbench.record.results import Results
from gradbench.record.undecided import Undecided

# A noise floor above this is one that more visits should lower: half of what counts as the same.
WANTED_FLOOR = math.log1p(SAME_MARGIN / 2)
# What would take so many times the visits made so far, or fewer, is as well worth them as anything else.
IN_REACH = 3.0
# What an open claim, a noise floor and a verdict are worth: a claim is asked by someone.
OF_CLAIM, OF_FLOOR, OF_VERDICT = 1.0, 0.5, 0.4


def find_open(results: Results, looks: int, session: int = 0) -> Undecided:
    """What one of so many looks finds open, at its part of the level, in a run that goes on with others."""
    summary = summarise(results, part_at_look(looks, session))
    judgements = verdicts(summary)
    by_claims: dict[str, list[float]] = {}
    for judgement in judgements:
        for id, more in _asked(judgement, max(1, summary.passes)):
            by_claims.setdefault(id, []).append(more)
    found = {}
    for each in summary.comparisons:
        claims = by_claims.get(each.comparison.id, ())
        found[each.comparison.id] = max([*_worths(each), *(OF_CLAIM * _in_reach(one) for one in claims)])
    asked = [each for each in judgements if each.verdict != "not measured"]
    decided = sum(each.verdict != "unresolved" for each in asked)
    left = sum(each > 0 for each in found.values())
    says = f"{left} of {len(found)} comparisons have something open"
    if asked:
        says = f"{decided} of {len(asked)} claims decided, {says}"
    return Undecided(found, says)


def _in_reach(times: float) -> float:
    """How near an open question is that so many times the visits made would decide: 1 or less."""
    return 1.0 if times <= IN_REACH else IN_REACH / times


def _asked(judgement: Judgement, passes: int) -> Iterator[tuple[str, float]]:
    """The comparisons that an unresolved claim waits for, and how many times their visits it takes."""
    if judgement.verdict != "unresolved":
        return
    for case in judgement.cases:
        # What more passes do not settle, since its figure stands on a bound or is not measured, is not open.
        if case.holds is None and case.passes is not None:
            for id in case.comparisons:
                yield id, 1 + case.passes / passes


def _worths(each: ComparisonSummary) -> Iterator[float]:
    """What is open of the floor, and of the verdicts, of a comparison; at least 0.0."""
    yield 0.0
    if not each.has_baseline:
        return
    if each.passes < FEWEST_TO_SETTLE:
        yield OF_VERDICT
    if each.floor is None:
        yield OF_CLAIM
    elif each.floor > WANTED_FLOOR:
        yield OF_FLOOR * _in_reach((each.floor / WANTED_FLOOR) ** 2)
    for variant in each.methods:
        if variant.verdict == "cannot tell":
            yield OF_VERDICT * _in_reach(_verdict_takes(variant))


def _verdict_takes(variant: VariantSummary) -> float:
    """How many times the visits made would tell a method from the baseline, or call it the same."""
    ratio = variant.ratio
    if ratio is None or ratio.low is None or ratio.high is None or ratio.low <= 0:
        return 1.0
    mean, half = abs(math.log(ratio.mean)), math.log(ratio.high / ratio.low) / 2
    # To be told apart takes about twice the width of the 95 % interval, after the corrections.
    apart = (2 * half / mean) ** 2 if mean > 0 else math.inf
    margin = math.log1p(SAME_MARGIN) - mean
    same = (half / margin) ** 2 if margin > 0 else math.inf
    return max(1.0, min(apart, same))
