"""What differs between the memory of one lane in two places: exact, so that any difference is one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gradbench import format
from gradbench.results import Memory

# The figures that are exact. The resident set is not.
EXACT = ("allocated", "allocations", "peak", "retained", "graph", "saved")


@dataclass(frozen=True)
class Growth:
    """A figure of memory that is not the same: bytes, or allocations."""

    figure: str
    before: int
    after: int

    def __str__(self) -> str:
        """The change in words: saved 400 B to 464 B."""
        if self.figure == "allocations":
            return f"{self.before} to {self.after} allocations"
        return f"{self.figure} {format.size(self.before)} to {format.size(self.after)}"


def growths(before: Memory | None, after: Memory | None) -> tuple[Growth, ...]:
    """The figures that differ; none where one side is not known."""
    if before is None or after is None:
        return ()
    pairs = [(name, getattr(before, name), getattr(after, name)) for name in EXACT]
    return tuple(Growth(name, one, other) for name, one, other in pairs if one != other)


def larger(found: Iterable[Growth]) -> bool:
    """Whether any figure grew."""
    return any(each.after > each.before for each in found)


def in_words(found: Iterable[Growth]) -> str:
    """All of them; `the same` where there is none."""
    return ", ".join(map(str, found)) or "the same"
