"""Matrix products."""

import math

from gradbench.define.workloads.workload import Workload


def square(numel: int) -> tuple[int, ...]:
    """The shape of the square matrix whose number of elements is nearest to `numel`."""
    side = max(1, round(math.sqrt(numel)))
    return (side, side)


WORKLOADS = (
    Workload(
        name="matmul",
        title="a square matrix product, x @ w",
        shows="One operation whose work grows faster than its data: where the price of a control disappears.",
        work="{x} @ w",
        answer="x @ w",
        inputs={"w": "torch.rand({shape}, {options})"},
        # A dot product of n terms, all positive, loses at most about n epsilon (Higham 2002, ch. 3).
        terms=lambda shape: shape[0],
        # 160,000 elements is the smallest round square in the class; 1,000,000 would take 25 times as long.
        sizes={"small": 64, "medium": 10_000, "large": 160_000},
        shape=square,
    ),
)
