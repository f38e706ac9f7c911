"""The answer of a run on one screen: a sentence, a recommendation for every purpose, and its trust."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gradbench import format
from gradbench.analyse.findings import findings_of_methods
from gradbench.analyse.model import ComparisonSummary, RunSummary, VariantSummary
from gradbench.analyse.phrases import seconds
from gradbench.analyse.purposes import FIRST_SCREEN, MATTERS, NO_GRAD_METHODS, PURPOSES, Purpose
from gradbench.analyse.trust import Trust, trust
from gradbench.record.interval import Interval
from gradbench.record.plan import Comparison

# A ratio whose interval stays within this of 1 counts as about the same.
_ABOUT = 0.05

# A peak that is higher by more than this decides where times tie. A phone shows a larger gain in time.
_MUCH = 0.1


@dataclass(frozen=True)
class Recommendation:
    """The variant to use for a purpose, from one comparison.

    Attributes:
        purpose: the reader's purpose.
        topic: the preset of the page that it belongs to; empty for none.
        use: the label of the one variant that the run recommends.
        gain: the time and bytes that the variant saves, compared with `against`.
        short: the gain in a few words, for a phone.
        choice: which variants tie with it and how to choose, or how far the next one is behind.
        against: the label of the variant that readers use without advice.
        comparison: the comparison with these figures.
    """

    purpose: str
    topic: str
    use: str
    gain: str
    short: str
    choice: str
    against: str
    comparison: Comparison


@dataclass(frozen=True)
class RunAnswer:
    """The first screen of a run of methods.

    Attributes:
        sentence: the answer; one or two short sentences.
        device: the device with these figures, where a run has several devices; empty otherwise.
        recommendations: those of the first screen, at most four.
        others: the recommendations for all purposes and sizes.
        trust: how far to trust the run.
    """

    sentence: str
    device: str
    recommendations: tuple[Recommendation, ...]
    others: tuple[Recommendation, ...]
    trust: Trust


def answer(summary: RunSummary) -> RunAnswer | None:
    """The answer of a run of methods; None where nothing was timed."""
    if not summary.passes:
        return None
    # A user who measured a GPU asks about the GPU.
    device = next((each for each in summary.devices if each != "cpu"), summary.devices[0])
    there = summary.by_device.get(device, summary)
    sentence = _sentence(there)
    if not sentence:
        return None
    every = tuple(found for each in summary.comparisons if (found := recommend(each, summary)) is not None)
    on_device = [each for each in every if each.comparison.device == device]
    return RunAnswer(
        sentence=sentence,
        device=device if summary.by_device else "",
        recommendations=tuple(_first_screen(on_device)),
        others=every,
        trust=trust(summary),
    )


def _first_screen(found: Sequence[Recommendation]) -> list[Recommendation]:
    """A recommendation for every first purpose, at the most elements; others fill the gaps."""
    largest: dict[str, Recommendation] = {}
    for each in found:
        known = largest.get(each.purpose)
        if known is None or each.comparison.numel > known.comparison.numel:
            largest[each.purpose] = each
    first = [largest[asks] for name in FIRST_SCREEN if (asks := PURPOSES[name].asks) in largest]
    others = [each for each in largest.values() if each not in first]
    return [*first, *others][: len(FIRST_SCREEN)]


def recommend(each: ComparisonSummary, summary: RunSummary) -> Recommendation | None:
    """The one variant to use in a comparison; None where it serves no purpose or nothing was timed.

    Variants tie that are not shown to be slower than the fastest by more than MATTERS. Of those that do not
    hold much more memory than another, the run recommends the one that the purpose prefers. It never
    recommends a variant that gives wrong gradients.
    """
    purpose = PURPOSES.get(each.comparison.workload) or _unlisted(each.comparison)
    if purpose is None or (purpose.part and each.comparison.part != purpose.part):
        return None
    unsafe = _unsafe(summary)
    candidates = [
        variant
        for variant in each.methods
        if variant.definition.recommendable and variant.time and variant.name not in unsafe
    ]
    if len(candidates) < 2:
        return None
    fastest = min(candidates, key=seconds)
    tied = [variant for variant in candidates if not _behind(each, variant, fastest)]
    light = [variant for variant in tied if not any(_holds_more(variant, other) for other in tied)]
    chosen = min(light, key=lambda variant: (purpose.place(variant.name), seconds(variant)))
    against = _against(each, chosen, purpose)
    words = purpose.against_words if against.name == purpose.against else against.label
    return Recommendation(
        purpose=purpose.asks,
        topic=purpose.topic,
        use=chosen.label,
        gain=_gain(each, chosen, against, words),
        short=_short(each, chosen, against),
        choice=_choice(each, chosen, tied, candidates, purpose),
        against=words,
        comparison=each.comparison,
    )


def _unlisted(comparison: Comparison) -> Purpose | None:
    """The purpose of a workload that an extension brings: it prefers nothing."""
    return Purpose(comparison.purpose, "", {}) if comparison.purpose else None


def _unsafe(summary: RunSummary) -> set[str]:
    """The methods that a probe saw give a wrong gradient without an error."""
    return {
        each.method
        for each in summary.results.observations
        if each.trait == "write" and each.observed.get("wrong_gradient") is True
    }


def _ratio(each: ComparisonSummary, one: VariantSummary, other: VariantSummary) -> Interval | None:
    return each.time_ratios.get((one.name, other.name))


def _behind(each: ComparisonSummary, variant: VariantSummary, fastest: VariantSummary) -> bool:
    """Whether a variant is shown to be slower by more than MATTERS; without an interval, by its mean."""
    ratio = _ratio(each, variant, fastest)
    if variant is fastest or ratio is None:
        return False
    return (ratio.low if ratio.low is not None else ratio.mean) > 1 + MATTERS


def _against(each: ComparisonSummary, chosen: VariantSummary, purpose: Purpose) -> VariantSummary:
    """The variant without advice: the one that the purpose names, recording, the baseline, or the slowest."""
    timed = [variant for variant in each.methods if variant.time and not variant.definition.limit]
    for name in (purpose.against, "tracked", each.baseline.name):
        found = next((variant for variant in timed if variant.name == name), None)
        if found is not None and found is not chosen:
            return found
    return max(timed, key=seconds)


def _gain(each: ComparisonSummary, chosen: VariantSummary, against: VariantSummary, words: str) -> str:
    parts = [_time_gain(each, chosen, against, words), _memory_gain(chosen, against)]
    return ", ".join(part for part in parts if part)


def _short(each: ComparisonSummary, chosen: VariantSummary, against: VariantSummary) -> str:
    """The gain in a few words: in time where that matters, else in bytes; empty for neither."""
    ratio = _ratio(each, against, chosen)
    peaks = [variant.memory.peak for variant in (against, chosen) if variant.memory is not None]
    before, after = peaks if len(peaks) == 2 else (None, None)
    saved = 1 - after / before if before and after is not None else 0.0
    faster = ratio is not None and (against.name, chosen.name) in each.above
    if ratio is not None and faster and ratio.mean > 1 + _MUCH:
        return f"{format.significant(ratio.mean)} times as fast"
    return f"{format.significant(100 * saved, 2)} % less memory" if saved > 0 else ""


def _time_gain(each: ComparisonSummary, chosen: VariantSummary, against: VariantSummary, words: str) -> str:
    ratio = _ratio(each, against, chosen)
    if ratio is None:
        return ""
    if ratio.low is None or ratio.high is None:
        return f"about {format.multiple(ratio)} times as fast as {words} (one pass, no interval)"
    ends = _ends(ratio.low, ratio.high)
    if (against.name, chosen.name) in each.above:
        return f"{format.significant(ratio.mean)} times as fast as {words} ({ends})"
    if (chosen.name, against.name) in each.above:
        return f"{format.significant(1 / ratio.mean)} times as long as {words}"
    if ratio.low >= 1 / (1 + _ABOUT) and ratio.high <= 1 + _ABOUT:
        return f"about as fast as {words} ({ends})"
    return f"no measurable time difference to {words} ({ends})"


def _ends(low: float, high: float) -> str:
    ends = (format.significant(low), format.significant(high))
    return ends[0] if ends[0] == ends[1] else " to ".join(ends)


def _memory_gain(chosen: VariantSummary, against: VariantSummary) -> str:
    if chosen.memory is None or against.memory is None:
        return ""
    before, after = against.memory.peak, chosen.memory.peak
    if before is None or after is None or not before or before == after:
        return ""
    if not after:
        return f"0 B at the peak instead of {format.size(before)}"
    share = f"{format.significant(100 * abs(after - before) / before, 2)} %"
    if share == "100 %" and after < before:
        return f"{format.size(after)} at the peak instead of {format.size(before)}"
    ends = f"{format.size(before)} → {format.size(after)}"
    return f"{share} {'less' if after < before else 'more'} peak memory ({ends})"


def _holds_more(variant: VariantSummary, other: VariantSummary) -> bool:
    """Whether memory decides against a variant that ties in time with another."""
    if variant.memory is None or other.memory is None:
        return False
    one, two = variant.memory.peak, other.memory.peak
    return one is not None and two is not None and one > (1 + _MUCH) * two


def _choice(
    each: ComparisonSummary,
    chosen: VariantSummary,
    tied: Sequence[VariantSummary],
    candidates: Sequence[VariantSummary],
    purpose: Purpose,
) -> str:
    """Which variants tie and how to choose among them; else how far the next one is behind."""
    others = [variant for variant in tied if variant is not chosen and not _holds_more(variant, chosen)]
    if others:
        first = min(others, key=lambda variant: purpose.place(variant.name))
        bounds = _ratio(each, first, chosen)
        ends = ""
        if bounds is not None and bounds.low is not None and bounds.high is not None:
            ends = f" {_ends(bounds.low, bounds.high)}"
        more = f", {len(others) - 1} more" if len(others) > 1 else ""
        reason = purpose.prefer.get(chosen.name)
        tie = f"Time does not decide ({first.label}{ends}{more})"
        return f"{tie}: {reason}." if reason else f"{tie}."
    heavier = min((variant for variant in tied if variant is not chosen), key=seconds, default=None)
    if heavier is not None and heavier.memory is not None:
        return f"Time does not decide; {heavier.label} peaks at {format.size(heavier.memory.peak)}."
    following = min((variant for variant in candidates if variant is not chosen), key=seconds)
    ratio = _ratio(each, following, chosen)
    return f"Next: {following.label}, {format.multiple(ratio)} times as long." if ratio else ""


def _sentence(summary: RunSummary) -> str:
    """The answer on evaluating a model; without a model, the price of a block, or the first finding."""
    models = _largest_models(summary)
    apart = [found for each in models if (found := _apart(each)) is not None]
    recording = [
        (ratio, each)
        for each in models
        if (ratio := each.time_ratios.get(("tracked", "no_grad"))) is not None and ratio.low is not None
    ]
    if not apart or not recording:
        findings = findings_of_methods(summary)
        return _price(summary) or (findings[0].sentence if findings else "")
    most = max(apart)
    if most <= MATTERS:
        first = (
            "Around a real model it hardly matters which no-grad method you use: they differ by at most "
            f"{format.percent(most)}."
        )
    else:
        first = f"Around a real model the no-grad methods differ by up to {format.percent(most)} in time."
    return f"{first} {_recording(recording)}"


def _price(summary: RunSummary) -> str:
    """The time that a no_grad() block adds to the shortest and to the longest work; empty if not known."""
    known = sorted(
        (each.baseline.time.mean, variant.ratio.mean - 1, variant.verdict == "slower")
        for each in summary.comparisons
        if not each.comparison.part
        and not each.comparison.alternatives
        and each.comparison.workload != "control"
        and (variant := each.variant("no_grad")) is not None
        and variant.ratio is not None
        and variant.ratio.low is not None
        and each.baseline.time is not None
    )
    if len(known) < 2:
        return ""
    parts = [
        f"{format.percent(share) if shown else 'nothing measurable'} to {format.seconds(work)} of work"
        for work, share, shown in (known[0], known[-1])
    ]
    return f"A no_grad() block adds {' and '.join(parts)}."


def _largest_models(summary: RunSummary) -> list[ComparisonSummary]:
    """For every workload that evaluates a model, the comparison with the most elements."""
    largest: dict[str, ComparisonSummary] = {}
    for each in summary.comparisons:
        own = each.comparison
        if own.part or own.alternatives or PURPOSES.get(own.workload) is not PURPOSES["inference"]:
            continue
        if own.workload not in largest or own.numel > largest[own.workload].comparison.numel:
            largest[own.workload] = each
    return list(largest.values())


def _apart(each: ComparisonSummary) -> float | None:
    """How much two no-grad methods differ at most, as a part of the time; None where that is unknown."""
    ends = [
        ratio.high - 1
        for one in NO_GRAD_METHODS
        for other in NO_GRAD_METHODS
        if (ratio := each.time_ratios.get((one, other))) is not None and ratio.high is not None
    ]
    return max(ends, default=None)


def _recording(found: Sequence[tuple[Interval, ComparisonSummary]]) -> str:
    """The cost of recording that nobody needs."""
    shown = [ratio.mean - 1 for ratio, each in found if ("tracked", "no_grad") in each.above]
    time = f"{'up to ' if len(shown) < len(found) else ''}{_span(shown)} more time" if shown else ""
    bytes_ = [
        recorded.memory.peak / plain.memory.peak - 1
        for _, each in found
        if (recorded := each.variant("tracked")) is not None
        and (plain := each.variant("no_grad")) is not None
        and recorded.memory is not None
        and plain.memory is not None
        and plain.memory.peak
        and recorded.memory.peak is not None
    ]
    memory = f"{_span(bytes_)} more memory" if bytes_ and min(bytes_) > 0 else ""
    if not time and not memory:
        return "Recording without need costs nothing measurable here."
    return f"Recording without need costs {' and '.join(part for part in (time, memory) if part)}."


def _span(values: Sequence[float]) -> str:
    low, high = (format.significant(100 * value, 2) for value in (min(values), max(values)))
    return f"{low} %" if low == high else f"{low} to {high} %"
