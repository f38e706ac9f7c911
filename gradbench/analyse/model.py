"""What is known of a run, as typed objects: everything that a page, a table or an export shows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

from gradbench.record.interval import Interval
from gradbench.record.plan import Comparison, Role, Variant
from gradbench.record.results import Results
from gradbench.record.visits import Failure, Kernels, Memory, Timeline

# Two variants, by name.
Pair = tuple[str, str]


Verdict = Literal["baseline", "faster", "slower", "same", "cannot tell", "no time of its own", "failed"]


@dataclass(frozen=True)
class VariantSummary:
    """What is known of one variant; None stands for what is not.

    Attributes:
        time: seconds per call, net of the empty loop; geometric mean over passes.
        ratio: of that to the baseline.
        extra: seconds per call above the baseline: the price of the method in place; mean over passes.
        rank: among the methods of the comparison; 1 + the number shown to be faster.
        log_ratios, device_log_ratios: by pass, of time and of device.
        host, device: on an accelerator, the host's time to issue a call and the device's to do it; time is
            then until the device has done it.
        host_ratio, device_ratio: of those to the baseline's.
        device_idle: the device has nothing to do for it that could be told from nothing.
        kernels: what the profiler saw the device do.
        figures: by metric, what an extension measured of it.
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
    host: Interval | None = None
    device: Interval | None = None
    host_ratio: Interval | None = None
    device_ratio: Interval | None = None
    device_idle: bool = False
    device_log_ratios: dict[int, float] = field(default_factory=dict)
    kernels: Kernels | None = None
    figures: dict[str, float] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name of the variant, unique in its comparison."""
        return self.definition.name

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
        above: pairs of variants of which the first is shown to be slower than the second.
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
    above: frozenset[Pair] = frozenset()

    def variant(self, name: str) -> VariantSummary | None:
        """The variant of that name."""
        return next((variant for variant in self.variants if variant.name == name), None)

    @property
    def methods(self) -> list[VariantSummary]:
        """The variants that are methods, the baseline among them."""
        return [variant for variant in self.variants if variant.role in ("method", "baseline")]


@dataclass(frozen=True)
class RunSummary:
    """What is known of a run.

    Attributes:
        twins: by comparison, the twin's ratio to the baseline, less 1 and without sign.
        wall, outside: seconds of wall time of all passes, and those of them neither in timed rounds nor in
            the import of torch; None for a run that did not end by itself.
        failed: what failed, and why; empty where nothing did.
        unfinished: what did not come to its end, the file or the run.
        warnings: these among all that a reader must know before believing the figures.
    """

    results: Results
    comparisons: tuple[ComparisonSummary, ...]
    twins: tuple[float, ...]
    passes: int
    wall: float | None
    outside: float | None
    failed: str = ""
    unfinished: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def devices(self) -> list[str]:
        """The devices that were measured on, in the order of the plan."""
        return list(dict.fromkeys(each.comparison.device for each in self.comparisons))

    def on(self, device: str) -> RunSummary:
        """What is known of one device."""
        own = tuple(each for each in self.comparisons if each.comparison.device == device)
        return replace(self, comparisons=own, twins=tuple(twin_differences(own)))


def twin_differences(comparisons: Iterable[ComparisonSummary]) -> Iterator[float]:
    for comparison in comparisons:
        variant = comparison.variant("twin")
        if variant is not None and variant.ratio is not None:
            yield abs(math.expm1(variant.ratio.map(math.log).mean))


@dataclass(frozen=True)
class Split:
    """The memory of a training step, in bytes above its start; None where there is no such line.

    Attributes:
        forward: most live at once before the backward.
        kept: live when the backward begins.
        backward: most live at once in the backward.
        left: live at the end.
    """

    forward: int | None
    kept: int | None
    backward: int | None
    left: int


def leaders(variants: Iterable[VariantSummary]) -> list[VariantSummary]:
    """Of these variants, those of the least rank; none where none has a rank."""
    ranked = [variant for variant in variants if variant.rank is not None]
    least = min((variant.rank for variant in ranked if variant.rank is not None), default=None)
    return [variant for variant in ranked if variant.rank == least]
