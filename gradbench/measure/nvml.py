"""Readings of a device by NVIDIA's management library, where `nvidia-ml-py` is installed; otherwise few.

The package is the optional extra `cuda`. A value that it does not report is None.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gradbench.record.telemetry import DeviceReading

# Causes that slow a device down, by the bit of NVML's mask (nvmlClocksEventReasons). An idle device is not
# throttled, nor is one whose clock a person has set.
_REASONS = {
    0x04: "power cap",
    0x08: "hardware slowdown",
    0x20: "temperature",
    0x40: "temperature (hardware)",
    0x80: "power brake",
}


# The file in which the kernel's module reports its version.
_MODULE = Path("/proc/driver/nvidia/version")


def _library() -> Any:
    """The started library; None where it is missing."""
    try:
        import pynvml

        pynvml.nvmlInit()
    # A missing package raises ImportError, and a missing driver an error of the library.
    except Exception:
        return None
    return pynvml


def driver() -> str | None:
    """The version of the driver.

    Without the library it is the version of the kernel's module, which is the same. So a run with the library
    and one without it can be resumed and compared.
    """
    library = _library()
    if library is None:
        return _of_the_module()
    version = _asked(library.nvmlSystemGetDriverVersion)
    return version.decode() if isinstance(version, bytes) else version


def _of_the_module() -> str | None:
    """The version of the module in the kernel (Linux)."""
    try:
        text = _MODULE.read_text()
    except OSError:
        return None
    found = re.search(r"\b\d+\.\d+(\.\d+)?\b", text)
    return found[0] if found else None


def read(uuid: str) -> DeviceReading | None:
    """The device of this identifier, as torch gives it, now; None where NVML does not know it."""
    library = _library()
    if library is None:
        return None
    handle = _asked(lambda: library.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}".encode()))
    if handle is None:
        return None
    # Newer releases call throttling "event reasons".
    names = ("nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetCurrentClocksThrottleReasons")
    reasons = next((name for name in names if hasattr(library, name)), names[0])
    mask = _asked(lambda: getattr(library, reasons)(handle))
    megahertz = _asked(lambda: library.nvmlDeviceGetClockInfo(handle, library.NVML_CLOCK_SM))
    milliwatts = _asked(lambda: library.nvmlDeviceGetPowerUsage(handle))
    celsius = _asked(lambda: library.nvmlDeviceGetTemperature(handle, library.NVML_TEMPERATURE_GPU))
    running = _asked(lambda: library.nvmlDeviceGetComputeRunningProcesses(handle))
    return DeviceReading(
        clock=None if megahertz is None else megahertz * 1e6,
        power=None if milliwatts is None else milliwatts / 1e3,
        temperature=None if celsius is None else float(celsius),
        # A container gives this process another number than NVML has, but the process is among them.
        others=None if running is None else max(0, len(running) - 1),
        throttled=None if mask is None else tuple(name for bit, name in _REASONS.items() if mask & bit),
    )


def _asked(ask: Callable[[], Any]) -> Any:
    """An answer; None where the library has none. It raises a different class for each reason."""
    with contextlib.suppress(Exception):
        return ask()
    return None
