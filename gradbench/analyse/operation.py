"""The findings of a run on two expressions of a user, in sentences made from the figures."""

from __future__ import annotations

from gradbench import format
from gradbench.analyse.model import ComparisonSummary, Finding, RunSummary
from gradbench.analyse.phrases import against, ratios
from gradbench.analyse.user_model import evaluation_finding

# By part, as `gradbench.define.workloads.operation` has them.
_WHAT = {
    "recorded": "Recorded",
    "both": "Forward and backward",
    "unrecorded": "Not recorded, under no_grad()",
}


def operation_findings(summary: RunSummary) -> list[Finding]:
    """How two expressions compare, part by part; empty where the run has none."""
    parts = summary.user_parts
    found: list[Finding | None] = []
    if "evaluation" in parts and parts["evaluation"].comparison.whole:
        found.append(evaluation_finding(parts["evaluation"], summary.results))
    for part, what in _WHAT.items():
        if part in parts:
            found += [*_failed(parts[part], what), _compared(parts[part], what)]
    return [each for each in found if each is not None]


def _failed(each: ComparisonSummary, what: str) -> list[Finding]:
    """The expressions that fail in a part, with the reason."""
    return [
        Finding(f"{what}, {variant.label} failed: {failure.message.rstrip('.')}.", each.comparison.shows)
        for variant in (each.variant("first"), each.variant("against"))
        if variant is not None and (failure := variant.failure) is not None
    ]


def _compared(each: ComparisonSummary, what: str) -> Finding | None:
    """Times and bytes of the second expression against the first."""
    first, second = each.variant("first"), each.variant("against")
    comparison = against(each)
    if not comparison or first is None or second is None:
        return None
    sentence = f"{what}, {comparison}"
    if first.memory is not None and second.memory is not None:
        sizes = [("peak", first.memory.peak, second.memory.peak)]
        saved = first.memory.saved, second.memory.saved
        if each.comparison.part == "recorded" and saved[0] is not None and saved[1] is not None:
            sizes.append(("saved for backward", saved[0], saved[1]))
        sentence += "".join(
            f"; the same {name} of {format.size(one)}"
            if one == other
            else f"; {name} {format.size(other)} against {format.size(one)}"
            for name, one, other in sizes
        )
    shows = each.comparison.shows
    return Finding(f"{sentence}.", f"{shows} Times relative to {first.label}: {ratios(each)}.")
