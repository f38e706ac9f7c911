"""What was found, in sentences made from the figures. No sentence is written for a result it expects."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy

from gradbench import format
from gradbench.analyse.limit import distance, limited
from gradbench.analyse.model import ComparisonSummary, RunSummary, VariantSummary
from gradbench.analyse.summary import between
from gradbench.analyse.twins import farthest_moved, parts_apart
from gradbench.define.workloads.workload import COPY
from gradbench.record.interval import Interval


@dataclass(frozen=True)
class Finding:
    """One thing that the figures say: the sentence, and the figures that it stands on."""

    sentence: str
    evidence: str


def essentials(summary: RunSummary) -> list[Finding]:
    """For a reader with a minute: the price in place, when it pays, what is kept, and the noise."""
    under_methods = [each for each in summary.comparisons if not each.comparison.alternatives]
    alone, in_place = _alone_and_in_place(under_methods)
    breaking = [each for each in summary.comparisons if each.comparison.workload == "break_even"]
    asked = (_price(alone, in_place), _break_even(breaking), _memory(under_methods), floor(summary))
    return [found for found in asked if found is not None]


def _alone_and_in_place(
    under_methods: Sequence[ComparisonSummary],
) -> tuple[list[ComparisonSummary], list[ComparisonSummary]]:
    """The workloads that are no parts: without work, and with."""
    whole = [each for each in under_methods if not each.comparison.part]
    alone = [each for each in whole if each.comparison.workload == "control"]
    return alone, [each for each in whole if each.comparison.workload != "control"]


def findings(summary: RunSummary) -> list[Finding]:
    """The findings, the most general first; those whose figures are not there are left out."""
    by_workload: dict[str, list[ComparisonSummary]] = defaultdict(list)
    for each in summary.comparisons:
        by_workload[each.comparison.workload].append(each)
    under_methods = [each for each in summary.comparisons if not each.comparison.alternatives]
    whole = [each for each in under_methods if not each.comparison.part]
    alone, in_place = _alone_and_in_place(under_methods)
    asked: list[Callable[[], Finding | None]] = [
        lambda: _alone(alone),
        lambda: _price(alone, in_place),
        lambda: _recording(in_place),
        lambda: _break_even(by_workload["break_even"]),
        lambda: _inference_mode(whole),
        lambda: _memory(under_methods),
        *(partial(_alternatives, each, summary) for each in summary.comparisons if each.comparison.headline),
        lambda: _memory_limit(by_workload["custom"]),
        lambda: floor(summary),
        lambda: _parts_floor(summary),
        lambda: _agreement(summary.comparisons),
    ]
    return [found for ask in asked if (found := ask()) is not None]


def _alone(comparisons: Sequence[ComparisonSummary]) -> Finding | None:
    """What the controls cost by themselves, and which of them grow with the tensor."""
    if not comparisons:
        return None
    first, last = comparisons[0], comparisons[-1]
    variants = sorted((variant for variant in first.methods if variant.time), key=seconds)
    if not variants:
        return None
    sentence = f"Alone, a control costs {_range([seconds(variant) for variant in variants])} a call"
    if first is not last:
        growth = [
            (variant.label, later.time.mean / variant.time.mean)
            for variant in variants
            if variant.time and (later := last.variant(variant.name)) is not None and later.time is not None
        ]
        # The machine drifts between visits, so only a growth well beyond its drift counts as one.
        memory = [(label, times) for label, times in growth if times > 3]
        rest = [times for _, times in growth if times <= 3]
        parts = []
        if memory:
            names = ", ".join(f"{label} ({format.significant(times, 2)} times)" for label, times in memory)
            parts.append(f"the cost of {names} grows")
        if rest:
            what = f"that of the {len(rest)} others" if memory else f"the cost of these {len(rest)}"
            parts.append(f"{what} is {_span(rest)} times what it was")
        span = f"from {first.comparison.numel:,} to {last.comparison.numel:,} elements"
        sentence += f"; {span} {', '.join(parts)}" if parts else ""
    listed = ", ".join(f"{variant.label} {format.seconds(seconds(variant))}" for variant in variants)
    return Finding(f"{sentence}.", f"At {first.comparison.numel:,} elements: {listed}.")


def _price(alone: Sequence[ComparisonSummary], in_place: Sequence[ComparisonSummary]) -> Finding | None:
    """What no_grad() adds to work that is untracked anyway: the price that users pay."""
    known = [
        (each, variant)
        for each in in_place
        if (variant := each.variant("no_grad")) is not None
        and variant.extra
        and variant.ratio
        and variant.verdict in ("slower", "faster", "same")
    ]
    if not known:
        return None
    ratios = [variant.ratio.mean for _, variant in known if variant.ratio]
    count = len(in_place)
    told = f"In {len(known)} of {count} comparisons a" if len(known) < count else "A"
    sentence = (
        f"{told} no_grad() block around work takes {_span(ratios)} times as long as the same work with "
        "requires_grad_(False)"
    )
    bare = alone[0].variant("no_grad") if alone else None
    if bare is not None and bare.time is not None:
        added = [variant.extra.mean for _, variant in known if variant.extra and variant.verdict == "slower"]
        if added:
            sentence += (
                f": in place it adds {_range(added)}, where an empty block alone costs "
                f"{format.seconds(bare.time.mean)}"
            )
    listed = _listed([(each, variant.ratio) for each, variant in known if variant.ratio])
    return Finding(f"{sentence}.", f"no_grad() ÷ requires_grad_(False): {listed}.")


def _recording(in_place: Sequence[ComparisonSummary]) -> Finding | None:
    """Whether a block around this work is dearer than the recording that it saves."""
    found = [
        (each, ratio)
        for each in in_place
        if (ratio := between(each, "no_grad", "tracked")) is not None and ratio.low is not None
    ]
    if not found:
        return None
    dearer, cheaper = told_apart(found, "no_grad", "tracked")
    open_ = len(found) - len(dearer) - len(cheaper)
    sentence = (
        f"Against recording everything, a no_grad() block is slower in {len(dearer)} of {len(found)} "
        f"comparisons and faster in {len(cheaper)}"
    )
    if open_:
        sentence += f"; in {open_} the two are not told apart"
    return Finding(f"{sentence}.", f"no_grad() ÷ tracked: {_listed(found)}.")


def _break_even(comparisons: Sequence[ComparisonSummary]) -> Finding | None:
    """From how many operations on a block is cheaper than recording."""
    numels = {each.comparison.numel for each in comparisons}
    found = [
        (each, ratio)
        for each in comparisons
        if each.comparison.numel == min(numels)
        and (ratio := between(each, "no_grad", "tracked")) is not None
        and ratio.low is not None
    ]
    if not found:
        return None
    slower, faster = told_apart(found, "no_grad", "tracked")
    dearer = [int(each.comparison.part) for each in slower]
    cheaper = [int(each.comparison.part) for each in faster]
    parts = []
    if dearer:
        parts.append(f"dearer than recording them at up to {_operations(max(dearer))}")
    if cheaper:
        parts.append(f"cheaper from {_operations(min(cheaper))} on")
    if not parts:
        parts.append("not told apart from recording them")
    listed = ", ".join(f"{format.ratio_with_ends(ratio)} at {each.comparison.part}" for each, ratio in found)
    return Finding(
        f"One no_grad() block around multiplications of {min(numels):,} elements is {' and '.join(parts)}.",
        f"no_grad() ÷ tracked, by the number of operations: {listed}.",
    )


def _operations(count: int) -> str:
    return f"{count} operation{'' if count == 1 else 's'}"


# A verdict in a sentence.
WORDS = {
    "faster": "faster",
    "slower": "slower",
    "same": "the same within 1 %",
    "cannot tell": "not told apart",
}


def _alternatives(each: ComparisonSummary, summary: RunSummary) -> Finding | None:
    """What the alternatives of one workload cost against each other, at the largest measured size."""
    same = [
        other.comparison.numel
        for other in summary.comparisons
        if other.comparison.name == each.comparison.name
    ]
    told = against(each)
    if each.comparison.numel != max(same) or not told:
        return None
    sizes = [
        f"at {other.comparison.numel:,} elements {ratios(other)}"
        for other in summary.comparisons
        if other.comparison.name == each.comparison.name
    ]
    return Finding(
        f"Of {each.comparison.title}, {each.comparison.numel:,} elements, {told}.",
        f"Times relative to {each.comparison.baseline.label}: {'; '.join(sizes)}.",
    )


def ratios(each: ComparisonSummary) -> str:
    """The ratios of a comparison to its baseline, with their intervals."""
    return ", ".join(
        f"{variant.label} {format.ratio_with_ends(variant.ratio)}"
        for variant in each.methods
        if variant.role == "method"
    )


def against(each: ComparisonSummary) -> str:
    """Which variants are faster or slower than the baseline, or the same; empty where none is known."""
    variants = [variant for variant in each.methods if variant.verdict in WORDS and variant.ratio]
    told = {
        words: ", ".join(
            f"{variant.label} ({format.multiple(variant.ratio)})"
            for variant in variants
            if variant.verdict == verdict
        )
        for verdict, words in WORDS.items()
    }
    listed = "; ".join(f"{words}: {names}" for words, names in told.items() if names)
    return f"against {each.comparison.baseline.label}: {listed}" if listed else ""


def _memory_limit(comparisons: Sequence[ComparisonSummary]) -> Finding | None:
    """How far each form of the fused Function is from what moving its bytes costs."""
    known = limited(comparisons)
    if not known:
        return None
    each = max(known, key=lambda each: (each.comparison.numel, each.comparison.part == "both"))
    found = [
        (variant.label, ratio)
        for variant in each.methods
        if variant.name != COPY and (ratio := distance(each, variant.name)) is not None
    ]
    if not found:
        return None
    label, nearest = min(found, key=lambda pair: pair[1].mean)
    copy = each.variant(COPY)
    assert copy is not None
    evidence = ", ".join(f"{label} {format.ratio_with_ends(ratio)}" for label, ratio in found)
    where = "from cache where they fit" if each.comparison.device == "cpu" else "in time of the device"
    return Finding(
        f"Nearest to what memory allows, in {each.comparison.title} at {each.comparison.numel:,} elements, "
        f"is {label}: {format.multiple(nearest)} times what copying as many bytes takes, {where}.",
        f"Times relative to {copy.label}: {evidence}.",
    )


def _inference_mode(comparisons: Sequence[ComparisonSummary]) -> Finding | None:
    found = [
        (each, ratio)
        for each in comparisons
        if (ratio := between(each, "inference_mode", "no_grad")) is not None and ratio.low is not None
    ]
    if not found:
        return None
    slower, faster = told_apart(found, "inference_mode", "no_grad")
    means = [ratio.mean for _, ratio in found]
    return Finding(
        f"inference_mode() against no_grad(): faster in {len(faster)} of {len(found)} comparisons, slower in "
        f"{len(slower)}, not shown to differ in {len(found) - len(faster) - len(slower)}; its time is "
        f"{_span(means)} times that of no_grad().",
        f"inference_mode() ÷ no_grad(): {_listed(found)}.",
    )


def _memory(comparisons: Sequence[ComparisonSummary]) -> Finding | None:
    """Who keeps storages for backward, and what that is at its largest."""
    known = [
        (each, variant) for each in comparisons for variant in each.methods if variant.memory is not None
    ]
    if not known:
        return None
    keeping = [
        (each, variant)
        for each, variant in known
        if variant.memory is not None and (variant.memory.saved or variant.memory.graph)
    ]
    if not keeping:
        return Finding(
            "No method keeps memory for backward in these comparisons.",
            "Saved bytes, and bytes held by the graph, are 0 in all.",
        )
    names = sorted({variant.label for _, variant in keeping})
    each, variant = max(keeping, key=lambda pair: pair[1].memory.graph if pair[1].memory else 0)
    assert variant.memory is not None
    verb = "keeps" if len(names) == 1 else "keep"
    sentence = (
        f"Only {', '.join(names)} {verb} memory for backward: {format.size(variant.memory.saved)} in "
        f"{each.comparison.title} at {each.comparison.numel:,} elements, of which "
        f"{format.size(variant.memory.graph)} would be free without the graph"
    )
    return Finding(f"{sentence}.", f"Peak of the same execution, by method: {peaks(each)}.")


def peaks(each: ComparisonSummary) -> str:
    """The peaks of a comparison, lowest first, each with the methods that have it."""
    found = defaultdict(list)
    for variant in each.methods:
        if variant.memory is not None:
            found[variant.memory.peak].append(variant.label)
    return "; ".join(f"{format.size(peak)}: {', '.join(labels)}" for peak, labels in sorted(found.items()))


def floor(summary: RunSummary) -> Finding | None:
    """What identical code came out different by."""
    if not summary.twins:
        return None
    visible = [each.visible for each in summary.comparisons if each.visible is not None]
    within = sum(twin <= 0.003 for twin in summary.twins)
    evidence = f"{within} of the {len(summary.twins)} twins are within 0.3 % of 1."
    if visible:
        evidence += (
            f" A method that differs by {format.difference(float(numpy.median(visible)))} would be "
            f"called slower in four of five runs of {summary.passes} passes, in the median comparison."
        )
    farthest = farthest_moved(summary.comparisons)
    if farthest is not None:
        where, ratio = farthest
        cold = ", which is cold," if ratio.mean > 1 else ""
        evidence += (
            f" On a buffer of its own{cold} the same code takes {format.ratio_with_ends(ratio)} times as "
            f"long at the farthest, in {where.comparison.id}: no method's doing, and in no verdict."
        )
    return Finding(
        f"How far to trust this: the same code, entered twice in each of {len(summary.twins)} comparisons, "
        f"came out different by {format.percent(float(numpy.median(summary.twins)))} in the median and "
        f"{format.percent(max(summary.twins))} at worst.",
        evidence,
    )


def _parts_floor(summary: RunSummary) -> Finding | None:
    """What identical code came out different by in the host's and in the device's time, on an accelerator."""
    parts = parts_apart(summary.comparisons)
    told = {f"the {name}'s": apart for name, apart in parts.items() if apart}
    if not told:
        return None
    said = "; ".join(
        f"{name} time by {format.percent(float(numpy.median(apart)))} in the median and "
        f"{format.percent(max(apart))} at worst"
        for name, apart in told.items()
    )
    within = ", ".join(
        f"{sum(each <= 0.003 for each in apart)} of {len(apart)} of {name}" for name, apart in told.items()
    )
    return Finding(f"The same code, taken apart: {said}.", f"Within 0.3 % of 1: {within}.")


# A kernel that is shorter is little against what lies between two, which the profiler leaves out.
_LONG_KERNELS = 20e-6


def _agreement(comparisons: Sequence[ComparisonSummary]) -> Finding | None:
    """Whether the device's time by events is what the profiler sees its kernels take."""
    found = [
        (variant.device.mean / seen.seconds, seen.count, f"{each.comparison.id}, {variant.name}")
        for each in comparisons
        for variant in each.methods
        if variant.device is not None
        and (seen := variant.kernels) is not None
        and seen.count
        and seen.seconds / seen.count > _LONG_KERNELS
    ]
    if not found:
        return None
    apart = [abs(ratio - 1) for ratio, *_ in found]
    worst, kernels, where = max(found, key=lambda each: abs(each[0] - 1))
    within = sum(difference <= 0.03 for difference in apart)
    return Finding(
        f"Two clocks of the device: in {len(found)} variants whose kernels take more than "
        f"{format.seconds(_LONG_KERNELS)} each, its time by events is that of the kernels by the profiler "
        f"within {format.percent(float(numpy.median(apart)))} in the median, and "
        f"{format.percent(max(apart))} at worst.",
        f"Within 3 %: {within} of {len(found)}. The worst is {format.significant(worst)} times, of {kernels} "
        f"kernel{'' if kernels == 1 else 's'}, in {where}. Events see what lies between kernels as well.",
    )


def _listed(ratios: Sequence[tuple[ComparisonSummary, Interval]]) -> str:
    """By workload: chain 1.41 (1.39 to 1.42) at 100 elements, 1.08 (1.07 to 1.08) at 10k."""
    by_workload: dict[str, list[str]] = defaultdict(list)
    for each, ratio in ratios:
        unit = "" if each.comparison.workload in by_workload else " elements"
        by_workload[each.comparison.workload].append(
            f"{format.ratio_with_ends(ratio)} at {format.count(each.comparison.numel)}{unit}"
        )
    return "; ".join(f"{workload} {', '.join(each)}" for workload, each in by_workload.items())


def seconds(variant: VariantSummary) -> float:
    """The time of a variant, to sort by: what has none comes last."""
    return variant.time.mean if variant.time else math.inf


def told_apart(
    found: Sequence[tuple[ComparisonSummary, Interval]], one: str, other: str
) -> tuple[list[ComparisonSummary], list[ComparisonSummary]]:
    """The comparisons in which one variant is shown to be slower than the other, and faster."""
    slower = [each for each, _ in found if (one, other) in each.above]
    return slower, [each for each, _ in found if (other, one) in each.above]


def _span(values: Sequence[float]) -> str:
    low, high = format.significant(min(values)), format.significant(max(values))
    return low if low == high else f"{low} to {high}"


def _range(seconds: Sequence[float]) -> str:
    low, high = format.seconds(min(seconds)), format.seconds(max(seconds))
    return low if low == high else f"{low} to {high}"
