"""The bytes that each module of a user's model keeps for the backward: rows that add up, and sentences."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from gradbench import format
from gradbench.record.anatomy import Anatomy, Kept

OUTSIDE = "(outside of modules)"


@dataclass(frozen=True)
class ModuleBytes:
    """The bytes that one module keeps for the backward.

    Attributes:
        name: qualified; OUTSIDE for bytes that are saved outside of all modules, as in a loss.
        activations: only the graph keeps these alive.
        others: parameters, buffers and x, which are there anyway.
        passes_on: activations that it keeps to pass a gradient on, though nothing in it is trained.
        calls: the storages, the largest first.
    """

    name: str
    activations: int
    others: int
    passes_on: int
    calls: tuple[Kept, ...]


def by_module(anatomy: Anatomy) -> tuple[ModuleBytes, ...]:
    """The bytes of each module, the largest activations first; the rows add up to `saved`."""
    grouped: dict[str, list[Kept]] = defaultdict(list)
    for each in anatomy.kept:
        grouped[each.module].append(each)
    rows = [
        ModuleBytes(
            name or OUTSIDE,
            sum(each.bytes for each in kept if each.role == "activation"),
            sum(each.bytes for each in kept if each.role != "activation"),
            sum(each.bytes for each in kept if each.passes_on),
            tuple(sorted(kept, key=lambda each: -each.bytes)),
        )
        for name, kept in grouped.items()
    ]
    return tuple(sorted(rows, key=lambda each: (-each.activations, -each.others)))


def memory_sentences(anatomy: Anatomy | None, modules: Sequence[ModuleBytes]) -> list[str]:
    """How much a step keeps for the backward, and which modules keep it."""
    if anatomy is None or not anatomy.kept:
        return []
    when = "training step" if anatomy.trains else "recorded evaluation"
    there = anatomy.saved - anatomy.activations
    sentences = [
        f"A {when} keeps {format.size(anatomy.activations)} of activations for the backward"
        + (f", besides {format.size(there)} of parameters and inputs that exist anyway." if there else ".")
    ]
    passed = [each for each in modules if each.passes_on]
    if passed:
        sentences.append(
            f"{format.size(sum(each.passes_on for each in passed))} of that is in modules that are not "
            f"trained ({passed[0].name}{f' and {len(passed) - 1} more' if len(passed) > 1 else ''}): a "
            "gradient passes through them to the modules before."
        )
    return sentences
