"""A visit: it builds, checks, calibrates and times its variants in rounds, and returns the times.

A round is the batch of every variant once, in a fresh random order. For rounds on an accelerator see
`gradbench.measure.device_rounds`.
"""

from __future__ import annotations

import contextlib
import math
import random
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeVar

import numpy
import torch

from gradbench.measure import clock
from gradbench.measure.calibration import calibrate
from gradbench.measure.checks import CheckFailed, check_answer, check_same, check_variant
from gradbench.measure.processor_time import LONG_SECONDS, Clock, waits
from gradbench.measure.protocol import Check
from gradbench.measure.variant import ReadyVariant, expected_answer
from gradbench.record.plan import Comparison, Variant
from gradbench.record.visits import VariantTime

# Fewer rounds than this give no useful median; a visit takes this many even past its slice.
FEWEST_ROUNDS = 5
# For calls as long as this, in seconds, a visit takes fewer rounds: further processes help more than further
# rounds.
_FEWER_ROUNDS = ((0.3, 1), (0.05, 2), (0.005, 3))
# A first execution may load libraries, which took 0.7 s at most; a longer one is a long call.
_SURELY_LONG = 1.0


def build(
    comparison: Comparison,
    check: Check,
    dice: random.Random,
    fail: Callable[[Variant, Exception], bool],
    shared: dict[str, Any],
    note: Callable[[Variant, torch.Tensor, torch.Tensor], None] = lambda variant, y, baseline: None,
) -> list[ReadyVariant]:
    """The variants that are set up and pass their checks, made in random order.

    Without the baseline there is nothing to compare with: then its failure is the visit's.

    Args:
        check: the level of the check.
        fail: called with the variant that fell out, and the reason; returns whether the process can go on.
        shared: the names that all variants share, as `gradbench.measure.variant.prepare` returns them; or by
            name the files with the names of variants.
        note: called with the result of a variant and the baseline's, where the two need not agree.
    """

    def hold_against_numpy(y: torch.Tensor | None, variant: Variant) -> None:
        answer = expected_answer(comparison, variant, shared) if check == "answers" else None
        if answer is not None:
            check_answer(_result(y), answer, comparison)

    # The results of a group are compared with those of its first variant, which is then thrown away. A
    # baseline that is made first would be slower by 0.05 %, as the instrument's study shows.
    references: dict[str, torch.Tensor | None] = {}
    fallen: set[str] = set()
    in_full = check in ("values", "answers")
    executed = {comparison.baseline.name, *(_recorded(comparison) if check == "warm" else ())}
    for variant in _first_of_groups(comparison) if in_full else ():
        try:
            references[variant.group] = check_variant(ReadyVariant(variant, shared), comparison)
            hold_against_numpy(references[variant.group], variant)
        except Exception as error:
            if not fail(variant, error) or variant.role == "baseline":
                return []
            fallen.add(variant.name)
    order = [each for each in comparison.variants if each.name not in fallen]
    dice.shuffle(order)
    variants: list[ReadyVariant] = []
    for variant in order:
        # Release the last variant's result before the check of this one, since memory may be short.
        y = None
        try:
            ready = ReadyVariant(variant, shared)
            if check in ("flags", "values", "answers") or variant.name in executed:
                y = check_variant(ready, comparison, values=in_full)
            reference = references.get(variant.group)
            if in_full and variant.answer is not None:
                hold_against_numpy(y, variant)
            elif y is not None and reference is not None:
                if comparison.alike or variant.role != "method":
                    # Where groups may differ, one of them may hold NaN.
                    check_same(y, reference, comparison, nans=bool(variant.group))
                else:
                    note(variant, y, reference)
            variants.append(ready)
        except Exception as error:
            if not fail(variant, error) or variant.role == "baseline":
                return []
    return variants


def _first_of_groups(comparison: Comparison) -> list[Variant]:
    """The baseline, and of each other group the first variant."""
    first = {comparison.baseline.group: comparison.baseline}
    for each in comparison.variants:
        if each.role != "empty":
            first.setdefault(each.group, each)
    return list(first.values())


def _recorded(comparison: Comparison) -> list[str]:
    """The first variant that records, which touches the most memory; empty where none records."""
    return [each.name for each in comparison.variants if each.expect.result_requires_grad][:1]


def _result(y: torch.Tensor | None) -> torch.Tensor:
    """The result to compare with an answer. Raises CheckFailed where there is none."""
    if y is None:
        raise CheckFailed("expected the statement to leave a tensor as its result; it left none")
    return y


class VariantFailed(Exception):
    """A variant raised while it was timed."""

    def __init__(self, ready: ReadyVariant, error: Exception) -> None:
        super().__init__(str(error))
        self.ready = ready
        self.error = error


_Taken = TypeVar("_Taken")


def timed(take: Callable[[ReadyVariant, int], _Taken], ready: ReadyVariant, n: int) -> _Taken:
    """The times of n calls of a variant by `take`. Raises VariantFailed."""
    try:
        return take(ready, n)
    except Exception as error:
        raise VariantFailed(ready, error) from error


def run_batch(ready: ReadyVariant, n: int) -> int:
    """One batch of a variant, in nanoseconds. Raises VariantFailed."""
    return timed(lambda each, calls: each.batch(calls), ready, n)


class Rounds(NamedTuple):
    """Nanoseconds of each batch: rounds x variants. Host and device belong to an accelerator's rounds.

    Attributes:
        wall: on the CPU the time by `clock`.
    """

    wall: numpy.ndarray[Any, Any]
    host: numpy.ndarray[Any, Any] | None = None
    device: numpy.ndarray[Any, Any] | None = None
    clock: Clock = "wall"


class Span(NamedTuple):
    """The end of rounds, by `time.perf_counter`.

    Attributes:
        until: from then on the visit has enough rounds.
        latest: from then on no further round begins, even after few rounds.
    """

    until: float
    latest: float = math.inf


def calibrated(
    variants: list[ReadyVariant],
    batch_seconds: float,
    device: clock.DeviceClock | None,
    known: Mapping[str, float] = {},
) -> list[int]:
    """The calls in a batch of each variant; where its seconds per call are `known`, no batch is run for them.

    Raises VariantFailed.
    """
    if device is None:
        return [_calls(ready, batch_seconds, known.get(ready.variant.name, 0.0)) for ready in variants]
    wanted = max(batch_seconds, clock.BATCH_SECONDS)
    return [timed(lambda each, _: device.calibrate(each, wanted), ready, 0) for ready in variants]


def _calls(ready: ReadyVariant, batch_seconds: float, known: float) -> int:
    if known > 0:
        ready.took = known
        return max(1, round(batch_seconds / known))
    if not 0 < ready.took < LONG_SECONDS:
        # The variant was not executed yet, or its execution may have loaded a library: one more call shows
        # its time.
        if ready.took < _SURELY_LONG:
            taken = _run_long(ready, 1) / 1e9
            ready.took = min(ready.took or taken, taken)
        if ready.took >= LONG_SECONDS:
            return 1
    return calibrate(partial(run_batch, ready), batch_seconds)


def take_cpu_rounds(
    variants: list[ReadyVariant], calls: list[int], span: Span, dice: random.Random, threads: int
) -> Rounds:
    """Rounds on the CPU: short batches by the wall clock, long calls by processor time where the thread never
    waits.

    Raises VariantFailed.
    """
    place = next(place for place, ready in enumerate(variants) if ready.variant.role == "baseline")
    seconds = variants[place].took
    if calls[place] > 1 or seconds < LONG_SECONDS:
        return Rounds(take_rounds(run_batch, variants, calls, span, FEWEST_ROUNDS, dice))
    fewest = next((count for least, count in _FEWER_ROUNDS if seconds >= least), FEWEST_ROUNDS)
    if threads == 1 and waits() is not None:
        with contextlib.suppress(_Waited):
            run = _ByProcessorTime(len(variants))
            return Rounds(take_rounds(run, variants, calls, span, fewest, dice), clock="thread")
    return Rounds(take_rounds(_run_long, variants, calls, span, fewest, dice))


class _Waited(Exception):
    """The thread of a batch waited, so that its processor time does not cover the batch."""


def _run_long(ready: ReadyVariant, n: int, clock: Clock = "wall") -> int:
    """As `run_batch`, without a call before the clock."""
    return timed(lambda each, calls: each.long_batch(clock)(calls), ready, n)


class _ByProcessorTime:
    """Runs batches by processor time; raises _Waited where one of the first `trials` waits."""

    def __init__(self, trials: int) -> None:
        self._trials = trials

    def __call__(self, ready: ReadyVariant, n: int) -> int:
        before = waits()
        taken = _run_long(ready, n, "thread")
        self._trials -= 1
        if self._trials >= 0 and waits() != before:
            raise _Waited
        return taken


def take_rounds(
    run: Callable[[ReadyVariant, int], float],
    variants: list[ReadyVariant],
    calls: list[int],
    span: Span,
    fewest: int,
    dice: random.Random,
) -> numpy.ndarray[Any, Any]:
    """Nanoseconds of each batch, as `run` takes them: one row a round, one column a variant.

    The rounds are at least `fewest`, or at least one if it is too late. Raises VariantFailed.
    """
    places = list(enumerate(zip(variants, calls, strict=True)))
    rows: list[list[float]] = []
    while one_more(len(rows), fewest, span):
        dice.shuffle(places)
        row = [0.0] * len(places)
        for place, (ready, n) in places:
            row[place] = run(ready, n)
        rows.append(row)
    return numpy.array(rows, dtype=numpy.float64)


def one_more(rounds: int, fewest: int, span: Span) -> bool:
    """Whether one more round follows after `rounds`."""
    now = time.perf_counter()
    return rounds == 0 or now < span.until or (rounds < fewest and now < span.latest)


def visit_times(
    roles: Sequence[str], calls: Sequence[int], times: numpy.ndarray[Any, Any]
) -> tuple[list[VariantTime], float]:
    """The times that a visit keeps of its rounds.

    Args:
        roles: roles of the variants, one of them `baseline` and one `twin`.
        calls: calls in a batch, by variant.
        times: nanoseconds of each batch, rounds x variants.

    Returns:
        The times by variant, and the estimated standard error of the twin's log-ratio.
    """
    # Log-ratios are paired within a round, and no local drift is taken off. Times of neighbouring batches
    # correlate by 0.4 to 0.8, and by 0.2 to 0.6 fourteen batches apart. A drift estimated from two or five
    # neighbours on either side did not help in 7 comparisons.
    per_call = times / numpy.array(calls) / 1e9
    logs = numpy.log(per_call)
    ratios = logs - logs[:, [roles.index("baseline")]]
    q1, median, q3 = numpy.quantile(per_call, [0.25, 0.5, 0.75], axis=0)
    log_ratios = numpy.median(ratios, axis=0)
    variants = [
        VariantTime(n, float(middle), float(low), float(high), float(ratio))
        for n, middle, low, high, ratio in zip(calls, median, q1, q3, log_ratios, strict=True)
    ]
    error = 0.0
    if "twin" in roles:
        low, high = numpy.quantile(ratios[:, roles.index("twin")], [0.25, 0.75])
        # The standard error of a median is 1.2533 s/√n; s comes from the quartiles, which are 1.349 s apart
        # in a normal sample.
        error = 1.2533 * float(high - low) / 1.349 / len(ratios) ** 0.5
    return variants, error
