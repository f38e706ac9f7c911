"""The study of releases: what is made of trials that are there."""

import math
from dataclasses import replace

import msgspec
import numpy
import pytest
from synthetic import trial

from gradbench.versus.judge import INSTALLATION, judge_trial
from studies.releases import page, same
from studies.releases.analysis import Study, closures, prices
from studies.releases.figures import marks, over_releases

ID = "elementwise/100/float32/cpu"


def study(**trials):
    return Study({name: judge_trial(made) for name, made in trials.items()})


def three(one, other, whole):
    """Releases a, b and c, compared with each other: the factors of no_grad of the three trials."""
    return study(
        ab=trial({"no_grad": one}, labels=("a", "b"), seed=1),
        ac=trial({"no_grad": whole}, labels=("a", "c"), seed=2),
        bc=trial({"no_grad": other}, labels=("b", "c"), seed=3),
    )


def test_the_first_release_is_what_most_are_compared_with():
    found = three(1, 1, 1)
    assert found.first == "a"
    assert [each.trial.header.sides[1].label for each in found.against_first] == ["b", "c"]


def test_two_steps_that_make_the_whole_way_add_up_and_others_do_not():
    (product,) = [product for each, product in closures(three(1.2, 1.5, 1.8)) if each.name == "no_grad"]
    assert product.low < 1 < product.high
    (product,) = [product for each, product in closures(three(1.2, 1.5, 1.2)) if each.name == "no_grad"]
    assert product.mean == pytest.approx(1.5, rel=0.02)
    assert product.low > 1.4


def test_the_answer_counts_the_variants_that_changed_from_the_first_release_to_the_last():
    found = three(1, 1, 1.2)
    of = len(found.variants)
    assert page.answer(found) == (
        f"From PyTorch a to c, 0 of {of} variants became faster and 1 became slower."
    )
    first, last, between = (page._finding(judged) for judged in found.trials.values())
    assert (first.sentence, first.figure) == (
        f"b against a: 0 of {of} variants changed.", f"0 slower, 0 faster, {of} the same"
    )  # fmt: skip
    assert "Slower: 1 variant, most of all elementwise 100 no_grad at 1.2" in last.evidence
    assert "Slower: no variant. Faster: no variant." in between.evidence


def test_nothing_closes_without_three_releases():
    assert closures(study(ab=trial(labels=("a", "b")))) == []


def test_the_price_of_a_method_is_its_time_over_the_baselines_on_each_side():
    """All times are 1 µs on side A; on B tracking costs 1.3 times, in pairs that drift together by 10 %."""
    made = judge_trial(trial({"tracked": 1.3}, machine=0.1, scatter=0.002))
    found = prices(made, ID, "tracked", "requires_grad_false")
    assert found.a.mean == pytest.approx(1.0)
    assert found.b.mean == pytest.approx(1.3, rel=0.01)
    assert found.change.mean == pytest.approx(1.3, rel=0.01)
    assert math.log(found.change.high / found.change.low) < 0.01


def test_the_price_of_what_was_not_measured_is_not_known():
    assert prices(judge_trial(trial(pairs=1)), ID, "tracked", "requires_grad_false") is None
    assert prices(judge_trial(trial()), ID, "nothing", "requires_grad_false") is None


def lasting(seed, shift):
    """A trial of identical code whose variants differ by this standard deviation for as long as it lasts."""
    dice = numpy.random.default_rng(seed)
    variants = [
        variant.name
        for variant in trial(pairs=0).header.comparisons[0].variants
        if variant.role != "calibration_task"
    ]
    return trial({name: math.exp(dice.normal(0.0, shift)) for name in variants}, pairs=90, seed=seed)


def test_what_lasts_for_a_trial_is_beyond_intervals_over_pairs_and_within_those_of_installations():
    quiet = same.beyond("one", [lasting(seed, 0.0) for seed in range(20)])
    loud = same.beyond("two", [lasting(seed, INSTALLATION) for seed in range(20)])
    assert (quiet.trials, quiet.pairs) == (20, (90, 90))
    assert quiet.variants == loud.variants >= 200
    assert quiet.over_pairs / quiet.variants < 0.05 + 3 * 0.016
    assert loud.over_pairs / loud.variants > 0.12
    assert loud.with_term / loud.variants < 0.05 + 3 * 0.016
    assert quiet.alarms == 0


def test_sides_without_trials_are_left_out(tmp_path):
    assert same.read(tmp_path) == []


def test_a_name_has_one_style_in_every_figure_and_no_other_has_it(monkeypatch):
    found = three(1, 1, 1)
    variant = found.variants[0]
    # More names than there are colours, in another comparison, and one that both have, at another place.
    other = msgspec.structs.replace(variant.comparison, id="other")
    more = [
        replace(variant, comparison=other, variant=msgspec.structs.replace(variant.variant, name=name))
        for name in (*(f"variant {number}" for number in range(8)), "no_grad")
    ]
    found = Study(
        {name: replace(each, variants=(*each.variants, *more)) for name, each in found.trials.items()}
    )
    styles = marks(found)
    assert len(set(styles.values())) == len(styles) >= 10
    drawn = []
    monkeypatch.setattr("studies.releases.figures.svg", lambda figure, name: drawn.append(figure) or "")
    for comparison in (ID, "other"):
        over_releases(found, comparison)
    for figure in drawn:
        (axes,) = figure.axes
        points = [line for line in axes.lines if line.get_label() in styles]
        assert {
            line.get_label(): (line.get_color(), line.get_marker()) for line in points
        }.items() <= styles.items()
        assert "no_grad" in [line.get_label() for line in points]
