"""When a run is done: presets, passes, budget, precision."""

from __future__ import annotations

from dataclasses import dataclass

from gradbench.errors import RequestError

# Intervals of fewer passes are narrow by luck too often. A run that stopped at the first narrow one would
# hold the truth in half of the cases.
FEWEST_FOR_PRECISION = 10


@dataclass(frozen=True)
class Budget:
    """How much a preset measures.

    Attributes:
        visits: number of visits of each comparison, at most.
        slice: seconds of a visit in a run with a number of passes.
        longest: seconds of a visit at most, where the run chooses them.
        budget: seconds of wall time in all.
    """

    visits: int
    slice: float
    longest: float
    budget: float


BUDGETS = {
    "quick": Budget(visits=10, slice=0.2, longest=1.0, budget=42),
    "standard": Budget(visits=36, slice=0.55, longest=2.0, budget=285),
    "thorough": Budget(visits=120, slice=1.1, longest=4.0, budget=1800),
}


@dataclass(frozen=True)
class Goal:
    """When a run is done.

    Attributes:
        passes: timing passes in all, with those of an earlier run, which visit all comparisons that are due.
            None: the run chooses the visits of a pass, and their length.
        budget: seconds of wall time for this run, the report included; None: no limit.
        precision: half width of every interval on a ratio, as a fraction, that is enough; None: no goal.
        slice: seconds per visit; at most, where the run chooses.
        visits: number of visits of each comparison that are enough; None: no limit.
    """

    passes: int | None
    budget: float | None
    precision: float | None
    slice: float
    visits: int | None = None

    def options(self, preset: str) -> list[str]:
        """The options for this goal, where the preset of the run has another."""
        if preset in BUDGETS and self == make_goal(preset, None, None, None):
            return []
        percent = None if self.precision is None else 100 * self.precision
        known = {"--passes": self.passes, "--budget": self.budget, "--precision": percent}
        return [text for name, value in known.items() if value is not None for text in (name, f"{value:g}")]


def make_goal(preset: str, passes: int | None, budget: float | None, precision: float | None) -> Goal:
    """The goal of a request: the preset, with the requested values in place of its values.

    A run uses up a budget without passes. Passes without a budget have no limit of time. A precision alone
    has the preset's budget.
    """
    base = BUDGETS[preset]
    if passes is not None and passes < 1:
        raise RequestError(f"--passes {passes}: expected a whole number of passes, at least 1")
    if budget is not None and not 10 <= budget < 1e7:
        raise RequestError(f"--budget {budget:g}: expected seconds, from 10 to 1e7; one pass takes several")
    if precision is not None and not 0 < precision < 100:
        raise RequestError(f"--precision {precision:g}: expected per cent, above 0 and below 100")
    fraction = None if precision is None else precision / 100
    if passes is not None:
        return Goal(passes, budget, fraction, base.slice)
    if budget is None and precision is None:
        return Goal(None, base.budget, None, base.longest, base.visits)
    return Goal(None, base.budget if budget is None else budget, fraction, base.longest)
