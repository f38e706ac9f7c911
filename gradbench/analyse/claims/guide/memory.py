"""Memory: what each control allocates, how long it lasts, and which objects it makes."""

from __future__ import annotations

from gradbench.analyse.claims.claim import Claim
from gradbench.analyse.claims.decision import EXACTLY
from gradbench.analyse.claims.questions import each_of, memory, observed, seen_claim

CLAIMS: tuple[Claim, ...] = (
    Claim(
        id="memory.requires_grad_false.none",
        says="requires_grad_(False) allocates nothing.",
        source="the guide, Memory Usage",
        question=memory(("control",), "requires_grad_false", "allocated", (0, 0)),
        tolerance=EXACTLY,
        workloads=("control",),
        topic="memory",
    ),
    Claim(
        id="memory.no_grad.none",
        says="no_grad() allocates nothing.",
        source="the guide, Memory Usage",
        question=memory(("control",), "no_grad", "allocated", (0, 0)),
        tolerance=EXACTLY,
        workloads=("control",),
        topic="memory",
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
                "returns x itself: {result_is_x}",
            ),
            memory(("control",), "detach", "allocated", (1, float("inf"))),
        ),
        tolerance=f"{EXACTLY}; the object and its storage are two questions",
        workloads=("control",),
        topic="memory",
    ),
    seen_claim(
        id="duration.requires_grad_false",
        says="The effect of requires_grad_(False) is permanent, until it is changed.",
        source="the guide, Memory Usage",
        trait="persistence",
        method="requires_grad_false",
        expected=lambda seen: not seen["x_after"] and not seen["x_under_enable_grad"],
        shows="x is tracked afterwards: {x_after}, under enable_grad(): {x_under_enable_grad}",
        topic="behaviour",
    ),
    seen_claim(
        id="duration.detach",
        says="The effect of detach() is permanent.",
        source="the guide, Memory Usage",
        trait="persistence",
        method="detach",
        expected=lambda seen: not seen["result_after"],
        shows="operations on the new tensor are tracked afterwards: {result_after}, on x: {x_after}",
        figure="tracked afterwards: new tensor {result_after}, x {x_after}",
        topic="behaviour",
    ),
    seen_claim(
        id="duration.no_grad",
        says="The effect of no_grad() is temporary.",
        source="the guide, Memory Usage",
        trait="persistence",
        method="no_grad",
        expected=lambda seen: not seen["x_inside"] and bool(seen["x_after"]),
        shows="x is tracked inside: {x_inside}, afterwards: {x_after}",
        topic="behaviour",
    ),
    seen_claim(
        id="objects.requires_grad_false",
        says="requires_grad_(False) makes no additional object.",
        source="the guide, Memory Usage",
        trait="objects",
        method="requires_grad_false",
        expected=lambda seen: not seen["inside"] and not seen["afterwards"] and bool(seen["result_is_x"]),
        shows="added: {afterwards}; it returns x itself: {result_is_x}",
        topic="behaviour",
    ),
    seen_claim(
        id="objects.detach",
        says="detach() makes one additional object, a tensor.",
        source="the guide, Memory Usage",
        trait="objects",
        method="detach",
        expected=lambda seen: seen["afterwards"] == "1 Tensor",
        shows="added: {afterwards}",
        topic="behaviour",
    ),
    seen_claim(
        id="objects.no_grad",
        says="no_grad() makes one additional object, a context manager.",
        source="the guide, Memory Usage",
        trait="objects",
        method="no_grad",
        expected=lambda seen: seen["inside"] == "1 no_grad",
        shows="added inside: {inside}",
        topic="behaviour",
    ),
)
