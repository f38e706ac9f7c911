"""What a form of `gradbench export` is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gradbench.analyse.model import ComparisonSummary, RunSummary, VariantSummary


@dataclass(frozen=True)
class Form:
    """A form that a results file can be written in.

    Attributes:
        name: what `--to` takes.
        effect: what it is, and who reads it, in a sentence.
        write: from what is known of a run to the whole text.
    """

    name: str
    effect: str
    write: Callable[[RunSummary], str]


def each_method(summary: RunSummary) -> Iterator[tuple[ComparisonSummary, VariantSummary]]:
    """The methods and alternatives of each comparison, without what is the instrument's."""
    for each in summary.comparisons:
        for variant in each.methods:
            yield each, variant
