"""A results file in forms that other programs read."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator

from gradbench import format
from gradbench.analyse.model import ComparisonSummary, RunSummary, VariantSummary
from gradbench.record.interval import Interval
from gradbench.record.plan import Comparison

COLUMNS = (
    "workload", "method", "size", "numel", "device", "dtype", "metric", "unit",
    "value", "low", "high", "ratio", "ratio_low", "ratio_high", "passes",
)  # fmt: skip

MEMORY_METRICS = ("allocated", "peak", "retained", "graph", "saved", "allocations", "resident")

Row = dict[str, object]


def rows(summary: RunSummary) -> Iterator[Row]:
    """The tidy table: one row per variant and metric; seconds and bytes, never scaled; None where unknown."""
    for each in summary.comparisons:
        for variant in each.variants:
            yield _time_row(each.comparison, variant, "time", variant.time, variant.ratio)
            if each.comparison.device != "cpu":
                yield _time_row(each.comparison, variant, "host_time", variant.host, variant.host_ratio)
                yield _time_row(each.comparison, variant, "device_time", variant.device, variant.device_ratio)
                seen = variant.kernels
                yield _row(each.comparison, variant, "kernels", "1", seen and seen.count)
                yield _row(each.comparison, variant, "kernel_time", "s", seen and seen.seconds)
                blocks = variant.memory and variant.memory.peak_blocks
                yield _row(each.comparison, variant, "peak_blocks", "B", blocks)
            for metric in MEMORY_METRICS:
                known = variant.memory is not None and (metric != "graph" or variant.definition.keeps_graph)
                value = getattr(variant.memory, metric) if known else None
                unit = "1" if metric == "allocations" else "B"
                yield _row(each.comparison, variant, metric, unit, value)


def _time_row(
    comparison: Comparison,
    variant: VariantSummary,
    metric: str,
    time: Interval | None,
    ratio: Interval | None,
) -> Row:
    row = _row(comparison, variant, metric, "s", None)
    if time is not None:
        row |= {"value": time.mean, "low": time.low, "high": time.high}
        row["passes"] = time.count
    if ratio is not None:
        row |= {"ratio": ratio.mean, "ratio_low": ratio.low, "ratio_high": ratio.high}
    return row


def _row(comparison: Comparison, variant: VariantSummary, metric: str, unit: str, value: object) -> Row:
    known = dict.fromkeys(COLUMNS)
    return {
        **known,
        "workload": comparison.name,
        "method": variant.name,
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


def _methods(summary: RunSummary) -> Iterator[tuple[ComparisonSummary, VariantSummary]]:
    for each in summary.comparisons:
        for variant in each.methods:
            yield each, variant


def to_markdown(summary: RunSummary) -> str:
    """A table for people: each method's time, its ratio with the interval, and its memory."""
    heads = ("workload", "elements", "method", "time", "ratio (95 %)", "verdict", "peak", "saved")
    lines = [heads, ("---", "---:", "---", "---:", "---:", "---", "---:", "---:")]
    for each, variant in _methods(summary):
        baseline = variant.verdict == "baseline"
        lines.append(
            (
                each.comparison.name,
                format.count(each.comparison.numel),
                f"`{variant.label}`",
                format.seconds(variant.time.mean if variant.time else None),
                "1" if baseline else format.ratio_with_ends(variant.ratio),
                variant.verdict,
                format.size(variant.memory.peak if variant.memory else None),
                format.size(variant.memory.saved if variant.memory else None),
            )
        )
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def to_github_action(summary: RunSummary) -> str:
    """What github-action-benchmark reads as `customSmallerIsBetter`: ratios and bytes, which do not drift."""
    entries: list[Row] = []
    for each, variant in _methods(summary):
        name = f"{each.comparison.id} {variant.name}"
        if variant.ratio is not None and variant.verdict != "baseline":
            entry: Row = {"name": f"{name}: time", "unit": "times the baseline", "value": variant.ratio.mean}
            if variant.ratio.low is not None and variant.ratio.high is not None:
                entry["range"] = f"{variant.ratio.low:.6g} to {variant.ratio.high:.6g}"
            entries.append(entry)
        if variant.memory is not None:
            entries += [
                {"name": f"{name}: {metric}", "unit": "B", "value": getattr(variant.memory, metric)}
                for metric in ("peak", "saved")
            ]
    return json.dumps(entries, indent=1) + "\n"


def to_pyperf(summary: RunSummary) -> str:
    """What `pyperf` reads: a benchmark for each variant, a run for each pass, with its median seconds per
    call.

    Times are gross: the turn of the loop is in them.
    """
    benchmarks = []
    for each, variant in _methods(summary):
        runs = [
            {"metadata": {"loops": times.calls}, "values": [times.seconds]}
            for visit in summary.results.visits
            if visit.comparison == each.comparison.id and (times := visit.variants.get(variant.name))
        ]
        if runs:
            name = f"{each.comparison.id} {variant.name}"
            benchmarks.append({"metadata": {"name": name, "unit": "second"}, "runs": runs})
    return json.dumps({"version": "1.0", "benchmarks": benchmarks}) + "\n"


# By the name that the command takes.
FORMS: dict[str, Callable[[RunSummary], str]] = {
    "csv": to_csv,
    "markdown": to_markdown,
    "github-action": to_github_action,
    "pyperf": to_pyperf,
}
