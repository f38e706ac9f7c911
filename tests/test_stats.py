"""Expectations come from tables of Student's t, from SciPy's own tests, and from what is drawn."""

import math
import statistics

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from gradbench.analyse import stats


def test_an_interval_is_students_with_its_tabulated_quantile():
    # t(0.975, 4) = 2.776 in any table; the standard deviation of 1..5 is sqrt(2.5).
    found = stats.interval([1.0, 2.0, 3.0, 4.0, 5.0])
    assert found.mean == 3.0
    assert found.count == 5
    assert found.high - found.mean == pytest.approx(2.776 * math.sqrt(2.5 / 5), rel=1e-3)
    assert found.low == pytest.approx(6.0 - found.high)


def test_no_value_has_no_interval_and_one_value_has_no_ends():
    assert stats.interval([]) is None
    assert stats.interval([2.0]) == stats.Interval(2.0, None, None, 1)
    assert stats.smallest_visible([2.0]) is None


def test_an_interval_covers_the_mean_it_was_drawn_around_as_often_as_it_says():
    draws = numpy.random.default_rng(1).normal(0.3, 2.0, size=(4000, 6))
    found = [stats.interval(list(row)) for row in draws]
    covered = sum(each.low <= 0.3 <= each.high for each in found)
    # 4,000 trials at 0.95: four standard errors are 1.4 per cent.
    assert covered / 4000 == pytest.approx(0.95, abs=0.014)


def test_the_smallest_visible_mean_is_of_tabulated_quantiles():
    # t(0.975, 1) = 12.706 and t(0.8, 1) = 1.376; t(0.975, 2) = 4.303 and t(0.8, 2) = 1.061.
    assert stats.smallest_visible([1.0, 3.0]) == pytest.approx(12.706 + 1.376, rel=1e-3)
    assert stats.smallest_visible([1.0, 2.0, 3.0]) == pytest.approx((4.303 + 1.061) / math.sqrt(3), rel=1e-3)


def test_a_mapped_interval_keeps_its_ends_in_order():
    found = stats.Interval(0.0, -1.0, 1.0, 3).map(math.exp)
    assert (found.low, found.mean, found.high) == pytest.approx((1 / math.e, 1.0, math.e))
    assert stats.Interval(0.0, None, None, 1).map(math.exp).low is None


def test_the_smallest_visible_difference_is_found_in_four_of_five_cases():
    rng = numpy.random.default_rng(2)
    visible = stats.smallest_visible(list(scipy_stats.norm.ppf((numpy.arange(10) + 0.5) / 10)))
    scatter = float(numpy.std(scipy_stats.norm.ppf((numpy.arange(10) + 0.5) / 10), ddof=1))
    samples = rng.normal(visible, scatter, size=(10, 3000))
    found = float(numpy.mean(stats.p_values(samples) < 0.05))
    # The shortcut of two quantiles is known to be a little off the noncentral t for few values.
    assert found == pytest.approx(0.8, abs=0.04)


@settings(deadline=None)
@given(st.lists(st.lists(st.floats(-5, 5), min_size=3, max_size=3), min_size=3, max_size=8))
def test_p_values_are_those_of_scipy(rows):
    samples = numpy.array(rows)
    for column, p in zip(samples.T, stats.p_values(samples), strict=True):
        if numpy.std(column) > 1e-6:
            assert p == pytest.approx(scipy_stats.ttest_1samp(column, 0.0).pvalue, rel=1e-6, abs=1e-12)


def test_p_values_leave_out_what_is_missing_and_show_nothing_from_one_value():
    samples = numpy.array([[1.0, 1.0], [1.2, math.nan], [0.9, math.nan], [math.nan, math.nan]])
    several, single = stats.p_values(samples)
    assert several == pytest.approx(scipy_stats.ttest_1samp([1.0, 1.2, 0.9], 0.0).pvalue)
    assert single == 1.0


def test_values_without_scatter_show_a_difference_but_zeros_do_not():
    assert list(stats.p_values(numpy.array([[0.5, 0.0], [0.5, 0.0]]))) == [0.0, 1.0]


def test_holm_is_the_textbook_example():
    # Aickin and Gensler 1996, table 1: 0.01, 0.04, 0.03, 0.005 become 0.03, 0.06, 0.06, 0.02.
    adjusted = stats.holm(numpy.array([0.01, 0.04, 0.03, 0.005]))
    assert list(adjusted) == pytest.approx([0.03, 0.06, 0.06, 0.02])


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_never_lowers_a_p_value_nor_changes_their_order(p):
    adjusted = stats.holm(numpy.array(p))
    assert all(0 <= raw <= new <= 1 for raw, new in zip(p, adjusted, strict=True))
    order = numpy.argsort(p, kind="stable")
    assert all(a <= b for a, b in zip(adjusted[order], adjusted[order][1:], strict=False))


def test_holm_keeps_false_alarms_of_a_family_under_five_per_cent():
    draws = numpy.random.default_rng(3).normal(size=(1500, 8, 20))
    families = [bool((stats.holm(stats.p_values(family)) < 0.05).any()) for family in draws]
    assert numpy.mean(families) < 0.05 + 4 * math.sqrt(0.05 * 0.95 / 1500)


def test_columns_that_differ_are_told_apart_and_those_that_may_be_equal_are_not():
    noise = numpy.random.default_rng(4).normal(scale=0.01, size=(10, 4))
    samples = noise + numpy.array([0.5, 0.0, 0.0, 1.0])
    assert set(stats.above(samples, 0.01)) == {(0, 1), (0, 2), (3, 0), (3, 1), (3, 2)}
    # By more than 0.6 only the last two.
    assert set(stats.above(samples, 0.01, 0.6)) == {(3, 1), (3, 2)}
    assert stats.above(samples, 1e-30) == []
    # Certain is what no level but 0 keeps out.
    certain = numpy.array([[1.0, 0.0], [1.0, 0.0]])
    assert (stats.above(certain, 1e-30), stats.above(certain, 0.0)) == ([(0, 1)], [])
    # By more than 1 it is not.
    assert stats.above(certain, 0.01, 1.0) == []


def test_of_a_single_column_or_pass_nothing_is_told_apart():
    assert stats.above(numpy.zeros((5, 1)), 0.01) == []
    assert stats.above(numpy.array([[0.0, 9.0]]), 0.01) == []


def test_columns_without_a_pass_in_common_are_not_told_apart():
    nan = numpy.nan
    samples = numpy.array([[0.0, nan], [0.0, nan], [nan, 9.0], [nan, 9.0]])
    assert stats.above(samples, 0.01) == []


@settings(deadline=None)
@given(
    st.lists(st.floats(0.1, 10), min_size=3, max_size=30, unique=True), st.sampled_from([0.9, 0.99, 0.999])
)
def test_an_interval_at_another_confidence_is_that_of_the_same_values(values, confidence):
    logs = [math.log(each) for each in values]
    usual = stats.interval(logs).map(math.exp)
    known = stats.interval(logs, confidence).map(math.exp)
    found = stats.wider(usual, confidence, logarithms=True)
    assert (found.mean, found.count) == (usual.mean, usual.count)
    assert (found.low, found.high) == (
        pytest.approx(known.low, rel=1e-6),
        pytest.approx(known.high, rel=1e-6),
    )
    for own in (values, [-each for each in values]):
        known = stats.interval(own, confidence)
        found = stats.wider(stats.interval(own), confidence, logarithms=False)
        assert (found.mean, found.count) == (known.mean, known.count)
        assert (found.low, found.high) == (pytest.approx(known.low), pytest.approx(known.high))


def test_two_values_may_leave_open_more_than_any_number():
    usual = stats.interval([0.0, 2.0]).map(math.exp)
    found = stats.wider(usual, 0.999, logarithms=True)
    assert (found.low, found.high) == (0.0, math.inf)


def test_an_interval_that_there_is_not_has_no_other():
    alone = stats.Interval(1.0, None, None, 1)
    assert stats.wider(alone, 0.999, logarithms=True) == alone


@pytest.mark.parametrize("confidence", [0.95, 0.999])
def test_the_difference_of_two_samples_is_welchs(confidence):
    values, others = [1.0, 1.3, 0.9, 1.2, 1.1], [0.2, 0.9, 1.6]
    found = stats.difference(values, others, confidence)
    known = scipy_stats.ttest_ind(values, others, equal_var=False).confidence_interval(confidence)
    assert (found.low, found.high) == (pytest.approx(known.low), pytest.approx(known.high))
    assert found.mean == pytest.approx(0.2)


def test_samples_without_scatter_differ_for_certain():
    assert stats.difference([2.0, 2.0], [1.0, 1.0]) == stats.Interval(1.0, 1.0, 1.0, 4)


def test_what_all_values_share_widens_the_interval_and_is_not_lessened_by_their_number():
    values = [0.01, 0.03] * 500
    plain, wide = stats.interval(values), stats.interval(values, common=0.01)
    assert wide.mean == plain.mean == pytest.approx(0.02)
    assert wide.high - wide.mean == pytest.approx(math.hypot(1.96 * 0.01, plain.high - plain.mean), rel=1e-3)
    column = numpy.array([values]).T
    assert stats.p_values(column)[0] < 1e-9
    # Two standard deviations.
    assert stats.p_values(column, common=0.01)[0] == pytest.approx(0.0455, rel=0.05)


@pytest.mark.parametrize("count", [27, 33, 60])
def test_the_quartile_of_times_lies_between_two_of_them_as_often_as_it_should(count):
    # Three passes in ten are disturbed, by up to four times the time; the quartile does not move with that.
    dice = numpy.random.default_rng(5)
    held, wide = 0, []
    for _ in range(2_000):
        times = dice.lognormal(0.0, 0.02, count)
        slow = dice.random(count) < 0.3
        times[slow] *= dice.uniform(1.5, 4.0, slow.sum())
        found = stats.quartile(list(times), 0.99)
        assert found.low in times
        assert found.high in times
        assert found.count == count
        # The quartile of all is at 0.25 / 0.7 of the undisturbed ones.
        held += found.low <= math.exp(0.02 * float(scipy_stats.norm.ppf(0.25 / 0.7))) <= found.high
        wide.append(found.high / found.low)
    assert held / 2_000 >= 0.985
    assert statistics.median(wide) < 1.1


def test_of_too_few_times_a_quartile_has_no_end():
    times = [1e-6, 2e-6, 1.5e-6, 1.2e-6]
    found = stats.quartile(times, 0.999)
    assert (found.low, found.high, found.count) == (0.0, math.inf, 4)
    # A quartile below the least of n times has the chance 0.75^n, which is 0.0005 for n of 27.
    assert 0.75**27 < 0.0005 < 0.75**26
    assert [stats.has_quartile(count, 0.999) for count in (0, 4, 26, 27)] == [False, False, False, True]


def test_the_intervals_of_columns_are_those_of_each_column_by_itself():
    nan = math.nan
    rows = [[1.0, 5.0, 2.0, nan], [2.0, 7.0, nan, nan], [4.0, nan, nan, nan], [9.0, nan, nan, nan]]
    four, two, single, none = stats.intervals(numpy.array(rows))
    for found, values in ((four, [1.0, 2.0, 4.0, 9.0]), (two, [5.0, 7.0])):
        known = stats.interval(values)
        assert (found.mean, found.low, found.high) == pytest.approx((known.mean, known.low, known.high))
        assert found.count == len(values)
    assert single == stats.Interval(2.0, None, None, 1)
    assert none is None


def test_a_geometric_mean_has_the_tabulated_interval_of_its_logarithms():
    # The logarithms of 1, 4 and 16 are log 4 apart, which is their standard deviation; t(0.975, 2) = 4.303.
    found = stats.geometric([1.0, 4.0, 16.0])
    reach = 4.0 ** (4.303 / math.sqrt(3))
    assert (found.mean, found.count) == (pytest.approx(4.0), 3)
    assert (found.low, found.high) == (pytest.approx(4 / reach, rel=2e-3), pytest.approx(4 * reach, rel=2e-3))
    assert stats.geometric([]) is None


def test_a_logarithm_beyond_all_numbers_is_a_factor_that_is_still_one():
    assert stats.factor(math.log(3.0)) == pytest.approx(3.0)
    assert stats.factor(1e6) == math.exp(600.0)


def test_an_interval_that_reaches_as_far_as_numbers_do_has_ends():
    # t(0.975, 1) at the usual confidence and at the asked one, so the reach is that of the interval itself.
    for reach, ends in ((600.0, True), (601.0, False)):
        usual = stats.Interval(1.0, math.exp(-reach), math.exp(reach), 2)
        found = stats.wider(usual, stats.CONFIDENCE, logarithms=True)
        assert math.isfinite(found.high) == (found.low > 0) == ends
        assert found.count == 2


def test_what_is_visible_at_another_confidence_is_of_its_quantile():
    # t(0.995, 2) = 9.925 and t(0.8, 2) = 1.061.
    found = stats.smallest_visible([1.0, 2.0, 3.0], 0.99)
    assert found == pytest.approx((9.925 + 1.061) / math.sqrt(3), rel=1e-3)


def test_the_difference_counts_the_values_of_both_samples_at_the_usual_confidence():
    values, others = [1.0, 1.3, 0.9, 1.2, 1.1], [0.2, 0.9, 1.6]
    found = stats.difference(values, others)
    assert found.count == 8
    known = scipy_stats.ttest_ind(values, others, equal_var=False).confidence_interval(0.95)
    assert found.high == pytest.approx(known.high)
