"""The tidy table as CSV: one row for every variant and metric. Other programs rely on it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import TYPE_CHECKING

from gradbench.analyse.metrics import known, metrics_of

if TYPE_CHECKING:
    from gradbench.analyse.model import ComparisonSummary, RunSummary, VariantSummary
    from gradbench.record.metric import Metric

COLUMNS = (
    "workload", "method", "size", "numel", "device", "dtype", "metric", "unit",
    "value", "low", "high", "ratio", "ratio_low", "ratio_high", "passes", "same_as",
)  # fmt: skip


def rows(summary: RunSummary) -> Iterator[dict[str, object]]:
    """A row for every variant and metric; seconds, bytes and numbers, never scaled; None where unknown.

    A figure may come from another variant that executes the same: `same_as` names that variant.
    """
    for each in summary.comparisons:
        for variant in each.variants:
            for metric in metrics_of(summary, each):
                yield _row(each, variant, metric)


def _row(each: ComparisonSummary, variant: VariantSummary, metric: Metric) -> dict[str, object]:
    found = known(variant, metric)
    row: dict[str, object] = {
        **dict.fromkeys(COLUMNS),
        "workload": each.comparison.name,
        "method": variant.name,
        "size": each.comparison.size,
        "numel": each.comparison.numel,
        "device": each.comparison.device,
        "dtype": each.comparison.dtype,
        "metric": metric.name,
        "unit": metric.unit,
        "value": found.value,
        "same_as": found.same_as or None,
    }
    if found.interval is not None:
        row |= {"low": found.interval.low, "high": found.interval.high, "passes": found.interval.count}
    if found.ratio is not None:
        row |= {"ratio": found.ratio.mean, "ratio_low": found.ratio.low, "ratio_high": found.ratio.high}
    return row


def to_csv(summary: RunSummary) -> str:
    """The tidy table as CSV, its header line first."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows(summary))
    return text.getvalue()
