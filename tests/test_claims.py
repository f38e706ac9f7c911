"""Claims: a verdict follows the data and nothing else, for every claim."""

import json
import math
import re
from dataclasses import replace

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic import memory, rendered, results

from gradbench.analyse.analysis import analyse
from gradbench.analyse.claims import CLAIMS, VERDICTS, verdicts
from gradbench.analyse.claims.amount import Amount
from gradbench.analyse.claims.case import Case
from gradbench.analyse.claims.claim import SHOWN, TOPICS, Claim, counted, judge_claim
from gradbench.analyse.claims.decision import FASTER, NOT_SLOWER, SAME, SLOWER, more_passes, within
from gradbench.analyse.claims.questions import each_of, every, observed, smallest
from gradbench.analyse.claims.questions import memory as bytes_of
from gradbench.analyse.spending import FEWEST_TO_SETTLE
from gradbench.analyse.summary import summarise
from gradbench.errors import RequestError
from gradbench.record.interval import Interval
from gradbench.record.observation import Observation
from gradbench.record.plan import USER_MODEL, VERSIONS, Request
from gradbench.record.visits import Memory
from gradbench.report.terminal.claims import as_data, as_text

CLAIM = {claim.id: claim for claim in CLAIMS}
FIELDS = ("allocated", "allocations", "peak", "retained", "graph", "saved")


def world(workloads=(), ratios=None, memory=None, seen=None, grows=0.0, scatter=0.0005, passes=12):
    """Results whose truth is known.

    Args:
        workloads: those that were measured, at every size.
        ratios: of a variant's time to the baseline; 1 where not named.
        memory: by variant, bytes for every figure, or a dict of them.
        seen: by trait, what was observed of every method (and of none).
        grows: every time grows with this power of the number of elements.
    """
    known = {each.partition(".")[0] for each in workloads}
    request = Request(workloads=tuple(sorted(known)) or ("control",), preset="thorough")
    made = results(ratios or {}, request=request, scatter=scatter, passes=passes)
    numels = {each.id: each.numel for each in made.header.plan.comparisons}
    for visit in made.visits:
        factor = (numels[visit.comparison] / 100) ** grows
        for name, variant in visit.variants.items():
            if name != "empty":
                seconds = (variant.seconds - 1e-8) * factor + 1e-8
                visit.variants[name] = msgspec.structs.replace(variant, seconds=seconds)
        base = 1e-6 * factor + 1e-8
        for name, variant in visit.variants.items():
            log = math.log(variant.seconds / base)
            visit.variants[name] = msgspec.structs.replace(variant, log_ratio=log)
    for comparison in made.header.plan.comparisons:
        for variant in comparison.variants:
            given_ = (memory or {}).get(variant.name, 100)
            fields = given_ if isinstance(given_, dict) else dict.fromkeys(FIELDS, given_)
            fields = {**dict.fromkeys(FIELDS, 100), **fields}
            made.add(Memory(comparison.id, variant.name, **fields, resident=None, source="by hand"))
    for trait, values in (seen or {}).items():
        for method in ("", "requires_grad_false", "detach", "no_grad", "data"):
            made.add(Observation(trait, "?", "code", method, values))
    return made


def verdict(id, **truth):
    claim = CLAIM[id]
    return judge_claim(claim, summarise(world(claim.workloads, **truth)))


WRITE = {"seen_in_x": True, "version_counted": False}
FROZEN = {"layer_before_gets_gradient": True}
# For each claim: what makes it true everywhere, and what makes it false everywhere.
TRUTH = {
    "time.order": ({"ratios": {"detach": 1.2, "no_grad": 1.5}}, {"ratios": {"detach": 1.2, "no_grad": 1.1}}),
    "time.linear.requires_grad_false": ({"grows": 1.0}, {"grows": 0.0}),
    "time.linear.detach": (
        {"grows": 1.0, "ratios": {"detach": 1.5}},
        {"grows": 0.0, "ratios": {"detach": 1.5}},
    ),
    "time.linear.no_grad": (
        {"grows": 1.0, "ratios": {"no_grad": 1.5}},
        {"grows": 0.0, "ratios": {"no_grad": 1.5}},
    ),
    "overhead.detach.copy": (
        {"ratios": {"detach": 2.0, "detach_clone": 2.0}},
        {"ratios": {"detach": 1.1, "detach_clone": 2.0}, "memory": {"detach": 0}},
    ),
    "overhead.no_grad.context": (
        {"grows": 0.0, "ratios": {"no_grad": 1.5}},
        {"grows": 0.5, "ratios": {"no_grad": 1.5}},
    ),
    "overhead.requires_grad_false.minimal": (
        {"ratios": {"detach": 1.2, "no_grad": 1.1}},
        {"ratios": {"detach": 0.9, "no_grad": 1.1}},
    ),
    "ratio.detach": ({"ratios": {"detach": 1.2}}, {"ratios": {"detach": 3.6}}),
    "ratio.no_grad": ({"ratios": {"no_grad": 1.1}}, {"ratios": {"no_grad": 1.4}}),
    "memory.requires_grad_false.none": (
        {"memory": {"requires_grad_false": 0}},
        {"memory": {"requires_grad_false": 4}},
    ),
    "memory.no_grad.none": ({"memory": {"no_grad": 0}}, {"memory": {"no_grad": 4}}),
    "memory.detach.new": (
        {"memory": {"detach": 400}, "seen": {"objects": {"result_is_x": False, "afterwards": ""}}},
        {"memory": {"detach": 0}, "seen": {"objects": {"result_is_x": True, "afterwards": ""}}},
    ),
    "duration.requires_grad_false": (
        {"seen": {"persistence": {"x_after": False, "x_under_enable_grad": False}}},
        {"seen": {"persistence": {"x_after": True, "x_under_enable_grad": True}}},
    ),
    "duration.detach": (
        {"seen": {"persistence": {"result_after": False, "x_after": True}}},
        {"seen": {"persistence": {"result_after": True, "x_after": True}}},
    ),
    "duration.no_grad": (
        {"seen": {"persistence": {"x_inside": False, "x_after": True}}},
        {"seen": {"persistence": {"x_inside": False, "x_after": False}}},
    ),
    "objects.requires_grad_false": (
        {"seen": {"objects": {"inside": "", "afterwards": "", "result_is_x": True}}},
        {"seen": {"objects": {"inside": "", "afterwards": "1 Tensor", "result_is_x": False}}},
    ),
    "objects.detach": (
        {"seen": {"objects": {"afterwards": "1 Tensor"}}},
        {"seen": {"objects": {"afterwards": ""}}},
    ),
    "objects.no_grad": (
        {"seen": {"objects": {"inside": "1 no_grad"}}},
        {"seen": {"objects": {"inside": ""}}},
    ),
    "best.small": ({"ratios": {"detach": 1.2, "no_grad": 1.1}}, {"ratios": {"detach": 1.2, "no_grad": 0.9}}),
    "best.medium": (
        {"ratios": {"detach": 1.2, "no_grad": 0.9}},
        {"ratios": {"detach": 1.2, "no_grad": 1.1}},
    ),
    "best.large.single": (
        {"ratios": {"detach": 1.2, "no_grad": 1.1}},
        {"ratios": {"detach": 0.9, "no_grad": 1.1}},
    ),
    "best.large.many": (
        {"ratios": {"detach": 1.2, "no_grad": 0.9}},
        {"ratios": {"detach": 1.2, "no_grad": 1.1}},
    ),
    "best.large.view": (
        {"ratios": {"detach": 0.9, "no_grad": 1.2}},
        {"ratios": {"detach": 1.3, "no_grad": 1.2}},
    ),
    "tip.in_place": (
        {"memory": {"detach": 200, "requires_grad_false": 100}},
        {"memory": {"detach": {"allocated": 0, "peak": 100}, "requires_grad_false": 100}},
    ),
    "tip.batch": (
        {"ratios": {"detach": 1.2}, "memory": {"no_grad": 50}},
        {"ratios": {"no_grad": 1.2}, "memory": {"no_grad": 50}},
    ),
    "tip.mixed": ({"ratios": {"no_grad": 1.1, "requires_grad_false": 1.0}}, {"ratios": {"mixed": 1.2}}),
    "trait.requires_grad_false.persistence": (
        {"seen": {"persistence": {"x_after": False}}},
        {"seen": {"persistence": {"x_after": True}}},
    ),
    "trait.requires_grad_false.memory": (
        {"memory": {"tracked": 200}},
        {"memory": {"tracked": 100}},
    ),
    "trait.requires_grad_false.reversibility": (
        {"seen": {"reversibility": {"switched_on": True, "x_gets_gradient": True}}},
        {"seen": {"reversibility": {"switched_on": True, "x_gets_gradient": False}}},
    ),
    "trait.requires_grad_false.scope": (
        {"seen": {"scope": {"x": False, "other": True}}},
        {"seen": {"scope": {"x": False, "other": False}}},
    ),
    "trait.detach.persistence": (
        {"seen": {"objects": {"result_is_x": False}}},
        {"seen": {"objects": {"result_is_x": True}}},
    ),
    "trait.detach.memory": (
        {"seen": {"memory": {"allocated": 4000000}}},
        {"seen": {"memory": {"allocated": 0}}},
    ),
    "trait.detach.reversibility": (
        {"seen": {"reversibility": {"switched_on": True, "x_gets_gradient": False}}},
        {"seen": {"reversibility": {"switched_on": True, "x_gets_gradient": True}}},
    ),
    "trait.detach.scope": (
        {"seen": {"scope": {"given": False, "x": True, "other": True}}},
        {"seen": {"scope": {"given": False, "x": False, "other": True}}},
    ),
    "trait.no_grad.persistence": (
        {"seen": {"persistence": {"x_inside": False, "x_after": True}}},
        {"seen": {"persistence": {"x_inside": True, "x_after": True}}},
    ),
    "trait.no_grad.memory": (
        {"memory": {"no_grad": {"allocated": 0, "retained": 100}, "tracked": 100}},
        {"memory": {"no_grad": {"allocated": 4, "retained": 100}, "tracked": 200}},
    ),
    "trait.no_grad.reversibility": (
        {"seen": {"reversibility": {"x_by_itself": True}}},
        {"seen": {"reversibility": {"x_by_itself": False}}},
    ),
    "trait.no_grad.scope": (
        {"seen": {"scope": {"x": False, "other": False, "other_in_thread": False}}},
        {"seen": {"scope": {"x": False, "other": True, "other_in_thread": True}}},
    ),
    "use.freeze": (
        {"seen": {"freeze": {"frozen_gets_gradient": False, "frozen_changed": False, **FROZEN}}},
        {"seen": {"freeze": {"frozen_gets_gradient": False, "frozen_changed": True, **FROZEN}}},
    ),
    "use.target": (
        {
            "seen": {
                "target": {"same_value_detached": True, "gradient_detached": False, "gradient_tracked": True}
            }
        },
        {
            "seen": {
                "target": {"same_value_detached": True, "gradient_detached": True, "gradient_tracked": True}
            }
        },
    ),
    "use.inference": (
        {"seen": {"inference": {"same_predictions": True, "no_grad_builds_a_graph": False}}},
        {"seen": {"inference": {"same_predictions": False, "no_grad_builds_a_graph": False}}},
    ),
    "guide.inference_memory": ({"memory": {"tracked": 150}}, {"memory": {"tracked": 100}}),
    "guide.zero_grad": (
        {
            "seen": {
                "zero_grad": {"after_one_backward": 4.0, "after_two": 8.0, "after_zero_grad_and_one": 4.0}
            }
        },
        {
            "seen": {
                "zero_grad": {"after_one_backward": 4.0, "after_two": 4.0, "after_zero_grad_and_one": 4.0}
            }
        },
    ),
    "guide.retain_graph": (
        {"seen": {"retain_graph": {"second_without": False, "second_with": True, "kept_with": 4}}},
        {"seen": {"retain_graph": {"second_without": True, "second_with": True, "kept_with": 4}}},
    ),
    "guide.unneeded_graph": ({"ratios": {"tracked": 1.3}}, {"ratios": {"tracked": 0.9, "no_grad": 1.1}}),
    "autograd.square": (
        {"seen": {"square": {"at_2": 4.0, "at_3": 6.0}}},
        {"seen": {"square": {"at_2": 4.0, "at_3": 9.0}}},
    ),
    "autograd.sin_square": (
        {"seen": {"sin_square": {"agree": True, "gradient": 1.0, "by_formula": 1.0}}},
        {"seen": {"sin_square": {"agree": False, "gradient": 1.0, "by_formula": 2.0}}},
    ),
    "autograd.exp_sin_square": (
        {"seen": {"exp_sin_square": {"agree": True, "gradient": 1.0, "by_formula": 1.0}}},
        {"seen": {"exp_sin_square": {"agree": False, "gradient": 1.0, "by_formula": 2.0}}},
    ),
    "autograd.as_written": (
        {"seen": {"as_written": {"as_written": "4.0", "gradient_with_the_base_of_torch": 4.0}}},
        {
            "seen": {
                "as_written": {"as_written": "AttributeError: no", "gradient_with_the_base_of_torch": 4.0}
            }
        },
    ),
    "loss.same": (
        {"seen": {"predictors": {"largest_difference": 1e-6}}},
        {"seen": {"predictors": {"largest_difference": 1e-2}}},
    ),
    "loss.scratch_slower": ({"ratios": {"numpy": 1.5}}, {"ratios": {"numpy": 0.2}}),
    "train.stable": (
        {
            "seen": {
                "clamped_loss": {"clamped_is_finite": True, "clamped": "2", "exact": 2.0, "from_logits": 2.0}
            }
        },
        {
            "seen": {
                "clamped_loss": {
                    "clamped_is_finite": False,
                    "clamped": "inf",
                    "exact": 2.0,
                    "from_logits": 2.0,
                }
            }
        },
    ),
    "train.learns": (
        {"seen": {"training": {"first_loss": 0.7, "last_loss": 0.4, "at_7_5": 0.7, "at_5": 0.3}}},
        {"seen": {"training": {"first_loss": 0.7, "last_loss": 0.4, "at_7_5": 0.45, "at_5": 0.3}}},
    ),
    "folk.inference_mode.faster": ({"ratios": {"inference_mode": 0.9}}, {"ratios": {"inference_mode": 1.0}}),
    "folk.inference_mode.five_percent": (
        {"ratios": {"inference_mode": 0.95}},
        {"ratios": {"inference_mode": 1.0}},
    ),
    "folk.inference_mode.no_difference": (
        {"ratios": {"inference_mode": 1.0}},
        {"ratios": {"inference_mode": 1.05}},
    ),
    "folk.no_grad.halves_memory": ({"memory": {"tracked": 200}}, {"memory": {"tracked": 120}}),
    "folk.freeze.same": ({}, {"ratios": {"no_grad": 1.1}, "memory": {"no_grad": 120}}),
    "folk.detach_features.same": ({}, {"ratios": {"detach": 1.1}, "memory": {"detach": 120}}),
    "folk.data.faster": ({"ratios": {"data": 0.9}}, {"ratios": {"data": 1.0}}),
    "folk.data.safe": (
        {"seen": {"write": {"wrong_gradient": False, **WRITE}}},
        {"seen": {"write": {"wrong_gradient": True, **WRITE}}},
    ),
    "folk.zero_grad.set_to_none": ({"ratios": {"set_to_zero": 1.5}}, {"ratios": {"set_to_zero": 0.9}}),
    "folk.once_differentiable": (
        {"ratios": {"once_differentiable": 0.9}},
        {"ratios": {"once_differentiable": 1.1}},
    ),
    "folk.no_grad.is_eval": (
        {"seen": {"inference": {"dropout_still_drops": False}}},
        {"seen": {"inference": {"dropout_still_drops": True}}},
    ),
    "folk.running_loss": (
        {"memory": {"tracked": 4000, "detach": 0, "item": 0}},
        {"memory": {"tracked": 0, "detach": 4, "item": 4}},
    ),
    "folk.optimizer.fused": ({"ratios": {"optimizer_fused": 0.5}}, {"ratios": {"optimizer_fused": 1.5}}),
    "folk.set_grad_enabled.same": ({}, {"ratios": {"set_grad_enabled_false": 0.5}}),
    "folk.no_grad.microseconds": ({"ratios": {"no_grad": 1.6}}, {"ratios": {"no_grad": 5.0}}),
}


def test_every_claim_has_its_truth_here():
    assert set(TRUTH) == set(CLAIM)
    assert len(CLAIM) == len(CLAIMS)


def test_every_claim_of_the_guide_is_there():
    sections = set(
        """
        time.order time.linear.requires_grad_false time.linear.detach time.linear.no_grad
        overhead.detach.copy overhead.no_grad.context overhead.requires_grad_false.minimal
        memory.requires_grad_false.none memory.no_grad.none memory.detach.new
        duration.requires_grad_false duration.detach duration.no_grad ratio.detach ratio.no_grad
        best.small best.medium best.large.single best.large.many best.large.view tip.in_place
        tip.batch tip.mixed use.freeze use.target use.inference guide.inference_memory
        guide.zero_grad guide.retain_graph guide.unneeded_graph autograd.square autograd.sin_square
        autograd.exp_sin_square autograd.as_written loss.same loss.scratch_slower train.stable
        train.learns
        """.split()  # noqa: SIM905 -- forty quoted names would fill a page
    )
    for method in ("requires_grad_false", "detach", "no_grad"):
        sections |= {f"objects.{method}"}
        sections |= {
            f"trait.{method}.{trait}" for trait in ("persistence", "memory", "reversibility", "scope")
        }
    assert sections <= set(CLAIM)
    repeated = [claim for claim in CLAIMS if claim.source.startswith("https://")]
    assert len(repeated) >= 10
    assert {claim.id for claim in repeated}.isdisjoint(sections)


@pytest.mark.parametrize("id", sorted(TRUTH))
def test_a_claim_that_holds_is_supported_and_one_that_fails_is_refuted(id):
    holds, fails = TRUTH[id]
    supported, refuted = verdict(id, **holds), verdict(id, **fails)
    assert (supported.verdict, supported.takes) == ("supported", ""), supported.evidence
    assert (refuted.verdict, refuted.takes) == ("refuted", ""), refuted.evidence
    assert supported.evidence
    assert supported.evidence != refuted.evidence


TIMED = sorted(id for id, (holds, _) in TRUTH.items() if "ratios" in holds and "grows" not in holds)


@pytest.mark.parametrize("id", TIMED)
def test_a_claim_about_time_is_not_resolved_by_noise(id):
    found = verdict(id, **{**TRUTH[id][0], "scatter": 1.0, "passes": 5})
    assert found.verdict in ("unresolved", "depends")
    assert any(case.holds is None for case in found.cases)


@pytest.mark.parametrize("id", sorted(TRUTH))
def test_a_claim_of_which_nothing_was_measured_says_what_would_measure_it(id):
    found = judge_claim(CLAIM[id], summarise(results({}, passes=0)))
    if found.verdict == "unresolved":
        pytest.skip("memory or time of its workload is in the empty run")
    assert found.verdict == "not measured"
    assert "a run with" in found.takes


@pytest.mark.parametrize("id", sorted(id for id, claim in CLAIM.items() if not claim.workloads))
def test_a_probe_that_failed_leaves_its_claim_open(id):
    (trait,) = TRUTH[id][0]["seen"]
    made = world()
    for method in ("", "requires_grad_false", "detach", "no_grad", "data"):
        made.add(Observation(trait, "?", "code", method, {}, "RuntimeError: broken"))
    found = judge_claim(CLAIM[id], summarise(made))
    assert found.verdict == "unresolved"
    assert "the probe failed: RuntimeError: broken" in found.evidence


@pytest.mark.parametrize("id", sorted(CLAIM))
def test_a_claim_names_workloads_unless_it_is_asked_of_observations_alone(id):
    assert bool(CLAIM[id].workloads) == (set(TRUTH[id][0]) != {"seen"})


@pytest.mark.parametrize("id", sorted(id for id, claim in CLAIM.items() if claim.workloads))
def test_a_claim_has_a_case_in_every_workload_that_it_names(id):
    summary = summarise(world(CLAIM[id].workloads, **TRUTH[id][0]))
    workloads = {each.comparison.id: each.comparison.workload for each in summary.comparisons}
    cases = judge_claim(CLAIM[id], summary).cases
    asked = {workloads[case.comparison] for case in cases if case.comparison}
    assert not asked or asked == {each.partition(".")[0] for each in CLAIM[id].workloads}


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_a_row_says_what_is_claimed_by_whom_and_what_counts(claim):
    assert re.fullmatch(r"[a-z_]+(\.[a-z_]+)+", claim.id)
    assert re.fullmatch(r"\S[^\n]*\.", claim.says)
    assert claim.source.startswith(("the guide, ", "https://"))
    assert claim.tolerance


def a_claim(*cases):
    return Claim("a.b", "It is so.", "the guide, X", lambda summary: list(cases), "none", ("chain",))


NOTHING = summarise(results({}, passes=1))
known = st.sampled_from([True, False, None])


@settings(deadline=None)
@given(st.lists(known, min_size=1, max_size=8))
def test_the_verdict_is_that_of_all_cases_together(holds):
    found = judge_claim(
        a_claim(*(Case(str(i), each, f"figure {i}") for i, each in enumerate(holds))), NOTHING
    )
    expected = {
        frozenset([True]): "supported",
        frozenset([False]): "refuted",
        frozenset([None]): "unresolved",
        frozenset([True, None]): "unresolved",
        frozenset([False, None]): "unresolved",
    }.get(frozenset(holds), "depends")
    assert found.verdict == expected
    assert all(f"figure {i}" in found.evidence for i in range(len(holds)))
    assert bool(found.takes) == (expected == "unresolved")


def test_the_evidence_of_an_open_claim_says_where_it_holds_and_where_not():
    known = zip((True, False, None) * 2, "abcdef", strict=True)
    cases = [Case(str(holds), holds, f"{word} figures") for holds, word in known]
    found = judge_claim(a_claim(*cases), NOTHING)
    assert found.evidence == (
        "Holds: a figures; d figures. Does not hold: b figures; e figures. Open: c figures; f figures"
    )


@pytest.mark.parametrize(("other", "passes"), [(31, 31), (None, None)])
def test_of_cases_at_once_all_take_passes_or_none_can_be_told(other, passes):
    here = lambda summary: [Case("here", None, "x", 7, "a/1", variants=("p",), visits=5)]  # noqa: E731
    there = lambda summary: [  # noqa: E731
        Case("here", None, "y", other, "a/1", variants=("q",), visits=other)
    ]
    (case,) = every(here, there)(NOTHING)
    assert (case.passes, case.visits) == (passes, passes)
    assert case.variants == ("p", "q")
    refuted = lambda summary: [Case("here", False, "z", comparison="a/1")]  # noqa: E731
    (case,) = every(here, refuted)(NOTHING)
    assert (case.holds, case.passes, case.visits) == (False, None, None)


def test_what_is_open_says_how_many_more_passes_it_takes():
    found = judge_claim(a_claim(Case("here", None, "x", 7), Case("there", None, "y", 31)), NOTHING)
    assert found.takes == "about 31 more passes, for here, there"


def test_an_interval_that_ends_at_a_bound_is_within():
    assert within(Interval(1.2, 1.1, 1.3, 5), 1.1, 1.3) is True


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [(FASTER, False), (NOT_SLOWER, True), (SAME, True), (SLOWER, False)],
    ids=["faster", "not slower", "same", "slower"],
)
def test_equal_times_are_the_same_and_neither_faster_nor_slower(bounds, expected):
    assert within(Interval(1.0, 0.99, 1.01, 5), *bounds) is expected


@settings(deadline=None)
@given(st.floats(0.2, 5.0), st.floats(1e-3, 1.0), st.floats(0.2, 5.0), st.floats(1e-3, 1.0))
def test_a_figure_is_inside_outside_or_across(mean, half, low, width):
    interval = Interval(mean, mean * math.exp(-half), mean * math.exp(half), 10)
    high = low * (1 + width)
    found = within(interval, low, high)
    if found is True:
        assert low <= interval.low
        assert interval.high <= high
    elif found is False:
        assert interval.high < low or interval.low > high
    else:
        assert any(interval.low <= bound <= interval.high for bound in (low, high))


@settings(deadline=None)
@given(st.floats(0.5, 2.0), st.floats(1e-3, 0.3), st.integers(FEWEST_TO_SETTLE, 100))
def test_the_passes_asked_for_would_take_the_interval_off_the_bound(mean, half, count):
    interval = Interval(mean, mean * math.exp(-half), mean * math.exp(half), count)
    more = more_passes(interval, 0.0, 1.0)
    if within(interval, 0.0, 1.0) is None and more is not None:
        narrower = half * math.sqrt(count / (count + more))
        assert abs(math.log(mean)) >= narrower * (1 - 1e-9)


@pytest.mark.parametrize("bounds", [(0.0, 1.25), (0.8, math.inf)])
def test_the_passes_asked_for_are_by_the_distance_to_the_nearest_bound(bounds):
    (bound,) = (each for each in bounds if 0 < each < math.inf)
    # Twice as wide as the distance: four times as many passes, of which there are ten.
    mean, half = bound * math.exp(0.05), 0.1
    interval = Interval(mean, mean * math.exp(-half), mean * math.exp(half), 10)
    assert more_passes(interval, *bounds) in (30, 31)


@pytest.mark.parametrize(
    ("interval", "logarithms"),
    [
        # What two passes leave open is more than any number.
        (Interval(1.02, 0.0, math.inf, 2), True),
        # A cost that is added may be nothing: the power of its growth has no end.
        (Interval(0.1, -math.inf, 0.2, 12), False),
        # Its middle is nearer to the bound than so few passes can tell.
        (Interval(1.001, 0.5, 2.0, 3), True),
    ],
)
def test_what_has_no_end_or_is_of_few_passes_takes_as_many_again(interval, logarithms):
    assert more_passes(interval, 0.0, 1.0, logarithms) == interval.count


def test_an_interval_that_only_just_reaches_the_bound_takes_one_more_pass():
    mean, half = math.exp(0.1), 0.1001
    interval = Interval(mean, mean * math.exp(-half), mean * math.exp(half), 10)
    assert more_passes(interval, 0.0, 1.0) == 1


def test_a_decided_case_takes_no_passes():
    cases = verdict("ratio.no_grad", ratios={"no_grad": 1.1}).cases
    assert {(case.holds, case.passes) for case in cases} == {(True, None)}


def test_a_cost_that_grows_is_told_with_how_many_times():
    evidence = verdict("time.linear.requires_grad_false", grows=1.0).evidence
    found = re.search(r", (\S+) times for (\S+) times the elements", evidence).groups()
    times, elements = (float(each.replace(",", "")) for each in found)
    assert times == pytest.approx(elements, rel=0.05)


def test_a_trait_is_asked_of_its_method_alone():
    made = results({}, passes=0)
    for trait, method, value in (("other", "a", 1), ("trait", "b", 2), ("trait", "a", 3), ("trait", "", 4)):
        made.add(Observation(trait, "?", "code", method, {"it": value}))
    (case,) = observed("trait", "a", lambda seen: seen["it"] == 3, "it is {it}")(summarise(made))
    assert (case.holds, case.says) == (True, "it is 3")


def test_nothing_and_truth_are_told_in_words():
    made = results({}, passes=0)
    made.add(Observation("trait", "?", "code", "a", {"it": "", "that": None, "so": True, "not": False}))
    (case,) = observed("trait", "a", lambda seen: True, "{it} {that} {so} {not}")(summarise(made))
    assert case.says == "nothing nothing yes no"


@pytest.mark.parametrize("method", ["no_grad", "unheard of"])
def test_who_peaks_least_is_not_asked_where_the_bytes_of_the_method_are_unknown(method):
    summary = summarise(memory(results({}), "tracked", peak=400))
    assert smallest(("elementwise",), method, ("tracked",))(summary) == []


@pytest.mark.parametrize(("peak", "least"), [(400, True), (600, False)])
def test_who_peaks_least_is_asked_of_the_rivals_and_not_of_the_method_itself(peak, least):
    made = memory(memory(results({}), "tracked", peak=peak), "no_grad", peak=500)
    (case,) = smallest(("elementwise",), "tracked", ("tracked", "no_grad"))(summarise(made))
    assert case.holds is least


def test_a_variant_that_keeps_gradients_is_not_asked_for_the_bytes_of_its_graph():
    made = results({}, request=Request(workloads=("retain",), sizes=("small",)))
    (comparison,) = made.header.plan.comparisons
    name = next(each.name for each in comparison.variants if not each.keeps_graph and each.role != "empty")
    summary = summarise(memory(made, name, graph=400))
    assert bytes_of(("retain",), name, "graph", (0, 1000))(summary) == []
    assert len(bytes_of(("retain",), name, "retained", (0, 1000))(summary)) == 1


@pytest.mark.parametrize("name", ["detach", "item"])
def test_a_running_loss_that_keeps_one_byte_of_graph_keeps_something(name):
    kept = {"tracked": 4000, "detach": 0, "item": 0}
    assert verdict("folk.running_loss", memory={**kept, name: 1}).verdict == "depends"


def test_a_case_of_questions_at_once_links_to_its_comparison():
    one = lambda summary: [Case("here", True, "x", comparison="c/1")]  # noqa: E731
    assert every(one, one)(NOTHING)[0].comparison == "c/1"


def test_questions_at_once_fail_where_one_does_and_side_by_side_stay_apart():
    good, bad, open_ = (
        (lambda summary, holds=holds: [Case("here", holds, "x")]) for holds in (True, False, None)
    )
    assert [case.holds for case in every(good, bad)(NOTHING)] == [False]
    assert [case.holds for case in every(good, open_)(NOTHING)] == [None]
    assert [case.holds for case in every(good, good)(NOTHING)] == [True]
    assert [case.holds for case in each_of(good, bad)(NOTHING)] == [True, False]


def test_what_is_in_part_not_measured_is_not_true_for_the_rest():
    good = lambda summary: [Case("here", True, "figures")]  # noqa: E731
    bad = lambda summary: [Case("here", False, "figures")]  # noqa: E731
    nothing = lambda summary: []  # noqa: E731
    assert [case.holds for case in every(good, nothing)(NOTHING)] == [None]
    assert [case.holds for case in every(bad, nothing)(NOTHING)] == [False]
    assert every(nothing, nothing)(NOTHING) == []


def test_without_memory_a_claim_on_speed_and_memory_is_open():
    claim = CLAIM["best.small"]
    made = world(claim.workloads, **TRUTH["best.small"][0])
    made.memory.clear()
    assert judge_claim(claim, summarise(made)).verdict == "unresolved"


def test_passes_are_asked_for_by_visits_that_they_make():
    made = world(("placement",), ratios={"numpy": 1.0}, scatter=0.05)
    once = judge_claim(CLAIM["loss.scratch_slower"], summarise(made))
    # Two of three passes visit something else.
    other = msgspec.structs.replace(made.visits[0], comparison="other")
    passes = max(each.number for each in made.visits)
    made.visits += [
        msgspec.structs.replace(other, number=number) for number in range(passes + 1, 3 * passes + 1)
    ]
    thrice = judge_claim(CLAIM["loss.scratch_slower"], summarise(made))
    assert [case.passes for case in thrice.cases] == [
        None if case.passes is None else 3 * case.passes for case in once.cases
    ]
    assert any(case.passes for case in once.cases)


def test_an_id_that_there_is_not_is_refused_with_the_nearest():
    with pytest.raises(RequestError, match=r"--id time\.ordr: .*did you mean time\.order\?"):
        verdicts(NOTHING, ["time.ordr"])
    # Nothing is near; and the default output has no id.
    with pytest.raises(RequestError, match=r"`gradbench claims RUN --verbose` lists them$"):
        verdicts(NOTHING, ["nothing.such"])
    assert [each.claim.id for each in verdicts(NOTHING, ["ratio.detach"])] == ["ratio.detach"]


def test_the_text_and_the_data_hold_every_verdict():
    found = verdicts(summarise(world(("control", "elementwise"), ratios={"detach": 1.2})))
    short, text = as_text(found, 110), as_text(found, 110, verbose=True)
    measured = [each for each in found if each.verdict != "not measured"]
    assert 0 < len(measured) < len(found)
    assert [each.claim.id for each in found if f" {each.claim.id}\n" in text] == [
        each.claim.id for each in found
    ]
    joined = " ".join(short.split())
    for each in measured:
        assert f"{each.shown} {each.claim.says} {each.deciding}" in " ".join(as_text(found, 90).split())
    assert f"{len(found) - len(measured)} not measured: --verbose" in short
    assert counted(found, shown=True) in joined
    data = json.loads(json.dumps(as_data(found)))
    assert [(row["id"], row["verdict"]) for row in data] == [(each.claim.id, each.verdict) for each in found]
    assert sum(
        int(count) for count in re.findall(r"(\d+) (?:" + "|".join(VERDICTS) + ")", counted(found))
    ) == len(found)


@pytest.mark.parametrize("width", [80, 100, 160])
@pytest.mark.parametrize("verbose", [False, True])
def test_no_line_is_wider_than_the_terminal(width, verbose):
    found = verdicts(summarise(world(("control", "elementwise"), ratios={"detach": 1.2})))
    # An address is whole, for pasting.
    lines = [line for line in as_text(found, width, verbose).splitlines() if "https://" not in line]
    assert max(map(len, lines)) <= width


def test_a_figure_that_does_not_fit_beside_its_claim_is_whole_in_the_next_line():
    case = Case("here", True, "x", figure="1.18 times at elementwise 100")
    found = judge_claim(
        Claim("a.b", "A sentence of forty letters, more or less.", "us", lambda _: [case], "none"), NOTHING
    )
    assert as_text([found], 80).splitlines()[:2] == [
        "✓ true     A sentence of forty letters, more or less.",
        "           1.18 times at elementwise 100",
    ]
    assert as_text([found], 100).splitlines()[0] == (
        "✓ true     A sentence of forty letters, more or less.  1.18 times at elementwise 100"
    )


def a_judgement(says, figure, device=""):
    case = Case("here", True, "x", figure=figure)
    return replace(judge_claim(Claim("a.b", says, "us", lambda _: [case], "none"), NOTHING), device=device)


def test_a_wide_terminal_has_one_line_for_a_claim_whose_sentence_is_cut_at_a_word_and_never_its_figure():
    says = "The twelve words of this sentence take more than half of the columns here."
    figure = "1.18 times at elementwise 100 elements"
    line = as_text([a_judgement(says, figure)], 100).splitlines()[0]
    assert line == f"✓ true     The twelve words of this sentence take more than…  {figure}"
    assert len(f"{line} half") > 100
    line = as_text([a_judgement(says, figure, "cuda:0")], 100).splitlines()[0]
    assert line == f"✓ true     The twelve words of this sentence… On cuda:0.  {figure}"
    assert len(f"{line} take") > 100
    # A figure that leaves no room for a sentence goes into the next line, with the sentence whole.
    lines = as_text([a_judgement(says, figure * 2)], 100).splitlines()
    assert lines[:2] == [f"✓ true     {says}", f"           {figure * 2}"]
    # In full nothing is cut.
    assert as_text([a_judgement(says, figure)], 100, verbose=True).startswith(f"✓ true     {says}\n")


def test_several_claims_depend_and_one_depends():
    one = a_judgement("A sentence.", "1 time")
    assert counted([replace(one, verdict="depends")], shown=True) == "1 claim: 1 depends."
    assert counted([one, *[replace(one, verdict="depends")] * 2], shown=True) == "3 claims: 1 true, 2 depend."


@pytest.mark.parametrize(
    ("passes", "expected"),
    [
        (1, "about 1 more pass, for here"),
        (1_000, "about 1,000 more passes, for here"),
        (16_624, "more than 1,000 passes, for here: not worth it here"),
    ],
)
def test_passes_that_nobody_waits_for_are_not_advised(passes, expected):
    assert judge_claim(a_claim(Case("here", None, "x", passes)), NOTHING).takes == expected


def test_a_row_of_the_data_has_the_names_that_programs_read():
    (row,) = as_data([judge_claim(CLAIM["ratio.detach"], summarise(world(("control",))))])
    assert set(row) == {"id", "claim", "source", "verdict", "evidence", "tolerance", "takes", "cases"}
    assert all(set(case) == {"where", "holds", "says", "passes"} for case in row["cases"])


def test_in_full_a_claim_has_its_cases_and_the_open_alone_what_it_takes():
    cases = [Case("a", True, "1.00 times at a"), Case("b", None, "1.01 times at b", 7)]
    lines = as_text([judge_claim(a_claim(*cases), NOTHING)], 80, verbose=True).splitlines()
    assert [" ".join(line.split()) for line in lines[1:7]] == [
        "id: a.b",
        "source: the guide, X",
        "tolerance: none",
        "it takes: about 7 more passes, for b",
        "evidence: ✓ 1.00 times at a",
        "? 1.01 times at b",
    ]
    assert "it takes" not in as_text([judge_claim(a_claim(cases[0]), NOTHING)], 80, verbose=True)


def test_of_several_devices_verdicts_on_observations_are_counted_apart():
    of_none = judge_claim(CLAIM["objects.detach"], NOTHING)
    text = counted([replace(of_none, device="cuda:0"), of_none])
    assert text == "1 claim on cuda:0: 1 not measured. 1 claim about observations: 1 not measured."
    assert counted([]) == "No claim was asked for."


def test_the_command_prints_verdicts_for_people_and_for_programs(gradbench, small_run, tmp_path):
    plain = gradbench("claims", small_run, "--id", "ratio.no_grad,time.linear.detach", cwd=tmp_path)
    assert (plain.returncode, plain.stderr) == (0, "")
    assert "ratio.no_grad" in plain.stdout
    data = json.loads(gradbench("claims", small_run, "--json", cwd=tmp_path).stdout)
    assert {row["id"] for row in data} == set(CLAIM)
    wrong = gradbench("claims", small_run, "--id", "nothing.such", cwd=tmp_path)
    assert wrong.returncode == 2
    assert wrong.stderr.count("\n") == 1


@pytest.mark.parametrize("workload", [USER_MODEL, VERSIONS])
def test_a_run_of_code_of_ones_own_is_refused_in_one_line(call, monkeypatch, workload):
    made = results({})
    (own,) = made.header.plan.comparisons
    plan = msgspec.structs.replace(
        made.header.plan, comparisons=(msgspec.structs.replace(own, workload=workload),)
    )
    made.header = msgspec.structs.replace(made.header, plan=plan)
    monkeypatch.setattr("gradbench.cli.reading.analysis_of", lambda path: analyse(made))
    code, out, err = call("claims", "runs/mine")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "runs/mine: expected a run of gradbench's workloads" in err
    assert "`gradbench run --preset quick`" in err


def test_the_page_says_what_the_guide_is_before_it_is_quoted():
    page = rendered(results({}, request=Request(workloads=("control", "elementwise"))))
    heading = page.index("</summary>", page.index('id="guide"'))
    assert "from which this project began" in page[heading : heading + 300]


@pytest.mark.parametrize(
    ("id", "memory", "expected"),
    [
        # Half of it, with a tenth on both sides.
        ("folk.no_grad.halves_memory", {"tracked": 1000, "no_grad": 399}, "refuted"),
        ("folk.no_grad.halves_memory", {"tracked": 1000, "no_grad": 400}, "supported"),
        ("folk.no_grad.halves_memory", {"tracked": 1000, "no_grad": 600}, "supported"),
        ("folk.no_grad.halves_memory", {"tracked": 1000, "no_grad": 601}, "refuted"),
        # As many, within one in a hundred; the times agree.
        ("folk.freeze.same", {"no_grad": 98}, "depends"),
        ("folk.freeze.same", {"no_grad": 99}, "supported"),
        ("folk.freeze.same", {"no_grad": 101}, "supported"),
        ("folk.freeze.same", {"no_grad": 102}, "depends"),
        ("folk.detach_features.same", {"detach": 98}, "depends"),
        ("folk.detach_features.same", {"detach": 99}, "supported"),
        ("folk.detach_features.same", {"detach": 101}, "supported"),
        ("folk.detach_features.same", {"detach": 102}, "depends"),
        # What every step keeps is four bytes of a thousand at least.
        ("folk.running_loss", {"tracked": 3999, "detach": 0, "item": 0}, "depends"),
        # A copy, within a factor of two.
        ("overhead.detach.copy", {"detach": 49}, "refuted"),
        ("overhead.detach.copy", {"detach": 50}, "supported"),
        ("overhead.detach.copy", {"detach": 200}, "supported"),
        ("overhead.detach.copy", {"detach": 201}, "refuted"),
        ("memory.requires_grad_false.none", {"requires_grad_false": 1}, "refuted"),
        ("memory.no_grad.none", {"no_grad": 1}, "refuted"),
        # Less is one in a hundred less.
        ("trait.requires_grad_false.memory", {"requires_grad_false": 99}, "supported"),
        ("trait.requires_grad_false.memory", {"requires_grad_false": 100}, "refuted"),
        ("guide.inference_memory", {"no_grad": 99}, "supported"),
        ("guide.inference_memory", {"no_grad": 100}, "refuted"),
        ("tip.in_place", {"requires_grad_false": 99, "detach": {"allocated": 1, "peak": 100}}, "supported"),
        ("tip.in_place", {"requires_grad_false": 99, "detach": {"allocated": 0, "peak": 100}}, "depends"),
        ("tip.in_place", {"requires_grad_false": 100, "detach": {"allocated": 1, "peak": 100}}, "depends"),
        # As many as without it, within a tenth; and none by itself.
        ("trait.no_grad.memory", {"no_grad": {"allocated": 0, "retained": 89}}, "depends"),
        ("trait.no_grad.memory", {"no_grad": {"allocated": 0, "retained": 90}}, "supported"),
        ("trait.no_grad.memory", {"no_grad": {"allocated": 0, "retained": 110}}, "supported"),
        ("trait.no_grad.memory", {"no_grad": {"allocated": 0, "retained": 111}}, "depends"),
        ("trait.no_grad.memory", {"no_grad": {"allocated": 1, "retained": 100}}, "depends"),
    ],
)
def test_a_claim_on_bytes_holds_up_to_its_tolerance_and_not_beyond(id, memory, expected):
    assert verdict(id, memory=memory).verdict == expected


@pytest.mark.parametrize(
    ("id", "ratios", "expected"),
    [
        ("ratio.detach", {"detach": 1.14}, "refuted"),
        ("ratio.detach", {"detach": 1.16}, "supported"),
        ("ratio.detach", {"detach": 1.24}, "supported"),
        ("ratio.detach", {"detach": 1.26}, "refuted"),
        ("ratio.no_grad", {"no_grad": 1.04}, "refuted"),
        ("ratio.no_grad", {"no_grad": 1.06}, "supported"),
        ("ratio.no_grad", {"no_grad": 1.14}, "supported"),
        ("ratio.no_grad", {"no_grad": 1.16}, "refuted"),
        # Of large tensors the time is asked for as well.
        ("overhead.detach.copy", {"detach": 0.79}, "depends"),
        ("overhead.detach.copy", {"detach": 0.81}, "supported"),
        ("overhead.detach.copy", {"detach": 1.24}, "supported"),
        ("overhead.detach.copy", {"detach": 1.26}, "depends"),
        ("folk.inference_mode.five_percent", {"inference_mode": 0.92}, "refuted"),
        ("folk.inference_mode.five_percent", {"inference_mode": 0.94}, "supported"),
        ("folk.inference_mode.five_percent", {"inference_mode": 0.96}, "supported"),
        ("folk.inference_mode.five_percent", {"inference_mode": 0.98}, "refuted"),
        # The times alone; as many bytes.
        ("folk.freeze.same", {"no_grad": 0.97}, "depends"),
        ("folk.freeze.same", {"no_grad": 0.99}, "supported"),
        ("folk.freeze.same", {"no_grad": 1.01}, "supported"),
        ("folk.freeze.same", {"no_grad": 1.03}, "depends"),
        ("folk.detach_features.same", {"detach": 0.97}, "depends"),
        ("folk.detach_features.same", {"detach": 0.99}, "supported"),
        ("folk.detach_features.same", {"detach": 1.01}, "supported"),
        ("folk.detach_features.same", {"detach": 1.03}, "depends"),
        # The call of a microsecond.
        ("folk.no_grad.microseconds", {"no_grad": 1.1}, "refuted"),
        ("folk.no_grad.microseconds", {"no_grad": 1.3}, "supported"),
        ("folk.no_grad.microseconds", {"no_grad": 1.9}, "supported"),
        ("folk.no_grad.microseconds", {"no_grad": 2.1}, "refuted"),
        # Faster, and as many bytes.
        ("tip.batch", {"detach": 1.2}, "refuted"),
        ("guide.unneeded_graph", {"tracked": 1.03, "no_grad": 1.03}, "depends"),
        ("guide.unneeded_graph", {"tracked": 1.03, "requires_grad_false": 1.03}, "depends"),
        ("folk.optimizer.fused", {"optimizer_fused": 0.9, "optimizer_foreach": 1.1}, "refuted"),
        ("folk.optimizer.fused", {"optimizer_foreach": 0.5}, "refuted"),
        ("tip.mixed", {"no_grad": 0.9}, "refuted"),
        ("tip.mixed", {"requires_grad_false": 0.9}, "refuted"),
    ],
)
def test_a_claim_on_time_holds_up_to_its_tolerance_and_not_beyond(id, ratios, expected):
    assert verdict(id, ratios=ratios).verdict == expected


@pytest.mark.parametrize(
    ("id", "seen", "expected"),
    [
        (
            "duration.requires_grad_false",
            {"persistence": {"x_after": True, "x_under_enable_grad": False}},
            "refuted",
        ),
        (
            "duration.requires_grad_false",
            {"persistence": {"x_after": False, "x_under_enable_grad": True}},
            "refuted",
        ),
        (
            "guide.zero_grad",
            {"zero_grad": {"after_one_backward": 4.0, "after_two": 8.0, "after_zero_grad_and_one": 8.0}},
            "refuted",
        ),
        (
            "guide.retain_graph",
            {"retain_graph": {"second_without": False, "second_with": False, "kept_with": 4}},
            "refuted",
        ),
        (
            "trait.requires_grad_false.reversibility",
            {"reversibility": {"switched_on": False, "x_gets_gradient": True}},
            "refuted",
        ),
        ("trait.requires_grad_false.scope", {"scope": {"x": True, "other": True}}, "refuted"),
        ("trait.detach.memory", {"memory": {"allocated": 1}}, "supported"),
        ("trait.detach.scope", {"scope": {"given": True, "x": True, "other": True}}, "refuted"),
        ("trait.detach.scope", {"scope": {"given": False, "x": True, "other": False}}, "refuted"),
        ("trait.no_grad.persistence", {"persistence": {"x_inside": False, "x_after": False}}, "refuted"),
        ("trait.no_grad.scope", {"scope": {"x": False, "other": False, "other_in_thread": True}}, "depends"),
        ("trait.no_grad.scope", {"scope": {"x": True, "other": False, "other_in_thread": False}}, "depends"),
        ("trait.no_grad.scope", {"scope": {"x": False, "other": True, "other_in_thread": False}}, "depends"),
        ("autograd.square", {"square": {"at_2": 5.0, "at_3": 6.0}}, "refuted"),
        ("loss.same", {"predictors": {"largest_difference": 1e-4}}, "supported"),
        ("loss.same", {"predictors": {"largest_difference": 1.1e-4}}, "refuted"),
        (
            "train.learns",
            {"training": {"first_loss": 0.4, "last_loss": 0.4, "at_7_5": 0.7, "at_5": 0.3}},
            "refuted",
        ),
        (
            "train.learns",
            {"training": {"first_loss": 0.7, "last_loss": 0.4, "at_7_5": 0.7, "at_5": 0.5}},
            "refuted",
        ),
        (
            "train.learns",
            {"training": {"first_loss": 0.7, "last_loss": 0.4, "at_7_5": 0.5, "at_5": 0.3}},
            "refuted",
        ),
    ],
)
def test_each_part_of_what_is_seen_decides(id, seen, expected):
    assert verdict(id, seen=seen).verdict == expected


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_a_claim_of_ours_has_a_topic_of_the_list(claim):
    assert claim.topic in TOPICS


@pytest.mark.parametrize("id", sorted(TRUTH))
def test_the_figure_that_decides_is_short_and_differs_where_the_verdict_does(id):
    found = [verdict(id, **truth) for truth in TRUTH[id]]
    figures = [each.deciding for each in found]
    assert all(1 <= len(figure.split()) <= 12 for figure in figures), figures
    assert figures[0] != figures[1]
    # No number has more than three significant digits, a year of leading zeros apart.
    numbers = re.findall(r"(?<![\w.])\d[\d,]*(?:\.\d+)?(?![\w.])", " ".join(figures))
    assert all(len(each.replace(",", "").replace(".", "").strip("0")) <= 4 for each in numbers), figures


@pytest.mark.parametrize(
    ("id", "truth", "expected"),
    [
        ("memory.no_grad.none", {"memory": {"no_grad": 0}}, "0 B allocated"),
        ("memory.no_grad.none", {"memory": {"no_grad": 4}}, "4 B allocated"),
        # Two workloads, at three sizes.
        ("folk.no_grad.halves_memory", {"memory": {"tracked": 200}}, "0.500 times the peak in 6 comparisons"),
        ("objects.detach", {"seen": {"objects": {"afterwards": "1 Tensor"}}}, "added: 1 Tensor"),
        (
            "trait.no_grad.scope",
            {"seen": {"scope": {"x": False, "other": False, "other_in_thread": True}}},
            "recorded inside: x no, another no; in a new thread: yes",
        ),
        ("time.linear.requires_grad_false", {"grows": 1.0}, "10,000 times from 100 to 1M"),
        (
            "folk.running_loss",
            {"memory": {"tracked": 4000, "detach": 0, "item": 0}},
            "4,000 B in the graph; 0 B in the graph",
        ),
    ],
)
def test_the_figure_that_decides_is_that_of_the_data(id, truth, expected):
    assert verdict(id, **{"scatter": 0.0, **truth}).deciding == expected


def ratio_case(holds, low, high=None, place="", comparison="", **more):
    found = Amount(low, high or low, "times", **more)
    return Case("here", holds, "x", comparison=comparison, figure=found.words, amount=found, place=place)


@pytest.mark.parametrize(
    ("cases", "expected"),
    [
        ([ratio_case(True, 3.808)], "3.81 times"),
        (
            [ratio_case(True, each, comparison=str(each)) for each in (0.991, 1.0, 1.014)],
            "0.99 to 1.01 times in 3 comparisons",
        ),
        ([ratio_case(False, 1.5, comparison=each) for each in "ab"], "1.50 times in 2 comparisons"),
        # The two that are farthest from each other, and the unit once.
        (
            [
                ratio_case(True, 1.18, place="elementwise 100"),
                ratio_case(False, 1.3, place="chain 100"),
                ratio_case(False, 3.81, place="control 100"),
            ],
            "1.18 times at elementwise 100; 3.81 at control 100",
        ),
        (
            [
                ratio_case(True, 0.7, place="chain 1M", subject="a()"),
                ratio_case(False, 1.5, place="chain 1M", subject="b()"),
            ],
            "0.700 times for a(); 1.50 for b() at chain 1M",
        ),
        (
            [
                ratio_case(True, 0.5),
                ratio_case(None, 0.9968, 1.0121, place="chain 1M", open=True),
                ratio_case(None, 0.9, 1.4, place="chain 100", open=True),
            ],
            "0.997 to 1.012 times at chain 1M; 1 more open",
        ),
        # Without a figure, as an extension may write its cases.
        ([Case("here", True, "7 nodes here")], "7 nodes here"),
        ([Case(each, True, f"7 nodes {each}") for each in "ab"], "2 cases"),
        ([Case("a", True, "7 nodes at a"), Case("b", False, "9 nodes at b")], "7 nodes at a; 9 nodes at b"),
        ([], ""),
    ],
)
def test_the_figure_that_decides_is_made_of_the_cases(cases, expected):
    assert judge_claim(a_claim(*cases), NOTHING).deciding == expected


def test_without_an_interval_the_figure_says_so():
    made = world(("control",), ratios={"no_grad": 1.3}, passes=1)
    found = judge_claim(CLAIM["ratio.no_grad"], summarise(made))
    assert found.verdict == "unresolved"
    assert found.deciding.startswith("1.30 times (no interval) at control ")


def test_against_several_rivals_the_figure_is_that_of_the_fastest():
    found = verdict("best.large.single", ratios={"no_grad": 0.5, "detach": 0.8}, scatter=0.0)
    assert found.verdict == "refuted"
    assert found.deciding.startswith("2.00 times torch.no_grad()")


def test_every_verdict_has_a_word_and_a_mark_for_readers():
    assert set(SHOWN) == set(VERDICTS)
    assert len({each[0] for each in SHOWN.values()}) == len(VERDICTS)
