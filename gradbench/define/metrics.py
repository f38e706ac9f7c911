"""The metrics of gradbench and of extensions."""

from __future__ import annotations

from gradbench.errors import RequestError
from gradbench.extension import distinct, extended
from gradbench.record.metric import METRICS, Metric

__all__ = ["METRICS", "Metric", "measured_metrics", "metrics"]


def metrics() -> tuple[Metric, ...]:
    """The metrics of gradbench, and those of extensions. Raises RequestError for an extension at fault."""
    rows = extended("metrics", METRICS, lambda metric: metric.name)
    for row in rows[len(METRICS) :]:
        if not row.measure:
            raise RequestError(
                f"the metric {row.name}: expected measure, such as package.module:function; got none; "
                "mend the extension that it is from"
            )
    return distinct("metrics", rows, lambda metric: metric.name)


def measured_metrics() -> tuple[Metric, ...]:
    """The metrics that a plan carries to the workers: metrics with a function of an extension."""
    return tuple(metric for metric in metrics() if metric.measure)
