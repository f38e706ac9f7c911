"""Which processors passes are bound to: physical cores that nobody else uses."""

from __future__ import annotations

import math
import os
from collections.abc import Collection, Mapping
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
_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def can_bind() -> bool:
    """Whether the system lets a process be bound to a processor."""
    return hasattr(os, "sched_setaffinity")


def physical_cores(topology: Path = _TOPOLOGY) -> dict[int, set[int]]:
    """By a logical processor of each physical core that this process may use, all logical ones of that core.

    Where the system does not tell siblings, every logical processor counts as a core.
    """
    cores: dict[int, set[int]] = {}
    seen: dict[str, int] = {}
    for number in sorted(os.sched_getaffinity(0)):
        try:
            siblings = (topology / f"cpu{number}/topology/thread_siblings_list").read_text().strip()
        except OSError:
            siblings = str(number)
        first = seen.setdefault(siblings, number)
        cores.setdefault(first, set()).add(number)
    return cores


def by_use(cores: Mapping[int, Collection[int]]) -> list[tuple[int, float]]:
    """The cores, with the part of its time that others have of each: those with most time to give first."""
    if len(cores) < 2:
        return [(core, 0.0) for core in cores]
    used = psutil.cpu_percent(interval=WATCHED, percpu=True)

    def busiest(siblings: Collection[int]) -> float:
        return max(used[number] if number < len(used) else 0.0 for number in siblings) / 100

    # Small differences are no reason to change places.
    return sorted(((core, round(busiest(each), 1)) for core, each in cores.items()), key=lambda pair: pair[1])


def quota(file: Path = _QUOTA) -> float:
    """The processors that a control group allows this process; infinite where it sets no limit."""
    try:
        allowed, period = file.read_text().split()
        return float(allowed) / float(period) if allowed != "max" else math.inf
    except (OSError, ValueError):
        return math.inf


def places(jobs: int | None, threads: int, alone: bool) -> list[int | None]:
    """By pass that may run at the same time, the processor that it is bound to; None binds it to none.

    Where every core is busy, passes on all of them get more time than one pass would.

    Args:
        jobs: as many as the user asked for; None for as many as there are cores to spare.
        threads: of torch in a pass; a pass of several is not bound.
        alone: passes must not run side by side, since they would share an accelerator.
    """
    if alone or threads > 1 or not can_bind():
        return [None] * (1 if alone or jobs is None else jobs)
    cores = by_use(physical_cores())
    if jobs is None:
        free = [core for core, used in cores if used <= BUSY] or [core for core, _ in cores]
        return [*free[: max(1, math.floor(min(MOST_BY_DEFAULT, quota())))]]
    # More passes than cores share them; the user asked for it.
    return [cores[place % len(cores)][0] for place in range(jobs)]
