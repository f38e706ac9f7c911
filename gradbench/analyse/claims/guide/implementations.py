"""Implementations: derivatives, and the predictor from scratch and in PyTorch."""

from __future__ import annotations

from gradbench.analyse.claims.claim import Claim
from gradbench.analyse.claims.decision import BY_MARGIN, SLOWER
from gradbench.analyse.claims.questions import ratio, seen_claim

CLAIMS: tuple[Claim, ...] = (
    seen_claim(
        id="autograd.square",
        says="dy/dx of y = x² is 4 at x = 2 and 6 at x = 3.",
        source="the guide, Basic Derivative Computation",
        trait="square",
        expected=lambda seen: seen["at_2"] == 4.0 and seen["at_3"] == 6.0,
        shows="{at_2} at 2 and {at_3} at 3",
        tolerance="none: small whole numbers are exact in floating point",
        topic="functions",
    ),
    seen_claim(
        id="autograd.sin_square",
        says="dz/dx of z = sin(x²) is cos(x²) · 2x.",
        source="the guide, Two-Layer Chain Rule",
        trait="sin_square",
        expected=lambda seen: bool(seen["agree"]),
        shows="{gradient} by autograd, {by_formula} by hand",
        tolerance="the roundings of double precision",
        topic="functions",
    ),
    seen_claim(
        id="autograd.exp_sin_square",
        says="The chain rule holds through three layers, u = exp(sin(x²)).",
        source="the guide, Three-Layer Chain Rule",
        trait="exp_sin_square",
        expected=lambda seen: bool(seen["agree"]),
        shows="{gradient} by autograd, {by_formula} by hand",
        tolerance="the roundings of double precision",
        topic="functions",
    ),
    seen_claim(
        id="autograd.as_written",
        says="The autograd classes run as the guide writes them.",
        source="the guide, PyTorch Implementation",
        trait="as_written",
        expected=lambda seen: "Error" not in str(seen["as_written"]),
        shows=(
            "as written: {as_written}; with torch.autograd.Function as its base the gradient is "
            "{gradient_with_the_base_of_torch}"
        ),
        figure="{as_written}",
        topic="functions",
    ),
    seen_claim(
        id="loss.same",
        says="The versions from scratch and in PyTorch give the same loss, gradients and parameters.",
        source="the guide, From Scratch vs PyTorch",
        trait="predictors",
        expected=lambda seen: float(seen["largest_difference"] or 0.0) <= 1e-4,
        shows="after 1,000 epochs in float32 they differ by at most {largest_difference}",
        tolerance="0.0001: a thousand updates, each rounded to 1.2e-7; the parameters show the gradients",
        figure="they differ by at most {largest_difference}",
        topic="functions",
    ),
    Claim(
        id="loss.scratch_slower",
        says="The version from scratch performs worse.",
        source="the guide, Advantages and Trade-offs",
        question=ratio(("placement",), "numpy", "tensors", SLOWER),
        tolerance=BY_MARGIN,
        workloads=("placement",),
        topic="functions",
    ),
    seen_claim(
        id="train.stable",
        says="Clamping probabilities by 1e-15 makes the loss numerically stable.",
        source="the guide, Key Features: Numerical Stability",
        trait="clamped_loss",
        expected=lambda seen: bool(seen["clamped_is_finite"]),
        shows=(
            "at a logit of 20 and a target of 0, in float32, the clamped loss is {clamped}, the exact loss "
            "{exact}; from logits it is {from_logits}"
        ),
        figure="clamped loss {clamped}, exact loss {exact}",
        topic="behaviour",
    ),
    seen_claim(
        id="train.learns",
        says="1,000 epochs at a rate of 0.1 on the five samples reduce the loss and separate 7.5 from 5.0.",
        source="the guide, Training Implementation",
        trait="training",
        expected=lambda seen: (
            float(seen["last_loss"] or 0.0) < float(seen["first_loss"] or 0.0)
            and float(seen["at_5"] or 0.0) < 0.5 < float(seen["at_7_5"] or 0.0)
        ),
        shows=(
            "the loss goes from {first_loss} to {last_loss}; the probability is {at_7_5} at 7.5 and "
            "{at_5} at 5.0"
        ),
        tolerance="to separate means one probability above a half and one below",
        figure="loss {first_loss} to {last_loss}; probability {at_7_5} and {at_5}",
        topic="behaviour",
    ),
)
