"""What is the noise floor of this machine? A short run of the product measures it."""

from __future__ import annotations

import math
import statistics
import tempfile
from pathlib import Path

import msgspec

from gradbench import format
from gradbench.analyse.model import RunSummary
from gradbench.analyse.summary import summarise
from gradbench.analyse.warnings import device_warnings
from gradbench.cli.doctor.check import Check, State, judged
from gradbench.define.methods import BASELINE
from gradbench.errors import EndedEarly
from gradbench.measure import run
from gradbench.measure.goal import Goal
from gradbench.measure.steering import Steering
from gradbench.record.plan import Request
from gradbench.record.results import Options, Results

# Above this, differences of a few per cent drown in a quick run.
COARSE = 0.01


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
    floor, reach = max(floors), statistics.median(visible)
    passes = format.counted(summary.passes, "pass")
    return [
        *_parts(summary),
        judged(
            "noise floor",
            floor < COARSE / 2,
            "fair" if floor < 2 * COARSE else "poor",
            f"identical code may seem to differ by {format.difference(floor)} in {passes}",
            "more passes: --preset thorough, or --precision",
        ),
        judged(
            "processes",
            reach < COARSE,
            "fair",
            f"a method's ratio is known to ±{100 * reach:.2g} % from {passes}",
            "more passes: an interval shrinks with the root of their number",
        ),
        judged(
            "drift",
            drift < 1.05,
            "fair",
            f"the same call took up to {drift:.2f} times as long from one process to the next",
            "compare ratios of one run, never times of two",
        ),
    ]


def _parts(summary: RunSummary) -> list[Check]:
    """Checks of an accelerator: twins in the host's time and in the device's time, and its state."""
    ids = {each.comparison.id for each in summary.comparisons if each.comparison.device != "cpu"}
    visits = [visit for visit in summary.results.visits if visit.comparison in ids]
    if not visits:
        return []
    checks = []
    for name, twins in summary.parts_of_twins.items():
        apart = twins.differences
        worst = max(apart, default=math.nan)
        found = f"identical code came out different by {100 * worst:.2g} %" if apart else "not seen"
        state: State = "unknown" if not apart else "good" if worst < COARSE / 2 else "fair"
        checks.append(Check(f"time of the {name}", state, found, "" if state != "fair" else "more passes"))
    known = [visit for visit in visits if visit.telemetry.device is not None]
    said = list(device_warnings(visits))
    for each in said:
        found, _, advice = each.rstrip(".").partition(". ")
        checks.append(Check("device", "poor", found, advice))
    if not known:
        why = "its clock, throttling and other programs cannot be read"
        checks.append(Check("device", "unknown", why, "pip install nvidia-ml-py"))
    elif not said:
        found = f"not throttled and not shared in {format.counted(len(known), 'visit')}"
        checks.append(Check("device", "good", found))
    return checks
