"""What a run says on a terminal at its end."""

from types import SimpleNamespace

import msgspec
import pytest
from synthetic import memory, rendered, results

from gradbench.analyse.analysis import analyse
from gradbench.analyse.failures import failed
from gradbench.cli import running
from gradbench.record.plan import Request
from gradbench.record.telemetry import Telemetry
from gradbench.record.user_file import Fault
from gradbench.record.visits import Failure, Look, RunEnd
from gradbench.report.terminal.brief import MOST, WARNINGS, brief, first_sentence

REQUEST = Request(
    workloads=("control", "elementwise", "chain", "inference", "freeze", "update", "custom"), sizes=("small",)
)
BUSY = Telemetry(others=0.5, steal=0.2)


def made(**changes):
    found = results({"no_grad": 1.5, "tracked": 1.9}, **{"request": REQUEST, **changes})
    return memory(memory(found, "tracked", peak=400), "no_grad", peak=100)


def test_the_answer_comes_first_then_recommendations_then_trust_then_warnings():
    analysis = analyse(made(telemetry=BUSY))
    lines = brief(analysis, 100).splitlines()
    joined = " ".join(" ".join(lines).split())
    assert joined.startswith(analysis.answer.sentence)
    places = [joined.index(f"{each.purpose}: {each.use}") for each in analysis.answer.recommendations]
    assert len(places) >= 3
    places += [joined.index("Trust: "), joined.index("Warning: Other processes used 50 %")]
    assert places == sorted(places)


@pytest.mark.parametrize("width", [60, 100])
@pytest.mark.parametrize("passes", [1, 4, 12])
@pytest.mark.parametrize("telemetry", [None, BUSY])
def test_it_has_room_on_a_screen(width, passes, telemetry):
    found = made(passes=passes, telemetry=telemetry)
    lines = brief(analyse(found), width).splitlines()
    # With the report, the note on failures and the command to go on it has twenty.
    assert len(lines) <= MOST <= 17
    assert max(map(len, lines)) <= width


def test_a_warning_is_its_first_sentence_and_the_others_are_counted():
    # By how much the twin differs, trust says.
    analysis = analyse(results({"twin": 1.05}, passes=12, request=REQUEST, telemetry=BUSY))
    lines = brief(analysis, 100).splitlines()
    told = [line.removeprefix("Warning: ") for line in lines if line.startswith("Warning: ")]
    assert 0 < len(told) <= WARNINGS
    for each in told:
        assert sum(first_sentence(warning) == each for warning in analysis.warnings) == 1
    more = len(analysis.warnings) - len(told)
    assert lines[-1] == f"{more} more warning{'' if more == 1 else 's'} in the report."


def test_every_warning_has_room_in_a_line():
    """Of a run in which all goes wrong."""
    found = made(passes=1, telemetry=Telemetry(others=0.5, steal=0.2))
    found.cut_off = 1
    found.add(Look(0.5, {}, "all"))
    found.add(RunEnd("budget", 28.0, asked=0.01, reached=0.02))
    for each in analyse(found).warnings:
        assert len(f"Warning: {first_sentence(each)}") <= 100


def test_one_pass_is_told_without_a_plural_and_the_command_is_left_to_the_end():
    found = made(passes=1)
    found.header = msgspec.structs.replace(found.header, command="gradbench run")
    assert "`gradbench run --resume" in analyse(found).answer.trust.advice
    text = " ".join(brief(analyse(found), 100).split())
    assert "--resume" not in text
    assert "1 passes" not in text
    assert "1 pass, so no interval is known." in text


def test_where_nothing_was_timed_the_findings_and_warnings_are_told():
    analysis = analyse(made(passes=0))
    assert analysis.answer is None
    assert "Warning: Some comparisons have 0 passes: no interval is known." in brief(analysis, 100)


@pytest.mark.parametrize(
    ("looked", "quiet", "more"),
    [
        (False, False, "measure more: gradbench run --resume --output {} --passes 20"),
        (True, False, "measure more: gradbench run --resume --output {} --budget 60"),
        (False, True, ""),
    ],
)
def test_a_run_ends_with_its_report_and_the_command_to_go_on(
    monkeypatch, capsys, tmp_path, looked, quiet, more
):
    found = results({}, passes=10)
    found.path = tmp_path / "results.jsonl"
    found.add(Failure(1, found.header.plan.comparisons[0].id, "no_grad", "check", "check", "y: no"))
    if looked:
        found.add(Look(0.5, {}, "all"))
        found.add(RunEnd("budget", 28.0))
    monkeypatch.setattr(running, "analysis_of", lambda path: analyse(found))
    running._finish(found.path, SimpleNamespace(quiet=quiet, with_report=True))
    said = capsys.readouterr()
    expected = [f"report: {tmp_path / 'report.html'}", *([more.format(tmp_path)] if more else [])]
    assert said.out.splitlines()[-len(expected) :] == expected
    assert len(said.out.splitlines()) + 1 <= 20
    assert "note: 1 variant of 1 comparison failed: y: no" in said.err


def test_what_failed_is_told_elsewhere():
    found = results({})
    found.add(Failure(1, found.header.plan.comparisons[0].id, "no_grad", "check", "check", "y: no"))
    assert failed(found)
    assert "y: no" not in brief(analyse(found), 100)


def test_what_is_wrong_in_the_users_code_is_said_first_and_in_full():
    found = results({})
    for number in range(MOST + 1):
        found.add(Fault("values differ", f"fault {number}, {'in many words ' * 9}"))
    text = brief(analyse(found), 60)
    assert text.startswith("Watch out: Fault 0")
    assert f"Fault {MOST}," in text
    assert "Fault 3," in rendered(found)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It fell to 1.2 GHz. Let it cool.", "It fell to 1.2 GHz."),
        ("One sentence.", "One sentence."),
        ("A ratio of 1.5 times. `gradbench run` goes on.", "A ratio of 1.5 times."),
    ],
)
def test_the_first_sentence_ends_before_the_next_begins(text, expected):
    assert first_sentence(text) == expected
