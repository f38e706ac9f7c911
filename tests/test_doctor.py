import json
import re
from types import SimpleNamespace

import msgspec
import psutil
import pytest
from synthetic import device_results, results

from gradbench.cli.doctor import machine, noise
from gradbench.cli.doctor.check import Check, verdict
from gradbench.errors import EndedEarly
from gradbench.record.plan import Request
from gradbench.record.telemetry import DeviceReading

REQUEST = Request(("elementwise",), ("no_grad", "tracked"), ("small", "large"))


def by_name(checks):
    return {check.name: check for check in checks}


def test_every_check_says_what_it_found_and_advises_where_something_is_wrong():
    for check in machine.examine(0.01):
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
    found = by_name(machine._load(0.0))
    assert (found["other programs"].state, found["stolen time"].state) == (load, steal)


@pytest.mark.parametrize(
    ("path", "text", "check", "state"),
    [
        ("/sys/fs/cgroup/cpu.max", "max 100000", machine._quota, "good"),
        ("/sys/fs/cgroup/cpu.max", "150000 100000", machine._quota, "fair"),
        ("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "powersave", machine._frequency, "fair"),
        ("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "performance", machine._frequency, "good"),
        ("/proc/cpuinfo", "flags : fpu hypervisor sse", machine._virtual, "fair"),
        ("/proc/cpuinfo", "flags : fpu sse", machine._virtual, "good"),
        ("nowhere", "", machine._quota, "unknown"),
        ("nowhere", "", machine._frequency, "unknown"),
    ],
)
def test_what_the_system_says_of_itself_is_judged(monkeypatch, path, text, check, state):
    monkeypatch.setattr(machine, "_read", {path: text}.get)
    assert check().state == state


def test_the_noise_floor_comes_from_the_twins():
    quiet = by_name(noise._noise(results({"no_grad": 1.5}, request=REQUEST, scatter=0.0001)))
    loud = by_name(noise._noise(results({"no_grad": 1.5}, request=REQUEST, scatter=0.05)))
    assert quiet["noise floor"].state == "good"
    assert loud["noise floor"].state == "poor"
    assert loud["processes"].state == "fair"


def test_drift_is_told_from_the_times_of_the_baseline():
    made = results({}, request=REQUEST)
    slow = results({}, request=REQUEST, passes=1, seconds=1.5e-6)
    made.add(slow.visits[0])
    assert "1.50 times" in by_name(noise._noise(made))["drift"].found


ON_GPU = msgspec.structs.replace(REQUEST, sizes=("small", "1e7"), device="cuda:0")


def test_of_a_gpu_the_times_of_the_host_and_of_the_device_are_told_apart():
    loud = by_name(noise._noise(device_results(ON_GPU, host={"twin": 1.02})))
    assert (loud["time of the host"].state, loud["time of the device"].state) == ("fair", "good")
    assert "2 %" in loud["time of the host"].found
    idle = by_name(noise._noise(device_results(ON_GPU, idle=("twin",))))
    assert idle["time of the device"].state == "unknown"
    assert "time of the host" not in by_name(noise._noise(results({}, request=REQUEST)))


def test_what_holds_a_gpu_back_is_told_with_what_would_help():
    def device(reading):
        return by_name(noise._noise(device_results(ON_GPU, reading=reading)))["device"]

    assert device(None).state == "unknown"
    assert device(DeviceReading(2e9, 300.0, 60.0, (), 0)).state == "good"
    hot = device(DeviceReading(2e9, 300.0, 90.0, ("temperature",), 0))
    assert (hot.state, hot.found) == ("poor", "cuda:0 was throttled in 20 of 20 visits (temperature)")
    assert hot.advice.startswith("Ratios hold. Let it cool")
    shared = device(DeviceReading(2e9, 300.0, 60.0, (), 2))
    assert "Other processes used cuda:0 in 20 of 20 visits" in shared.found
    assert shared.advice == "They took turns with the variants. End them, and measure again"


def test_each_device_of_several_has_checks_of_its_own():
    both = msgspec.structs.replace(ON_GPU, device="cpu,cuda:0")
    names = by_name(noise._noise(device_results(both)))
    assert {"noise floor, cpu", "noise floor, cuda:0", "time of the host, cuda:0"} <= names.keys()
    assert "time of the host, cpu" not in names


def test_a_device_that_is_not_here_is_refused_in_a_line(gradbench, tmp_path):
    done = gradbench("doctor", "--device", "cuda:99", cwd=tmp_path)
    assert done.returncode == 2
    assert "--device cuda:99: " in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_machine_on_which_nothing_can_be_timed_is_told_and_no_traceback():
    (check,) = noise._noise(results({}, request=REQUEST, passes=0))
    assert (check.name, check.state) == ("noise floor", "unknown")
    assert "no visit was made" in check.found


def test_an_interrupted_doctor_does_not_say_how_to_go_on(monkeypatch):
    def interrupted(*_):
        raise EndedEarly("6 visits are kept")

    monkeypatch.setattr(noise.run, "start", interrupted)
    with pytest.raises(EndedEarly, match="nothing was kept"):
        noise.measure_noise()


def test_the_verdict_comes_from_the_poor_checks():
    good, fair = Check("memory", "good", "9.0 GB available"), Check("drift", "fair", "1.2 times", "compare")
    busy = Check("other programs", "poor", "1.18 of 2 processors in use", "close other programs")
    assert verdict([good]) == "Fit to measure."
    assert verdict([good, fair]) == "Fit to measure, with limits: drift."
    assert verdict([good, fair, busy]) == "Not fit now: close other programs (1.18 of 2 processors in use)."
    assert "does not measure the noise" in verdict([good], quick=True)
    assert verdict([good, busy], quick=True).startswith("Not fit now: ")
    nothing = Check("noise floor", "unknown", "not measured: no visit was made", "see")
    assert verdict([good, nothing]) == (
        "Not known whether it is fit: the noise was not measured: no visit was made."
    )


def test_the_command_prints_a_line_for_each_check_and_json_for_programs(gradbench, tmp_path):
    text = gradbench("doctor", "--quick", cwd=tmp_path)
    data = gradbench("doctor", "--quick", "--json", cwd=tmp_path)
    assert text.returncode == data.returncode == 0
    names = [check["name"] for check in json.loads(data.stdout)]
    assert all(f"{name}: " in text.stdout for name in names)
    assert re.match("(Fit to measure|Not fit now)", text.stdout)
    assert list(tmp_path.iterdir()) == []
