"""What is known of a run, as typed objects: everything that a page, a table or an export shows."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from gradbench.analyse.pairs import Pair, ratios_of_pairs
from gradbench.analyse.timeline import Split
from gradbench.record.interval import Interval
from gradbench.record.plan import USER_MODEL, Comparison, Role, Variant
from gradbench.record.results import Results
from gradbench.record.visits import Execution, Failure, Kernels, Memory, Timeline

if TYPE_CHECKING:
    from typing_extensions import Self

Verdict = Literal[
    "baseline", "faster", "slower", "same", "bounded", "cannot tell", "no time of its own", "failed"
]


@dataclass(frozen=True)
class Bound:
    """What a variant that was not timed differs by at most from the one that was timed in its place.

    Attributes:
        timed, label: the name and the label of that one, which executes the same.
        seconds: the difference at most; None where the price of a control is not known.
        of: seconds of a call of that one.
    """

    timed: str
    label: str
    seconds: float | None
    of: float

    @property
    def share(self) -> float | None:
        """The difference as a part of the call."""
        return None if self.seconds is None else self.seconds / self.of


@dataclass(frozen=True)
class VariantSummary:
    """What is known of one variant; None stands for what is not.

    Attributes:
        time: seconds per call, net of the empty loop; geometric mean over passes.
        ratio: of that to the baseline.
        extra: seconds per call above the baseline: the price of the method in place; mean over passes.
        rank: among the methods of the comparison; 1 + the number shown to be faster.
        log_ratios, device_log_ratios: by pass, of time and of device.
        seconds: by pass, what `time` is the mean of.
        host, device: on an accelerator, the host's time to issue a call and the device's to do it; time is
            then until the device has done it.
        host_ratio, device_ratio: of those to the baseline's.
        device_idle: the device has nothing to do for it that could be told from nothing.
        kernels: what the profiler saw the device do.
        figures: by metric, what an extension measured of it.
        execution: what it executes, and whether another variant executes the same.
        bound: it was not timed, and the time is that of another variant: what it differs by from that.
    """

    definition: Variant
    verdict: Verdict
    time: Interval | None
    ratio: Interval | None
    extra: Interval | None
    rank: int | None
    memory: Memory | None
    failures: tuple[Failure, ...]
    log_ratios: dict[int, float]
    seconds: dict[int, float] = field(default_factory=dict)
    host: Interval | None = None
    device: Interval | None = None
    host_ratio: Interval | None = None
    device_ratio: Interval | None = None
    device_idle: bool = False
    device_log_ratios: dict[int, float] = field(default_factory=dict)
    kernels: Kernels | None = None
    figures: dict[str, float] = field(default_factory=dict)
    execution: Execution | None = None
    bound: Bound | None = None

    @property
    def name(self) -> str:
        """The name of the variant, unique in its comparison."""
        return self.definition.name

    @property
    def failure(self) -> Failure | None:
        """Its first failure; what a profiler or an extension could not see is another matter."""
        return next((each for each in self.failures if each.stage in ("check", "time", "memory")), None)

    @property
    def label(self) -> str:
        """How a report names the variant."""
        return self.definition.label

    @property
    def role(self) -> Role:
        """What the variant is there for."""
        return self.definition.role


@dataclass(frozen=True)
class ComparisonSummary:
    """What is known of one comparison.

    Attributes:
        floor: the largest difference (a log-ratio) that the twin's interval leaves open: what identical
            code may seem to differ by, here; None before two passes.
        visible: the difference (a log-ratio) that would be called slower in 80 % of runs like this one, for
            the median method: with its scatter over passes, the run's correction and the twin's floor.
        empty: seconds per turn of the empty loop.
        failures: those that cost a whole visit.
        timelines: by variant, where they were taken.
        splits: by variant, the same split at the backward.
        above: pairs of variants of which the first is shown to be slower than the second.
        part: of the level of a false verdict, what this look at the run may spend.
        passes_per_visit: passes of the run for each that visits this.
    """

    comparison: Comparison
    variants: tuple[VariantSummary, ...]
    passes: int
    rounds: int
    floor: float | None
    visible: float | None
    empty: float | None
    failures: tuple[Failure, ...]
    timelines: dict[str, Timeline]
    splits: dict[str, Split]
    above: frozenset[Pair] = frozenset()
    part: float = 1.0
    passes_per_visit: float = 1.0

    def variant(self, name: str) -> VariantSummary | None:
        """The variant of that name."""
        return next((variant for variant in self.variants if variant.name == name), None)

    @property
    def baseline(self) -> VariantSummary:
        """The variant that ratios are taken to."""
        return next(variant for variant in self.variants if variant.role == "baseline")

    @property
    def methods(self) -> list[VariantSummary]:
        """The variants that are methods, the baseline among them."""
        return [variant for variant in self.variants if variant.role in ("method", "baseline")]

    @property
    def fewest(self) -> int:
        """The passes of the method that has fewest, of those that have a ratio."""
        counts = [len(each.log_ratios) for each in self.methods if each.log_ratios]
        return min([self.passes, *counts])

    @property
    def limit(self) -> VariantSummary | None:
        """The variant that moves the bytes which the others must move at least, and does no more."""
        return next((variant for variant in self.variants if variant.definition.limit), None)

    @property
    def has_baseline(self) -> bool:
        """Whether ratios can be known: the baseline takes a time that can be told from the empty loop."""
        return self.baseline.verdict != "no time of its own"

    @cached_property
    def time_ratios(self) -> dict[Pair, Interval]:
        """By pair of methods, the ratio of their times, from the passes that have both."""
        return ratios_of_pairs(
            {each.name: each.log_ratios for each in self.methods if each.ratio is not None}
        )

    @cached_property
    def device_ratios(self) -> dict[Pair, Interval]:
        """By pair of methods, the ratio of the device's times alone."""
        return ratios_of_pairs(
            {each.name: each.device_log_ratios for each in self.methods if each.device_log_ratios}
        )

    @cached_property
    def moved(self) -> Interval | None:
        """How many times as long identical code takes on memory of its own.

        None where that is within what the twin leaves open, or within what is called the same.
        """
        variant = next((each for each in self.variants if each.role == "twin_own_buffer"), None)
        if variant is None or variant.ratio is None or variant.ratio.low is None or self.floor is None:
            return None
        log = variant.ratio.map(math.log)
        assert log.low is not None
        assert log.high is not None
        # The whole interval, and not its middle: of many comparisons some would be beyond it by chance.
        beyond = max(log.low, -log.high) > self.floor
        return variant.ratio if beyond and variant.verdict != "same" else None


@dataclass(frozen=True)
class Twins:
    """By how much identical code came out different.

    Attributes:
        differences: by comparison with a known twin, its ratio to the baseline less 1, without sign.
    """

    differences: tuple[float, ...]

    @property
    def median(self) -> float | None:
        """The median of the differences; None where there are none."""
        return statistics.median(self.differences) if self.differences else None

    @property
    def worst(self) -> float | None:
        """The largest of the differences; None where there are none."""
        return max(self.differences, default=None)

    @property
    def near(self) -> int:
        """How many differ by 0.3 % or less."""
        return sum(each <= 0.003 for each in self.differences)


@dataclass(frozen=True)
class RunSummary:
    """The figures of a run.

    Attributes:
        passes: processes that visited something.
        wall, outside: seconds of wall time of all passes, and those of them neither in timed rounds nor in
            the import of torch; None for a run that did not end by itself.
    """

    results: Results
    comparisons: tuple[ComparisonSummary, ...]
    passes: int
    wall: float | None
    outside: float | None

    @property
    def devices(self) -> list[str]:
        """The devices that were measured on, in the order of the plan."""
        return list(dict.fromkeys(each.comparison.device for each in self.comparisons))

    @cached_property
    def user_parts(self) -> dict[str, ComparisonSummary]:
        """By part, what was measured of the user's own model or expressions; empty where there is neither."""
        return {
            each.comparison.part: each for each in self.comparisons if each.comparison.workload == USER_MODEL
        }

    def on(self, device: str) -> Self:
        """What is known of one device."""
        there = tuple(each for each in self.comparisons if each.comparison.device == device)
        return replace(self, comparisons=there)

    @cached_property
    def by_device(self) -> dict[str, Self]:
        """What is known of one device, for each of several; empty where there is one."""
        return {device: self.on(device) for device in self.devices} if len(self.devices) > 1 else {}

    @cached_property
    def twins(self) -> Twins:
        """What identical code came out different by."""
        return self._twins("ratio")

    @cached_property
    def parts_of_twins(self) -> dict[str, Twins]:
        """The same of the `host`'s and of the `device`'s time; without any where there is no accelerator."""
        return {part: self._twins(f"{part}_ratio") for part in ("host", "device")}

    def _twins(self, ratio: str) -> Twins:
        found = [getattr(each.variant("twin"), ratio, None) for each in self.comparisons]
        return Twins(tuple(abs(each.mean - 1) for each in found if each is not None))

    @cached_property
    def farthest_moved(self) -> tuple[ComparisonSummary, Interval] | None:
        """The comparison in which memory of its own moves identical code the farthest; None where in none."""
        found = [(each, each.moved) for each in self.comparisons if each.moved is not None]
        return max(found, key=lambda pair: abs(math.log(pair[1].mean)), default=None)

    @cached_property
    def visible(self) -> float | None:
        """The median of the comparisons' `visible`; None where none is known."""
        known = [each.visible for each in self.comparisons if each.visible is not None]
        return statistics.median(known) if known else None


@dataclass(frozen=True)
class Finding:
    """One thing that the figures say.

    Attributes:
        sentence: what they say.
        evidence: the figures behind it.
        figure: the one figure that decides, short; empty where the sentence holds it.
        topic: the topic of the page that the finding belongs to; empty for all of them.
    """

    sentence: str
    evidence: str
    figure: str = ""
    topic: str = ""


def leaders(variants: Iterable[VariantSummary]) -> list[VariantSummary]:
    """Of these variants, those of the least rank; none where none has a rank."""
    ranked = [variant for variant in variants if variant.rank is not None]
    least = min((variant.rank for variant in ranked if variant.rank is not None), default=None)
    return [variant for variant in ranked if variant.rank == least]
