"""The guides of a run in progress."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gradbench.measure.goal import Goal
from gradbench.measure.progress import Progress
from gradbench.record.results import Results
from gradbench.record.undecided import Undecided

# A run looks at its open questions when these parts of its budget are spent: at times that no result moves.
LOOKS = (0.25, 0.375, 0.5, 0.625, 0.75, 0.875)


@dataclass(frozen=True)
class Steering:
    """The guides of a run in progress.

    Attributes:
        goal: when the run is done.
        precision: the widest half width of the intervals so far, as a fraction; None where one interval has
            none. The run calls it where the goal names a precision.
        undecided: the open questions so far, for a number of concurrent passes. The run calls it at each of
            the LOOKS.
        jobs: passes side by side; None for one per free core.
        progress: gets the progress of the run.
        spent: seconds of the budget that earlier work has taken.
    """

    goal: Goal
    precision: Callable[[Results], float | None] = lambda _: None
    undecided: Callable[[Results, int], Undecided] = lambda *_: Undecided()
    jobs: int | None = 1
    progress: Progress = Progress()  # noqa: RUF009 -- has no state
    spent: float = 0.0
