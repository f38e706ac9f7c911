"""The workloads: what is computed under a method.

To add one, add a row to a family's file (or a new file to `WORKLOADS` here).
"""

from __future__ import annotations

from gradbench.workloads import control, matmul, pointwise
from gradbench.workloads.workload import Workload

WORKLOADS: tuple[Workload, ...] = (*control.WORKLOADS, *pointwise.WORKLOADS, *matmul.WORKLOADS)

__all__ = ["WORKLOADS", "Workload"]
