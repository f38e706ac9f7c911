"""The files that studies write and read: records, JSON for programs, results and pages."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from gradbench.analyse.analysis import Analysis, analyse
from gradbench.record.lines import Writer
from gradbench.record.results import read_results

# The folder of the templates that all studies share.
STUDIES = Path(__file__).parent

# A study calls it with a line on its progress.
Log = Callable[[str], None]

T = TypeVar("T")


def new_writer(path: Path) -> Writer:
    """A writer of records; it replaces the file at this path."""
    path.unlink(missing_ok=True)
    return Writer(path)


def read_records(path: Path, kind: type[T]) -> list[T]:
    """Read a file with a record per line, as JSON."""
    return [msgspec.json.decode(line, type=kind) for line in path.read_bytes().splitlines()]


def write_json(path: Path, value: Any, sort: bool = False) -> None:
    """Write a value as indented JSON; `sort` sorts its keys."""
    content = msgspec.json.encode(value, order="sorted" if sort else None)
    path.write_bytes(msgspec.json.format(content, indent=1) + b"\n")


def compress(content: bytes, target: Path) -> None:
    """Compress content by gzip. It leaves out the time: the same content makes the same file."""
    target.write_bytes(gzip.compress(content, mtime=0))


def read_analysis(path: Path) -> Analysis:
    """Read and analyse a results file."""
    return analyse(read_results(path))
