"""The messages between parent and worker, besides results: the only vocabulary that the two share."""

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

# Levels of the check, from least to most. The first runs the baseline. The second also runs a variant that
# records, so that neither is cold. The third checks flags and modes of all variants. The fourth also compares
# results with the baseline's, and the last compares them with NumPy's.
Check = Literal["baseline", "warm", "flags", "values", "answers"]


class Task(msgspec.Struct, frozen=True):
    """One comparison to visit; without a comparison, the task is to observe the methods.

    Attributes:
        seconds: seconds that its rounds should take.
        file_text: text of a user's file, for a task that only looks at the file.
        fit: bytes that its training should fit into; None where the request names none.
        changes: wanted changes of its training by name, with their effect, which are not checked; None for
            all.
        versions: the user's files, for a task that only looks at them together; or one file that defines
            `variants`.
        operation: expressions of x, for a task that only looks at them; `file_text` is the code that they
            need.
        x: code that makes x for the expressions.
        known: seconds per call by variant, from earlier visits; the worker calibrates a variant that is
            missing here.
        check: the level of the check before the timing.
        most: seconds after which no further round begins, even after few rounds; None for no limit.
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


# Increase this number with a change that workers of another version do not understand, or measure
# differently.
PROTOCOL = 5


class WorkerSettings(msgspec.Struct, frozen=True):
    """The first line that a worker reads.

    Attributes:
        number: number of the pass.
        kind: the work of the worker: count bytes, time each visit alone, take turns with another worker, or
            look at the devices.
        seed: seed of the random orders in this process.
        batch_seconds: seconds that a batch should take.
        accelerators: the worker measures on devices other than the CPU.
        file: path of the user's file, whose text is in the comparisons; modules beside it can be imported.
        files: for several files, the path of each by name; `file` is the first of them.
        metrics: metrics of extensions for each variant, where the worker counts memory.
        sources: a folder; the worker reports the number of modules that it has imported from there.
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
        free: free bytes of memory by accelerator; filled where it was to look.
        torch_file: the path of the imported torch.
        protocol: the worker's PROTOCOL; 0 for versions before it had a number.
        lacks: where it was to look, by device torch's reason why it cannot be used; for `cuda` where there is
            none.
    """

    environment: Environment
    import_seconds: float
    gradbench: str = ""
    free: dict[str, int] = {}
    lacks: dict[str, str] = {}
    protocol: int = 0
    torch_file: str = ""


class FileRejected(msgspec.Struct, frozen=True, tag="file_rejected"):
    """Why a user's file cannot be measured: expected, got, and what to do.

    Attributes:
        file: the name of the file, where there are several.
    """

    message: str
    file: str = ""


class Calibrated(msgspec.Struct, frozen=True, tag="calibrated"):
    """The worker's variants are ready; `calls` by variant is its own choice of calls in a batch."""

    calls: dict[str, int]


class Turn(msgspec.Struct, frozen=True):
    """This worker's turn: rounds of these variants for `seconds`; a turn without variants ends the visit."""

    calls: dict[str, int] = {}
    seconds: float = 0.0


class Turned(msgspec.Struct, frozen=True, tag="turned"):
    """A turn is over: by variant the median over its rounds of the seconds per call, the loop included."""

    seconds: dict[str, float]


class Finish(msgspec.Struct, frozen=True, tag="finish"):
    """The worker is done with a task and waits for the next.

    Attributes:
        imported: number of modules imported from the sources of its settings, where the settings name a
            folder.
    """

    imported: int = 0


Message = Union[  # noqa: UP007 -- msgspec on 3.10
    Ready, FileFacts, OperationFacts, VersionsFacts, FileRejected, Calibrated, Turned, Finish, Visit,
    Execution, Memory, Timeline, Kernels, Figure, Observation, Agreement, Failure,
]  # fmt: skip
