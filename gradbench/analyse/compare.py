"""The changes between two results files: ratios, with intervals and correction, and exact bytes.

gradbench compares ratios to the baseline of the same comparison, and not times. A shared machine drifts by
1.6x within seconds, and two runs are minutes or months apart. The intervals of a run are over its passes.
Neither run's intervals include the difference between two runs of the same code. So a change counts where its
whole interval, corrected for the number of variants, is beyond a margin. METHODOLOGY.md gives the differences
between runs of the same code.

Where a user's file changed, and the baseline with it, `gradbench.analyse.other_code` compares seconds. Bytes
are compared as they are. A variant that was measured and is missing now is worse: a gate that lets it pass
could never fail. A run tries changes of a user's training as far as there is time. So one of them may be
missing by chance, and is not worse for that.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

from gradbench.analyse import stats
from gradbench.analyse.memory_difference import COUNT, EXACT, MemoryDifference, larger, memory_differences
from gradbench.analyse.model import ComparisonSummary, VariantSummary
from gradbench.analyse.other_code import Seconds, change_of_seconds, comparable, outcome_of
from gradbench.analyse.summary import summarise
from gradbench.errors import RequestError
from gradbench.record.environment import FACTS, words
from gradbench.record.interval import Interval
from gradbench.record.plan import USER_MODEL, VERSIONS, Comparison, Variant
from gradbench.record.results import Results

# The outcome that matters most comes first.
Outcome = Literal[
    "slower", "fails", "not timed", "faster", "cannot tell", "same", "other code", "gone", "new"
]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
# The figure that changed: the ratio to an unchanged baseline, or the seconds per call.
Basis = Literal["ratio", "seconds"]
# The figures that count for other code: the bytes that it holds. Its allocations in total are free to change.
HELD = ("peak", "retained", "graph", "saved", "left")
# How the names of changes of a user's training begin, as `gradbench.define.changes` makes them.
_CHANGES = ("freeze_", "no_grad_to_", "checkpoint_", "batch_")


@dataclass(frozen=True)
class Change:
    """One variant in both runs.

    Attributes:
        old, new: the ratio to the baseline in a run, with its 95 % interval; None where it is not known.
        change: new ratio ÷ old ratio, with its 95 % interval.
        outcome: `slower` and `faster` are beyond the margin with the whole interval. In 99 of 100 cases the
            intervals of all variants hold together.
            `same` is within the margin with its 95 % interval.
            `fails`: it has no time in the new run because it failed there.
            `not timed`: it has no time there for another reason.
            `other code`: the timed code is not the same text, and is not a user's.
        memory: the differences in memory; None where one run has no figures, or for `other code`.
        other_code: the user's code is not the same text in both runs.
        basis: the figure that `change` compares.
        seconds: per call, in the old run and in the new one; only for other code.
        moved: by the work that seconds are relative to, the new seconds ÷ old seconds of that work.
        lost: the figures of memory that are known in the old run and not in the new one.
        asked: the request of the new run includes it.
        failing: it failed in the new run, if only in some passes, and never in the old one.
    """

    comparison: Comparison
    variant: Variant
    outcome: Outcome
    old: Interval | None
    new: Interval | None
    change: Interval | None
    memory: tuple[MemoryDifference, ...] | None
    other_code: bool = False
    basis: Basis = "ratio"
    seconds: tuple[Interval | None, Interval | None] = (None, None)
    moved: dict[str, float] = field(default_factory=dict)
    lost: tuple[str, ...] = ()
    asked: bool = True
    failing: bool = False

    @property
    def judged(self) -> tuple[MemoryDifference, ...] | None:
        """The differences in memory that count: for other code only held bytes; None where not known."""
        if self.memory is None or not self.other_code:
            return self.memory
        return tuple(each for each in self.memory if each.figure in (*HELD, COUNT))

    @property
    def larger(self) -> bool:
        """Whether the new run has more bytes in any figure of memory; for other code, in held bytes."""
        return larger(self.judged)

    @property
    def by_chance(self) -> bool:
        """Whether a run measures it only where time is left: a change to a user's training."""
        return (
            self.comparison.workload == USER_MODEL
            and self.comparison.part == "step"
            and self.variant.name.startswith(_CHANGES)
        )

    @property
    def has_outcome(self) -> bool:
        """Whether there is an outcome to show: a baseline of the same code has no ratio, and so none."""
        return self.variant.role != "baseline" or self.basis == "seconds" or self.outcome != "cannot tell"

    @property
    def missed(self) -> bool:
        """Whether a figure was measured before and is missing now, although the run requested it."""
        return bool(self.lost) or self.outcome == "not timed" or (self.outcome == "gone" and self.asked)

    @property
    def worse(self) -> bool:
        """Whether the variant became slower or larger, fails now, or is no longer measured."""
        missed = self.missed and not self.by_chance
        return self.outcome in ("slower", "fails") or self.larger or missed or self.failing


@dataclass(frozen=True)
class Compared:
    """Two runs, compared.

    Attributes:
        differing: facts that differ between the runs and may be the point of the comparison, in words.
        forced: facts that must not differ and do; --force allowed that.
    """

    old: Results
    new: Results
    margin: float
    changes: tuple[Change, ...]
    differing: tuple[str, ...]
    forced: tuple[str, ...]

    @property
    def worse(self) -> list[Change]:
        """The variants that became slower or larger, fail now, or are no longer measured."""
        return [each for each in self.changes if each.worse]


def compare(old: Results, new: Results, margin: float, force: bool = False) -> Compared:
    """Compare two runs; `margin` is the change of a ratio, as a fraction, that still counts as none.

    Raises RequestError where the runs have no variant in common. Without `force` it also raises where their
    machines or options do not compare.
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
        changes.extend(
            _asked(each, old, new) if each.outcome == "gone" else each
            for each in _variants(a.get(id), b.get(id))
        )
    if not any(each.outcome not in ("gone", "new") for each in changes):
        users = any(_is_users(each.comparison) for each in changes)
        advice = (
            "their files define other parts, or an x of another shape or device, or a result of "
            "another dtype; `gradbench model OLD.py NEW.py` compares two files"
            if users
            else "measure both with the same --workload, --size, --dtype and --device"
        )
        raise RequestError(
            f"{old.path} and {new.path} cannot be compared: they have no variant in common; {advice}"
        )
    others = _differing(old, new, [fact.name for fact in FACTS if not fact.compared])
    paces = Seconds(old), Seconds(new)
    return Compared(
        old, new, margin, tuple(_judged(changes, margin, a, b, paces)), tuple(others), tuple(forced)
    )


def _is_users(comparison: Comparison) -> bool:
    """Whether the code is a user's: other code of the same name then is a new version of it."""
    return comparison.workload in (USER_MODEL, VERSIONS)


def _asked(gone: Change, old: Results, new: Results) -> Change:
    """A variant that is gone, with whether the new run requests it: a deselected variant is not lost."""
    change, variant, request = gone.comparison, gone.variant, new.header.request
    if request.methods and variant.role == "method" and variant.name not in request.methods:
        return replace(gone, asked=False)
    if _is_users(change):
        # The user's file decides workload, size, device and dtype, and no request names them.
        return gone
    asked = (
        # Another preset holds other workloads, sizes and alternatives.
        request.preset == old.header.request.preset
        and (not request.workloads or change.workload in request.workloads)
        and (not request.sizes or any(_sized(change, size) for size in request.sizes))
        and change.device in request.devices
        and change.dtype == request.dtype
    )
    return replace(gone, asked=asked)


def _sized(comparison: Comparison, size: str) -> bool:
    """Whether a word of `--size` may mean the size of a comparison; a sweep may mean any size."""
    try:
        return float(size) == comparison.numel
    except ValueError:
        return size == comparison.size or ":" in size


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
        ratios = [None if each is None or each.role == "baseline" else each.ratio for each in (one, other)]
        change = Change(held.comparison, variant.definition, "cannot tell", ratios[0], ratios[1], None, None)
        if one is None:
            found.append(replace(change, outcome="new"))
        elif other is None:
            found.append(replace(change, outcome="gone"))
        else:
            assert old is not None
            assert new is not None
            found.append(_in_both(change, (old, one), (new, other)))
    return found


# A comparison, and one of its variants.
_Placed = tuple[ComparisonSummary, VariantSummary]


def _in_both(change: Change, old: _Placed, new: _Placed) -> Change:
    """The change of a variant that both runs plan, as yet without a judgement of its time."""
    (before, one), (after, other) = old, new
    own = _code(before.comparison, one.definition) != _code(after.comparison, other.definition)
    baselines = (_code(each.comparison, each.comparison.baseline) for each in (before, after))
    of_baseline = len(set(baselines)) > 1
    if own or of_baseline:
        if not _is_users(change.comparison):
            return replace(change, outcome="other code")
        # With an unchanged baseline the ratio is the better measure: both were timed in turns.
        basis: Basis = "seconds" if of_baseline else "ratio"
        change = replace(change, other_code=True, basis=basis, seconds=(one.time, other.time))
    outcome: Outcome = "cannot tell"
    if one.time is not None and other.time is None and other.verdict != "no time of its own":
        outcome = "fails" if other.failures or after.failures else "not timed"
    lost = tuple(
        figure
        for figure in EXACT
        if getattr(one.memory, figure, None) is not None and getattr(other.memory, figure, None) is None
    )
    memory = memory_differences(one.memory, other.memory)
    failing = other.failure is not None and one.failure is None
    return replace(change, outcome=outcome, memory=memory, lost=lost, failing=failing)


def _code(comparison: Comparison, variant: Variant) -> tuple[str, ...]:
    """The timed code, its inputs and its setup."""
    return comparison.inputs(variant), variant.setup, variant.setup_per_call, variant.statement


def _judged(
    changes: list[Change],
    margin: float,
    old: dict[str, ComparisonSummary],
    new: dict[str, ComparisonSummary],
    paces: tuple[Seconds, Seconds],
) -> list[Change]:
    """The changes with their intervals and outcomes; an unchanged baseline has neither."""
    tested: dict[int, tuple[list[float], list[float]]] = {}
    by_seconds: list[int] = []
    for place, each in enumerate(changes):
        if each.outcome != "cannot tell":
            continue
        if each.basis == "seconds":
            if _is_timed(each, old, new) and comparable(*paces, each.comparison.id, each.variant.name):
                by_seconds.append(place)
            continue
        if each.variant.role == "baseline":
            continue
        logs = []
        for side in (old, new):
            variant = side[each.comparison.id].variant(each.variant.name)
            logs.append(list(variant.log_ratios.values()) if variant and variant.ratio else [])
        if all(len(values) >= 2 for values in logs):
            tested[place] = (logs[0], logs[1])
    # Runs that looked before their end have spent a part of the level.
    part = min((side[id].part for side in (old, new) for id in side), default=1.0)
    confidence = 1 - part * stats.FAMILY / max(1, len(tested) + len(by_seconds))
    reach = math.log1p(margin)
    judged = list(changes)
    for place, (before, after) in tested.items():
        each = changes[place]
        joint = stats.difference(after, before, confidence)
        own = stats.difference(after, before)
        outcome = outcome_of([(joint, reach)], [own], reach)
        judged[place] = replace(each, outcome=outcome, change=own.map(stats.factor))
    for place in by_seconds:
        each = changes[place]
        found = change_of_seconds(*paces, each.comparison.id, each.variant.name, confidence, reach)
        if found is not None:
            judged[place] = replace(each, outcome=found.outcome, change=found.change, moved=found.moved)
    return judged


def _is_timed(change: Change, old: dict[str, ComparisonSummary], new: dict[str, ComparisonSummary]) -> bool:
    """Whether both runs timed a variant itself, and not another one in its place."""
    variants = [side[change.comparison.id].variant(change.variant.name) for side in (old, new)]
    return all(each is not None and each.bound is None for each in variants)
