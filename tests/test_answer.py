"""The answer of a run: one sentence, one recommendation for each purpose, and how far to trust it."""

import re

import pytest
from synthetic import device_results, memory, results

from gradbench.analyse.analysis import analyse
from gradbench.analyse.purposes import FIRST_SCREEN, MATTERS, PURPOSES
from gradbench.record.observation import Observation
from gradbench.record.plan import Request

MODELS = Request(workloads=("inference",), sizes=("small",))
ONE_OPERATION = Request(workloads=("elementwise",), sizes=("small",))
WHOLE = Request(workloads=("control", "inference", "freeze", "update", "custom"))
# So little scatter that three digits show the true ratio.
EXACT = 1e-5
# Seconds of a call that is as long as that of a real model.
LONG = 1e-3
NO_GRAD = ("no_grad", "inference_mode", "no_grad_decorator", "set_grad_enabled_false", "no_grad_prebuilt")


def answered(ratios=None, request=MODELS, scatter=EXACT, **options):
    return analyse(results(ratios or {}, request=request, scatter=scatter, **options)).answer


def recommended(ratios=None, request=MODELS, **options):
    (found,) = answered(ratios, request, **options).recommendations
    return found


def test_the_recommendation_follows_the_figures():
    found = recommended({"inference_mode": 0.5, "no_grad": 0.75})
    assert found.use == "torch.inference_mode()"
    assert found.gain == "2.00 times as fast as recording (2.00)"
    assert found.choice == "Next: torch.no_grad(), 1.50 times as long."
    assert (found.purpose, found.against) == ("Evaluate a model", "recording")
    assert recommended({"no_grad_decorator": 0.5}).use == "@torch.no_grad()"


@pytest.mark.parametrize("name", ["detach_after", "requires_grad_false", "data"])
def test_a_variant_that_serves_another_purpose_is_no_way_to_evaluate_a_model(name):
    """The first records the forward, the second leaves the model frozen."""
    found = recommended({each: 1.5 for each in NO_GRAD if each != name})
    assert found.use == "torch.no_grad()"


def test_where_variants_tie_the_run_recommends_the_preferred_one_with_its_reason():
    found = recommended()
    assert found.use == "torch.no_grad()"
    assert found.gain == "time within 0.10 % of recording"
    assert found.choice == (
        "Time does not decide: torch.inference_mode() (1.00) and 3 others tie. "
        "Chosen because its tensors may enter training."
    )


@pytest.mark.parametrize(
    ("slower_by", "use"), [(MATTERS - 0.01, "torch.no_grad()"), (MATTERS + 0.01, "torch.inference_mode()")]
)
def test_a_preferred_variant_is_recommended_until_it_is_slower_by_more_than_matters(slower_by, use):
    assert recommended({"no_grad": 1 + slower_by}).use == use


def test_a_variant_that_is_not_shown_to_be_slower_by_more_than_matters_is_open_and_no_tie():
    wild = recommended({"no_grad": 1 + MATTERS + 0.01}, scatter=0.1)
    assert wild.use == "torch.no_grad()"
    assert wild.gain.startswith("time against recording not decided (")
    assert wild.choice.startswith("This run does not decide against torch.inference_mode() (")
    assert "tie" not in wild.choice


def test_recording_is_never_recommended_however_fast():
    found = recommended({"tracked": 0.5, "no_grad": 0.8})
    assert found.use == "torch.no_grad()"
    assert found.gain == "1.60 times as long as recording"
    assert found.short == ""


def test_a_variant_that_was_seen_to_give_wrong_gradients_is_never_recommended():
    made = results({"detach": 0.5, "data": 0.4}, request=ONE_OPERATION, scatter=EXACT)
    # Nobody recommends .data, whether a probe ran or not.
    assert analyse(made).answer.recommendations[0].use == "detach() before"
    made.add(Observation("write", "?", "code", "detach", {"wrong_gradient": False}))
    assert analyse(made).answer.recommendations[0].use == "detach() before"
    made.add(Observation("write", "?", "code", "detach", {"wrong_gradient": True}))
    (found,) = analyse(made).answer.recommendations
    assert found.use == "requires_grad_(False)"
    assert "detach() before" not in found.choice
    assert ".data" not in found.choice


OTHERS = ("no_grad_decorator", "no_grad_prebuilt", "set_grad_enabled_false")


def test_memory_decides_where_times_tie():
    made = results({}, request=MODELS, scatter=EXACT)
    for name in OTHERS:
        memory(made, name, peak=3_000_000)
    memory(made, "no_grad", peak=1_000_000)
    memory(made, "inference_mode", peak=1_090_000)
    memory(made, "tracked", peak=4_000_000)
    (found,) = analyse(made).answer.recommendations
    assert found.gain == "time within 0.10 % of recording, 75 % less peak memory (4.00 MB → 1.00 MB)"
    assert found.short == "75 % less memory"
    # A peak that is a tenth higher decides, and a little less does not.
    assert found.choice.startswith("Time does not decide: torch.inference_mode() (1.00) ties.")
    memory(made, "inference_mode", peak=1_110_000)
    (found,) = analyse(made).answer.recommendations
    assert found.choice == "Memory decides: 1.00 MB at the peak, torch.inference_mode() 1.11 MB."
    # The preferred variant gives way to one that ties and holds less.
    memory(made, "no_grad", peak=1_300_000)
    (found,) = analyse(made).answer.recommendations
    assert found.use == "torch.inference_mode()"


def test_a_few_bytes_decide_nothing():
    made = memory(results({}, request=MODELS, scatter=EXACT), "no_grad", peak=9_000)
    memory(made, "inference_mode", peak=100)
    (found,) = analyse(made).answer.recommendations
    assert found.use == "torch.no_grad()"


def test_memory_that_grows_from_nothing_is_named():
    made = memory(results({}, request=MODELS, scatter=EXACT), "tracked", peak=0)
    for name in NO_GRAD:
        memory(made, name, peak=4_000_000)
    (found,) = analyse(made).answer.recommendations
    assert found.gain.endswith("4.00 MB at the peak instead of 0 B")


def test_memory_that_is_not_known_decides_nothing():
    made = memory(results({}, request=MODELS, scatter=EXACT), "inference_mode", peak=300)
    (found,) = analyse(made).answer.recommendations
    assert "torch.inference_mode()" in found.choice
    assert "memory" not in found.gain


def test_one_pass_has_recommendations_without_intervals_and_no_trust():
    request = Request(workloads=("control", "inference"), sizes=("small",))
    answer = answered({"tracked": 2.0}, request, passes=1)
    (found,) = answer.recommendations
    assert found.gain == "one pass, so the time against recording is not decided"
    assert found.choice.startswith("This run does not decide against torch.inference_mode() and 3 others.")
    assert answer.trust.grade == "poor"
    assert answer.trust.sentence == "1 pass, so no interval is known."
    assert "--passes 20" in answer.trust.advice


def test_a_run_that_timed_nothing_has_no_answer():
    assert answered(passes=0) is None


def test_a_run_of_several_devices_answers_for_the_accelerator():
    request = Request(workloads=("inference",), device="cpu,cuda:0")
    made = analyse(device_results(request, host={"tracked": 1.5}))
    assert made.answer.device == "cuda:0"
    assert {each.comparison.device for each in made.answer.recommendations} == {"cuda:0"}
    assert {each.comparison.device for each in made.answer.others} == {"cpu", "cuda:0"}
    assert made.answer.sentence.startswith("On cuda:0: ")
    alone = Request(workloads=("inference",), device="cuda:0")
    assert analyse(device_results(alone, host={"tracked": 1.5})).answer.device == ""


def test_the_first_screen_has_the_largest_comparison_of_each_of_its_purposes_in_their_order():
    answer = answered(request=WHOLE)
    assert [each.purpose for each in answer.recommendations] == [PURPOSES[name].asks for name in FIRST_SCREEN]
    for each in answer.recommendations:
        sizes = [other.comparison.numel for other in answer.others if other.purpose == each.purpose]
        assert each.comparison.numel == max(sizes)
    assert len({each.comparison.id for each in answer.others}) == len(answer.others)


def test_a_run_without_these_purposes_shows_those_that_it_has():
    answer = answered(request=Request(workloads=("elementwise", "chain")))
    assert [each.purpose for each in answer.recommendations] == [
        PURPOSES["elementwise"].asks, PURPOSES["chain"].asks
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("ratio", "says"),
    [
        (1 + MATTERS - 0.01, "it hardly matters which no-grad method you use: they differ by at most 2.0 %."),
        (1 + MATTERS + 0.02, "the no-grad methods differ by up to 5.0 % in time."),
        (1 / 1.05, "the no-grad methods differ by up to 5.0 % in time."),
    ],
)
def test_the_sentence_says_whether_the_choice_among_no_grad_methods_matters(ratio, says):
    said = answered({"inference_mode": ratio}, seconds=LONG).sentence
    assert said.startswith(f"Around a model of 1.00 ms or more {says}")
    # Other methods are no choice for evaluating a model.
    assert "at most 0." in answered({"detach_after": ratio}, seconds=LONG).sentence


def test_no_difference_is_claimed_that_the_run_does_not_show():
    said = answered({"inference_mode": 1.02}, seconds=LONG, scatter=0.1, passes=4).sentence
    assert "this run shows no difference between no-grad methods; up to " in said
    assert said.endswith("Recording one without need costs time that this run does not decide.")


def test_a_short_call_is_no_real_model():
    assert "Around a model" not in answered({"inference_mode": 1.5}, seconds=LONG / 10).sentence


def test_the_sentence_says_what_recording_costs_as_far_as_that_is_known():
    said = "Recording one without need costs"
    assert answered({"tracked": 1.2}, seconds=LONG).sentence.endswith(f"{said} 20 % more time.")
    for bounded in (1.0, 0.8):
        found = answered({"tracked": bounded}, seconds=LONG, passes=9).sentence
        assert re.search(rf"{said} at most 0(\.0\d+)? % more time\.$", found), found
    made = results({"tracked": 1.2}, request=MODELS, scatter=EXACT, seconds=LONG)
    memory(memory(made, "tracked", peak=300), "no_grad", peak=200)
    assert analyse(made).answer.sentence.endswith(f"{said} 20 % more time and 50 % more memory.")


def test_a_run_without_models_answers_with_its_first_finding():
    analysis = analyse(results({"no_grad": 1.5}, request=ONE_OPERATION, scatter=EXACT))
    assert analysis.answer.sentence == analysis.findings[0].sentence
    assert "1.50 times" in analysis.answer.sentence


def test_trust_is_good_where_no_comparison_is_rough():
    trust = answered(request=WHOLE, scatter=1e-3).trust
    assert (trust.grade, trust.advice) == ("good", "")
    assert trust.sentence.startswith("Identical code differed by ")
    assert "rough" not in trust.sentence
    assert trust.evidence


def test_trust_is_poor_where_most_comparisons_are_rough_and_says_what_to_do():
    trust = answered(request=WHOLE, scatter=0.1).trust
    count = len(results({}, request=WHOLE, passes=0).header.plan.comparisons)
    assert trust.grade == "poor"
    assert f"{count} of {count} comparisons are rough" in trust.sentence
    assert "--passes 20" in trust.advice


def test_trust_is_not_good_where_few_passes_or_few_comparisons_are_known():
    trust = answered(request=WHOLE, passes=2, scatter=EXACT).trust
    assert trust.grade == "fair"
    assert "Some comparisons have only 2 passes." in trust.sentence
    assert "--passes 20" in trust.advice
    # One calm comparison, and the others in one pass that scatters: their floors are not known.
    calm, wild = (results({}, request=WHOLE, scatter=scatter) for scatter in (EXACT, 0.3))
    first = calm.header.plan.comparisons[0].id
    calm.visits = [
        *(each for each in calm.visits if each.comparison == first),
        *(each for each in wild.visits if each.comparison != first and each.number == 1),
    ]
    trust = analyse(calm).answer.trust
    assert trust.grade == "poor"
    assert trust.advice


@pytest.mark.parametrize(
    "workload", ["retain", "placement", "view", "mixed", "square", "accumulate", "target"]
)
def test_every_run_that_timed_something_has_a_sentence(workload):
    answer = answered(request=Request(workloads=(workload,), preset="standard"))
    assert len(answer.sentence) > 20
    assert answer.trust.grade == "good"


def rough(share):
    """A run in which this share of the comparisons scatters a hundred times as much."""
    plan = results({}, request=WHOLE, passes=0).header.plan.comparisons
    count = round(share * len(plan))
    wild = {each.id for each in plan[:count]}
    calm, other = (results({}, request=WHOLE, scatter=scatter, passes=10) for scatter in (1e-3, 0.1))
    noisy = {(each.number, each.comparison): each for each in other.visits}
    calm.visits = [
        noisy[each.number, each.comparison] if each.comparison in wild else each for each in calm.visits
    ]
    return analyse(calm).answer.trust, count, len(plan)


def test_trust_is_fair_where_some_comparisons_are_rough():
    trust, count, of = rough(0.3)
    assert trust.grade == "fair"
    assert f"{count} of {of} comparisons are rough" in trust.sentence
    assert "--passes 20" in trust.advice
    trust, _, _ = rough(0.7)
    assert trust.grade == "poor"
