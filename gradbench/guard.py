"""Guards for the tests of any project: this is not slower than that, and this keeps no more than N bytes.

The fixture `gradbench` of `gradbench.pytest_plugin` is made of these. They need no pytest; times need no
torch, and bytes import it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import partial
from typing import Literal

import msgspec

from gradbench import format
from gradbench.interleave import MOST_EMPTY, Interleaved, batch_of
from gradbench.stats import Interval

# The chance that what takes exactly as long as is allowed is called slower: the sum over all looks.
ALPHA = 0.001
# What a place in memory may do to identical code (METHODOLOGY.md has the counts); less cannot be asked of
# one process.
LEAST_MARGIN = 0.02
# A longer call finds the caches as it would after itself: another one before the clock only costs time.
LONG = 1e-3

# Differences of identical code below this say more of the clock's tick than of the code.
LEAST_SAME = 1e-4

Verdict = Literal["slower", "not slower", "not shown"]


class TimeRatio(msgspec.Struct, frozen=True):
    """What was found of a candidate and a baseline.

    Attributes:
        verdict: `slower` by more than the margin, the floor and the resolution; `not slower` by as much as
            the margin; `not shown` where neither could be told.
        ratio: the candidate's time to the baseline's, net of the loop and of calling a function that does
            nothing. Its ends have the confidence that the verdict rests on, at least 99.9 %; they are None
            where there were too few rounds.
        margin: by what share the candidate was allowed to be slower.
        floor: the largest difference that is left open for identical code, at 95 %.
        same: by what share identical code differed.
        empty: the share of the baseline's time that was taken off; at most a half.
        candidate, baseline: median seconds per call, net.
        rounds: that were taken.
        seconds: wall time that they took.
    """

    verdict: Verdict
    ratio: Interval
    margin: float
    floor: float | None
    same: float
    empty: float
    candidate: float
    baseline: float
    rounds: int
    seconds: float

    @property
    def sentence(self) -> str:
        """What was found, with its figures."""
        allowed = f"{1 + self.margin:.6g}"
        words = {
            "slower": f"; at most {allowed} was allowed",
            "not slower": f", and at most {allowed} is allowed",
            "not shown": f"; whether it is at most {allowed} could not be shown in {self.seconds:.2g} s",
        }[self.verdict]
        if self.verdict == "not shown" and self.too_short:
            words = f"; {allowed} is allowed, and what an empty call takes is too near for a verdict"
        same = max(abs(self.same), LEAST_SAME)
        return (
            f"candidate takes {format.ratio_with_ends(self.ratio)} times baseline{words}; "
            f"identical code differed by {'at most ' * (same == LEAST_SAME)}{format.percent(same)}"
        )

    @property
    def resolution(self) -> float:
        """What an empty call takes, in times of the baseline: a smaller difference is not called slower."""
        return self.empty / (1 - self.empty)

    @property
    def too_short(self) -> bool:
        """Whether the calls are too short for any verdict, however many rounds there are."""
        low, high = self.ratio.low, self.ratio.high
        return self.empty >= MOST_EMPTY or (
            low is not None
            and high is not None
            and low > 1 + self.margin
            and high < 1 + self.margin + self.resolution
        )

    def check(self, *, require_proof: bool = False) -> None:
        """Raise AssertionError where it is slower; with `require_proof` also where that is open."""
        __tracebackhide__ = True
        if self.verdict == "slower" or (require_proof and self.verdict != "not slower"):
            raise AssertionError(self.sentence)


def compare_time(
    candidate: Callable[..., object],
    baseline: Callable[..., object],
    *,
    margin: float = 0.05,
    seconds: float = 5.0,
    setup: Callable[[], object] | None = None,
    seed: int | None = None,
) -> TimeRatio:
    """Time two functions in turns until it is clear whether the candidate is slower, or time is up.

    Both are called without arguments; with `setup` it is called before each call, outside the clock, and
    what it returns is passed. Each is called once first, and whatever it raises is raised.

    Looks are taken after so many rounds, twice as many, and so on. Look k spends `ALPHA / (k (k + 1))`, the
    sum of which over all looks is ALPHA.

    Args:
        margin: by what share the candidate may be slower; at least 0.02.
        seconds: most time to spend; functions of tens of microseconds and less mostly need a fifth of a
            second. A call that takes longer than a tenth of it leaves too few rounds to tell.
        seed: of the random orders; None is a new one.

    Raises:
        TypeError, ValueError: for arguments that cannot be meant.
    """
    __tracebackhide__ = True
    _expect_callable("candidate", candidate)
    _expect_callable("baseline", baseline)
    if setup is not None:
        _expect_callable("setup", setup)
    _expect_number("margin", margin, LEAST_MARGIN, "identical code in two places differs by up to that much")
    _expect_number("seconds", seconds, 0.05, "less leaves no round to judge by")
    begun = time.perf_counter()
    # Before anything else, with whatever traces this process: what is wrong with them shows here.
    shortest = min(_once(function, setup) for function in (candidate, baseline, candidate, baseline))
    batches = [
        partial(batch_of, function, setup, first=shortest < LONG)
        for function in (candidate, baseline, baseline, None)
    ]
    interleaved = Interleaved(*batches, seed=seed)
    look, wanted = 1, interleaved.fewest
    while True:
        in_time = interleaved.take(wanted, begun + seconds)
        found = interleaved.find(1 - 2 * ALPHA / (look * (look + 1)))
        ratio = TimeRatio(
            verdict="not shown",
            ratio=found.ratio,
            margin=margin,
            floor=found.floor,
            same=found.same,
            empty=found.empty,
            candidate=found.candidate,
            baseline=found.baseline,
            rounds=found.rounds,
            seconds=time.perf_counter() - begun,
        )
        verdict = _judge(ratio)
        if verdict != "not shown" or ratio.too_short or not in_time:
            return msgspec.structs.replace(ratio, verdict=verdict)
        look, wanted = look + 1, 2 * wanted


def _judge(found: TimeRatio) -> Verdict:
    low, high = found.ratio.low, found.ratio.high
    if low is None or high is None or found.floor is None:
        return "not shown"
    if low > 1 + found.margin + found.floor + found.resolution:
        return "slower"
    # Where half of the baseline is the loop, what is left of the ratio may be nearer to 1 than the truth.
    return "not slower" if high < 1 + found.margin and found.empty < MOST_EMPTY else "not shown"


def assert_not_slower(
    candidate: Callable[..., object],
    baseline: Callable[..., object],
    *,
    margin: float = 0.05,
    seconds: float = 5.0,
    setup: Callable[[], object] | None = None,
    require_proof: bool = False,
) -> TimeRatio:
    """Fail where the candidate is shown to be slower than the baseline by more than the margin.

    What could not be shown in the time passes, since a test that fails on a busy machine is soon ignored;
    the returned record says so. With `require_proof` it fails. The other arguments are those of
    `compare_time`.

    >>> assert_not_slower(lambda: sorted(data), lambda: sorted(list(data)))  # doctest: +SKIP
    """
    __tracebackhide__ = True
    ratio = compare_time(candidate, baseline, margin=margin, seconds=seconds, setup=setup)
    ratio.check(require_proof=require_proof)
    return ratio


class Bytes(msgspec.Struct, frozen=True):
    """What a call does to the memory of tensors on the CPU, exact; what was there before is not counted.

    Attributes:
        allocated: sum of all allocations.
        peak: most live at once.
        retained: live after the call with its result held, the graph of the result included.
        saved: unique storages that the graph keeps for backward, inputs among them.
    """

    allocated: int
    peak: int
    retained: int
    saved: int


class BytesFound(msgspec.Struct, frozen=True):
    """What a call did to memory, and what was allowed.

    Attributes:
        most: by the names of `Bytes`, those that were limited.
    """

    bytes: Bytes
    most: dict[str, int]

    @property
    def exceeded(self) -> dict[str, int]:
        """The figures that are more than was allowed."""
        found = msgspec.structs.asdict(self.bytes)
        return {name: found[name] for name, most in self.most.items() if found[name] > most}

    @property
    def sentence(self) -> str:
        """What was found of each limit, or of those that were exceeded."""
        found = msgspec.structs.asdict(self.bytes)
        return "; ".join(
            f"bytes {name}: {found[name]:,}, at most {self.most[name]:,} allowed"
            for name in self.exceeded or self.most
        )

    def check(self) -> None:
        """Raise AssertionError where a limit is exceeded."""
        __tracebackhide__ = True
        if self.exceeded:
            raise AssertionError(self.sentence)


def measure_bytes(function: Callable[..., object], *, setup: Callable[[], object] | None = None) -> Bytes:
    """The bytes of one call of a function, from a few calls that must agree. Imports torch.

    With `setup` it is called before each call, and what it returns is passed; it is not counted.

    Raises:
        TypeError: for what cannot be called.
        gradbench.memory.Unrepeatable: where two calls differ, as those of a function that has not warmed up.
    """
    __tracebackhide__ = True
    _expect_callable("function", function)
    if setup is not None:
        _expect_callable("setup", setup)
    from gradbench.memory import measure_call

    return Bytes(*measure_call(function, setup))


def limit_bytes(
    function: Callable[..., object],
    *,
    retained: int | None = None,
    saved: int | None = None,
    peak: int | None = None,
    allocated: int | None = None,
    setup: Callable[[], object] | None = None,
) -> BytesFound:
    """As `measure_bytes`, with what is allowed. Raises as that does, and ValueError without any limit."""
    __tracebackhide__ = True
    given = {"retained": retained, "saved": saved, "peak": peak, "allocated": allocated}
    most = {name: limit for name, limit in given.items() if limit is not None}
    if not most:
        raise ValueError(f"expected a limit; got none; give one of {', '.join(given)}, in bytes")
    for name, limit in most.items():
        if isinstance(limit, bool) or not isinstance(limit, int) or limit < 0:
            raise ValueError(f"expected {name} in whole bytes, 0 or more; got {limit!r}; give such a number")
    return BytesFound(measure_bytes(function, setup=setup), most)


def assert_bytes_at_most(
    function: Callable[..., object],
    *,
    retained: int | None = None,
    saved: int | None = None,
    peak: int | None = None,
    allocated: int | None = None,
    setup: Callable[[], object] | None = None,
) -> BytesFound:
    """Fail where a call keeps, needs or allocates more bytes than is allowed (see `Bytes`)."""
    __tracebackhide__ = True
    found = limit_bytes(function, retained=retained, saved=saved, peak=peak, allocated=allocated, setup=setup)
    found.check()
    return found


def _once(function: Callable[..., object], setup: Callable[[], object] | None) -> float:
    made = () if setup is None else (setup(),)
    started = time.perf_counter()
    function(*made)
    return time.perf_counter() - started


def _expect_callable(name: str, given: object) -> None:
    __tracebackhide__ = True
    if not callable(given):
        raise TypeError(f"expected {name} to be callable; got {given!r}; give a function or a lambda")


def _expect_number(name: str, given: float, least: float, reason: str) -> None:
    __tracebackhide__ = True
    if isinstance(given, bool) or not isinstance(given, int | float):
        raise TypeError(f"expected {name} to be a number; got {given!r}; give such as {least}")
    if not least <= given or math.isinf(given):
        raise ValueError(f"expected {name} of at least {least}; got {given!r}; {reason}")
