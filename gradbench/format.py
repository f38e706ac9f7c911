"""Figures for readers: three significant digits, a unit, a dash for an unknown value."""

from __future__ import annotations

import math

from gradbench.record.interval import Interval

UNKNOWN = "–"


def significant(value: float, digits: int = 3) -> str:
    """The value with this many significant digits, without an exponent: 0.0912, 3.61, 1,230."""
    if value == 0:
        return "0"
    places = digits - 1 - math.floor(math.log10(abs(value)))
    rounded = round(value, places)
    # Rounding up may gain a digit: 9.996 is 10.0, not 10.00.
    places = digits - 1 - math.floor(math.log10(abs(rounded)))
    return f"{rounded:,.{max(0, places)}f}"


def seconds(value: float | None) -> str:
    """A time in the unit that suits it.

    >>> seconds(3.61e-7)
    '361 ns'
    """
    if value is None:
        return UNKNOWN
    for unit, scale in (("ns", 1e-9), ("µs", 1e-6), ("ms", 1e-3)):
        if abs(value) < 999.5 * scale:
            return f"{significant(value / scale)} {unit}"
    return f"{significant(value)} s"


def counted(count: int, noun: str) -> str:
    """A number with its noun, in the singular or in the plural.

    >>> counted(1, "pass"), counted(1_000, "pass"), counted(0, "visit")
    ('1 pass', '1,000 passes', '0 visits')
    """
    return f"{count:,} {noun}{'' if count == 1 else 'es' if noun.endswith('s') else 's'}"


def size(value: int | None) -> str:
    """Bytes in the decimal unit that suits them, exact below 10,000; fewer than before are freed.

    >>> size(4000000), size(-5240000)
    ('4.00 MB', '5.24 MB freed')
    """
    if value is None:
        return UNKNOWN
    if value < 0:
        return f"{size(-value)} freed"
    if abs(value) < 10_000:
        return f"{value:,} B"
    for unit, scale in (("kB", 1e3), ("MB", 1e6), ("GB", 1e9)):
        if abs(value) < 999.5 * scale:
            return f"{significant(value / scale)} {unit}"
    return f"{significant(value / 1e12)} TB"


def quantity(value: float | None, unit: str) -> str:
    """A figure in its unit: seconds (`s`), bytes (`B`), or any other, named where it is not `1`.

    >>> quantity(1.5e-6, "s"), quantity(1234, "1"), quantity(0.25, "J"), quantity(None, "B")
    ('1.50 µs', '1,234', '0.25 J', '–')
    """
    if unit == "s" or value is None:
        return seconds(value)
    whole = float(value).is_integer()
    if unit == "B" and whole:
        return size(int(value))
    number = f"{int(value):,}" if whole else f"{value:.4g}"
    return number if unit == "1" else f"{number} {unit}"


def count(value: int) -> str:
    """A number of elements, short where that loses nothing: 100, 10k, 1M, 123,456."""
    for unit, scale in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if value >= scale and value % scale == 0:
            return f"{value // scale}{unit}"
    return f"{value:,}"


def multiple(interval: Interval | None) -> str:
    """A ratio for a table that is read at a glance: at most three digits and two decimal places."""
    if interval is None:
        return UNKNOWN
    return (
        f"{interval.mean:,.{min(2, ratio_places(interval))}f}"
        if interval.mean < 10
        else significant(interval.mean)
    )


def ratio_places(interval: Interval) -> int:
    """Decimal places that the interval supports: its half width has two digits, 1 to 4 places."""
    if interval.low is None or interval.high is None or interval.high <= interval.low:
        return 2
    return min(4, max(0, 1 - math.floor(math.log10((interval.high - interval.low) / 2))))


def ratio(interval: Interval | None) -> str:
    """A ratio, to the digits that its interval supports."""
    if interval is None:
        return UNKNOWN
    shown = f"{interval.mean:,.{ratio_places(interval)}f}"
    # A ratio is never 0, so it is never shown as 0.
    return shown if float(shown.replace(",", "")) else significant(interval.mean, 1)


def ends(interval: Interval | None) -> str:
    """The ends of a ratio's interval; a dash where there is none."""
    if interval is None or interval.low is None or interval.high is None:
        return UNKNOWN
    places = ratio_places(interval)
    return f"{interval.low:,.{places}f} to {interval.high:,.{places}f}"


def ratio_with_ends(interval: Interval | None) -> str:
    """A ratio with its interval: 3.61 (3.57 to 3.65)."""
    if interval is None or interval.low is None:
        return ratio(interval)
    return f"{ratio(interval)} ({ends(interval)})"


def short_ratio(interval: Interval) -> tuple[str, str]:
    """A ratio for a sentence, and its interval in brackets behind a space; empty where there is none.

    >>> short_ratio(Interval(2.4183, 2.3529, 2.4991, 9)), short_ratio(Interval(1.00312, 0.99871, 1.0078, 9))
    (('2.42', ' (2.35 to 2.50)'), ('1.003', ' (0.999 to 1.008)'))
    """
    # A ratio near 1 needs a digit more.
    places = min(3 if 0.9 < interval.mean < 1.1 else 2, ratio_places(interval))

    def shown(value: float) -> str:
        return f"{value:.{places}f}" if 0.1 <= interval.mean < 10 else significant(value)

    if interval.low is None or interval.high is None:
        return shown(interval.mean), ""
    return shown(interval.mean), f" ({shown(interval.low)} to {shown(interval.high)})"


# A difference beyond this factor only shows that it is unknown.
_MOST_FACTOR = 1_000


def difference(value: float | None) -> str:
    """A log-ratio as the difference from 1 that it is: per cent, or a factor where that is large.

    >>> difference(0.02), difference(3.0), difference(70.0)
    ('2.0 %', 'a factor of 20', 'a factor of more than 1,000')
    """
    if value is None or value < math.log(10):
        return percent(None if value is None else math.expm1(value))
    # Few passes, or a busy machine, can leave open more than a float holds.
    if value > math.log(_MOST_FACTOR):
        return f"a factor of more than {_MOST_FACTOR:,}"
    return f"a factor of {significant(math.exp(value), 2)}"


def percent(value: float | None) -> str:
    """A fraction as per cent, two significant digits."""
    return UNKNOWN if value is None else f"{significant(100 * value, 2)} %"
