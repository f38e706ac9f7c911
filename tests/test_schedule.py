"""What the next pass visits, and for how long, on visits of known cost and scatter."""

import itertools
import math
import random
import statistics
from collections import Counter

import msgspec
import pytest
from conftest import visit_of
from hypothesis import given, settings
from hypothesis import strategies as st

from gradbench.define.planner import plan_run
from gradbench.measure.goal import Goal
from gradbench.measure.schedule import FIRST_VISITS, MORE_WHERE_OPEN, WHOLE_EVERY, Schedule
from gradbench.measure.variance import FEW, SHORTEST_SLICE, Scatter, best_slice
from gradbench.record.plan import Request
from gradbench.record.undecided import Question

PLAN = plan_run(Request(("control", "elementwise", "chain"), ("no_grad", "tracked"), ("small", "medium")))
IDS = [each.id for each in PLAN.comparisons]
# So many that a pass does not hold all.
MANY = plan_run(Request())
OPEN = [each.id for each in MANY.comparisons][::9]
GOAL = Goal(None, 300.0, None, 2.0)


def visit(comparison, seconds=0.2, other=0.05, log_ratio=0.1, twin=0.001, error=0.001, number=1):
    """A visit whose methods all have one log-ratio."""
    made = visit_of(number, comparison, error, seconds)
    variants = {
        name: msgspec.structs.replace(
            each, log_ratio=twin if name == "twin" else 0.0 if name == "requires_grad_false" else log_ratio
        )
        for name, each in made.variants.items()
    }
    return msgspec.structs.replace(
        made, variants=variants, other_seconds=other, timed_seconds=seconds, error=error
    )


@given(other=st.floats(0.01, 2.0), within=st.floats(1e-8, 1e-3), between=st.floats(1e-8, 1e-3))
def test_no_other_length_of_a_visit_buys_more(other, within, between):
    best = best_slice(other, within, between, 4.0)
    assert SHORTEST_SLICE <= best <= 4.0

    def variance(seconds):
        # Of the mean over as many visits as a second holds.
        return (between + within / seconds) * (other + seconds)

    for seconds in (SHORTEST_SLICE, best / 1.3, best * 1.3, 4.0):
        if SHORTEST_SLICE <= seconds <= 4.0:
            assert variance(best) <= variance(seconds) * (1 + 1e-9)


@pytest.mark.parametrize(("within", "between"), [(4e-6, 1e-4), (4e-5, 1e-6), (1e-6, 0.0)])
def test_both_variances_are_found_in_visits_that_have_them(within, between):
    dice = random.Random(3)
    comparison = PLAN.comparisons[0]
    found = []
    for _ in range(40):
        scatter = Scatter()
        for _ in range(40):
            seconds = dice.choice((0.1, 0.3, 1.0))
            noise = math.sqrt(within / seconds)
            ratio = dice.gauss(0.2, math.hypot(noise, math.sqrt(between)))
            scatter.add(
                visit(comparison, seconds, log_ratio=ratio, twin=dice.gauss(0, noise), error=noise / 2)
            )
        found.append((scatter.within, scatter.between))
    assert statistics.median(each for each, _ in found) == pytest.approx(within, rel=0.3)
    assert statistics.median(each for _, each in found) == pytest.approx(between, rel=0.4, abs=within)


def test_bursts_that_are_longer_than_a_visit_lengthen_it():
    # The rounds of one visit agree, and the next visit says something else of identical code.
    calm, bursts = Scatter(), Scatter()
    for number in range(8):
        off = 0.05 * (-1) ** number
        calm.add(visit(PLAN.comparisons[0], 0.1, log_ratio=0.3 + off, twin=0.001))
        bursts.add(visit(PLAN.comparisons[0], 0.1, log_ratio=0.3 + off, twin=off))
    lengths = [best_slice(0.1, each.within, each.between, 2.0) for each in (calm, bursts)]
    assert lengths[0] == SHORTEST_SLICE
    assert lengths[1] > 2 * lengths[0]


def test_of_few_visits_nothing_is_said_of_the_variance_between_processes():
    scatter = Scatter()
    for _ in range(FEW - 1):
        scatter.add(visit(PLAN.comparisons[0]))
        assert scatter.between is None
    scatter.add(visit(PLAN.comparisons[0]))
    assert scatter.between is not None


class Simulation:
    """A run on a clock of its own, in which visits scatter as they are told to."""

    def __init__(
        self, goal=GOAL, beside=1, startup=1.0, other=0.05, twin=lambda id: 0.001, asks=None, plan=PLAN
    ):
        self.schedule = Schedule(plan, goal)
        self.schedule.startup = startup
        self.schedule.ask(asks)
        self.beside, self.other, self.twin = beside, other, twin
        self.visits, self.seconds = Counter(), Counter()
        self.passes = []

    def run(self, left):
        dice = random.Random(1)
        lanes = [left] * self.beside
        while True:
            lane = max(range(self.beside), key=lambda each: lanes[each])
            shares = self.schedule.next(lanes[lane], self.beside)
            if not shares:
                return lanes
            self.passes.append(shares)
            lanes[lane] -= self.schedule.startup
            for share in shares:
                noise = self.twin(share.comparison.id) / math.sqrt(share.seconds)
                self.schedule.heard(
                    visit(share.comparison, share.seconds, self.other, 0.3 + dice.gauss(0, noise),
                          dice.gauss(0, noise), noise)
                )  # fmt: skip
                self.visits[share.comparison.id] += 1
                self.seconds[share.comparison.id] += share.seconds
                lanes[lane] -= self.other + share.seconds


@settings(deadline=None, max_examples=60)
@given(
    left=st.floats(20, 600), startup=st.floats(0.5, 4.0), other=st.floats(0.0, 0.3), beside=st.integers(1, 4)
)
def test_a_budget_is_used_and_kept(left, startup, other, beside):
    simulated = Simulation(beside=beside, startup=startup, other=other)
    lanes = simulated.run(left)
    longest = 2.0 + other
    assert min(lanes) >= -(startup + longest)
    # What is left would not be worth a start.
    assert max(lanes) <= 2 * startup + longest
    assert set(simulated.visits) == set(IDS)


def test_no_comparison_waits_for_its_first_visits_while_others_have_more():
    simulated = Simulation(twin=lambda id: 0.05 if id == IDS[0] else 0.001)
    simulated.run(60)
    for shares in simulated.passes:
        assert len({each.comparison.id for each in shares}) == len(shares)
    assert min(simulated.visits.values()) >= FIRST_VISITS


def test_noisy_comparisons_get_more_of_the_time():
    simulated = Simulation(twin=lambda id: 0.03 if id in OPEN else 0.001, plan=MANY)
    simulated.run(900)
    noisy = [simulated.seconds[id] for id in OPEN]
    others = [seconds for id, seconds in simulated.seconds.items() if id not in OPEN]
    assert min(noisy) > 2 * statistics.median(others)


def question(id, takes, worth=1.0, variants=None):
    return Question(worth, {id: takes}, {} if variants is None else {id: frozenset(variants)})


def test_time_goes_where_a_question_is_open():
    simulated = Simulation(asks=tuple(question(id, 100) for id in OPEN), plan=MANY)
    simulated.run(900)
    asked = [simulated.visits[id] for id in OPEN]
    others = [count for id, count in simulated.visits.items() if id not in OPEN]
    # Settled ones keep their first visits, and come in now and then.
    assert min(others) >= FIRST_VISITS
    assert min(asked) > 2 * statistics.median(others)


def test_a_question_that_the_budget_cannot_decide_takes_nothing_from_those_that_it_can():
    beyond, *reachable = [each.id for each in MANY.comparisons][:12]
    asks = question(beyond, 100_000), *(question(id, 20) for id in reachable)
    simulated = Simulation(asks=asks, plan=MANY)
    simulated.run(200)
    assert min(simulated.visits[id] for id in reachable) > 1.3 * simulated.visits[beyond]


@pytest.mark.parametrize(("worth", "first"), [(1.0, "cheap"), (0.01, "dear")])
def test_what_costs_least_for_its_worth_comes_first(worth, first):
    ids = [each.id for each in MANY.comparisons]
    groups = {"cheap": ids[:12], "dear": ids[12:24]}
    # What either takes fits into the budget, and not what both take.
    asks = (
        Question(1.0, dict.fromkeys(groups["dear"], 24)),
        Question(worth, dict.fromkeys(groups["cheap"], 20)),
    )
    simulated = Simulation(asks=asks, plan=MANY)
    simulated.run(260)
    means = {name: statistics.fmean(simulated.visits[id] for id in group) for name, group in groups.items()}
    assert max(means, key=means.get) == first
    assert max(means.values()) > 1.3 * min(means.values())


def test_questions_of_one_comparison_share_its_visits():
    # One after another they would take nine times what the budget holds.
    ids = [each.id for each in MANY.comparisons][:12]
    asks = tuple(question(id, 20, variants={name}) for id in ids for name in "abcdefghi")
    simulated = Simulation(asks=asks, plan=MANY)
    simulated.run(230)
    others = [count for id, count in simulated.visits.items() if id not in ids]
    assert min(simulated.visits[id] for id in ids) > 1.3 * statistics.median(others)


def test_a_question_that_has_its_visits_takes_no_more_of_them():
    simulated = Simulation(asks=(question(OPEN[0], 3), question(OPEN[1], 60)), plan=MANY)
    simulated.run(600)
    assert simulated.visits[OPEN[0]] < simulated.visits[OPEN[1]]


def test_a_visit_holds_the_variants_alone_that_its_questions_need():
    chain = next(each for each in MANY.comparisons if each.name == "chain")
    simulated = Simulation(
        asks=(question(chain.id, 40, variants={"no_grad"}), question(chain.id, 40, variants={"detach"})),
        plan=MANY,
    )
    simulated.run(600)
    held = [
        {each.name for each in share.comparison.variants if each.role == "method"}
        for shares in simulated.passes
        for share in shares
        if share.comparison.id == chain.id
    ]
    methods = {each.name for each in chain.variants if each.role == "method"}
    assert held[:FIRST_VISITS] == [methods] * FIRST_VISITS
    later = held[FIRST_VISITS:40]
    assert [each == methods for each in later] == [
        (FIRST_VISITS + number) % WHOLE_EVERY == 0 for number in range(len(later))
    ]
    assert {frozenset(each) for each in later} == {frozenset(methods), frozenset({"no_grad", "detach"})}
    kept = [
        {each.role for each in share.comparison.variants} >= {"baseline", "twin", "empty"}
        for shares in simulated.passes
        for share in shares
    ]
    assert all(kept)


def test_a_visit_holds_all_variants_where_one_of_its_questions_needs_them():
    chain = next(each for each in MANY.comparisons if each.name == "chain")
    asks = question(chain.id, 40, variants={"no_grad"}), question(chain.id, 40)
    simulated = Simulation(asks=asks, plan=MANY)
    simulated.run(600)
    held = [share.comparison for shares in simulated.passes for share in shares]
    assert all(each == chain for each in held if each.id == chain.id)


def test_what_has_a_question_gets_more_visits_than_are_enough():
    goal = Goal(None, 10_000.0, None, 0.5, visits=7)
    # The budget decides the first, and not the second.
    asks = question(IDS[0], 1000), question(IDS[1], 10_000_000)
    simulated = Simulation(goal=goal, asks=asks)
    simulated.run(10_000.0)
    assert {simulated.visits[id] for id in IDS[:2]} == {MORE_WHERE_OPEN * 7}
    assert {simulated.visits[id] for id in IDS[2:]} == {7}


def test_a_run_of_so_many_visits_ends_with_them():
    simulated = Simulation(goal=Goal(None, 10_000.0, None, 0.5, visits=7))
    simulated.run(10_000.0)
    assert simulated.visits == Counter(dict.fromkeys(IDS, 7))


def test_what_can_be_timed_already_is_chosen_among():
    schedule = Schedule(PLAN, GOAL)
    assert [each.comparison.id for each in schedule.next(100.0, 1, {IDS[3]})] == [IDS[3]]
    assert schedule.next(100.0, 1, set()) == []


def test_a_visit_that_does_not_fit_is_not_planned():
    schedule = Schedule(PLAN, GOAL, calls={IDS[0]: 125.0})
    planned = set(itertools.chain.from_iterable(
        (each.comparison.id for each in schedule.next(100.0, 1)) for _ in range(3)
    ))  # fmt: skip
    assert IDS[0] not in planned
    assert planned


def test_visits_of_a_fixed_number_of_passes_are_equally_long_and_as_long_as_time_allows():
    schedule = Schedule(PLAN, Goal(3, None, None, 0.55))
    assert {each.seconds for each in schedule.fixed(PLAN.comparisons, None)} == {0.55}
    (length,) = {each.seconds for each in schedule.fixed(PLAN.comparisons, 2.5)}
    # Of a comparison that was never visited a tenth of a second is supposed around the rounds.
    assert length == pytest.approx(2.5 / len(IDS) - SHORTEST_SLICE)
    (length,) = {each.seconds for each in schedule.fixed(PLAN.comparisons, 0.1)}
    assert length == SHORTEST_SLICE


def test_what_a_whole_visit_costs_is_not_told_by_visits_of_a_few_variants():
    chain = next(each for each in MANY.comparisons if each.name == "chain")
    few = msgspec.structs.replace(chain, variants=chain.variants[:4])
    scatter = Scatter()
    for number in range(12):
        whole = number % WHOLE_EVERY == 0
        scatter.add(visit(chain if whole else few, 0.6 if whole else 0.2, other=3.0 if whole else 0.5))
    rounds = visit(chain).rounds
    assert scatter.other == 3.0
    assert scatter.least == pytest.approx(3.0 + 0.6 / rounds)


def test_a_visit_without_the_variants_of_a_question_does_not_count_for_it():
    chain = next(each for each in MANY.comparisons if each.name == "chain")
    schedule = Schedule(MANY, GOAL)
    few, many = question(chain.id, 3, variants={"no_grad"}), question(chain.id, 60, variants={"detach"})
    schedule.ask((few, many))
    held = Counter()
    for _ in range(12):
        for share in schedule.next(500.0, 1):
            if share.comparison.id == chain.id:
                held.update(each.name for each in share.comparison.variants)
    assert schedule._more(many, chain.id) == 60 - held["detach"]
    assert schedule._more(few, chain.id) == max(0, 3 - held["no_grad"])


def test_a_visit_that_is_not_made_counts_for_no_question():
    schedule = Schedule(PLAN, GOAL)
    asked = question(IDS[0], 10, variants={"no_grad"})
    schedule.ask((asked,))
    share = next(each for each in schedule.next(500.0, 1) if each.comparison.id == IDS[0])
    assert schedule._more(asked, IDS[0]) == 9
    schedule.missed(share.comparison)
    assert schedule._more(asked, IDS[0]) == 10


def test_what_the_budget_does_not_decide_is_visited_with_the_variants_that_it_needs_too():
    chain = next(each for each in MANY.comparisons if each.name == "chain")
    simulated = Simulation(asks=(question(chain.id, 100_000, variants={"no_grad"}),), plan=MANY)
    simulated.run(600)
    held = [
        share.comparison for shares in simulated.passes for share in shares if share.comparison.id == chain.id
    ]
    narrow = [each for each in held if each != chain]
    assert {each.name for each in narrow[0].variants if each.role == "method"} == {"no_grad"}
    assert len(narrow) > len(held) / 2
