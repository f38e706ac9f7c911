"""Where commands find runs and put what they write."""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Iterator
from pathlib import Path

from gradbench.errors import RequestError

RUNS = Path("runs")


@contextlib.contextmanager
def folder_for(output: Path | None, prefix: str = "") -> Iterator[Path]:
    """The folder of a new run or trial: the one asked for, or one in runs/, which git then leaves alone."""
    now = datetime.datetime.now().strftime("%Y-%m-%d-%H%M%S")
    theirs = RUNS.exists()
    try:
        yield output or RUNS / f"{prefix}{now}"
    finally:
        # A folder of that name which was there already is not ours to hide.
        if not theirs and RUNS.is_dir():
            with contextlib.suppress(OSError):
                (RUNS / ".gitignore").write_text("*\n")


def newest(*also: str, prefix: str = "") -> Path:
    """The folder of the newest run in runs/, or of what left a file of another of these names there.

    With a `prefix` of those whose names begin so, where there are any.
    """
    from gradbench.record.results import FILENAME

    files = [path for name in (FILENAME, *also) for path in RUNS.glob(f"*/{name}")]
    files = [path for path in files if path.parent.name.startswith(prefix)] or files
    found = sorted(files, key=lambda path: path.stat().st_mtime)
    if not found:
        raise RequestError(
            f"there is no run in {RUNS}/ yet; make one with `gradbench run`, or name its folder"
        )
    return found[-1].parent


def write_new(output: Path, text: str) -> None:
    """Write a file that must not exist; where that fails, or is interrupted, none is left.

    Raises RequestError where there is one, or it cannot be written.
    """
    try:
        opened = output.open("x", encoding="utf-8")
        try:
            with opened:
                opened.write(text)
        except BaseException:
            output.unlink()
            raise
    except FileExistsError:
        raise RequestError(
            f"--output {output}: expected a new file; it exists; name another, or remove it"
        ) from None
    except OSError as error:
        raise RequestError(f"--output {output}: cannot be written: {error.strerror}") from None
