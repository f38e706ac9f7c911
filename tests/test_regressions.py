"""The study of regressions: what is made of trials of versus, and the page."""

import msgspec
import pytest

from gradbench.errors import ResultsFileError
from studies.regressions import figures, page
from studies.regressions.part import Point, Score
from studies.regressions.versus_trials import Trial, Trials, part, trial_of


def variant(comparison, name, outcome="same", mean=1.0, memory=None):
    ratio = {"mean": mean, "low": mean - 0.01, "high": mean + 0.01}
    return {
        "comparison": comparison,
        "variant": name,
        "outcome": outcome,
        "ratio": ratio,
        "memory": memory or {},
    }


def printed(*variants, code=0):
    return {
        "variants": list(variants), "code": code, "seconds": 50.04, "pairs": 12, "ended": "budget",
        "calibration_task": {"mean": 1.001},
    }  # fmt: skip


BACKWARD, FORWARD = "square.backward/100/float32/cpu", "square.forward/100/float32/cpu"


def test_identical_code_that_is_called_different_is_an_alarm():
    quiet = trial_of(printed(variant(BACKWARD, "function")), "identical", "")
    assert (quiet.alarms, quiet.found, quiet.seconds) == ({}, None, 50.0)
    loud = trial_of(printed(variant(BACKWARD, "function", "faster", 0.9), code=0), "identical", "")
    assert loud.alarms == {f"{BACKWARD} function": "faster 0.900 (0.890 to 0.910)"}


def test_a_slowdown_is_found_where_it_was_made_and_nowhere_else():
    right = printed(variant(BACKWARD, "function", "slower", 1.05), variant(FORWARD, "function"))
    wrong = printed(variant(BACKWARD, "function"), variant(FORWARD, "function", "slower", 1.05))
    assert trial_of(right, "slower", "square").found
    assert not trial_of(wrong, "slower", "square").found


def test_more_memory_is_found_where_it_is_reported_to_the_byte():
    for saved, found in (([400, 464], True), ([400, 528], False)):
        data = printed(variant(FORWARD, "function", memory={"saved": saved}), variant(BACKWARD, "function"))
        assert trial_of(data, "larger", "square").found is found
    assert not trial_of(printed(variant(FORWARD, "function")), "larger", "").found


def trial(kind, workloads="", alarms=None, found=None, apart=1.0):
    return Trial(kind, workloads, 55.0, 0, 12, "budget", alarms or {}, found, {"a variant": apart}, 1.002)


TRIALS = Trials("2026-01-02T03:04:05", "A <processor>", 60, {100: 900}, [
    trial("identical", apart=1.01), trial("identical", alarms={"a variant": "slower <b>"}),
    trial("slower", found=False), trial("slower", "square", alarms={"a variant": "slower 1.05"}, found=True),
])  # fmt: skip


def test_the_table_counts_trials_alarms_and_what_was_found():
    (table,) = part(TRIALS).tables
    assert [row[1:5] for row in table.rows] == [
        ("the usual", "2", "1", ""), ("the usual", "1", "0", "0"), ("square", "1", "1", "1"),
    ]  # fmt: skip
    assert (
        "largest difference was 1.00%. The calibration task differed by 0.20% at most"
        in part(TRIALS).evidence
    )


def test_the_answer_counts_found_changes_and_false_alarms():
    found = part(TRIALS)
    assert found.score == Score(found=1, changes=2, alarms=1, identical=2)
    assert page.answer([found]) == (
        "Regressions found: gradbench versus 1 of 2. False alarms on identical commits: 1 of 2."
    )
    assert page.answer([]) == ""


def test_the_figure_shows_the_change_of_the_backward_and_which_pairs_are_reported():
    name = f"{BACKWARD} function"
    made = [
        msgspec.structs.replace(trial("identical"), apart={name: 1.01}),
        msgspec.structs.replace(trial("slower", alarms={name: "slower"}), apart={name: 1.06}),
        msgspec.structs.replace(trial("slower", alarms={"other": "slower"}), apart={name: 1.05}),
        msgspec.structs.replace(trial("larger"), apart={name: 1.2}),
    ]
    points = part(msgspec.structs.replace(TRIALS, trials=made)).points
    assert points == [
        Point("identical", 1.01, False), Point("slower", 1.06, True), Point("slower", 1.05, False)
    ]  # fmt: skip
    assert figures.in_words([(point.kind, point) for point in points]) == (
        "identical: +1.0 to +1.0 %, 0 of 1 reported; slower: +5.0 to +6.0 %, 1 of 2 reported"
    )


def test_the_page_is_made_of_the_data_that_are_there(tmp_path):
    (tmp_path / "versus.json").write_bytes(msgspec.json.encode(TRIALS))
    answer = page.write(tmp_path, tmp_path / "index.html")
    text = (tmp_path / "index.html").read_text()
    assert f"<h1>{answer}</h1>" in text
    assert text.count("<table>") == text.count('<details class="table">') == 1
    assert "slower &lt;b&gt;" in text
    assert "data/asv.json" not in text


def test_data_that_are_none_are_one_line(tmp_path):
    (tmp_path / "versus.json").write_text('{"trials": 1}')
    with pytest.raises(ResultsFileError, match="not what this study writes") as caught:
        page.write(tmp_path, tmp_path / "index.html")
    assert "\n" not in str(caught.value)
