"""The figure at a glance: which points it has, what they say, and that it can be read in every run."""

import itertools
import math
import re

import msgspec
import pytest
from matplotlib.figure import Figure
from synthetic import device_results, results
from test_figures import assert_readable

from gradbench.analyse.analysis import analyse
from gradbench.record.plan import Plan, Request
from gradbench.report.drawing import PAGE, TALK, style
from gradbench.report.figures import glance
from gradbench.report.glance import METHODS, draw_glance, glance_of, in_words, spread

WHOLE = ("control", "elementwise", "chain", "matmul", "view", "update", "freeze")


def a_run(ratios=None, request=None, **options):
    """A run in which a call takes as many nanoseconds as x has elements, and a thousand more."""
    return results(
        {"no_grad": 1.5} if ratios is None else ratios,
        request=request or Request(workloads=WHOLE),
        seconds=lambda comparison: 1e-6 + 1e-9 * comparison.numel,
        **{"scatter": 1e-4, **options},
    )


def known(made):
    """What the figure shows of a run."""
    found = glance_of(analyse(made))
    assert found is not None
    return found


def test_a_point_is_the_price_in_per_cent_of_the_work_over_the_time_of_the_work():
    found = known(a_run({"no_grad": 1.5, "tracked": 3.0}))
    for point, each in zip(found.points["no_grad"], found.comparisons, strict=True):
        assert point.work == each.baseline.time.mean
        assert point.price == pytest.approx(50, abs=0.1)
        assert point.low < point.price < point.high
        assert point.shown
    assert {round(point.price) for point in found.points["tracked"]} == {200}


def test_only_whole_workloads_that_compute_something_are_points():
    found = known(a_run())
    assert {each.comparison.workload for each in found.comparisons} == {"elementwise", "chain", "matmul"}
    times = [each.baseline.time.mean for each in found.comparisons]
    assert times == sorted(times)


def test_a_price_that_is_not_shown_is_the_most_that_it_may_be_and_has_no_interval():
    found = known(a_run({}))
    for point, each in zip(found.points["detach"], found.comparisons, strict=True):
        ratio = each.variant("detach").ratio
        assert each.variant("detach").verdict == "same"
        assert not point.shown
        assert point.price == (100 * (ratio.high - 1) if ratio.high > 1 else None)


def test_a_method_that_is_faster_has_no_price():
    found = known(a_run({"inference_mode": 0.8}))
    assert {point.price for point in found.points["inference_mode"]} == {None}
    assert "torch.inference_mode() nothing" in in_words(found)


def test_the_price_of_an_empty_block_is_that_of_the_workload_without_work():
    made = a_run({"no_grad": 1.5}, Request(workloads=("control", "chain")))
    control = next(each for each in analyse(made).comparisons if each.comparison.workload == "control")
    assert known(made).empty_block == control.variant("no_grad").time.mean
    assert known(a_run(request=Request(workloads=("chain",)))).empty_block is None


@pytest.mark.parametrize(
    "request_",
    [
        Request(workloads=("control",)),
        Request(workloads=("chain",), sizes=("small",)),
        Request(workloads=("freeze", "update")),
        Request(workloads=("control", "chain"), sizes=("large",)),
    ],
)
def test_a_run_with_no_two_times_of_work_has_no_figure(request_):
    analysis = analyse(results({"no_grad": 1.5}, request=request_))
    assert (glance(analysis), glance(analysis, narrow=True)) == ("", "")


def test_parts_and_alternatives_have_no_figure_however_many_there_are():
    plan = a_run().header.plan
    whole = [each for each in plan.comparisons if each.answer and not each.alternatives]
    assert len(whole) > 2
    for change in ({"part": "forward"}, {"alternatives": True}, {"answer": ""}):
        changed = Plan(tuple(msgspec.structs.replace(each, **change) for each in whole))
        assert glance(analyse(results({"no_grad": 1.5}, plan=changed))) == ""
    assert glance(analyse(results({"no_grad": 1.5}, plan=Plan(tuple(whole)))))


def test_of_several_devices_the_figure_shows_one():
    analysis = analyse(device_results(Request(workloads=("chain",), device="cpu,cuda:0")))
    for device, seen in (("cuda:0", analysis), ("cpu", analysis.on("cpu"))):
        assert {each.comparison.device for each in glance_of(seen).comparisons} == {device}


def test_runs_without_a_comparison_or_an_interval_have_no_figure():
    assert glance(analyse(results({}, plan=Plan(())))) == ""
    assert glance(analyse(results({}, passes=0))) == ""
    assert glance(analyse(results({"no_grad": 1.5}, passes=1, request=Request(workloads=("chain",))))) == ""


RUNS = {
    "prices of all sizes": lambda: a_run(
        {"no_grad": 2.4, "inference_mode": 2.1, "set_grad_enabled_false": 1.6, "tracked": 1.3, "detach": 1.2}
    ),
    "all the same": lambda: a_run({}),
    "all faster": lambda: a_run(dict.fromkeys(METHODS, 0.5)),
    "prices beyond all bounds": lambda: a_run({"no_grad": 5e4, "detach": 1.0001}),
    "one time of work": lambda: results({"no_grad": 1.5}, request=Request(workloads=WHOLE)),
    "a busy machine": lambda: a_run({}, scatter=1.0, passes=3),
    "few methods": lambda: a_run(request=Request(workloads=("chain",), methods=("no_grad",))),
    "two sizes": lambda: a_run(request=Request(workloads=("chain",), sizes=("small", "large"))),
    "a GPU": lambda: device_results(
        Request(workloads=WHOLE, device="cuda:0"), host={"no_grad": 1.4}, device={"tracked": 1.1}
    ),
}


@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize("run", RUNS)
def test_every_figure_can_be_read_and_no_mark_is_outside(run, narrow):
    found = known(RUNS[run]())
    drawn = glance(analyse(RUNS[run]()), narrow)
    assert drawn.startswith("<svg")
    assert not re.search(r"nan|inf\b|#0[0-9a-f]0[0-9a-f]0[0-9a-f]\b", drawn)
    with style(PAGE):
        size = (3.35, 3.25) if narrow else (7.9, 4.15)
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.add_subplot()
        draw_glance(axes, found, PAGE, narrow)
        figure.draw_without_rendering()
        said = assert_readable(figure)
    labels = {METHODS[name] for name in found.points}
    assert labels <= set(said)
    box = axes.get_window_extent()
    for line in axes.lines:
        if line.get_marker() not in ("None", "", None) and len(line.get_xdata()):
            ((x, y),) = axes.transData.transform(line.get_xydata())
            assert box.x0 <= x <= box.x1
            assert box.y0 - 0.5 <= y <= box.y1


def test_methods_differ_in_marker_and_what_is_not_shown_is_hollow():
    found = known(a_run({"no_grad": 1.5, "tracked": 1.4}))
    figure = Figure()
    with style(TALK):
        draw_glance(figure.add_subplot(), found, TALK)
    marks = [line for line in figure.axes[0].lines if line.get_marker() != "None"]
    filled = {line.get_marker() for line in marks if line.get_markerfacecolor() != TALK["paper"]}
    hollow = {line.get_marker() for line in marks if line.get_markerfacecolor() == TALK["paper"]}
    assert (len(filled), len(hollow)) == (2, 3)
    assert not filled & hollow


def test_words_say_the_prices_at_the_shortest_and_at_the_longest_work():
    words = in_words(known(a_run({"no_grad": 1.5}, Request(workloads=("chain",)))))
    assert "requires_grad_(False)" in words
    assert "chain with 100 elements takes 1.10 µs; added: torch.no_grad() 50 %" in words
    assert "chain with 1,000,000 elements takes 1.00 ms; added: torch.no_grad() 50 %" in words
    assert re.search(r"detach\(\) before (at most 0\.\d+ %|nothing)", words)


@pytest.mark.parametrize("places", [[], [1.0], [0.0, 0.0], [0.0, 0.1, 0.2, 3.0], [1.0, 1.5, 2.0, 2.1, 2.2]])
def test_spread_names_keep_their_order_their_distance_and_their_middle(places):
    found = spread(places, 1.0)
    assert all(other - one >= 1 - 1e-12 for one, other in itertools.pairwise(found))
    assert math.fsum(found) == pytest.approx(math.fsum(places))
    assert spread(found, 1.0) == pytest.approx(found)
