"""Which variants need no timing, and what is said of them: bounds whose truth is known by construction."""

import csv
import io
import math

import msgspec
import pytest
from synthetic import header, memory, rendered, results
from test_user_model import FILE, REQUEST, SEEN

from gradbench.analyse.analysis import analyse
from gradbench.analyse.bounds import bound_in_words
from gradbench.analyse.model import Bound
from gradbench.analyse.summary import summarise, worst_precision
from gradbench.define.methods import METHODS
from gradbench.define.planner import plan_run
from gradbench.define.user_model import PRICED_FROM, plan_file
from gradbench.measure.leave_out import (
    LEFT_OUT_FROM,
    LONG,
    affordable,
    left_out,
    left_out_unseen,
    not_executed,
)
from gradbench.record.plan import PRICE, USER_MODEL, Request
from gradbench.record.visits import Execution, Failure, VariantTime
from gradbench.report.export.markdown import to_markdown
from gradbench.report.export.pyperf import to_pyperf
from gradbench.report.export.tidy_csv import to_csv
from gradbench.report.terminal.brief import brief

# A call on the model, and one on the work that the price is measured on; what is added there.
CALL, SHORT, ADDED = 50e-3, 1e-3, 10e-6
ENTERED = ("no_grad", "no_grad_decorator", "no_grad_prebuilt", "set_grad_enabled_false")


def plan_of(forward=CALL, trains=True, request=REQUEST):
    return plan_file("net.py", FILE, msgspec.structs.replace(SEEN, forward=forward, trains=trains), request)


def made(added=ADDED, call=CALL, same=ENTERED, absent=ENTERED, **plan):
    """A run in which these methods execute the same as the baseline of evaluation, and these were not timed.

    Each adds as much to the work that the price is measured on.
    """
    found = results({}, seconds=call, plan=plan_of(**plan))
    workloads = {each.id: each for each in found.header.plan.comparisons}
    for visit in found.visits:
        comparison = workloads[visit.comparison]
        if comparison.workload == PRICE:
            for variant in comparison.variants:
                time = visit.variants[variant.name]
                # As `results` scatters it, about another ratio.
                scatter = time.log_ratio if variant.role == "method" else 0.0
                log = (math.log1p(added / SHORT) if variant.name in ENTERED else 0.0) + scatter / 1000
                if variant.role == "empty":
                    log = math.log(1e-8 / SHORT)
                seconds = SHORT * math.exp(log)
                visit.variants[variant.name] = VariantTime(50, seconds, seconds, seconds, log)
        elif comparison.part == "evaluation":
            for name in absent:
                del visit.variants[name]
    for each in found.header.plan.comparisons:
        if each.part == "evaluation":
            for variant in each.variants:
                if variant.role != "empty":
                    first = each.baseline.name if variant.name in (*same, "twin", "twin_own_buffer") else ""
                    found.add(Execution(each.id, variant.name, call, first, 8))
    return found


def evaluation(found):
    return next(each for each in summarise(found).comparisons if each.comparison.part == "evaluation")


def in_plan(found, part="evaluation"):
    return next(each for each in found.header.plan.comparisons if each.part == part)


def test_a_method_that_was_not_timed_has_the_time_of_the_one_that_executes_the_same():
    each = evaluation(made())
    baseline = each.variant("requires_grad_false")
    for name in ENTERED:
        variant = each.variant(name)
        assert (variant.verdict, variant.time, variant.ratio) == ("bounded", baseline.time, None)
        assert variant.rank is None
        assert variant.bound.timed == "requires_grad_false"
        # The upper end of what it adds elsewhere, and no multiple of the call.
        assert ADDED < variant.bound.seconds < 1.3 * ADDED
        assert variant.bound.share == pytest.approx(variant.bound.seconds / CALL, rel=1e-3)
    assert each.variant("tracked").bound is None
    assert each.variant("inference_mode").verdict == "same"


def test_what_a_control_may_gain_is_a_bound_as_well():
    variant = evaluation(made(added=-ADDED)).variant("no_grad")
    assert ADDED < variant.bound.seconds < 1.3 * ADDED


@pytest.mark.parametrize(("added", "verdict"), [(0.009, "bounded"), (0.011, "cannot tell")])
def test_a_bound_that_is_no_small_part_of_the_call_tells_nothing(added, verdict):
    each = evaluation(made(added=added * CALL))
    assert {each.variant(name).verdict for name in ENTERED} == {verdict}
    assert verdict.split()[0] in bound_in_words(each.variant("no_grad").bound) or verdict == "bounded"


def test_without_a_price_nothing_can_be_told():
    found = made()
    price = next(each for each in found.header.plan.comparisons if each.workload == PRICE)
    found.visits[:] = [visit for visit in found.visits if visit.comparison != price.id]
    variant = evaluation(found).variant("no_grad")
    assert (variant.verdict, variant.bound.seconds, variant.bound.share) == ("cannot tell", None, None)
    assert "the price of the control is not known" in bound_in_words(variant.bound)
    assert variant.time is not None


def test_a_variant_that_was_timed_has_its_own_time_and_verdict():
    each = evaluation(made(absent=("no_grad",)))
    assert each.variant("no_grad").verdict == "bounded"
    timed = each.variant("no_grad_decorator")
    assert (timed.bound, timed.verdict) == (None, "same")
    assert timed.ratio is not None
    assert timed.execution.same_as == "requires_grad_false"


def test_one_visit_from_before_the_executions_were_known_yields_to_the_bound():
    found = made(absent=("no_grad",))
    visits = [each for each in found.visits if each.comparison == in_plan(found).id]
    for visit in visits[1:]:
        del visit.variants["no_grad_decorator"]
    variant = evaluation(found).variant("no_grad_decorator")
    assert (variant.verdict, variant.ratio, variant.log_ratios) == ("bounded", None, {})


def test_a_variant_that_failed_is_not_answered_by_another():
    found = made()
    found.add(Failure(1, in_plan(found).id, "no_grad", "check", "check", "values of y"))
    assert evaluation(found).variant("no_grad").verdict == "failed"


def test_without_the_one_that_was_to_be_timed_there_is_no_bound():
    found = made()
    for visit in found.visits:
        if visit.comparison == in_plan(found).id:
            visit.variants.pop("requires_grad_false")
    assert evaluation(found).variant("no_grad").bound is None


def test_between_two_controls_lies_what_both_may_add():
    found = made()
    found.executions[:] = [
        msgspec.structs.replace(each, same_as="no_grad" if each.variant in ENTERED[1:] else "")
        for each in found.executions
    ]
    for visit in found.visits:
        if visit.comparison == in_plan(found).id:
            visit.variants["no_grad"] = visit.variants["tracked"]
    variant = evaluation(found).variant("no_grad_prebuilt")
    assert variant.bound.timed == "no_grad"
    # Both add as much; what is left is how well it is known.
    assert 0 < variant.bound.seconds < ADDED


def test_a_precision_is_reached_without_those_that_are_not_timed():
    assert 0 < worst_precision(made()) <= worst_precision(made(absent=()))
    assert worst_precision(made(same=())) is None


def test_a_precision_is_that_of_the_widest_wherever_those_stand_that_are_not_timed():
    found = made()
    (evaluation,) = (each for each in summarise(found).comparisons if each.comparison.part == "evaluation")
    names = [each.name for each in evaluation.methods]
    last = [each.name for each in evaluation.methods if each.bound is None and each.role == "method"][-1]
    assert names.index(last) > min(names.index(each) for each in ENTERED)
    for visit in found.visits:
        if visit.comparison == evaluation.comparison.id:
            own = visit.variants[last]
            log = own.log_ratio + (0.2 if visit.number % 2 else -0.2)
            visit.variants[last] = msgspec.structs.replace(own, log_ratio=log)
    (evaluation,) = (each for each in summarise(found).comparisons if each.comparison.part == "evaluation")
    ratio = evaluation.variant(last).ratio
    assert worst_precision(found) == pytest.approx((ratio.high - ratio.low) / 2 / ratio.mean)


def test_a_run_without_executions_is_summed_up_as_before():
    found = made(absent=())
    with_them = summarise(found).comparisons
    found.executions.clear()
    without = summarise(found).comparisons
    for one, other in zip(with_them, without, strict=True):
        assert [(each.verdict, each.time, each.ratio) for each in one.variants] == [
            (each.verdict, each.time, each.ratio) for each in other.variants
        ]
        assert all(each.execution is None for each in other.variants)


def test_the_words_of_a_bound_are_its_seconds_and_its_part_of_the_call():
    assert (
        bound_in_words(Bound("a", "A", 12e-6, 50e-3))
        == "no difference that matters: at most 12.0 µs of 50.0 ms, 0.024 %"
    )
    assert bound_in_words(Bound("a", "A", 1e-3, 50e-3)) == "cannot tell: at most 1.00 ms of 50.0 ms, 2.0 %"


def test_the_findings_say_what_is_bounded_and_by_what():
    found = analyse(made())
    (told,) = [each for each in found.findings if "no difference that matters" in each.sentence]
    assert (
        "the same execution as requires_grad_(False), except for the control: torch.no_grad()"
        in told.sentence
    )
    assert "of 50.0 ms, 0.02" in told.sentence
    assert "x * 2 at 4,000,000 elements" in told.evidence
    assert "no difference that matters: at most 1" in " ".join(brief(found, 110).split())
    assert found.findings[0].sentence.startswith("Use torch.no_grad() or torch.inference_mode(): ")
    assert "no_grad" not in found.findings[0].evidence.partition("Not shown")[0]


def test_a_page_of_a_long_model_shows_the_price_as_no_part_of_it():
    found = made()
    memory(found, "requires_grad_false", peak=400)
    memory(found, "no_grad", peak=400, same_as="requires_grad_false", executions=1)
    page = rendered(found)
    assert "no difference that matters: at most 1" in page
    assert "<h2>Price of the controls, on other work</h2>" in page
    assert "The cost of gradient control in net.py" in page
    for absent in ('id="claim-', 'class="presets"', 'id="purposes"', 'id="guide"', 'id="glance"'):
        assert absent not in page
    assert "The same execution, by the operators that they dispatch: twin as requires_grad_false" in page
    assert "The run counted bytes of the same execution once. Bytes come from one execution" in page
    # Its code is its own, and the file stands on the page once.
    assert "base = torch.rand((4000000,), dtype=torch.float32)" in page
    assert page.count("class Net(nn.Module)") == 1


def test_exports_show_the_time_and_the_bytes_and_of_whom_they_are():
    found = memory(made(), "no_grad", peak=400, same_as="requires_grad_false")
    summary = summarise(found)
    rows = {
        (row["method"], row["metric"]): row
        for row in csv.DictReader(io.StringIO(to_csv(summary)))
        if row["workload"] == "model.evaluation"
    }
    time, baseline = rows["no_grad", "time"], rows["requires_grad_false", "time"]
    assert (time["value"], time["ratio"], time["same_as"]) == (baseline["value"], "", "requires_grad_false")
    assert baseline["same_as"] == rows["tracked", "time"]["same_as"] == ""
    assert (rows["no_grad", "peak"]["value"], rows["no_grad", "peak"]["same_as"]) == (
        "400",
        "requires_grad_false",
    )
    (line,) = [each for each in to_markdown(summary).splitlines() if "evaluation" in each and
               "| `torch.no_grad()` |" in each]  # fmt: skip
    assert "no difference that matters: at most" in line
    # These hold samples, and there are none.
    assert "model.evaluation/128/float32/cpu no_grad" not in to_pyperf(summary)


def test_the_price_of_the_controls_is_second_in_the_plan_of_a_long_model():
    plan = plan_of()
    assert [each.workload for each in plan.comparisons] == [USER_MODEL, PRICE, *[USER_MODEL] * 3]
    price = plan.comparisons[1]
    assert (price.numel, price.dtype, price.purpose) == (4_000_000, "float32", "")
    methods = {each.name for each in price.variants if each.role == "method"}
    assert methods == {each.name for each in METHODS if each.disables}
    assert PRICE not in {each.workload for each in plan_of(forward=PRICED_FROM).comparisons}


@pytest.mark.parametrize(("methods", "priced"), [(("no_grad",), True), (("tracked",), False),
                                                 (("retain_graph",), False)])  # fmt: skip
def test_there_is_a_price_where_one_is_wanted(methods, priced):
    plan = plan_of(request=msgspec.structs.replace(REQUEST, methods=methods))
    assert (PRICE in {each.workload for each in plan.comparisons}) is priced


def test_on_an_accelerator_no_price_of_the_processor_is_measured():
    plan = plan_of(request=msgspec.structs.replace(REQUEST, device="cuda:0"))
    assert {each.workload for each in plan.comparisons} == {USER_MODEL}


def executed(seconds, part="evaluation", same=None, first=None):
    """A run in which variants of a part execute the same as its baseline, in so many seconds."""
    found = results({}, passes=0, plan=plan_of())
    each = in_plan(found, part)
    names = [variant.name for variant in each.variants if variant.role != "empty"]
    first = first or each.baseline.name
    for name in names:
        same_as = first if name != first and (same is None or name in same) else ""
        found.add(Execution(each.id, name, seconds, same_as, 8))
    return found, each


def test_what_executes_the_same_as_one_that_is_timed_is_left_out_of_long_calls():
    same = (*ENTERED, "twin", "twin_own_buffer")
    assert left_out(*reversed(executed(2 * LEFT_OUT_FROM, same=same))) == set(ENTERED)
    assert left_out(*reversed(executed(LEFT_OUT_FROM, same=same))) == set()
    assert left_out(*reversed(executed(2 * LONG, same=same))) == {*ENTERED, "twin_own_buffer"}


def test_what_has_no_price_is_left_out_of_very_long_calls_alone():
    same = ("retain_graph", "twin", "twin_own_buffer")
    assert left_out(*reversed(executed(LONG, "step", same))) == set()
    assert left_out(*reversed(executed(2 * LONG, "step", same))) == {"retain_graph", "twin_own_buffer"}


def test_nothing_is_left_out_whose_stand_in_is_not_timed():
    found, each = executed(2 * LONG, same=ENTERED)
    found.add(Failure(2, each.id, each.baseline.name, "time", "raised", "RuntimeError"))
    assert left_out(each, found) == set()
    found, each = executed(2 * LONG, same=ENTERED)
    found.executions[:] = [each for each in found.executions if each.same_as]
    assert left_out(each, found) == set()


def test_nothing_is_left_out_of_runs_that_observed_nothing_and_of_other_workloads():
    found, each = executed(2 * LONG)
    found.executions.clear()
    assert left_out(each, found) == set()
    request = Request(("elementwise",), (), ("large",))
    (each,) = plan_run(request).comparisons
    found.header = header(request)
    found.add(Execution(each.id, "requires_grad_false", 1.0))
    found.add(Execution(each.id, "no_grad", 1.0, "requires_grad_false"))
    assert left_out(each, found) == set()


def test_of_very_long_calls_the_table_of_methods_says_what_needs_no_clock():
    comparison = in_plan(made(call=2 * LONG))
    entered = {each.name for each in METHODS if each.entered_as}
    unseen = left_out_unseen(comparison, 2 * LONG)
    assert unseen == (entered & {each.name for each in comparison.variants}) | {"twin_own_buffer"}
    assert left_out_unseen(comparison, LONG) == frozenset()
    assert not_executed(comparison, 2 * LONG) == unseen | {"twin"}
    # Alternatives of a part of training are no methods, whatever their names.
    step = in_plan(made(), "forward")
    assert left_out_unseen(step, 2 * LONG) == {"twin_own_buffer"}


def test_where_time_is_short_the_baseline_comes_first_and_the_others_in_their_order():
    comparison = in_plan(made())
    names = [each.name for each in comparison.variants if each.role not in ("baseline", "empty")]

    def kept(executions, free=frozenset()):
        return [each.name for each in affordable(comparison, executions, free).variants]

    assert kept(2.0) == [each.name for each in comparison.variants if each.role in ("baseline", "empty")]
    assert set(kept(2.0)) < set(kept(4.0)) < set(kept(8.0))
    assert names[0] in kept(4.0)
    assert kept(-1.0) == kept(0.0) == kept(2.0)
    assert affordable(comparison, 1000.0, frozenset()) is comparison
    # What takes no time is there, and takes the place of nothing.
    assert set(kept(4.0, frozenset({names[-1]}))) == {*kept(4.0), names[-1]}
