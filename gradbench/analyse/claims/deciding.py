"""The one figure that decides a claim, in about ten words, from its cases."""

from __future__ import annotations

from collections.abc import Sequence

from gradbench.analyse.claims.amount import Amount, together
from gradbench.analyse.claims.case import Case

# More words do not fit beside the sentence of a claim.
MOST_WORDS = 10


def deciding(verdict: str, cases: Sequence[Case]) -> str:
    """The figure that decides, or a range over cases that agree.

    A claim that depends gets one figure where it holds and one where it does not. An open claim gets its
    first open figure.
    """
    if verdict == "not measured":
        return ""
    if verdict == "depends":
        return _both([case for case in cases if case.holds], [case for case in cases if case.holds is False])
    if verdict == "unresolved":
        return _open([case for case in cases if case.holds is None])
    return _agreeing(cases)


def range_of(cases: Sequence[Case]) -> tuple[Amount | None, str]:
    """The range over the cases of the first kind, and its words; without a number the first figure."""
    found = [case.amount for case in cases if case.amount is not None]
    if not found:
        return None, next((case.figure for case in cases if case.figure), "")
    whole = together([each for each in found if each.kind == found[0].kind])
    return whole, whole.words


def _agreeing(cases: Sequence[Case]) -> str:
    """The range over the cases of the first kind; where both fit, also over those of the second kind."""
    parts: list[str] = []
    waiting = [case for case in cases if case.figure]
    while waiting:
        kind = _kind(waiting[0])
        alike = [case for case in waiting if _kind(case) == kind]
        waiting = [case for case in waiting if case not in alike]
        parts += [_counted(alike)] if kind else list(dict.fromkeys(case.figure for case in alike))
    if not parts:
        return f"{len(cases)} cases" if len(cases) > 1 else cases[0].says
    both = "; ".join(dict.fromkeys(parts[:2]))
    return both if len(both.split()) <= MOST_WORDS else parts[0]


def _kind(case: Case) -> tuple[str, ...]:
    """Cases of one kind make a range; 0 B allocated makes no range with other bytes."""
    if case.amount is None:
        return ()
    nothing = case.amount.unit == "B" and not case.amount.high
    return (*case.amount.kind, "nothing" if nothing else "")


def _counted(cases: Sequence[Case]) -> str:
    """A range with the number of its comparisons; a single number without."""
    whole, words = range_of(cases)
    count = len({case.comparison for case in cases if case.comparison})
    if whole is None or count < 2 or (whole.low == whole.high and whole.unit == "B"):
        return words
    return f"{words} in {count} comparisons"


def _both(holding: Sequence[Case], failing: Sequence[Case]) -> str:
    """A case that holds and one that does not: of one kind, and the farthest from each other."""
    pairs = [
        (one.amount.distance(other.amount), one, other)
        for one in holding
        for other in failing
        if one.amount and other.amount and one.amount.kind == other.amount.kind
    ]
    if not pairs:
        return _apart(holding[0], failing[0])
    _, one, other = max(pairs, key=lambda pair: pair[0])
    assert one.amount is not None
    assert other.amount is not None
    # Two figures of one kind show their unit once.
    short = other.amount.numbers if one.amount.rival == other.amount.rival else other.figure
    if one.place and one.place == other.place and one.amount.subject != other.amount.subject:
        return f"{one.figure} for {one.amount.subject}; {short} for {other.amount.subject} at {one.place}"
    return f"{_placed(one)}; {_placed(other, short)}"


def _apart(one: Case, other: Case) -> str:
    """Figures of two kinds: with their places where the places differ and fit."""
    if one.place and one.place == other.place:
        return f"{one.figure}; {_placed(other)}"
    placed = f"{_placed(one)}; {_placed(other)}"
    bare = "; ".join(case.figure or case.says for case in (one, other))
    return placed if len(placed.split()) <= MOST_WORDS else bare


def _open(cases: Sequence[Case]) -> str:
    more = len(cases) - 1
    return _placed(cases[0]) + (f"; {more} more open" if more else "")


def _placed(case: Case, figure: str = "") -> str:
    """A figure with its place; the sentence of the case where it has no figure."""
    figure = figure or case.figure
    if not figure:
        return case.says
    return f"{figure} at {case.place}" if case.place else figure
