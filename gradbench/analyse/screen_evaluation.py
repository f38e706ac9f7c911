"""Which method to evaluate a user's model with, and what that gains: the sentences of the first screen."""

from __future__ import annotations

from collections.abc import Sequence

from gradbench import format
from gradbench.analyse.model import ComparisonSummary, VariantSummary
from gradbench.analyse.verdicts import SAME_MARGIN
from gradbench.record.interval import Interval

# An interval that spans more than this factor says no more than that the ratio is not known.
KNOWN_WITHIN = 2.0


def evaluation_sentences(each: ComparisonSummary, asked: Sequence[str]) -> list[str]:
    """Which method to evaluate with, and what that gains; with methods that were asked for, about those."""
    if each.variant(each.comparison.baseline.name) is None or not each.passes:
        return ["It could not be timed: the failures below say why."]
    named = [variant for name in asked if (variant := each.variant(name)) is not None]
    if len(named) > 1:
        return [_against(each, variant, named[0]) for variant in named[1:]]
    tracked = each.variant("tracked")
    found = _picks(each, named)
    if not found:
        return ["No method without recording could be timed: the failures below say why."]
    first = found[0]
    use = " or ".join(variant.label for variant in found)
    if tracked is None or first is tracked:
        return [_against(each, first, each.variant(each.comparison.baseline.name) or first)]
    sentences = [f"Use {use}: {_time(each, first, tracked)}, {_peak(first, tracked)}."]
    sentences += [_between(each, variant, first) for variant in found[1:]]
    return sentences


def _records(variant: VariantSummary) -> bool:
    """Whether its work is recorded, though its result may be detached."""
    return variant.name in ("tracked", "detach_after")


def _picks(each: ComparisonSummary, named: Sequence[VariantSummary]) -> list[VariantSummary]:
    """What to use: of the modes the first that is not shown to be slower, and the same of inference modes."""
    pool = [
        variant
        for variant in named or each.methods
        if variant.role == "method"
        and not _records(variant)
        and (named or _enters_a_mode(variant))
        and _timed(each, variant) is not None
    ]
    if not pool:
        baseline = each.variant(each.comparison.baseline.name)
        return [baseline] if baseline is not None and baseline.time is not None else []
    quickest = [
        variant
        for variant in pool
        if not any((_stands(variant), _stands(other)) in each.above for other in pool)
    ]
    plain = [variant for variant in quickest if not variant.definition.expect.result_inference]
    inference = [variant for variant in quickest if variant.definition.expect.result_inference]
    return [*plain[:1], *inference[:1]]


def _enters_a_mode(variant: VariantSummary) -> bool:
    """Whether it switches recording off; what makes another tensor of the input, as `.data`, is no advice."""
    code = f"{variant.definition.setup}\n{variant.definition.statement}"
    return any(mode in code for mode in ("no_grad", "inference_mode", "set_grad_enabled"))


def _stands(variant: VariantSummary) -> str:
    """The variant whose time this has: its own, or that of what executes the same."""
    return variant.bound.timed if variant.bound is not None else variant.name


def _timed(each: ComparisonSummary, variant: VariantSummary) -> VariantSummary | None:
    found = each.variant(_stands(variant))
    return found if found is not None and found.time is not None else None


def ratio_of(each: ComparisonSummary, one: VariantSummary, other: VariantSummary) -> Interval | None:
    names = _stands(one), _stands(other)
    return Interval(1.0, 1.0, 1.0, 0) if names[0] == names[1] else each.time_ratios.get(names)


def known(ratio: Interval | None) -> bool:
    """Whether a ratio is known well enough to be shown."""
    return (
        ratio is not None
        and ratio.low is not None
        and ratio.high is not None
        and (ratio.low > 0 and ratio.high <= KNOWN_WITHIN * ratio.low)
    )


def _time(each: ComparisonSummary, variant: VariantSummary, other: VariantSummary) -> str:
    """How much less time one takes than recording, with its interval; or that this is not shown."""
    ratio = ratio_of(each, variant, other)
    if ratio is None or not known(ratio):
        return "whether it takes less time than recording is not known yet"
    assert ratio.low is not None
    assert ratio.high is not None
    names = _stands(variant), _stands(other)
    if names in each.above or names[::-1] in each.above:
        less = names[::-1] in each.above
        ends = sorted((abs(1 - ratio.low), abs(1 - ratio.high)))
        low, high = (format.percent(end) for end in ends)
        much = format.percent(abs(1 - ratio.mean))
        return f"{much} {'less' if less else 'more'} time than recording ({low.removesuffix(' %')} to {high})"
    if _same(ratio):
        return f"no difference in time to recording that matters ({ends_in_words(ratio)})"
    return f"no difference in time to recording is shown ({ends_in_words(ratio)} times)"


def _same(ratio: Interval) -> bool:
    assert ratio.low is not None
    assert ratio.high is not None
    return ratio.low >= 1 / (1 + SAME_MARGIN) and ratio.high <= 1 + SAME_MARGIN


def _peak(variant: VariantSummary, other: VariantSummary) -> str:
    """How much less it holds at its peak."""
    if variant.memory is None or other.memory is None:
        return "and its bytes are not known"
    low, high = variant.memory.peak, other.memory.peak
    if low == high:
        return f"the same peak of {format.size(low)}"
    sign = (
        f"{format.percent(1 - low / high)} less" if low < high else f"{format.percent(low / high - 1)} more"
    )
    return f"{sign} memory at the peak ({format.size(high)} → {format.size(low)})"


def _between(each: ComparisonSummary, one: VariantSummary, other: VariantSummary) -> str:
    """Whether two methods differ from each other, in a sentence."""
    for bounded, timed in ((one, other), (other, one)):
        bound = bounded.bound
        if bound is not None and bound.timed == _stands(timed) and bound.seconds is not None:
            share = format.percent(bound.share)
            return (
                f"No difference between the two that matters: at most {format.seconds(bound.seconds)} of "
                f"{format.seconds(bound.of)}, {share}."
            )
    ratio = ratio_of(each, one, other)
    if ratio is None or not known(ratio):
        return "Which of the two is faster is not known yet."
    if _same(ratio):
        return f"No difference between the two that matters ({ends_in_words(ratio)})."
    return f"No difference between the two is shown ({ends_in_words(ratio)} times)."


def _against(each: ComparisonSummary, one: VariantSummary, other: VariantSummary) -> str:
    """One method against another one, in a sentence."""
    ratio = ratio_of(each, one, other)
    memory = ""
    if one.memory is not None and other.memory is not None:
        low, high = one.memory.peak, other.memory.peak
        memory = (
            f"; both peak at {format.size(low)}"
            if low == high
            else f"; it peaks at {format.size(low)}, {other.label} at {format.size(high)}"
        )
    head = f"{one.label} against {other.label}:"
    if ratio is None or not known(ratio):
        return f"{head} the ratio of their times is not known yet{memory}."
    names = _stands(one), _stands(other)
    if names in each.above or names[::-1] in each.above:
        return f"{head} {ratio_in_words(ratio)} times as long{memory}."
    matters = "that matters" if _same(ratio) else "is shown"
    return f"{head} no difference in time {matters} ({ends_in_words(ratio)} times){memory}."


def ratio_in_words(ratio: Interval) -> str:
    """A ratio with its interval, to three digits at most."""
    assert ratio.low is not None
    assert ratio.high is not None
    places = min(2, format.ratio_places(ratio))
    return f"{ratio.mean:.{places}f} ({ratio.low:.{places}f} to {ratio.high:.{places}f})"


def ends_in_words(ratio: Interval) -> str:
    return ratio_in_words(ratio).partition("(")[2].rstrip(")")
