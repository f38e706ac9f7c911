"""Is this machine fit to measure? What can be read is read from the system."""

from __future__ import annotations

import os
import time
from pathlib import Path

import psutil

from gradbench.cli.doctor.check import Check

# A machine whose other processes take more than this of one processor disturbs most visits.
BUSY = 0.25


def examine(seconds: float = 1.0) -> list[Check]:
    """Look at the machine as it is now; takes so many seconds."""
    return [
        *_load(seconds),
        _processors(),
        _quota(),
        _frequency(),
        _memory(),
        _power(),
        _virtual(),
    ]


def _load(seconds: float) -> list[Check]:
    before = psutil.cpu_times()
    time.sleep(seconds)
    after = psutil.cpu_times()
    spent = {name: getattr(after, name) - getattr(before, name) for name in after._fields}
    total = sum(value for name, value in spent.items() if not name.startswith("guest")) or seconds
    idle = spent["idle"] + spent.get("iowait", 0.0)
    count = psutil.cpu_count() or 1
    busy = max(0.0, (total - idle) / total) * count
    checks = [
        Check(
            "other programs",
            "good" if busy < BUSY / 2 else "fair" if busy < 2 * BUSY else "poor",
            f"{busy:.2f} of {count} processors in use",
            "" if busy < BUSY / 2 else "close what can be closed, or measure at another time",
        )
    ]
    if "steal" in spent:
        stolen = spent["steal"] / total
        checks.append(
            Check(
                "stolen time",
                "good" if stolen < 0.005 else "poor",
                f"the host kept {100 * stolen:.1f} % for others",
                "" if stolen < 0.005 else "use a machine with processors of its own",
            )
        )
    return checks


def _processors() -> Check:
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return Check(
        "processors",
        "good" if count > 1 else "poor",
        f"{count} for this process",
        "" if count > 1 else "with one processor every other program interrupts the measurement",
    )


def _quota() -> Check:
    """A control group that stops the process for part of each period makes bursts."""
    text = _read("/sys/fs/cgroup/cpu.max")
    if text is None or text.startswith("max"):
        return Check("quota", "good" if text else "unknown", "no limit" if text else "cannot be read")
    quota, period = (float(each) for each in text.split())
    return Check(
        "quota",
        "fair",
        f"{quota / period:.2g} processors",
        "a quota stops a process in bursts: lift it, or keep --threads below it",
    )


def _frequency() -> Check:
    governor = _read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
    if governor is None:
        return Check("frequency", "unknown", "the governor cannot be read here")
    steady = governor == "performance"
    return Check(
        "frequency",
        "good" if steady else "fair",
        f"governor {governor}",
        "" if steady else "cpupower frequency-set --governor performance",
    )


def _memory() -> Check:
    available = psutil.virtual_memory().available
    enough = available > 2e9
    return Check(
        "memory",
        "good" if enough else "poor",
        f"{available / 1e9:.1f} GB available",
        "" if enough else "large tensors will be swapped: close programs, or use smaller --size",
    )


def _power() -> Check:
    battery = getattr(psutil, "sensors_battery", lambda: None)()
    if battery is None:
        return Check("power", "good", "no battery")
    return Check(
        "power",
        "good" if battery.power_plugged else "poor",
        "plugged in" if battery.power_plugged else "on battery",
        "" if battery.power_plugged else "plug it in: a battery lowers the clock",
    )


def _virtual() -> Check:
    flags = _read("/proc/cpuinfo")
    if flags is None:
        return Check("virtual machine", "unknown", "cannot be read")
    guest = " hypervisor" in flags
    return Check(
        "virtual machine",
        "fair" if guest else "good",
        "yes: neighbours share caches and memory bandwidth" if guest else "no",
        "the drift cancels in ratios; absolute times will wander" if guest else "",
    )


def _read(path: str) -> str | None:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return None
