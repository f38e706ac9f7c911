"""Which variants of a model of the user's need no timing: another is the same execution, or time is short."""

from __future__ import annotations

from msgspec.structs import replace

from gradbench.define.methods import methods
from gradbench.record.plan import PRICE, USER_MODEL, Comparison, Variant
from gradbench.record.results import Results

# Of calls that are longer, in seconds, what a control adds in place is far below what is called the same.
LEFT_OUT_FROM = 5e-3
# Calls that are longer, in seconds, are executed as seldom as the figures allow.
LONG = 0.3


def left_out(comparison: Comparison, results: Results) -> frozenset[str]:
    """The variants of a comparison that need no timing: each executes the same as one that is timed.

    Of methods those whose price in place the plan measures, and of calls beyond LONG all. The twin is timed
    always. Of runs that observed no executions, and of other workloads, none.
    """
    if comparison.workload != USER_MODEL:
        return frozenset()
    seen = {each.variant: each for each in results.executions if each.comparison == comparison.id}
    roles = {each.name: each.role for each in comparison.variants}
    # One that fell out cannot stand for others.
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
    """As `left_out`, of a comparison whose executions were not observed yet: what the table of methods says.

    `call` is seconds of a call, as far as it is known beforehand; of calls up to LONG none.
    """
    if comparison.workload != USER_MODEL or call <= LONG:
        return frozenset()
    # Whatever stands for a method must be timed itself.
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
    """The variants whose bytes need no execution: of a long call, twins and what the table declares."""
    twins = {each.name for each in comparison.variants if each.role.startswith("twin")}
    return left_out_unseen(comparison, call) | twins


def affordable(comparison: Comparison, executions: float, free: frozenset[str]) -> Comparison:
    """The comparison with the variants for which there is time, the baseline before all.

    Args:
        executions: how many there is time for, of two for each variant.
        free: variants that need none.
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
