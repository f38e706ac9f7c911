"""Bounds for a variant that was not timed, because another variant executes the same.

The two differ by the control alone. The price of a control in place was measured on other work. It bounds
the time that the control can add to a long call.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from gradbench import format
from gradbench.analyse.model import Bound, ComparisonSummary, Finding, VariantSummary, Verdict
from gradbench.analyse.visits import SAME_MARGIN
from gradbench.record.interval import Interval
from gradbench.record.plan import PRICE
from gradbench.record.visits import Execution

# Seconds that an operator may take longer where a control is in force, besides the price of the control.
# Under no_grad() it took 40 ns longer, of 1.2 µs, on tensors that need gradients than on others. That was on
# a slow processor (METHODOLOGY.md, "A model of your own").
PER_OPERATOR = 100e-9
# By method, the seconds that it adds in place, from the least to the most.
Prices = Mapping[str, tuple[float, float]]


def with_bounds(
    comparisons: Sequence[ComparisonSummary], executions: Iterable[Execution]
) -> tuple[ComparisonSummary, ...]:
    """The comparisons, with a bound for every variant that another one was timed in place of."""
    known = {(each.comparison, each.variant): each for each in executions}
    if not known:
        return tuple(comparisons)
    prices = _prices(comparisons)
    return tuple(
        replace(
            each,
            variants=tuple(
                _with_bound(each, variant, known.get((each.comparison.id, variant.name)), prices)
                for variant in each.variants
            ),
        )
        for each in comparisons
    )


def _prices(comparisons: Iterable[ComparisonSummary]) -> Prices:
    """The interval of the seconds that each control adds in place; the baseline adds nothing."""
    found: dict[str, tuple[float, float]] = {}
    for each in comparisons:
        for variant in each.methods if each.comparison.workload == PRICE else ():
            ends = variant.extra
            if variant.role == "baseline":
                found[variant.name] = (0.0, 0.0)
            elif ends is not None and ends.low is not None and ends.high is not None:
                found[variant.name] = (ends.low, ends.high)
    return found


def _with_bound(
    each: ComparisonSummary, variant: VariantSummary, execution: Execution | None, prices: Prices
) -> VariantSummary:
    if execution is None:
        return variant
    variant = replace(variant, execution=execution)
    timed = each.variant(execution.same_as)
    if variant.role != "method" or timed is None or timed.time is None:
        return variant
    # One visit before the executions were known shows less than the bound does.
    if len(variant.log_ratios) > 1 or variant.failures:
        return variant
    apart = _apart(variant.name, timed.name, prices)
    if apart is not None:
        apart += PER_OPERATOR * (execution.operators or 0)
    bound = Bound(timed.name, timed.label, apart, timed.time.mean)
    small = bound.share is not None and bound.share < SAME_MARGIN
    verdict: Verdict = "bounded" if small else "cannot tell"
    return replace(
        variant, time=timed.time, ratio=None, extra=None, log_ratios={}, bound=bound, verdict=verdict
    )


def _apart(one: str, other: str, prices: Prices) -> float | None:
    """The seconds that two controls can differ by at most; None where the price of one is not known."""
    if one not in prices or other not in prices:
        return None
    (low, high), (least, most) = prices[one], prices[other]
    return max(high - least, most - low)


def verdict_in_words(variant: VariantSummary) -> str:
    """The verdict column for a variant: its bound, its verdict, or `not timed`."""
    if variant.bound is not None:
        return bound_in_words(variant.bound)
    if variant.time is None and not variant.failures and variant.verdict == "cannot tell":
        return "not timed"
    return variant.verdict


def verdict_in_full(comparison: ComparisonSummary, variant: VariantSummary) -> str:
    """The verdict with its reason: for a twin in a separate buffer, and for a variant that was not timed."""
    execution = variant.execution
    if variant.time is None and variant.bound is None and execution is not None and execution.same_as:
        return f"not timed: the same execution as {execution.same_as}"
    if variant.verdict == "no time of its own":
        return "not distinguishable from an empty loop"
    if variant.role == "twin_own_buffer" and comparison.moved is not None:
        return "the buffer, not the method"
    return verdict_in_words(variant)


def bound_in_words(bound: Bound) -> str:
    """The words of a bound: the largest difference that it leaves open, as seconds of a call."""
    if bound.seconds is None or bound.share is None:
        return f"cannot tell: executes the same as {bound.label}; the price of the control is not known"
    within = f"at most {format.seconds(bound.seconds)} of {format.seconds(bound.of)}"
    words = "no difference that matters" if bound.share < SAME_MARGIN else "cannot tell"
    return f"{words}: {within}, {format.percent(bound.share)}"


def bounded_finding(each: ComparisonSummary, prices: Sequence[ComparisonSummary]) -> Finding | None:
    """Which methods execute the same as one that was timed, and the bound; None where none does."""
    found = [
        (variant, variant.bound)
        for variant in each.methods
        if variant.verdict == "bounded" and variant.bound is not None
    ]
    if not found:
        return None
    _, worst = max(found, key=lambda pair: pair[1].seconds or 0.0)
    names = ", ".join(variant.label for variant, _ in found)
    timed = ", ".join(dict.fromkeys(bound.label for _, bound in found))
    added = [
        f"{variant.label} {_added(variant.extra)}"
        for price in prices
        for variant in price.methods
        if variant.role == "method" and variant.extra is not None
    ]
    where = ", ".join(
        f"{price.comparison.title.partition(': ')[2]} at {format.counted(price.comparison.numel, 'element')}"
        for price in prices
    )
    part = each.comparison.title.partition(": ")[2]
    return Finding(
        f"In {part}, the same execution as {timed}, except for the control: {names}; "
        f"{bound_in_words(worst)}.",
        f"The run did not time them on the model. It measured the price of a control in place on {where}: "
        f"{', '.join(added)}.",
    )


def _added(extra: Interval) -> str:
    ends = f" ({format.seconds(extra.low)} to {format.seconds(extra.high)})" if extra.low is not None else ""
    return f"{format.seconds(extra.mean)}{ends}"


def executions_in_words(each: ComparisonSummary) -> str:
    """Which variants are the same execution, how that is known, and how bytes were counted; else empty."""
    sentences = []
    seen = [variant for variant in each.variants if variant.execution and variant.execution.same_as]
    for declared, how in ((False, "by the operators that they dispatch"), (True, "by their code")):
        pairs = [
            f"{variant.name} as {variant.execution.same_as}"
            for variant in seen
            if variant.execution is not None and variant.execution.declared is declared
        ]
        if pairs:
            sentences.append(f"The same execution, {how}: {', '.join(pairs)}.")
    if any(variant.memory is not None and variant.memory.same_as for variant in each.variants):
        sentences.append("The run counted bytes of the same execution once.")
    if any(variant.memory is not None and variant.memory.executions == 1 for variant in each.variants):
        sentences.append("Bytes come from one execution, which is long: no second one repeats them.")
    return " ".join(sentences)
