"""What the guide claims, section by section."""

from __future__ import annotations

from gradbench.analyse.claims.claim import Claim
from gradbench.analyse.claims.questions import (
    AS_SEEN,
    BY_MARGIN,
    EXACTLY,
    FASTER,
    SLOWER,
    best,
    each_of,
    every,
    grows,
    memory,
    observed,
    ratio,
    smallest,
)

GUIDED = ("requires_grad_false", "detach", "no_grad")
# The work that stands for "an operation": one, three, and a product of matrices.
OPERATIONS = ("elementwise", "chain", "matmul")

_FIVE = "5 percentage points: the guide gives its ratios with a ~ and two digits"
_LINEAR = (
    "an exponent of 0.8 to 1.2 of the number of elements: a cost that is proportional has 1, one that does "
    "not grow has 0"
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
    )


_TIME = (
    Claim(
        id="time.order",
        says="On small tensors requires_grad_(False) is faster than detach(), and detach() than no_grad().",
        source="the guide, Time Complexity",
        question=every(
            ratio(("control", *OPERATIONS), "detach", "requires_grad_false", SLOWER, ("small",)),
            ratio(("control", *OPERATIONS), "no_grad", "detach", SLOWER, ("small",)),
        ),
        tolerance=BY_MARGIN,
        workloads=("control", *OPERATIONS),
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
        tolerance="a copy is what detach().clone() allocates, within a factor of 2, and takes, within 25 %",
        workloads=("control",),
    ),
    Claim(
        id="overhead.no_grad.context",
        says="The overhead of no_grad() is the switch of context: a fixed price, whatever runs inside.",
        source="the guide, Time Complexity",
        question=each_of(
            grows("no_grad() alone", ("control",), "no_grad", _FIXED),
            grows(
                "what no_grad() adds to a multiplication",
                ("elementwise",),
                "no_grad",
                _FIXED,
                added=True,
            ),
        ),
        tolerance="25 % from 100 to 1,000,000 elements, where a proportional cost grows 10,000 times",
        workloads=("control", "elementwise"),
    ),
    Claim(
        id="overhead.requires_grad_false.minimal",
        says="requires_grad_(False) has the least overhead of the three.",
        source="the guide, Time Complexity",
        question=best(("control", *OPERATIONS), "requires_grad_false", GUIDED),
        tolerance=BY_MARGIN,
        workloads=("control", *OPERATIONS),
    ),
    _slower("detach", "detach()", 20),
    _slower("no_grad", "no_grad()", 10),
)

_MEMORY = (
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

_IMPLICATIONS = (
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
    ),
    Claim(
        id="best.large.single",
        says="Above 100,000 elements requires_grad_(False) is the best choice for a single tensor.",
        source="the guide, Practical Implications",
        question=best(("elementwise",), "requires_grad_false", GUIDED, ("large",)),
        tolerance=BY_MARGIN,
        workloads=("elementwise",),
    ),
    Claim(
        id="best.large.many",
        says="Above 100,000 elements no_grad() is the best choice for several operations.",
        source="the guide, Practical Implications",
        question=best(("chain", "inference"), "no_grad", GUIDED, ("large",)),
        tolerance=BY_MARGIN,
        workloads=("chain", "inference"),
    ),
    Claim(
        id="best.large.view",
        says="Above 100,000 elements detach() is the best choice for view operations.",
        source="the guide, Practical Implications",
        question=best(("view",), "detach", GUIDED, ("large",)),
        tolerance=BY_MARGIN,
        workloads=("view",),
    ),
    Claim(
        id="tip.in_place",
        says="requires_grad_(False) saves memory against detach(), which allocates anew.",
        source="the guide, Performance Tips",
        question=each_of(
            memory(("control",), "detach", "allocated", (1, float("inf"))),
            memory(("elementwise",), "requires_grad_false", "peak", (0.0, 0.99), "detach"),
        ),
        tolerance=f"{EXACTLY}; to save is to peak at 1 % less at least",
        workloads=("control", "elementwise"),
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
    ),
    Claim(
        id="tip.mixed",
        says="detach() inside no_grad() is the optimal combination.",
        source="the guide, Performance Tips",
        question=best(("mixed", "batch"), "mixed", ("no_grad", "requires_grad_false")),
        tolerance=BY_MARGIN,
        workloads=("mixed", "batch"),
    ),
)

_TRAITS = (
    Claim(
        id="trait.requires_grad_false.persistence",
        says="requires_grad_(False) lasts until it is changed.",
        source="the guide, requires_grad_(False): Key Characteristics",
        question=observed(
            "persistence",
            "requires_grad_false",
            lambda seen: not seen["x_after"],
            "operations on x are recorded afterwards: {x_after}",
        ),
        tolerance=AS_SEEN,
    ),
    Claim(
        id="trait.requires_grad_false.memory",
        says="requires_grad_(False) reduces the use of memory.",
        source="the guide, requires_grad_(False): Key Characteristics",
        question=memory(("chain",), "requires_grad_false", "retained", (0.0, 0.99), "tracked"),
        tolerance=EXACTLY,
        workloads=("chain",),
    ),
    Claim(
        id="trait.requires_grad_false.reversibility",
        says="requires_grad_(False) can be undone for the same tensor.",
        source="the guide, requires_grad_(False): Key Characteristics",
        question=observed(
            "reversibility",
            "requires_grad_false",
            lambda seen: bool(seen["switched_on"]) and bool(seen["x_gets_gradient"]),
            "switched on again: {switched_on}; x then gets a gradient: {x_gets_gradient}",
        ),
        tolerance=AS_SEEN,
    ),
    Claim(
        id="trait.requires_grad_false.scope",
        says="requires_grad_(False) affects the one tensor.",
        source="the guide, requires_grad_(False): Key Characteristics",
        question=observed(
            "scope",
            "requires_grad_false",
            lambda seen: not seen["x"] and bool(seen["other"]),
            "recorded on x: {x}, on another tensor: {other}",
        ),
        tolerance=AS_SEEN,
    ),
    Claim(
        id="trait.detach.persistence",
        says="detach() makes a new tensor.",
        source="the guide, detach(): Key Characteristics",
        question=observed(
            "objects", "detach", lambda seen: not seen["result_is_x"], "it returns x itself: {result_is_x}"
        ),
        tolerance=AS_SEEN,
    ),
    Claim(
        id="trait.detach.memory",
        says="detach() creates new memory.",
        source="the guide, detach(): Key Characteristics",
        question=observed(
            "memory",
            "detach",
            lambda seen: int(seen["allocated"] or 0) > 0,
            "bytes allocated for 1,000,000 elements: {allocated}",
        ),
        tolerance=EXACTLY,
    ),
    Claim(
        id="trait.detach.reversibility",
        says="Reversing detach() does not apply: the new tensor stays out of the old one's history.",
        source="the guide, detach(): Key Characteristics",
        question=observed(
            "reversibility",
            "detach",
            lambda seen: not seen["x_gets_gradient"],
            "the new tensor can be tracked again: {switched_on}; x then gets a gradient: {x_gets_gradient}",
        ),
        tolerance=AS_SEEN,
    ),
    Claim(
        id="trait.detach.scope",
        says="detach() affects the new tensor only.",
        source="the guide, detach(): Key Characteristics",
        question=observed(
            "scope",
            "detach",
            lambda seen: not seen["given"] and bool(seen["x"]) and bool(seen["other"]),
            "recorded on the new tensor: {given}, on x: {x}, on another: {other}",
        ),
        tolerance=AS_SEEN,
    ),
    Claim(
        id="trait.no_grad.persistence",
        says="no_grad() holds for its block.",
        source="the guide, torch.no_grad(): Key Characteristics",
        question=observed(
            "persistence",
            "no_grad",
            lambda seen: not seen["x_inside"] and bool(seen["x_after"]),
            "x is tracked inside: {x_inside}, afterwards: {x_after}",
        ),
        tolerance=AS_SEEN,
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
    Claim(
        id="trait.no_grad.reversibility",
        says="no_grad() is reversed automatically.",
        source="the guide, torch.no_grad(): Key Characteristics",
        question=observed(
            "reversibility",
            "no_grad",
            lambda seen: bool(seen["x_by_itself"]),
            "x is tracked again by itself: {x_by_itself}",
        ),
        tolerance=AS_SEEN,
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

_PRACTICES = (
    Claim(
        id="use.freeze",
        says="requires_grad_(False) freezes a layer.",
        source="the guide, Best Practices",
        question=observed(
            "freeze",
            "",
            lambda seen: not seen["frozen_gets_gradient"] and not seen["frozen_changed"],
            "the frozen layer gets a gradient: {frozen_gets_gradient}, changes: {frozen_changed}; the layer "
            "before it gets one: {layer_before_gets_gradient}",
        ),
        tolerance=AS_SEEN,
    ),
    Claim(
        id="use.target",
        says="detach() makes a training target.",
        source="the guide, Best Practices",
        question=observed(
            "target",
            "",
            lambda seen: bool(seen["same_value_detached"]) and not seen["gradient_detached"],
            "same value: {same_value_detached}; the teacher gets a gradient: {gradient_detached} "
            "(tracked: {gradient_tracked})",
        ),
        tolerance=AS_SEEN,
    ),
    Claim(
        id="use.inference",
        says="no_grad() is for evaluation: the same predictions, without a graph.",
        source="the guide, Best Practices",
        question=observed(
            "inference",
            "",
            lambda seen: bool(seen["same_predictions"]) and not seen["no_grad_builds_a_graph"],
            "same predictions: {same_predictions}; a graph is built: {no_grad_builds_a_graph}",
        ),
        tolerance=AS_SEEN,
    ),
    Claim(
        id="guide.inference_memory",
        says="no_grad() makes evaluation use less memory.",
        source="the guide, A Comprehensive Guide",
        question=memory(("inference", "attention"), "no_grad", "peak", (0.0, 0.99), "tracked"),
        tolerance=EXACTLY,
        workloads=("inference", "attention"),
    ),
    Claim(
        id="guide.zero_grad",
        says="Gradients add up unless they are cleared.",
        source="the guide, A Comprehensive Guide",
        question=observed(
            "zero_grad",
            "",
            lambda seen: (
                seen["after_two"] == 2 * float(seen["after_one_backward"] or 0)
                and seen["after_zero_grad_and_one"] == seen["after_one_backward"]
            ),
            "after one backward {after_one_backward}, after two {after_two}, after zero_grad() and one more "
            "{after_zero_grad_and_one}",
        ),
        tolerance=AS_SEEN,
    ),
    Claim(
        id="guide.retain_graph",
        says="A second backward needs retain_graph=True.",
        source="the guide, A Comprehensive Guide",
        question=observed(
            "retain_graph",
            "",
            lambda seen: not seen["second_without"] and bool(seen["second_with"]),
            "a second backward works without it: {second_without}, with it: {second_with}; it keeps "
            "{kept_with} bytes for 1,000,000 elements",
        ),
        tolerance=AS_SEEN,
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
    ),
)

_IMPLEMENTATIONS = (
    Claim(
        id="autograd.square",
        says="dy/dx of y = x² is 4 at x = 2 and 6 at x = 3.",
        source="the guide, Basic Derivative Computation",
        question=observed(
            "square",
            "",
            lambda seen: seen["at_2"] == 4.0 and seen["at_3"] == 6.0,
            "{at_2} at 2 and {at_3} at 3",
        ),
        tolerance="none: small whole numbers are exact in floating point",
    ),
    Claim(
        id="autograd.sin_square",
        says="dz/dx of z = sin(x²) is cos(x²) · 2x.",
        source="the guide, Two-Layer Chain Rule",
        question=observed(
            "sin_square", "", lambda seen: bool(seen["agree"]), "{gradient} by autograd, {by_formula} by hand"
        ),
        tolerance="the roundings of double precision",
    ),
    Claim(
        id="autograd.exp_sin_square",
        says="The chain rule holds through three layers, u = exp(sin(x²)).",
        source="the guide, Three-Layer Chain Rule",
        question=observed(
            "exp_sin_square",
            "",
            lambda seen: bool(seen["agree"]),
            "{gradient} by autograd, {by_formula} by hand",
        ),
        tolerance="the roundings of double precision",
    ),
    Claim(
        id="autograd.as_written",
        says="The autograd classes run as the guide writes them.",
        source="the guide, PyTorch Implementation",
        question=observed(
            "as_written",
            "",
            lambda seen: "Error" not in str(seen["as_written"]),
            "as written: {as_written}; with torch.autograd.Function as its base the gradient is "
            "{gradient_with_the_base_of_torch}",
        ),
        tolerance=AS_SEEN,
    ),
    Claim(
        id="loss.same",
        says="From scratch and PyTorch give the same loss, gradients and parameters.",
        source="the guide, From Scratch vs PyTorch",
        question=observed(
            "predictors",
            "",
            lambda seen: float(seen["largest_difference"] or 0.0) <= 1e-4,
            "after 1,000 epochs in float32 they differ by {largest_difference} at most",
        ),
        tolerance="0.0001: a thousand updates, each rounded to 1.2e-7; gradients stand in the parameters",
    ),
    Claim(
        id="loss.scratch_slower",
        says="The version from scratch performs worse.",
        source="the guide, Advantages and Trade-offs",
        question=ratio(("placement",), "numpy", "tensors", SLOWER),
        tolerance=BY_MARGIN,
        workloads=("placement",),
    ),
    Claim(
        id="train.stable",
        says="Clamping probabilities by 1e-15 makes the loss numerically stable.",
        source="the guide, Key Features: Numerical Stability",
        question=observed(
            "clamped_loss",
            "",
            lambda seen: bool(seen["clamped_is_finite"]),
            "at a logit of 20 and a target of 0, in float32, the clamped loss is {clamped}, the exact loss "
            "{exact}; from logits it is {from_logits}",
        ),
        tolerance=AS_SEEN,
    ),
    Claim(
        id="train.learns",
        says="1,000 epochs at a rate of 0.1 on the five samples reduce the loss and separate 7.5 from 5.0.",
        source="the guide, Training Implementation",
        question=observed(
            "training",
            "",
            lambda seen: (
                float(seen["last_loss"] or 0.0) < float(seen["first_loss"] or 0.0)
                and float(seen["at_5"] or 0.0) < 0.5 < float(seen["at_7_5"] or 0.0)
            ),
            "the loss goes from {first_loss} to {last_loss}; the probability is {at_7_5} at 7.5 and "
            "{at_5} at 5.0",
        ),
        tolerance="to separate is to stand on the two sides of a half",
    ),
)

CLAIMS: tuple[Claim, ...] = (
    *_TIME,
    *_MEMORY,
    *_IMPLICATIONS,
    *_TRAITS,
    *_PRACTICES,
    *_IMPLEMENTATIONS,
)
