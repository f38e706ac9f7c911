"""How a run spends its chance of a false verdict, when it looks at what is decided while it goes on.

A run that chooses what to measure by what it has found looks several times, and a difference that is none
may cross a line at any of them. So the level is spent in parts (Lan and DeMets 1983): most of it by what the
end of the run decides, a little by the looks before, and the rest by runs that go on with it, half as much by
each as by the one before. The looks stand at parts of the budget, which no result moves. All parts together
are the level, so that it bounds the chance of a false verdict whatever the looks make of the order of visits.
"""

from __future__ import annotations

from gradbench.record.results import Results

# Of the level, what the first run may spend; those that go on with it have a half of the rest, a quarter, …
FIRST = 0.8
# Of what a run may spend, the part of its end; its looks share what is left.
AT_END = 0.875


def part_at_end(results: Results) -> float:
    """The part of the level that the verdicts of a run may spend; all of it where it looked but once."""
    if not results.looks:
        return 1.0
    return AT_END * _of_run(max(0, len(results.runs) - 1))


def part_at_look(results: Results, looks: int) -> float:
    """The part that one of so many looks may spend, in the run that goes on now."""
    return (1 - AT_END) * _of_run(len(results.runs)) / looks


def _of_run(before: int) -> float:
    """What a run may spend that goes on with so many."""
    part: float = FIRST if before == 0 else (1 - FIRST) * 0.5**before
    return part
