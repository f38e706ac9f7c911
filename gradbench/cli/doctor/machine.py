"""Checks of this machine, from the figures that the system gives."""

from __future__ import annotations

import os
import time
from pathlib import Path

import psutil

from gradbench import format
from gradbench.cli.doctor.check import Check, judged

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
        judged(
            "other programs",
            busy < BUSY / 2,
            "fair" if busy < 2 * BUSY else "poor",
            f"{busy:.2f} of {format.counted(count, 'processor')} in use",
            "close other programs, or measure at another time",
        )
    ]
    if "steal" in spent:
        stolen = spent["steal"] / total
        checks.append(
            judged(
                "stolen time",
                stolen < 0.005,
                "poor",
                f"the host kept {100 * stolen:.1f} % for others",
                "use a machine with processors of its own",
            )
        )
    return checks


def _processors() -> Check:
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    advice = "with one processor every other program interrupts the measurement"
    return judged("processors", count > 1, "poor", f"{count} for this process", advice)


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
    advice = "cpupower frequency-set --governor performance"
    return judged("frequency", governor == "performance", "fair", f"governor {governor}", advice)


def _memory() -> Check:
    available = psutil.virtual_memory().available
    advice = "large tensors will be swapped: close programs, or use smaller --size"
    return judged("memory", available > 2e9, "poor", f"{available / 1e9:.1f} GB available", advice)


def _power() -> Check:
    battery = getattr(psutil, "sensors_battery", lambda: None)()
    if battery is None:
        return Check("power", "good", "no battery")
    if battery.power_plugged:
        return Check("power", "good", "plugged in")
    return Check("power", "poor", "on battery", "plug it in: a battery lowers the clock")


def _virtual() -> Check:
    flags = _read("/proc/cpuinfo")
    if flags is None:
        return Check("virtual machine", "unknown", "cannot be read")
    if " hypervisor" not in flags:
        return Check("virtual machine", "good", "no")
    found = "yes: neighbours share caches and memory bandwidth"
    advice = "the drift cancels in ratios; absolute times will wander"
    return Check("virtual machine", "fair", found, advice)


def _read(path: str) -> str | None:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return None
