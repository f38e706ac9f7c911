"""Runs: how passes are made, stopped and gone on with. Most with stand-ins for the workers, some for real."""

import contextlib
import gzip
import itertools
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections import Counter

import msgspec
import psutil
import pytest
from conftest import GRADBENCH
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from synthetic import ENVIRONMENT

from gradbench.define.methods import METHODS
from gradbench.define.planner import plan_run
from gradbench.errors import EndedEarly, RequestError
from gradbench.measure import goal as goals
from gradbench.measure import run
from gradbench.measure.goal import Goal, make_goal
from gradbench.measure.pace import REPORT_SECONDS
from gradbench.measure.progress import Progress
from gradbench.measure.steering import Steering
from gradbench.record.environment import FACTS, AcceleratorFacts
from gradbench.record.lines import Writer
from gradbench.record.plan import Plan, Request
from gradbench.record.results import FILENAME, read_results
from gradbench.record.visits import Failure, Visit

REQUEST = Request(("control", "elementwise", "chain"), ("no_grad", "tracked"), ("small", "medium"))
IDS = [comparison.id for comparison in plan_run(REQUEST).comparisons]


def resume(folder, passes, budget=None):
    return run.resume(folder, Steering(Goal(passes, budget, None, 0.1)))


def visited(results):
    return Counter((visit.number, visit.comparison) for visit in results.visits)


def once_each(passes, ids=IDS):
    return Counter(itertools.product(range(1, passes + 1), ids))


def test_every_pass_visits_every_comparison_once_in_an_order_of_its_own(workers, measure_into, tmp_path):
    results = measure_into(tmp_path / "run", REQUEST, passes=5)
    assert visited(results) == once_each(5)
    orders = [tuple(workers.order(number)) for number in range(1, 6)]
    assert len(set(orders)) == 5


def test_the_same_seed_makes_the_same_run_and_another_seed_another(workers, measure_into, tmp_path):
    seen = []
    for place, seed in enumerate((3, 3, 4)):
        workers.started.clear()
        workers.tasks.clear()
        measure_into(tmp_path / str(place), msgspec.structs.replace(REQUEST, seed=seed))
        processes = [(each.settings, each.hash_seed, each.padding) for each in workers.started]
        seen.append((processes, [id for _, _, id, _ in workers.tasks]))
    assert seen[0] == seen[1]
    assert seen[0][0] != seen[2][0]
    assert seen[0][1] != seen[2][1]


def test_every_pass_is_a_fresh_process_with_a_hash_seed_and_padding_of_its_own(
    workers, measure_into, tmp_path
):
    results = measure_into(tmp_path / "run", REQUEST, passes=8, threads=2)
    assert [(each.settings.number, each.settings.kind) for each in workers.started] == [
        (0, "memory"), *((number, "time") for number in range(1, 9)),
    ]  # fmt: skip
    for name in ("hash_seed", "padding"):
        assert len({getattr(each, name) for each in workers.started}) == 9
        assert [getattr(each, name) for each in workers.started] == [getattr(p, name) for p in results.passes]
    assert len({each.settings.seed for each in workers.started}) == 9
    assert {each.settings.threads for each in workers.started} == {2}


@pytest.mark.parametrize("allocator", ["keep", "system"])
def test_time_is_measured_with_the_allocator_that_was_asked_for(workers, measure_into, tmp_path, allocator):
    measure_into(tmp_path / "run", REQUEST, allocator=allocator)
    assert [each.allocator for each in workers.started] == ["system"] + [allocator] * 3


def test_memory_is_measured_once_and_before_time(workers, measure_into, tmp_path):
    results = measure_into(tmp_path / "run", REQUEST, passes=2)
    assert [kind for _, kind, _, _ in workers.tasks] == ["memory"] * len(IDS) + ["time"] * 2 * len(IDS)
    assert {record.comparison for record in results.memory} == set(IDS)


def test_a_run_without_memory_starts_no_pass_for_it(workers, measure_into, tmp_path):
    results = measure_into(tmp_path / "run", REQUEST, passes=2, memory=False)
    assert [begun.number for begun in results.passes] == [1, 2]
    assert results.memory == []


def test_what_is_returned_is_what_the_file_holds(workers, measure_into, tmp_path):
    results = measure_into(tmp_path / "run", REQUEST, passes=2)
    read = read_results(tmp_path / "run")
    for part in ("header", "passes", "visits", "memory", "failures", "ends", "runs"):
        assert getattr(read, part) == getattr(results, part)
    assert [end.number for end in read.ends] == [0, 1, 2]
    assert [end.reason for end in read.runs] == ["passes"]


def test_the_header_keeps_the_request_the_options_the_plan_and_the_machine(workers, measure_into, tmp_path):
    header = measure_into(tmp_path / "run", REQUEST, passes=1, threads=3).header
    assert header.request == REQUEST
    assert header.plan == plan_run(REQUEST)
    assert header.options.threads == 3
    assert header.environment == workers.environment
    assert header.labels == {method.name: method.label for method in METHODS}


def test_a_lost_visit_is_a_failure_and_a_fresh_process_goes_on(workers, measure_into, tmp_path):
    bad = IDS[2]
    workers.lose = lambda settings, comparison: (
        "died" if (settings.number, comparison.id) == (2, bad) else None
    )
    results = measure_into(tmp_path / "run", REQUEST, passes=3)
    assert visited(results) == once_each(3) - Counter({(2, bad): 1})
    (failure,) = results.failures
    assert (failure.number, failure.comparison, failure.variant, failure.kind) == (2, bad, None, "died")
    last = workers.order(2)[-1] == bad
    assert [begun.number for begun in results.passes] == ([0, 1, 2, 3] if last else [0, 1, 2, 2, 3])
    assert [end.number for end in results.ends] == [0, 1, 2, 3]


def test_after_three_losses_in_a_row_a_comparison_is_not_tried_again(workers, measure_into, tmp_path):
    bad = IDS[0]
    workers.lose = lambda settings, comparison: (
        "hung" if settings.number > 1 and comparison.id == bad else None
    )
    results = measure_into(tmp_path / "run", REQUEST, passes=6)
    assert [(each.number, each.kind) for each in results.failures] == [
        (2, "hung"), (3, "hung"), (4, "hung"), (5, "given up"), (6, "given up"),
    ]  # fmt: skip
    assert sum(id == bad for pass_, _, id, _ in workers.tasks if pass_ > 0) == 4
    assert visited(results) == once_each(6) - Counter({(number, bad): 1 for number in range(2, 7)})


def test_losses_that_are_not_in_a_row_do_not_add_up(workers, measure_into, tmp_path):
    bad = IDS[0]
    workers.lose = lambda settings, comparison: (
        "died" if settings.number % 3 and settings.number and comparison.id == bad else None
    )
    results = measure_into(tmp_path / "run", REQUEST, passes=9)
    assert [each.kind for each in results.failures] == ["died"] * 6
    assert [visit.number for visit in results.visits if visit.comparison == bad] == [3, 6, 9]


@pytest.mark.parametrize("preset", ["quick", "standard", "thorough"])
def test_what_is_asked_takes_the_place_of_the_preset(preset):
    base = goals.BUDGETS[preset]
    assert make_goal(preset, None, None, None) == Goal(None, base.budget, None, base.longest, base.visits)
    # So many passes are made of visits of one length; anything else leaves both to the run.
    assert make_goal(preset, 7, None, None) == Goal(7, None, None, base.slice)
    assert make_goal(preset, 7, 60.0, 2.0) == Goal(7, 60.0, 0.02, base.slice)
    assert make_goal(preset, None, 60.0, None) == Goal(None, 60.0, None, base.longest)
    assert make_goal(preset, None, None, 2.0) == Goal(None, base.budget, 0.02, base.longest)


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    budget=st.floats(15, 600),
    passes=st.none() | st.integers(1, 200),
    startup=st.floats(0.3, 4.0),
    around=st.floats(0.0, 0.2),
    slice=st.floats(0.1, 4.0),
)
def test_a_run_keeps_to_its_budget_and_uses_it(
    workers, measure_into, tmp_path_factory, budget, passes, startup, around, slice
):
    workers.startup, workers.around = startup, around
    began = workers.now
    goal = Goal(passes, budget, None, slice)
    results = measure_into(tmp_path_factory.mktemp("budget") / "run", REQUEST, goal=goal)
    took = workers.now - began
    shortest = 2 * startup + 2 * len(IDS) * (around + 0.1)
    assert took <= max(budget, shortest)
    made = visited(results)
    complete = passes is not None and made == once_each(passes)
    assert took + REPORT_SECONDS >= budget / 2 or complete
    assert results.runs[0].reason == ("passes" if complete else "budget")
    assert set(made.values()) == {1}
    if budget - REPORT_SECONDS > shortest + 2 * startup:
        assert {id for _, id in made} == set(IDS)


def test_a_budget_gives_the_intervals_degrees_of_freedom_where_five_passes_fit(
    workers, measure_into, tmp_path
):
    goal = Goal(None, 30.0, None, 4.0)
    assert len(measure_into(tmp_path / "run", REQUEST, goal=goal).ends) - 1 >= 5


def test_one_visit_is_made_whatever_the_budget(workers, measure_into, tmp_path):
    workers.startup = 100.0
    results = measure_into(tmp_path / "run", REQUEST, goal=Goal(None, 10.0, None, 0.5))
    assert visited(results) == {(1, IDS[0]): 1}
    assert results.runs[0].reason == "budget"


def test_a_run_stops_at_the_precision_that_was_asked_for(workers, measure_into, tmp_path):
    asked = []

    def precision(results):
        asked.append(len(results.ends) - 1)
        return 0.6 / asked[-1]

    goal = Goal(50, None, 0.05, 0.1)
    results = measure_into(tmp_path / "run", REQUEST, goal=goal, precision=precision)
    # Never before the tenth pass, however narrow the intervals seem by then.
    assert asked[:3] == [10, 11, 12]
    assert visited(results) == once_each(12)
    end = results.runs[0]
    assert (end.reason, end.asked) == ("precision", 0.05)
    assert end.reached == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("goal", "options"),
    [
        (goals.make_goal("quick", None, None, None), []),
        (goals.make_goal("quick", 36, None, None), ["--passes", "36"]),
        (goals.make_goal("quick", None, 600.0, None), ["--budget", "600"]),
        (goals.make_goal("quick", None, 90.0, 2.5), ["--budget", "90", "--precision", "2.5"]),
    ],
)
def test_a_goal_is_asked_for_again_by_the_options_that_its_preset_does_not_imply(goal, options):
    assert goal.options("quick") == options


def test_a_precision_that_is_not_reached_ends_with_the_passes(workers, measure_into, tmp_path):
    goal = Goal(3, None, 0.05, 0.1)
    results = measure_into(tmp_path / "run", REQUEST, goal=goal, precision=lambda _: 0.5)
    assert visited(results) == once_each(3)
    end = results.runs[0]
    assert (end.reason, end.asked, end.reached) == ("passes", 0.05, 0.5)


def test_an_interrupt_before_the_first_process_is_ready_writes_nothing(
    workers, measure_into, tmp_path, monkeypatch
):
    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.setattr(workers, "ready", interrupted)
    with pytest.raises(EndedEarly, match="nothing was written") as caught:
        measure_into(tmp_path / "run", REQUEST)
    assert caught.value.exit_code == 3
    assert list(tmp_path.iterdir()) == []


def test_a_process_that_cannot_start_later_ends_the_run_and_says_what_is_kept(
    workers, measure_into, tmp_path, monkeypatch
):
    ready = workers.ready

    def fail():
        if len(workers.started) > 2:
            raise RequestError("a measuring process could not start: no memory")
        return ready()

    monkeypatch.setattr(workers, "ready", fail)
    with pytest.raises(EndedEarly, match=f"{len(IDS)} visits are kept"):
        measure_into(tmp_path / "run", REQUEST)


def interrupt(number, id):
    def lose(settings, comparison):
        if (settings.number, comparison.id) == (number, id):
            raise KeyboardInterrupt

    return lose


def test_an_interrupt_keeps_what_was_measured_and_says_how_to_go_on(workers, measure_into, tmp_path):
    workers.lose = interrupt(2, IDS[3])
    folder = tmp_path / "a folder; with signs"
    with pytest.raises(EndedEarly) as caught:
        measure_into(folder, REQUEST)
    message = str(caught.value)
    kept = len(read_results(folder).visits)
    assert len(IDS) <= kept < 2 * len(IDS)
    assert f"{kept} visits are kept in {folder / FILENAME}" in message
    assert shlex.split(message.partition("go on with: ")[2]) == [
        "gradbench", "run", "--resume", "--output", str(folder), "--passes", "3",
    ]  # fmt: skip


def test_going_on_after_an_interrupt_completes_the_pass_and_adds_the_rest(workers, measure_into, tmp_path):
    workers.lose = interrupt(2, IDS[3])
    with pytest.raises(EndedEarly):
        measure_into(tmp_path / "run", REQUEST)
    workers.lose = lambda settings, comparison: None
    resume(tmp_path / "run", 4)
    results = read_results(tmp_path / "run")
    assert visited(results) == once_each(4)
    assert {record.comparison for record in results.memory} == set(IDS)
    assert [end.reason for end in results.runs] == ["passes"]


@pytest.fixture
def finished(workers, measure_into, tmp_path):
    """The folder of a finished run of two passes, made by stand-ins."""
    measure_into(tmp_path / "run", REQUEST, passes=2)
    workers.started.clear()
    workers.tasks.clear()
    return tmp_path / "run"


def test_going_on_adds_passes_to_a_finished_run(finished, workers):
    before = (finished / FILENAME).read_bytes()
    resume(finished, 5)
    assert (finished / FILENAME).read_bytes().startswith(before)
    assert visited(read_results(finished)) == once_each(5)
    assert {number for number, _, _, _ in workers.tasks} == {3, 4, 5}
    assert [end.reason for end in read_results(finished).runs] == ["passes", "passes"]


def test_going_on_after_a_cut_at_any_line_leaves_nothing_out_and_measures_nothing_twice(finished):
    path = finished / FILENAME
    lines = path.read_bytes().splitlines(keepends=True)
    for count in range(1, len(lines) - 1):
        path.write_bytes(b"".join(lines[:count]) + lines[count][:-7])
        resume(finished, 3)
        results = read_results(finished)
        assert visited(results) == once_each(3), f"cut in line {count + 1}"
        assert results.cut_off == 0
        assert {begun.number for begun in results.passes} == {0, 1, 2, 3}


def test_going_on_after_a_cut_at_any_line_measures_the_memory_of_every_variant(finished):
    path = finished / FILENAME
    wanted = {(each.comparison, each.variant) for each in read_results(finished).memory}
    lines = path.read_bytes().splitlines(keepends=True)
    for count in range(1, 2 + len(wanted)):
        path.write_bytes(b"".join(lines[:count]))
        resume(finished, 1)
        found = {(each.comparison, each.variant) for each in read_results(finished).memory}
        assert found == wanted, f"cut after line {count}"


def test_a_visit_that_was_lost_is_not_made_again(workers, measure_into, tmp_path):
    workers.lose = lambda settings, comparison: (
        "died" if (settings.number, comparison.id) == (1, IDS[0]) else None
    )
    measure_into(tmp_path / "run", REQUEST, passes=1)
    workers.tasks.clear()
    resume(tmp_path / "run", 2)
    assert {number for number, _, _, _ in workers.tasks} == {2}


def test_a_comparison_whose_baseline_failed_is_not_tried_again_in_that_pass(finished, workers):
    old = read_results(finished)
    (finished / FILENAME).unlink()
    writer = Writer(finished / FILENAME)
    writer.write(old.header)
    for record in (*old.memory, *old.passes, *old.visits):
        if isinstance(record, Visit) and record.comparison == IDS[0]:
            record = Failure(record.number, IDS[0], "requires_grad_false", "check", "check", "wrong")
        writer.write(record)
    writer.close()
    resume(finished, 3)
    assert {number for number, _, _, _ in workers.tasks} == {3}


class Counted(Progress):
    def __init__(self):
        self.visits, self.ended = None, 0

    def begin(self, comparisons, visits):
        self.visits = visits

    def visiting(self, number, comparison, left):
        self.number = number

    def visited(self):
        self.ended += self.number > 0


def test_progress_is_told_how_many_visits_are_to_come(finished, workers):
    told = Counted()
    run.resume(finished, Steering(Goal(5, None, None, 0.1), progress=told))
    assert told.visits == told.ended == 3 * len(IDS)


def test_progress_counts_the_visits_of_a_pass_that_was_cut_off(finished, workers):
    path, told = finished / FILENAME, Counted()
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-4]))
    run.resume(finished, Steering(Goal(3, None, None, 0.1), progress=told))
    assert told.visits == told.ended == len(IDS) + 2


def test_a_finished_run_says_that_there_is_nothing_to_do(finished, workers):
    before = (finished / FILENAME).read_bytes()
    for passes in (1, 2):
        with pytest.raises(RequestError, match="nothing to do: the run has its 2 passes"):
            resume(finished, passes)
    assert (finished / FILENAME).read_bytes() == before
    assert workers.started == []


@pytest.mark.parametrize("name", [fact.name for fact in FACTS if fact.resumed])
def test_a_run_does_not_go_on_where_the_machine_or_its_software_changed(finished, workers, name):
    before = (finished / FILENAME).read_bytes()
    old = getattr(workers.environment, name)
    if isinstance(old, tuple):
        other = (AcceleratorFacts("cuda:0", "other", "9.0", None, 1),)
    else:
        other = old + 1 if isinstance(old, int) else old + "-other"
    workers.environment = msgspec.structs.replace(workers.environment, **{name: other})
    if isinstance(old, tuple):
        old, other = "none", other[0]
    with pytest.raises(RequestError, match="cannot go on") as caught:
        resume(finished, 5)
    assert f"{name} {old} and {other}" in str(caught.value)
    assert (finished / FILENAME).read_bytes() == before


def test_a_run_goes_on_under_another_release_of_what_is_not_measured(finished, workers):
    workers.environment = msgspec.structs.replace(workers.environment, memory=1, numpy="1.0")
    assert visited(resume(finished, 3)) == once_each(3)


def edit_header(folder, change):
    path = folder / FILENAME
    first, rest = path.read_bytes().split(b"\n", 1)
    header = json.loads(first)
    change(header)
    path.write_bytes(json.dumps(header).encode() + b"\n" + rest)
    return path.read_bytes()


def test_a_run_with_another_plan_does_not_go_on_and_runs_nothing_from_the_file(finished, workers):
    def change(header):
        header["plan"]["comparisons"][0]["variants"][0]["statement"] = "import os; os.abort()"

    before = edit_header(finished, change)
    with pytest.raises(RequestError, match="start a new run"):
        resume(finished, 5)
    assert (finished / FILENAME).read_bytes() == before
    assert workers.started == []


def test_a_run_with_a_plan_made_by_hand_does_not_go_on(workers, measure_into, tmp_path):
    plan = Plan(plan_run(REQUEST).comparisons[:2])
    results = measure_into(tmp_path / "run", REQUEST, plan=plan)
    assert visited(results) == once_each(3, IDS[:2])
    with pytest.raises(RequestError, match="start a new run"):
        resume(tmp_path / "run", 5)


def test_a_compressed_run_does_not_go_on(finished, workers):
    path = finished / FILENAME
    path.write_bytes(gzip.compress(path.read_bytes()))
    before = path.read_bytes()
    with pytest.raises(RequestError, match="compressed"):
        resume(finished, 5)
    assert path.read_bytes() == before
    assert workers.started == []


def test_a_run_that_another_process_goes_on_with_is_refused(finished, workers):
    path = finished / FILENAME
    before = path.read_bytes()
    other = Writer(path, len(before))
    try:
        with pytest.raises(RequestError):
            resume(finished, 5)
    finally:
        other.close()
    assert path.read_bytes() == before
    assert visited(resume(finished, 3)) == once_each(3)


FULL = """
import resource, signal, sys
from conftest import Workers
from gradbench.cli.main import main
from gradbench.measure import devices, one_pass, processors, run
run.WorkerProcess = one_pass.WorkerProcess = devices.WorkerProcess = Workers()
processors.WATCHED = 0.0
# The system refuses what would make a file longer than this, as a full disk does.
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), int(sys.argv[1])))
sys.argv[1:] = sys.argv[2:]
main()
"""
ENOUGH = 10**9
ASKED = (
    "--workload", "control", "--size", "small", "--method", "no_grad", "--passes", "3", "--no-report",
    "--jobs", "1",
)  # fmt: skip


def run_within(limit, *arguments):
    """Run the command with stand-ins for workers, where no file can be longer than so many bytes."""
    return subprocess.run(
        [sys.executable, "-c", FULL, str(limit), "run", *map(str, arguments)],
        capture_output=True, text=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip


@pytest.mark.skipif(sys.platform == "win32", reason="has no limit on the length of a file")
def test_a_full_disk_ends_a_run_with_the_command_to_go_on_and_a_file_that_can_be_gone_on_with(tmp_path):
    whole = tmp_path / "whole"
    done = run_within(ENOUGH, *ASKED, "--output", whole)
    assert done.returncode == 0, done.stderr
    # No real process was started.
    assert read_results(whole).header.environment == ENVIRONMENT
    lines = (whole / FILENAME).read_bytes().splitlines(keepends=True)
    for last in (1, 3, len(lines) // 2):
        folder = tmp_path / str(last)
        kept = sum(map(len, lines[:last]))
        # A part of the next record still fits.
        done = run_within(kept + 20, *ASKED, "--output", folder)
        assert done.returncode == 3
        (line,) = done.stderr.splitlines()
        assert line.startswith("gradbench: stopped: cannot go on: File too large; ")
        assert line.endswith(f"go on with: gradbench run --resume --output {folder} --passes 3")
        before = read_results(folder)
        assert (before.cut_off, before.length) == (0, pytest.approx(kept, abs=100))
        done = run_within(ENOUGH, "--resume", "--output", folder, "--passes", "3", "--no-report")
        assert done.returncode == 0, done.stderr
        assert visited(read_results(folder)) == visited(read_results(whole))


@pytest.mark.skipif(sys.platform == "win32", reason="has no limit on the length of a file")
def test_a_disk_that_holds_no_header_is_a_request_that_is_wrong_and_leaves_nothing(tmp_path):
    done = run_within(1000, *ASKED, "--output", tmp_path / "run")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "cannot be written: File too large" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_run_of_schema_1_does_not_go_on(finished, workers):
    before = edit_header(finished, lambda header: header.update(schema=1))
    with pytest.raises(RequestError, match=r"an older gradbench wrote it, in schema 1, .*; start a new run"):
        resume(finished, 5)
    assert (finished / FILENAME).read_bytes() == before
    assert workers.started == []


# From here on with real processes.


def test_a_real_run_measures_its_plan(small_run):
    results = read_results(small_run)
    ids = ["control/100/float32/cpu", "elementwise/100/float32/cpu"]
    assert [comparison.id for comparison in results.header.plan.comparisons] == ids
    assert visited(results) == once_each(3, ids)
    assert results.failures == []
    # Side by side they begin in any order.
    assert sorted((begun.number, begun.kind) for begun in results.passes) == [
        (0, "memory"), (1, "time"), (2, "time"), (3, "time"),
    ]  # fmt: skip
    assert len({begun.hash_seed for begun in results.passes}) == 4
    assert len({begun.padding for begun in results.passes}) == 4
    assert [end.reason for end in results.runs] == ["passes"]
    assert results.header.environment.devices[0] == "cpu"
    for visit in results.visits:
        assert {"requires_grad_false", "twin", "twin_own_buffer", "empty", "no_grad"} <= set(visit.variants)


@pytest.mark.timing
def test_a_real_run_ends_with_its_budget(measure_into, tmp_path):
    began = time.monotonic()
    goal = Goal(None, REPORT_SECONDS + 3.0, None, 0.2)
    request = Request(("control",), ("no_grad",), ("small",))
    results = measure_into(tmp_path / "run", request, goal=goal, memory=False)
    assert time.monotonic() - began < 2 * goal.budget
    assert results.runs[0].reason == "budget"
    assert visited(results) == once_each(len(results.ends), ["control/100/float32/cpu"])


def test_a_real_run_does_not_go_on_with_another_torch(small_run, tmp_path):
    (tmp_path / FILENAME).write_bytes((small_run / FILENAME).read_bytes())
    before = edit_header(tmp_path, lambda header: header["environment"].update(torch="1.0.0"))
    with pytest.raises(RequestError, match=r"torch 1\.0\.0 and "):
        resume(tmp_path, 5)
    assert (tmp_path / FILENAME).read_bytes() == before


class Command:
    """A command that goes on while the test looks at it."""

    def __init__(self, folder, *arguments):
        self.folder = folder
        self.process = subprocess.Popen(
            [GRADBENCH, "run", "--output", folder, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # What a shell starts in the background does not hear Ctrl-C, and neither would this.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    def wait_for(self, condition, seconds=60.0):
        until = time.monotonic() + seconds
        while not condition():
            assert self.process.poll() is None, self.process.communicate()[1]
            assert time.monotonic() < until
            time.sleep(0.01)

    def has_visits(self, number, count):
        path = self.folder / FILENAME
        return path.exists() and path.read_bytes().count(b'{"type":"visit","number":%d,' % number) >= count

    def workers(self):
        return psutil.Process(self.process.pid).children(recursive=True)

    def end(self, sign):
        self.process.send_signal(sign)
        stdout, stderr = self.process.communicate(timeout=30)
        return self.process.returncode, stdout, stderr


LONGER = ("--preset", "quick", "--workload", "control,elementwise,chain", "--size", "small,medium",
          "--method", "no_grad,tracked", "--passes", "50", "--no-report")  # fmt: skip


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """The folder of a run that was killed in the middle of its second pass, and its workers then."""
    folder = tmp_path_factory.mktemp("killed") / "run"
    command = Command(folder, *LONGER)
    command.wait_for(lambda: command.has_visits(2, 2))
    workers = [worker.pid for worker in command.workers()]
    assert command.end(signal.SIGKILL)[0] == -signal.SIGKILL
    return folder, workers


def test_no_worker_outlives_a_parent_that_was_killed(killed, wait_until_gone):
    _, workers = killed
    assert workers
    for pid in workers:
        wait_until_gone(pid)


def test_a_killed_run_is_readable_and_goes_on_where_it_was(killed, gradbench):
    folder, _ = killed
    before = read_results(folder)
    assert len(IDS) + 2 <= len(before.visits) < 2 * len(IDS)
    done = gradbench("run", "--resume", "--output", folder, "--passes", "3", "--no-report", cwd=folder.parent)
    assert (done.returncode, done.stderr) == (0, "")
    after = read_results(folder)
    assert visited(after) == once_each(3)
    assert after.visits[: len(before.visits)] == before.visits
    assert {record.comparison for record in after.memory} == set(IDS)
    assert after.failures == []
    assert [end.reason for end in after.runs] == ["passes"]


def test_ctrl_c_ends_a_run_with_what_was_measured_and_the_command_to_go_on(tmp_path, wait_until_gone):
    folder = tmp_path / "run"
    command = Command(folder, *LONGER)
    command.wait_for(lambda: command.has_visits(1, 1))
    workers = [worker.pid for worker in command.workers()]
    code, stdout, stderr = command.end(signal.SIGINT)
    assert (code, stdout) == (3, "")
    # Before it stand lines of progress, where the machine is slow.
    stderr = stderr.splitlines()[-1]
    assert stderr.startswith("gradbench: stopped")
    assert f"{len(read_results(folder).visits)} visits are kept in {folder / FILENAME}" in stderr
    assert f"gradbench run --resume --output {folder}" in stderr
    for pid in workers:
        wait_until_gone(pid)


def test_ctrl_c_before_anything_is_measured_writes_nothing(tmp_path, wait_until_gone):
    folder = tmp_path / "run"
    command = Command(folder, *LONGER)
    command.wait_for(lambda: command.workers())
    workers = [worker.pid for worker in command.workers()]
    code, stdout, stderr = command.end(signal.SIGINT)
    assert (code, stdout) == (3, "")
    assert stderr.count("\n") == 1
    assert "nothing was written" in stderr
    assert list(tmp_path.iterdir()) == []
    for pid in workers:
        wait_until_gone(pid)


LONG_VISIT = """
import sys, msgspec, pathlib
from gradbench.measure import goal as goals, run, steering
from gradbench.record.plan import Plan, Request
from gradbench.record.results import Options
plan = msgspec.json.decode(pathlib.Path(sys.argv[1]).read_bytes(), type=Plan)
options = Options("by hand", 1, "keep", 60.0, memory=False)
goal = goals.Goal(1, None, None, 0.1)
run.start(pathlib.Path(sys.argv[2]), run.Order(Request(), options, "", plan), steering.Steering(goal))
"""


def test_a_worker_in_a_long_visit_does_not_outlive_a_parent_that_was_killed(tmp_path, wait_until_gone):
    comparison = plan_run(REQUEST).comparisons[0]
    replace = msgspec.structs.replace
    variant = replace(comparison.variants[0], statement="import time\ntime.sleep(30)")
    plan, folder = tmp_path / "plan.json", tmp_path / "run"
    plan.write_bytes(msgspec.json.encode(Plan((replace(comparison, variants=(variant,)),))))
    parent = subprocess.Popen([sys.executable, "-c", LONG_VISIT, plan, folder])
    workers = []
    try:
        until = time.monotonic() + 30
        while not (folder / FILENAME).exists() or b"pass_start" not in (folder / FILENAME).read_bytes():
            assert time.monotonic() < until
            time.sleep(0.02)
        workers = psutil.Process(parent.pid).children()
        time.sleep(0.2)
        parent.kill()
        parent.wait()
        assert workers
        for worker in workers:
            wait_until_gone(worker.pid, 3.0)
    finally:
        parent.kill()
        parent.wait()
        for worker in workers:
            with contextlib.suppress(psutil.NoSuchProcess):
                worker.kill()


WHOLE = Request(methods=("no_grad",), sizes=("small",))


def test_a_comparison_is_visited_in_every_so_many_passes_in_its_turn(workers, measure_into, tmp_path):
    results = measure_into(tmp_path / "run", WHOLE, passes=6)
    visits = Counter(visit.comparison for visit in results.visits)
    plan = results.header.plan
    assert {each.every for each in plan.comparisons} == {1, 3}
    assert visits == {each.id: 6 // each.every for each in plan.comparisons}
    # They are spread over the passes, so that these are of one length.
    counts = Counter(visit.number for visit in results.visits)
    assert max(counts.values()) - min(counts.values()) <= 1


def test_going_on_visits_only_what_is_due(workers, measure_into, tmp_path):
    folder = tmp_path / "run"
    results = measure_into(folder, WHOLE, passes=4)
    path = folder / FILENAME
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-12]))
    before = visited(results)
    resumed = run.resume(folder, Steering(Goal(4, None, None, 0.1)))
    assert visited(resumed) == before


def test_who_names_a_workload_has_it_visited_in_every_pass():
    assert {each.every for each in plan_run(Request(workloads=("freeze", "custom"))).comparisons} == {1}
    assert {each.every for each in plan_run(Request(preset="quick")).comparisons} == {1}


def test_the_methods_are_observed_once_in_a_run_of_everything(workers, measure_into, tmp_path):
    folder = tmp_path / "run"
    assert measure_into(folder, WHOLE, passes=1).observations == workers.observed
    assert read_results(folder).observations == workers.observed
    assert run.resume(folder, Steering(Goal(2, None, None, 0.1))).observations == workers.observed


def test_a_run_of_named_workloads_does_not_observe_the_methods(workers, measure_into, tmp_path):
    assert measure_into(tmp_path / "run", REQUEST, passes=1).observations == []


def test_a_precision_is_not_believed_before_ten_visits_of_each_comparison(workers, measure_into, tmp_path):
    goal = Goal(None, 5000.0, 0.01, 0.1)
    results = measure_into(tmp_path / "run", WHOLE, goal=goal, precision=lambda _: 1e-6)
    assert results.runs[-1].reason == "precision"
    made = Counter(visit.comparison for visit in results.visits)
    assert min(made.values()) == 10


def test_what_the_profiler_does_not_see_is_not_asked_for_again(workers, measure_into, tmp_path):
    folder = tmp_path / "run"
    request = Request(("placement",), (), ("small",))
    first = measure_into(folder, request, passes=2)
    made = len(first.memory)
    path = folder / FILENAME
    kept = [line for line in path.read_bytes().splitlines(keepends=True) if b'"variant":"numpy"' not in line]
    path.write_bytes(b"".join(kept))
    assert len(resume(folder, 3).memory) == made - 1


GPUS = ("cpu", "cuda:0", "cuda:1")


def with_gpus(workers, free=10**10):
    workers.environment = msgspec.structs.replace(workers.environment, devices=GPUS)
    workers.free, workers.lacks = {"cuda:0": free, "cuda:1": free}, {}


def on(device, **changes):
    return msgspec.structs.replace(REQUEST, device=device, **changes)


def test_all_devices_are_the_cpu_and_each_gpu_in_one_run_that_can_be_gone_on_with(
    workers, measure_into, tmp_path
):
    with_gpus(workers)
    results = measure_into(tmp_path / "run", on("all"), passes=2)
    assert {each.device for each in results.header.plan.comparisons} == set(GPUS)
    assert results.header.request.device == "cpu,cuda:0,cuda:1"
    assert workers.started[0].settings.kind == "devices"
    assert all(each.settings.accelerators for each in workers.started[1:])
    again = resume(tmp_path / "run", 3)
    assert visited(again) == once_each(3, [each.id for each in results.header.plan.comparisons])


def test_a_run_on_the_cpu_does_not_look_for_devices_nor_start_their_drivers(workers, measure_into, tmp_path):
    with_gpus(workers)
    measure_into(tmp_path / "run", REQUEST, passes=1)
    assert {each.settings.kind for each in workers.started} == {"memory", "time"}
    assert not any(each.settings.accelerators for each in workers.started)


@pytest.mark.parametrize("device", ["cuda:7", "cuda:0,cuda:2", "cuda:x", "xpu"])
def test_a_gpu_that_is_not_here_is_refused_with_those_that_are(workers, measure_into, tmp_path, device):
    with_gpus(workers)
    with pytest.raises(RequestError, match=f"--device {device}: .*finds only cpu, cuda:0, cuda:1 here$"):
        measure_into(tmp_path / "run", on(device))
    assert not (tmp_path / "run").exists()


def test_without_a_gpu_it_says_what_torch_says(workers, measure_into, tmp_path):
    workers.lacks = {"cuda": "The NVIDIA driver on your system is too old (found version 11040)."}
    with pytest.raises(RequestError, match=r"finds only cpu here: The NVIDIA driver .* is too old"):
        measure_into(tmp_path / "run", on("cuda"))


def test_a_gpu_that_cannot_be_used_is_refused_and_another_is_not(workers, measure_into, tmp_path):
    with_gpus(workers)
    workers.lacks = {"cuda:1": "CUDA error: out of memory"}
    del workers.free["cuda:1"]
    with pytest.raises(RequestError, match="cuda:1 cannot be used now: CUDA error: out of memory"):
        measure_into(tmp_path / "run", on("all"))
    assert measure_into(tmp_path / "run", on("cuda"), passes=1).header.request.device == "cuda:0"


def test_a_device_without_a_clock_is_refused(workers, measure_into, tmp_path):
    workers.environment = msgspec.structs.replace(workers.environment, devices=("cpu", "mps:0"))
    with pytest.raises(RequestError, match="there is no clock for mps yet"):
        measure_into(tmp_path / "run", on("mps:0"))


def test_what_does_not_fit_beside_another_process_is_left_out_and_the_run_can_be_gone_on_with(
    workers, measure_into, tmp_path
):
    with_gpus(workers, free=10_000)
    results = measure_into(tmp_path / "run", on("cuda:1"), passes=1)
    assert {each.size for each in results.header.plan.comparisons} == {"small"}
    assert len(results.header.plan.skipped) == 3
    # What is free by then does not change the plan.
    workers.free = {}
    assert len(resume(tmp_path / "run", 2).visits) == 6


def test_a_run_on_another_gpu_is_another_run(workers, measure_into, tmp_path):
    with_gpus(workers)
    one, other = (AcceleratorFacts("cuda:0", name, "9.0", None, 1) for name in ("H100", "A100"))
    workers.environment = msgspec.structs.replace(workers.environment, accelerators=(one,))
    measure_into(tmp_path / "run", on("cuda"), passes=1)
    workers.environment = msgspec.structs.replace(workers.environment, accelerators=(other,))
    with pytest.raises(RequestError, match=r"cuda:0 H100 of .*, driver not known and cuda:0 A100 of "):
        resume(tmp_path / "run", 2)


def test_a_run_in_which_no_visit_succeeds_ends_with_its_budget(workers, measure_into, tmp_path):
    workers.lose = lambda settings, comparison: "died"
    began = workers.now
    results = measure_into(tmp_path / "run", REQUEST, goal=Goal(None, 60.0, None, 0.5))
    assert results.visits == []
    assert workers.now - began <= 60.0 + workers.startup
    assert {each.kind for each in results.failures} == {"died", "given up"}


def test_a_run_that_has_all_its_visits_says_so_and_what_to_ask_for(workers, measure_into, tmp_path):
    goal = Goal(None, 5000.0, None, 0.5, visits=3)
    first = measure_into(tmp_path / "run", REQUEST, goal=goal)
    assert first.runs[0].reason == "passes"
    before = (tmp_path / "run" / FILENAME).read_bytes()
    for again, message in (
        (goal, "each comparison has the visits that the preset asks for; ask for more with --budget"),
        (Goal(None, 7.0, None, 0.5), "the budget leaves 1 s, too few for another process"),
    ):
        with pytest.raises(RequestError, match=f"nothing to do: {message}"):
            run.resume(tmp_path / "run", Steering(again))
    assert (tmp_path / "run" / FILENAME).read_bytes() == before


def test_a_preset_that_runs_out_of_time_says_budget(workers, measure_into, tmp_path):
    goal = Goal(None, 60.0, None, 0.5, visits=500)
    assert measure_into(tmp_path / "run", REQUEST, goal=goal).runs[0].reason == "budget"


def test_what_was_cut_off_before_a_run_came_to_its_end_is_no_interruption(workers, measure_into, tmp_path):
    measure_into(tmp_path / "run", REQUEST, goal=Goal(None, 40.0, None, 0.5))
    path = tmp_path / "run" / FILENAME
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(line for line in lines[:-1] if b"pass_end" not in line))
    assert read_results(path).interrupted
    run.resume(tmp_path / "run", Steering(Goal(None, 40.0, None, 0.5)))
    assert not read_results(path).interrupted


def test_bytes_are_counted_within_a_part_of_the_budget(workers, measure_into, tmp_path):
    workers.around = 10.0
    results = measure_into(tmp_path / "run", REQUEST, goal=Goal(None, 50.0, None, 0.5))
    counted = {each.comparison for each in results.memory}
    assert 0 < len(counted) < len(IDS)
    assert results.visits
