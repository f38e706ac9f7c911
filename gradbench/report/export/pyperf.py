"""The file of pyperf."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from gradbench.report.export.form import each_method

if TYPE_CHECKING:
    from gradbench.analyse.model import RunSummary


def to_pyperf(summary: RunSummary) -> str:
    """A benchmark for every variant, a run for every pass with its median seconds per call, for `pyperf`.

    Times are gross: they include the turn of the loop.
    """
    benchmarks = []
    for each, variant in each_method(summary):
        runs = [
            {"metadata": {"loops": times.calls}, "values": [times.seconds]}
            for visit in summary.results.visits
            if visit.comparison == each.comparison.id and (times := visit.variants.get(variant.name))
        ]
        if runs:
            name = f"{each.comparison.id} {variant.name}"
            benchmarks.append({"metadata": {"name": name, "unit": "second"}, "runs": runs})
    return json.dumps({"version": "1.0", "benchmarks": benchmarks}) + "\n"
