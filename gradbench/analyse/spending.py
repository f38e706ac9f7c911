"""How a run spends its chance of a false verdict, when it looks at its results before its end.

A run that chooses its next visits by its results looks several times. At any look chance alone may take a
difference across the line. So the run spends the level in parts (Lan and DeMets 1983). The end of the run
spends most of it, and the looks before spend a little. Runs that go on with the file spend the rest, every
run half as much as the one before. The looks have fixed places in the budget, which no result moves.

A look decides no verdict. It stops visits of a comparison, at a level so strict that chance seldom passes it.
The end tests again, with all visits that the looks allowed. Simulated runs (studies.instrument.stopping) show
the rate of false verdicts that both give.

Confidence sequences (Howard et al. 2021) hold at every moment and would need no parts. At 17 passes they are
1.4 times as wide as these intervals, which doubles the time.
"""

from __future__ import annotations

from gradbench.record.results import Results, sessions

# The part of the level for the first run. Runs that go on with it have a half of the rest, a quarter, …
FIRST = 0.8
# The part of a run's level for its end; its looks share the rest.
AT_END = 0.875
# With fewer visits the scatter may be small by luck, and that luck would decide when to stop.
FEWEST_TO_SETTLE = 9


def part_at_end(results: Results) -> float:
    """The part of the level that the verdicts of a run may spend; the whole where the run never looked."""
    if not results.looks:
        return 1.0
    return AT_END * _of_session(max(0, sessions(results) - 1))


def part_at_look(looks: int, session: int) -> float:
    """The part of the level for one of `looks` looks, in a run that goes on with `session` others."""
    return (1 - AT_END) * _of_session(session) / looks


def _of_session(before: int) -> float:
    """The part of the level for a run that goes on with `before` others."""
    part: float = FIRST if before == 0 else (1 - FIRST) * 0.5**before
    return part
