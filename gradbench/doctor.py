"""Is this machine fit to measure, what is its noise floor, and what would help?

What can be read is read from the system; the noise floor is measured by a short run of the product.
"""

from __future__ import annotations

import math
import os
import tempfile
import time
from pathlib import Path
from typing import Literal

import msgspec
import numpy
import psutil

from gradbench import format
from gradbench.analyse.model import RunSummary
from gradbench.analyse.summary import summarise
from gradbench.analyse.twins import parts_apart
from gradbench.analyse.warnings import device_warnings
from gradbench.define.methods import BASELINE
from gradbench.errors import EndedEarly
from gradbench.measure import run
from gradbench.measure.goal import Goal
from gradbench.measure.passes import Steering
from gradbench.record.plan import Request
from gradbench.record.results import Options, Results

State = Literal["good", "fair", "poor", "unknown"]

# A machine whose other processes take more than this of one processor disturbs most visits.
BUSY = 0.25
# Above this, differences of a few per cent drown in a quick run.
COARSE = 0.01


class Check(msgspec.Struct, frozen=True):
    """One thing that was looked at.

    Attributes:
        found: what it is here.
        advice: what would help; empty where nothing needs to.
    """

    name: str
    state: State
    found: str
    advice: str = ""


def examine(seconds: float = 1.0) -> list[Check]:
    """Theme at the machine as it is now; takes so many seconds."""
    return [
        *_load(seconds),
        _processors(),
        _quota(),
        _frequency(),
        _memory(),
        _power(),
        _virtual(),
    ]


def measure_noise(device: str = "cpu", passes: int = 6) -> list[Check]:
    """A short run of the product with its twin, on one device or several; takes about 15 seconds for each.

    Raises RequestError where there is no such device, or no measuring process can be started, and
    EndedEarly where it is interrupted.
    """
    # At a million elements a GPU still waits for the host, and its own time is hardly seen.
    sizes = ("small", "large") if device == "cpu" else ("small", "large", "1e7")
    with tempfile.TemporaryDirectory() as folder:
        try:
            order = run.Order(
                Request(("elementwise",), ("no_grad", "tracked"), sizes, device),
                Options("doctor", 1, "keep", 30.0, memory=False),
                "gradbench doctor",
            )
            results = run.start(Path(folder) / "run", order, Steering(Goal(passes, None, None, 0.5)))
        except EndedEarly:
            raise EndedEarly("interrupted; nothing was kept") from None
        return _noise(results)


def _noise(results: Results) -> list[Check]:
    summary = summarise(results)
    if len(summary.devices) < 2:
        return _noise_on(summary)
    return [
        msgspec.structs.replace(check, name=f"{check.name}, {device}")
        for device in summary.devices
        for check in _noise_on(summary.on(device))
    ]


def _noise_on(summary: RunSummary) -> list[Check]:
    results = summary.results
    floors = [each.floor for each in summary.comparisons if each.floor is not None]
    visible = [
        variant.ratio.high / variant.ratio.mean - 1
        for each in summary.comparisons
        for variant in each.methods
        if variant.ratio is not None and variant.ratio.high is not None and variant.verdict != "baseline"
    ]
    if not floors or not visible:
        ids = {each.comparison.id for each in summary.comparisons}
        why = next((each.message for each in results.failures if each.comparison in ids), "no visit was made")
        return [Check("noise floor", "unknown", f"not measured: {why}", "see `gradbench run --preset quick`")]
    drift = max(
        max(times) / min(times)
        for each in summary.comparisons
        if (times := [v.variants[BASELINE].seconds for v in results.visits
                      if v.comparison == each.comparison.id and BASELINE in v.variants])
    )  # fmt: skip
    floor, reach = max(floors), float(numpy.median(visible))
    return [
        *_parts(summary),
        Check(
            "noise floor",
            "good" if floor < COARSE / 2 else "fair" if floor < 2 * COARSE else "poor",
            f"identical code may seem to differ by {format.difference(floor)} in {summary.passes} passes",
            "" if floor < COARSE / 2 else "more passes: --preset thorough, or --precision",
        ),
        Check(
            "processes",
            "good" if reach < COARSE else "fair",
            f"a method's ratio is known to ±{100 * reach:.2g} % from {summary.passes} processes",
            "" if reach < COARSE else "more passes: an interval shrinks with the root of their number",
        ),
        Check(
            "drift",
            "good" if drift < 1.05 else "fair",
            f"the same call took up to {drift:.2f} times as long from one process to the next",
            "" if drift < 1.05 else "compare ratios of one run, never times of two",
        ),
    ]


def _parts(summary: RunSummary) -> list[Check]:
    """Of an accelerator: its twins in the host's time and in its own, and what is said of its state."""
    ids = {each.comparison.id for each in summary.comparisons if each.comparison.device != "cpu"}
    visits = [visit for visit in summary.results.visits if visit.comparison in ids]
    if not visits:
        return []
    checks = []
    for name, apart in parts_apart(summary.comparisons).items():
        worst = max(apart, default=math.nan)
        found = f"identical code came out different by {100 * worst:.2g} %" if apart else "not seen"
        state: State = "unknown" if not apart else "good" if worst < COARSE / 2 else "fair"
        checks.append(Check(f"time of the {name}", state, found, "" if state != "fair" else "more passes"))
    known = [visit for visit in visits if visit.telemetry.device is not None]
    said = list(device_warnings(known))
    for each in said:
        found, _, advice = each.rstrip(".").partition(". ")
        checks.append(Check("device", "poor", found, advice))
    if not known:
        why = "its clock, throttling and other programs cannot be read"
        checks.append(Check("device", "unknown", why, "pip install nvidia-ml-py"))
    elif not said:
        checks.append(Check("device", "good", f"not held back and not shared in {len(known)} visits"))
    return checks


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
