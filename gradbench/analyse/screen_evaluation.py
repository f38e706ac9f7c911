"""Which method to evaluate a user's model with, and its gain: the sentences of the first screen."""

from __future__ import annotations

from collections.abc import Sequence

from gradbench import format
from gradbench.analyse.model import ComparisonSummary, VariantSummary
from gradbench.analyse.visits import SAME_MARGIN
from gradbench.record.interval import Interval
from gradbench.record.user_file import Fault

# Where an interval spans more than this factor, the ratio is not known.
KNOWN_WITHIN = 2.0

# How the names of the methods begin that switch recording off for a block.
_MODES = ("no_grad", "inference_mode", "set_grad_enabled")
# The methods whose work is recorded, though a result may be detached.
_RECORDED = ("tracked", "detach_after")


def evaluation_sentences(
    each: ComparisonSummary, asked: Sequence[str] = (), faults: Sequence[Fault] = ()
) -> list[str]:
    """Which method to evaluate with, and its gain; where the user named methods, only about those.

    `faults` are of the user's file: a method that breaks something is no advice.
    """
    named = [variant for name in asked if (variant := each.variant(name)) is not None]
    if len(named) > 1:
        return [_against(each, variant, named[0]) for variant in named[1:]]
    tracked = each.variant("tracked")
    found = _picks(each, named, faults)
    first = found[0] if found else None
    if first is None and named:
        return [_against(each, named[0], each.baseline)]
    if first is None or tracked is None:
        return [_without_times(each, tracked)]
    use = " or ".join(variant.label for variant in found)
    sentences = [f"Use {use}: {_time(each, first, tracked)}, {_peak(first, tracked)}."]
    sentences += [_between(each, variant, first) for variant in found[1:]]
    if first.definition.expect.result_inference:
        sentences.append("Its results cannot take part in training.")
    return sentences


def _without_times(each: ComparisonSummary, tracked: VariantSummary | None) -> str:
    """The sentence where no method without recording was timed."""
    known = [
        variant
        for variant in each.methods
        if variant.memory is not None and variant.name not in _RECORDED and variant.name.startswith(_MODES)
    ]
    failed = [variant.label for variant in each.methods if variant.failures]
    reason = f"{', '.join(failed)} failed" if failed else "nothing was timed yet"
    if each.passes and not failed:
        reason = "no method without recording was timed"
    if known and tracked is not None and tracked.memory is not None:
        gain = _peak(known[0], tracked)
        return f"The fastest method is not known: {reason}. With {known[0].label}: {gain}."
    return f"The method to use is not known: {reason}."


def _picks(
    each: ComparisonSummary, named: Sequence[VariantSummary], faults: Sequence[Fault]
) -> list[VariantSummary]:
    """The methods to use: the first mode that no other mode beats, and the first inference mode.

    A mode that breaks something in the user's file is left out where another mode is left. The list is
    empty where no mode was timed.
    """
    pool = [
        variant
        for variant in named or each.methods
        if variant.role == "method" and variant.name.startswith(_MODES) and _timed(each, variant) is not None
    ]
    breaking = " ".join(fault.sentence for fault in faults if fault.kind == "state poisoned")
    pool = [variant for variant in pool if variant.label not in breaking] or pool
    quickest = [variant for variant in pool if not any(_beats(each, other, variant) for other in pool)]
    plain = [variant for variant in quickest if not variant.definition.expect.result_inference]
    inference = [variant for variant in quickest if variant.definition.expect.result_inference]
    return [*plain[:1], *inference[:1]]


def _beats(each: ComparisonSummary, one: VariantSummary, other: VariantSummary) -> bool:
    """Whether one is shown to be faster than the other, by more than SAME_MARGIN."""
    ratio = ratio_of(each, other, one)
    shown = (_stands(other), _stands(one)) in each.above
    return shown and ratio is not None and ratio.mean > 1 + SAME_MARGIN


def _stands(variant: VariantSummary) -> str:
    """The variant whose time this one has: itself, or another one that executes the same."""
    return variant.bound.timed if variant.bound is not None else variant.name


def _timed(each: ComparisonSummary, variant: VariantSummary) -> VariantSummary | None:
    found = each.variant(_stands(variant))
    return found if found is not None and found.time is not None else None


def _share(variant: VariantSummary) -> float | None:
    """How much a variant differs at most from the one whose time it has, as a part; None where not known."""
    return 0.0 if variant.bound is None else variant.bound.share


def ratio_of(each: ComparisonSummary, one: VariantSummary, other: VariantSummary) -> Interval | None:
    """The ratio of two times; None where none was taken, or where a bound in place of a time is too rough."""
    if one is other:
        return Interval(1.0, 1.0, 1.0, 0)
    shares = _share(one), _share(other)
    if _stands(one) == _stands(other) or any(share is None or share > SAME_MARGIN for share in shares):
        return None
    return each.time_ratios.get((_stands(one), _stands(other)))


def known(ratio: Interval | None) -> bool:
    """Whether a ratio is known well enough to be shown."""
    return (
        ratio is not None
        and ratio.low is not None
        and ratio.high is not None
        and (ratio.low > 0 and ratio.high <= KNOWN_WITHIN * ratio.low)
    )


def differ(each: ComparisonSummary, one: VariantSummary, other: VariantSummary) -> bool:
    """Whether two variants are shown to take different times."""
    names = _stands(one), _stands(other)
    return names in each.above or names[::-1] in each.above


def _time(each: ComparisonSummary, variant: VariantSummary, other: VariantSummary) -> str:
    """How much less time one takes than recording, with its interval; or that no difference is measurable."""
    ratio = ratio_of(each, variant, other)
    if ratio is None or not known(ratio):
        return "whether it takes less time than recording is not known yet"
    assert ratio.low is not None
    assert ratio.high is not None
    if differ(each, variant, other):
        less = (_stands(other), _stands(variant)) in each.above
        ends = sorted((abs(1 - ratio.low), abs(1 - ratio.high)))
        low, high = (format.percent(end) for end in ends)
        much = format.percent(abs(1 - ratio.mean))
        return f"{much} {'less' if less else 'more'} time than recording ({low.removesuffix(' %')} to {high})"
    return f"no difference in time to recording {_alike_in_words(ratio)}"


def _alike_in_words(ratio: Interval) -> str:
    """The end of a sentence on two that tie: no difference that matters, or none that is measurable."""
    assert ratio.low is not None
    assert ratio.high is not None
    if ratio.low >= 1 / (1 + SAME_MARGIN) and ratio.high <= 1 + SAME_MARGIN:
        return f"that matters ({ends_in_words(ratio)} times)"
    return f"is measurable ({ends_in_words(ratio)} times{beyond_in_words(ratio)})"


def beyond_in_words(ratio: Interval) -> str:
    """Why the interval of two that tie may lie on one side of 1; empty where it does not."""
    beyond = (ratio.low is not None and ratio.low > 1) or (ratio.high is not None and ratio.high < 1)
    return ", too close to 1 for this run" if beyond else ""


def _peak(variant: VariantSummary, other: VariantSummary) -> str:
    """How much less memory a variant holds at its peak."""
    if variant.memory is None or other.memory is None:
        return "and its bytes are not known"
    low, high = variant.memory.peak, other.memory.peak
    if low == high:
        return f"the same peak of {format.size(low)}"
    sizes = f"({format.size(high)} → {format.size(low)})"
    if high <= 0:
        return f"another peak {sizes}"
    much = format.percent(abs(1 - low / high))
    return f"{much} {'less' if low < high else 'more'} memory at the peak {sizes}"


def _between(each: ComparisonSummary, one: VariantSummary, other: VariantSummary) -> str:
    """Whether two methods differ from each other, in a sentence."""
    if _stands(one) == _stands(other):
        # Both execute the same: only the price of the control separates a variant from that execution.
        bounds = [variant.bound for variant in (one, other) if variant.bound is not None]
        seconds = [bound.seconds for bound in bounds]
        if bounds and None not in seconds:
            most = sum(bound.seconds or 0.0 for bound in bounds)
            share = most / bounds[0].of
            if share < SAME_MARGIN:
                return (
                    f"No difference between the two matters: at most {format.seconds(most)} of "
                    f"{format.seconds(bounds[0].of)}, {format.percent(share)}."
                )
        return "Which of the two is faster is not known yet."
    ratio = ratio_of(each, one, other)
    if ratio is None or not known(ratio):
        return "Which of the two is faster is not known yet."
    if differ(each, one, other):
        return f"{one.label} takes {ratio_in_words(ratio)} times as long as {other.label}."
    return f"No difference between the two {_alike_in_words(ratio)}."


def _against(each: ComparisonSummary, one: VariantSummary, other: VariantSummary) -> str:
    """One method compared with another, in a sentence."""
    if one is other:
        return f"{one.label} was not compared with another method: name two methods."
    memory = ""
    if one.memory is not None and other.memory is not None:
        low, high = one.memory.peak, other.memory.peak
        memory = (
            f"; both peak at {format.size(low)}"
            if low == high
            else f"; it peaks at {format.size(low)}, {other.label} at {format.size(high)}"
        )
    head = f"{one.label} against {other.label}:"
    if _stands(one) == _stands(other):
        words = _between(each, one, other)
        return f"{head} {words[0].lower()}{words[1:-1]}{memory}."
    ratio = ratio_of(each, one, other)
    if ratio is None or not known(ratio):
        return f"{head} the ratio of their times is not known yet{memory}."
    if differ(each, one, other):
        return f"{head} {ratio_in_words(ratio)} times as long{memory}."
    return f"{head} no difference in time {_alike_in_words(ratio)}{memory}."


def ratio_in_words(ratio: Interval) -> str:
    """A ratio with its interval, to three digits at most."""
    assert ratio.low is not None
    assert ratio.high is not None
    places = min(2, format.ratio_places(ratio))
    return f"{ratio.mean:.{places}f} ({ratio.low:.{places}f} to {ratio.high:.{places}f})"


def ends_in_words(ratio: Interval) -> str:
    """The ends of a ratio's interval."""
    return ratio_in_words(ratio).partition("(")[2].rstrip(")")
