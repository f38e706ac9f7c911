"""The workloads: what is computed, under a method or in alternatives of its own.

To add one, add a row to a family's file (or a new file to `WORKLOADS` here).
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
)
from gradbench.define.workloads.workload import LEAF, PRESETS, Alternative, Workload

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

__all__ = ["LEAF", "PRESETS", "WORKLOADS", "Alternative", "Workload"]
