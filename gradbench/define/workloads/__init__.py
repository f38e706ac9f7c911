"""The workloads: computations under a method, or in alternatives.

To add one, add a row to a family's file (or a new file to `WORKLOADS` here); all other code takes it from
`workloads()`.
"""

from __future__ import annotations

from gradbench.define.workloads import (
    control,
    custom,
    evaluation,
    keeping,
    matmul,
    placement,
    pointwise,
    training,
    user_model,
)
from gradbench.define.workloads.workload import LEAF, PRESETS, Alternative, Workload
from gradbench.errors import RequestError
from gradbench.extension import distinct, extended
from gradbench.record.plan import PRICE, STATEMENT, VERSIONS

WORKLOADS: tuple[Workload, ...] = (
    *control.WORKLOADS,
    *pointwise.WORKLOADS,
    *matmul.WORKLOADS,
    *evaluation.WORKLOADS,
    *training.WORKLOADS,
    *keeping.WORKLOADS,
    *custom.WORKLOADS,
    *placement.WORKLOADS,
)

__all__ = ["LEAF", "PRESETS", "WORKLOADS", "Alternative", "Workload", "workloads"]


def workloads() -> tuple[Workload, ...]:
    """The workloads of gradbench, and those of extensions. Raises RequestError for an extension at fault."""
    rows = extended(
        "workloads", WORKLOADS, lambda row: row.name, (user_model.NAME, VERSIONS, STATEMENT, PRICE)
    )
    for row in rows:
        names = [each.name for each in row.alternatives]
        if names and row.baseline not in names:
            raise RequestError(
                f"the workload {row.full_name}: expected a baseline among its alternatives, "
                f"{', '.join(names)}; got {row.baseline}; mend the extension that it is from"
            )
    return distinct("workloads", rows, lambda row: row.full_name)
