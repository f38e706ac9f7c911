import json
from types import SimpleNamespace

import psutil
import pytest
from synthetic import results

from gradbench import doctor
from gradbench.errors import EndedEarly
from gradbench.plan import Request

REQUEST = Request(("elementwise",), ("no_grad", "tracked"), ("small", "large"))


def by_name(checks):
    return {check.name: check for check in checks}


def test_every_check_says_what_it_found_and_advises_where_something_is_wrong():
    for check in doctor.examine(0.01):
        assert check.found
        assert bool(check.advice) == (check.state in ("fair", "poor")) or check.state == "unknown"


def cpu_times(**seconds):
    names = ("user", "system", "idle", "iowait", "steal", "guest")
    return SimpleNamespace(_fields=names, **{**dict.fromkeys(names, 0.0), **seconds})


@pytest.mark.parametrize(
    ("spent", "load", "steal"),
    [
        ({"idle": 2.0}, "good", "good"),
        ({"idle": 1.75, "iowait": 0.05, "user": 0.2}, "fair", "good"),
        ({"idle": 0.5, "user": 1.5}, "poor", "good"),
        ({"idle": 1.9, "steal": 0.1}, "good", "poor"),
    ],
)
def test_load_and_stolen_time_are_told_from_idle_time(monkeypatch, spent, load, steal):
    readings = iter([cpu_times(), cpu_times(**spent)])
    monkeypatch.setattr(psutil, "cpu_times", lambda: next(readings))
    monkeypatch.setattr(psutil, "cpu_count", lambda: 2)
    found = by_name(doctor._load(0.0))
    assert (found["other programs"].state, found["stolen time"].state) == (load, steal)


@pytest.mark.parametrize(
    ("path", "text", "check", "state"),
    [
        ("/sys/fs/cgroup/cpu.max", "max 100000", doctor._quota, "good"),
        ("/sys/fs/cgroup/cpu.max", "150000 100000", doctor._quota, "fair"),
        ("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "powersave", doctor._frequency, "fair"),
        ("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "performance", doctor._frequency, "good"),
        ("/proc/cpuinfo", "flags : fpu hypervisor sse", doctor._virtual, "fair"),
        ("/proc/cpuinfo", "flags : fpu sse", doctor._virtual, "good"),
        ("nowhere", "", doctor._quota, "unknown"),
        ("nowhere", "", doctor._frequency, "unknown"),
    ],
)
def test_what_the_system_says_of_itself_is_judged(monkeypatch, path, text, check, state):
    monkeypatch.setattr(doctor, "_read", {path: text}.get)
    assert check().state == state


def test_the_noise_floor_comes_from_the_twins():
    quiet = by_name(doctor._noise(results({"no_grad": 1.5}, request=REQUEST, scatter=0.0001)))
    loud = by_name(doctor._noise(results({"no_grad": 1.5}, request=REQUEST, scatter=0.05)))
    assert quiet["noise floor"].state == "good"
    assert loud["noise floor"].state == "poor"
    assert loud["processes"].state == "fair"


def test_drift_is_told_from_the_times_of_the_reference():
    made = results({}, request=REQUEST)
    slow = results({}, request=REQUEST, passes=1, seconds=1.5e-6)
    made.add(slow.visits[0])
    assert "1.50 times" in by_name(doctor._noise(made))["drift"].found


def test_a_machine_on_which_nothing_can_be_timed_is_told_and_no_traceback():
    (check,) = doctor._noise(results({}, request=REQUEST, passes=0))
    assert (check.name, check.state) == ("noise floor", "unknown")
    assert "no visit was made" in check.found


def test_an_interrupted_doctor_does_not_say_how_to_go_on(monkeypatch):
    def interrupted(*_):
        raise EndedEarly("6 visits are kept")

    monkeypatch.setattr(doctor.run, "start", interrupted)
    with pytest.raises(EndedEarly, match="nothing was kept"):
        doctor.measure_noise()


def test_the_command_prints_a_line_for_each_check_and_json_for_programs(gradbench, tmp_path):
    text = gradbench("doctor", "--quick", cwd=tmp_path)
    data = gradbench("doctor", "--quick", "--json", cwd=tmp_path)
    assert text.returncode == data.returncode == 0
    names = [check["name"] for check in json.loads(data.stdout)]
    assert all(f"{name}: " in text.stdout for name in names)
    assert list(tmp_path.iterdir()) == []
