"""What a reader must know before believing the figures, with what to do about it."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy

from gradbench import format
from gradbench.analyse.failures import failed, lost_comparisons
from gradbench.analyse.model import RunSummary
from gradbench.analyse.spending import FEWEST_TO_SETTLE
from gradbench.analyse.trust import ROUGH
from gradbench.record.results import Results
from gradbench.record.telemetry import DeviceReading, Telemetry
from gradbench.record.visits import Visit

# A layout that one process in five has goes unseen by fewer passes than this in a tenth of all runs.
FEW_PASSES = 10


def find_warnings(summary: RunSummary) -> Iterator[str]:
    """What a reader must know, the most general first, and with each what to do about it."""
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
    """Of the same, what the first screen of a model does not say by its sentence on trust or on failures."""
    results = summary.results
    yield from unfinished(results)
    yield from _untimed(summary)
    yield from machine_warnings([visit.telemetry for visit in results.visits])
    yield from device_warnings(results.visits)
    yield from _short_baselines(summary)
    yield from _missed_precision(results)


def _untimed(summary: RunSummary) -> Iterator[str]:
    """Of comparisons that nobody timed, though others were."""
    waiting = _waiting(summary)
    if waiting and summary.passes:
        yield (
            f"{len(waiting)} of {len(summary.comparisons)} comparisons were not timed, for want of time: "
            f"{', '.join(waiting)}. " + summary.results.go_on(beside="and a longer --budget")
        )


def _waiting(summary: RunSummary) -> list[str]:
    # To go on would fail in the same way where a comparison has failed in all passes.
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
            f"{passes} pass{'' if passes == 1 else 'es'}: no interval can be given. "
            + summary.results.go_on_longer(wanted)
        )
    elif passes < (FEWEST_TO_SETTLE if summary.results.looks else FEW_PASSES):
        yield (
            f"Only {passes} passes visited some of this: intervals are wide, and effects of the layout of a "
            "process are little sampled. " + summary.results.go_on_longer(wanted)
        )


def machine_warnings(readings: Sequence[Telemetry]) -> Iterator[str]:
    """Of a machine that was busy, or held back, while it was measured."""
    busy = [each.others for each in readings if each.others is not None]
    if busy and statistics.median(busy) > 0.05:
        yield (
            f"Other processes used {100 * statistics.median(busy):.0f} % of the processor time "
            "while it was measured. Close what can be closed, and measure again."
        )
    stolen = [each.steal for each in readings if each.steal is not None]
    if stolen and float(numpy.mean(stolen)) > 0.01:
        yield (
            f"The host of this machine kept {100 * float(numpy.mean(stolen)):.1f} % of its processor time "
            "for others. Ratios hold, times are too long; a machine with processors of its own would help."
        )
    clocks = [each.frequency for each in readings if each.frequency is not None]
    if clocks and _fell(clocks):
        yield (
            f"The processor's clock fell to {min(clocks) / 1e9:.2g} GHz in some visits, from "
            f"{statistics.median(clocks) / 1e9:.2g}: it is throttled or saves power. Set the governor to "
            "performance, or let it cool."
        )


def _fell(clocks: Sequence[float]) -> bool:
    return min(clocks) < 0.8 * statistics.median(clocks)


def device_warnings(visits: Sequence[Visit]) -> Iterator[str]:
    """Of accelerators that were held back or shared, or whose clock fell."""
    by_device: dict[str, list[DeviceReading]] = defaultdict(list)
    for visit in visits:
        if visit.telemetry.device is not None:
            by_device[visit.comparison.rpartition("/")[2]].append(visit.telemetry.device)
    for device, readings in by_device.items():
        held = [each.throttled for each in readings if each.throttled]
        if held:
            reasons = ", ".join(dict.fromkeys(reason for each in held for reason in each))
            yield (
                f"{device} was held back in {len(held)} of {len(readings)} visits ({reasons}). Ratios hold; "
                "let it cool, or set its clock with nvidia-smi --lock-gpu-clocks."
            )
        shared = sum(bool(each.others) for each in readings)
        if shared:
            yield (
                f"Other processes had work for {device} in {shared} of {len(readings)} visits, taking turns "
                "with what was measured. Measure again without them."
            )
        clocks = [each.clock for each in readings if each.clock]
        if clocks and _fell(clocks):
            yield (
                f"The clock of {device} fell to {min(clocks) / 1e9:.2g} GHz in some visits, from "
                f"{statistics.median(clocks) / 1e9:.2g}. Set it with nvidia-smi --lock-gpu-clocks."
            )


def _noise(summary: RunSummary) -> Iterator[str]:
    """Of comparisons in which identical code seems to differ."""
    comparisons = summary.comparisons
    noisy = [each for each in comparisons if each.floor is not None and each.floor > ROUGH]
    if noisy:
        worst = max(noisy, key=lambda each: each.floor or 0.0)
        yield (
            f"In {len(noisy)} of {len(comparisons)} comparisons identical code may seem to differ by more "
            f"than 2 % (worst: {worst.comparison.id}, {format.difference(worst.floor)}). "
            + summary.results.go_on_longer(2 * summary.passes)
        )
    if summary.farthest_moved is not None:
        where, ratio = summary.farthest_moved
        count = sum(each.moved is not None for each in comparisons)
        # Cold data make nothing faster.
        cause = (
            "cold data, which the methods share and keep warm for each other"
            if ratio.mean > 1
            else "where the data lie"
        )
        yield (
            f"In {count} of {len(comparisons)} comparisons identical code on memory of its own takes another "
            f"time (farthest: {where.comparison.id}, {format.ratio_with_ends(ratio)} times): that is "
            f"{cause}, and not the method."
        )


def _short_baselines(summary: RunSummary) -> Iterator[str]:
    short = [each for each in summary.comparisons if not each.has_baseline]
    if short:
        yield (
            f"In {len(short)} of {len(summary.comparisons)} comparisons the baseline is not distinguishable "
            f"from an empty loop ({short[0].comparison.id}): no ratio to it is known. "
            "Compare seconds, or choose more elements by --size."
        )


def unfinished(results: Results) -> Iterator[str]:
    """What did not come to its end: the file, or the run."""
    if results.cut_off:
        yield f"The last line of the results file is cut off ({results.cut_off} bytes); it was left out."
    if results.interrupted:
        yield f"The run was interrupted; the report shows what it measured. {results.go_on()}"


def _missed_precision(results: Results) -> Iterator[str]:
    for end in results.runs[-1:]:
        if end.asked is not None and (end.reached is None or end.reached > end.asked):
            got = "no interval" if end.reached is None else f"±{100 * end.reached:.2g} %"
            yield (
                f"A precision of ±{100 * end.asked:.2g} % was asked for; {got} was reached when the "
                f"{end.reason} ended the run. "
                + results.go_on(f"--precision {100 * end.asked:.2g}", "and a longer --budget")
            )
