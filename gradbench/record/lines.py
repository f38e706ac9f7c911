"""A file of records, one line of JSON each: reading it, and appending to it."""

from __future__ import annotations

import contextlib
import errno
import functools
import gzip
import os
import zlib
from pathlib import Path
from typing import Any

import msgspec

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]
from gradbench.errors import RequestError, ResultsFileError
from gradbench.record import schema1

# The schema of the records that this version writes.
SCHEMA = 2

_GZIP = b"\x1f\x8b"


# Errors that decoding of arbitrary bytes may raise.
_UNDECODABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, KeyError, TypeError, AttributeError)


_encoder = msgspec.json.Encoder()


class Lines:
    """The finished lines of a file of records, counted from 1.

    Attributes:
        cut_off, length, compressed: as in `Results`.
        schema: schema of the records, as the first line says.
    """

    def __init__(self, path: Path, content: bytes, compressed: bool) -> None:
        self.path = path
        self.schema = SCHEMA
        self.length = content.rfind(b"\n") + 1
        self.cut_off = len(content) - self.length
        self.compressed = compressed
        self._lines = content[: self.length].splitlines()
        self.count = len(self._lines)

    def decode(self, number: int, kind: Any) -> Any:
        """One line as a record of this kind. Raises ResultsFileError."""
        line = self._lines[number - 1]
        try:
            if self.schema == SCHEMA:
                return _decoder_of(kind).decode(line)
            return msgspec.convert(schema1.upgrade(_decoder_of(dict[str, Any]).decode(line)), kind)
        except _UNDECODABLE as error:
            raise ResultsFileError(f"{self.path}: line {number} is corrupt: {error}") from None


@functools.cache
def _decoder_of(kind: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


def read_lines(path: Path, format: str) -> Lines:
    """The lines of a file of records whose first names this format, of any schema; compressed by gzip or not.

    Raises ResultsFileError, in one line, for a file that is empty, corrupt, newer, or of another format.
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
    if start.get("schema") not in (1, SCHEMA):
        raise ResultsFileError(
            f"{path}: has schema {start.get('schema')}, this gradbench reads schema 1 to {SCHEMA}; "
            f"use the version that wrote it ({start.get('gradbench')})"
        )
    lines.schema = start["schema"]
    return lines


class Writer:
    """Appends records to a results file, one line each, handed to the system at once."""

    def __init__(self, path: Path, length: int | None = None, cut_off: int = 0) -> None:
        """Create the file, which must not exist; or go on after its first `length` bytes.

        After them the file may hold the `cut_off` bytes of an unfinished line, and nothing else.

        Raises OSError, with nothing changed, where it cannot be written or another process writes to it.
        """
        self.path = path
        # No buffer: close would write bytes again that a full disk has refused, and fail again.
        self._file = path.open("xb" if length is None else "r+b", buffering=0)
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
        """Append one record. From then on it survives a kill of this process.

        Raises OSError where the disk refuses it. The file then ends with the record before.
        """
        begin = self._file.tell()
        rest = memoryview(_encoder.encode(record) + b"\n")
        try:
            # A disk that is nearly full takes only a part.
            while rest:
                rest = rest[self._file.write(rest) :]
        except BaseException:
            with contextlib.suppress(OSError):
                self._file.truncate(begin)
                self._file.seek(begin)
            raise

    def close(self) -> None:
        """Close the file. Raises OSError where a disk behind a network reports only now that it is full."""
        self._file.close()


def create(path: Path, header: msgspec.Struct) -> Writer:
    """Create a file of records with its first line, and the folder of the file.

    Raises RequestError where that fails, and then removes the parts that it made.
    """
    folder = path.parent
    existed = folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        writer = Writer(path)
        try:
            writer.write(header)
        except OSError:
            writer.close()
            path.unlink()
            raise
    except OSError as error:
        if not existed:
            with contextlib.suppress(OSError):
                folder.rmdir()
        raise RequestError(f"--output {folder}: cannot be written: {error.strerror}") from None
    return writer
