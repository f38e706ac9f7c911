"""Best practices, and the comprehensive guide: the purpose of every method."""

from __future__ import annotations

from gradbench.analyse.claims.claim import Claim
from gradbench.analyse.claims.decision import BY_MARGIN, EXACTLY, FASTER
from gradbench.analyse.claims.guide.scope import OPERATIONS
from gradbench.analyse.claims.questions import each_of, memory, ratio, seen_claim

CLAIMS: tuple[Claim, ...] = (
    seen_claim(
        id="use.freeze",
        says="requires_grad_(False) freezes a layer.",
        source="the guide, Best Practices",
        trait="freeze",
        expected=lambda seen: not seen["frozen_gets_gradient"] and not seen["frozen_changed"],
        shows=(
            "the frozen layer gets a gradient: {frozen_gets_gradient}, changes: {frozen_changed}; the layer "
            "before it gets one: {layer_before_gets_gradient}"
        ),
        figure="frozen layer gets a gradient: {frozen_gets_gradient}, changes: {frozen_changed}",
        topic="fine-tune",
    ),
    seen_claim(
        id="use.target",
        says="detach() makes a training target.",
        source="the guide, Best Practices",
        trait="target",
        expected=lambda seen: bool(seen["same_value_detached"]) and not seen["gradient_detached"],
        shows=(
            "same value: {same_value_detached}; the teacher gets a gradient: {gradient_detached} "
            "(tracked: {gradient_tracked})"
        ),
        figure="same value: {same_value_detached}; teacher gets a gradient: {gradient_detached}",
        topic="fine-tune",
    ),
    seen_claim(
        id="use.inference",
        says="no_grad() is for evaluation: the same predictions, without a graph.",
        source="the guide, Best Practices",
        trait="inference",
        expected=lambda seen: bool(seen["same_predictions"]) and not seen["no_grad_builds_a_graph"],
        shows="same predictions: {same_predictions}; a graph is built: {no_grad_builds_a_graph}",
        topic="evaluate",
    ),
    Claim(
        id="guide.inference_memory",
        says="no_grad() makes evaluation use less memory.",
        source="the guide, A Comprehensive Guide",
        question=memory(("inference", "attention"), "no_grad", "peak", (0.0, 0.99), "tracked"),
        tolerance=EXACTLY,
        workloads=("inference", "attention"),
        topic="evaluate",
    ),
    seen_claim(
        id="guide.zero_grad",
        says="Gradients add up unless they are cleared.",
        source="the guide, A Comprehensive Guide",
        trait="zero_grad",
        expected=lambda seen: (
            seen["after_two"] == 2 * float(seen["after_one_backward"] or 0)
            and seen["after_zero_grad_and_one"] == seen["after_one_backward"]
        ),
        shows=(
            "after one backward {after_one_backward}, after two {after_two}, after zero_grad() and one more "
            "{after_zero_grad_and_one}"
        ),
        figure="{after_one_backward}, then {after_two}; cleared and once more {after_zero_grad_and_one}",
        topic="fine-tune",
    ),
    seen_claim(
        id="guide.retain_graph",
        says="A second backward needs retain_graph=True.",
        source="the guide, A Comprehensive Guide",
        trait="retain_graph",
        expected=lambda seen: not seen["second_without"] and bool(seen["second_with"]),
        shows=(
            "a second backward works without it: {second_without}, with it: {second_with}; it keeps "
            "{kept_with} bytes for 1,000,000 elements"
        ),
        figure="works without it: {second_without}, with it: {second_with}",
        topic="behaviour",
    ),
    Claim(
        id="guide.unneeded_graph",
        says="Not building a graph is faster.",
        source="the guide, A Comprehensive Guide",
        question=each_of(
            ratio(OPERATIONS, "requires_grad_false", "tracked", FASTER),
            ratio((*OPERATIONS, "inference"), "no_grad", "tracked", FASTER),
        ),
        tolerance=BY_MARGIN,
        workloads=(*OPERATIONS, "inference"),
        topic="evaluate",
    ),
)
