"""What the parent asks of a worker, and what the worker says besides results: their only common words."""

from __future__ import annotations

from typing import Literal, Union

import msgspec

from gradbench.environment import Environment
from gradbench.plan import Comparison
from gradbench.results import BATCH_SECONDS, Failure, Memory, Timeline, Visit
from gradbench.traits import Observation


class Task(msgspec.Struct, frozen=True):
    """One comparison to visit, for a slice of `seconds`; or, without one, to observe what the methods do."""

    comparison: Comparison | None
    seconds: float


class Job(msgspec.Struct, frozen=True):
    """The first line that a worker reads.

    Attributes:
        number: of the pass.
        seed: of the random orders in this process.
        batch_seconds: what a batch should take.
    """

    number: int
    kind: Literal["memory", "time"]
    seed: int
    threads: int
    batch_seconds: float = BATCH_SECONDS


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """The worker has imported torch."""

    environment: Environment
    import_seconds: float


class Finish(msgspec.Struct, frozen=True, tag="finish"):
    """The worker is done with a task and waits for the next."""


Message = Union[  # noqa: UP007 -- msgspec on 3.10
    Ready, Finish, Visit, Memory, Timeline, Observation, Failure
]  # fmt: skip
