"""What guides a run while it goes on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gradbench.measure.goal import Goal
from gradbench.measure.progress import Progress
from gradbench.record.results import Results
from gradbench.record.undecided import Undecided

# A run looks at what is decided when these parts of its budget are spent: at times that no result moves.
LOOKS = (0.25, 0.375, 0.5, 0.625, 0.75, 0.875)


@dataclass(frozen=True)
class Steering:
    """What guides a run while it goes on.

    Attributes:
        goal: when it is done.
        precision: the widest half width of the intervals so far, as a fraction; None where one has none. It
            is asked where the goal names a precision.
        undecided: what is open so far, in a run that goes on with so many; asked at each of the LOOKS.
        jobs: passes side by side; None for one per free core.
        progress: hears how far the run is.
        spent: seconds of the budget that what came before the run has taken.
    """

    goal: Goal
    precision: Callable[[Results], float | None] = lambda _: None
    undecided: Callable[[Results, int], Undecided] = lambda *_: Undecided()
    jobs: int | None = 1
    progress: Progress = Progress()  # noqa: RUF009 -- has no state
    spent: float = 0.0
