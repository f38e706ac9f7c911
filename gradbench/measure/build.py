"""The variants of a comparison, set up and checked."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import torch

from gradbench.measure.checks import CheckFailed, check_answer, check_same, check_variant
from gradbench.measure.protocol import Check
from gradbench.measure.variant import ReadyVariant, expected_answer
from gradbench.record.plan import Comparison, Variant


def build(
    comparison: Comparison,
    check: Check,
    dice: random.Random,
    fail: Callable[[Variant, Exception], bool],
    shared: dict[str, Any],
    note: Callable[[Variant, torch.Tensor, torch.Tensor], None] = lambda variant, y, baseline: None,
) -> list[ReadyVariant]:
    """The variants that are set up and pass their checks, made in random order.

    Without the baseline there is nothing to compare with: then its failure is the visit's.

    Args:
        check: how much of what a variant does is checked.
        fail: hears which variant fell out, and why; says whether the process can go on.
        shared: the names that all variants share, as `gradbench.measure.variant.prepare` returns them; or by
            name the files that variants read theirs from.
        note: hears the result of a variant and the baseline's, where the two need not be alike.
    """

    def hold_against_numpy(y: torch.Tensor | None, variant: Variant) -> None:
        answer = expected_answer(comparison, variant, shared) if check == "answers" else None
        if answer is not None:
            check_answer(_result(y), answer, comparison)

    # The results of a group are held against those of its first variant, which is then thrown away. Were the
    # baseline itself made first, it would come out slower by 0.05 %: the instrument's study saw it.
    references: dict[str, torch.Tensor | None] = {}
    fallen: set[str] = set()
    in_full = check in ("values", "answers")
    executed = {comparison.baseline.name, *(_recorded(comparison) if check == "warm" else ())}
    for variant in _first_of_groups(comparison) if in_full else ():
        try:
            references[variant.group] = check_variant(ReadyVariant(variant, shared), comparison)
            hold_against_numpy(references[variant.group], variant)
        except Exception as error:
            if not fail(variant, error) or variant.role == "baseline":
                return []
            fallen.add(variant.name)
    order = [each for each in comparison.variants if each.name not in fallen]
    dice.shuffle(order)
    variants: list[ReadyVariant] = []
    for variant in order:
        # The last variant's result would be held through the check of this one, in memory that may be short.
        y = None
        try:
            ready = ReadyVariant(variant, shared)
            if check in ("flags", "values", "answers") or variant.name in executed:
                y = check_variant(ready, comparison, values=in_full)
            reference = references.get(variant.group)
            if in_full and variant.answer is not None:
                hold_against_numpy(y, variant)
            elif y is not None and reference is not None:
                if comparison.alike or variant.role != "method":
                    # Where groups may differ, one of them may hold NaN.
                    check_same(y, reference, comparison, nans=bool(variant.group))
                else:
                    note(variant, y, reference)
            variants.append(ready)
        except Exception as error:
            if not fail(variant, error) or variant.role == "baseline":
                return []
    return variants


def _first_of_groups(comparison: Comparison) -> list[Variant]:
    """The baseline, and of each other group the first variant."""
    first = {comparison.baseline.group: comparison.baseline}
    for each in comparison.variants:
        if each.role != "empty":
            first.setdefault(each.group, each)
    return list(first.values())


def _recorded(comparison: Comparison) -> list[str]:
    """The first variant that records, which has the most memory to touch; none where none does."""
    return [each.name for each in comparison.variants if each.expect.result_requires_grad][:1]


def _result(y: torch.Tensor | None) -> torch.Tensor:
    """The result that an answer is held against. Raises CheckFailed where there is none."""
    if y is None:
        raise CheckFailed("expected the statement to leave a tensor as its result; it left none")
    return y
