"""The figures of a variant in a summary, by metric."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gradbench.record.metric import METRICS, Metric

if TYPE_CHECKING:
    from gradbench.analyse.model import ComparisonSummary, RunSummary, VariantSummary
    from gradbench.record.interval import Interval


@dataclass(frozen=True)
class Known:
    """A variant's figures for one metric; None for a figure that is not known.

    Attributes:
        value: seconds, bytes or a number; never scaled.
        interval: of the value, where it is not exact.
        ratio: the value ÷ that of the baseline.
        same_as: the measured variant, which executes the same; empty where this variant was measured.
    """

    value: float | int | None = None
    interval: Interval | None = None
    ratio: Interval | None = None
    same_as: str = ""


def metrics_of(summary: RunSummary, each: ComparisonSummary) -> Iterator[Metric]:
    """The metrics of a comparison: gradbench's, then those of the plan, from extensions."""
    for metric in METRICS:
        if each.comparison.device != "cpu" or not metric.accelerator:
            yield metric
    yield from summary.results.header.plan.metrics


def known(variant: VariantSummary, metric: Metric) -> Known:
    """A variant's figures for a metric of `metrics_of`."""
    if metric.measure:
        return Known(variant.figures.get(metric.name))
    read = _READ.get(metric.name)
    return _memory(variant, metric.name) if read is None else read(variant)


def _time(time: Interval | None, ratio: Interval | None) -> Known:
    return Known(None if time is None else time.mean, time, ratio)


def _memory(variant: VariantSummary, name: str) -> Known:
    if variant.memory is None:
        return Known()
    return Known(getattr(variant.memory, name), same_as=variant.memory.same_as)


# The others are fields of the record of memory.
_READ: dict[str, Callable[[VariantSummary], Known]] = {
    "time": lambda variant: replace(
        _time(variant.time, variant.ratio), same_as=variant.bound.timed if variant.bound else ""
    ),
    "host_time": lambda variant: _time(variant.host, variant.host_ratio),
    "device_time": lambda variant: _time(variant.device, variant.device_ratio),
    "kernels": lambda variant: Known(variant.kernels.count if variant.kernels else None),
    "kernel_time": lambda variant: Known(variant.kernels.seconds if variant.kernels else None),
    "graph": lambda variant: _memory(variant, "graph") if variant.definition.keeps_graph else Known(),
}
