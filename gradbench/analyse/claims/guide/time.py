"""Time: how costs grow, what each control adds, and how they compare."""

from __future__ import annotations

from gradbench.analyse.claims.claim import Claim
from gradbench.analyse.claims.decision import BY_MARGIN, SLOWER
from gradbench.analyse.claims.guide.scope import GUIDED, OPERATIONS
from gradbench.analyse.claims.questions import best, each_of, every, grows, memory, ratio

_FIVE = "5 percentage points: the guide gives its ratios with a ~ and two digits"
_LINEAR = (
    "an exponent of 0.8 to 1.2 of the number of elements: a proportional cost has 1, a constant cost has 0"
)
# From 100 to 1,000,000 elements a power of 0.024 is 25 %.
_FIXED = (-0.024, 0.024)


def _linear(method: str, label: str) -> Claim:
    return Claim(
        id=f"time.linear.{method}",
        says=f"The cost of {label} grows linearly with the tensor.",
        source="the guide, Time Complexity",
        question=each_of(
            grows(f"{label} alone", ("control",), method, (0.8, 1.2)),
            grows(
                f"{label} around a multiplication",
                ("elementwise",),
                method,
                (0.8, 1.2),
                added=True,
            ),
        ),
        tolerance=_LINEAR,
        workloads=("control", "elementwise"),
        topic="cost",
    )


def _slower(method: str, label: str, percent: int) -> Claim:
    bounds = (1 + (percent - 5) / 100, 1 + (percent + 5) / 100)
    return Claim(
        id=f"ratio.{method}",
        says=f"{label} is {percent} % slower than requires_grad_(False).",
        source="the guide, Operation Speed Comparison",
        question=ratio(("control", *OPERATIONS), method, "requires_grad_false", bounds),
        tolerance=_FIVE,
        workloads=("control", *OPERATIONS),
        topic="cost",
    )


CLAIMS: tuple[Claim, ...] = (
    Claim(
        id="time.order",
        says="On small tensors requires_grad_(False) is faster than detach(), and detach() than no_grad().",
        source="the guide, Time Complexity",
        question=every(
            ratio(("control", *OPERATIONS), "detach", "requires_grad_false", SLOWER, ("small",), named=True),
            ratio(("control", *OPERATIONS), "no_grad", "detach", SLOWER, ("small",), named=True),
        ),
        tolerance=BY_MARGIN,
        workloads=("control", *OPERATIONS),
        topic="cost",
    ),
    _linear("requires_grad_false", "requires_grad_(False)"),
    _linear("detach", "detach()"),
    _linear("no_grad", "no_grad()"),
    Claim(
        id="overhead.detach.copy",
        says="detach() costs a copy of the memory.",
        source="the guide, Time Complexity",
        question=every(
            memory(("control",), "detach", "allocated", (0.5, 2.0), "detach_clone"),
            ratio(("control",), "detach", "detach_clone", (0.8, 1.25), ("large",)),
        ),
        tolerance="a copy has the bytes of detach().clone() within a factor of 2, and its time within 25 %",
        workloads=("control",),
        topic="cost",
    ),
    Claim(
        id="overhead.no_grad.context",
        says="The overhead of no_grad() is the switch of context: a fixed price for any work inside.",
        source="the guide, Time Complexity",
        question=each_of(
            grows("no_grad() alone", ("control",), "no_grad", _FIXED),
            grows(
                "no_grad() around a multiplication",
                ("elementwise",),
                "no_grad",
                _FIXED,
                added=True,
            ),
        ),
        tolerance="25 % from 100 to 1,000,000 elements, where a proportional cost grows 10,000 times",
        workloads=("control", "elementwise"),
        topic="cost",
    ),
    Claim(
        id="overhead.requires_grad_false.minimal",
        says="requires_grad_(False) has the least overhead of the three.",
        source="the guide, Time Complexity",
        question=best(("control", *OPERATIONS), "requires_grad_false", GUIDED),
        tolerance=BY_MARGIN,
        workloads=("control", *OPERATIONS),
        topic="cost",
    ),
    _slower("detach", "detach()", 20),
    _slower("no_grad", "no_grad()", 10),
)
