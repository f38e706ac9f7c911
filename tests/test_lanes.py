"""Passes side by side: on which processors, how they end together, and what the file then holds."""

import threading
from collections import Counter

import pytest

from gradbench.errors import EndedEarly, RequestError
from gradbench.measure import processors, run
from gradbench.measure.goal import Goal
from gradbench.measure.lanes import run_lanes
from gradbench.measure.steering import LOOKS, Steering
from gradbench.record.lines import Writer
from gradbench.record.plan import Request
from gradbench.record.results import Options, read_results
from gradbench.record.undecided import Question, Undecided

REQUEST = Request(("control", "elementwise"), ("no_grad",), ("small", "medium"))


class Worker:
    def __init__(self):
        self.killed = threading.Event()

    def kill(self):
        self.killed.set()


def test_lanes_work_at_the_same_time_and_all_are_waited_for():
    meet = threading.Barrier(3, timeout=10)
    done = []

    def work(lane):
        meet.wait()
        done.append(lane.processor)

    run_lanes([4, 5, None], work)
    assert sorted(done, key=str) == [4, 5, None]


def test_what_one_lane_raises_ends_the_processes_of_the_others_and_is_raised():
    worker = Worker()

    def work(lane):
        if lane.processor == 1:
            raise RequestError("no memory")
        lane.works_with(worker)
        # As one that waits for the answer of its process.
        assert worker.killed.wait(10)
        raise EndedEarly("my process died")

    with pytest.raises(RequestError, match="no memory"):
        run_lanes([0, 1], work)


def test_an_interrupt_ends_every_process():
    workers = [Worker(), Worker()]

    def work(lane):
        lane.works_with(workers[lane.processor])
        if lane.processor == 1:
            raise KeyboardInterrupt
        assert workers[0].killed.wait(10)

    with pytest.raises(KeyboardInterrupt):
        run_lanes([0, 1], work)
    assert all(each.killed.is_set() for each in workers)


def test_a_process_that_starts_while_the_run_ends_is_ended_as_well():
    worker = Worker()

    def work(lane):
        if lane.processor == 1:
            raise RequestError("no")
        assert lane.stop.wait(10)
        lane.works_with(worker)

    with pytest.raises(RequestError):
        run_lanes([0, 1], work)
    assert worker.killed.is_set()


def test_passes_side_by_side_visit_everything_once_a_pass(workers, measure_into, tmp_path):
    results = measure_into(tmp_path / "run", REQUEST, passes=6, jobs=2)
    assert set(Counter((each.number, each.comparison) for each in results.visits).values()) == {1}
    assert len(results.visits) == 6 * len(results.header.plan.comparisons)
    assert sorted(each.number for each in results.passes) == list(range(7))
    assert {each.beside for each in results.passes} == {2}
    read = read_results(tmp_path / "run")
    assert (read.visits, read.ends, read.runs) == (results.visits, results.ends, results.runs)


@pytest.mark.skipif(not processors.can_bind(), reason="a process cannot be bound here")
def test_a_pass_is_bound_to_the_core_of_its_lane_and_the_file_says_which(workers, measure_into, tmp_path):
    results = measure_into(tmp_path / "run", REQUEST, passes=4, jobs=2)
    assert {each.processor for each in results.passes} <= set(processors.physical_cores())
    assert {each.number: {each.processor} for each in results.passes} == workers.bound


def test_a_disk_that_is_full_for_one_lane_ends_all_and_says_what_is_kept(
    workers, measure_into, tmp_path, monkeypatch
):
    write, written = Writer.write, []

    def full(self, record):
        written.append(record)
        if len(written) > 30:
            raise OSError(28, "No space left on device")
        write(self, record)

    monkeypatch.setattr(Writer, "write", full)
    with pytest.raises(EndedEarly, match=r"cannot go on: No space left on device; .* visits are kept"):
        measure_into(tmp_path / "run", REQUEST, passes=9, jobs=2)


def test_a_run_that_was_made_side_by_side_goes_on_one_by_one(workers, measure_into, tmp_path):
    measure_into(tmp_path / "run", REQUEST, passes=3, jobs=2)
    results = run.resume(tmp_path / "run", Steering(Goal(5, None, None, 0.1)))
    assert max(each.number for each in results.passes) == 5
    assert [each.beside for each in results.passes][-2:] == [1, 1]


def test_what_a_run_finds_open_is_looked_for_at_fixed_parts_of_its_budget_and_kept(
    workers, measure_into, tmp_path, monkeypatch
):
    seen = []

    def undecided(results, session):
        assert session == 0
        seen.append(workers.now)
        return Undecided({each.id: 0.5 for each in results.header.plan.comparisons}, "half of it")

    budget = 300.0
    order = run.Order(REQUEST, Options("quick", 1, "keep", 30.0), "gradbench run")
    steering = Steering(Goal(None, budget, None, 0.5), undecided=undecided)
    results = run.start(tmp_path / "run", order, steering)
    assert len(results.looks) == len(seen) == len(LOOKS)
    for look, part in zip(results.looks, LOOKS, strict=True):
        # At the first pass that ends after it.
        assert part <= look.spent < part + 0.1
        assert look.says == "half of it"
    assert read_results(tmp_path / "run").looks == results.looks


@pytest.mark.parametrize("budget", [None, 300.0])
def test_a_run_of_so_many_passes_is_not_steered(workers, measure_into, tmp_path, budget):
    assert measure_into(tmp_path / "run", REQUEST, goal=Goal(5, budget, None, 0.1)).looks == []


def test_a_run_to_a_precision_looks_and_visits_everything_alike(workers, tmp_path, monkeypatch):
    def undecided(results, session):
        # If it were asked, most visits would hold no method from the first look on.
        ids = [each.id for each in results.header.plan.comparisons]
        return Undecided({}, "", tuple(Question(1.0, {id: 9}, {id: frozenset()}) for id in ids))

    order = run.Order(REQUEST, Options("quick", 1, "keep", 30.0), "gradbench run")
    held = {}
    for precision in (None, 1e-9):
        goal = Goal(None, 300.0, precision, 0.5)
        results = run.start(tmp_path / str(precision), order, Steering(goal, undecided=undecided))
        assert len(results.looks) == len(LOOKS)
        plan = {each.id: {one.name for one in each.variants} for each in results.header.plan.comparisons}
        held[precision] = {set(each.variants) == plan[each.comparison] for each in results.visits}
    assert held == {None: {True, False}, 1e-9: {True}}


def test_siblings_count_as_one_core(tmp_path, monkeypatch):
    monkeypatch.setattr(processors.os, "sched_getaffinity", lambda _: {0, 1, 2, 3, 5}, raising=False)
    for number, siblings in ((0, "0,2"), (2, "0,2"), (1, "1,3"), (3, "1,3")):
        folder = tmp_path / f"cpu{number}" / "topology"
        folder.mkdir(parents=True)
        (folder / "thread_siblings_list").write_text(f"{siblings}\n")
    # What the system does not tell of is a core of its own.
    assert processors.physical_cores(tmp_path) == {0: {0, 2}, 1: {1, 3}, 5: {5}}


@pytest.fixture
def cores(monkeypatch):
    """A machine of so many cores, of which others use so much."""

    def pretend(used, siblings=None, allowed=float("inf")):
        made = siblings or {number: {number} for number in range(len(used))}
        monkeypatch.setattr(processors, "physical_cores", lambda: made)
        monkeypatch.setattr(processors, "quota", lambda: allowed)
        monkeypatch.setattr(processors.psutil, "cpu_percent", lambda interval, percpu: used)

    return pretend


@pytest.mark.skipif(not processors.can_bind(), reason="a process cannot be bound here")
@pytest.mark.parametrize(
    ("used", "free"),
    [([3.0, 4.0], [0, 1]), ([90.0, 4.0], [1]), ([99.0, 80.0], [1, 0]), ([0.0] * 16, [0, 1, 2, 3])],
)
def test_busy_cores_are_left_to_others_unless_all_are_busy(cores, used, free):
    cores(used)
    assert processors.places(None, 1, False) == free
    # Whoever asks for one pass gets the freest core.
    assert processors.places(1, 1, False) == free[:1]


@pytest.mark.skipif(not processors.can_bind(), reason="a process cannot be bound here")
def test_a_busy_sibling_makes_its_core_busy_and_a_quota_limits_the_passes(cores):
    siblings = {0: {0, 2}, 1: {1, 3}}
    cores([1.0, 2.0, 95.0, 3.0], siblings)
    assert processors.places(None, 1, False) == [1]
    cores([0.0] * 8, allowed=1.5)
    assert processors.places(None, 1, False) == [0]
    cores([0.0] * 8, allowed=0.5)
    assert processors.places(None, 1, False) == [0]


@pytest.mark.parametrize(
    ("text", "allowed"), [("max 100000\n", float("inf")), ("150000 100000\n", 1.5), ("odd", float("inf"))]
)
def test_the_quota_of_a_control_group_is_read(tmp_path, text, allowed):
    (tmp_path / "cpu.max").write_text(text)
    assert processors.quota(tmp_path / "cpu.max") == allowed
    assert processors.quota(tmp_path / "absent") == float("inf")


@pytest.mark.parametrize(
    ("jobs", "threads", "alone", "count"),
    [(None, 1, True, 1), (8, 1, True, 1), (None, 4, False, 1), (3, 4, False, 3), (3, 1, False, 3)],
)
def test_as_many_passes_as_asked_for_but_one_on_an_accelerator(jobs, threads, alone, count):
    assert len(processors.places(jobs, threads, alone)) == count


def test_real_passes_overlap_in_time(small_run):
    results = read_results(small_run)
    assert sum(each.seconds for each in results.ends) > 1.2 * results.runs[0].seconds
