"""Which processors passes are bound to: physical cores that nobody else uses."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import psutil

# A core that others use for more of the time is theirs.
BUSY = 0.5
# Seconds for which the use of the cores is watched.
WATCHED = 0.3
# Passes side by side were seen to do each other no harm on two cores. More cores share one memory, which is
# not measured yet: beyond this many, passes side by side are the user's choice.
MOST_BY_DEFAULT = 4

_TOPOLOGY = Path("/sys/devices/system/cpu")


def can_bind() -> bool:
    """Whether the system lets a process be bound to a processor."""
    return hasattr(os, "sched_setaffinity")


def physical_cores(topology: Path = _TOPOLOGY) -> list[int]:
    """A logical processor of each physical core that this process may use.

    Where the system does not tell siblings, every logical processor counts as a core.
    """
    allowed = sorted(os.sched_getaffinity(0))
    seen: set[str] = set()
    cores = []
    for number in allowed:
        try:
            siblings = (topology / f"cpu{number}/topology/thread_siblings_list").read_text().strip()
        except OSError:
            siblings = str(number)
        if siblings not in seen:
            seen.add(siblings)
            cores.append(number)
    return cores


def free_cores(cores: Iterable[int]) -> list[int]:
    """Those of the cores that others leave free; all of them where they leave none.

    Where every core is busy, passes on all of them get more time than one pass would.
    """
    cores = list(cores)
    if len(cores) < 2:
        return cores
    used = psutil.cpu_percent(interval=WATCHED, percpu=True)
    free = [number for number in cores if number < len(used) and used[number] <= 100 * BUSY]
    return free or cores


def places(jobs: int | None, threads: int, alone: bool) -> list[int | None]:
    """By pass that may run at the same time, the processor that it is bound to; None binds it to none.

    Args:
        jobs: as many as the user asked for; None for as many as there are cores to spare.
        threads: of torch in a pass; a pass of several is not bound.
        alone: passes must not run side by side, since they would share an accelerator.
    """
    if alone or threads > 1 or not can_bind():
        return [None] * (1 if alone or jobs is None else jobs)
    cores = physical_cores()
    if jobs is None:
        return [*free_cores(cores)[:MOST_BY_DEFAULT]]
    # More passes than cores share them; the user asked for it.
    return [cores[place % len(cores)] for place in range(jobs)]
