"""The clock of a run: what its budget leaves."""

from __future__ import annotations

import time

from gradbench.measure.goal import Goal

# Seconds of the budget for the report at the end.
REPORT_SECONDS = 6.0


class Pace:
    """Seconds since a run began, and those that its budget leaves."""

    def __init__(self, goal: Goal, spent: float = 0.0) -> None:
        """Begin now, with `spent` seconds used already."""
        self._goal = goal
        self._began = time.monotonic() - spent

    def elapsed(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self._began

    @property
    def all(self) -> float | None:
        """Seconds for measuring in all; None without a budget."""
        return None if self._goal.budget is None else self._goal.budget - REPORT_SECONDS

    def left(self) -> float | None:
        """Seconds left for measuring; None without a budget."""
        return None if self.all is None else self.all - self.elapsed()
