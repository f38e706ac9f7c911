"""Open questions of a run while it goes on, by comparison: where more visits would decide something."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from gradbench import format
from gradbench.analyse.claims import verdicts
from gradbench.analyse.claims.claim import Judgement
from gradbench.analyse.model import ComparisonSummary, VariantSummary
from gradbench.analyse.spending import FEWEST_TO_SETTLE, part_at_look
from gradbench.analyse.summary import summarise
from gradbench.analyse.visits import SAME_MARGIN
from gradbench.record.plan import PRICE
from gradbench.record.results import Results
from gradbench.record.undecided import Question, Undecided

# More visits should lower a noise floor above this: half of the margin that counts as the same.
WANTED_FLOOR = math.log1p(SAME_MARGIN / 2)
# A question that takes at most this many times the visits made so far keeps its full worth.
IN_REACH = 3.0
# The worth of an open claim, a noise floor and a verdict: somebody asks about a claim.
OF_CLAIM, OF_FLOOR, OF_VERDICT = 1.0, 0.5, 0.4


def find_open(results: Results, looks: int, session: int = 0) -> Undecided:
    """The open questions at one of `looks` looks, at its part of the level; `session` counts earlier runs."""
    summary = summarise(results, part_at_look(looks, session))
    judgements = verdicts(summary)
    made = {each.comparison.id: each.passes for each in summary.comparisons}
    visits_per_pass = {id: visits / max(1, summary.passes) for id, visits in made.items()}
    questions = [question for each in judgements for question in _of_claim(each, visits_per_pass)]
    questions += [question for each in summary.comparisons for question in _of_comparison(each)]
    found = dict.fromkeys(made, 0.0)
    for question in questions:
        for id, more in question.takes.items():
            worth = question.worth * _in_reach(1 + more / max(1, made[id]))
            found[id] = max(found[id], worth)
    asked = [each for each in judgements if each.verdict != "not measured"]
    decided = sum(each.verdict != "unresolved" for each in asked)
    left = sum(each > 0 for each in found.values())
    says = f"open questions in {left} of {format.counted(len(found), 'comparison')}"
    if asked:
        says = f"{decided} of {len(asked)} claims decided, {says}"
    return Undecided(found, says, tuple(questions))


def _in_reach(times: float) -> float:
    """The factor on the worth of a question that takes `times` times the visits made: 1 or less."""
    return 1.0 if times <= IN_REACH else IN_REACH / times


def _of_claim(judgement: Judgement, visits_per_pass: Mapping[str, float]) -> Iterator[Question]:
    """The question of an unresolved claim: the visits that its open cases take."""
    if judgement.verdict != "unresolved":
        return
    takes: dict[str, int] = {}
    variants: dict[str, set[str]] = {}
    whole: set[str] = set()
    for case in judgement.cases:
        if case.holds is not None:
            continue
        if case.visits is None and case.passes is None:
            # Its figure is on a bound, or is not measured: no visit of the others decides the claim.
            return
        for id in case.comparisons:
            visits = case.visits
            if visits is None:
                visits = math.ceil((case.passes or 0) * visits_per_pass.get(id, 1.0))
            takes[id] = max(takes.get(id, 0), visits)
            variants.setdefault(id, set()).update(case.variants)
            if not case.variants:
                whole.add(id)
    if takes:
        needed = {id: frozenset(names) for id, names in variants.items() if id not in whole}
        yield Question(OF_CLAIM, takes, needed)


def _of_comparison(each: ComparisonSummary) -> Iterator[Question]:
    """The questions of a comparison: its floor, and the verdicts that it leaves open."""
    # The prices of controls serve the bounds of a user's model, and ask nothing themselves.
    if not each.has_baseline or each.comparison.workload == PRICE:
        return
    id = each.comparison.id
    if each.passes < FEWEST_TO_SETTLE:
        yield Question(OF_VERDICT, {id: FEWEST_TO_SETTLE - each.passes})
    if each.floor is None:
        yield Question(OF_CLAIM, {id: 1})
    elif each.floor > WANTED_FLOOR:
        more = _more(each.passes, (each.floor / WANTED_FLOOR) ** 2)
        yield Question(OF_FLOOR, {id: more}, {id: frozenset()})
    for variant in each.methods:
        # Variants without a time are left out: another one executes the same, or the budget ended.
        if variant.verdict == "cannot tell" and variant.bound is None and variant.log_ratios:
            more = _more(len(variant.log_ratios), _verdict_takes(variant))
            yield Question(OF_VERDICT, {id: more}, {id: frozenset({variant.name})})


def _more(visits: int, times: float) -> int:
    """How many more visits it takes, where the whole takes `times` times the visits made."""
    return math.ceil(min(max(1.0, visits * (times - 1)), 1e9))


def _verdict_takes(variant: VariantSummary) -> float:
    """How many times the visits made would show a difference from the baseline, or call it the same."""
    ratio = variant.ratio
    if ratio is None or ratio.low is None or ratio.high is None or ratio.low <= 0:
        return 1.0
    mean, half = abs(math.log(ratio.mean)), math.log(ratio.high / ratio.low) / 2
    # To show a difference takes about twice the width of the 95 % interval, after the corrections.
    apart = (2 * half / mean) ** 2 if mean > 0 else math.inf
    margin = math.log1p(SAME_MARGIN) - mean
    same = (half / margin) ** 2 if margin > 0 else math.inf
    return max(1.0, min(apart, same))
