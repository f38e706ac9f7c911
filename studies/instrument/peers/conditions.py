"""Other work on the machine while a tool measures."""

from __future__ import annotations

import contextlib
import functools
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Condition:
    """Other work on the machine.

    Attributes:
        core: the core of the tool, as a place in the list of allowed cores; None if it is not pinned.
        busy: the core of a busy loop; None without such a loop.
        crowd: processes that share the tool's core, with the tool.
    """

    core: int | None
    busy: int | None
    crowd: int


CONDITIONS = {
    "quiet": Condition(None, None, 1),
    "other core busy": Condition(0, 1, 1),
    "same core busy": Condition(0, 0, 2),
}

# The loop ends with its parent, so a study that is killed leaves no process.
_BUSY = """\
import os
parent = os.getppid()
while os.getppid() == parent:
    for _ in range(1_000_000):
        pass
"""


def _cores() -> list[int]:
    """The cores that this process may use; none if the system cannot pin."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_setaffinity") else []


def pin(core: int | None) -> Callable[[], object] | None:
    """The first call of a child: it keeps the child and all its processes on a core."""
    return None if core is None else functools.partial(os.sched_setaffinity, 0, {_cores()[core]})


def missing(condition: Condition) -> str | None:
    """Why a condition cannot be made here; None if it can."""
    wanted = [core for core in (condition.core, condition.busy) if core is not None]
    if not wanted:
        return None
    if not hasattr(os, "sched_setaffinity"):
        return "skipped: this system cannot pin a process to a core"
    cores = len(_cores())
    return None if max(wanted) < cores else f"skipped: needs {max(wanted) + 1} cores, {cores} allowed"


@contextlib.contextmanager
def busy(core: int | None) -> Iterator[None]:
    """A busy loop on a core for so long; none where there is no core."""
    if core is None:
        yield
        return
    process = subprocess.Popen([sys.executable, "-c", _BUSY], preexec_fn=pin(core))
    try:
        yield
    finally:
        process.kill()
        process.wait()
