"""What NVML says of a device: by a stand-in for the library, and without one."""

import sys
from types import SimpleNamespace

import pytest

from gradbench.measure import nvml
from gradbench.record.telemetry import DeviceReading


class FileRejected(Exception):
    pass


def refuse(*_):
    raise FileRejected("Not Supported")


def library(**changes):
    known = {
        "nvmlInit": lambda: None,
        "nvmlSystemGetDriverVersion": lambda: "570.10",
        "nvmlDeviceGetHandleByUUID": lambda uuid: {b"GPU-0123": "handle"}[uuid],
        "nvmlDeviceGetCurrentClocksThrottleReasons": lambda handle: 0x24,
        "nvmlDeviceGetClockInfo": lambda handle, kind: {("handle", "sm"): 1980}[handle, kind],
        "nvmlDeviceGetPowerUsage": lambda handle: 350_500,
        "nvmlDeviceGetTemperature": lambda handle, kind: 61,
        "nvmlDeviceGetComputeRunningProcesses": lambda handle: ["this one", "another"],
        "NVML_CLOCK_SM": "sm",
        "NVML_TEMPERATURE_GPU": "gpu",
    }
    return SimpleNamespace(**{**known, **changes})


@pytest.fixture(autouse=True)
def module(monkeypatch, tmp_path):
    """Where the kernel's module says its version; nothing is there."""
    monkeypatch.setattr(nvml, "_MODULE", tmp_path / "version")
    return tmp_path / "version"


@pytest.fixture
def installed(monkeypatch):
    def install(**changes):
        monkeypatch.setitem(sys.modules, "pynvml", library(**changes))

    return install


def test_clock_power_and_temperature_are_in_units_and_throttling_in_words(installed):
    installed()
    assert nvml.read("0123") == DeviceReading(1.98e9, 350.5, 61.0, ("power cap", "temperature"), 1)
    assert nvml.driver() == "570.10"


def test_an_idle_device_is_not_throttled(installed):
    installed(nvmlDeviceGetCurrentClocksThrottleReasons=lambda handle: 0x01)
    assert nvml.read("0123").throttled == ()


def test_newer_releases_are_asked_by_their_own_name(installed):
    installed(nvmlDeviceGetCurrentClocksEventReasons=lambda handle: 0x08)
    assert nvml.read("0123").throttled == ("hardware slowdown",)


def test_what_a_device_refuses_to_say_is_none_and_the_rest_is_there(installed):
    installed(nvmlDeviceGetPowerUsage=refuse, nvmlDeviceGetCurrentClocksThrottleReasons=refuse)
    found = nvml.read("0123")
    assert (found.power, found.throttled, found.temperature) == (None, None, 61.0)


def test_a_device_that_it_does_not_know_has_no_reading(installed):
    installed()
    assert nvml.read("4567") is None


def test_a_driver_that_is_not_there_is_no_error(installed):
    installed(nvmlInit=refuse)
    assert nvml.read("0123") is None
    assert nvml.driver() is None


def test_without_the_package_nothing_is_known(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert nvml.read("0123") is None
    assert nvml.driver() is None


@pytest.mark.parametrize("name", ["Kernel Module", "Open Kernel Module for x86_64"])
def test_without_the_package_the_driver_is_known_from_the_kernels_module(monkeypatch, module, name):
    monkeypatch.setitem(sys.modules, "pynvml", None)
    module.write_text(f"NVRM version: NVIDIA UNIX {name}  570.10.05  Tue Mar  5\nGCC version:  gcc 12.2.0\n")
    assert nvml.driver() == "570.10.05"
    module.write_text("something else")
    assert nvml.driver() is None
