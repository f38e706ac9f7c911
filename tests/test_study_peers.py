"""The figures of readings made up for the purpose, and what the stated truth rests on; no tool is run."""

import math

import numpy
import pytest

from studies.files import read_records
from studies.instrument.figures import errors_of
from studies.instrument.findings import _peers
from studies.instrument.peers import conditions, gradbench, study
from studies.instrument.peers.figures import ENOUGH, figures
from studies.instrument.peers.process import Failed
from studies.instrument.peers.question import GROUPS, STATEMENTS, TRUTH
from studies.instrument.peers.tool import Reading, answer_of


def reading(tool="gradbench", condition="quiet", repetition=1, verdict=None, **errors):
    """A reading whose ratios are off the truth by so much (logarithms), by `group_name`."""
    ratios = {name: true * math.exp(errors.get(name.replace("/", "_"), 0.0)) for name, true in TRUTH.items()}
    verdicts = {f"{group}/again": verdict for group in GROUPS}
    return Reading(tool, condition, repetition, 14.0, {}, ratios, verdicts)


def failure(tool="asv", condition="quiet"):
    return Reading(tool, condition, 1, 3.0, error="exit code 1")


def test_each_statement_has_the_lines_that_its_true_ratio_needs():
    lines = {name: text.splitlines() for name, text in STATEMENTS.items()}
    assert {name: len(text) for name, text in lines.items()} == {
        "short/a": 6,
        "short/again": 6,
        "short/more": 7,
        "long/a": 10,
        "long/again": 10,
        "long/more": 11,
    }
    for name, text in lines.items():
        assert set(text) == {GROUPS[name.partition("/")[0]][0]}
    assert pytest.approx(TRUTH) == {
        name: len(lines[name]) / len(lines[f"{name.partition('/')[0]}/a"]) for name in TRUTH
    }


def test_gradbench_is_given_the_same_statements():
    for comparison in gradbench.comparisons():
        by_name = {variant.name: variant.statement for variant in comparison.variants}
        assert by_name["baseline"] == by_name["twin"] == STATEMENTS[f"{comparison.id}/a"]
        assert by_name["again"] == STATEMENTS[f"{comparison.id}/again"]
        assert by_name["more"] == STATEMENTS[f"{comparison.id}/more"]


def test_ratios_of_single_times_are_taken_within_the_group():
    seconds = {name: float(place) for place, name in enumerate(STATEMENTS, start=1)}
    answer = answer_of(seconds)
    assert answer.ratios == {"short/again": 2.0, "short/more": 3.0, "long/again": 5 / 4, "long/more": 6 / 4}
    assert answer.verdicts == {"short/again": None, "long/again": None}


def test_errors_are_taken_against_the_truth():
    (row,) = figures([reading(short_again=0.03, long_again=-0.01, short_more=-0.02, long_more=0.02)])
    assert row["n"] == 1
    assert row["failed"] == 0
    assert {name: each.mean for name, each in row["rms"].items()} == pytest.approx(
        {"short/again": 0.03, "short/more": 0.02, "long/again": 0.01, "long/more": 0.02}
    )
    assert row["noticed"] == 0.5
    assert row["called_different"] is None


def test_an_error_is_the_root_of_the_mean_square_over_repetitions():
    (row,) = figures([reading(short_again=0.03), reading(short_again=-0.01)])
    assert row["rms"]["short/again"].mean == pytest.approx(math.sqrt((0.03**2 + 0.01**2) / 2))


def test_only_verdicts_that_were_given_are_counted():
    rows = figures(
        [reading("asv", verdict="different"), reading("asv", verdict="same"), reading("timeit", verdict=None)]
    )
    assert {row["tool"]: row["called_different"] for row in rows} == {"asv": 0.5, "timeit": None}


def test_an_error_has_an_interval_where_there_are_enough_readings_and_only_there():
    errors = numpy.random.default_rng(3).normal(0, 0.02, (1000, ENOUGH))
    rows = [figures([reading(short_more=each) for each in run]) for run in errors]
    found = [row["rms"]["short/more"] for (row,) in rows]
    held = sum(each.low < 0.02 < each.high for each in found)
    # 95 %, and four standard errors of a share of 1,000.
    assert abs(held / 1000 - 0.95) < 0.028
    (row,) = figures([reading(short_more=0.01)] * (ENOUGH - 1))
    few = row["rms"]["short/more"]
    assert (few.mean, few.low, few.high, few.count) == (pytest.approx(0.01), None, None, ENOUGH - 1)


def asked(tool, times, more, again, condition="quiet"):
    """So many readings of a tool with these errors."""
    errors = {"short_more": more, "long_more": more, "short_again": again, "long_again": again}
    return [reading(tool, condition, number, **errors) for number in range(times)]


def test_the_finding_tells_both_questions_and_leaves_out_what_was_asked_too_seldom():
    readings = [
        *asked("gradbench", 8, 0.004, 0.0001),
        *asked("timeit", 8, 0.02, 0.01),
        *asked("asv", 8, 0.03, 0.002),
        *asked("gradbench", 2, 0.004, 0.0001, "same core busy"),
        *asked("timeit", 2, 0.02, 7.0, "same core busy"),
    ]
    found = _peers({"peers": figures(readings)})
    assert "0.40 % (0.27 to 0.77) on a short call (others 2.0 to 3.0 %)" in found.evidence
    assert "0.010 % (0.0068 to 0.019) on a short call (others 0.20 to 1.0 %)" in found.evidence
    assert found.sentence.endswith("is closer to a known ratio than 2 other tools.")
    assert found.figure == "0.40 and 0.40 % off; others 2.0 to 3.0 %"
    assert "8 repetitions (quiet machine)" in found.evidence
    assert "2 to 2 repetitions" in found.evidence
    assert "700" not in found.sentence + found.evidence
    few = _peers({"peers": figures(asked("gradbench", 2, 0.004, 0.0) + asked("timeit", 2, 0.02, 0.01))})
    assert "too few times" in few.sentence


def test_gradbench_is_called_closer_only_where_no_other_interval_reaches_its_interval():
    readings = [*asked("gradbench", 8, 0.015, 0.0), *asked("timeit", 8, 0.02, 0.01)]
    found = _peers({"peers": figures(readings)})
    assert found.sentence == "At the same budget, gradbench and 1 other tool miss a known ratio."


def test_the_first_figure_shows_the_first_condition_with_gradbench_on_top():
    readings = [
        *asked("timeit", 8, 0.02, 0.01),
        *asked("gradbench", 8, 0.004, 0.0001),
        *asked("timeit", 2, 0.5, 0.5, "same core busy"),
    ]
    found = errors_of(figures(readings))
    assert [each.tool for each in found] == ["gradbench", "timeit"] * 4
    assert [each.known for each in found] == [True] * 4 + [False] * 4
    known = [each.rms.mean for each in found if each.known]
    assert known == pytest.approx([0.004, 0.02, 0.004, 0.02])


def test_what_failed_is_counted_and_has_no_figures():
    (row,) = figures([failure()])
    assert row["n"] == 0
    assert row["failed"] == 1
    assert row.pop("rms") == dict.fromkeys(TRUTH)
    assert {value for key, value in row.items() if key not in ("condition", "tool", "n", "failed")} == {None}


def test_nothing_makes_no_rows():
    assert figures([]) == []


def test_settings_fill_the_budget_and_say_so_when_it_is_too_small():
    for kind in study.TOOLS:
        tool = kind()
        for crowd in (1, 2):
            settings = tool.settings(60.0 * crowd, tool.fixed, crowd)
            start = tool.fixed * tool.starts(settings) * crowd
            took = start + tool.measured(settings) * (crowd if tool.counts else 1)
            assert 0.9 * 60 * crowd <= took <= 60.01 * crowd
            assert tool.learn(took, settings, crowd) == pytest.approx(tool.fixed)
        with pytest.raises(Failed, match="too few"):
            tool.settings(0.1, tool.fixed, 1)


def test_a_condition_that_cannot_be_made_is_recorded_once_for_each_tool(monkeypatch, tmp_path):
    monkeypatch.setattr(study, "dry_calls", lambda tools, log: None)
    monkeypatch.setattr(study, "ask", lambda tool, condition, repetition, budget, fixed: failure(tool.name))
    monkeypatch.setattr(conditions, "_cores", lambda: [3])
    study.study(tmp_path, lambda text: None, 14.0, {"quiet": 2, "other core busy": 2})
    readings = read_records(tmp_path / study.FILENAME, Reading)
    skipped = [each for each in readings if each.condition == "other core busy"]
    assert {each.tool for each in skipped} == {kind.name for kind in study.TOOLS}
    assert {each.error for each in skipped} <= {
        "skipped: needs 2 cores, 1 allowed",
        "skipped: this system cannot pin a process to a core",
    }
    assert len(skipped) == len(study.TOOLS)
    assert len(readings) - len(skipped) == 2 * len(study.TOOLS)
