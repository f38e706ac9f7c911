"""The records of a run, and their file of JSON Lines.

The first line is the Header; then come, in the order in which they happened, PassStart, Visit, Memory,
Timeline, Kernels, Observation, Failure and PassEnd records, and a RunEnd for each time a run came to its
end. A file without RunEnd was interrupted, and is valid. Times are in seconds, memory in bytes, never scaled.
"""

from __future__ import annotations

import errno
import functools
import gzip
import os
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Union

import msgspec

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

from gradbench.environment import Environment
from gradbench.errors import RequestError, ResultsFileError
from gradbench.plan import Plan, Request
from gradbench.telemetry import Telemetry
from gradbench.traits import Observation

FORMAT = "gradbench-results"
SCHEMA = 1
FILENAME = "results.jsonl"

Allocator = Literal["keep", "system"]

# Long against the clock's tick, short against the drift of the machine.
BATCH_SECONDS = 50e-6


class Options(msgspec.Struct, frozen=True):
    """What was asked of a run, as far as it decides what is measured.

    Attributes:
        threads: intra-op threads of torch.
        allocator: `keep` has glibc keep freed pages, `system` leaves its defaults.
        timeout: seconds after which a silent worker counts as hung.
        memory: whether bytes are counted, in a pass of their own.
        batch_seconds: what a batch should take.
    """

    preset: str
    threads: int
    allocator: Allocator
    timeout: float
    memory: bool = True
    batch_seconds: float = BATCH_SECONDS


class Header(msgspec.Struct, frozen=True, tag="header"):
    """The first line: what the file is, what was asked, and where it was measured."""

    format: str
    schema: int
    gradbench: str
    created: str
    command: str
    request: Request
    options: Options
    environment: Environment
    plan: Plan

    @property
    def measured_on(self) -> str:
        """What the figures are of, by name: accelerators, and the processor that they or it were run by."""
        devices = {each.device for each in self.plan.comparisons}
        processor = self.environment.processor
        names = [
            f"{each.name} ({each.device})" for each in self.environment.accelerators if each.device in devices
        ]
        if not names:
            return processor
        *first, last = [processor, *names] if "cpu" in devices else [*names, f"the host {processor}"]
        return f"{', '.join(first)} and {last}"


class PassStart(msgspec.Struct, frozen=True, tag="pass_start"):
    """A fresh process began.

    Attributes:
        number: of the pass; the pass that measures memory is 0.
        import_seconds: the worker's start and its import of torch.
    """

    number: int
    kind: Literal["memory", "time"]
    import_seconds: float
    hash_seed: int
    padding: int


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


class Visit(msgspec.Struct, frozen=True, tag="visit"):
    """One comparison in one process.

    Attributes:
        timed_seconds: wall time of the rounds.
        other_seconds: wall time of everything else in the visit: building, checks, calibration.
        error: estimated standard error of the twin's log-ratio within this visit.
        telemetry: what else the machine did during the rounds.
    """

    number: int
    comparison: str
    rounds: int
    timed_seconds: float
    other_seconds: float
    error: float
    variants: dict[str, VariantTime]
    telemetry: Telemetry = Telemetry()


class Memory(msgspec.Struct, frozen=True, tag="memory", omit_defaults=True):
    """What one execution of a variant does to memory, in bytes; the input is not counted.

    Attributes:
        allocated: sum of all allocations.
        allocations: their number.
        peak: most live at once above the start.
        retained: live afterwards, the result held.
        graph: retained, less the result itself.
        saved: unique storages that the graph keeps for backward, input and result among them; a Python
            number that an operation wraps as a tensor (8 bytes) is in `graph`, and hidden from this count.
        resident: growth of the process's resident set, result held; noisy; None on an accelerator.
        source: where the exact figures come from.
        peak_blocks: as `peak`, in the blocks that the allocator gave, which are larger than what was asked
            for; None where there are none.
    """

    comparison: str
    variant: str
    allocated: int
    allocations: int
    peak: int
    retained: int
    graph: int
    saved: int
    resident: int | None
    source: str
    peak_blocks: int | None = None


class Stretch(msgspec.Struct, frozen=True):
    """A line of a statement, and the bytes live above its start after each allocation and release in it."""

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


Record = Union[  # noqa: UP007 -- msgspec on 3.10
    Header, PassStart, Visit, Memory, Timeline, Kernels, Observation, Failure, PassEnd, RunEnd
]  # fmt: skip


@dataclass
class Results:
    """A results file, read.

    Attributes:
        cut_off: bytes of an unfinished last line that were left out; 0 for a whole file.
        length: bytes of the finished lines.
        compressed: the file is compressed; nothing can be appended to it.
    """

    path: Path
    header: Header
    passes: list[PassStart] = field(default_factory=list)
    visits: list[Visit] = field(default_factory=list)
    memory: list[Memory] = field(default_factory=list)
    timelines: list[Timeline] = field(default_factory=list)
    kernels: list[Kernels] = field(default_factory=list)
    observations: list[Observation] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    ends: list[PassEnd] = field(default_factory=list)
    runs: list[RunEnd] = field(default_factory=list)
    cut_off: int = 0
    length: int = 0
    compressed: bool = False

    def add(self, record: Record) -> None:
        """Take in one more record."""
        if isinstance(record, Visit):
            self.visits.append(record)
        elif isinstance(record, Memory):
            self.memory.append(record)
        elif isinstance(record, Timeline):
            self.timelines.append(record)
        elif isinstance(record, Kernels):
            self.kernels.append(record)
        elif isinstance(record, Observation):
            self.observations.append(record)
        elif isinstance(record, Failure):
            self.failures.append(record)
        elif isinstance(record, PassStart):
            self.passes.append(record)
        elif isinstance(record, PassEnd):
            self.ends.append(record)
        elif isinstance(record, RunEnd):
            self.runs.append(record)
        else:
            raise ResultsFileError(f"{self.path}: a second header; expected one run in one file")


_GZIP = b"\x1f\x8b"
# What decoding bytes of any kind may raise.
_UNDECODABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

_encoder = msgspec.json.Encoder()


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
    """What is there in place of a run."""
    if not path.exists():
        return "there is nothing of that name"
    if any(path.glob("versus.jsonl*")):
        return "it is the trial of `gradbench versus`, which `gradbench report` reads"
    return f"it is a folder without {FILENAME}"


def read_results(path: Path) -> Results:
    """Read a results file, compressed by gzip or not (or the one in a run's folder).

    An unfinished last line, as a kill in the middle of a write leaves it, is left out and counted.
    Raises ResultsFileError, in one line, for a file that is empty, corrupt, newer, or not ours.
    """
    lines = read_lines(locate(path), FORMAT, SCHEMA)
    results = Results(lines.path, lines.decode(1, Header), cut_off=lines.cut_off, length=lines.length)
    results.compressed = lines.compressed
    for number in range(2, lines.count + 1):
        record = lines.decode(number, Record)
        try:
            results.add(record)
        except ResultsFileError as error:
            raise ResultsFileError(f"{error} (line {number})") from None
    return results


class Lines:
    """The finished lines of a file of records, counted from 1.

    Attributes:
        cut_off, length, compressed: as in `Results`.
    """

    def __init__(self, path: Path, content: bytes, compressed: bool) -> None:
        self.path = path
        self.length = content.rfind(b"\n") + 1
        self.cut_off = len(content) - self.length
        self.compressed = compressed
        self._lines = content[: self.length].splitlines()
        self.count = len(self._lines)

    def decode(self, number: int, kind: Any) -> Any:
        """One line as a record of this kind. Raises ResultsFileError."""
        try:
            return _decoder_of(kind).decode(self._lines[number - 1])
        except _UNDECODABLE as error:
            raise ResultsFileError(f"{self.path}: line {number} is corrupt: {error}") from None


@functools.cache
def _decoder_of(kind: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


def read_lines(path: Path, format: str, schema: int) -> Lines:
    """The lines of a file of records whose first names this format and schema; compressed by gzip or not.

    Raises ResultsFileError, in one line, for a file that is empty, corrupt, newer, or not of the format.
    """
    try:
        content = path.read_bytes()
        compressed = content.startswith(_GZIP)
        if compressed:
            content = gzip.decompress(content)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ResultsFileError(f"{path}: is compressed and corrupt: {error}") from None
    except OSError as error:
        raise RequestError(f"{path}: cannot be read: {error.strerror}") from None
    lines = Lines(path, content, compressed)
    name = format.replace("-", " ")
    if not lines.count:
        raise ResultsFileError(f"{path}: expected a {name} file; it has no complete line")
    foreign = f"{path}: expected a {name} file; its first line is not a header of one"
    try:
        start = lines.decode(1, Any)
    except ResultsFileError:
        raise ResultsFileError(foreign) from None
    if not isinstance(start, dict) or start.get("format") != format:
        raise ResultsFileError(foreign)
    if start.get("schema") != schema:
        raise ResultsFileError(
            f"{path}: has schema {start.get('schema')}, this gradbench reads schema {schema}; "
            f"use the version that wrote it ({start.get('gradbench')})"
        )
    return lines


class Writer:
    """Appends records to a results file, one line each, handed to the system at once."""

    def __init__(self, path: Path, length: int | None = None, cut_off: int = 0) -> None:
        """Create the file, which must not exist; or go on after its first `length` bytes.

        What comes after these may be the `cut_off` bytes of an unfinished line, and nothing else.

        Raises OSError, with nothing changed, where it cannot be written or another process writes to it.
        """
        self.path = path
        self._file = path.open("xb" if length is None else "r+b")
        if fcntl is not None:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                self._file.close()
                raise OSError(error.errno, "another gradbench is writing to it") from None
        if length is not None:
            if self._file.seek(0, os.SEEK_END) != length + cut_off:
                self._file.close()
                raise OSError(errno.EBUSY, "another gradbench has written to it since it was read")
            self._file.truncate(length)
            self._file.seek(0, os.SEEK_END)

    def write(self, record: msgspec.Struct) -> None:
        """Append one record; it survives a kill of this process from here on."""
        self._file.write(_encoder.encode(record) + b"\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()
