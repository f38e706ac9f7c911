"""Variants of a user's model that need no timing: another is the same execution, or time is short."""

from __future__ import annotations

from msgspec.structs import replace

from gradbench.define.methods import methods
from gradbench.record.plan import PRICE, USER_MODEL, Comparison, Variant
from gradbench.record.results import Results

# Seconds of a call. For longer calls the time of a control in place is far below the limit of "the same".
LEFT_OUT_FROM = 5e-3
# Seconds of a call. Longer calls are executed as seldom as the figures allow.
LONG = 0.3


def left_out(comparison: Comparison, results: Results) -> frozenset[str]:
    """The variants of a comparison that need no timing: each executes the same as a timed variant.

    Among them are methods whose price in place the plan measures and, for calls beyond LONG, all methods. The
    twin is always timed. Empty for runs that observed no executions, and for other workloads.
    """
    if comparison.workload != USER_MODEL:
        return frozenset()
    seen = {each.variant: each for each in results.executions if each.comparison == comparison.id}
    roles = {each.name: each.role for each in comparison.variants}
    # A variant that fell out cannot represent others.
    fallen = {each.variant for each in results.failures if each.comparison == comparison.id and each.number}
    # The methods whose price in place the plan measures.
    priced = {
        variant.name
        for each in results.header.plan.comparisons
        if each.workload == PRICE
        for variant in each.variants
    }
    return frozenset(
        name
        for name, each in seen.items()
        if each.same_as
        and each.same_as in seen
        and each.same_as not in fallen
        and (
            (roles.get(name) == "method" and each.seconds > (LEFT_OUT_FROM if name in priced else LONG))
            or (roles.get(name) == "twin_own_buffer" and each.seconds > LONG)
        )
    )


def left_out_unseen(comparison: Comparison, call: float) -> frozenset[str]:
    """As `left_out`, for a comparison without observed executions yet: by the table of methods.

    `call` is seconds of a call, as far as it is known beforehand. Empty for calls up to LONG.
    """
    if comparison.workload != USER_MODEL or call <= LONG:
        return frozenset()
    # A variant that represents a method must itself be timed.
    timed = {each.name for each in comparison.variants}
    return frozenset(
        each.name
        for each in comparison.variants
        if each.role != "twin" and declared_as(each, comparison) in timed
    )


def declared_as(variant: Variant, comparison: Comparison) -> str:
    """The variant that executes the same by its code, or by the table of methods; empty where none does."""
    if variant.role.startswith("twin"):
        return comparison.baseline.name
    if comparison.alternatives:
        return ""
    return next((each.entered_as for each in methods() if each.name == variant.name), "")


def not_executed(comparison: Comparison, call: float) -> frozenset[str]:
    """The variants whose bytes need no execution: in a long call, twins and variants of the table."""
    twins = {each.name for each in comparison.variants if each.role.startswith("twin")}
    return left_out_unseen(comparison, call) | twins


def affordable(comparison: Comparison, executions: float, free: frozenset[str]) -> Comparison:
    """The comparison with the variants for which there is time, the baseline before all.

    Args:
        executions: number of executions for which there is time, of two for each variant.
        free: variants that need no execution.
    """
    kept, left = set(free), int(executions / 2) - 1
    for each in comparison.variants:
        if each.role not in ("baseline", "empty") and each.name not in free and left > 0:
            kept.add(each.name)
            left -= 1
    variants = tuple(
        each for each in comparison.variants if each.role in ("baseline", "empty") or each.name in kept
    )
    return comparison if len(variants) == len(comparison.variants) else replace(comparison, variants=variants)
