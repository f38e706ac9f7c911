"""How many calls a batch holds."""

from __future__ import annotations

from collections.abc import Callable, Sequence

# Runs something so many times by the clock; returns nanoseconds.
Batch = Callable[[int], int]


def level(calls: Sequence[int], roles: Sequence[str]) -> list[int]:
    """The same number of calls for variants of like length, and for the baseline's twins whatever it is.

    Identical variants that were given 11 and 18 calls differ by 1 %; a disturbed calibration gave them that.
    """
    base = calls[roles.index("baseline")]
    return [
        base if role.startswith("twin") or 0.8 * base <= n <= 1.25 * base else n
        for n, role in zip(calls, roles, strict=True)
    ]


def calibrate(batch: Batch, wanted: float) -> int:
    """Calls for a batch of about `wanted` seconds, at least 1: from the least of three short batches."""
    n = 1
    # However cold it was, one call is enough where it takes this long twice.
    if min(batch(n), batch(n)) >= 2 * wanted * 1e9:
        return 1
    while True:
        nanoseconds = min(batch(n) for _ in range(3 if n > 1 else 2))
        if nanoseconds >= wanted * 1e9 / 4 or n >= 1 << 20:
            return max(1, round(wanted * 1e9 * n / max(nanoseconds, 1)))
        n *= 2
