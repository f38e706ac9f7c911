"""A results file in forms that other programs read."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from gradbench.plan import Comparison
from gradbench.stats import Interval
from gradbench.summary import LaneSummary, RunSummary

COLUMNS = (
    "workload", "method", "size", "numel", "device", "dtype", "metric", "unit",
    "value", "low", "high", "ratio", "ratio_low", "ratio_high", "passes",
)  # fmt: skip

MEMORY_METRICS = ("allocated", "peak", "retained", "graph", "saved", "allocations", "resident")

Row = dict[str, object]


def rows(summary: RunSummary) -> Iterator[Row]:
    """The tidy table: one row per lane and metric; seconds and bytes, never scaled; None where unknown."""
    for each in summary.comparisons:
        for lane in each.lanes:
            yield _time_row(each.comparison, lane, "time", lane.time, lane.ratio)
            if each.comparison.device != "cpu":
                yield _time_row(each.comparison, lane, "host_time", lane.host, lane.host_ratio)
                yield _time_row(each.comparison, lane, "device_time", lane.device, lane.device_ratio)
            for metric in MEMORY_METRICS:
                known = lane.memory is not None and (metric != "graph" or lane.lane.keeps_graph)
                value = getattr(lane.memory, metric) if known else None
                unit = "1" if metric == "allocations" else "B"
                yield _row(each.comparison, lane, metric, unit, value)


def _time_row(
    comparison: Comparison, lane: LaneSummary, metric: str, time: Interval | None, ratio: Interval | None
) -> Row:
    row = _row(comparison, lane, metric, "s", None)
    if time is not None:
        row |= {"value": time.mean, "low": time.low, "high": time.high}
        row["passes"] = time.count
    if ratio is not None:
        row |= {"ratio": ratio.mean, "ratio_low": ratio.low, "ratio_high": ratio.high}
    return row


def _row(comparison: Comparison, lane: LaneSummary, metric: str, unit: str, value: object) -> Row:
    known = dict.fromkeys(COLUMNS)
    return {
        **known,
        "workload": comparison.name,
        "method": lane.lane.name,
        "size": comparison.size,
        "numel": comparison.numel,
        "device": comparison.device,
        "dtype": comparison.dtype,
        "metric": metric,
        "unit": unit,
        "value": value,
    }


def to_csv(summary: RunSummary) -> str:
    """The tidy table as CSV, its header line first."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows(summary))
    return text.getvalue()
