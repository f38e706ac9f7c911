"""The subjects of the guide: its three methods, and the workloads that represent an operation."""

from __future__ import annotations

GUIDED = ("requires_grad_false", "detach", "no_grad")
# The workloads that represent "an operation": one operation, three, and a product of matrices.
OPERATIONS = ("elementwise", "chain", "matmul")
