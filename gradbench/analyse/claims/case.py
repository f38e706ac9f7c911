"""The verdict of the results on a claim at one place."""

from __future__ import annotations

from dataclasses import dataclass

from gradbench.analyse.claims.amount import Amount


@dataclass(frozen=True)
class Case:
    """The verdict of the results on a claim at one place.

    Attributes:
        where: the place: a size, a workload, a method.
        holds: whether the claim holds there; None where the figures leave it open.
        says: the figures, as part of a sentence.
        passes: how many more passes should decide an open case; None where that is not known.
        comparison: the id of the comparison behind the case; empty where there is none, or several.
        among: the ids of these comparisons, where there are several.
        variants: the names of the variants whose times the case compares.
        visits: how many more visits of the comparison should decide it; None as for `passes`.
        figure: the one figure that decides, in a few words: `3.81 times`, `0 B allocated`.
        amount: that figure as numbers, so that several cases make a range; None where it is no number.
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
        """The ids of all comparisons behind the case."""
        return (self.comparison,) if self.comparison else self.among
