"""The file of pyperf."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from gradbench.report.export.form import each_method

if TYPE_CHECKING:
    from gradbench.analyse.model import RunSummary


def to_pyperf(summary: RunSummary) -> str:
    """What `pyperf` reads: a benchmark for each variant, a run for each pass, with its median seconds per
    call.

    Times are gross: the turn of the loop is in them.
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
