"""The records of what was measured. Times are in seconds, memory in bytes, never scaled."""

from __future__ import annotations

from typing import Literal

import msgspec

from gradbench.record.telemetry import Telemetry


class PassStart(msgspec.Struct, frozen=True, tag="pass_start", omit_defaults=True):
    """A fresh process began.

    Attributes:
        number: of the pass; the pass that measures memory is 0.
        import_seconds: the worker's start and its import of torch.
        processor: that its process was bound to; None where it was not.
        beside: passes that may run at the same time, this one among them.
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
        seconds: median time per call: the host's with the loop included, the device's net of its events.
        q1, q3: quartiles of the same.
        log_ratio: as of a variant's time; None where the part of one is not above `least`.
        least: what is not longer cannot be told from nothing.
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
        seconds: median time per call, the loop included; on an accelerator until the device has done it.
        q1, q3: quartiles of the same.
        log_ratio: median over rounds of log(time / time of the baseline in the same round).
        host: on an accelerator, the host's time to issue the call.
        device: on an accelerator, what the device takes for it when it need not wait for the host; None
            where that cannot be measured, since the statement itself waits for the device.
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
        telemetry: what else the machine did during the rounds.
        clock: what the batches were timed by: the `wall` clock, or the processor time of their `thread`.
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
    """What one execution of a variant does to memory, in bytes; the input is not counted.

    Attributes:
        allocated: sum of all allocations.
        allocations: their number.
        peak: most live at once above the start, and what stood there then.
        retained: live afterwards, the result held; what stood at the start is counted in.
        graph: what is let go of with the result, less the result itself, or what only a graph keeps.
        saved: unique storages that the graph keeps for backward, input and result among them; a Python
            number that an operation wraps as a tensor (8 bytes) is in `graph`, and hidden from this count.
            None where no hook sees them, as under torch.func.
        resident: growth of the process's resident set, result held; noisy; None on an accelerator.
        source: where the exact figures come from.
        peak_blocks: as `peak`, in the blocks that the allocator gave, which are larger than what was asked
            for; None where there are none.
        same_as: the variant that these bytes were counted of, which executes the same; empty for its own.
        executions: how many executions agree in the exact figures; of one, nothing shows that they repeat.
        standing: gradients that the call before left, and that this call clears, replaces or adds to. This
            and the next three are None in files of before, in which `peak` and `retained` are without it.
        left: what each call adds to what stays when its result and graph are let go of, as in a list.
        cycles: what only Python's collector frees, since it holds itself.
        threads: that worked, the caller's among them; with more than one, how they meet decides `peak`.
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
    """What one execution of a variant is, beside the control itself; known where a call is long.

    Attributes:
        seconds: of one execution, rough.
        same_as: the first variant that executes the same, the baseline before others; empty where that is
            itself, or where its execution could not be observed.
        operators: those that torch dispatched; None where they could not be observed.
        declared: it was not observed; its code, or the table of methods, says what it executes.
    """

    comparison: str
    variant: str
    seconds: float
    same_as: str = ""
    operators: int | None = None
    declared: bool = False


class Stretch(msgspec.Struct, frozen=True):
    """A line of a statement, and the bytes live after each allocation and release in it.

    They are counted from the start of the statement; gradients that stood there then are counted in.
    """

    code: str
    live: tuple[int, ...]


class Timeline(msgspec.Struct, frozen=True, tag="timeline"):
    """The bytes that are live during one execution of a variant, line by line."""

    comparison: str
    variant: str
    stretches: tuple[Stretch, ...]


class Kernels(msgspec.Struct, frozen=True, tag="kernels"):
    """What an accelerator does for one call of a variant, as the profiler sees it.

    Attributes:
        count: kernels, and copies and fills of memory.
        seconds: their durations, added up: without what lies between them.
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
    """Something that was to be measured and was not.

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
    """A run looked at what is decided, and chose by it what it measures next.

    Attributes:
        spent: part of the budget that was spent, 0 to 1.
        open: by comparison id, from 0 for nothing open to 1.
        says: the same in a few words.
        session: how often the run had been begun or gone on with before.
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
        asked, reached: half widths of every interval on a ratio, as fractions; None for none.
    """

    reason: Literal["passes", "budget", "precision"]
    seconds: float
    asked: float | None = None
    reached: float | None = None
