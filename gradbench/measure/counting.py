"""The bytes of a comparison: of each variant, or once for each distinct execution where calls are long."""

from __future__ import annotations

import time
from collections.abc import Hashable, Iterator, Sequence

import msgspec

from gradbench.measure.clock import Accelerator
from gradbench.measure.execution import Observed, observe
from gradbench.measure.leave_out import LONG, declared_as
from gradbench.measure.memory import follow, measure_long, measure_memory, measure_once
from gradbench.measure.variant import ReadyVariant
from gradbench.record.plan import USER_MODEL, Comparison
from gradbench.record.visits import Execution, Memory, Timeline

# For longer calls, in seconds, an extra execution to observe them is worth its time.
OBSERVED_FROM = 1e-3
# For longer calls, in seconds, variants that execute the same share one count of bytes.
COUNTED_ONCE_FROM = 20e-3


class Counting:
    """Reports for the variants of one comparison what they execute, and their memory.

    Attributes:
        variants: variants that have bytes to count, in the order in which `of` must get them.
    """

    def __init__(
        self, comparison: Comparison, variants: Sequence[ReadyVariant], accelerator: Accelerator | None
    ) -> None:
        self._comparison = comparison
        self._accelerator = accelerator
        self._alike = _Alike(comparison)
        self._memory: dict[str, Memory] = {}
        self.variants = [each for each in variants if each.variant.role != "empty" and each.variant.counted]
        # Other variants of a user's model do at least the same work as the baseline.
        self._call = 0.0
        if comparison.workload == USER_MODEL:
            self._call = next((_took(each) for each in variants if each.variant.role == "baseline"), 0.0)
        if self._call > OBSERVED_FROM:
            self.variants.sort(key=self._alike.place)

    def of(self, ready: ReadyVariant) -> Iterator[Execution | Memory | Timeline]:
        """The records of one variant. Raises what the statement raises, Unrepeatable and Uncounted."""
        if self._call <= OBSERVED_FROM:
            yield from self._counted(ready)
        elif self._call <= COUNTED_ONCE_FROM:
            yield self._alike.observed(ready, observe(ready))
            yield from self._counted(ready)
        elif self._accelerator is not None:
            execution = self._alike.observed(ready, observe(ready))
            yield execution
            yield from [self._copied(execution)] if self._is_known(execution) else self._counted(ready)
        else:
            yield from self._of_long(ready)

    def _is_known(self, execution: Execution) -> bool:
        """Whether the bytes of another variant are those of this execution."""
        return execution.same_as in self._memory

    def _of_long(self, ready: ReadyVariant) -> Iterator[Execution | Memory | Timeline]:
        declared = self._alike.declared(ready) if self._call > LONG else None
        if declared is not None and self._is_known(declared):
            yield declared
            yield self._copied(declared)
            return
        if self._call > LONG and self._is_alone(ready):
            once = self._once(ready)
            if once is not None:
                yield from once
                return
        made: list[Execution] = []

        def known(observed: Observed) -> bool:
            made.append(self._alike.observed(ready, observed))
            return self._is_known(made[0])

        try:
            counted = measure_long(
                ready, self._comparison.id, known, repeats=self._call <= LONG, by_line=self._followed(ready)
            )
        finally:
            # Report the observation even where the count fails.
            yield from made
        if counted is None:
            yield self._copied(made[0])
            return
        memory, timeline = counted
        self._memory[ready.variant.name] = memory
        yield memory
        if timeline is not None:
            yield timeline

    def _once(self, ready: ReadyVariant) -> list[Execution | Memory | Timeline] | None:
        """The records of one execution without a watch on its operators; None where that raises."""
        try:
            observed, memory, timeline = measure_once(ready, self._comparison.id, self._followed(ready))
        except RuntimeError:
            # torch refuses some work only under a watch. Then the count goes as for a shorter call.
            return None
        ready.took = ready.took or observed.seconds
        self._memory[ready.variant.name] = memory
        execution = self._alike.observed(ready, observed)
        return [execution, memory, *([timeline] if timeline is not None else [])]

    def _is_alone(self, ready: ReadyVariant) -> bool:
        """Whether no other variant executes the same: an alternative, a variant that records, an inference
        mode.

        A watch on its operators would take a separate execution, since the mode changes the allocations.
        """
        expected = ready.variant.expect
        return self._comparison.alternatives or bool(
            expected.result_requires_grad or expected.result_inference or ready.variant.name == "detach_after"
        )

    def _counted(self, ready: ReadyVariant) -> Iterator[Memory | Timeline]:
        memory = measure_memory(ready, self._comparison.id, self._accelerator)
        self._memory[ready.variant.name] = memory
        yield memory
        if self._followed(ready):
            yield follow(ready, self._comparison.id, self._accelerator)

    def _followed(self, ready: ReadyVariant) -> bool:
        return self._comparison.timeline and ready.variant.role in ("baseline", "method")

    def _copied(self, execution: Execution) -> Memory:
        memory = self._memory[execution.same_as]
        return msgspec.structs.replace(memory, variant=execution.variant, same_as=execution.same_as)


def _took(ready: ReadyVariant) -> float:
    """Seconds of one execution: of its check, or of one more without a check."""
    if not ready.took:
        per_call = ready.set_up_call()
        started = time.perf_counter()
        ready.run_and_keep(per_call)
        ready.took = time.perf_counter() - started
    return ready.took


class _Alike:
    """The variants of a comparison that execute the same, among those reported so far."""

    def __init__(self, comparison: Comparison) -> None:
        self._comparison = comparison
        self._places = {each.name: place for place, each in enumerate(comparison.variants)}
        self._first: dict[Hashable, str] = {}
        self._found: dict[str, Execution] = {}

    def place(self, ready: ReadyVariant) -> tuple[bool, int]:
        """The sort key: the baseline first, and then the order of the plan."""
        return ready.variant.role != "baseline", self._places[ready.variant.name]

    def observed(self, ready: ReadyVariant, observed: Observed) -> Execution:
        """The execution of a variant, as it was observed."""
        name = ready.variant.name
        first = name
        if observed.signature is not None:
            first = self._first.setdefault(observed.signature, name)
        # The check may have been the first call of its kind, and a watch takes time. So the smaller is
        # closer.
        return self._keep(
            Execution(
                comparison=self._comparison.id,
                variant=name,
                seconds=min(ready.took or observed.seconds, observed.seconds),
                same_as="" if first == name else first,
                operators=observed.operators,
            )
        )

    def declared(self, ready: ReadyVariant) -> Execution | None:
        """The execution of a variant by its code or by the table of methods; None where neither shows it."""
        variant, comparison = ready.variant, self._comparison
        found = self._found.get(declared_as(variant, comparison))
        if found is None:
            return None
        return self._keep(
            Execution(
                comparison=comparison.id,
                variant=variant.name,
                seconds=ready.took or found.seconds,
                same_as=found.same_as or found.variant,
                operators=found.operators,
                declared=True,
            )
        )

    def _keep(self, execution: Execution) -> Execution:
        self._found[execution.variant] = execution
        return execution
