"""A lane runs what it shows: its setup once, its statement exactly n times, on the inputs it was given."""

import weakref
from types import SimpleNamespace

import numpy
import pytest
import torch

from gradbench import lane as lanes
from gradbench.lane import ReadyLane, expected_answer, prepare
from gradbench.plan import DTYPES, Expectation, Lane, Request, make_plan
from gradbench.workloads import WORKLOADS


def make_lane(statement, setup="", probe=""):
    return Lane("made", "made by hand", "method", setup, statement, probe, Expectation())


def comparison_of(workload="elementwise", size="8", **request):
    (comparison,) = make_plan(Request(workloads=(workload,), sizes=(size,), **request)).comparisons
    return comparison


@pytest.mark.parametrize("n", [0, 1, 2, 1000])
def test_a_batch_of_n_runs_the_statement_once_more_than_n_times_and_the_setup_never(n):
    done = []
    ready = ReadyLane(make_lane("done.append('call')", setup="done.append('setup')"), {"done": done})
    ready.batch(n)
    assert done == ["setup"] + ["call"] * (1 + n)


def test_every_line_of_a_statement_is_in_the_loop():
    done = []
    ready = ReadyLane(make_lane("if done is not None:\n    done.append(1)\ndone.append(2)"), {"done": done})
    ready.batch(2)
    assert done == [1, 2] * 3


def test_a_batch_returns_the_nanoseconds_of_n_calls_after_one_that_is_not_timed(monkeypatch):
    done, clock = [], iter([1_000, 4_500])

    def perf_counter_ns():
        done.append("clock")
        return next(clock)

    monkeypatch.setattr(lanes, "time", SimpleNamespace(perf_counter_ns=perf_counter_ns))
    assert ReadyLane(make_lane("done.append('call')"), {"done": done}).batch(2) == 3_500
    assert done == ["call", "clock", "call", "call", "clock"]


@pytest.mark.parametrize(
    "statement",
    [
        "y = make()",
        "a = make()\ny = a",
    ],
)
def test_a_result_is_freed_before_the_next_call_and_before_the_clock_stops(monkeypatch, statement):
    made, alive = [], []

    class Result:
        pass

    def count():
        alive.append(sum(each() is not None for each in made))
        return 0

    def make():
        count()
        result = Result()
        made.append(weakref.ref(result))
        return result

    monkeypatch.setattr(lanes, "time", SimpleNamespace(perf_counter_ns=count))
    ReadyLane(make_lane(statement), {"make": make}).batch(3)
    assert alive == [0, 0, 0, 0, 0, 0]


def test_the_names_that_a_statement_reads_are_locals_of_the_loop():
    seen = []
    ReadyLane(make_lane("seen.append((x, 'x' in locals()))", setup="x = 7"), {"seen": seen}).batch(1)
    assert seen == [(7, True)] * 2


def test_the_empty_lane_loops_over_nothing():
    comparison = comparison_of()
    (empty,) = (lane for lane in comparison.lanes if lane.role == "empty")
    ready = ReadyLane(empty, prepare(comparison))
    assert ready.x is None
    assert ready.run() is None
    assert type(ready.batch(10)) is int
    assert ready.batch(10) >= 0


def test_a_run_returns_its_own_result_and_never_an_older_one():
    flags = [False, True, False]
    ready = ReadyLane(make_lane("if flags.pop(0):\n    y = 'made'"), {"flags": flags})
    assert [ready.run(), ready.run(), ready.run()] == [None, "made", None]


def test_a_run_does_not_take_a_name_of_its_setup_for_its_result():
    assert ReadyLane(make_lane("pass", setup="y = 'set up'"), {}).run() is None


def test_a_probe_sees_the_setup_and_leaves_the_lane_alone():
    ready = ReadyLane(make_lane("y = x", setup="x = 1", probe="x = x + 1\ny = x"), {})
    assert ready.run_probe() == 2
    assert ready.run() == 1


def test_a_setup_cannot_change_what_other_lanes_share():
    shared = {"base": torch.zeros(2)}
    ReadyLane(make_lane("y = base", setup="base = base + 1"), shared)
    assert ReadyLane(make_lane("y = base"), shared).run().tolist() == [0.0, 0.0]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda workload: workload.name)
def test_inputs_have_the_shape_and_dtype_that_were_asked_and_values_from_0_to_1(workload, dtype):
    comparison = comparison_of(workload.name, "100", dtype=dtype)
    shared = prepare(comparison)
    assert set(shared) == {"base", *workload.inputs}
    assert tuple(shared["base"].shape) == comparison.shape == workload.shape(100)
    for each in shared.values():
        assert each.dtype is getattr(torch, dtype)
        assert not each.requires_grad
        assert each.is_contiguous()
        assert 0 <= float(each.min()) < float(each.max()) < 1


def test_inputs_depend_on_the_seed_and_on_nothing_else():
    first = prepare(comparison_of("matmul", "100", seed=1))
    torch.rand(3)
    again, other = (prepare(comparison_of("matmul", "100", seed=seed)) for seed in (1, 2))
    for name in ("base", "w"):
        assert torch.equal(first[name], again[name])
        assert not torch.equal(first[name], other[name])
    assert not torch.equal(first["base"], first["w"])


def test_the_answer_is_numpys_in_double_precision_whatever_the_lane_computes_in():
    comparison = comparison_of("chain", dtype="bfloat16")
    base = torch.tensor([0.0, 0.5, 1.0], dtype=torch.bfloat16)
    answer = expected_answer(comparison, {"base": base})
    assert answer.dtype == numpy.float64
    # exp(sin(x²)) at 0, 0.5 and 1, from tables: sin 0.25 = 0.247404, sin 1 = 0.841471.
    assert answer == pytest.approx([1.0, 1.2806967, 2.3197768], rel=1e-6)
