"""Two clocks for a batch: the wall clock, and the processor time of the thread that runs it.

The system interrupts a thread for milliseconds at a time where other threads need its processor. That rarely
hits a batch of 50 µs, and the median over rounds ignores it. It hits a call of milliseconds nearly always. So
long calls are timed by processor time, where the thread does all of the work itself (METHODOLOGY.md has
figures).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal

try:
    import resource
except ImportError:
    # Windows has no such module.
    resource = None  # type: ignore[assignment]

Clock = Literal["wall", "thread"]
CLOCKS: dict[Clock, Callable[[], int]] = {"wall": time.perf_counter_ns, "thread": time.thread_time_ns}

# A batch that takes longer by the wall clock is long. A busy machine interrupts it more often than not.
# Reading the processor time (0.3 to 1 µs) is less than a thousandth of it.
LONG_SECONDS = 1e-3


def waits() -> int | None:
    """How often this thread has waited so far: for another thread, a device or a disk; None if unknown.

    If a thread never waited, its processor time covers all of its work.
    """
    who = getattr(resource, "RUSAGE_THREAD", None)
    return None if who is None else resource.getrusage(who).ru_nvcsw
