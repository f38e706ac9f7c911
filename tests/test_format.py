"""Figures for readers: digits, units, dashes."""

import math

import pytest

from gradbench import format
from gradbench.record.interval import Interval


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "–"), (0.0, "0 ns"), (3.614e-7, "361 ns"), (9.996e-8, "100 ns"), (1.0e-6, "1.00 µs"),
        (9.9951e-4, "1.00 ms"), (0.9996, "1.00 s"), (1234.5, "1,230 s"),
    ],
)  # fmt: skip
def test_a_time_has_three_digits_and_the_unit_that_suits_it(value, shown):
    assert format.seconds(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "–"), (0, "0 B"), (9_999, "9,999 B"), (12_345, "12.3 kB"), (4_000_000, "4.00 MB"),
     (999_600, "1.00 MB"), (25 * 10**9, "25.0 GB")],
)  # fmt: skip
def test_bytes_are_exact_while_short(value, shown):
    assert format.size(value) == shown


def test_a_ratio_has_the_digits_that_its_interval_supports():
    assert format.ratio_with_ends(Interval(3.6123, 3.5723, 3.6523, 9)) == "3.612 (3.572 to 3.652)"
    assert format.ratio_with_ends(Interval(1.00004, 1.00001, 1.00007, 9)) == "1.0000 (1.0000 to 1.0001)"
    assert format.ratio_with_ends(Interval(1029.3, 977.1, 1084.2, 9)) == "1,029 (977 to 1,084)"
    assert format.ratio(Interval(0.34, 1e-6, 3e6, 2)) == "0.3"
    assert format.ratio(None) == "–"
    assert format.ratio(Interval(2.0, None, None, 1)) == "2.00"


def test_a_difference_is_per_cent_while_that_says_something_and_a_factor_beyond():
    shown = {None: "–", 0.0: "0 %", 0.02: "2.0 %", 2.0: "640 %", 3.0: "a factor of 20"}
    assert {value: format.difference(value) for value in shown} == shown
    for value in (70.0, 710.0, math.inf):
        assert format.difference(value) == "a factor of more than 1,000"


@pytest.mark.parametrize(
    ("value", "shown"), [(64, "64"), (10_000, "10k"), (10**6, "1M"), (123_456, "123,456"), (1_500, "1,500")]
)
def test_a_number_of_elements_is_short_where_that_loses_nothing(value, shown):
    assert format.count(value) == shown
