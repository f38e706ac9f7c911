"""Which clock a visit takes, how many rounds, and what it asks of earlier visits."""

import io
import os
import random
import subprocess
import sys
import time

import msgspec
import pytest
import torch

from gradbench.measure import visit as one_visit
from gradbench.measure.processor_time import waits
from gradbench.measure.protocol import Message, Task, WorkerSettings
from gradbench.measure.variant import ReadyVariant, prepare
from gradbench.measure.visit import FEWEST_ROUNDS, Span, build, calibrated, take_cpu_rounds
from gradbench.measure.worker import Worker
from studies.instrument.variants import with_twin

# Seconds of work on the processor, and of waiting for something else.
BURN = "import time\nuntil = time.thread_time() + {0}\nwhile time.thread_time() < until: pass"
SLEEP = "import time\ntime.sleep({0})"

thread_clock = pytest.mark.skipif(waits() is None, reason="the system does not tell how often a thread waits")


def visit(comparison, **options):
    output = io.BytesIO()
    threads = torch.get_num_threads()
    try:
        settings = WorkerSettings(1, "time", 0, 1)
        Worker(settings, output, io.BytesIO()).visit(Task(comparison, **options))
    finally:
        torch.set_num_threads(threads)
    (found,) = [msgspec.json.decode(line, type=Message) for line in output.getvalue().splitlines()]
    return found


def statement(code, seconds):
    return with_twin("c", code.format(seconds), {})


@thread_clock
def test_long_calls_are_timed_by_processor_time_and_short_ones_by_the_wall_clock():
    assert visit(statement(BURN, 0.003), seconds=0.0).clock == "thread"
    assert visit(with_twin("c", "y = 1", {}), seconds=0.0).clock == "wall"


@thread_clock
def test_a_call_that_waits_for_something_else_keeps_the_wall_clock():
    found = visit(statement(SLEEP, 0.003), seconds=0.0)
    assert found.clock == "wall"
    # Its processor time is next to nothing.
    assert found.variants["baseline"].seconds >= 0.003


@thread_clock
def test_work_on_other_threads_is_not_missed():
    code = (
        "import threading, time\nmade = threading.Thread(target=lambda: time.sleep({0}))\n"
        "made.start()\nmade.join()"
    )
    assert visit(statement(code, 0.003), seconds=0.0).clock == "wall"


@thread_clock
@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="a process cannot be bound here")
@pytest.mark.timing
def test_who_shares_the_processor_is_not_in_the_time_of_a_long_call():
    before = os.sched_getaffinity(0)
    (core, *_) = sorted(before)
    os.sched_setaffinity(0, {core})
    rival = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        began = time.perf_counter()
        found = visit(statement(BURN, 0.02), seconds=0.4)
        took = time.perf_counter() - began
    finally:
        rival.kill()
        rival.wait()
        os.sched_setaffinity(0, before)
    # The wall clock has seen about twice as much.
    assert found.variants["baseline"].seconds == pytest.approx(0.02, rel=0.05)
    assert took > 0.4


@pytest.mark.parametrize(("seconds", "count"), [(0.002, FEWEST_ROUNDS), (0.006, 3), (0.06, 2), (0.31, 1)])
def test_the_longer_a_call_the_fewer_rounds_are_taken_past_the_slice(seconds, count):
    comparison = with_twin("c", "y = 1", {})
    variants = [ReadyVariant(each, prepare(comparison)) for each in comparison.variants]
    for each in variants:
        each.took = seconds
    found = take_cpu_rounds(variants, [1] * len(variants), Span(0.0), random.Random(0), 1)
    assert len(found.wall) == count


def test_no_round_begins_after_the_latest_moment_but_the_first():
    assert visit(statement(BURN, 0.003), seconds=1.0, most=0.0).rounds == 1
    assert visit(with_twin("c", "y = 1", {}), seconds=1.0, most=0.0).rounds == 1


def test_where_the_seconds_of_a_call_are_known_no_batch_is_spent_on_them(monkeypatch):
    spent = []
    monkeypatch.setattr(one_visit, "calibrate", lambda batch, wanted: spent.append(1) or 77)
    comparison = with_twin("c", "y = 1", {"same": "y = 1"})
    variants = [ReadyVariant(each, prepare(comparison)) for each in comparison.variants]
    for each in variants:
        each.took = 1e-6
    known = {"baseline": 50e-6 / 9, "twin": 1.0}
    assert calibrated(variants, 50e-6, None, known) == [9, 1, 77, 77]
    assert len(spent) == 2


def test_a_variant_is_called_once_for_its_flags_and_no_more(monkeypatch):
    calls = []
    monkeypatch.setattr(torch, "noted", calls.append, raising=False)
    comparison = with_twin("c", "torch.noted(1)", {})

    def counted(check):
        calls.clear()
        built = build(comparison, check, random.Random(0), lambda *_: False, prepare(comparison))
        assert len(built) == 3
        return len(calls)

    # In full a baseline is made first, and thrown away.
    assert (counted("flags"), counted("values"), counted("answers")) == (2, 3, 3)
    # The baseline alone warms the process up; that the others run is known from before.
    assert counted("baseline") == 1


@pytest.mark.timing
def test_an_empty_loop_is_timed_by_the_clock_of_its_comparison(monkeypatch):
    comparison = statement(BURN, 0.002)
    variants = [ReadyVariant(each, prepare(comparison)) for each in comparison.variants]
    for each in variants:
        each.run_and_hold()
    asked = set()
    for each in variants:
        long = each.long_batch
        monkeypatch.setattr(each, "long_batch", lambda clock, long=long: asked.add(clock) or long(clock))
    taken = take_cpu_rounds(variants, [1, 1, 1000], Span(time.perf_counter()), random.Random(0), 1)
    assert taken.wall.shape == (FEWEST_ROUNDS, 3)
    assert asked == {taken.clock}


def test_with_several_threads_the_wall_clock_is_taken():
    comparison = statement(BURN, 0.002)
    variants = [ReadyVariant(each, prepare(comparison)) for each in comparison.variants]
    for each in variants:
        each.run_and_hold()
    assert take_cpu_rounds(variants, [1, 1, 9], Span(0.0), random.Random(0), 2).clock == "wall"
