"""How many calls a batch holds, on clocks made up for the purpose."""

from collections import Counter

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gradbench.measure.calibration import calibrate, level

BATCH = 50e-6


@pytest.mark.parametrize("cost", [10, 47, 1e3, 12_499, 12_501, 49_999, 50_001, 1e6, 10e6])
def test_a_batch_is_as_many_calls_as_take_fifty_microseconds(cost):
    n = calibrate(lambda n: round(n * cost), BATCH)
    assert n >= 1
    assert n == 1 or n * cost == pytest.approx(50_000, rel=0.2)
    assert n * cost >= 50_000 / 2


@settings(deadline=None)
@given(st.floats(10, 10e6), st.floats(0, 1e3))
@example(10.0, 0.0)
def test_a_batch_is_near_its_length_whatever_a_call_and_the_clock_cost(cost, around):
    n = calibrate(lambda n: round(n * cost + around), BATCH)
    assert n >= 1
    assert n == 1 or 25_000 < n * cost < 100_000


def test_a_call_longer_than_a_batch_is_made_once():
    assert calibrate(lambda n: n * 10_000_000, BATCH) == 1


def test_a_clock_that_stands_still_does_not_calibrate_for_ever():
    assert calibrate(lambda n: 0, BATCH) >= 1


def test_a_disturbed_batch_does_not_make_batches_short():
    asked = Counter()

    def batch(n):
        asked[n] += 1
        return n * 1000 + (10_000_000 if asked[n] == 1 else 0)

    assert calibrate(batch, BATCH) == pytest.approx(50, rel=0.1)


@pytest.mark.parametrize(
    ("calls", "leveled"),
    [
        ([100, 80, 125, 79, 126], [100, 100, 100, 79, 126]),
        ([1, 1, 2], [1, 1, 2]),
        ([7, 6, 8, 5], [7, 7, 7, 5]),
    ],
)
def test_variants_of_like_length_get_the_calls_of_the_baseline(calls, leveled):
    assert level(calls, ["baseline"] + ["method"] * (len(calls) - 1)) == leveled


def test_a_twin_gets_the_calls_of_the_baseline_whatever_calibration_made_of_it():
    roles = ["method", "twin", "baseline", "twin_own_buffer", "empty"]
    assert level([30, 11, 18, 40, 4000], roles) == [30, 18, 18, 18, 4000]
