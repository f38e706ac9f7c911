"""An interval on a mean."""

from __future__ import annotations

from typing import Any

import msgspec


class Interval(msgspec.Struct, frozen=True):
    """A mean with its t-interval; `low` and `high` are None for fewer than two values."""

    mean: float
    low: float | None
    high: float | None
    count: int

    def map(self, function: Any) -> Interval:
        """The interval on another scale, through an increasing function."""
        ends = [None if end is None else float(function(end)) for end in (self.low, self.high)]
        return Interval(float(function(self.mean)), ends[0], ends[1], self.count)

    def mirrored(self, function: Any) -> Interval:
        """The interval on another scale, through a decreasing function: its ends change places."""
        through = self.map(function)
        return Interval(through.mean, through.high, through.low, self.count)
