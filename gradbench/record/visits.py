"""The records of measured figures. Times are in seconds, memory in bytes, never scaled."""

from __future__ import annotations

from typing import Literal

import msgspec

from gradbench.record.telemetry import Telemetry


class PassStart(msgspec.Struct, frozen=True, tag="pass_start", omit_defaults=True):
    """A fresh process began.

    Attributes:
        number: number of the pass; the pass that measures memory is 0.
        import_seconds: the worker's start and its import of torch.
        processor: the processor that its process was bound to; None where it was not bound.
        beside: number of passes that may run at the same time, this one among them.
    """

    number: int
    kind: Literal["memory", "time"]
    import_seconds: float
    hash_seed: int
    padding: int
    processor: int | None = None
    beside: int = 1


class PartTime(msgspec.Struct, frozen=True):
    """The host's or the device's part of a variant's time on an accelerator, in one visit.

    Attributes:
        seconds: median time per call. The host's includes the loop; the device's is net of its events.
        q1, q3: quartiles of the time per call.
        log_ratio: as for a variant's time; None where this part of either variant is not above `least`.
        least: a time that is not longer is indistinguishable from zero.
    """

    seconds: float
    q1: float
    q3: float
    log_ratio: float | None
    least: float = 0.0


class VariantTime(msgspec.Struct, frozen=True, omit_defaults=True):
    """One variant in one visit.

    Attributes:
        calls: calls in a batch.
        seconds: median time per call, the loop included; on an accelerator until the device has finished.
        q1, q3: quartiles of the time per call.
        log_ratio: median over rounds of log(time / time of the baseline in the same round).
        host: on an accelerator, the host's time to issue the call.
        device: on an accelerator, the device's time for the call when it need not wait for the host. None
            where gradbench cannot measure it, since the statement itself waits for the device.
    """

    calls: int
    seconds: float
    q1: float
    q3: float
    log_ratio: float
    host: PartTime | None = None
    device: PartTime | None = None


class Visit(msgspec.Struct, frozen=True, tag="visit", omit_defaults=True):
    """One comparison in one process.

    Attributes:
        timed_seconds: wall time of the rounds.
        other_seconds: wall time of everything else in the visit: building, checks, calibration.
        error: estimated standard error of the twin's log-ratio within this visit.
        telemetry: the machine's other activity during the rounds.
        clock: the clock of the batches: the `wall` clock, or the processor time of their `thread`.
    """

    number: int
    comparison: str
    rounds: int
    timed_seconds: float
    other_seconds: float
    error: float
    variants: dict[str, VariantTime]
    telemetry: Telemetry = Telemetry()
    clock: Literal["wall", "thread"] = "wall"


class Memory(msgspec.Struct, frozen=True, tag="memory", omit_defaults=True):
    """The memory of one execution of a variant, in bytes; the input does not count.

    Attributes:
        allocated: sum of all allocations.
        allocations: number of allocations.
        peak: most bytes live at once above those at the start; gradients from the call before count.
        retained: bytes live afterwards, the result held; gradients from the call before count.
        graph: bytes released with the result, less the result itself; or bytes that only a graph keeps.
        saved: bytes of the unique storages that the graph keeps for backward, input and result among them. A
            Python number that an operation wraps as a tensor (8 bytes) is in `graph`, and hidden from this
            count. None where no hook sees them, as under torch.func.
        resident: growth of the process's resident set, result held; noisy; None on an accelerator.
        source: the source of the exact figures.
        peak_blocks: as `peak`, in the allocator's blocks, which are larger than the requests; None where
            there are none.
        same_as: the variant whose bytes these are, since it executes the same; empty for bytes of this
            variant.
        executions: number of executions that agree in the exact figures. A single one does not show that they
            repeat.
        standing: bytes of gradients that the call before left, and that this call clears, replaces or adds
            to. This field and the next three are None in older files, whose `peak` and `retained` leave these
            gradients out.
        left: bytes that every call adds to what stays after its result and graph are released, as in a list.
        cycles: bytes that only Python's collector frees, since their objects refer to each other.
        threads: number of threads that worked, the caller's among them. With more than one, their timing
            decides `peak`.
    """

    comparison: str
    variant: str
    allocated: int
    allocations: int
    peak: int
    retained: int
    graph: int
    saved: int | None
    resident: int | None
    source: str
    peak_blocks: int | None = None
    same_as: str = ""
    executions: int = 2
    standing: int | None = None
    left: int | None = None
    cycles: int | None = None
    threads: int | None = None


class Execution(msgspec.Struct, frozen=True, tag="execution", omit_defaults=True):
    """The work of one execution of a variant, beside the control itself; known where a call is long.

    Attributes:
        seconds: rough seconds of one execution.
        same_as: the first variant that executes the same, the baseline before others. Empty where that is
            this variant, or where the worker could not observe its execution.
        operators: the operators that torch dispatched; None where the worker could not observe them.
        declared: the worker did not observe the execution. The code, or the table of methods, says what it
            executes.
    """

    comparison: str
    variant: str
    seconds: float
    same_as: str = ""
    operators: int | None = None
    declared: bool = False


class Stretch(msgspec.Struct, frozen=True):
    """A line of a statement, and the bytes live after each allocation and release in it.

    The count begins with the statement, and includes gradients that the call before left.
    """

    code: str
    live: tuple[int, ...]


class Timeline(msgspec.Struct, frozen=True, tag="timeline"):
    """The bytes that are live during one execution of a variant, line by line."""

    comparison: str
    variant: str
    stretches: tuple[Stretch, ...]


class Kernels(msgspec.Struct, frozen=True, tag="kernels"):
    """The work of an accelerator for one call of a variant, as the profiler sees it.

    Attributes:
        count: number of kernels, and of copies and fills of memory.
        seconds: sum of their durations, without the gaps between them.
    """

    comparison: str
    variant: str
    count: int
    seconds: float


class Figure(msgspec.Struct, frozen=True, tag="figure"):
    """The number that a metric of an extension gives for a variant, in the unit that the plan says."""

    comparison: str
    variant: str
    metric: str
    value: float


class Failure(msgspec.Struct, frozen=True, tag="failure"):
    """A planned measurement that failed.

    Attributes:
        variant: the variant at fault; None where the whole visit was lost.
        kind: `check` the variant does not do what its method promises; `raised`, `out of memory`, `died`,
            `hung`; `given up` after repeated failures.
    """

    number: int
    comparison: str
    variant: str | None
    stage: str
    kind: Literal["check", "raised", "out of memory", "died", "hung", "given up"]
    message: str


class Look(msgspec.Struct, frozen=True, tag="look", omit_defaults=True):
    """A run looked at the figures so far, and chose what to measure next.

    Attributes:
        spent: spent part of the budget, 0 to 1.
        open: by comparison id, from 0 for nothing open to 1.
        says: the open questions in a few words.
        session: how often the run had been begun or resumed before.
    """

    spent: float
    open: dict[str, float]
    says: str
    session: int = 0


class PassEnd(msgspec.Struct, frozen=True, tag="pass_end"):
    """A pass came to its end; `seconds` is its wall time."""

    number: int
    seconds: float


class RunEnd(msgspec.Struct, frozen=True, tag="run_end"):
    """A run came to its end.

    Attributes:
        seconds: wall time since it was started or resumed.
        asked, reached: requested and reached half width of every interval on a ratio, as fractions; None for
            none.
    """

    reason: Literal["passes", "budget", "precision"]
    seconds: float
    asked: float | None = None
    reached: float | None = None
