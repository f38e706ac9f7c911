"""When a run is done: presets, passes, budget, precision."""

from __future__ import annotations

from dataclasses import dataclass

from gradbench.errors import RequestError

# Intervals of fewer passes are narrow by luck too often: a run that stopped at the first of them would
# hold the truth in half of the cases.
FEWEST_FOR_PRECISION = 10


@dataclass(frozen=True)
class Budget:
    """How much a run measures: passes, seconds per visit at most, and seconds in all."""

    passes: int
    slice: float
    budget: float


# Many short passes: processes differ by 10 to 100 times what a visit of half a second leaves open, so
# time is better spent on another process than on a longer visit (METHODOLOGY.md has the figures).
BUDGETS = {
    "quick": Budget(passes=10, slice=0.2, budget=42),
    "standard": Budget(passes=36, slice=0.55, budget=285),
    "thorough": Budget(passes=120, slice=1.1, budget=1800),
}


@dataclass(frozen=True)
class Goal:
    """When a run is done.

    Attributes:
        passes: timing passes in all, those of an earlier run included; None: as many as the budget holds.
        budget: seconds of wall time for this run, the report included; None: no limit.
        precision: half width of every interval on a ratio, as a fraction, that is enough; None: not asked.
        slice: seconds per visit at most.
    """

    passes: int | None
    budget: float | None
    precision: float | None
    slice: float

    def options(self, preset: Budget | None) -> list[str]:
        """The options that ask for this goal again where the preset of the run does not."""
        if preset is not None and self == Goal(preset.passes, preset.budget, None, preset.slice):
            return []
        percent = None if self.precision is None else 100 * self.precision
        known = {"--passes": self.passes, "--budget": self.budget, "--precision": percent}
        return [text for name, value in known.items() if value is not None for text in (name, f"{value:g}")]


def make_goal(preset: str, passes: int | None, budget: float | None, precision: float | None) -> Goal:
    """The goal of a request: the preset, with what was asked for in its place.

    A budget without passes is filled with passes; passes without a budget have no limit of time; a
    precision alone has the preset's budget.
    """
    base = BUDGETS[preset]
    if passes is not None and passes < 1:
        raise RequestError(f"--passes {passes}: expected a whole number of passes, at least 1")
    if budget is not None and not 10 <= budget < 1e7:
        raise RequestError(f"--budget {budget:g}: expected seconds, from 10 to 1e7; one pass takes several")
    if precision is not None and not 0 < precision < 100:
        raise RequestError(f"--precision {precision:g}: expected per cent, above 0 and below 100")
    if passes is None and budget is None and precision is None:
        return Goal(base.passes, base.budget, None, base.slice)
    if passes is None and budget is None:
        budget = base.budget
    return Goal(passes, budget, None if precision is None else precision / 100, base.slice)
