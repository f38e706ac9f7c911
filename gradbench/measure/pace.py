"""How long the passes of a run may take, so that it keeps to its budget and uses it."""

from __future__ import annotations

import time

from gradbench.measure.goal import Goal
from gradbench.measure.slices import SHORTEST_SLICE

# What the report takes at the end, out of the budget.
REPORT_SECONDS = 6.0


class Pace:
    """Shares a goal's budget among passes.

    Attributes:
        startup: seconds that a pass costs besides its rounds, as the last one did.
    """

    def __init__(self, goal: Goal) -> None:
        self._goal = goal
        self._began = time.monotonic()
        self.startup = 2.0

    def elapsed(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self._began

    def left(self) -> float | None:
        """Seconds left for measuring; None without a budget."""
        return None if self._goal.budget is None else self._goal.budget - REPORT_SECONDS - self.elapsed()

    def unfinished(self, count: int) -> float:
        """Seconds for so many visits of a pass that was cut off: what the budget leaves, within reason."""
        left = self.left()
        full = count * self._goal.slice
        return full if left is None else max(count * SHORTEST_SLICE, min(full, left - self.startup))

    def next_pass(self, number: int, count: int) -> float | None:
        """Seconds for the `count` visits of pass `number`; None where the budget holds no such pass."""
        left = self.left()
        full = count * self._goal.slice
        if left is None:
            return full
        if self._goal.passes is None:
            # At least five passes, so that an interval has degrees of freedom, then as many as fit.
            passes = max(1, 6 - number, round(left / (full + self.startup)))
        else:
            passes = self._goal.passes - number + 1
        shortest = count * SHORTEST_SLICE
        seconds = min(full, left / passes - self.startup)
        if seconds >= shortest:
            return seconds
        # The first pass is made whatever the budget; without it there is nothing to report.
        return shortest if left > shortest + self.startup or number == 1 else None
