"""What a run found of two expressions of the user's, in sentences made from its figures."""

from __future__ import annotations

from gradbench import format
from gradbench.analyse.model import ComparisonSummary, Finding, RunSummary
from gradbench.analyse.phrases import against, ratios
from gradbench.analyse.screen_evaluation import evaluation_sentences
from gradbench.record.plan import USER_MODEL

# By part, as `gradbench.define.workloads.operation` has them.
_WHAT = {
    "recorded": "Recorded",
    "both": "Forward and backward",
    "unrecorded": "Not recorded, under no_grad()",
}


def operation_findings(summary: RunSummary) -> list[Finding]:
    """How two expressions compare, part by part; empty where the run has none."""
    parts = {
        each.comparison.part: each for each in summary.comparisons if each.comparison.workload == USER_MODEL
    }
    found = [_evaluated(parts["evaluation"])] if "evaluation" in parts else []
    found += [_compared(parts[part], what) for part, what in _WHAT.items() if part in parts]
    return [each for each in found if each is not None]


def _evaluated(each: ComparisonSummary) -> Finding | None:
    """Which method to use around the expression, and what it gains."""
    if not each.comparison.whole:
        return None
    sentences = evaluation_sentences(each, [])
    return Finding(
        " ".join(sentences), f"Times relative to {each.comparison.baseline.label}: {ratios(each)}."
    )


def _compared(each: ComparisonSummary, what: str) -> Finding | None:
    """Times and bytes of the second expression against the first."""
    first, second = each.variant("first"), each.variant("against")
    comparison = against(each)
    if not comparison or first is None or second is None:
        return None
    sentence = f"{what}, {comparison}"
    if first.memory is not None and second.memory is not None:
        sizes: list[tuple[str, int, int]] = [("peak", first.memory.peak, second.memory.peak)]
        saved = first.memory.saved, second.memory.saved
        if each.comparison.part == "recorded" and saved[0] is not None and saved[1] is not None:
            sizes.append(("saved for backward", saved[0], saved[1]))
        told = [
            f"{name} {format.size(other)} against {format.size(one)}"
            for name, one, other in sizes
            if one != other
        ]
        sentence += f"; {', '.join(told)}" if told else "; in bytes they are alike"
    shows = each.comparison.shows
    return Finding(f"{sentence}.", f"{shows} Times relative to {first.label}: {ratios(each)}.")
