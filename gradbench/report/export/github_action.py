"""The table of github-action-benchmark."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from gradbench.report.export.form import each_method

if TYPE_CHECKING:
    from gradbench.analyse.model import RunSummary


def to_github_action(summary: RunSummary) -> str:
    """Ratios and bytes, which do not drift, for github-action-benchmark as `customSmallerIsBetter`."""
    entries: list[dict[str, object]] = []
    for each, variant in each_method(summary):
        name = f"{each.comparison.id} {variant.name}"
        if variant.ratio is not None and variant.verdict != "baseline":
            entry: dict[str, object] = {
                "name": f"{name}: time",
                "unit": "times the baseline",
                "value": variant.ratio.mean,
            }
            if variant.ratio.low is not None and variant.ratio.high is not None:
                entry["range"] = f"{variant.ratio.low:.6g} to {variant.ratio.high:.6g}"
            entries.append(entry)
        if variant.memory is not None:
            entries += [
                {"name": f"{name}: {metric}", "unit": "B", "value": value}
                for metric in ("peak", "saved")
                if (value := getattr(variant.memory, metric)) is not None
            ]
    return json.dumps(entries, indent=1) + "\n"
