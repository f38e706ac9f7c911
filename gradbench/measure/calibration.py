"""The number of calls in a batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence

# Runs the calls of a batch by the clock; returns nanoseconds.
Batch = Callable[[int], int]


def level(calls: Sequence[int], roles: Sequence[str]) -> list[int]:
    """The same number of calls for variants of similar length, and always for the baseline and its twins.

    Identical variants with 11 and 18 calls differ by 1 %; a disturbed calibration gave these numbers.
    """
    base = calls[roles.index("baseline")]
    return [
        base if role.startswith("twin") or 0.8 * base <= n <= 1.25 * base else n
        for n, role in zip(calls, roles, strict=True)
    ]


def calibrate(batch: Batch, wanted: float) -> int:
    """Calls for a batch of about `wanted` seconds, at least 1: from the least of three short batches."""
    n = 1
    # One call is enough where it takes this long twice, even if the first was cold.
    if min(batch(n), batch(n)) >= 2 * wanted * 1e9:
        return 1
    while True:
        nanoseconds = min(batch(n) for _ in range(3 if n > 1 else 2))
        if nanoseconds >= wanted * 1e9 / 4 or n >= 1 << 20:
            return max(1, round(wanted * 1e9 * n / max(nanoseconds, 1)))
        n *= 2
