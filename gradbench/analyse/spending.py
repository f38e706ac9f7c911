"""How a run spends its chance of a false verdict, when it looks at what is decided while it goes on.

A run that chooses what to measure by what it has found looks several times, and a difference that is none
may cross a line at any of them. So the level is spent in parts (Lan and DeMets 1983): a fixed part for what
the last look decides, a small one for every look before it, and half as much for every time that the run is
gone on with. The looks stand at parts of the budget, which no result moves. All parts together are the level,
so that it bounds the chance of a false verdict whatever the looks make of the order of visits.
"""

from __future__ import annotations

from gradbench.record.results import Results

# Of the level, what the end of a first run may spend, and what its looks may spend together. A run gone on
# with has half of both, and so on: 0.4 + 0.1, 0.2 + 0.05, … is 1.
AT_END = 0.4
AT_LOOKS = 0.1


def part_at_end(results: Results) -> float:
    """The part of the level that the verdicts of a run may spend; all of it where it looked but once."""
    if not results.looks:
        return 1.0
    return AT_END * 0.5 ** max(0, len(results.runs) - 1)


def part_at_look(results: Results, looks: int) -> float:
    """The part that one of so many looks may spend, in the run that goes on now."""
    return AT_LOOKS / looks * 0.5 ** len(results.runs)
