"""How a run spends its chance of a false verdict, when it looks at what is decided while it goes on.

A run that chooses what to measure by what it has found looks several times, and a difference that is none
may cross a line at any of them. So the level is spent in parts (Lan and DeMets 1983): most of it by what the
end of the run decides, a little by the looks before, and the rest by runs that go on with it, half as much by
each as by the one before. The looks stand at parts of the budget, which no result moves.

A look decides no verdict. It stops visits of a comparison, at a level so strict that a difference which is
none seldom gets past it. The end tests again, of as many visits as the looks left it. Simulated runs
(studies.instrument.stopping) show the rate of false verdicts that comes of both.

Confidence sequences (Howard et al. 2021) hold at every moment and would need no parts. At 17 passes they are
1.4 times as wide as these intervals, which doubles the time.
"""

from __future__ import annotations

from gradbench.record.results import Results, sessions

# Of the level, what the first run may spend; those that go on with it have a half of the rest, a quarter, …
FIRST = 0.8
# Of what a run may spend, the part of its end; its looks share what is left.
AT_END = 0.875
# Of fewer visits the scatter may seem small by luck, and what stopped then would be decided by that luck.
FEWEST_TO_SETTLE = 9


def part_at_end(results: Results) -> float:
    """The part of the level that the verdicts of a run may spend; all of it where it never looked."""
    if not results.looks:
        return 1.0
    return AT_END * _of_session(max(0, sessions(results) - 1))


def part_at_look(looks: int, session: int) -> float:
    """The part that one of so many looks may spend, in a run that goes on with `session` others."""
    return (1 - AT_END) * _of_session(session) / looks


def _of_session(before: int) -> float:
    """What a run may spend that goes on with so many."""
    part: float = FIRST if before == 0 else (1 - FIRST) * 0.5**before
    return part
