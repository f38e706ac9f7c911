"""The parent's end of a worker: with scripted processes for what is said, with real ones for faults."""

import contextlib
import os
import sys

import msgspec
import psutil
import pytest
from synthetic import ENVIRONMENT

from gradbench.errors import RequestError
from gradbench.measure import goal as goals
from gradbench.measure.process import KEEP_PAGES, WorkerLost, WorkerProcess
from gradbench.measure.protocol import Finish, Ready, Task, WorkerSettings
from gradbench.measure.steering import Steering
from gradbench.record.plan import Comparison, Expectation, Plan, Request, Variant
from gradbench.record.visits import PassEnd, RunEnd

SETTINGS = WorkerSettings(1, "time", 0, 3)
READY = msgspec.json.encode(Ready(ENVIRONMENT, 0.5)).decode()
FINISH = msgspec.json.encode(Finish()).decode()
UNTRACKED = Expectation(input_requires_grad=False, result_requires_grad=False, result_is_leaf=True)


def variant(name, statement="y = x * 2.0", setup="", role="method", expect=UNTRACKED):
    return Variant(name, name, role, f"x = base.detach()\n{setup}", statement, "", expect)


def comparison(id, *variants, prepare="base = torch.rand(8)", baseline="y = x * 2.0"):
    first = variant("baseline", baseline, role="baseline")
    empty = Variant("empty", "empty loop", "empty", "", "pass", "", Expectation())
    every = (first, *variants, variant("twin", role="twin"), empty)
    return Comparison(
        id,
        "elementwise",
        "title",
        "shows",
        "small",
        8,
        (8,),
        "float32",
        "cpu",
        prepare,
        "x * 2.0",
        1e-6,
        every,
    )


TASK = Task(comparison("c"), 0.1)


@pytest.fixture
def interpreter(tmp_path):
    """An interpreter that runs this script, whatever it is asked to run."""

    def make(script):
        path = tmp_path / "python"
        start = f"#!{sys.executable} -S\nimport os, signal, subprocess, sys, time\n"
        path.write_text(start + "def say(text): print(text, flush=True)\n" + script)
        path.chmod(0o755)
        return str(path)

    return make


def answers(python, timeout=5.0):
    with WorkerProcess(SETTINGS, 0, 0, "keep", python) as worker:
        worker.ready()
        return list(worker.visit(TASK, timeout))


def loss(python, timeout=5.0):
    with pytest.raises(WorkerLost) as caught:
        answers(python, timeout)
    assert "\n" not in str(caught.value)
    return caught.value


def test_a_worker_gets_its_settings_and_then_its_task(interpreter, tmp_path):
    heard = tmp_path / "heard"
    answers(
        interpreter(
            f"settings = input(); say({READY!r}); task = input()\n"
            f"open({str(heard)!r}, 'w').write(settings + '\\n' + task); say({FINISH!r})"
        )
    )
    settings, task = heard.read_text().splitlines()
    assert msgspec.json.decode(settings, type=WorkerSettings) == SETTINGS
    assert msgspec.json.decode(task, type=Task) == TASK


@pytest.mark.parametrize(("allocator", "kept"), [("keep", KEEP_PAGES), ("system", {})])
def test_a_worker_gets_its_hash_seed_padding_threads_and_allocator(
    interpreter, tmp_path, monkeypatch, allocator, kept
):
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "1")
    seen = tmp_path / "seen"
    python = interpreter(
        f"import json; json.dump(dict(os.environ), open({str(seen)!r}, 'w')); say({READY!r})"
    )
    with WorkerProcess(SETTINGS, 123, 45, allocator, python) as worker:
        worker.ready()
    environment = msgspec.json.decode(seen.read_bytes())
    assert environment["PYTHONHASHSEED"] == "123"
    assert environment["GRADBENCH_PADDING"] == "x" * 45
    assert environment["OMP_NUM_THREADS"] == environment["MKL_NUM_THREADS"] == "3"
    assert {key: value for key, value in environment.items() if key in KEEP_PAGES} == kept


def test_a_worker_that_cannot_start_is_one_line_with_its_last_words(interpreter):
    python = interpreter("sys.exit('Traceback\\n  a line\\nModuleNotFoundError: No module named torch')")
    with pytest.raises(RequestError, match="ModuleNotFoundError: No module named torch") as caught:
        answers(python)
    assert "\n" not in str(caught.value)


def test_a_worker_that_exits_says_how_and_its_last_words(interpreter):
    lost = loss(interpreter(f"say({READY!r}); input(); input(); sys.stderr.write('why\\n'); os._exit(7)"))
    assert lost.kind == "died"
    assert "exit code 7" in str(lost)
    assert "why" in str(lost)


def test_a_worker_that_is_killed_says_by_what(interpreter):
    lost = loss(interpreter(f"say({READY!r}); input(); input(); os.kill(os.getpid(), signal.SIGSEGV)"))
    assert lost.kind == "died"
    assert "SIGSEGV" in str(lost)


def test_a_worker_that_dies_inside_a_line_has_died(interpreter):
    lost = loss(
        interpreter(f"say({READY!r}); input(); input(); print('{{\"ty', end='', flush=True); os._exit(1)")
    )
    assert lost.kind == "died"


def test_a_silent_worker_has_hung_and_is_ended_with_what_it_started(interpreter, tmp_path, wait_until_gone):
    child = tmp_path / "child"
    lost = loss(
        interpreter(
            f"say({READY!r}); quiet = subprocess.DEVNULL\n"
            "started = subprocess.Popen(['sleep', '20'], stdin=quiet, stdout=quiet, stderr=quiet)\n"
            f"open({str(child)!r}, 'w').write(f'{{os.getpid()}} {{started.pid}}'); time.sleep(60)"
        ),
        timeout=0.5,
    )
    assert lost.kind == "hung"
    for pid in child.read_text().split():
        wait_until_gone(int(pid))


FAILURE = (
    '{"type":"failure","number":1,"comparison":"c","variant":"a","stage":"","kind":"check","message":""}'
)


def test_a_worker_that_takes_longer_in_all_but_is_never_silent_for_so_long_has_not_hung(interpreter):
    talk = f"say({READY!r})\nfor _ in range(10): say({FAILURE!r}); time.sleep(0.2)\nsay({FINISH!r})"
    assert len(answers(interpreter(talk), timeout=1.5)) == 10


def test_a_worker_that_falls_silent_after_a_few_messages_is_told_by_the_limit(interpreter):
    talk = f"say({READY!r})\nfor _ in range(5): say({FAILURE!r}); time.sleep(0.2)\ntime.sleep(60)"
    assert "silent for 1 s; the process was ended" in str(loss(interpreter(talk), timeout=1.0))


@pytest.mark.parametrize(
    ("ending", "timeout"), [("os._exit(1)", 5.0), ("say('no message of ours')", 5.0), ("time.sleep(60)", 0.5)]
)
def test_a_group_of_processes_is_ended_only_while_its_number_is_its_own(
    interpreter, monkeypatch, ending, timeout
):
    """Once a process has been waited for, the system may give its number to another."""
    ended = []
    real = os.killpg

    def end(group, sign):
        # Of a process that was waited for this raises.
        ended.append(os.waitid(os.P_PID, group, os.WEXITED | os.WNOWAIT | os.WNOHANG))
        real(group, sign)

    monkeypatch.setattr(os, "killpg", end)
    loss(interpreter(f"say({READY!r}); input(); input(); {ending}"), timeout)
    assert len(ended) == 1


def test_what_a_worker_said_before_it_died_is_kept(interpreter):
    failure = (
        '{"type":"failure","number":1,"comparison":"c","variant":"a","stage":"","kind":"check","message":"m"}'
    )
    python = interpreter(f"say({READY!r}); input(); input(); say({failure!r}); os._exit(1)")
    with WorkerProcess(SETTINGS, 0, 0, "keep", python) as worker:
        worker.ready()
        messages = worker.visit(TASK, 5.0)
        assert next(messages).message == "m"
        with pytest.raises(WorkerLost):
            next(messages)


def test_what_a_dead_worker_had_started_is_ended_too(interpreter, tmp_path, wait_until_gone):
    child = tmp_path / "child"
    script = (
        f"say({READY!r}); input(); input(); quiet = subprocess.DEVNULL\n"
        "started = subprocess.Popen(['sleep', '2'], stdin=quiet, stdout=quiet, stderr=quiet)\n"
        f"open({str(child)!r}, 'w').write(str(started.pid)); os._exit(1)"
    )
    assert loss(interpreter(script)).kind == "died"
    wait_until_gone(int(child.read_text()), 1.0)


def test_no_process_is_left_when_the_parent_stops_in_the_middle(interpreter):
    python = interpreter(f"say({READY!r}); time.sleep(60)")
    before = set(psutil.Process().children())

    def stop():
        with WorkerProcess(SETTINGS, 0, 0, "keep", python) as worker:
            worker.ready()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stop()
    assert set(psutil.Process().children()) == before


def test_where_there_are_no_groups_of_processes_a_silent_worker_is_ended_by_itself(interpreter, monkeypatch):
    """As on Windows, which has neither `killpg` nor a need of it to end one process."""
    monkeypatch.delattr(os, "killpg")
    before = set(psutil.Process().children())
    assert loss(interpreter(f"say({READY!r}); time.sleep(60)"), timeout=0.5).kind == "hung"
    assert set(psutil.Process().children()) == before


def test_a_worker_is_out_of_reach_of_ctrl_c(interpreter, tmp_path):
    python = interpreter(
        f"say({READY!r}); input(); input(); say({FINISH!r}) if os.getsid(0) == os.getpid() else 0"
    )
    assert answers(python) == []


FINE = comparison("fine", variant("fine", setup="print('noise on standard output')"))
LATE = "y = x * 2.0\ncalls.append(1)\nif len(calls) > 3: raise ValueError('late')"
FAULTS = (
    FINE,
    comparison("raises", variant("bad", "raise ValueError('first line\\nsecond')"), variant("good")),
    comparison("late", variant("bad", LATE, "calls = []"), variant("good")),
    comparison("promise", variant("bad", expect=Expectation(input_requires_grad=True)), variant("good")),
    comparison("wrong answer", variant("bad", "y = x * 2.001"), variant("good")),
    comparison("baseline raises", variant("good"), baseline="raise ValueError('no baseline')"),
    comparison("baseline wrong", variant("good"), baseline="y = x * 3.0"),
    comparison("inputs too large", variant("good"), prepare="base = torch.empty(1 << 58)"),
    comparison("result too large", variant("bad", "y = torch.empty(1 << 58)"), variant("good")),
    comparison("bytes too large", variant("bad", "y = bytearray(1 << 60)"), variant("good")),
    comparison("exits", variant("bad", "os._exit(7)", "import os")),
    comparison("killed", variant("bad", "os.kill(os.getpid(), 9)", "import os")),
    comparison("hangs", variant("bad", "time.sleep(60)", "import time")),
)


@pytest.fixture(scope="module")
def faulty(measure_once):
    """One pass over comparisons that go wrong in every way, in real processes."""
    return measure_once(Plan(FAULTS), 1)


@pytest.fixture(scope="module")
def measure_once(tmp_path_factory):
    from gradbench.measure import run
    from gradbench.record.results import Options, read_results

    def measure(plan, passes):
        folder = tmp_path_factory.mktemp("faults") / "run"
        options = Options("by hand", 1, "keep", 3.0, memory=False)
        goal = goals.Goal(passes, None, None, 0.02)
        run.start(folder, run.Order(Request(), options, "by hand", plan), Steering(goal))
        return read_results(folder)

    return measure


def failures_of(results, id):
    return [each for each in results.failures if each.comparison == id]


def variants_of(results, id):
    return [set(visit.variants) for visit in results.visits if visit.comparison == id]


@pytest.mark.parametrize(
    ("id", "kind", "says"),
    [
        ("raises", "raised", "ValueError: first line second"),
        ("promise", "check", "expected True, got False"),
        ("wrong answer", "check", "values of y"),
        ("result too large", "out of memory", "allocate"),
        ("bytes too large", "out of memory", "MemoryError"),
        ("late", "raised", "ValueError: late"),
    ],
)
def test_a_variant_at_fault_is_left_out_and_the_others_are_measured(faulty, id, kind, says):
    (failure,) = failures_of(faulty, id)
    assert (failure.variant, failure.kind, failure.number) == ("bad", kind, 1)
    assert says in failure.message
    assert variants_of(faulty, id) == [{"baseline", "good", "twin", "empty"}]


@pytest.mark.parametrize(
    ("id", "kind", "says"),
    [("baseline raises", "raised", "no baseline"), ("baseline wrong", "check", "values of y")],
)
def test_without_a_baseline_there_is_no_visit(faulty, id, kind, says):
    (failure,) = failures_of(faulty, id)
    assert (failure.variant, failure.kind) == ("baseline", kind)
    assert says in failure.message
    assert variants_of(faulty, id) == []


@pytest.mark.parametrize(
    ("id", "kind", "says"),
    [
        ("inputs too large", "out of memory", "allocate"),
        ("exits", "died", "exit code 7"),
        ("killed", "died", "SIGKILL"),
        ("hangs", "hung", "3 s"),
    ],
)
def test_a_fault_of_the_whole_visit_costs_that_visit(faulty, id, kind, says):
    (failure,) = failures_of(faulty, id)
    assert (failure.variant, failure.kind, failure.number) == (None, kind, 1)
    assert says in failure.message
    assert variants_of(faulty, id) == []


def test_what_is_not_at_fault_is_visited_and_the_run_ends_as_usual(faulty):
    assert failures_of(faulty, "fine") == []
    assert variants_of(faulty, "fine") == [{"baseline", "fine", "twin", "empty"}]
    assert isinstance(faulty.ends[-1], PassEnd)
    assert [type(end) for end in faulty.runs] == [RunEnd]
    assert faulty.runs[0].reason == "passes"


def test_a_fresh_process_takes_over_from_a_lost_one_and_only_then(faulty):
    assert [begun.number for begun in faulty.passes] in ([1] * 3, [1] * 4)
    seeds = [begun.hash_seed for begun in faulty.passes]
    assert len(set(seeds)) == len(seeds)


def test_no_worker_outlives_a_run(faulty):
    assert faulty.runs
    commands = []
    for child in psutil.Process().children(recursive=True):
        # One that has ended in the meantime, or waits to be asked how, is none.
        with contextlib.suppress(psutil.NoSuchProcess):
            commands.append(" ".join(child.cmdline()))
    assert not [command for command in commands if "gradbench.measure" in command]
