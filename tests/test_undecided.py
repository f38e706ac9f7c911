"""What a run that goes on finds open, and what its looks may spend, on results of known truth."""

import statistics

import msgspec
import pytest
from synthetic import results

from gradbench.analyse import stats, undecided
from gradbench.analyse.claims.claim import Case, Claim, judge_claim
from gradbench.analyse.spending import AT_END, FEWEST_TO_SETTLE, FIRST, part_at_end, part_at_look
from gradbench.analyse.summary import summarise
from gradbench.analyse.undecided import IN_REACH, OF_CLAIM, OF_FLOOR, OF_VERDICT, find_open
from gradbench.analyse.warnings import find_warnings
from gradbench.record.plan import PRICE, Plan, Request
from gradbench.record.results import sessions
from gradbench.record.undecided import Question
from gradbench.record.visits import Look, RunEnd

LOOKS = 6
ONE = Request(workloads=("elementwise",), sizes=("small",), methods=("no_grad", "tracked", "detach"))


def opened(made):
    (found,) = find_open(made, LOOKS).open.values()
    return found


def test_nothing_is_open_where_every_method_is_told_apart_or_the_same():
    assert opened(results({"no_grad": 1.7, "tracked": 1.3}, scatter=0.001, request=ONE)) == 0.0


def test_nothing_is_settled_by_a_few_visits_whose_scatter_may_be_small_by_luck():
    clear = {"no_grad": 1.7, "tracked": 1.3}
    few, enough = (
        results(clear, passes=passes, scatter=0.0001, request=ONE)
        for passes in (FEWEST_TO_SETTLE - 1, FEWEST_TO_SETTLE)
    )
    assert (opened(few), opened(enough)) == (OF_VERDICT, 0.0)


def test_a_verdict_that_a_few_more_visits_would_give_is_open_in_full():
    made = results({"no_grad": 1.7, "tracked": 1.3, "detach": 1.02}, passes=6, scatter=0.02, request=ONE)
    assert opened(made) >= OF_VERDICT


def test_what_the_rest_of_the_budget_cannot_decide_is_worth_less_than_what_it_can():
    # Nothing differs: 1 % is near with the one scatter, and far away with the other.
    near, far = (
        [opened(results({}, scatter=scatter, request=ONE, seed=seed)) for seed in range(20)]
        for scatter in (0.011, 0.3)
    )
    assert statistics.median(near) >= OF_VERDICT
    assert 0 < statistics.median(far) < OF_VERDICT
    assert IN_REACH > 1


def test_a_noise_floor_that_hides_differences_is_open():
    # The methods are told apart whatever the noise of the twin.
    clear = {"no_grad": 4.0, "tracked": 3.0, "detach": 5.0}
    assert 0 < opened(results(clear, passes=12, scatter=0.02, request=ONE)) <= OF_FLOOR
    assert opened(results(clear, passes=12, scatter=0.001, request=ONE)) == 0.0


def test_two_passes_leave_everything_open_and_one_says_so_too():
    for passes in (1, 2):
        assert opened(results({"no_grad": 1.7}, passes=passes, request=ONE)) >= OF_VERDICT
    assert OF_CLAIM == 1.0 > max(OF_FLOOR, OF_VERDICT)


def test_the_price_of_controls_on_other_work_asks_nothing():
    made = results({"no_grad": 1.7, "tracked": 1.3, "detach": 1.02}, passes=6, scatter=0.02, request=ONE)
    assert find_open(made, LOOKS).questions != ()
    (comparison,) = made.header.plan.comparisons
    plan = Plan((msgspec.structs.replace(comparison, workload=PRICE),))
    made = results({"detach": 1.02}, passes=6, scatter=0.02, plan=plan)
    assert find_open(made, LOOKS).questions == ()


def test_a_look_before_the_first_visit_finds_everything_open():
    made = results({}, passes=0, request=ONE)
    assert made.visits == []
    assert opened(made) > 0
    assert find_open(made, LOOKS).says == "open questions in 1 of 1 comparison"


def test_a_claim_opens_the_comparisons_that_it_waits_for():
    sizes = Request(workloads=("control",), methods=("no_grad", "detach"))
    quiet = find_open(results({"no_grad": 20.0, "detach": 4.0}, scatter=0.0005, request=sizes), LOOKS)
    # Its growth over sizes cannot be told, though every method is told from the baseline.
    noisy = find_open(results({"no_grad": 20.0, "detach": 4.0}, scatter=0.1, request=sizes), LOOKS)
    assert sum(noisy.open.values()) > sum(quiet.open.values())
    assert "claims decided" in noisy.says
    assert "open questions in" in noisy.says


def asked_by(monkeypatch, *cases):
    """The question that these cases of a claim ask, of a run whose methods are all told apart."""
    made = results({"no_grad": 1.7, "tracked": 1.3}, scatter=0.001, request=ONE)
    claim = Claim("mine", "A claim.", "us", lambda summary: list(cases), "none")
    monkeypatch.setattr(undecided, "verdicts", lambda summary: [judge_claim(claim, summary)])
    return find_open(made, LOOKS).questions


ID = "elementwise/100/float32/cpu"


def test_a_claim_asks_for_the_visits_and_the_variants_of_its_open_cases(monkeypatch):
    (question,) = asked_by(
        monkeypatch,
        Case("here", None, "x", 9, ID, variants=("no_grad",), visits=7),
        Case("there", None, "y", 4, ID, variants=("tracked",), visits=3),
        Case("elsewhere", True, "z", comparison=ID, variants=("detach",)),
    )
    assert question == Question(OF_CLAIM, {ID: 7}, {ID: frozenset({"no_grad", "tracked"})})


def test_a_claim_of_an_extension_that_knows_passes_alone_asks_for_as_many_visits_of_all_variants(monkeypatch):
    (question,) = asked_by(monkeypatch, Case("here", None, "x", 5, ID))
    assert question == Question(OF_CLAIM, {ID: 5}, {})


def test_a_claim_with_a_case_that_no_visit_settles_asks_for_none(monkeypatch):
    open_ = Case("here", None, "x", 9, ID, variants=("no_grad",), visits=7)
    assert asked_by(monkeypatch, open_, Case("there", None, "y", None, ID)) == ()


def test_a_method_that_was_left_out_of_all_visits_asks_for_none():
    made = results({"no_grad": 1.7, "tracked": 1.3}, passes=12, scatter=0.001, request=ONE)
    for visit in made.visits:
        del visit.variants["detach"]
    (comparison,) = summarise(made).comparisons
    assert comparison.variant("detach").verdict == "cannot tell"
    assert find_open(made, LOOKS).questions == ()


def looked(made, runs=1):
    made.looks += [Look(0.5, {}, "")]
    made.runs += [RunEnd("budget", 10.0)] * runs
    return made


def test_a_run_that_looks_but_once_spends_the_whole_level():
    made = results({}, request=ONE)
    assert part_at_end(made) == 1.0
    made.runs.append(RunEnd("passes", 10.0))
    assert part_at_end(made) == 1.0


def test_all_looks_of_a_run_and_of_those_that_go_on_with_it_spend_the_level_at_most():
    total = 0.0
    for runs in range(60):
        made = results({}, passes=1, request=ONE)
        made.runs += [RunEnd("budget", 10.0)] * runs
        total += LOOKS * part_at_look(LOOKS, runs)
        total += part_at_end(looked(made, 1))
    assert total == pytest.approx(1.0)


def test_the_end_of_a_run_that_looked_before_decides_at_its_part_of_the_level():
    # By chance these ten passes put detach where the whole level would call it slower, and its part does not.
    found = set()
    for seed in range(400):
        made = results({"detach": 1.006}, scatter=0.003, request=ONE, seed=seed)
        whole = summarise(made).comparisons[0].variant("detach").verdict
        part = summarise(looked(made)).comparisons[0].variant("detach").verdict
        found.add((whole, part))
    assert ("slower", "slower") in found
    assert ("slower", "cannot tell") in found or ("slower", "same") in found
    assert not any(part == "slower" and whole != "slower" for whole, part in found)


def test_a_run_that_was_stopped_and_gone_on_with_spends_less_at_its_next_end():
    # Ctrl-C leaves no end in the file; whoever read the report then has seen verdicts.
    made = results({}, passes=3, request=ONE)
    made.looks += [Look(0.5, {}, "", 0), Look(0.25, {}, "", 1)]
    assert part_at_end(made) == AT_END * (1 - FIRST) / 2
    assert sessions(made) == 2


def test_looks_are_stricter_than_the_end():
    made = results({}, passes=3, request=ONE)
    assert LOOKS * part_at_look(LOOKS, 0) < part_at_end(looked(made)) == AT_END * FIRST
    assert stats.FAMILY == 0.01


def test_a_run_that_looked_warns_of_fewer_visits_than_settle_a_comparison():
    for passes, warned in ((FEWEST_TO_SETTLE - 1, True), (FEWEST_TO_SETTLE, False)):
        made = looked(results({"no_grad": 1.7}, passes=passes, request=ONE))
        assert (
            any("passes: their intervals are wide" in each for each in find_warnings(summarise(made)))
            is warned
        )
