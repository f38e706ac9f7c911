"""What was found, in sentences made from the figures. No sentence is written for a result it expects."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from gradbench import format
from gradbench.analyse.limit import find_limits
from gradbench.analyse.model import ComparisonSummary, Finding, RunSummary
from gradbench.analyse.phrases import (
    against,
    listed,
    peaks,
    range_of,
    ratios,
    ratios_between,
    seconds,
    slower_and_faster,
    span,
)
from gradbench.analyse.trust import agreement, floor, floor_of_parts


def essentials(summary: RunSummary) -> list[Finding]:
    """For a reader with a minute: the price in place, when it pays, what is kept, and the noise."""
    under_methods = [each for each in summary.comparisons if not each.comparison.alternatives]
    alone, in_place = alone_and_in_place(under_methods)
    breaking = [each for each in summary.comparisons if each.comparison.workload == "break_even"]
    asked = (_price(alone, in_place), _break_even(breaking), _memory(under_methods), floor(summary))
    return [found for found in asked if found is not None]


def alone_and_in_place(
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
    alone, in_place = alone_and_in_place(under_methods)
    asked = (
        _alone(alone),
        _price(alone, in_place),
        _recording(in_place),
        _break_even(by_workload["break_even"]),
        _inference_mode(whole),
        _memory(under_methods),
        *(_alternatives(each, summary) for each in summary.comparisons if each.comparison.headline),
        _memory_limit(by_workload["custom"]),
        floor(summary),
        floor_of_parts(summary),
        agreement(summary.comparisons),
    )
    return [found for found in asked if found is not None]


def _alone(comparisons: Sequence[ComparisonSummary]) -> Finding | None:
    """What the controls cost by themselves, and which of them grow with the tensor."""
    if not comparisons:
        return None
    first, last = comparisons[0], comparisons[-1]
    variants = sorted((variant for variant in first.methods if variant.time), key=seconds)
    if not variants:
        return None
    sentence = f"Alone, a control costs {range_of([seconds(variant) for variant in variants])} a call"
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
            parts.append(f"{what} is {span(rest)} times what it was")
        sizes = f"from {first.comparison.numel:,} to {last.comparison.numel:,} elements"
        sentence += f"; {sizes} {', '.join(parts)}" if parts else ""
    evidence = ", ".join(f"{variant.label} {format.seconds(seconds(variant))}" for variant in variants)
    return Finding(f"{sentence}.", f"At {first.comparison.numel:,} elements: {evidence}.")


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
    count_of = f"In {len(known)} of {count} comparisons a" if len(known) < count else "A"
    sentence = (
        f"{count_of} no_grad() block around work takes {span(ratios)} times as long as the same work with "
        "requires_grad_(False)"
    )
    bare = alone[0].variant("no_grad") if alone else None
    if bare is not None and bare.time is not None:
        added = [variant.extra.mean for _, variant in known if variant.extra and variant.verdict == "slower"]
        if added:
            sentence += (
                f": in place it adds {range_of(added)}, where an empty block alone costs "
                f"{format.seconds(bare.time.mean)}"
            )
    evidence = listed([(each, variant.ratio) for each, variant in known if variant.ratio])
    return Finding(f"{sentence}.", f"no_grad() ÷ requires_grad_(False): {evidence}.")


def _recording(in_place: Sequence[ComparisonSummary]) -> Finding | None:
    """Whether a block around this work is dearer than the recording that it saves."""
    found = ratios_between(in_place, "no_grad", "tracked")
    if not found:
        return None
    dearer, cheaper = slower_and_faster(found, "no_grad", "tracked")
    open_ = len(found) - len(dearer) - len(cheaper)
    sentence = (
        f"Against recording everything, a no_grad() block is slower in {len(dearer)} of {len(found)} "
        f"comparisons and faster in {len(cheaper)}"
    )
    if open_:
        sentence += f"; in {open_} the two are not told apart"
    return Finding(f"{sentence}.", f"no_grad() ÷ tracked: {listed(found)}.")


def _break_even(comparisons: Sequence[ComparisonSummary]) -> Finding | None:
    """From how many operations on a block is cheaper than recording."""
    numels = {each.comparison.numel for each in comparisons}
    smallest = [each for each in comparisons if each.comparison.numel == min(numels)]
    found = ratios_between(smallest, "no_grad", "tracked")
    if not found:
        return None
    slower, faster = slower_and_faster(found, "no_grad", "tracked")
    dearer = [int(each.comparison.part) for each in slower]
    cheaper = [int(each.comparison.part) for each in faster]
    parts = []
    if dearer:
        parts.append(f"dearer than recording them at up to {_operations(max(dearer))}")
    if cheaper:
        parts.append(f"cheaper from {_operations(min(cheaper))} on")
    if not parts:
        parts.append("not told apart from recording them")
    evidence = ", ".join(
        f"{format.ratio_with_ends(ratio)} at {each.comparison.part}" for each, ratio in found
    )
    return Finding(
        f"One no_grad() block around multiplications of {min(numels):,} elements is {' and '.join(parts)}.",
        f"no_grad() ÷ tracked, by the number of operations: {evidence}.",
    )


def _operations(count: int) -> str:
    return f"{count} operation{'' if count == 1 else 's'}"


def _alternatives(each: ComparisonSummary, summary: RunSummary) -> Finding | None:
    """What the alternatives of one workload cost against each other, at the largest measured size."""
    same = [
        other.comparison.numel
        for other in summary.comparisons
        if other.comparison.name == each.comparison.name
    ]
    comparison = against(each)
    if each.comparison.numel != max(same) or not comparison:
        return None
    sizes = [
        f"at {other.comparison.numel:,} elements {ratios(other)}"
        for other in summary.comparisons
        if other.comparison.name == each.comparison.name
    ]
    return Finding(
        f"Of {each.comparison.title}, {each.comparison.numel:,} elements, {comparison}.",
        f"Times relative to {each.comparison.baseline.label}: {'; '.join(sizes)}.",
    )


def _memory_limit(comparisons: Sequence[ComparisonSummary]) -> Finding | None:
    """How far each form of the fused Function is from what moving its bytes costs."""
    limits = find_limits(comparisons)
    if not limits:
        return None
    limit = max(
        limits, key=lambda each: (each.summary.comparison.numel, each.summary.comparison.part == "both")
    )
    each = limit.summary
    found = [
        (variant.label, distance)
        for variant in each.methods
        if (distance := limit.by_variant[variant.name].distance) is not None
    ]
    if not found:
        return None
    label, nearest = min(found, key=lambda pair: pair[1].mean)
    evidence = ", ".join(f"{label} {format.ratio_with_ends(ratio)}" for label, ratio in found)
    where = "from cache where they fit" if each.comparison.device == "cpu" else "in time of the device"
    return Finding(
        f"Nearest to what memory allows, in {each.comparison.title} at {each.comparison.numel:,} elements, "
        f"is {label}: {format.multiple(nearest)} times what copying as many bytes takes, {where}.",
        f"Times relative to {limit.copy.label}: {evidence}.",
    )


def _inference_mode(comparisons: Sequence[ComparisonSummary]) -> Finding | None:
    found = ratios_between(comparisons, "inference_mode", "no_grad")
    if not found:
        return None
    slower, faster = slower_and_faster(found, "inference_mode", "no_grad")
    means = [ratio.mean for _, ratio in found]
    return Finding(
        f"inference_mode() against no_grad(): faster in {len(faster)} of {len(found)} comparisons, slower in "
        f"{len(slower)}, not shown to differ in {len(found) - len(faster) - len(slower)}; its time is "
        f"{span(means)} times that of no_grad().",
        f"inference_mode() ÷ no_grad(): {listed(found)}.",
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
    place = f"{each.comparison.title} at {each.comparison.numel:,} elements"
    free = f"{format.size(variant.memory.graph)} would be free without the graph"
    saved = variant.memory.saved
    kept = f"{format.size(saved)} in {place}, of which {free}"
    if saved is None:
        kept = f"what is saved in {place} is not seen, and {free}"
    sentence = f"Only {', '.join(names)} {verb} memory for backward: {kept}"
    return Finding(f"{sentence}.", f"Peak of the same execution, by method: {peaks(each)}.")


def findings_of_methods(summary: RunSummary) -> list[Finding]:
    """The findings of a run, on each device where there are several."""
    if not summary.by_device:
        return findings(summary)
    return [
        replace(each, sentence=f"On {device}: {each.sentence}")
        for device, there in summary.by_device.items()
        for each in findings(there)
    ]
