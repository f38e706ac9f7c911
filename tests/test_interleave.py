"""Batches that take turns; what a call takes is known where the clock is made up for the purpose."""

import functools
import gc
import sys
import time
from types import SimpleNamespace

import numpy
import pytest

from gradbench.guard.interleave import (
    BASELINE,
    BLOCKS,
    CANDIDATE,
    TWIN,
    Interleaved,
    batch_of,
    copy_of,
    undisturbed,
)


def made_up(candidate=1000.0, baseline=1000.0, twin=None, empty=10.0, scatter=0.0, drift=0.0, seed=0):
    """An Interleaved of batches whose calls take so many nanoseconds on a machine whose speed wanders."""
    rng = numpy.random.default_rng(seed)
    speed = [1.0]

    def batch(cost):
        def run(n):
            speed[0] *= float(numpy.exp(drift * rng.normal()))
            return round(n * cost * speed[0] * float(numpy.exp(scatter * rng.normal())))

        return lambda: run

    costs = (candidate, baseline, baseline if twin is None else twin, empty)
    return Interleaved(*(batch(cost) for cost in costs), seed=seed)


def found(confidence=0.95, rounds=400, **kinds):
    interleaved = made_up(**kinds)
    assert interleaved.take(rounds, time.perf_counter() + 60)
    return shown(interleaved, confidence)


def shown(interleaved, confidence):
    blocks = interleaved.blocks()
    floor, same = blocks.twin()
    return SimpleNamespace(
        ratio=blocks.ratio(CANDIDATE, BASELINE, confidence),
        floor=floor,
        same=same,
        empty=blocks.empty,
        candidate=blocks.seconds(CANDIDATE),
        baseline=blocks.seconds(BASELINE),
        rounds=len(interleaved.times),
    )


def test_a_ratio_is_net_of_the_empty_loop():
    seen = found(candidate=1310.0, baseline=1010.0, empty=10.0)
    assert seen.ratio.mean == pytest.approx(1.3, rel=1e-3)
    assert seen.empty == pytest.approx(10 / 1010, rel=1e-2)
    assert seen.candidate == pytest.approx(1300e-9, rel=1e-3)
    assert seen.baseline == pytest.approx(1000e-9, rel=1e-3)


def test_at_most_half_of_the_baseline_is_taken_off():
    # (130 - 50) / (100 - 50), and not (130 - 90) / (100 - 90).
    seen = found(candidate=130.0, baseline=100.0, empty=90.0)
    assert seen.ratio.mean == pytest.approx(1.6, rel=1e-2)
    assert seen.empty == 0.5


def test_the_drift_of_the_machine_is_not_in_the_ratio():
    seen = found(candidate=1200.0, scatter=0.002, drift=0.02)
    assert seen.ratio.mean == pytest.approx(1.2, abs=0.02)
    assert seen.ratio.low < seen.ratio.mean < seen.ratio.high


def test_the_floor_is_what_is_left_open_for_identical_code():
    quiet, loud = found(scatter=0.001), found(scatter=0.1)
    assert abs(quiet.same) < quiet.floor < 0.002
    assert abs(loud.same) < loud.floor
    assert loud.floor > 0.005
    assert found(twin=1100.0).floor == pytest.approx(0.1, rel=0.05)


def test_there_are_ends_from_five_blocks_on_and_ten_blocks_at_most():
    few, many = found(rounds=4), found(rounds=1000)
    assert (few.ratio.low, few.ratio.high, few.floor, few.ratio.count) == (None, None, None, 4)
    assert many.ratio.count == BLOCKS
    assert many.rounds == 1000


def test_blocks_hold_the_truth_where_neighbouring_rounds_are_alike():
    """Ratios that wander slowly: intervals as if rounds were independent would miss the truth in most."""
    rng = numpy.random.default_rng(1)
    held = 0
    for _ in range(200):
        wander = numpy.zeros(4000)
        steps = rng.normal(0, 0.01, 4000)
        for i in range(1, 4000):
            wander[i] = 0.95 * wander[i - 1] + steps[i]
        interleaved = made_up()
        interleaved.times = [[1000.0 * (1 + each), 1000.0, 1000.0, 1.0] for each in wander]
        seen = shown(interleaved, 0.95).ratio
        held += seen.low <= 1.0 <= seen.high
    # 95 % of 200, within three binomial errors.
    assert held >= 190 - 3 * 3.1


def test_each_round_has_its_own_order_and_every_batch_once():
    orders = []

    def batch(place):
        def run(n):
            orders.append(place)
            return n * 1000

        return lambda: run

    interleaved = Interleaved(*(batch(place) for place in range(4)), seed=0)
    interleaved._per_copy = 10**9
    interleaved.take(len(interleaved.times) + 1, time.perf_counter() + 60)
    orders.clear()
    have = len(interleaved.times)
    interleaved.take(have + 300, time.perf_counter() + 60)
    rounds = [tuple(orders[i : i + 4]) for i in range(0, len(orders), 4)]
    assert all(sorted(each) == [0, 1, 2, 3] for each in rounds)
    assert len(set(rounds)) == 24


def test_time_is_heeded():
    interleaved = made_up()
    have = len(interleaved.times)
    assert not interleaved.take(10**9, time.perf_counter() - 1)
    assert len(interleaved.times) == have


def test_the_twin_gets_the_calls_of_the_baseline():
    interleaved = made_up(baseline=1000.0, twin=1500.0)
    assert interleaved.calls[TWIN] == interleaved.calls[BASELINE]


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("per_call", [True, False])
def test_a_batch_makes_its_calls_and_one_before_the_clock(first, per_call):
    seen = []
    setup = (lambda: len(seen)) if per_call else None
    batch = batch_of(lambda *made: seen.append(made), setup, first)
    assert batch(5) > 0
    assert len(seen) == 5 + first
    assert seen == [(number,) if per_call else () for number in range(5 + first)]


def test_what_feeds_a_call_is_outside_the_clock():
    def slow():
        time.sleep(0.005)

    assert batch_of(lambda made: None, slow)(4) < 0.005e9
    assert batch_of(None, slow)(4) < 0.005e9


class Counter:
    def __init__(self):
        self.count = 0

    def add(self, step=1, *, twice=False):
        self.count += step * (1 + twice)
        return self.count


def test_a_copy_is_other_code_that_does_the_same_to_the_same():
    seen = []

    def function(a, b=2, *, c=3):
        seen.append((a, b, c))

    copy = copy_of(function)
    assert copy.__code__ is not function.__code__
    copy(1)
    assert seen == [(1, 2, 3)]
    counter = Counter()
    method = copy_of(counter.add)
    assert method.__func__.__code__ is not Counter.add.__code__
    assert method(5, twice=True) == counter.count == 10


@pytest.mark.parametrize("function", [len, [].append, functools.partial(len, ()), Counter])
def test_what_is_no_function_in_python_is_not_copied(function):
    assert copy_of(function) is function


def test_copies_are_made_again_and_again_of_short_calls_and_none_of_long_ones():
    made = []

    def maker(cost):
        def make():
            made.append(cost)
            return lambda n: n * cost

        return make

    interleaved = Interleaved(*(maker(cost) for cost in (100, 100_000, 100, 10)), seed=0)
    interleaved._per_copy = 10
    interleaved.take(len(interleaved.times) + 100, time.perf_counter() + 60)
    assert made.count(100_000) == 1
    assert made.count(10) in (10, 11, 12)


def test_the_collector_and_a_tracer_are_off_and_come_back():
    def tracer(*_):
        return None

    before = sys.gettrace()
    sys.settrace(tracer)
    try:
        seen = []

        def fails():
            with undisturbed():
                seen.extend((gc.isenabled(), sys.gettrace()))
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            fails()
        assert seen == [False, None]
        assert sys.gettrace() is tracer
    finally:
        sys.settrace(before)
    assert gc.isenabled()


def test_cycles_that_calls_leave_do_not_pile_up():
    class Node:
        alive = most = 0

        def __init__(self):
            self.me = self
            Node.alive += 1
            Node.most = max(Node.most, Node.alive)

        def __del__(self):
            Node.alive -= 1

    interleaved = Interleaved(*(lambda: batch_of(Node) for _ in range(3)), lambda: batch_of(None), seed=0)
    Node.most = 0
    interleaved.take(20 * interleaved._per_copy, time.perf_counter() + 60)
    made_by_one_copy = sum(interleaved.calls[:3]) * (interleaved._per_copy + 8)
    assert 0 < Node.most <= 4 * made_by_one_copy
