"""What NVIDIA's management library tells of a device, where `nvidia-ml-py` is installed; otherwise little.

The package is the optional extra `cuda`. Whatever it does not say, or refuses to, is None.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gradbench.record.telemetry import DeviceReading

# What slows a device down, by the bit of NVML's mask (nvmlClocksEventReasons). An idle device, and one whose
# clock a person has set, are not held back.
_REASONS = {
    0x04: "power cap",
    0x08: "hardware slowdown",
    0x20: "temperature",
    0x40: "temperature (hardware)",
    0x80: "power brake",
}


# Where the kernel's module says what it is.
_MODULE = Path("/proc/driver/nvidia/version")


def _library() -> Any:
    """The library, started; None where there is none."""
    try:
        import pynvml

        pynvml.nvmlInit()
    # Without the package an ImportError, without the driver an error of its own.
    except Exception:
        return None
    return pynvml


def driver() -> str | None:
    """The version of the driver.

    Without the library that of the kernel's module, which is the same: so a run can be resumed, and two be
    compared, of which one was measured without it.
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
        # A container knows this process by another number than NVML does, but it is among them.
        others=None if running is None else max(0, len(running) - 1),
        throttled=None if mask is None else tuple(name for bit, name in _REASONS.items() if mask & bit),
    )


def _asked(ask: Callable[[], Any]) -> Any:
    """An answer; None where the library has none: it raises a class of its own for each reason."""
    with contextlib.suppress(Exception):
        return ask()
    return None
