"""The metrics of gradbench, and those that extensions add."""

from __future__ import annotations

from gradbench.extension import distinct, extended
from gradbench.record.metric import METRICS, Metric

__all__ = ["METRICS", "Metric", "measured_metrics", "metrics"]


def metrics() -> tuple[Metric, ...]:
    """The metrics of gradbench, and those of extensions. Raises RequestError for an extension at fault."""
    rows = extended("metrics", METRICS, lambda metric: metric.name)
    return distinct("metrics", rows, lambda metric: metric.name)


def measured_metrics() -> tuple[Metric, ...]:
    """The metrics that a plan carries to the workers: those with a function of an extension."""
    return tuple(metric for metric in metrics() if metric.measure)
