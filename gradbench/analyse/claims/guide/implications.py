"""Practical implications: which control is best where, and its tips."""

from __future__ import annotations

from gradbench.analyse.claims.claim import Claim
from gradbench.analyse.claims.decision import BY_MARGIN, EXACTLY, FASTER
from gradbench.analyse.claims.guide.scope import GUIDED, OPERATIONS
from gradbench.analyse.claims.questions import best, each_of, every, memory, ratio, smallest

CLAIMS: tuple[Claim, ...] = (
    Claim(
        id="best.small",
        says="Below 1,000 elements requires_grad_(False) is the best choice: least overhead, no allocation.",
        source="the guide, Practical Implications",
        question=every(
            best(OPERATIONS, "requires_grad_false", GUIDED, ("small",)),
            smallest(OPERATIONS, "requires_grad_false", GUIDED, ("small",)),
        ),
        tolerance=BY_MARGIN,
        workloads=OPERATIONS,
        topic="cost",
    ),
    Claim(
        id="best.medium",
        says="From 1,000 to 100,000 elements no_grad() is the best choice, for speed and memory together.",
        source="the guide, Practical Implications",
        question=every(
            best(OPERATIONS, "no_grad", GUIDED, ("medium",)),
            smallest(OPERATIONS, "no_grad", GUIDED, ("medium",)),
        ),
        tolerance=BY_MARGIN,
        workloads=OPERATIONS,
        topic="cost",
    ),
    Claim(
        id="best.large.single",
        says="Above 100,000 elements requires_grad_(False) is the best choice for a single tensor.",
        source="the guide, Practical Implications",
        question=best(("elementwise",), "requires_grad_false", GUIDED, ("large",)),
        tolerance=BY_MARGIN,
        workloads=("elementwise",),
        topic="cost",
    ),
    Claim(
        id="best.large.many",
        says="Above 100,000 elements no_grad() is the best choice for several operations.",
        source="the guide, Practical Implications",
        question=best(("chain", "inference"), "no_grad", GUIDED, ("large",)),
        tolerance=BY_MARGIN,
        workloads=("chain", "inference"),
        topic="cost",
    ),
    Claim(
        id="best.large.view",
        says="Above 100,000 elements detach() is the best choice for view operations.",
        source="the guide, Practical Implications",
        question=best(("view",), "detach", GUIDED, ("large",)),
        tolerance=BY_MARGIN,
        workloads=("view",),
        topic="cost",
    ),
    Claim(
        id="tip.in_place",
        says="requires_grad_(False) saves memory compared with detach(), which allocates new memory.",
        source="the guide, Performance Tips",
        question=each_of(
            memory(("control",), "detach", "allocated", (1, float("inf"))),
            memory(("elementwise",), "requires_grad_false", "peak", (0.0, 0.99), "detach"),
        ),
        tolerance=f"{EXACTLY}; to save means a peak that is at least 1 % lower",
        workloads=("control", "elementwise"),
        topic="memory",
    ),
    Claim(
        id="tip.batch",
        says="One no_grad() around a batch is more efficient than detach() on every result.",
        source="the guide, Performance Tips",
        question=every(
            ratio(("batch",), "no_grad", "detach", FASTER),
            memory(("batch",), "no_grad", "peak", (0.0, 0.99), "detach"),
        ),
        tolerance=BY_MARGIN,
        workloads=("batch",),
        topic="evaluate",
    ),
    Claim(
        id="tip.mixed",
        says="detach() inside no_grad() is the optimal combination.",
        source="the guide, Performance Tips",
        question=best(("mixed", "batch"), "mixed", ("no_grad", "requires_grad_false")),
        tolerance=BY_MARGIN,
        workloads=("mixed", "batch"),
        topic="cost",
    ),
)
