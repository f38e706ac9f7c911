"""What a run says on a terminal at its end."""

from synthetic import rendered, results

from gradbench.analyse.analysis import analyse
from gradbench.analyse.failures import failed
from gradbench.record.plan import Request
from gradbench.record.user_file import Fault
from gradbench.record.visits import Failure
from gradbench.report.terminal.brief import MOST, WARNINGS, brief

REQUEST = Request(
    workloads=("control", "elementwise", "chain", "inference", "target", "update", "custom"), sizes=("small",)
)


def test_it_is_the_beginning_of_what_the_page_says_in_a_dozen_lines():
    made = results({"no_grad": 1.5, "tracked": 1.3}, passes=4, request=REQUEST)
    analysis = analyse(made)
    text = brief(analysis, 100)
    lines = text.splitlines()
    assert 6 <= len(lines) <= MOST
    assert max(map(len, lines)) <= 100
    said = " ".join(" ".join(lines).split())
    assert f"- Before you believe it: {analysis.warnings[0]}" in said
    assert f"- {analysis.findings[0].sentence}" in said
    assert lines[-1].endswith("more in the report.")
    shown = sum(line.startswith("- ") for line in lines)
    assert int(lines[-1].split()[0]) == len(analysis.warnings) + len(analysis.findings) - shown
    assert analysis.findings[0].sentence in rendered(made)


def test_warnings_leave_room_for_what_was_found():
    lines = brief(analyse(results({"twin": 1.2}, passes=2, request=REQUEST)), 60).splitlines()
    assert 0 < next(place for place, line in enumerate(lines) if "Alone" in line) <= WARNINGS


def test_what_failed_is_told_elsewhere():
    made = results({})
    made.add(Failure(1, made.header.plan.comparisons[0].id, "no_grad", "check", "check", "y: no"))
    assert failed(made)
    assert "y: no" not in brief(analyse(made), 100)


def test_what_is_wrong_in_the_users_code_is_said_first_and_in_full():
    made = results({})
    for number in range(MOST + 1):
        made.add(Fault("values differ", f"fault {number}, {'in many words ' * 9}"))
    text = brief(analyse(made), 60)
    assert text.startswith("- Watch out: Fault 0")
    assert f"Fault {MOST}," in text
    assert "Fault 3," in rendered(made)
