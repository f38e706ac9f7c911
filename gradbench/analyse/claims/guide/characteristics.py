"""Key characteristics: persistence, memory, reversibility and scope of each control."""

from __future__ import annotations

from gradbench.analyse.claims.claim import Claim
from gradbench.analyse.claims.decision import AS_SEEN, EXACTLY
from gradbench.analyse.claims.questions import each_of, memory, observed, seen_claim

CLAIMS: tuple[Claim, ...] = (
    seen_claim(
        id="trait.requires_grad_false.persistence",
        says="requires_grad_(False) lasts until it is changed.",
        source="the guide, requires_grad_(False): Key Characteristics",
        trait="persistence",
        method="requires_grad_false",
        expected=lambda seen: not seen["x_after"],
        shows="operations on x are recorded afterwards: {x_after}",
    ),
    Claim(
        id="trait.requires_grad_false.memory",
        says="requires_grad_(False) reduces the use of memory.",
        source="the guide, requires_grad_(False): Key Characteristics",
        question=memory(("chain",), "requires_grad_false", "retained", (0.0, 0.99), "tracked"),
        tolerance=EXACTLY,
        workloads=("chain",),
    ),
    seen_claim(
        id="trait.requires_grad_false.reversibility",
        says="requires_grad_(False) can be undone for the same tensor.",
        source="the guide, requires_grad_(False): Key Characteristics",
        trait="reversibility",
        method="requires_grad_false",
        expected=lambda seen: bool(seen["switched_on"]) and bool(seen["x_gets_gradient"]),
        shows="switched on again: {switched_on}; x then gets a gradient: {x_gets_gradient}",
    ),
    seen_claim(
        id="trait.requires_grad_false.scope",
        says="requires_grad_(False) affects the one tensor.",
        source="the guide, requires_grad_(False): Key Characteristics",
        trait="scope",
        method="requires_grad_false",
        expected=lambda seen: not seen["x"] and bool(seen["other"]),
        shows="recorded on x: {x}, on another tensor: {other}",
    ),
    seen_claim(
        id="trait.detach.persistence",
        says="detach() makes a new tensor.",
        source="the guide, detach(): Key Characteristics",
        trait="objects",
        method="detach",
        expected=lambda seen: not seen["result_is_x"],
        shows="it returns x itself: {result_is_x}",
    ),
    seen_claim(
        id="trait.detach.memory",
        says="detach() creates new memory.",
        source="the guide, detach(): Key Characteristics",
        trait="memory",
        method="detach",
        expected=lambda seen: int(seen["allocated"] or 0) > 0,
        shows="bytes allocated for 1,000,000 elements: {allocated}",
        tolerance=EXACTLY,
    ),
    seen_claim(
        id="trait.detach.reversibility",
        says="Reversing detach() does not apply: the new tensor stays out of the old one's history.",
        source="the guide, detach(): Key Characteristics",
        trait="reversibility",
        method="detach",
        expected=lambda seen: not seen["x_gets_gradient"],
        shows="the new tensor can be tracked again: {switched_on}; x then gets a gradient: {x_gets_gradient}",
    ),
    seen_claim(
        id="trait.detach.scope",
        says="detach() affects the new tensor only.",
        source="the guide, detach(): Key Characteristics",
        trait="scope",
        method="detach",
        expected=lambda seen: not seen["given"] and bool(seen["x"]) and bool(seen["other"]),
        shows="recorded on the new tensor: {given}, on x: {x}, on another: {other}",
    ),
    seen_claim(
        id="trait.no_grad.persistence",
        says="no_grad() holds for its block.",
        source="the guide, torch.no_grad(): Key Characteristics",
        trait="persistence",
        method="no_grad",
        expected=lambda seen: not seen["x_inside"] and bool(seen["x_after"]),
        shows="x is tracked inside: {x_inside}, afterwards: {x_after}",
    ),
    Claim(
        id="trait.no_grad.memory",
        says="The effect of no_grad() on memory is minimal.",
        source="the guide, torch.no_grad(): Key Characteristics",
        question=each_of(
            memory(("control",), "no_grad", "allocated", (0, 0)),
            memory(("chain",), "no_grad", "retained", (0.9, 1.1), "tracked"),
        ),
        tolerance="its own allocations: none; on the work: within 10 % of what is kept without it",
        workloads=("control", "chain"),
    ),
    seen_claim(
        id="trait.no_grad.reversibility",
        says="no_grad() is reversed automatically.",
        source="the guide, torch.no_grad(): Key Characteristics",
        trait="reversibility",
        method="no_grad",
        expected=lambda seen: bool(seen["x_by_itself"]),
        shows="x is tracked again by itself: {x_by_itself}",
    ),
    Claim(
        id="trait.no_grad.scope",
        says="no_grad() affects all operations.",
        source="the guide, torch.no_grad(): Key Characteristics",
        question=each_of(
            observed(
                "scope",
                "no_grad",
                lambda seen: not seen["x"] and not seen["other"],
                "recorded inside on x: {x}, on another tensor: {other}",
            ),
            observed(
                "scope",
                "no_grad",
                lambda seen: not seen["other_in_thread"],
                "recorded in a thread started inside: {other_in_thread}",
            ),
        ),
        tolerance=AS_SEEN,
    ),
)
