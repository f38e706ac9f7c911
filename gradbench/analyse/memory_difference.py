"""Differences in the memory of one variant between two places. Bytes are exact: any difference counts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gradbench import format
from gradbench.record.visits import Memory

# The figures that are exact. The resident set is not.
EXACT = ("allocated", "allocations", "peak", "retained", "graph", "saved", "left")
# The one figure that counts no bytes.
COUNT = "allocations"


@dataclass(frozen=True)
class MemoryDifference:
    """A figure of memory that is not the same: bytes, or allocations."""

    figure: str
    before: int
    after: int

    def __str__(self) -> str:
        """The change in words: saved 400 B to 464 B."""
        if self.figure == COUNT:
            return f"{self.before:,} to {format.counted(self.after, 'allocation')}"
        sizes = [format.size(each) for each in (self.before, self.after)]
        if sizes[0] == sizes[1]:
            # Three digits do not show it.
            sizes = [f"{each:,} B" for each in (self.before, self.after)]
        return f"{self.figure} {sizes[0]} to {sizes[1]}"


def memory_differences(before: Memory | None, after: Memory | None) -> tuple[MemoryDifference, ...] | None:
    """The figures that differ, among those that both sides know; None where a side has none."""
    if before is None or after is None:
        return None
    pairs = [(name, getattr(before, name), getattr(after, name)) for name in EXACT]
    return tuple(
        MemoryDifference(name, one, other)
        for name, one, other in pairs
        if one is not None and other is not None and one != other
    )


def larger(found: Iterable[MemoryDifference] | None) -> bool:
    """Whether any figure of bytes is known to have grown.

    The number of allocations is shown and not judged. The same bytes in more pieces are no more memory, and
    the time includes the work of making the pieces.
    """
    return any(each.after > each.before for each in found or () if each.figure != COUNT)


def smaller(found: Iterable[MemoryDifference] | None) -> bool:
    """Whether some figure of bytes is known to have fallen, and none to have grown."""
    known = [each for each in found or () if each.figure != COUNT]
    return bool(known) and not larger(known)


def in_words(found: Iterable[MemoryDifference] | None) -> str:
    """All differences; `the same` where there is none, and a dash where it is not known."""
    return format.UNKNOWN if found is None else ", ".join(map(str, found)) or "the same"


def summed_up(variants: Sequence[Iterable[MemoryDifference] | None], what: str = "memory") -> str:
    """The changes in the memory of these variants, in words; `what` names the memory."""
    known = [list(found) for found in variants if found is not None]
    if not known:
        return f"{what} is not known"
    more = sum(larger(found) for found in known)
    less = sum(smaller(found) for found in known)
    change = f"more in {more} and less in {less} of" if more or less else "the same to the byte in"
    sentence = f"{what} is {change} {format.counted(len(known), 'variant')}"
    if len(known) < len(variants):
        sentence += f", and not known for {len(variants) - len(known)} more"
    pieces = sum(any(each.figure == COUNT for each in found) for found in known)
    return sentence + (f"; the number of allocations differs in {pieces}" if pieces else "")
