"""What the parent asks of a worker, and what the worker says besides results: their only common words."""

from __future__ import annotations

from typing import Literal, Union

import msgspec

from gradbench.record.environment import Environment
from gradbench.record.metric import Metric
from gradbench.record.observation import Observation
from gradbench.record.plan import Comparison
from gradbench.record.results import BATCH_SECONDS
from gradbench.record.user_file import FileFacts, OperationFacts
from gradbench.record.versions import Agreement, FileText, VersionsFacts
from gradbench.record.visits import Execution, Failure, Figure, Kernels, Memory, Timeline, Visit

# What of the variants is checked: that the baseline runs; that it does, and one that records, so that neither
# is cold; flags and modes of all; their results against the baseline's as well; and those against NumPy's.
Check = Literal["baseline", "warm", "flags", "values", "answers"]


class Task(msgspec.Struct, frozen=True):
    """One comparison to visit; or, without one, to observe what the methods do.

    Attributes:
        seconds: that its rounds should take.
        file_text: of a file of the user's that is to be looked at, and nothing else.
        fit: bytes that its training should fit into; None where that was not asked.
        changes: by name those of its training that are wanted, unchecked, with their effect; None for all.
        versions: files of the user's that are to be looked at together, and nothing else; or one that defines
            `variants`.
        operation: expressions of x that are to be looked at, the `file_text` being what they need, and
            nothing else.
        x: code that makes x for them.
        known: seconds per call by variant, where earlier visits tell; a variant without is calibrated.
        check: how much of what the variants do is checked before they are timed.
        most: seconds after which no further round begins, however few there were; None for no limit.
    """

    comparison: Comparison | None
    seconds: float
    file_text: str | None = None
    versions: tuple[FileText, ...] = ()
    operation: tuple[str, ...] = ()
    x: str = ""
    known: dict[str, float] = {}
    check: Check = "answers"
    most: float | None = None
    fit: int | None = None
    changes: dict[str, str] | None = None


# Raised where workers of another number would not understand, or would measure otherwise.
PROTOCOL = 5


class WorkerSettings(msgspec.Struct, frozen=True):
    """The first line that a worker reads.

    Attributes:
        number: of the pass.
        kind: what the worker does: count bytes, time each visit by itself, take turns with another, or
            look at the devices that are here.
        seed: of the random orders in this process.
        batch_seconds: what a batch should take.
        accelerators: it measures on others than the CPU.
        file: of the user's, whose text is in the comparisons; what stands beside it can be imported.
        files: where there are several, by name where each stands; `file` is the first of them.
        metrics: what extensions measure of each variant, where the worker counts memory.
        sources: a folder; the worker tells how many modules it has imported from there.
    """

    number: int
    kind: Literal["memory", "time", "turns", "devices"]
    seed: int
    threads: int
    batch_seconds: float = BATCH_SECONDS
    accelerators: bool = False
    file: str = ""
    files: dict[str, str] = {}
    sources: str = ""
    metrics: tuple[Metric, ...] = ()


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """The worker has imported torch, under this version of gradbench.

    Attributes:
        free: bytes of memory that nobody uses, by accelerator; where it was to look.
        torch_file: where torch was imported from.
        protocol: PROTOCOL there; 0 of versions before it had a number.
        lacks: where it was to look, by device what torch says of one that cannot be used; of `cuda` where
            there is none.
    """

    environment: Environment
    import_seconds: float
    gradbench: str = ""
    free: dict[str, int] = {}
    lacks: dict[str, str] = {}
    protocol: int = 0
    torch_file: str = ""


class FileRejected(msgspec.Struct, frozen=True, tag="file_rejected"):
    """Why a file of the user's cannot be measured: expected, got, and what to do.

    Attributes:
        file: the name of the file, where there are several.
    """

    message: str
    file: str = ""


class Calibrated(msgspec.Struct, frozen=True, tag="calibrated"):
    """The worker's variants stand ready; `calls` in a batch, by variant, are what it would choose alone."""

    calls: dict[str, int]


class Turn(msgspec.Struct, frozen=True):
    """It is this worker's turn: rounds of these variants for so many seconds; no variant ends the visit."""

    calls: dict[str, int] = {}
    seconds: float = 0.0


class Turned(msgspec.Struct, frozen=True, tag="turned"):
    """A turn is over: by variant the median over its rounds of the seconds per call, the loop included."""

    seconds: dict[str, float]


class Finish(msgspec.Struct, frozen=True, tag="finish"):
    """The worker is done with a task and waits for the next.

    Attributes:
        imported: modules that it has imported from the sources of its settings, where those name some.
    """

    imported: int = 0


Message = Union[  # noqa: UP007 -- msgspec on 3.10
    Ready, FileFacts, OperationFacts, VersionsFacts, FileRejected, Calibrated, Turned, Finish, Visit,
    Execution, Memory, Timeline, Kernels, Figure, Observation, Agreement, Failure,
]  # fmt: skip
