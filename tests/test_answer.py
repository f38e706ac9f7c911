"""The answer of a run: one sentence, one recommendation for each purpose, and how far to trust it."""

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


def answered(ratios=None, request=MODELS, scatter=EXACT, **options):
    return analyse(results(ratios or {}, request=request, scatter=scatter, **options)).answer


def recommended(ratios=None, request=MODELS, **options):
    (found,) = answered(ratios, request, **options).recommendations
    return found


def test_the_recommendation_follows_the_figures():
    found = recommended({"detach_after": 0.5, "no_grad": 0.75})
    assert found.use == "detach() after"
    assert found.gain == "2.00 times as fast as recording (2.00)"
    assert found.choice == "Next: torch.no_grad(), 1.50 times as long."
    assert (found.purpose, found.topic, found.against) == ("Evaluate a model", "evaluate", "recording")
    assert recommended({"inference_mode": 0.5}).use == "torch.inference_mode()"


def test_where_variants_tie_the_run_recommends_the_preferred_one_with_its_reason():
    found = recommended()
    assert found.use == "torch.no_grad()"
    assert found.gain == "about as fast as recording (1.00)"
    assert found.choice == (
        "Time does not decide (torch.inference_mode() 1.00, 5 more): its results may enter training later."
    )


@pytest.mark.parametrize(
    ("slower_by", "use"), [(MATTERS - 0.01, "torch.no_grad()"), (MATTERS + 0.01, "torch.inference_mode()")]
)
def test_a_preferred_variant_is_recommended_until_it_is_slower_by_more_than_matters(slower_by, use):
    assert recommended({"no_grad": 1 + slower_by}).use == use


def test_a_variant_that_is_not_shown_to_be_slower_by_more_than_matters_still_ties():
    wild = recommended({"no_grad": 1 + MATTERS + 0.01}, scatter=0.1)
    assert wild.use == "torch.no_grad()"
    assert wild.gain.startswith("no measurable time difference to recording (")


def test_recording_is_never_recommended_however_fast():
    found = recommended({"tracked": 0.5, "no_grad": 0.8})
    assert found.use == "torch.no_grad()"
    assert found.gain == "1.60 times as long as recording"
    assert found.short == ""


def test_a_variant_that_was_seen_to_give_wrong_gradients_is_never_recommended():
    made = results({"data": 0.5}, request=ONE_OPERATION, scatter=EXACT)
    assert analyse(made).answer.recommendations[0].use == ".data"
    made.add(Observation("write", "?", "code", "data", {"wrong_gradient": False}))
    assert analyse(made).answer.recommendations[0].use == ".data"
    made.add(Observation("write", "?", "code", "data", {"wrong_gradient": True}))
    (found,) = analyse(made).answer.recommendations
    assert found.use == "requires_grad_(False)"
    assert ".data" not in found.choice


OTHERS = (
    "detach_after", "no_grad_decorator", "no_grad_prebuilt", "set_grad_enabled_false", "requires_grad_false"
)  # fmt: skip


def test_memory_decides_where_times_tie():
    made = results({}, request=MODELS, scatter=EXACT)
    for name in OTHERS:
        memory(made, name, peak=300)
    memory(made, "no_grad", peak=100)
    memory(made, "inference_mode", peak=109)
    memory(made, "tracked", peak=400)
    (found,) = analyse(made).answer.recommendations
    assert found.gain == "about as fast as recording (1.00), 75 % less peak memory (400 B → 100 B)"
    assert found.short == "75 % less memory"
    # A peak that is a tenth higher decides, and a little more does not.
    assert found.choice.startswith("Time does not decide (torch.inference_mode() 1.00): ")
    memory(made, "inference_mode", peak=111)
    (found,) = analyse(made).answer.recommendations
    assert found.choice.startswith("Time does not decide; ")
    assert found.choice.endswith((" peaks at 300 B.", "torch.inference_mode() peaks at 111 B."))
    assert "times as long" not in found.choice
    # The preferred variant gives way to one that ties and holds less.
    memory(made, "no_grad", peak=130)
    (found,) = analyse(made).answer.recommendations
    assert found.use == "torch.inference_mode()"


def test_memory_that_is_not_known_decides_nothing():
    made = memory(results({}, request=MODELS, scatter=EXACT), "inference_mode", peak=300)
    (found,) = analyse(made).answer.recommendations
    assert "torch.inference_mode()" in found.choice
    assert "memory" not in found.gain


def test_one_pass_has_recommendations_without_intervals_and_no_trust():
    request = Request(workloads=("control", "inference"), sizes=("small",))
    answer = answered({"tracked": 2.0}, request, passes=1)
    (found,) = answer.recommendations
    assert found.gain == "about 2.00 times as fast as recording (one pass, no interval)"
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
    assert made.answer.sentence.endswith("Recording without need costs 50 % more time.")
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
    ],
)
def test_the_sentence_says_whether_the_choice_among_no_grad_methods_matters(ratio, says):
    assert f"Around a real model {says}" in answered({"inference_mode": ratio}).sentence
    # Other methods are no choice for evaluating a model.
    assert "at most 0." in answered({"detach_after": ratio}).sentence


def test_the_sentence_says_what_recording_costs_where_that_is_shown():
    said = "Recording without need costs"
    assert answered({"tracked": 1.2}).sentence.endswith(f"{said} 20 % more time.")
    assert answered().sentence.endswith(f"{said} nothing measurable here.")
    assert answered({"tracked": 0.8}).sentence.endswith(f"{said} nothing measurable here.")
    made = results({"tracked": 1.2}, request=MODELS, scatter=EXACT)
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
