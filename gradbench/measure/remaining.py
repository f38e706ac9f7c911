"""The work that a run still lacks."""

from __future__ import annotations

from gradbench.record.plan import Comparison, Plan
from gradbench.record.results import Results


class Remaining:
    """The work that a run still lacks: memory, comparisons of passes that were cut off, and the next pass."""

    def __init__(self, plan: Plan, old: Results | None) -> None:
        comparisons = list(plan.comparisons)
        self.memory = comparisons
        self.observe = old is None or not old.observations
        self.unfinished: dict[int, list[Comparison]] = {}
        self.first_pass = 1
        if old is None:
            return
        # A visit is over when the file has it, or when it or its baseline failed.
        baseline = {c.id: c.baseline.name for c in comparisons}
        done: dict[int, set[str]] = {}
        for visit in old.visits:
            done.setdefault(visit.number, set()).add(visit.comparison)
        for failure in old.failures:
            if failure.variant is None or failure.variant == baseline.get(failure.comparison):
                done.setdefault(failure.number, set()).add(failure.comparison)
        counted = {(record.comparison, record.variant) for record in old.memory}
        figures = {(record.comparison, record.variant, record.metric) for record in old.figures}
        failed = {
            (failure.comparison, failure.variant or "") for failure in old.failures if failure.number == 0
        }
        self.memory = [
            c
            for c in comparisons
            if c.id not in done.get(0, set())
            and any(
                (variant.counted and (c.id, variant.name) not in counted)
                or any((c.id, variant.name, metric.name) not in figures for metric in plan.metrics)
                for variant in c.variants
                if variant.role != "empty" and (c.id, variant.name) not in failed
            )
        ]
        started = [begun.number for begun in old.passes]
        for number in range(1, max(started, default=0) + 1):
            missing = [c for c in plan.due(number) if c.id not in done.get(number, set())]
            if missing:
                self.unfinished[number] = missing
        self.first_pass = max(started, default=0) + 1
