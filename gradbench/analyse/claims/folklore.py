"""Claims that are widely repeated, with their public sources."""

from __future__ import annotations

from gradbench.analyse.claims.claim import Claim
from gradbench.analyse.claims.decision import BY_MARGIN, EXACTLY, FASTER, SAME
from gradbench.analyse.claims.questions import best, each_of, every, memory, ratio, seconds, seen_claim

# The steps of `accumulate`, as its title says.
STEPS = 1_000

_EVALUATION = ("inference", "attention")
_EVERYWHERE = ("control", "elementwise", "chain", "matmul", *_EVALUATION)

CLAIMS: tuple[Claim, ...] = (
    Claim(
        id="folk.inference_mode.faster",
        says="inference_mode() is faster than no_grad().",
        source="https://docs.pytorch.org/docs/stable/generated/torch.autograd.grad_mode.inference_mode.html",
        question=ratio(_EVERYWHERE, "inference_mode", "no_grad", FASTER),
        tolerance=BY_MARGIN,
        workloads=_EVERYWHERE,
        topic="evaluate",
    ),
    Claim(
        id="folk.inference_mode.five_percent",
        says="Evaluating a model under inference_mode() takes 5 % less than under no_grad().",
        source="https://github.com/intel/ipex-llm/pull/7250",
        question=ratio(_EVALUATION, "inference_mode", "no_grad", (0.93, 0.97)),
        tolerance="2 percentage points: the source gives one digit",
        workloads=_EVALUATION,
        topic="evaluate",
    ),
    Claim(
        id="folk.inference_mode.no_difference",
        says="For a whole model inference_mode() and no_grad() take the same time.",
        source="https://github.com/huggingface/transformers/pull/13667",
        question=ratio(_EVALUATION, "inference_mode", "no_grad", SAME),
        tolerance=BY_MARGIN,
        workloads=_EVALUATION,
        topic="evaluate",
    ),
    Claim(
        id="folk.no_grad.halves_memory",
        says="no_grad() roughly halves the memory of evaluation.",
        source="https://discuss.pytorch.org/t/model-eval-vs-with-torch-no-grad/19615",
        question=memory(_EVALUATION, "no_grad", "peak", (0.4, 0.6), "tracked"),
        tolerance="a peak of 0.4 to 0.6 of that without it",
        workloads=_EVALUATION,
        topic="evaluate",
    ),
    Claim(
        id="folk.freeze.same",
        says="Freezing a backbone by its flags and wrapping it in no_grad() cost the same.",
        source="https://docs.pytorch.org/docs/stable/notes/autograd.html#locally-disabling-gradient-computation",
        question=each_of(
            ratio(("freeze",), "no_grad", "requires_grad_false", (1 / 1.02, 1.02)),
            memory(("freeze.training",), "no_grad", "peak", (0.99, 1.01), "requires_grad_false"),
        ),
        tolerance="2 % of the time of forward, backward, step and all of them; 1 % of the peak",
        workloads=("freeze",),
        topic="fine-tune",
    ),
    Claim(
        id="folk.detach_features.same",
        says="Detaching the features costs the same as running the backbone under no_grad().",
        source="https://discuss.pytorch.org/t/detach-no-grad-and-requires-grad/16915",
        question=each_of(
            ratio(("freeze.training",), "detach", "no_grad", (1 / 1.02, 1.02)),
            memory(("freeze.training",), "detach", "peak", (0.99, 1.01), "no_grad"),
        ),
        tolerance="2 % of the time of a step; 1 % of its peak",
        workloads=("freeze",),
        topic="fine-tune",
    ),
    Claim(
        id="folk.data.faster",
        says=".data is faster than detach().",
        source="https://github.com/pytorch/pytorch/issues/6990",
        question=ratio(("control", "elementwise", "chain", "matmul"), "data", "detach", FASTER),
        tolerance=BY_MARGIN,
        workloads=("control", "elementwise", "chain", "matmul"),
        topic="write",
    ),
    seen_claim(
        id="folk.data.safe",
        says=".data does the same as detach().",
        source="https://github.com/pytorch/pytorch/issues/6990",
        trait="write",
        method="data",
        expected=lambda seen: not seen["wrong_gradient"],
        shows=(
            "a write through it shows in x: {seen_in_x}, counts for autograd: {version_counted}; the "
            "gradient is wrong without an error: {wrong_gradient}"
        ),
        figure="wrong gradient without an error: {wrong_gradient}",
        topic="write",
    ),
    Claim(
        id="folk.zero_grad.set_to_none",
        says="zero_grad(set_to_none=True) is faster than filling gradients with zeros.",
        source="https://docs.pytorch.org/docs/stable/generated/torch.optim.Optimizer.zero_grad.html",
        question=ratio(("zero_grad",), "set_to_none", "set_to_zero", FASTER),
        tolerance=BY_MARGIN,
        workloads=("zero_grad",),
        topic="fine-tune",
    ),
    Claim(
        id="folk.once_differentiable",
        says="once_differentiable speeds up the backward of a custom Function.",
        source="https://docs.pytorch.org/docs/stable/notes/extending.html",
        question=ratio(("custom.backward",), "once_differentiable", "composed", FASTER),
        tolerance=BY_MARGIN,
        workloads=("custom",),
        topic="functions",
    ),
    seen_claim(
        id="folk.no_grad.is_eval",
        says="no_grad() puts a model into evaluation mode.",
        source="https://docs.pytorch.org/docs/stable/notes/autograd.html#evaluation-mode-nn-module-eval",
        trait="inference",
        expected=lambda seen: not seen["dropout_still_drops"],
        shows="dropout still drops under no_grad(): {dropout_still_drops}",
        topic="evaluate",
    ),
    Claim(
        id="folk.running_loss",
        says="Adding up a loss as a tensor keeps every step's graph alive; detach() or item() do not.",
        source="https://docs.pytorch.org/docs/stable/notes/faq.html",
        question=each_of(
            memory(("accumulate.evaluation",), "tracked", "graph", (4.0 * STEPS, float("inf"))),
            memory(("accumulate.evaluation",), "detach", "graph", (0, 0)),
            memory(("accumulate.evaluation",), "item", "graph", (0, 0)),
        ),
        tolerance=f"{EXACTLY}; the graph of a step has a number of at least 4 bytes",
        workloads=("accumulate",),
        topic="fine-tune",
    ),
    Claim(
        id="folk.optimizer.fused",
        says="The fused form of an optimizer is the fastest, then foreach, then the loop.",
        source="https://docs.pytorch.org/docs/stable/optim.html",
        question=every(
            best(("update",), "optimizer_fused", ("optimizer", "optimizer_foreach")),
            best(("update",), "optimizer_foreach", ("optimizer",)),
        ),
        tolerance=BY_MARGIN,
        workloads=("update",),
        topic="write",
    ),
    Claim(
        id="folk.set_grad_enabled.same",
        says="set_grad_enabled(False) and no_grad() cost the same.",
        source="https://docs.pytorch.org/docs/stable/generated/torch.autograd.grad_mode.set_grad_enabled.html",
        question=ratio(("control", "elementwise", "chain"), "set_grad_enabled_false", "no_grad", SAME),
        tolerance=BY_MARGIN,
        workloads=("control", "elementwise", "chain"),
        topic="cost",
    ),
    Claim(
        id="folk.no_grad.microseconds",
        says="Entering and leaving no_grad() costs 1.6 µs.",
        source="https://github.com/pytorch/pytorch/pull/128182",
        question=seconds(("control",), "no_grad", (1.2e-6, 2.0e-6)),
        tolerance="0.4 µs: the source measured another processor",
        workloads=("control",),
        topic="cost",
    ),
)
