import math

import msgspec
import numpy
import pytest
from synthetic import device_results, memory, results

from gradbench.analyse import stats
from gradbench.analyse.analysis import analyse
from gradbench.analyse.summary import summarise, worst_precision
from gradbench.analyse.timeline import Split, split
from gradbench.analyse.visits import (
    SAME_MARGIN,
    Net,
    Part,
    _is_indistinct,
    _net_ratio,
    family_of,
    net_of_loops,
    verdict,
)
from gradbench.record.interval import Interval
from gradbench.record.plan import Request
from gradbench.record.telemetry import Telemetry
from gradbench.record.visits import (
    Failure,
    Figure,
    Kernels,
    PassStart,
    RunEnd,
    Stretch,
    Timeline,
    VariantTime,
)


def variant_of(made, name, place=0):
    return summarise(made).comparisons[place].variant(name)


def test_a_ratio_is_net_of_the_empty_loop():
    # The loop takes a tenth of the baseline's call: the gross ratio would be 1.91, the net one is 2.
    found = variant_of(results({"no_grad": 2.0}, scatter=0.0, seconds=1e-7, empty=1e-8), "no_grad")
    assert found.ratio.mean == pytest.approx(2.0)
    assert found.time.mean == pytest.approx(2e-7)


def test_an_empty_loop_that_turns_three_times_as_slowly_in_one_visit_is_taken_at_its_median():
    made = results({"no_grad": 2.0}, scatter=0.0, seconds=6e-8, empty=6e-9)
    visit = made.visits[3]
    odd = msgspec.structs.replace(visit.variants["empty"], seconds=2.2e-8, log_ratio=math.log(2.2 / 6.6))
    visit.variants["empty"] = odd
    # Taken as it is, it would make of 126 - 22 ns and 66 - 22 ns a ratio of 2.36 in that pass.
    assert variant_of(made, "no_grad").log_ratios[4] == pytest.approx(math.log(2.0), abs=1e-9)
    visit.variants["empty"] = msgspec.structs.replace(odd, seconds=9e-9, log_ratio=math.log(9 / 66))
    # Half as slow again is drift, and stays.
    assert variant_of(made, "no_grad").log_ratios[4] == pytest.approx(math.log(117 / 57))


def test_what_a_method_adds_is_in_seconds_above_the_baseline():
    found = variant_of(results({"no_grad": 1.5}, scatter=0.0, seconds=2e-6), "no_grad")
    assert found.extra.mean == pytest.approx(1e-6)


def test_a_clear_difference_is_called_by_its_direction_and_an_absent_one_the_same():
    made = results({"no_grad": 1.3, "data": 0.8})
    assert variant_of(made, "no_grad").verdict == "slower"
    assert variant_of(made, "data").verdict == "faster"
    assert variant_of(made, "detach").verdict == "same"
    assert variant_of(made, "requires_grad_false").verdict == "baseline"


def test_an_interval_that_ends_where_the_same_ends_is_the_same():
    margin = math.log1p(SAME_MARGIN)
    variants = results({}).header.plan.comparisons[0].variants
    method = next(each for each in variants if each.role == "method")
    assert verdict(method, Interval(0.0, -margin, margin, 5), False, None, ()) == "same"


def test_two_passes_tell_methods_apart():
    (found,) = summarise(results({"no_grad": 2.0, "tracked": 4.0}, passes=2, scatter=1e-9)).comparisons
    assert ("tracked", "no_grad") in found.above
    assert found.variant("tracked").rank == len(found.methods)


def test_an_empty_loop_as_long_as_the_baseline_leaves_no_ratio():
    longer, as_long = (VariantTime(50, 1e-6, 1e-6, 1e-6, log) for log in (0.5, 0.0))
    assert _net_ratio(longer, as_long) is None


def test_a_difference_within_the_noise_is_not_told():
    assert variant_of(results({"no_grad": 1.02}, scatter=0.05), "no_grad").verdict == "cannot tell"


def test_a_difference_that_the_twin_leaves_open_is_not_told():
    made = results({"no_grad": 1.05, "twin": 1.2})
    assert variant_of(made, "no_grad").verdict == "cannot tell"


def test_one_pass_gives_a_ratio_without_an_interval_and_no_verdict():
    found = variant_of(results({"no_grad": 1.5}, passes=1), "no_grad")
    assert found.ratio.low is None
    assert found.verdict == "cannot tell"
    assert worst_precision(results({}, passes=1)) is None


def test_a_variant_as_quick_as_the_empty_loop_has_no_time_of_its_own():
    # Four turns of the empty loop cannot be told from the loop itself; six can.
    assert variant_of(results({"no_grad": 0.06}), "no_grad").verdict == "faster"
    found = variant_of(results({"no_grad": 0.04}), "no_grad")
    assert found.verdict == "no time of its own"
    assert found.time is None
    assert found.ratio is None


def test_a_variant_that_failed_is_unknown_and_says_why():
    made = results({})
    for visit in made.visits:
        del visit.variants["detach"]
    failure = Failure(1, made.visits[0].comparison, "detach", "check", "check", "broken promise")
    made.add(failure)
    found = variant_of(made, "detach")
    assert found.verdict == "failed"
    assert found.time is None
    assert found.failures == (failure,)


def test_the_interval_narrows_with_the_root_of_the_passes():
    def width(passes):
        ratio = variant_of(results({}, passes=passes, scatter=0.01, seed=3), "no_grad").ratio
        return ratio.high - ratio.low

    # t(0.975, 7) / sqrt(8) over t(0.975, 127) / sqrt(128) is 4.8; the sample's own scatter is not 1.
    assert width(8) / width(128) == pytest.approx(4.8, rel=0.5)


def test_false_alarms_stay_rare_over_many_runs_of_identical_variants():
    called = [
        variant.verdict in ("slower", "faster")
        for seed in range(60)
        for variant in summarise(results({}, scatter=0.01, passes=6, seed=seed)).comparisons[0].methods
    ]
    # A run is allowed one chance in a hundred; sixty runs with three alarms would be one in 400.
    assert sum(called) <= 2


def test_any_two_variants_can_be_compared_with_the_interval_of_their_own_differences():
    comparison = summarise(results({"no_grad": 1.2, "tracked": 1.5})).comparisons[0]
    ratio = comparison.time_ratios["no_grad", "tracked"]
    assert ratio.mean == pytest.approx(0.8, rel=0.002)
    assert ratio.low < 0.8 < ratio.high
    assert ("no_grad", "unheard of") not in comparison.time_ratios


def test_ranks_count_those_shown_to_be_faster():
    comparison = summarise(results({"no_grad": 1.2, "inference_mode": 1.2, "tracked": 1.5})).comparisons[0]
    rank = {variant.name: variant.rank for variant in comparison.methods}
    assert rank["requires_grad_false"] == rank["detach"] == 1
    assert rank["no_grad"] == rank["inference_mode"] == len(rank) - 2
    assert rank["tracked"] == len(rank)


def test_the_twins_give_the_noise_floor_of_the_run():
    summary = summarise(results({"twin": 1.004}, scatter=0.0))
    assert summary.twins.differences == pytest.approx((0.004,))
    assert summary.comparisons[0].floor == pytest.approx(math.log(1.004))


def test_the_worst_precision_is_the_widest_half_width():
    made = results({}, scatter=0.02)
    widths = [
        (variant.ratio.high - variant.ratio.low) / 2 / variant.ratio.mean
        for variant in summarise(made).comparisons[0].methods
        if variant.verdict != "baseline"
    ]
    assert worst_precision(made) == pytest.approx(max(widths))


def test_memory_stands_beside_the_variant_that_it_belongs_to():
    made = memory(results({}), "tracked", peak=400, saved=800)
    assert variant_of(made, "tracked").memory.saved == 800
    assert variant_of(made, "no_grad").memory is None


def test_the_time_outside_rounds_and_imports_is_what_is_left_of_the_wall():
    made = results({}, passes=4)
    made.add(RunEnd("passes", 10.0))
    # Four passes of 1.5 s, in each a visit of half a second and an import of 0.7 s.
    assert summarise(made).wall == pytest.approx(6.0)
    assert summarise(made).outside == pytest.approx(6.0 - 2.0 - 2.8)


def test_a_run_that_was_killed_has_no_wall_time_even_after_one_that_ended():
    assert summarise(results({})).wall is None
    made = results({})
    made.add(RunEnd("passes", 10.0))
    made.add(PassStart(11, "time", 0.7, 0, 0))
    assert summarise(made).wall is None
    assert any("interrupted" in warning for warning in analyse(made).warnings)


def test_a_precision_that_was_missed_is_told():
    made = results({})
    made.add(RunEnd("budget", 10.0, 0.01, 0.02))
    assert any("reached ±2 % instead of ±1 %: the " in each for each in analyse(made).warnings)
    made.add(RunEnd("precision", 10.0, 0.01, 0.009))
    assert analyse(made).warnings == ()
    made.add(RunEnd("budget", 10.0, 0.01, 0.99))
    assert "reached ±99 % instead" in analyse(made).warnings[-1]


def test_a_drifting_machine_does_not_make_a_long_call_look_like_an_empty_loop():
    # Two passes, the second ten times as slow: seconds scatter, the ratio to the empty loop does not.
    made = results({"no_grad": 1.5}, passes=1, seconds=1e-4)
    slow = results({"no_grad": 1.5}, passes=2, seconds=1e-3, empty=1e-7)
    made.add(slow.visits[1])
    assert variant_of(made, "no_grad").verdict != "no time of its own"
    assert variant_of(made, "no_grad").ratio.mean == pytest.approx(1.5, rel=0.01)


def test_the_visible_difference_is_one_that_a_verdict_would_find():
    seen = []
    for seed in range(40):
        summary = summarise(results({"no_grad": 1.05}, scatter=0.01, passes=12, seed=seed))
        visible = summary.comparisons[0].visible
        stronger = summarise(
            results({"no_grad": math.exp(visible)}, scatter=0.01, passes=12, seed=seed + 1000)
        )
        seen.append(stronger.comparisons[0].variant("no_grad").verdict == "slower")
    # 80 % are promised; forty runs stray from that by 6 per cent, and the scatter is guessed from a run.
    assert 0.6 <= sum(seen) / len(seen) <= 0.97


def test_what_is_visible_goes_by_the_scatter_of_the_methods():
    # The methods scatter, the twins do not.
    made = results({}, scatter=0.0)
    dice = numpy.random.default_rng(1)
    for visit in made.visits:
        for name in ("no_grad", "tracked", "detach", "data"):
            own = visit.variants[name]
            noisy = msgspec.structs.replace(own, log_ratio=own.log_ratio + dice.normal(0, 0.1))
            visit.variants[name] = noisy
    (found,) = summarise(made).comparisons
    methods = [each for each in found.methods if each.role == "method"]
    confidence = 1 - stats.FAMILY / len(methods)
    known = [stats.smallest_visible(list(each.log_ratios.values()), confidence) for each in methods]
    assert found.visible == pytest.approx(max(found.floor, float(numpy.median(list(filter(None, known))))))
    assert found.visible > 0.01


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (results({}, passes=0), "have 0 passes: no interval"),
        (results({}, passes=1), "have 1 pass: no interval"),
        (results({}, passes=4), "have only 4 passes"),
        (results({}, telemetry=Telemetry(others=0.9)), "Other processes used 90 %"),
        (results({}, telemetry=Telemetry(steal=0.05)), "kept 5.0 %"),
        (results({"twin": 1.05}, scatter=0.0), "than 2 %. The worst is elementwise/100/float32/cpu, 5.0 %."),
        (results({}), "interrupted"),
    ],
)
def test_a_warning_says_what_is_wrong(made, said):
    assert any(said in warning for warning in analyse(made).warnings)


def test_a_clean_run_has_no_warning():
    # Others may take a twentieth of the machine.
    made = results({}, telemetry=Telemetry(0.05, 0.0, 3, 3e9))
    made.add(RunEnd("passes", 10.0))
    assert analyse(made).warnings == ()


def test_a_clock_that_falls_is_told():
    made = results({}, telemetry=Telemetry(frequency=3e9))
    slow = results({}, passes=1, telemetry=Telemetry(frequency=1e9))
    made.add(slow.visits[0])
    assert any("1 GHz" in warning for warning in analyse(made).warnings)


def test_a_run_without_any_visit_is_summarised_as_unknown():
    summary = summarise(results({}, passes=0, request=Request(workloads=("control",))))
    assert {variant.verdict for each in summary.comparisons for variant in each.variants} == {"cannot tell"}
    assert summary.twins.differences == ()


def a_timeline(*stretches):
    return Timeline("c", "l", tuple(Stretch(code, live) for code, live in stretches))


def test_the_memory_of_a_step_is_split_at_its_backward():
    parts = split(
        a_timeline(
            ("y = f(x)", (4, 12, 8)), ("loss = y.sum()", (9,)), ("loss.backward()", (20, 5)), ("step()", ())
        )
    )
    assert (parts.forward, parts.kept, parts.backward, parts.left) == (12, 9, 20, 5)


def test_what_a_step_does_not_have_is_not_known_and_not_zero():
    assert split(a_timeline(("y = f(x)", (4,)))) == Split(forward=4, kept=None, backward=None, left=4)
    assert split(a_timeline(("loss.backward()", ()))) == Split(forward=None, kept=0, backward=0, left=0)


def test_a_loop_that_reads_the_clock_is_judged_by_others_of_its_kind():
    # 50 ns a turn is nothing odd where every call is timed by itself, and odd in a plain loop of 6 ns.
    # Of two plain comparisons and one other the median of all would be the plain loop's.
    request = Request(workloads=("retain", "control", "elementwise"), sizes=("small",))
    made = results({}, request=request, empty=6e-9)
    for visit in made.visits:
        if visit.comparison.startswith("retain"):
            slow = msgspec.structs.replace(visit.variants["empty"], seconds=5e-8, log_ratio=math.log(0.05))
            visit.variants["empty"] = slow
    (retain,) = (each for each in summarise(made).comparisons if each.comparison.workload == "retain")
    assert retain.empty == pytest.approx(5e-8)
    assert retain.variant("once").time.mean == pytest.approx(1e-6 + 6e-9 - 5e-8)


def test_timelines_are_found_at_their_comparison():
    made = results({})
    id = made.header.plan.comparisons[0].id
    made.add(Timeline(id, "no_grad", (Stretch("y = x", (1,)),)))
    (comparison,) = summarise(made).comparisons
    assert set(comparison.timelines) == {"no_grad"}


@pytest.mark.parametrize("seed", range(5))
def test_a_pair_is_told_apart_everywhere_or_nowhere(seed):
    """Verdicts, ranks and findings go by the same pairs, whatever the noise makes of close ones."""
    ratios = {name: 1 + 0.004 * place for place, name in enumerate(("no_grad", "tracked", "detach", "data"))}
    summary = summarise(results(ratios, passes=8, scatter=0.004, seed=seed))
    for each in summary.comparisons:
        name = each.comparison.baseline.name
        for variant in each.methods:
            own = variant.name
            assert (variant.verdict == "slower") == ((own, name) in each.above)
            assert (variant.verdict == "faster") == ((name, own) in each.above)
            assert variant.rank == 1 + sum(slower == own for slower, _ in each.above)
        # And by more than what identical code may differ by.
        for slower, faster in each.above:
            assert math.log(each.time_ratios[slower, faster].mean) > each.floor


def test_methods_are_told_apart_from_each_other_where_neither_is_from_the_baseline():
    # Both are noisy against the baseline, and together they are not.
    made = results({"no_grad": 1.0, "tracked": 1.1}, passes=12, scatter=0.0001)
    dice = numpy.random.default_rng(1)
    for visit in made.visits:
        common = dice.normal(0.0, 0.3)
        for name in ("no_grad", "tracked"):
            if name in visit.variants:
                own = visit.variants[name]
                visit.variants[name] = msgspec.structs.replace(own, log_ratio=own.log_ratio + common)
    known = [each for each in summarise(made).comparisons if each.variant("tracked")]
    assert known
    for each in known:
        assert each.variant("tracked").verdict == each.variant("no_grad").verdict == "cannot tell"
        assert ("tracked", "no_grad") in each.above
        assert (each.variant("no_grad").rank, each.variant("tracked").rank) == (1, 2)


def test_a_device_that_takes_no_more_than_can_be_told_from_nothing_is_idle():
    made = device_results(Request(("elementwise",), ("no_grad",), ("1e6",), device="cuda:0"))
    for visit in made.visits:
        for name, variant in visit.variants.items():
            if variant.device is not None:
                part = msgspec.structs.replace(variant.device, seconds=1e-8, least=1e-8)
                visit.variants[name] = msgspec.structs.replace(variant, device=part)
    assert summarise(made).comparisons[0].variant("no_grad").device_idle


def test_identical_code_on_memory_of_its_own_that_takes_longer_is_told_with_its_place():
    summary = summarise(results({"twin_own_buffer": 1.27}))
    where, ratio = summary.farthest_moved
    assert where is summary.comparisons[0]
    assert ratio.mean == pytest.approx(1.27, rel=0.01)
    faster = summarise(results({"twin_own_buffer": 0.8}))
    assert faster.farthest_moved[1].mean == pytest.approx(0.8, rel=0.01)


@pytest.mark.parametrize(
    "made",
    [
        results({"twin_own_buffer": 1.003}, scatter=1e-5),
        results({"twin_own_buffer": 1.27, "twin": 1.5}),
        results({"twin_own_buffer": 1.27}, passes=1),
        results({}, request=Request(workloads=("retain",), sizes=("small",))),
    ],
    ids=["called the same", "within what the twin leaves open", "one pass", "no such twin"],
)
def test_memory_of_its_own_that_is_not_shown_to_matter_is_not_told(made):
    assert summarise(made).farthest_moved is None


def test_a_comparison_counts_its_own_passes_and_rounds():
    request = Request(workloads=("control", "elementwise"), sizes=("small",))
    made = results({}, passes=8, request=request)
    made.visits[:] = [each for each in made.visits if each.number % 4 == 0 or "control" in each.comparison]
    control, elementwise = summarise(made).comparisons
    # 100 rounds a visit.
    assert (control.passes, control.rounds, control.passes_per_visit) == (8, 800, 1.0)
    assert (elementwise.passes, elementwise.rounds, elementwise.passes_per_visit) == (2, 200, 4.0)
    made.visits[:] = [each for each in made.visits if "control" in each.comparison]
    assert summarise(made).comparisons[1].passes_per_visit == 8.0


def test_the_empty_loop_of_a_comparison_is_the_median_of_its_visits():
    made = results({}, passes=3)
    for visit, seconds in zip(made.visits, (1e-8, 2e-8, 9e-8), strict=True):
        visit.variants["empty"] = msgspec.structs.replace(visit.variants["empty"], seconds=seconds)
    assert summarise(made).comparisons[0].empty == pytest.approx(2e-8)
    for visit in made.visits:
        del visit.variants["empty"]
    assert summarise(made).comparisons[0].empty is None


def test_what_a_method_adds_is_of_the_baseline_of_the_same_pass():
    made = results({"no_grad": 1.5}, passes=1, scatter=0.0, seconds=1e-6, empty=1e-9)
    made.add(results({"no_grad": 1.5}, passes=2, scatter=0.0, seconds=1e-5, empty=1e-8).visits[1])
    # Half a microsecond in the one pass, and five in the other.
    assert variant_of(made, "no_grad").extra.mean == pytest.approx(2.75e-6)
    # In a pass without the baseline's time nothing is known.
    del made.visits[1].variants["requires_grad_false"]
    assert variant_of(made, "no_grad").extra.count == 1


@pytest.mark.parametrize(("number", "verdict"), [(1, "failed"), (0, "cannot tell")])
def test_what_cost_all_visits_of_a_comparison_cost_its_variants_their_times(number, verdict):
    made = results({}, passes=0)
    (comparison,) = made.header.plan.comparisons
    # Of pass 0 nothing is timed: bytes are counted in it.
    lost = Failure(number, comparison.id, None, "time", "died", "the process ended")
    made.add(lost)
    (found,) = summarise(made).comparisons
    assert found.failures == (lost,)
    assert {each.verdict for each in found.variants} == {verdict}


def test_a_visit_that_was_lost_costs_no_variant_its_times_where_others_came_to_their_end():
    made = results({})
    for visit in made.visits:
        del visit.variants["detach"]
    made.add(Failure(4, made.visits[0].comparison, None, "time", "died", "the process ended"))
    assert variant_of(made, "detach").verdict == "cannot tell"
    assert variant_of(made, "no_grad").verdict == "same"


def test_a_precision_leaves_out_what_has_no_time_and_is_unknown_where_a_ratio_is():
    made = results({"no_grad": 0.04}, scatter=0.02)
    (comparison,) = summarise(made).comparisons
    widths = [
        (each.ratio.high - each.ratio.low) / 2 / each.ratio.mean
        for each in comparison.methods
        if each.ratio is not None and each.role == "method"
    ]
    assert len(widths) == sum(each.role == "method" for each in comparison.methods) - 1
    assert worst_precision(made) == pytest.approx(max(widths))
    for visit in made.visits:
        del visit.variants["detach"]
    assert worst_precision(made) is None


def test_one_pass_has_no_floor_no_rank_and_nothing_that_is_shown():
    (found,) = summarise(results({"no_grad": 2.0}, passes=1)).comparisons
    assert (found.floor, found.visible, found.above) == (None, None, frozenset())
    assert {each.rank for each in found.variants} == {None}


def test_records_of_a_comparison_stay_with_it():
    request = Request(workloads=("control", "elementwise"), sizes=("small",))
    made = results({}, request=request, passes=2)
    one, other = (each.id for each in made.header.plan.comparisons)
    made.add(Timeline(one, "no_grad", (Stretch("y = x", (4, 12)), Stretch("loss.backward()", (20, 5)))))
    made.add(Figure(other, "no_grad", "graph_nodes", 2.0))
    made.add(Figure(other, "no_grad", "depth", 3.0))
    made.add(Kernels(one, "no_grad", 2, 1e-5))
    control, elementwise = summarise(made).comparisons
    assert set(control.splits) == {"no_grad"}
    assert (control.splits["no_grad"].forward, control.splits["no_grad"].left) == (12, 5)
    assert (elementwise.timelines, elementwise.splits) == ({}, {})
    assert control.variant("no_grad").figures == {}
    assert elementwise.variant("no_grad").figures == {"graph_nodes": 2.0, "depth": 3.0}
    assert control.variant("no_grad").kernels == Kernels(one, "no_grad", 2, 1e-5)
    assert elementwise.variant("no_grad").kernels is None


@pytest.mark.parametrize(("idle", "found"), [(5, False), (6, True)])
def test_a_device_is_idle_in_most_visits_or_it_is_not_idle(idle, found):
    part = Part()
    part.idle["a"] = [True] * idle + [False] * (10 - idle)
    part.seconds["a"] = [1e-6, 1e-6]
    part.log_ratios["a"] = {1: 0.5, 2: 0.5}
    assert part.mostly_idle("a") is found
    assert (part.time("a") is None) is found
    assert (part.ratio("a") is None) is found
    assert part.by_pass("a") == ({} if found else {1: 0.5, 2: 0.5})


def test_a_net_ratio_is_of_what_is_left_of_both():
    def time(log):
        return None if log is None else VariantTime(50, 1e-6, 1e-6, 1e-6, log)

    # (1.5 - 0.2) / (1 - 0.2).
    assert _net_ratio(time(math.log(1.5)), time(math.log(0.2))) == pytest.approx(1.3 / 0.8)
    assert _net_ratio(time(math.log(1.5)), None) == pytest.approx(1.5)
    # Nothing is left of the one, or of the baseline.
    assert _net_ratio(time(math.log(0.2)), time(math.log(0.2))) is None
    assert _net_ratio(time(math.log(3.0)), time(math.log(2.0))) is None


@pytest.mark.parametrize(
    ("log_ratio", "shown", "failures", "expected"),
    [
        (None, None, (), "cannot tell"),
        (None, "slower", ("a failure",), "failed"),
        (Interval(0.0, -0.001, 0.001, 5), "slower", (), "slower"),
        (Interval(0.0, -0.001, 0.001, 5), "faster", ("a failure",), "faster"),
        (Interval(0.0, -0.001, 0.001, 5), None, (), "same"),
        (Interval(0.0, -0.02, 0.001, 5), None, (), "cannot tell"),
        (Interval(0.0, -0.001, 0.02, 5), None, (), "cannot tell"),
        (Interval(0.0, None, None, 1), None, (), "cannot tell"),
    ],
)
def test_a_verdict_is_by_what_is_shown_and_else_by_the_interval(log_ratio, shown, failures, expected):
    variants = results({}).header.plan.comparisons[0].variants
    method = next(each for each in variants if each.role == "method")
    assert verdict(method, log_ratio, False, shown, failures) == expected
    assert verdict(method, log_ratio, True, shown, failures) == "no time of its own"
    baseline = next(each for each in variants if each.role == "baseline")
    known = {"cannot tell": "cannot tell", "failed": "failed"} if log_ratio is None else {}
    assert verdict(baseline, log_ratio, False, shown, failures) == known.get(expected, "baseline")


def test_a_visit_without_the_baseline_has_times_and_no_ratios():
    made = results({"no_grad": 1.5}, passes=3, scatter=0.0)
    del made.visits[1].variants["requires_grad_false"]
    (net,) = net_of_loops(made.header.plan.comparisons, made.visits)
    assert set(net.seconds["no_grad"]) == {1, 2, 3}
    assert set(net.log_ratios["no_grad"]) == {1, 3}
    assert net.passes == [1, 2, 3]


def test_a_comparison_without_a_baseline_has_no_name_for_it():
    (comparison,) = results({}).header.plan.comparisons
    assert Net(comparison, []).baseline == "requires_grad_false"
    variants = tuple(each for each in comparison.variants if each.role != "baseline")
    assert Net(msgspec.structs.replace(comparison, variants=variants), []).baseline == ""


def test_a_family_has_the_ratios_of_the_whole_run_and_the_level_that_it_is_given():
    request = Request(workloads=("control", "elementwise"), sizes=("small",))
    made = results({"no_grad": 1.5}, request=request)
    run = net_of_loops(made.header.plan.comparisons, made.visits)
    methods = [variant for each in run for variant in each.comparison.variants if variant.role == "method"]
    found = family_of(run, 0.002)
    assert (found.tests, found.comparisons, found.level) == (len(methods), 2, 0.002)
    assert found.real == {(each.comparison.id, "no_grad") for each in run}
    assert family_of(run).level == stats.FAMILY
    # Nothing was planned: no level is divided by 0.
    assert (family_of([]).tests, family_of([]).real) == (1, frozenset())


def test_without_an_empty_loop_times_and_ratios_are_as_they_were_measured():
    made = results({"no_grad": 2.0}, passes=3, scatter=0.0, seconds=1e-7, empty=1e-8)
    for visit in made.visits:
        del visit.variants["empty"]
    found = variant_of(made, "no_grad")
    assert found.time.mean == pytest.approx(2.1e-7)
    assert found.ratio.mean == pytest.approx(2.1 / 1.1)


def test_what_takes_five_turns_of_the_loop_beside_its_own_can_be_told_from_it():
    # In turns; the loop's own is among them.
    assert _is_indistinct([math.log(5.99)])
    assert not _is_indistinct([math.log(6.01)])
    assert not _is_indistinct([math.log(6.01), math.log(6.01)])
    # Where it scatters, by what its interval leaves open: nine turns, or 2.
    assert _is_indistinct([math.log(9.0) - 0.2, math.log(9.0) + 0.2])


def test_the_time_of_a_variant_that_fewer_passes_timed_stands_in_its_ratio_to_the_baselines():
    request = Request(workloads=("elementwise",), sizes=("small",), methods=("no_grad", "tracked"))
    made = results({"no_grad": 1.5, "tracked": 1.2}, passes=12, scatter=0.001, request=request)
    for number, visit in enumerate(made.visits):
        # The machine slows down by half, and its slow passes hold no_grad alone.
        factor = 1.0 if number < 6 else 1.5
        for name, each in list(visit.variants.items()):
            visit.variants[name] = msgspec.structs.replace(each, seconds=each.seconds * factor)
        if factor == 1.5:
            del visit.variants["tracked"]
    (comparison,) = summarise(made).comparisons
    base, whole, part = (comparison.variant(name) for name in ("requires_grad_false", "no_grad", "tracked"))
    assert comparison.fewest == 6
    for each in (whole, part):
        assert each.time.mean / base.time.mean == pytest.approx(each.ratio.mean, rel=0.01)
    assert part.time.low < part.time.mean < part.time.high
    assert (part.time.count, whole.time.count) == (6, 12)
