"""Memory: what each control allocates, how long it lasts, and which objects it makes."""

from __future__ import annotations

from gradbench.analyse.claims.claim import Claim
from gradbench.analyse.claims.decision import AS_SEEN, EXACTLY
from gradbench.analyse.claims.questions import each_of, memory, observed

CLAIMS: tuple[Claim, ...] = (
    Claim(
        id="memory.requires_grad_false.none",
        says="requires_grad_(False) allocates nothing.",
        source="the guide, Memory Usage",
        question=memory(("control",), "requires_grad_false", "allocated", (0, 0)),
        tolerance=EXACTLY,
        workloads=("control",),
    ),
    Claim(
        id="memory.no_grad.none",
        says="no_grad() allocates nothing.",
        source="the guide, Memory Usage",
        question=memory(("control",), "no_grad", "allocated", (0, 0)),
        tolerance=EXACTLY,
        workloads=("control",),
    ),
    Claim(
        id="memory.detach.new",
        says="detach() allocates new memory for a new tensor.",
        source="the guide, Memory Usage",
        question=each_of(
            observed(
                "objects",
                "detach",
                lambda seen: not seen["result_is_x"],
                "the tensor object is x itself: {result_is_x}; added: {afterwards}",
            ),
            memory(("control",), "detach", "allocated", (1, float("inf"))),
        ),
        tolerance=f"{EXACTLY}; object and storage are two questions",
        workloads=("control",),
    ),
    Claim(
        id="duration.requires_grad_false",
        says="The effect of requires_grad_(False) is permanent, until it is changed.",
        source="the guide, Memory Usage",
        question=observed(
            "persistence",
            "requires_grad_false",
            lambda seen: not seen["x_after"] and not seen["x_under_enable_grad"],
            "x is tracked afterwards: {x_after}, under enable_grad(): {x_under_enable_grad}",
        ),
        tolerance=AS_SEEN,
    ),
    Claim(
        id="duration.detach",
        says="The effect of detach() is permanent.",
        source="the guide, Memory Usage",
        question=observed(
            "persistence",
            "detach",
            lambda seen: not seen["result_after"],
            "operations on the new tensor are tracked afterwards: {result_after}, on x: {x_after}",
        ),
        tolerance=AS_SEEN,
    ),
    Claim(
        id="duration.no_grad",
        says="The effect of no_grad() is temporary.",
        source="the guide, Memory Usage",
        question=observed(
            "persistence",
            "no_grad",
            lambda seen: not seen["x_inside"] and bool(seen["x_after"]),
            "x is tracked inside: {x_inside}, afterwards: {x_after}",
        ),
        tolerance=AS_SEEN,
    ),
    Claim(
        id="objects.requires_grad_false",
        says="requires_grad_(False) makes no additional object.",
        source="the guide, Memory Usage",
        question=observed(
            "objects",
            "requires_grad_false",
            lambda seen: not seen["inside"] and not seen["afterwards"] and bool(seen["result_is_x"]),
            "added: {afterwards}; it returns x itself: {result_is_x}",
        ),
        tolerance=AS_SEEN,
    ),
    Claim(
        id="objects.detach",
        says="detach() makes one additional object, a tensor.",
        source="the guide, Memory Usage",
        question=observed(
            "objects", "detach", lambda seen: seen["afterwards"] == "1 Tensor", "added: {afterwards}"
        ),
        tolerance=AS_SEEN,
    ),
    Claim(
        id="objects.no_grad",
        says="no_grad() makes one additional object, a context manager.",
        source="the guide, Memory Usage",
        question=observed(
            "objects",
            "no_grad",
            lambda seen: seen["inside"] == "1 no_grad",
            "added inside: {inside}",
        ),
        tolerance=AS_SEEN,
    ),
)
