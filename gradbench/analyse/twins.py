"""What the A/A twins of a run show: by how much identical code came out different."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass

# Twins are counted that differ from 1 by no more than this fraction.
NEAR = 0.003


@dataclass(frozen=True)
class Twins:
    """The twins of several comparisons.

    Attributes:
        differences: of a comparison with a known twin, its ratio to the baseline less 1, without sign.
        median, worst: of these; None where there are none.
        near: how many differ by NEAR or less.
    """

    differences: tuple[float, ...]
    median: float | None
    worst: float | None
    near: int


def make_twins(differences: Iterable[float]) -> Twins:
    """The twins that differ from 1 by these fractions."""
    known = tuple(differences)
    return Twins(
        known,
        median=statistics.median(known) if known else None,
        worst=max(known, default=None),
        near=sum(each <= NEAR for each in known),
    )
