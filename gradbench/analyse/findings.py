"""Findings in sentences, made from the figures. No sentence expects a result."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from gradbench import format
from gradbench.analyse.limit import find_limits
from gradbench.analyse.model import ComparisonSummary, Finding, RunSummary
from gradbench.analyse.phrases import (
    Ratios,
    listed,
    peaks,
    range_of,
    ratios_between,
    seconds,
    slower_and_faster,
    span,
)
from gradbench.record.visits import Memory


def alone_and_in_place(
    under_methods: Sequence[ComparisonSummary],
) -> tuple[list[ComparisonSummary], list[ComparisonSummary]]:
    """The workloads without parts: first those without work, then those with work."""
    whole = [each for each in under_methods if not each.comparison.part]
    alone = [each for each in whole if each.comparison.workload == "control"]
    return alone, [each for each in whole if each.comparison.workload != "control"]


def findings(summary: RunSummary) -> list[Finding]:
    """The findings, the most general first; a finding without figures is left out."""
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
        _memory_limit(by_workload["custom"]),
    )
    return [found for found in asked if found is not None]


def _alone(comparisons: Sequence[ComparisonSummary]) -> Finding | None:
    """The cost of the controls alone, and which costs grow with the tensor."""
    if not comparisons:
        return None
    first, last = comparisons[0], comparisons[-1]
    variants = sorted((variant for variant in first.methods if variant.time), key=seconds)
    if not variants:
        return None
    sentence = f"Alone, a control costs {range_of([seconds(variant) for variant in variants])} a call."
    growing = figure = ""
    if first is not last:
        growth = [
            (variant.label, later.time.mean / variant.time.mean)
            for variant in variants
            if variant.time and (later := last.variant(variant.name)) is not None and later.time is not None
        ]
        # The machine drifts between visits, so only a growth well beyond that drift counts.
        grown = [label for label, times in growth if times > 3]
        if growth:
            verb = "grows" if len(grown) == 1 else "grow"
            figure = f"{len(grown)} of {len(growth)} {verb} with the tensor"
            sizes = f"from {first.comparison.numel:,} to {format.counted(last.comparison.numel, 'element')}"
            listed_ = ", ".join(f"{label} {format.significant(times)} times" for label, times in growth)
            growing = f" Growth {sizes}: {listed_}."
        if len(grown) == 1:
            figure = f"{grown[0]} grows with the tensor"
    evidence = ", ".join(f"{variant.label} {format.seconds(seconds(variant))}" for variant in variants)
    return Finding(
        sentence,
        f"At {format.counted(first.comparison.numel, 'element')}: {evidence}.{growing}",
        figure,
        "cost",
    )


def _price(alone: Sequence[ComparisonSummary], in_place: Sequence[ComparisonSummary]) -> Finding | None:
    """The time that no_grad() adds to work that is untracked anyway: users pay that price."""
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
    sentence = f"Work inside a no_grad() block takes {span(ratios)} times as long as with cleared flags."
    added = [variant.extra.mean for _, variant in known if variant.extra and variant.verdict == "slower"]
    figure = f"adds {range_of(added)}" if added else ""
    bare = alone[0].variant("no_grad") if alone else None
    empty = ""
    if bare is not None and bare.time is not None:
        empty = f" An empty block costs {format.seconds(bare.time.mean)}."
    evidence = listed([(each, variant.ratio) for each, variant in known if variant.ratio])
    return Finding(sentence, f"no_grad() ÷ requires_grad_(False): {evidence}.{empty}", figure, "cost")


def _recording(in_place: Sequence[ComparisonSummary]) -> Finding | None:
    """Whether a block around this work costs more time than the recording that it saves."""
    found = ratios_between(in_place, "no_grad", "tracked")
    if not found:
        return None
    return Finding(
        f"A no_grad() block against recording: {_counts(found, 'no_grad', 'tracked')}.",
        f"no_grad() ÷ recording: {listed(found)}.",
        f"{span([ratio.mean for _, ratio in found])} times",
        "cost",
    )


def _counts(found: Ratios, one: str, other: str) -> str:
    """In how many comparisons the first variant is faster, slower or the same, and how many are open."""
    slower, faster = slower_and_faster(found, one, other)
    same = [
        ratio
        for each, ratio in found
        if each not in slower
        and each not in faster
        and (ratio.low or 0) >= 0.99
        and (ratio.high or 2) <= 1.01
    ]
    open_ = len(found) - len(slower) - len(faster) - len(same)
    counts = [("faster", len(faster)), ("slower", len(slower)), ("the same", len(same)), ("open", open_)]
    shown = ", ".join(f"{word} in {count}" for word, count in counts if count)
    return f"{shown} of {format.counted(len(found), 'comparison')}"


def _break_even(comparisons: Sequence[ComparisonSummary]) -> Finding | None:
    """From how many operations on a block is faster than recording."""
    numels = {each.comparison.numel for each in comparisons}
    smallest = [each for each in comparisons if each.comparison.numel == min(numels)]
    found = ratios_between(smallest, "no_grad", "tracked")
    if not found:
        return None
    slower, faster = slower_and_faster(found, "no_grad", "tracked")
    longer = [int(each.comparison.part) for each in slower]
    shorter = [int(each.comparison.part) for each in faster]
    parts = []
    # A pattern that turns more than once has no single number of operations.
    turns_once = not longer or not shorter or max(longer) < min(shorter)
    if turns_once and longer:
        parts.append(f"slower than recording up to {format.counted(max(longer), 'operation')}")
    if turns_once and shorter:
        parts.append(f"faster from {format.counted(min(shorter), 'operation')} on")
    numel = format.counted(min(numels), "element")
    if parts:
        sentence = f"One no_grad() block around operations on {numel} is {' and '.join(parts)}."
    else:
        counts = _counts(found, "no_grad", "tracked")
        sentence = f"One no_grad() block around operations on {numel}, against recording: {counts}."
    evidence = ", ".join(
        f"{format.ratio_with_ends(ratio)} at {each.comparison.part}" for each, ratio in found
    )
    return Finding(
        sentence,
        f"no_grad() ÷ recording, by the number of operations: {evidence}.",
        f"{span([ratio.mean for _, ratio in found])} times",
        "cost",
    )


def _memory_limit(comparisons: Sequence[ComparisonSummary]) -> Finding | None:
    """How far each form of the fused Function is from a copy that moves as many bytes."""
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
    where = "from cache where they fit" if each.comparison.device == "cpu" else "in the device's time"
    return Finding(
        f"In {each.comparison.title.partition(':')[0]}, {label} comes nearest to the limit of memory.",
        f"Times relative to {limit.copy.label}, {where}, in {each.comparison.title} at "
        f"{format.counted(each.comparison.numel, 'element')}: {evidence}.",
        f"{format.multiple(nearest)} times a copy",
        "functions",
    )


def _inference_mode(comparisons: Sequence[ComparisonSummary]) -> Finding | None:
    found = ratios_between(comparisons, "inference_mode", "no_grad")
    if not found:
        return None
    return Finding(
        f"inference_mode() against no_grad(): {_counts(found, 'inference_mode', 'no_grad')}.",
        f"inference_mode() ÷ no_grad(): {listed(found)}.",
        f"{span([ratio.mean for _, ratio in found])} times",
        "evaluate",
    )


def _memory(comparisons: Sequence[ComparisonSummary]) -> Finding | None:
    """Which methods keep storages for the backward, and the most that one keeps."""
    known = [
        (each, variant) for each in comparisons for variant in each.methods if variant.memory is not None
    ]
    if not known:
        return None
    keeping = [
        (each, variant) for each, variant in known if variant.memory is not None and _kept(variant.memory)
    ]
    if not keeping:
        return Finding(
            "No method keeps memory for the backward in these comparisons.",
            "The graph saves 0 B and holds 0 B in all comparisons.",
            "0 B",
            "memory",
        )
    names = sorted({variant.label for _, variant in keeping})
    each, variant = max(keeping, key=lambda pair: _kept(pair[1].memory) if pair[1].memory else 0)
    assert variant.memory is not None
    saved = variant.memory.saved
    place = f"{each.comparison.title} at {format.counted(each.comparison.numel, 'element')}"
    seen = f"the graph saves {format.size(saved)}" if saved is not None else "saved bytes are not visible"
    return Finding(
        f"Only {', '.join(names)} keep{'s' if len(names) == 1 else ''} memory for the backward.",
        f"In {place}: {seen}, and the graph holds {format.size(variant.memory.graph)}. "
        f"Peak of that execution, by method: {peaks(each)}.",
        f"{format.size(_kept(variant.memory))} in {each.comparison.name}",
        "memory",
    )


def _kept(memory: Memory) -> int:
    """Bytes kept for the backward: saved storages, or those of the graph where saved ones are not visible."""
    return memory.graph if memory.saved is None else memory.saved


def findings_of_methods(summary: RunSummary) -> list[Finding]:
    """The findings of a run; for every device where there are several."""
    if not summary.by_device:
        return findings(summary)
    return [
        replace(each, sentence=f"On {device}: {each.sentence}")
        for device, there in summary.by_device.items()
        for each in findings(there)
    ]
