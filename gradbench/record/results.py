"""The records of a run, and their file of JSON Lines.

The first line is the Header; the Anatomy and the Faults of a file of the user's follow it. Then come the
other records, in the order in which they happened. They are PassStart, Visit, Execution, Memory, Timeline,
Kernels, Figure, Observation, Agreement, Failure, Look and PassEnd. A RunEnd follows each time a run came to
its end. A file without RunEnd was interrupted, and is valid. Times are in seconds, memory in bytes, never
scaled.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Union

import msgspec

from gradbench.errors import RequestError, ResultsFileError
from gradbench.record.anatomy import Anatomy
from gradbench.record.command import resuming
from gradbench.record.environment import Environment
from gradbench.record.lines import SCHEMA, read_lines
from gradbench.record.observation import Observation
from gradbench.record.plan import Plan, Request
from gradbench.record.user_file import Fault
from gradbench.record.versions import Agreement
from gradbench.record.visits import (
    Execution,
    Failure,
    Figure,
    Kernels,
    Look,
    Memory,
    PassEnd,
    PassStart,
    RunEnd,
    Timeline,
    Visit,
)

FORMAT = "gradbench-results"


FILENAME = "results.jsonl"


Allocator = Literal["keep", "system"]


# Long against the clock's tick, short against the drift of the machine.
BATCH_SECONDS = 50e-6


class Options(msgspec.Struct, frozen=True):
    """The options of a run that decide what it measures.

    Attributes:
        threads: intra-op threads of torch.
        allocator: `keep` has glibc keep freed pages, `system` leaves its defaults.
        timeout: seconds after which a silent worker counts as hung.
        memory: whether a separate pass counts bytes.
        batch_seconds: seconds that a batch should take.
        fit: bytes that the training of a user's model should fit into; None where the request names none.
    """

    preset: str
    threads: int
    allocator: Allocator
    timeout: float
    memory: bool = True
    batch_seconds: float = BATCH_SECONDS
    fit: int | None = None


class Header(msgspec.Struct, frozen=True, tag="header"):
    """The first line: the format of the file, the request, and the machine.

    Attributes:
        labels: by method its name in reports; also for methods that a run observed and did not time.
    """

    format: str
    schema: int
    gradbench: str
    created: str
    command: str
    request: Request
    options: Options
    environment: Environment
    plan: Plan
    labels: dict[str, str] = {}

    def label(self, method: str) -> str:
        """The name of a method in a report; files of schema 1 name only methods that the run measured."""
        if method in self.labels:
            return self.labels[method]
        variants = (each for comparison in self.plan.comparisons if not comparison.alternatives
                    for each in comparison.variants if each.name == method)  # fmt: skip
        return next((each.label for each in variants), method)

    @property
    def measured_on(self) -> str:
        """The hardware of the figures, by name: accelerators, and the processor, which may be their host."""
        devices = {each.device for each in self.plan.comparisons}
        processor = self.environment.processor
        names = [
            f"{each.name} ({each.device})" for each in self.environment.accelerators if each.device in devices
        ]
        if not names:
            return processor
        *first, last = [processor, *names] if "cpu" in devices else [*names, f"the host {processor}"]
        return f"{', '.join(first)} and {last}"


Record = Union[  # noqa: UP007 -- msgspec on 3.10
    Header, PassStart, Visit, Execution, Memory, Timeline, Kernels, Figure, Observation, Failure, Look,
    PassEnd, RunEnd, Fault, Anatomy, Agreement,
]  # fmt: skip


@dataclass
class Results:
    """A results file, read.

    Attributes:
        cut_off: bytes of an unfinished last line, which is left out; 0 for a whole file.
        length: bytes of the finished lines.
        compressed: the file is compressed; nothing can be appended to it.
        file_faults: faults in the file of a run of `gradbench model`.
        anatomy: where the memory of that file's model goes; None for any other run.
        schema: schema of the records in the file. Nothing can be appended to a file of an older schema.
    """

    path: Path
    header: Header
    passes: list[PassStart] = field(default_factory=list)
    visits: list[Visit] = field(default_factory=list)
    executions: list[Execution] = field(default_factory=list)
    memory: list[Memory] = field(default_factory=list)
    timelines: list[Timeline] = field(default_factory=list)
    kernels: list[Kernels] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    observations: list[Observation] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    ends: list[PassEnd] = field(default_factory=list)
    runs: list[RunEnd] = field(default_factory=list)
    looks: list[Look] = field(default_factory=list)
    file_faults: list[Fault] = field(default_factory=list)
    anatomy: Anatomy | None = None
    agreements: list[Agreement] = field(default_factory=list)
    cut_off: int = 0
    length: int = 0
    compressed: bool = False
    schema: int = SCHEMA
    _over: set[int] = field(default_factory=set)

    @property
    def resumable(self) -> bool:
        """Whether a run can add passes to the file."""
        return self.schema == SCHEMA and not self.compressed

    def go_on_longer(self, passes: int) -> str:
        """Advice on how to measure more, as a sentence."""
        return self.go_on(self.longer(passes))

    def longer(self, passes: int) -> str:
        """Options that measure more: this many passes, or twice the budget where the run chooses them."""
        chose = self.looks and self.runs
        return f"--budget {self.twice_the_budget}" if chose else f"--passes {passes}"

    @property
    def twice_the_budget(self) -> int:
        """Seconds for a run that goes on: twice those of the last one, or ten minutes where none ended."""
        return 2 * int(round(self.runs[-1].seconds + 5, -1)) if self.runs else 600

    def go_on(self, options: str = "") -> str:
        """A sentence on how to add passes with these options of a command."""
        command = self.command_to_go_on(options)
        if not command:
            return "A new run with more passes would narrow that."
        return f"Go on with `{command}`."

    def command_to_go_on(self, options: str = "", here: bool = False) -> str:
        """The command that adds passes with these options; empty where none can.

        It names a folder by its absolute path only `here`, on the machine that has it: a page goes to others.
        """
        if not self.resumable:
            return ""
        folder = self.path.parent
        where = f" --output {shlex.quote(str(folder))}" if here or not folder.is_absolute() else ""
        return resuming(self.header.command, f"--resume{where} {options}".rstrip())

    @property
    def interrupted(self) -> bool:
        """Whether the last pass or run in the file did not come to its end."""
        # Once a run came to its end, passes that were cut off before it do not count.
        ended = {end.number for end in self.ends} | self._over
        return not self.runs or any(begun.number not in ended for begun in self.passes)

    def add(self, record: Record) -> None:
        """Take in one more record. Raises ResultsFileError for a second header."""
        if isinstance(record, Header):
            raise ResultsFileError(f"{self.path}: a second header; expected one run in one file")
        if isinstance(record, Anatomy):
            self.anatomy = record
            return
        kept: list[Record] = getattr(self, _KEPT_IN[type(record)])
        kept.append(record)
        if isinstance(record, RunEnd):
            self._over = {begun.number for begun in self.passes}


# The list of `Results` that the records of a kind are kept in.
_KEPT_IN: dict[type[msgspec.Struct], str] = {
    PassStart: "passes",
    Visit: "visits",
    Execution: "executions",
    Memory: "memory",
    Timeline: "timelines",
    Kernels: "kernels",
    Figure: "figures",
    Observation: "observations",
    Failure: "failures",
    PassEnd: "ends",
    RunEnd: "runs",
    Look: "looks",
    Fault: "file_faults",
    Agreement: "agreements",
}


def sessions(results: Results) -> int:
    """How often a run was begun or resumed, by its looks and its ends."""
    return max(len(results.runs), *(each.session + 1 for each in results.looks), 0)


def new_folder(output: Path) -> None:
    """Raise RequestError where a folder holds something already: nothing is overwritten."""
    if output.exists() and not output.is_dir():
        raise RequestError(f"--output {output}: expected a new or empty folder; it is a file; name another")
    if output.exists() and any(output.iterdir()):
        what = "another run" if (output / FILENAME).exists() else "other files"
        raise RequestError(
            f"--output {output}: expected a new or empty folder; it holds {what}; name another folder"
            + (", or add --resume to go on with a run" if what == "another run" else "")
        )


def locate(path: Path) -> Path:
    """The results file that a path means: the file itself, or the one in a folder, compressed or not."""
    found = path / FILENAME if path.is_dir() else path
    if path.is_dir() and not found.is_file():
        found = path / f"{FILENAME}.gz"
    if not found.is_file():
        raise RequestError(f"{path}: expected a results file or the folder of a run; {_is_no_run(path)}")
    return found


def _is_no_run(path: Path) -> str:
    """The clause that says what the path holds in place of a run."""
    if not path.exists():
        return "nothing has that name"
    if any(path.glob("versus.jsonl*")):
        return "it is the trial of `gradbench versus`, which `gradbench report` reads"
    return f"it is a folder without {FILENAME}"


def read_results(path: Path) -> Results:
    """Read a results file, compressed by gzip or not (or the one in a run's folder).

    An unfinished last line, as a kill in the middle of a write leaves it, is left out and counted. Raises
    ResultsFileError, in one line, for a file that is empty, corrupt, newer, or of another program.
    """
    lines = read_lines(locate(path), FORMAT)
    results = Results(lines.path, lines.decode(1, Header), cut_off=lines.cut_off, length=lines.length)
    results.compressed, results.schema = lines.compressed, lines.schema
    for number in range(2, lines.count + 1):
        record = lines.decode(number, Record)
        try:
            results.add(record)
        except ResultsFileError as error:
            raise ResultsFileError(f"{error} (line {number})") from None
    return results
