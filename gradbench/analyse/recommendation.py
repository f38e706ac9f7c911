"""The one variant to use for a purpose, from one comparison: what it gains, and what decides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gradbench import format
from gradbench.analyse.model import ComparisonSummary, RunSummary, VariantSummary
from gradbench.analyse.phrases import seconds
from gradbench.analyse.purposes import MATTERS, PURPOSES, Purpose
from gradbench.record.interval import Interval
from gradbench.record.plan import Comparison

# A ratio whose interval stays within this of 1 counts as about the same.
_ABOUT = 0.05
# No difference is called smaller than this.
_LEAST = 0.001
# A peak that is higher by more than this part, and by so many bytes, decides where times do not.
_MUCH = 0.1
_BYTES = 10_000


@dataclass(frozen=True)
class Recommendation:
    """The variant to use for a purpose, from one comparison.

    Attributes:
        purpose: the reader's purpose.
        use: the label of the one variant that the run recommends.
        gain: the time and bytes that the variant saves, compared with `against`.
        short: the gain in a few words, for a phone and a terminal; empty where no gain is shown.
        choice: how far the next variant is behind, memory, or a reason beside time.
        against: the label of the variant that readers use without advice.
        comparison: the comparison with these figures.
    """

    purpose: str
    use: str
    gain: str
    short: str
    choice: str
    against: str
    comparison: Comparison


@dataclass(frozen=True)
class _Pool:
    """The candidates of a comparison, by what the run decides about them and the chosen one.

    Attributes:
        light: those that time does not rule out and that hold about as little as any other.
        heavy: those that time does not rule out and that hold more.
        behind: those that are shown to be slower by more than MATTERS.
    """

    chosen: VariantSummary
    light: tuple[VariantSummary, ...]
    heavy: tuple[VariantSummary, ...]
    behind: tuple[VariantSummary, ...]


def recommend(each: ComparisonSummary, summary: RunSummary) -> Recommendation | None:
    """The one variant to use in a comparison; None where it serves no purpose or nothing was timed.

    A variant that is shown to be slower than the fastest by more than MATTERS is out. Bytes are exact, so of
    the others those are out that hold much more than another. The purpose prefers one of the rest. A variant
    that gives wrong gradients is never recommended.
    """
    purpose = PURPOSES.get(each.comparison.workload) or _unlisted(each.comparison)
    if purpose is None or (purpose.part and each.comparison.part != purpose.part):
        return None
    candidates = _candidates(each, summary, purpose)
    if len(candidates) < 2:
        return None
    pool = _pool(each, candidates, purpose)
    against = _against(each, pool.chosen, purpose)
    words = purpose.against_words if against.name == purpose.against else against.label
    gains = (_time_gain(each, pool.chosen, against, words), _memory_gain(pool.chosen, against))
    return Recommendation(
        purpose=purpose.asks,
        use=pool.chosen.label,
        gain=", ".join(part for part in gains if part),
        short=_short(each, pool.chosen, against),
        choice=_choice(each, pool, purpose),
        against=words,
        comparison=each.comparison,
    )


def _unlisted(comparison: Comparison) -> Purpose | None:
    """The purpose of a workload that an extension brings: it prefers nothing."""
    return Purpose(comparison.purpose, {}) if comparison.purpose else None


def _candidates(each: ComparisonSummary, summary: RunSummary, purpose: Purpose) -> list[VariantSummary]:
    """The variants that may be recommended."""
    return [
        variant
        for variant in each.methods
        if variant.definition.recommendable
        and variant.time
        and variant.name not in summary.unsafe_methods
        and (not purpose.only or variant.name in purpose.prefer)
    ]


def _pool(each: ComparisonSummary, candidates: Sequence[VariantSummary], purpose: Purpose) -> _Pool:
    fastest = min(candidates, key=seconds)
    behind = [variant for variant in candidates if _behind(each, variant, fastest)]
    near = [variant for variant in candidates if variant not in behind]
    light = [variant for variant in near if not any(_holds_more(variant, other) for other in near)]
    chosen = min(light, key=lambda variant: (purpose.place(variant.name), seconds(variant)))
    heavy = [variant for variant in near if variant not in light]
    others = [variant for variant in light if variant is not chosen]
    return _Pool(chosen, tuple(others), tuple(heavy), tuple(behind))


def _ratio(each: ComparisonSummary, one: VariantSummary, other: VariantSummary) -> Interval | None:
    return each.time_ratios.get((one.name, other.name))


def _behind(each: ComparisonSummary, variant: VariantSummary, fastest: VariantSummary) -> bool:
    """Whether a variant is shown to be slower by more than MATTERS."""
    ratio = _ratio(each, variant, fastest)
    return variant is not fastest and ratio is not None and ratio.low is not None and ratio.low > 1 + MATTERS


def _ties(each: ComparisonSummary, variant: VariantSummary, chosen: VariantSummary) -> bool:
    """Whether a variant is shown to take about the time of the chosen one, or less."""
    ratio = _ratio(each, variant, chosen)
    return ratio is not None and ratio.high is not None and ratio.high <= 1 + _ABOUT


def _holds_more(variant: VariantSummary, other: VariantSummary) -> bool:
    """Whether memory decides against a variant that time does not rule out."""
    if variant.memory is None or other.memory is None:
        return False
    one, two = variant.memory.peak, other.memory.peak
    return one is not None and two is not None and one - two > max(_MUCH * two, _BYTES)


def _against(each: ComparisonSummary, chosen: VariantSummary, purpose: Purpose) -> VariantSummary:
    """The variant without advice: the one that the purpose names, recording, the baseline, or the slowest."""
    timed = [variant for variant in each.methods if variant.time and not variant.definition.limit]
    for name in (purpose.against, "tracked", each.baseline.name):
        found = next((variant for variant in timed if variant.name == name), None)
        if found is not None and found is not chosen:
            return found
    return max(timed, key=seconds)


def _time_gain(each: ComparisonSummary, chosen: VariantSummary, against: VariantSummary, words: str) -> str:
    ratio = _ratio(each, against, chosen)
    if ratio is None:
        return ""
    if ratio.low is None or ratio.high is None:
        return f"one pass, so the time against {words} is not decided"
    ends = span_of(ratio)
    if (against.name, chosen.name) in each.above:
        return f"{format.significant(ratio.mean)} times as fast as {words} ({ends})"
    if (chosen.name, against.name) in each.above:
        return f"{format.significant(1 / ratio.mean)} times as long as {words}"
    if ratio.low >= 1 / (1 + _ABOUT) and ratio.high <= 1 + _ABOUT:
        return f"time within {format.percent(max(_LEAST, ratio.high - 1, 1 / ratio.low - 1))} of {words}"
    return f"time against {words} not decided ({ends} times)"


def span_of(ratio: Interval) -> str:
    """The ends of an interval in three digits, or one of them where both are the same."""
    low = ratio.low if ratio.low is not None else ratio.mean
    high = ratio.high if ratio.high is not None else ratio.mean
    ends = (format.significant(low), format.significant(high))
    return ends[0] if ends[0] == ends[1] else " to ".join(ends)


def _peaks(chosen: VariantSummary, against: VariantSummary) -> tuple[int, int] | None:
    """The peaks of the variant without advice and of the chosen one; None where one is not known."""
    if chosen.memory is None or against.memory is None:
        return None
    before, after = against.memory.peak, chosen.memory.peak
    return None if before is None or after is None else (before, after)


def _memory_gain(chosen: VariantSummary, against: VariantSummary) -> str:
    peaks = _peaks(chosen, against)
    if peaks is None or peaks[0] == peaks[1]:
        return ""
    before, after = peaks
    share = format.significant(100 * abs(after - before) / before, 2) if before else ""
    if not before or not after or share == "100":
        return f"{format.size(after)} at the peak instead of {format.size(before)}"
    words = "less" if after < before else "more"
    return f"{share} % {words} peak memory ({format.size(before)} → {format.size(after)})"


def _short(each: ComparisonSummary, chosen: VariantSummary, against: VariantSummary) -> str:
    """The gain in a few words: in time where that matters, else in bytes; empty for neither."""
    ratio, peaks = _ratio(each, against, chosen), _peaks(chosen, against)
    faster = ratio is not None and (against.name, chosen.name) in each.above
    if ratio is not None and faster and ratio.mean > 1 + _MUCH:
        return f"{format.significant(ratio.mean)} times as fast"
    if peaks is None or not peaks[0] or peaks[0] == peaks[1]:
        return ""
    share = format.significant(100 * abs(1 - peaks[1] / peaks[0]), 2)
    return f"{share} % {'less' if peaks[1] < peaks[0] else 'more'} memory"


def _choice(each: ComparisonSummary, pool: _Pool, purpose: Purpose) -> str:
    """The reason for the chosen variant: memory, another clause, or a distance in time."""
    reason = purpose.prefer.get(pool.chosen.name)
    because = f" Chosen because {reason}." if reason else ""
    if pool.light:
        tied = [variant for variant in pool.light if _ties(each, variant, pool.chosen)]
        undecided = [variant for variant in pool.light if variant not in tied]
        if undecided:
            named = _named(each, undecided, pool.chosen, purpose)
            return f"This run does not decide against {named}.{because}"
        verb = "tie" if len(tied) > 1 else "ties"
        named = _named(each, tied, pool.chosen, purpose)
        return f"Time does not decide: {named} {verb}.{because}"
    if pool.heavy:
        nearest = min(pool.heavy, key=lambda variant: purpose.place(variant.name))
        assert pool.chosen.memory is not None
        assert nearest.memory is not None
        peaks = (pool.chosen.memory.peak, nearest.memory.peak)
        return (
            f"Memory decides: {format.size(peaks[0])} at the peak, {nearest.label} {format.size(peaks[1])}."
        )
    following = min(pool.behind, key=seconds)
    ratio = _ratio(each, following, pool.chosen)
    return f"Next: {following.label}, {format.multiple(ratio)} times as long." if ratio else ""


def _named(
    each: ComparisonSummary, found: Sequence[VariantSummary], chosen: VariantSummary, purpose: Purpose
) -> str:
    """The preferred of these variants with its interval, and how many others there are."""
    first = min(found, key=lambda variant: purpose.place(variant.name))
    ratio = _ratio(each, first, chosen)
    ends = "" if ratio is None or ratio.low is None else f" ({span_of(ratio)})"
    others = len(found) - 1
    more = f" and {format.counted(others, 'other')}" if others else ""
    return f"{first.label}{ends}{more}"
