"""A case of a claim: the figures of one place."""

from __future__ import annotations

from dataclasses import dataclass

from gradbench.analyse.claims.amount import Amount


@dataclass(frozen=True)
class Case:
    """The figures for or against a claim at one place.

    Attributes:
        where: the place: a size, a workload, a method.
        holds: whether the claim holds there; None where the figures leave it open.
        says: the figures, as part of a sentence.
        passes: how many more passes should settle an open case; None where that is unknown.
        comparison: the id of the comparison that it is of; empty where it is of none, or of several.
        among: the ids of those, where it is of several.
        variants: the names of those whose times it holds against each other.
        visits: how many more visits of the comparison it takes, as `passes`.
        figure: the one figure that decides, in a few words: `3.81 times`, `0 B allocated`.
        amount: the same as numbers, so that several cases make a range; None where it is no number.
        place: a short place for the figure: `elementwise 100`.
    """

    where: str
    holds: bool | None
    says: str
    passes: int | None = None
    comparison: str = ""
    among: tuple[str, ...] = ()
    variants: tuple[str, ...] = ()
    visits: int | None = None
    figure: str = ""
    amount: Amount | None = None
    place: str = ""

    @property
    def comparisons(self) -> tuple[str, ...]:
        """The ids of all comparisons that it is of."""
        return (self.comparison,) if self.comparison else self.among
