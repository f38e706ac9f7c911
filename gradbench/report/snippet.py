"""The code of a variant, as a reader can run it."""

from __future__ import annotations

from gradbench.record.plan import Comparison, Variant


def snippet(comparison: Comparison, variant: Variant) -> str:
    """A variant as a program that can be pasted and run."""
    inputs = comparison.inputs(variant)
    return "\n".join(
        part
        for part in (
            # A user's file has its imports, and __future__ imports must come first.
            *([] if "import torch" in inputs.split("\n") else ["import torch", ""]),
            inputs,
            variant.setup,
            "",
            *(
                []
                if variant.setup_per_call in ("", "pass")
                else ["# before each call, not timed", variant.setup_per_call, "# timed"]
            ),
            variant.statement,
        )
        if part or part == ""
    )
