"""The summary of a run, as typed objects: everything that a page, a table or an export shows."""

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
    """The largest difference of a variant that was not timed to the one that was timed in its place.

    Attributes:
        timed, label: the name and the label of the timed variant, which executes the same.
        seconds: the largest difference; None where the price of a control is not known.
        of: seconds per call of the timed variant.
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
    """The summary of one variant; None for a figure that is not known.

    Attributes:
        time: seconds per call, net of the empty loop; geometric mean over passes.
        ratio: `time` ÷ that of the baseline.
        extra: seconds per call above the baseline: the price of the method in place; mean over passes.
        rank: among the methods of the comparison; 1 + the number shown to be faster.
        log_ratios, device_log_ratios: by pass, of time and of device.
        seconds: by pass; `time` is their mean.
        host, device: on an accelerator, the host's time to issue a call and the device's time to execute it.
            `time` then ends when the device has finished.
        host_ratio, device_ratio: `host` and `device` ÷ those of the baseline.
        device_idle: the device has no measurable work for it.
        kernels: the kernels that the profiler saw on the device.
        figures: by metric, the figures of an extension.
        execution: its operators or code, and whether another variant executes the same.
        bound: the largest difference to another variant that was timed in its place; `time` is from that one.
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
        """Its first failure; failures of a profiler or an extension do not count."""
        return next((each for each in self.failures if each.stage in ("check", "time", "memory")), None)

    @property
    def label(self) -> str:
        """How a report names the variant."""
        return self.definition.label

    @property
    def role(self) -> Role:
        """The role of the variant in its comparison."""
        return self.definition.role


@dataclass(frozen=True)
class ComparisonSummary:
    """The summary of one comparison.

    Attributes:
        floor: the largest difference (a log-ratio) that the twin's interval leaves open. Identical code may
            seem to differ by as much here; None before two passes.
        visible: the difference (a log-ratio) that 80 % of runs like this one would call slower. It is for the
            median method, from its scatter over passes, the run's correction and the twin's floor.
        empty: seconds per turn of the empty loop.
        failures: failures that cost a whole visit.
        timelines: by variant, where they were taken.
        splits: by variant, its timeline split at the backward.
        above: pairs of variants of which the first is shown to be slower than the second.
        part: the part of the level of a false verdict that this look at the run may spend.
        passes_per_visit: passes of the run for every pass that visits this comparison.
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
        """The variant in the denominator of the ratios."""
        return next(variant for variant in self.variants if variant.role == "baseline")

    @property
    def methods(self) -> list[VariantSummary]:
        """The variants that are methods, the baseline among them."""
        return [variant for variant in self.variants if variant.role in ("method", "baseline")]

    @property
    def fewest(self) -> int:
        """The passes of the method with the fewest passes, among methods that have a ratio."""
        counts = [len(each.log_ratios) for each in self.methods if each.log_ratios]
        return min([self.passes, *counts])

    @property
    def limit(self) -> VariantSummary | None:
        """The variant that only moves the bytes that the others must move at least."""
        return next((variant for variant in self.variants if variant.definition.limit), None)

    @property
    def has_baseline(self) -> bool:
        """Whether ratios can be known: the baseline takes measurably longer than the empty loop."""
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
        """How many times as long identical code takes in a separate buffer.

        None where that is within the noise floor, or within the margin that counts as the same.
        """
        variant = next((each for each in self.variants if each.role == "twin_own_buffer"), None)
        if variant is None or variant.ratio is None or variant.ratio.low is None or self.floor is None:
            return None
        log = variant.ratio.map(math.log)
        assert log.low is not None
        assert log.high is not None
        # The whole interval, not its middle: in many comparisons some middles are beyond the floor by chance.
        beyond = max(log.low, -log.high) > self.floor
        return variant.ratio if beyond and variant.verdict != "same" else None


@dataclass(frozen=True)
class Twins:
    """How much identical code differs.

    Attributes:
        differences: for every comparison with a known twin, |ratio to the baseline - 1|.
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
        passes: processes that visited a comparison.
        wall: seconds of wall time of all passes; None for a run that was interrupted.
        outside: the seconds of `wall` neither in timed rounds nor in the import of torch; None as for `wall`.
    """

    results: Results
    comparisons: tuple[ComparisonSummary, ...]
    passes: int
    wall: float | None
    outside: float | None

    @property
    def devices(self) -> list[str]:
        """The devices of the run, in the order of the plan."""
        return list(dict.fromkeys(each.comparison.device for each in self.comparisons))

    @cached_property
    def unsafe_methods(self) -> frozenset[str]:
        """The methods that a probe saw give a wrong gradient without an error."""
        return frozenset(
            each.method
            for each in self.results.observations
            if each.trait == "write" and each.observed.get("wrong_gradient") is True
        )

    @property
    def leading_device(self) -> str:
        """The device that the first screen answers for: a user who measured a GPU asks about the GPU."""
        return next((each for each in self.devices if each != "cpu"), self.devices[0])

    @cached_property
    def user_parts(self) -> dict[str, ComparisonSummary]:
        """By part, the comparisons of the user's model or expressions; empty where there is neither."""
        return {
            each.comparison.part: each for each in self.comparisons if each.comparison.workload == USER_MODEL
        }

    def on(self, device: str) -> Self:
        """The summary of one device."""
        there = tuple(each for each in self.comparisons if each.comparison.device == device)
        return replace(self, comparisons=there)

    @cached_property
    def by_device(self) -> dict[str, Self]:
        """The summaries by device where there are several; empty where there is one."""
        return {device: self.on(device) for device in self.devices} if len(self.devices) > 1 else {}

    @cached_property
    def twins(self) -> Twins:
        """How much identical code differs, by time."""
        return self._twins("ratio")

    @cached_property
    def parts_of_twins(self) -> dict[str, Twins]:
        """How much identical code differs by `host` and by `device` time; empty without an accelerator."""
        return {part: self._twins(f"{part}_ratio") for part in ("host", "device")}

    def _twins(self, ratio: str) -> Twins:
        found = [getattr(each.variant("twin"), ratio, None) for each in self.comparisons]
        return Twins(tuple(abs(each.mean - 1) for each in found if each is not None))

    @cached_property
    def farthest_moved(self) -> tuple[ComparisonSummary, Interval] | None:
        """The comparison in which a separate buffer changes identical code the most; None where none does."""
        found = [(each, each.moved) for each in self.comparisons if each.moved is not None]
        return max(found, key=lambda pair: abs(math.log(pair[1].mean)), default=None)

    @cached_property
    def visible(self) -> float | None:
        """The median of the comparisons' `visible`; None where none is known."""
        known = [each.visible for each in self.comparisons if each.visible is not None]
        return statistics.median(known) if known else None


@dataclass(frozen=True)
class Finding:
    """A sentence with its figures.

    Attributes:
        sentence: the conclusion.
        evidence: the figures behind it.
        figure: the one figure that decides, short; empty where the sentence holds it.
        topic: the topic of the page that the finding belongs to; empty for all of them.
    """

    sentence: str
    evidence: str
    figure: str = ""
    topic: str = ""


def leaders(variants: Iterable[VariantSummary]) -> list[VariantSummary]:
    """The variants with the least rank; empty where no variant has a rank."""
    ranked = [variant for variant in variants if variant.rank is not None]
    least = min((variant.rank for variant in ranked if variant.rank is not None), default=None)
    return [variant for variant in ranked if variant.rank == least]
