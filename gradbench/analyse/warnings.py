"""What a reader must know before believing the figures, with what to do about it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy

from gradbench import format
from gradbench.analyse.failures import failed, lost_comparisons
from gradbench.analyse.model import ComparisonSummary
from gradbench.analyse.twins import farthest_moved, moved
from gradbench.record.device import DeviceReading
from gradbench.record.results import Results
from gradbench.record.visits import Visit

# A layout that one process in five has goes unseen by fewer passes than this in a tenth of all runs.
FEW_PASSES = 10


def interrupted(results: Results) -> bool:
    """Whether the last thing that was begun did not come to its end."""
    ended = {end.number for end in results.ends}
    return not results.runs or any(begun.number not in ended for begun in results.passes)


def find_warnings(results: Results, comparisons: tuple[ComparisonSummary, ...]) -> list[str]:
    """What a reader must know before believing the figures, each with what to do about it."""
    said = []
    # To go on would fail in the same way where a comparison has failed in all passes.
    lost = lost_comparisons(results)
    passes = min((each.passes for each in comparisons if each.comparison.id not in lost), default=None)
    wanted = 2 * FEW_PASSES * max((each.comparison.every for each in comparisons), default=1)
    if passes is None:
        pass
    elif passes < 2:
        said.append(
            f"{passes} pass{'' if passes == 1 else 'es'}: no interval can be given. "
            f"Go on with --resume --passes {wanted}."
        )
    elif passes < FEW_PASSES:
        said.append(
            f"Only {passes} passes visited some of this: intervals are wide, and effects of the layout of a "
            f"process are little sampled. For a decision go on with --resume --passes {wanted}."
        )
    told = [visit.telemetry for visit in results.visits]
    busy = [each.others for each in told if each.others is not None]
    if busy and float(numpy.median(busy)) > 0.05:
        said.append(
            f"Other processes used {100 * float(numpy.median(busy)):.0f} % of the machine's processor time "
            "while it was measured. Close what can be closed, and measure again."
        )
    stolen = [each.steal for each in told if each.steal is not None]
    if stolen and float(numpy.mean(stolen)) > 0.01:
        said.append(
            f"The host of this machine kept {100 * float(numpy.mean(stolen)):.1f} % of its processor time "
            "for others. Ratios hold, times are too long; a machine with processors of its own would help."
        )
    clocks = [each.frequency for each in told if each.frequency is not None]
    if clocks and min(clocks) < 0.8 * float(numpy.median(clocks)):
        said.append(
            f"The processor's clock fell to {min(clocks) / 1e9:.2g} GHz in some visits, from "
            f"{float(numpy.median(clocks)) / 1e9:.2g}: it is throttled or saves power. Set the governor to "
            "performance, or let it cool."
        )
    said.extend(device_warnings([visit for visit in results.visits if visit.telemetry.device is not None]))
    noisy = [each for each in comparisons if each.floor is not None and each.floor > 0.02]
    if noisy:
        worst = max(noisy, key=lambda each: each.floor or 0.0)
        said.append(
            f"In {len(noisy)} of {len(comparisons)} comparisons identical code may seem to differ by more "
            f"than 2 % (worst: {worst.comparison.id}, {format.difference(worst.floor)}). "
            "More passes narrow that: --resume --passes."
        )
    farthest = farthest_moved(comparisons)
    if farthest is not None:
        where, ratio = farthest
        count = sum(moved(each) is not None for each in comparisons)
        # Cold data make nothing faster.
        cause = (
            "cold data, which the methods share and keep warm for each other"
            if ratio.mean > 1
            else ("where the data lie")
        )
        said.append(
            f"In {count} of {len(comparisons)} comparisons identical code on memory of its own takes another "
            f"time (farthest: {where.comparison.id}, {format.ratio_with_ends(ratio)} times): that is "
            f"{cause}, and not the method."
        )
    if failures := failed(results):
        said.append(failures)
    said.extend(unfinished(results))
    for end in results.runs[-1:]:
        if end.asked is not None and (end.reached is None or end.reached > end.asked):
            got = "no interval" if end.reached is None else f"±{100 * end.reached:.2g} %"
            said.append(
                f"A precision of ±{100 * end.asked:.2g} % was asked for; {got} was reached when the "
                f"{end.reason} ended the run. Go on with --resume, the same --precision, a longer --budget."
            )
    return said


def unfinished(results: Results) -> Iterator[str]:
    """What did not come to its end: the file, or the run."""
    if results.cut_off:
        yield f"The last line of the results file is cut off ({results.cut_off} bytes); it was left out."
    if interrupted(results):
        yield "The run was interrupted; what had been measured is shown. Go on with --resume."


def device_warnings(visits: list[Visit]) -> Iterator[str]:
    """Of accelerators that were held back or shared, or whose clock fell: what was, and what would help."""
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
        if clocks and min(clocks) < 0.8 * float(numpy.median(clocks)):
            yield (
                f"The clock of {device} fell to {min(clocks) / 1e9:.2g} GHz in some visits, from "
                f"{float(numpy.median(clocks)) / 1e9:.2g}. Set it with nvidia-smi --lock-gpu-clocks."
            )
