"""A table for people, in Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradbench import format
from gradbench.analyse.bounds import verdict_in_words
from gradbench.report.export.form import each_method

if TYPE_CHECKING:
    from gradbench.analyse.model import RunSummary


def to_markdown(summary: RunSummary) -> str:
    """A table for people: the time of every method, its ratio with the interval, and its memory."""
    heads = ("workload", "elements", "method", "time", "ratio (95 %)", "verdict", "peak", "saved")
    lines = [heads, ("---", "---:", "---", "---:", "---:", "---", "---:", "---:")]
    for each, variant in each_method(summary):
        baseline = variant.verdict == "baseline"
        lines.append(
            (
                each.comparison.name,
                format.count(each.comparison.numel),
                f"`{variant.label}`",
                format.seconds(variant.time.mean if variant.time else None),
                "1" if baseline else format.ratio_with_ends(variant.ratio),
                verdict_in_words(variant),
                format.size(variant.memory.peak if variant.memory else None),
                format.size(variant.memory.saved if variant.memory else None),
            )
        )
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
