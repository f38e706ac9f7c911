"""A results file in forms that other programs read."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator

from gradbench import format
from gradbench.plan import Comparison
from gradbench.stats import Interval
from gradbench.summary import ComparisonSummary, LaneSummary, RunSummary

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
                seen = lane.kernels
                yield _row(each.comparison, lane, "kernels", "1", seen and seen.count)
                yield _row(each.comparison, lane, "kernel_time", "s", seen and seen.seconds)
                blocks = lane.memory and lane.memory.peak_blocks
                yield _row(each.comparison, lane, "peak_blocks", "B", blocks)
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


def _methods(summary: RunSummary) -> Iterator[tuple[ComparisonSummary, LaneSummary]]:
    for each in summary.comparisons:
        for lane in each.methods:
            yield each, lane


def to_markdown(summary: RunSummary) -> str:
    """A table for people: each method's time, its ratio with the interval, and its memory."""
    heads = ("workload", "elements", "method", "time", "ratio (95 %)", "verdict", "peak", "saved")
    lines = [heads, ("---", "---:", "---", "---:", "---:", "---", "---:", "---:")]
    for each, lane in _methods(summary):
        reference = lane.verdict == "reference"
        lines.append(
            (
                each.comparison.name,
                format.count(each.comparison.numel),
                f"`{lane.lane.label}`",
                format.seconds(lane.time.mean if lane.time else None),
                "1" if reference else format.ratio_with_ends(lane.ratio),
                lane.verdict,
                format.size(lane.memory.peak if lane.memory else None),
                format.size(lane.memory.saved if lane.memory else None),
            )
        )
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def to_github_action(summary: RunSummary) -> str:
    """What github-action-benchmark reads as `customSmallerIsBetter`: ratios and bytes, which do not drift."""
    entries: list[Row] = []
    for each, lane in _methods(summary):
        name = f"{each.comparison.id} {lane.lane.name}"
        if lane.ratio is not None and lane.verdict != "reference":
            entry: Row = {"name": f"{name}: time", "unit": "times the reference", "value": lane.ratio.mean}
            if lane.ratio.low is not None and lane.ratio.high is not None:
                entry["range"] = f"{lane.ratio.low:.6g} to {lane.ratio.high:.6g}"
            entries.append(entry)
        if lane.memory is not None:
            entries += [
                {"name": f"{name}: {metric}", "unit": "B", "value": getattr(lane.memory, metric)}
                for metric in ("peak", "saved")
            ]
    return json.dumps(entries, indent=1) + "\n"


def to_pyperf(summary: RunSummary) -> str:
    """What `pyperf` reads: a benchmark for each lane, a run for each pass, with its median seconds per call.

    Times are gross: the turn of the loop is in them.
    """
    benchmarks = []
    for each, lane in _methods(summary):
        runs = [
            {"metadata": {"loops": times.calls}, "values": [times.seconds]}
            for visit in summary.results.visits
            if visit.comparison == each.comparison.id and (times := visit.lanes.get(lane.lane.name))
        ]
        if runs:
            name = f"{each.comparison.id} {lane.lane.name}"
            benchmarks.append({"metadata": {"name": name, "unit": "second"}, "runs": runs})
    return json.dumps({"version": "1.0", "benchmarks": benchmarks}) + "\n"


# By the name that the command takes.
FORMS: dict[str, Callable[[RunSummary], str]] = {
    "csv": to_csv,
    "markdown": to_markdown,
    "github-action": to_github_action,
    "pyperf": to_pyperf,
}
