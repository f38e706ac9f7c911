"""One pass, in this process: what a worker answers to a task, and its arithmetic."""

import builtins
import gc
import io
import math
import subprocess
import sys
import weakref

import msgspec
import numpy
import pytest
import torch

from gradbench.define.planner import plan_run
from gradbench.measure import visit as one_visit
from gradbench.measure import worker
from gradbench.measure.protocol import Calibrated, Message, Task, Turn, WorkerSettings
from gradbench.measure.visit import FEWEST_ROUNDS, visit_times
from gradbench.measure.worker import Worker
from gradbench.record.plan import Comparison, Expectation, Request, Variant
from gradbench.record.visits import Failure, Memory, Visit

BATCH = 50e-6


def visit(comparison, kind="time", seconds=0.01, seed=0, batch_seconds=BATCH):
    output = io.BytesIO()
    threads = torch.get_num_threads()
    try:
        Worker(WorkerSettings(7, kind, seed, 1, batch_seconds), output, io.BytesIO()).visit(
            Task(comparison, seconds)
        )
    finally:
        torch.set_num_threads(threads)
    return [msgspec.json.decode(line, type=Message) for line in output.getvalue().splitlines()]


def planned(*methods, workload="elementwise"):
    (comparison,) = plan_run(Request((workload,), methods, ("small",))).comparisons
    return comparison


def by_hand(*variants):
    every = [
        Variant(name, name, role, "", statement, "", Expectation()) for name, (role, statement) in variants
    ]
    return Comparison(
        "c",
        "control",
        "",
        "",
        "small",
        1,
        (1,),
        "float32",
        "cpu",
        "base = torch.ones(1)",
        "",
        1e-6,
        tuple(every),
    )


ROLES = ("baseline", "twin", "method", "empty")
COSTS = numpy.array([2000.0, 2000.0, 3000.0, 10.0])
CALLS = (25, 25, 17, 5000)


def drifting(rounds, drift, scatter=0.0, seed=0):
    rng = numpy.random.default_rng(seed)
    common = numpy.exp(drift * rng.normal(size=(rounds, 1)).cumsum(axis=0))
    own = numpy.exp(scatter * rng.normal(size=(rounds, len(ROLES))))
    return COSTS * numpy.array(CALLS) * common * own


@pytest.mark.parametrize("drift", [0.0, 0.1, 2.0])
def test_drift_that_is_common_to_all_variants_cancels_in_the_ratio(drift):
    variants, error = visit_times(ROLES, CALLS, drifting(200, drift))
    assert [variant.log_ratio for variant in variants] == pytest.approx(
        [0.0, 0.0, math.log(1.5), math.log(10 / 2000)], abs=1e-12
    )
    assert error == pytest.approx(0.0, abs=1e-12)


def test_the_ratio_is_to_the_baseline_wherever_that_stands():
    order = [3, 2, 1, 0]
    times = drifting(50, 0.5)[:, order]
    variants, _ = visit_times([ROLES[i] for i in order], [CALLS[i] for i in order], times)
    assert variants[3].log_ratio == 0.0
    assert variants[1].log_ratio == pytest.approx(math.log(1.5))


def test_a_variant_keeps_its_calls_and_the_median_and_quartiles_of_its_time_per_call():
    times = numpy.array([[100.0, 4000.0], [500.0, 1000.0], [200.0, 5000.0], [300.0, 2000.0], [400.0, 3000.0]])
    (one, two), _ = visit_times(["baseline", "twin"], [10, 100], times)
    assert (one.calls, two.calls) == (10, 100)
    assert (one.q1, one.seconds, one.q3) == pytest.approx((20e-9, 30e-9, 40e-9))
    assert (two.q1, two.seconds, two.q3) == pytest.approx((20e-9, 30e-9, 40e-9))


def test_the_ratio_is_paired_by_round_and_not_one_of_medians():
    times = numpy.array([[1.0, 2.0], [10.0, 20.0], [100.0, 150.0], [2.0, 4.0], [3.0, 300.0]]) * 1000
    (_, other), _ = visit_times(["baseline", "method"], [1, 1], times)
    assert other.log_ratio == pytest.approx(math.log(2.0))
    assert other.log_ratio != pytest.approx(math.log(20.0 / 3.0))


def test_one_wild_round_changes_a_ratio_no_more_than_any_other():
    times = drifting(201, 0.0, 0.01)
    calm, _ = visit_times(ROLES, CALLS, times)
    times[0, 2] *= 1000
    wild, _ = visit_times(ROLES, CALLS, times)
    assert wild[2].log_ratio == pytest.approx(calm[2].log_ratio, abs=0.002)


def test_the_error_of_the_twin_falls_with_the_root_of_the_rounds():
    times = drifting(400, 0.1, 0.01)
    _, few = visit_times(ROLES, CALLS, times)
    _, many = visit_times(ROLES, CALLS, numpy.tile(times, (4, 1)))
    assert few > 0
    assert many == pytest.approx(few / 2, rel=0.02)


def test_the_error_is_what_medians_of_repeated_visits_scatter_by():
    found = [visit_times(ROLES, CALLS, drifting(100, 0.1, 0.01, seed)) for seed in range(400)]
    scatter = numpy.std([variants[1].log_ratio for variants, _ in found])
    assert numpy.median([error for _, error in found]) == pytest.approx(scatter, rel=0.15)


def test_a_visit_has_every_variant_and_a_baseline_at_ratio_one():
    comparison = planned("tracked", "no_grad")
    (found,) = visit(comparison)
    assert isinstance(found, Visit)
    assert (found.number, found.comparison) == (7, comparison.id)
    assert set(found.variants) == {variant.name for variant in comparison.variants}
    assert found.variants["requires_grad_false"].log_ratio == 0.0
    for variant in found.variants.values():
        assert 0 < variant.q1 <= variant.seconds <= variant.q3


@pytest.mark.parametrize("workload", ["control", "elementwise", "chain", "matmul"])
def test_every_method_passes_its_own_checks(workload):
    comparison = planned(workload=workload)
    (found,) = visit(comparison, seconds=0.0)
    assert isinstance(found, Visit)
    assert set(found.variants) == {variant.name for variant in comparison.variants}


def test_only_the_baselines_result_is_held_while_a_variant_is_checked(monkeypatch):
    results = []
    check = one_visit.check_variant

    def watched(ready, comparison, **options):
        assert sum(each() is not None for each in results) <= 1
        y = check(ready, comparison, **options)
        if y is not None:
            results.append(weakref.ref(y))
        return y

    monkeypatch.setattr(one_visit, "check_variant", watched)
    (found,) = visit(planned("no_grad", "detach"))
    assert isinstance(found, Visit)
    assert len(results) == len(found.variants)


def test_a_visit_takes_its_rounds_even_past_its_slice():
    (found,) = visit(planned("no_grad"), seconds=0.0)
    assert found.rounds == FEWEST_ROUNDS


def test_a_longer_slice_takes_more_rounds():
    few, many = (visit(planned("no_grad"), seconds=seconds)[0].rounds for seconds in (0.01, 0.2))
    assert many > 2 * few


@pytest.fixture
def traced(monkeypatch):
    """A comparison of four variants that note each call, with one call in a batch; and the notes."""
    notes = []
    monkeypatch.setattr(builtins, "note", notes.append, raising=False)
    names = ("a", "b", "c", "d")
    variants = [(name, ("baseline" if name == "a" else "method", f"note({name!r})")) for name in names]
    return by_hand(*variants), notes


def rounds_of(notes, variants=4):
    # A batch of one call notes it twice: the first is not timed.
    last = notes[-FEWEST_ROUNDS * variants * 2 :: 2]
    return [tuple(last[i : i + variants]) for i in range(0, len(last), variants)]


def test_a_round_is_every_variant_once_in_an_order_of_its_own(traced):
    comparison, notes = traced
    visit(comparison, seconds=0.0, batch_seconds=1e-9)
    rounds = rounds_of(notes)
    assert [sorted(each) for each in rounds] == [list("abcd")] * FEWEST_ROUNDS
    assert len(set(rounds)) > 1


def test_the_seed_decides_the_order(traced):
    comparison, notes = traced
    seen = []
    for seed in (1, 1, 2):
        notes.clear()
        visit(comparison, seconds=0.0, seed=seed, batch_seconds=1e-9)
        seen.append(rounds_of(notes))
    assert seen[0] == seen[1]
    assert seen[0] != seen[2]


def test_the_cyclic_collector_is_off_while_variants_are_timed_and_on_afterwards(monkeypatch):
    seen = []
    monkeypatch.setattr(builtins, "note", seen.append, raising=False)
    monkeypatch.setattr(builtins, "gc", gc, raising=False)
    visit(by_hand(("a", ("baseline", "note(gc.isenabled())"))), seconds=0.0, batch_seconds=1e-9)
    assert not any(seen[-FEWEST_ROUNDS:])
    assert gc.isenabled()


def test_the_collector_is_on_again_after_a_variant_that_raised(monkeypatch):
    calls = []
    monkeypatch.setattr(builtins, "calls", calls, raising=False)
    statement = "calls.append(1)\nif len(calls) > 5: raise ValueError('late')"
    (failure,) = visit(by_hand(("a", ("baseline", statement))))
    assert (failure.kind, failure.variant, failure.stage) == ("raised", "a", "time")
    assert gc.isenabled()


@pytest.mark.parametrize("good", [5, 20_000])
def test_a_variant_that_raises_while_it_is_timed_costs_itself_and_the_others_are_timed(monkeypatch, good):
    left = iter(range(good))
    monkeypatch.setattr(builtins, "left", left, raising=False)
    variants = (("a", ("baseline", "y = x = 1")), ("b", ("method", "next(left)")), ("c", ("twin", "y = 1")))
    failure, timed = visit(by_hand(*variants), seconds=0.2)
    assert (failure.variant, failure.stage, failure.kind) == ("b", "time", "raised")
    assert set(timed.variants) == {"a", "c"}


@pytest.mark.parametrize("good", [0, 1])
def test_a_baseline_that_fails_at_first_or_later_is_one_failure_and_no_visit(monkeypatch, good):
    calls = []
    monkeypatch.setattr(builtins, "calls", calls, raising=False)
    statement = f"calls.append(1)\nif len(calls) > {good}: raise ValueError('no more')"
    (failure,) = visit(by_hand(("a", ("baseline", statement)), ("b", ("method", "pass"))))
    assert (failure.variant, failure.stage, failure.kind) == ("a", "check", "raised")


def test_memory_is_measured_for_every_variant_but_the_empty_loop():
    comparison = planned("tracked", "no_grad")
    found = visit(comparison, kind="memory")
    assert all(isinstance(each, Memory) for each in found)
    assert sorted(each.variant for each in found) == sorted(
        {variant.name for variant in comparison.variants} - {"empty"}
    )


def test_a_variant_whose_memory_cannot_be_measured_is_a_failure_of_that_variant(monkeypatch):
    monkeypatch.setattr(builtins, "sizes", iter(range(1000, 2000)), raising=False)
    comparison = by_hand(
        ("a", ("baseline", "y = torch.ones(8)")), ("b", ("method", "y = torch.ones(next(sizes))"))
    )
    found = {each.variant: each for each in visit(comparison, kind="memory")}
    assert isinstance(found["a"], Memory)
    assert isinstance(found["b"], Failure)
    assert (found["b"].stage, found["b"].kind) == ("memory", "raised")


def test_a_statement_that_leaves_grad_mode_changed_is_a_failure_and_does_no_harm_to_the_next():
    comparison = by_hand(
        ("a", ("baseline", "pass")),
        ("b", ("method", "torch.set_grad_enabled(False)")),
        ("c", ("method", "pass")),
    )
    failure, found = visit(comparison, seconds=0.0)
    assert (failure.variant, failure.kind) == ("b", "check")
    assert set(found.variants) == {"a", "c"}
    assert torch.is_grad_enabled()


def take_turns(comparison, *turns):
    """What a worker says when it is told to take these turns, and then to end."""
    output, source = io.BytesIO(), io.BytesIO()
    for turn in (*turns, Turn()):
        source.write(msgspec.json.encode(turn) + b"\n")
    source.seek(0)
    Worker(WorkerSettings(7, "turns", 0, torch.get_num_threads()), output, source).visit(
        Task(comparison, 0.0)
    )
    assert source.read() == b""
    return [msgspec.json.decode(line, type=Message) for line in output.getvalue().splitlines()]


def test_a_worker_that_takes_turns_offers_its_calls_and_times_the_variants_that_it_is_told():
    comparison = planned("tracked")
    offer, first, second = take_turns(
        comparison, Turn({"tracked": 3, "requires_grad_false": 2}, 0.001), Turn({"tracked": 1}, 0.001)
    )
    assert offer.calls.keys() == {variant.name for variant in comparison.variants}
    assert first.seconds.keys() == {"tracked", "requires_grad_false"}
    assert second.seconds.keys() == {"tracked"}
    assert all(0 < each < 0.1 for turn in (first, second) for each in turn.seconds.values())


def test_a_turn_is_the_median_per_call_of_batches_of_as_many_calls_as_it_was_told(monkeypatch):
    asked = []

    def run(ready, n):
        asked.append((ready.variant.name, n))
        return n * {"tracked": 2_000, "requires_grad_false": 1_000}.get(ready.variant.name, 500)

    monkeypatch.setattr(worker, "run_batch", run)
    _, turn = take_turns(planned("tracked"), Turn({"tracked": 7, "requires_grad_false": 4}, 0.0))
    assert turn.seconds == {"tracked": pytest.approx(2e-6), "requires_grad_false": pytest.approx(1e-6)}
    # Once without the clock, since the other worker has had the caches, and once with it.
    assert sorted(asked[-4:]) == [("requires_grad_false", 4)] * 2 + [("tracked", 7)] * 2


def test_a_variant_that_raises_in_its_turn_is_left_out_and_the_others_are_offered_anew(monkeypatch):
    real, calls = worker.run_batch, []

    def run(ready, n):
        if ready.variant.name == "tracked" and n == 99:
            raise one_visit.VariantFailed(ready, ValueError("in its turn"))
        calls.append(ready.variant.name)
        return real(ready, n)

    monkeypatch.setattr(worker, "run_batch", run)
    offer, failure, again = take_turns(planned("tracked"), Turn({"tracked": 99}, 0.001))
    assert (failure.variant, failure.message) == ("tracked", "ValueError: in its turn")
    assert again.calls.keys() == offer.calls.keys() - {"tracked"}


# In an environment that is only compared (`versus`), what makes reports need not be installed.
WITHOUT = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        blocked = ("scipy", "matplotlib", "jinja2", "click", "rich", "gradbench.analyse", "gradbench.report",
                   "gradbench.define.workloads")
        if any(name == each or name.startswith(each + ".") for each in blocked):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
import gradbench.measure.protocol
assert not {"torch", "numpy"} & set(sys.modules)
import runpy
runpy.run_module("gradbench.measure.worker", run_name="__main__")
"""


@pytest.mark.parametrize("kind", ["time", "memory", "turns"])
def test_a_worker_needs_no_package_that_only_reports_need_nor_the_tables(kind):
    request = Request(("control", "attention", "inference"), ("no_grad",), ("small",))
    comparisons = plan_run(request).comparisons
    # One whose answer is a line, and some whose answers are functions.
    assert {"answers." in each.answer for each in comparisons} == {True, False}
    lines = [WorkerSettings(1, kind, 0, 1)]
    for comparison in comparisons:
        lines += [Task(comparison, 0.01), *([Turn()] if kind == "turns" else [])]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT],
        input=b"".join(msgspec.json.encode(line) + b"\n" for line in lines), capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    messages = [msgspec.json.decode(line, type=Message) for line in done.stdout.splitlines()]
    assert not [each for each in messages if isinstance(each, Failure)]
    found = {"time": Visit, "memory": Memory, "turns": Calibrated}[kind]
    assert sum(isinstance(each, found) for each in messages) >= len(comparisons)
