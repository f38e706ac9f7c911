"""What changed between two results files: ratios, with intervals and correction, and exact bytes.

Ratios to the baseline of the same comparison are compared, and not times: a shared machine drifts by 1.6x
within seconds, and two runs are minutes or months apart. Each run's intervals are over its own passes, and
what differs between two runs of the same code is in neither; so a change counts where its whole interval,
corrected for the number of variants, is beyond a margin. METHODOLOGY.md says what runs of the same code
differ by.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from gradbench.analyse import stats
from gradbench.analyse.memory_difference import MemoryDifference, larger, memory_differences
from gradbench.analyse.model import ComparisonSummary, VariantSummary
from gradbench.analyse.summary import summarise
from gradbench.errors import RequestError
from gradbench.record.environment import FACTS, words
from gradbench.record.interval import Interval
from gradbench.record.plan import Comparison, Variant
from gradbench.record.results import Results

Outcome = Literal["slower", "faster", "same", "cannot tell", "fails", "other code", "gone", "new"]


@dataclass(frozen=True)
class Change:
    """One variant in both runs.

    Attributes:
        old, new: the ratio to the baseline in each run, with its 95 % interval; None where it is not known.
        change: new ratio ÷ old ratio, with its 95 % interval.
        outcome: `slower` and `faster` are beyond the margin with the whole interval that all variants
            together hold in 99 of 100 cases; `same` is within it with its 95 % interval; `fails`: it has no
            time in the new run because it failed there; `other code`: what was timed is not the same text.
        memory: what differs in memory; None where it is not known in both runs, or is that of other code.
    """

    comparison: Comparison
    variant: Variant
    outcome: Outcome
    old: Interval | None
    new: Interval | None
    change: Interval | None
    memory: tuple[MemoryDifference, ...] | None

    @property
    def larger(self) -> bool:
        """Whether the new run has more bytes in any figure of memory."""
        return larger(self.memory)

    @property
    def worse(self) -> bool:
        """Whether the variant became slower or larger, or fails now."""
        return self.outcome in ("slower", "fails") or self.larger


@dataclass(frozen=True)
class Compared:
    """Two runs, compared.

    Attributes:
        differing: what differs between the runs and may be what is compared, in words.
        forced: what must not differ and does; it was asked for by force.
    """

    old: Results
    new: Results
    margin: float
    changes: tuple[Change, ...]
    differing: tuple[str, ...]
    forced: tuple[str, ...]

    @property
    def worse(self) -> list[Change]:
        """The variants that became slower or larger, or fail now."""
        return [each for each in self.changes if each.worse]


def compare(old: Results, new: Results, margin: float, force: bool = False) -> Compared:
    """Compare two runs; `margin` is the change of a ratio, as a fraction, within which it is none.

    Raises RequestError where the runs were measured on machines or in ways that do not compare, unless it
    is forced, and where they have no variant in common.
    """
    needed = [fact.name for fact in FACTS if fact.compared]
    forced = _differing(old, new, needed)
    if forced and not force:
        raise RequestError(
            f"{old.path} and {new.path} cannot be compared: expected the same {', '.join(needed)}; "
            f"got {'; '.join(forced)}; measure both on one machine, or add --force"
        )
    a = {each.comparison.id: each for each in summarise(old).comparisons}
    b = {each.comparison.id: each for each in summarise(new).comparisons}
    changes: list[Change] = []
    for id in [*a, *(id for id in b if id not in a)]:
        changes.extend(_variants(a.get(id), b.get(id)))
    if not any(each.outcome not in ("gone", "new") for each in changes):
        raise RequestError(
            f"{old.path} and {new.path} cannot be compared: they have no variant in common; "
            "measure both with the same --workload, --size, --dtype and --device"
        )
    others = _differing(old, new, [fact.name for fact in FACTS if not fact.compared])
    return Compared(old, new, margin, tuple(_judged(changes, margin, a, b)), tuple(others), tuple(forced))


def _fact(results: Results, name: str) -> object:
    header = results.header
    if name == "gradbench":
        return header.gradbench
    holder = header.options if hasattr(header.options, name) else header.environment
    return getattr(holder, name)


def _differing(old: Results, new: Results, names: Sequence[str]) -> list[str]:
    return [
        # The text of a build is pages long.
        "another build of torch"
        if name == "torch_config"
        else f"{name} {words(_fact(old, name))} and {words(_fact(new, name))}"
        for name in names
        if _fact(old, name) != _fact(new, name)
    ]


def _variants(old: ComparisonSummary | None, new: ComparisonSummary | None) -> list[Change]:
    """The variants of one comparison, as yet without a judgement."""
    held = old or new
    assert held is not None
    found = []
    names = {variant.name: variant for each in (old, new) if each for variant in each.methods}
    for name, variant in names.items():
        one = old.variant(name) if old else None
        other = new.variant(name) if new else None
        outcome: Outcome = "cannot tell"
        if one is None:
            outcome = "new"
        elif other is None:
            outcome = "gone"
        elif old and new and _code(old.comparison, one) != _code(new.comparison, other):
            outcome = "other code"
        elif one.time is not None and other.time is None and (other.failures or (new and new.failures)):
            outcome = "fails"
        same_code = outcome in ("cannot tell", "fails") and one is not None and other is not None
        memory = memory_differences(one.memory, other.memory) if same_code and one and other else None
        ratios = [None if each is None or _is_baseline(each) else each.ratio for each in (one, other)]
        found.append(Change(held.comparison, variant.definition, outcome, ratios[0], ratios[1], None, memory))
    return found


def _is_baseline(variant: VariantSummary) -> bool:
    return variant.role == "baseline"


def _code(comparison: Comparison, variant: VariantSummary) -> tuple[str, ...]:
    """What was timed, and what its ratio was taken to."""
    baseline = comparison.baseline
    return (
        comparison.prepare,
        *(
            part
            for each in (variant.definition, baseline)
            for part in (each.setup, each.setup_per_call, each.statement)
        ),
    )


def _judged(
    changes: list[Change],
    margin: float,
    old: dict[str, ComparisonSummary],
    new: dict[str, ComparisonSummary],
) -> list[Change]:
    """The changes with their intervals and outcomes; baselines have neither, since all is taken to them."""
    tested: dict[int, tuple[list[float], list[float]]] = {}
    for place, each in enumerate(changes):
        if each.outcome != "cannot tell" or each.variant.role == "baseline":
            continue
        logs = []
        for side in (old, new):
            variant = side[each.comparison.id].variant(each.variant.name)
            logs.append(list(variant.log_ratios.values()) if variant and variant.ratio else [])
        if all(len(values) >= 2 for values in logs):
            tested[place] = (logs[0], logs[1])
    # Runs that looked before their end have spent a part of the level.
    part = min((side[id].part for side in (old, new) for id in side), default=1.0)
    confidence = 1 - part * stats.FAMILY / max(1, len(tested))
    reach = math.log1p(margin)
    judged = list(changes)
    for place, (before, after) in tested.items():
        each = changes[place]
        joint = stats.difference(after, before, confidence)
        own = stats.difference(after, before)
        outcome: Outcome = "cannot tell"
        if joint.low is not None and joint.low > reach:
            outcome = "slower"
        elif joint.high is not None and joint.high < -reach:
            outcome = "faster"
        elif own.low is not None and own.high is not None and -reach <= own.low and own.high <= reach:
            outcome = "same"
        judged[place] = Change(
            each.comparison, each.variant, outcome, each.old, each.new, own.map(stats.factor), each.memory
        )
    return judged
