import os
from types import SimpleNamespace

import psutil
import pytest

from gradbench.measure import telemetry


class Process:
    def __init__(self, own, switches):
        self.own, self.switches = iter(own), iter(switches)

    def cpu_times(self):
        return SimpleNamespace(user=next(self.own), system=0.0)

    def num_ctx_switches(self):
        return SimpleNamespace(involuntary=next(self.switches))


class Times(tuple):
    idle = property(lambda self: self[1])
    iowait = property(lambda self: self[2])
    steal = property(lambda self: self[3])


@pytest.fixture
def machine(monkeypatch):
    def pretend(before, after, own=(0.0, 1.0), switches=(5, 7)):
        times = iter([Times(before), Times(after)])
        monkeypatch.setattr(psutil, "Process", lambda: Process(own, switches))
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: {1})
        # Another processor, which this process may not use, is no business of its.
        monkeypatch.setattr(psutil, "cpu_times", lambda percpu: [Times((9, 9, 9, 9)), next(times)])
        return telemetry.Watch()

    return pretend


def test_what_others_used_is_neither_idle_nor_stolen_nor_ours(machine):
    # Of 4 s of processor time 1 was idle, 0.5 waited, 0.4 was stolen and 1 was ours: 1.1 is left.
    told = machine((0, 0, 0, 0), (2.1, 1.0, 0.5, 0.4)).read()
    assert told.others == pytest.approx(1.1 / 4)
    assert told.steal == pytest.approx(0.4 / 4)
    assert told.switches == 2


def test_rounding_of_the_counters_never_gives_a_negative_share(machine):
    assert machine((0, 0, 0, 0), (1.0, 1.0, 0.0, 0.0), own=(0.0, 1.1)).read().others == 0.0


def test_what_the_system_does_not_say_is_unknown_and_not_zero(monkeypatch):
    def refuse(*_, **__):
        raise psutil.AccessDenied

    monkeypatch.setattr(psutil, "cpu_times", refuse)
    monkeypatch.setattr(psutil, "cpu_freq", refuse)
    monkeypatch.setattr(psutil.Process, "num_ctx_switches", refuse)
    assert telemetry.Watch().read() == telemetry.Telemetry(None, None, None, None)


def test_a_frequency_of_zero_is_unknown(monkeypatch):
    monkeypatch.setattr(psutil, "cpu_freq", lambda: SimpleNamespace(current=0.0))
    assert telemetry.Watch().read().frequency is None
    monkeypatch.setattr(psutil, "cpu_freq", lambda: SimpleNamespace(current=2400.0))
    assert telemetry.Watch().read().frequency == 2.4e9
