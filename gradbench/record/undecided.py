"""The questions that a run leaves open while it goes on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Question:
    """Something that more visits should decide.

    Attributes:
        worth: weight against other questions; 1 for a claim.
        takes: by comparison id, the number of further visits.
        variants: by comparison id, names of the variants that the question needs, beside the baseline and its
            companions. A comparison that is missing here needs all of its variants.
    """

    worth: float
    takes: Mapping[str, int]
    variants: Mapping[str, frozenset[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Undecided:
    """The questions that are open so far in a run.

    Attributes:
        open: by comparison id, from 0 for nothing to 1.
        says: the open questions in a few words, for a person who watches.
        questions: questions that more visits should decide; None where they are unknown, and everything is
            open.
    """

    open: Mapping[str, float] = field(default_factory=dict)
    says: str = ""
    questions: tuple[Question, ...] | None = None
