"""The records of a trial of two sides, and their file of JSON Lines.

The first line is the Header. The other records follow in the order of time: a SideMemory for each variant
on each side, then PairStart, PairVisit and SideFailure records. A trial that came to its end has an End.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Union

import msgspec

from gradbench.errors import RequestError, ResultsFileError
from gradbench.record.environment import Environment
from gradbench.record.lines import read_lines
from gradbench.record.plan import Comparison
from gradbench.record.results import BATCH_SECONDS, Allocator
from gradbench.record.visits import Failure, Memory

FORMAT = "gradbench-versus"
FILENAME = "versus.jsonl"

# The two sides. B is compared with A.
Name = Literal["A", "B"]
NAMES: tuple[Name, Name] = ("A", "B")


class SideFacts(msgspec.Struct, frozen=True):
    """One side as it was measured.

    Attributes:
        label: how a report names it.
        gradbench: the version of gradbench that measured there.
    """

    label: str
    gradbench: str
    environment: Environment


class Options(msgspec.Struct, frozen=True):
    """The options of a trial that decide its measurements and its outcome.

    Attributes:
        margin: a change of time within this fraction counts as none.
        budget: seconds of wall time.
        pairs: at most so many pairs of processes.
        slice: seconds per side and visit.
        turn: seconds of one turn.
    """

    margin: float
    budget: float
    pairs: int
    threads: int = 1
    allocator: Allocator = "keep"
    timeout: float = 120.0
    seed: int = 0
    slice: float = 0.08
    turn: float = 0.01
    batch_seconds: float = BATCH_SECONDS


class Header(msgspec.Struct, frozen=True, tag="header"):
    """The first line.

    Attributes:
        sides: A and B.
        pinned: both processes of a pair run on one processor, so that its speed is common to both.
        shared: both sides import torch from the same files; None in trials that did not record it.
    """

    format: str
    schema: int
    gradbench: str
    created: str
    command: str
    options: Options
    sides: tuple[SideFacts, SideFacts]
    comparisons: tuple[Comparison, ...]
    pinned: bool
    shared: bool | None = None

    @property
    def one_installation(self) -> bool:
        """Whether the sides share the files of torch. Old trials did not record it: whether builds agree."""
        if self.shared is not None:
            return self.shared
        a, b = (
            (each.environment.torch, each.environment.torch_git, each.environment.torch_config)
            for each in self.sides
        )
        return a == b


class SideMemory(msgspec.Struct, frozen=True, tag="side_memory"):
    """The bytes of one execution of a variant, on one side."""

    side: Name
    memory: Memory


class SideFailure(msgspec.Struct, frozen=True, tag="side_failure"):
    """A measurement that failed on one side."""

    side: Name
    failure: Failure


class PairStart(msgspec.Struct, frozen=True, tag="pair_start"):
    """Two fresh processes began, one on each side.

    Attributes:
        processor: both processes are bound to it; None if they are not bound.
    """

    number: int
    seconds: float
    processor: int | None


class PairTime(msgspec.Struct, frozen=True):
    """One variant in one visit of a pair.

    Attributes:
        calls: in a batch, the same on both sides.
        a, b: median over the turns of the seconds per call, the loop included.
        log_ratio: median over pairs of neighbouring turns of log(time of B / time of A).
    """

    calls: int
    a: float
    b: float
    log_ratio: float


class PairVisit(msgspec.Struct, frozen=True, tag="pair_visit"):
    """One comparison in both processes of a pair; `turns` is the number of turns of each process."""

    number: int
    comparison: str
    turns: int
    variants: dict[str, PairTime]


class End(msgspec.Struct, frozen=True, tag="end"):
    """The trial came to its end: every variant was decided, or the budget or the pairs were used up."""

    reason: Literal["decided", "budget", "pairs"]
    seconds: float


Record = Union[  # noqa: UP007 -- msgspec on 3.10
    SideMemory, SideFailure, PairStart, PairVisit, End
]  # fmt: skip


@dataclass
class Trial:
    """A trial's file, read."""

    path: Path
    header: Header
    memory: list[SideMemory] = field(default_factory=list)
    failures: list[SideFailure] = field(default_factory=list)
    pairs: list[PairStart] = field(default_factory=list)
    visits: list[PairVisit] = field(default_factory=list)
    end: End | None = None

    def add(self, record: Record) -> None:
        if isinstance(record, SideMemory):
            self.memory.append(record)
        elif isinstance(record, SideFailure):
            self.failures.append(record)
        elif isinstance(record, PairStart):
            self.pairs.append(record)
        elif isinstance(record, PairVisit):
            self.visits.append(record)
        else:
            self.end = record


def is_trial(path: Path) -> bool:
    """Whether a path is the folder of a trial, or the file of one by its name."""
    return (path / FILENAME).is_file() or (path / f"{FILENAME}.gz").is_file() or FILENAME in path.name


def read_trial(path: Path) -> Trial:
    """Read a trial's file, compressed by gzip or not (or the one in its folder).

    Raises ResultsFileError, in one line, for a file that is empty, corrupt, newer, or not ours. Raises
    RequestError if there is no file.
    """
    if path.is_dir():
        found = [each for name in (FILENAME, f"{FILENAME}.gz") if (each := path / name).is_file()]
        path = found[0] if found else path / FILENAME
    if not path.is_file():
        raise RequestError(f"{path}: expected the file or the folder of `gradbench versus`; there is none")
    lines = read_lines(path, FORMAT)
    trial = Trial(path, lines.decode(1, Header))
    for number in range(2, lines.count + 1):
        trial.add(lines.decode(number, Record))
    known = {each.id for each in trial.header.comparisons}
    for visit in trial.visits:
        if visit.comparison not in known:
            raise ResultsFileError(f"{path}: visits {visit.comparison}, which is not in its plan")
    return trial
