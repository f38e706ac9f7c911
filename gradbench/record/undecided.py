"""What a run leaves open while it goes on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Question:
    """Something that more visits should decide.

    Attributes:
        worth: against other questions; 1 for a claim.
        takes: by comparison id, how many more visits.
        variants: by comparison id, the names of those that must be timed for it, beside the baseline and what
            comes with that; a comparison that is missing needs all of its variants.
    """

    worth: float
    takes: Mapping[str, int]
    variants: Mapping[str, frozenset[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Undecided:
    """What a run leaves open so far.

    Attributes:
        open: by comparison id, from 0 for nothing to 1.
        says: the same in a few words, for who watches.
        questions: what more visits should decide; None where that is not known, and everything is open.
    """

    open: Mapping[str, float] = field(default_factory=dict)
    says: str = ""
    questions: tuple[Question, ...] | None = None
