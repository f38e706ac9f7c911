"""The figure that decides a case of a claim, and one figure or range for several cases."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from gradbench import format

# A narrower range of ratios gets a third decimal place; so does a narrower interval of an open ratio.
_NARROW = 0.02
_NARROW_OPEN = 0.1


@dataclass(frozen=True)
class Amount:
    """A number or a range, with the words after it.

    Attributes:
        low, high: the ends of the range; they are equal where there is one number.
        unit: a ratio, seconds, or bytes.
        of: the words after the unit, such as `the peak`; empty where the claim says them.
        rival: the variant in the denominator of a ratio, where a claim has several rivals.
        subject: the variant that has the figure.
        open: the range is an interval that leaves the case open.
    """

    low: float
    high: float
    unit: Literal["times", "s", "B"]
    of: str = ""
    rival: str = ""
    subject: str = ""
    open: bool = False

    @property
    def kind(self) -> tuple[str, str]:
        """Amounts of one kind can make a range together."""
        return self.unit, self.of

    @property
    def words(self) -> str:
        """The number or the range with its unit: `3.81 times`, `0.99 to 1.01 times`, `0 B allocated`."""
        numbers = self.numbers if self.unit != "times" else f"{self.numbers} times"
        return " ".join(part for part in (numbers, self.of, self.rival) if part)

    @property
    def numbers(self) -> str:
        """The number or the range; seconds and bytes have their unit.

        >>> Amount(3.808, 3.808, "times").numbers, Amount(0.9968, 1.0124, "times").numbers
        ('3.81', '0.997 to 1.012')
        >>> Amount(1.4e-6, 1.5e-6, "s").numbers, Amount(0, 4e6, "B").numbers
        ('1.40 to 1.50 µs', '0 B to 4.00 MB')
        """
        if self.unit == "times":
            return _ratios(self.low, self.high, _NARROW_OPEN if self.open else _NARROW)
        shown = format.seconds if self.unit == "s" else _bytes
        low, high = shown(self.low), shown(self.high)
        if low == high:
            return low
        number, _, unit = low.rpartition(" ")
        return f"{number if high.endswith(f' {unit}') else low} to {high}"

    def distance(self, other: Amount) -> float:
        """How far two amounts of one kind are from each other: by their ratio where both are above 0."""
        if self.low > 0 and other.low > 0:
            return abs(math.log(self.low / other.low))
        return abs(self.low - other.low)


def together(amounts: Sequence[Amount]) -> Amount:
    """The range over amounts of one kind; it names the rival where all amounts have one rival."""
    first = amounts[0]
    same = len({each.rival for each in amounts}) == 1
    low, high = min(each.low for each in amounts), max(each.high for each in amounts)
    return replace(first, low=low, high=high, rival=first.rival if same else "")


def _bytes(value: float) -> str:
    return format.size(int(value))


def _ratios(low: float, high: float, narrow: float) -> str:
    if low == high:
        return format.significant(low)
    places = 3 if high - low < narrow else 2
    first, last = _ratio(low, places), _ratio(high, places)
    return first if first == last else f"{first} to {last}"


def _ratio(value: float, places: int) -> str:
    return f"{value:.{places}f}" if 0.01 <= value < 9.995 else format.significant(value)
