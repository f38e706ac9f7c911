"""Parts of sentences that several findings share."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence

from gradbench import format
from gradbench.analyse.model import ComparisonSummary, VariantSummary
from gradbench.record.interval import Interval
from gradbench.record.visits import Memory

Ratios = Sequence[tuple[ComparisonSummary, Interval]]


# A verdict in a sentence.
VERDICTS = {
    "faster": "faster",
    "slower": "slower",
    "same": "the same within 1 %",
    "cannot tell": "no measurable difference",
}


def ratios(each: ComparisonSummary) -> str:
    """The ratios of a comparison to its baseline, with their intervals."""
    return ", ".join(
        f"{variant.label} {format.ratio_with_ends(variant.ratio)}"
        for variant in each.methods
        if variant.role == "method"
    )


def against(each: ComparisonSummary) -> str:
    """Which variants are faster or slower than the baseline, or the same; empty where none is known."""
    variants = [variant for variant in each.methods if variant.verdict in VERDICTS and variant.ratio]
    by_words = {
        words: ", ".join(
            f"{variant.label} ({format.multiple(variant.ratio)})"
            for variant in variants
            if variant.verdict == verdict
        )
        for verdict, words in VERDICTS.items()
    }
    listed = "; ".join(f"{words}: {names}" for words, names in by_words.items() if names)
    return f"against {each.comparison.baseline.label}: {listed}" if listed else ""


def peaks(each: ComparisonSummary) -> str:
    """The peaks of a comparison, lowest first, with the methods that reach them."""
    found = defaultdict(list)
    for variant in each.methods:
        if variant.memory is not None:
            found[variant.memory.peak].append(variant.label)
    return "; ".join(f"{format.size(peak)}: {', '.join(labels)}" for peak, labels in sorted(found.items()))


def memory_notes(each: ComparisonSummary) -> str:
    """Which bytes of a comparison a call does not need, and which bytes are not visible."""
    known = [(variant, variant.memory) for variant in each.methods if variant.memory is not None]
    sentences = [
        sentence.format(names=_names(labels, len(known)), size=format.size(size))
        for field, sentence in _NOTES.items()
        for size, labels in sorted(_by_size(known, field).items())
    ]
    threaded = [variant.label for variant, memory in known if (memory.threads or 1) > 1]
    if threaded:
        sentences.append(
            f"{_names(threaded, len(known))}: other threads work too, and their bytes count. The timing of "
            "the threads decides the peak."
        )
    unseen = [variant.label for variant, memory in known if memory.saved is None]
    if unseen:
        sentences.append(
            f"Saved bytes are not visible for {_names(unseen, len(known), '')}: it works under no "
            "saved-tensor hook."
        )
    return " ".join(sentences)


# By field of the record of memory.
_NOTES = {
    "standing": "{names}: peak and retained count {size} of gradients that the call before left.",
    "left": "{names}: each call leaves {size} that stay when its result is freed, as in a list.",
    "cycles": "{names}: {size} are in reference cycles, so only Python's collector frees them.",
}


def _by_size(known: Sequence[tuple[VariantSummary, Memory]], field: str) -> dict[int, list[str]]:
    """The labels of the variants by their bytes in a field of memory; 0 B is left out."""
    found: dict[int, list[str]] = defaultdict(list)
    for variant, memory in known:
        size = getattr(memory, field)
        if size is not None and size > 0:
            found[size].append(variant.label)
    return found


def _names(labels: Sequence[str], count: int, every: str = "All") -> str:
    """The labels; `All 3` where these are all variants."""
    if len(labels) == count > 1:
        return f"{every or 'all'} {count}"
    return ", ".join(labels)


def ratios_between(comparisons: Sequence[ComparisonSummary], one: str, other: str) -> Ratios:
    """The comparisons in which both variants were timed in two passes or more, with their ratio."""
    return [
        (each, ratio)
        for each in comparisons
        if (ratio := each.time_ratios.get((one, other))) is not None and ratio.low is not None
    ]


def listed(ratios: Ratios) -> str:
    """By workload: chain 1.41 (1.39 to 1.42) at 100 elements, 1.08 (1.07 to 1.08) at 10k."""
    by_workload: dict[str, list[str]] = defaultdict(list)
    for each, ratio in ratios:
        unit = "" if each.comparison.workload in by_workload else " elements"
        by_workload[each.comparison.workload].append(
            f"{format.ratio_with_ends(ratio)} at {format.count(each.comparison.numel)}{unit}"
        )
    return "; ".join(f"{workload} {', '.join(each)}" for workload, each in by_workload.items())


def seconds(variant: VariantSummary) -> float:
    """The time of a variant, to sort by: a variant without a time comes last."""
    return variant.time.mean if variant.time else math.inf


def slower_and_faster(
    found: Ratios, one: str, other: str
) -> tuple[list[ComparisonSummary], list[ComparisonSummary]]:
    """The comparisons that show one variant to be slower than the other, and those that show it faster."""
    slower = [each for each, _ in found if (one, other) in each.above]
    return slower, [each for each, _ in found if (other, one) in each.above]


def span(values: Sequence[float]) -> str:
    """From the least to the greatest, as multiples."""
    low, high = format.significant(min(values)), format.significant(max(values))
    return low if low == high else f"{low} to {high}"


def range_of(seconds: Sequence[float]) -> str:
    """From the least to the greatest, as times."""
    low, high = format.seconds(min(seconds)), format.seconds(max(seconds))
    return low if low == high else f"{low} to {high}"
