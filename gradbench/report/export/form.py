"""A form of `gradbench export`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gradbench.analyse.model import ComparisonSummary, RunSummary, VariantSummary


@dataclass(frozen=True)
class Form:
    """A form for the results of a run.

    Attributes:
        name: the value of `--to`.
        effect: its content and its readers, in a sentence.
        write: makes the whole text from the summary of a run.
    """

    name: str
    effect: str
    write: Callable[[RunSummary], str]


def each_method(summary: RunSummary) -> Iterator[tuple[ComparisonSummary, VariantSummary]]:
    """The methods and alternatives of every comparison, without the instrument's variants."""
    for each in summary.comparisons:
        for variant in each.methods:
            yield each, variant
