"""What is seen of a run while it goes on."""

import io
from types import SimpleNamespace

import pytest
from rich.console import Console
from rich.progress import Progress as Bar

from gradbench.define.planner import plan_run
from gradbench.measure import progress
from gradbench.record.plan import Request

CONTROL = plan_run(Request(workloads=("control",), sizes=("small",))).comparisons[0]


@pytest.fixture
def clock(monkeypatch):
    now = SimpleNamespace(seconds=100.0)
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: now.seconds))
    return now


def visit(shown, clock, seconds, number=1, left=None):
    shown.visiting(number, CONTROL, left)
    clock.seconds += seconds
    shown.visited()


def test_what_is_being_done_is_said_and_how_long_it_took_and_will(clock):
    shown = progress.BarProgress()
    shown.begin(1, 9)
    shown.starting(0)
    assert shown.doing == "memory: importing torch"
    visit(shown, clock, 10, number=0)
    assert (shown.doing, shown.done, shown.clock) == (
        "memory: control 100",
        "1/10 visits",
        "0:10 elapsed, 1:30 left",
    )
    shown.observing()
    assert "observing" in shown.doing
    shown.visiting(1, CONTROL, 20.0)
    assert shown.clock == "0:10 elapsed, 0:20 left"


def test_of_an_end_that_is_not_known_nothing_is_said(clock):
    shown = progress.BarProgress()
    shown.begin(1, None)
    visit(shown, clock, 5)
    assert (shown.done, shown.clock) == ("1 visits", "0:05 elapsed")


def test_what_is_decided_stands_beside_the_visits(clock):
    shown = progress.BarProgress()
    shown.begin(0, None)
    visit(shown, clock, 5)
    shown.decided("3 of 8 claims decided")
    assert shown.done == "1 visits; 3 of 8 claims decided"


def test_a_log_has_a_line_when_there_was_none_for_a_while(clock, capsys):
    shown = progress.LineProgress()
    shown.begin(0, 12)
    for _ in range(12):
        visit(shown, clock, 8)
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "gradbench: pass 1: control 100; 4/12 visits, 0:32 elapsed, 1:04 left",
        "gradbench: pass 1: control 100; 8/12 visits, 1:04 elapsed, 0:32 left",
    ]


def drawn(shown, **console):
    text = io.StringIO()
    screen = Console(file=text, width=100, force_terminal=True, **console)
    with Bar(*progress._columns(shown, screen), console=screen, auto_refresh=False) as bar:
        bar.add_task("")
        bar.refresh()
    return text.getvalue()


def test_a_bar_that_has_one_colour_only_is_left_out(clock):
    shown = progress.BarProgress()
    shown.begin(0, 2)
    visit(shown, clock, 3)
    assert "\u2501" in drawn(shown, color_system="standard", no_color=False)
    plain = drawn(shown, no_color=True)
    assert "\u2501" not in plain
    assert "pass 1: control 100 1/2 visits 0:03 elapsed, 0:03 left" in plain


def test_the_quiet_and_those_who_read_a_log_get_no_bar(capsys):
    with progress.make_progress(True) as shown, progress.doing("something", True):
        assert type(shown) is progress.Progress
    with progress.make_progress(False) as shown, progress.doing("something", False):
        assert type(shown) is progress.LineProgress
    assert capsys.readouterr().err == ""
