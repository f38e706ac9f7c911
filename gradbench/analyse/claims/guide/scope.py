"""What the guide speaks of: its three methods, and the work that stands for an operation."""

from __future__ import annotations

GUIDED = ("requires_grad_false", "detach", "no_grad")
# The work that stands for "an operation": one, three, and a product of matrices.
OPERATIONS = ("elementwise", "chain", "matmul")
