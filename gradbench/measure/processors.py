"""The processors that passes are bound to: physical cores that no other process uses."""

from __future__ import annotations

import math
import os
from collections.abc import Collection, Mapping
from pathlib import Path

import psutil

# A run leaves a core alone that other processes use for more of the time.
BUSY = 0.5
# Seconds of the watch on the use of the cores.
WATCHED = 0.3
# On two cores passes side by side did not disturb each other. More cores share one memory, which has no
# measurement yet. Beyond this many, passes side by side are the user's choice.
MOST_BY_DEFAULT = 4

_TOPOLOGY = Path("/sys/devices/system/cpu")
_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def can_bind() -> bool:
    """Whether the system lets a process be bound to a processor."""
    return hasattr(os, "sched_setaffinity")


def physical_cores(topology: Path = _TOPOLOGY) -> dict[int, set[int]]:
    """By a logical processor of each physical core that this process may use, all logical ones of that core.

    Where the system does not report siblings, every logical processor counts as a core.
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
    """The cores with the part of their time that other processes use: cores with the most free time first."""
    if len(cores) < 2:
        return [(core, 0.0) for core in cores]
    used = psutil.cpu_percent(interval=WATCHED, percpu=True)

    def busiest(siblings: Collection[int]) -> float:
        return max(used[number] if number < len(used) else 0.0 for number in siblings) / 100

    # Small differences do not change the order.
    return sorted(((core, round(busiest(each), 1)) for core, each in cores.items()), key=lambda pair: pair[1])


def quota(file: Path = _QUOTA) -> float:
    """The processors that a control group allows this process; infinite where it sets no limit."""
    try:
        allowed, period = file.read_text().split()
        return float(allowed) / float(period) if allowed != "max" else math.inf
    except (OSError, ValueError):
        return math.inf


def places(jobs: int | None, threads: int, alone: bool) -> list[int | None]:
    """By concurrent pass, the processor that it is bound to; None leaves a pass unbound.

    Where every core is busy, passes on all of them get more time than one pass would.

    Args:
        jobs: the number that the user requests; None for the number of free cores.
        threads: threads of torch in a pass; a pass with several is not bound.
        alone: passes must not run side by side, since they would share an accelerator.
    """
    if alone or threads > 1 or not can_bind():
        return [None] * (1 if alone or jobs is None else jobs)
    cores = by_use(physical_cores())
    if jobs is None:
        free = [core for core, used in cores if used <= BUSY] or [core for core, _ in cores]
        return [*free[: max(1, math.floor(min(MOST_BY_DEFAULT, quota())))]]
    # The user requested more passes than cores, so they share cores.
    return [cores[place % len(cores)][0] for place in range(jobs)]
