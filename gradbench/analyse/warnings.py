"""Warnings: what limits the figures of a run, and what to do about it.

The first sentence of a warning is short enough for a line on a terminal. The page shows all of it.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy

from gradbench import format
from gradbench.analyse.failures import failed, lost_comparisons
from gradbench.analyse.model import RunSummary
from gradbench.analyse.spending import FEWEST_TO_SETTLE
from gradbench.analyse.trust import ENOUGH, ROUGH
from gradbench.record.results import Results
from gradbench.record.telemetry import DeviceReading, Telemetry
from gradbench.record.visits import Visit

# With fewer passes than this, a tenth of all runs misses a memory layout that one process in five has.
FEW_PASSES = 10
# A warning names at most this many comparisons.
_NAMED = 3


def find_warnings(summary: RunSummary) -> Iterator[str]:
    """The warnings of a run, the most general first."""
    results = summary.results
    yield from _untimed(summary)
    yield from _few_passes(summary)
    yield from machine_warnings([visit.telemetry for visit in results.visits])
    yield from device_warnings(results.visits)
    yield from _noise(summary)
    yield from _short_baselines(summary)
    if failures := failed(results):
        yield failures
    yield from unfinished(results)
    yield from _missed_precision(results)


def beside_trust(summary: RunSummary) -> Iterator[str]:
    """The warnings that neither the sentence on trust nor the one on failures has."""
    results = summary.results
    yield from unfinished(results)
    yield from _untimed(summary)
    yield from machine_warnings([visit.telemetry for visit in results.visits])
    yield from device_warnings(results.visits)
    yield from _short_baselines(summary)
    yield from _missed_precision(results)


def _untimed(summary: RunSummary) -> Iterator[str]:
    """Comparisons that the run did not time, though it timed others."""
    waiting = _waiting(summary)
    if waiting and summary.passes:
        named = ", ".join(waiting[:_NAMED])
        more = f" and {len(waiting) - _NAMED} more" if len(waiting) > _NAMED else ""
        yield (
            f"The budget ended before {_of(waiting, summary)} {_was(waiting)} timed: {named}{more}. "
            + summary.results.go_on(f"--budget {summary.results.twice_the_budget}")
        )


def _of(found: Sequence[object], summary: RunSummary) -> str:
    """How many of the comparisons: `1 of 3 comparisons`."""
    return f"{len(found)} of {format.counted(len(summary.comparisons), 'comparison')}"


def _was(found: Sequence[object]) -> str:
    return "was" if len(found) == 1 else "were"


def _waiting(summary: RunSummary) -> list[str]:
    # A comparison that failed in all passes would fail again.
    lost = lost_comparisons(summary.results)
    return [
        each.comparison.id
        for each in summary.comparisons
        if not each.passes and each.comparison.id not in lost
    ]


def _few_passes(summary: RunSummary) -> Iterator[str]:
    timed = [each.fewest for each in summary.comparisons if each.passes]
    passes = min(timed, default=0 if _waiting(summary) else None)
    wanted = 2 * FEW_PASSES * max((each.comparison.every for each in summary.comparisons), default=1)
    if passes is None:
        return
    if passes < 2:
        yield (
            f"Some comparisons have {format.counted(passes, 'pass')}: no interval is known. "
            + summary.results.go_on_longer(wanted)
        )
    elif passes < (FEWEST_TO_SETTLE if summary.results.looks else FEW_PASSES):
        yield (
            f"Some comparisons have only {passes} passes: their intervals are wide. The layout of memory "
            "changes times, and so few processes show little of that. " + summary.results.go_on_longer(wanted)
        )


def machine_warnings(readings: Sequence[Telemetry]) -> Iterator[str]:
    """Warnings on a machine that was busy or throttled during the run."""
    busy = [each.others for each in readings if each.others is not None]
    if busy and statistics.median(busy) > 0.05:
        yield (
            f"Other processes used {100 * statistics.median(busy):.0f} % of the processor time. "
            "Close them, and measure again."
        )
    stolen = [each.steal for each in readings if each.steal is not None]
    if stolen and float(numpy.mean(stolen)) > 0.01:
        yield (
            f"The host of this machine kept {100 * float(numpy.mean(stolen)):.1f} % of its processor time "
            "for other guests. Ratios hold, times are too long. Use a machine that shares no processor."
        )
    clocks = [each.frequency for each in readings if each.frequency is not None]
    if clocks and _fell(clocks):
        yield (
            f"The processor's clock fell to {min(clocks) / 1e9:.2g} GHz in some visits, from "
            f"{statistics.median(clocks) / 1e9:.2g} GHz. It is throttled or saves power. Set the governor to "
            "performance, or let the machine cool."
        )


def _fell(clocks: Sequence[float]) -> bool:
    return min(clocks) < 0.8 * statistics.median(clocks)


def device_warnings(visits: Sequence[Visit]) -> Iterator[str]:
    """Warnings on accelerators that were throttled or shared, or whose clock fell."""
    by_device: dict[str, list[DeviceReading]] = defaultdict(list)
    for visit in visits:
        if visit.telemetry.device is not None:
            by_device[visit.comparison.rpartition("/")[2]].append(visit.telemetry.device)
    for device, readings in by_device.items():
        all_ = format.counted(len(readings), "visit")
        held = [each.throttled for each in readings if each.throttled]
        if held:
            reasons = ", ".join(dict.fromkeys(reason for each in held for reason in each))
            yield (
                f"{device} was throttled in {len(held)} of {all_} ({reasons}). "
                "Ratios hold. Let it cool, or set its clock with `nvidia-smi --lock-gpu-clocks=MHZ`."
            )
        shared = sum(bool(each.others) for each in readings)
        if shared:
            yield (
                f"Other processes used {device} in {shared} of {all_}. They took turns with the variants. "
                "End them, and measure again."
            )
        clocks = [each.clock for each in readings if each.clock]
        if clocks and _fell(clocks):
            yield (
                f"The clock of {device} fell to {min(clocks) / 1e9:.2g} GHz in some visits, from "
                f"{statistics.median(clocks) / 1e9:.2g} GHz. Set it with `nvidia-smi --lock-gpu-clocks=MHZ`."
            )


def _noise(summary: RunSummary) -> Iterator[str]:
    """Comparisons in which identical code seems to differ."""
    comparisons = summary.comparisons
    noisy = [each for each in comparisons if each.floor is not None and each.floor > ROUGH]
    if noisy:
        worst = max(noisy, key=lambda each: each.floor or 0.0)
        yield (
            f"In {_of(noisy, summary)} identical code may seem to differ by more than 2 %. The worst is "
            f"{worst.comparison.id}, {format.difference(worst.floor)}. "
            + summary.results.go_on_longer(max(2 * summary.passes, ENOUGH))
        )
    if summary.farthest_moved is not None:
        where, ratio = summary.farthest_moved
        moved = [each for each in comparisons if each.moved is not None]
        # Cold data make nothing faster.
        cause = (
            "That memory is cold; the methods share one buffer, which stays warm."
            if ratio.mean > 1
            else "The place of the data in memory causes that, not the method."
        )
        yield (
            f"In {_of(moved, summary)} identical code on memory of its own takes another time. The farthest "
            f"is {where.comparison.id}, {format.ratio_with_ends(ratio)} times. {cause}"
        )


def _short_baselines(summary: RunSummary) -> Iterator[str]:
    short = [each for each in summary.comparisons if not each.has_baseline]
    if short:
        yield (
            f"In {_of(short, summary)} the baseline is as fast as an empty loop: no ratio is known. The "
            f"first is {short[0].comparison.id}. Compare seconds, or choose more elements with --size."
        )


def unfinished(results: Results) -> Iterator[str]:
    """Warnings on a results file that is cut off, and on a run that was interrupted."""
    if results.cut_off:
        lost = format.counted(results.cut_off, "byte")
        yield f"The last line of the results file is cut off ({lost}). The report leaves it out."
    if results.interrupted:
        yield f"The run was interrupted. The report shows the passes that it measured. {results.go_on()}"


def _missed_precision(results: Results) -> Iterator[str]:
    for end in results.runs[-1:]:
        if end.asked is not None and (end.reached is None or end.reached > end.asked):
            got = "no interval" if end.reached is None else f"±{100 * end.reached:.2g} %"
            wanted = f"{100 * end.asked:.2g}"
            yield (
                f"The run reached {got} instead of ±{wanted} %: the {end.reason} ended it. "
                + results.go_on(f"--precision {wanted} --budget {results.twice_the_budget}")
            )
