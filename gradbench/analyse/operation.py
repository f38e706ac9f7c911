"""The findings of a run on two expressions of a user, in sentences made from the figures."""

from __future__ import annotations

from collections.abc import Sequence

from gradbench import format
from gradbench.analyse.model import ComparisonSummary, Finding, RunSummary, VariantSummary
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
    failed: list[Finding] = []
    found: list[Finding | None] = []
    if "evaluation" in parts and parts["evaluation"].comparison.whole:
        found.append(evaluation_finding(parts["evaluation"], summary.results))
    for part, what in _WHAT.items():
        if part in parts:
            failed += _failed(parts[part], what)
            found.append(_compared(parts[part], what))
    # An expression that fails somewhere is not worth anything yet.
    first: Sequence[Finding | None] = failed or [_worth(summary)]
    return [each for each in (*first, *found) if each is not None]


# By part, how the answer names it; the first part that was timed decides.
_TIMED = {
    "both": "forward and backward",
    "recorded": "forward, recorded",
    "unrecorded": "forward, not recorded",
}


def _worth(summary: RunSummary) -> Finding | None:
    """Whether the first expression is worth it: its time, memory and results against the second one's."""
    parts = summary.user_parts
    for part, what in _TIMED.items():
        each = parts.get(part)
        first, second = (each.variant(name) for name in ("first", "against")) if each else (None, None)
        if each is None or first is None or second is None:
            continue
        ratio = each.time_ratios.get(("first", "against"))
        if ratio is None:
            continue
        mean, ends = format.short_ratio(ratio)
        times = f"{mean} times as long as {second.label}, {what}"
        if not ends:
            times += " (one pass, which shows nothing yet)"
        else:
            times += ends
            if second.verdict == "cannot tell":
                times += ", which is no measurable difference"
        said = [f"{first.label} takes {times}", _memory(parts, first, second), _results(each, summary)]
        return Finding(f"{'; '.join(clause for clause in said if clause)}.", each.comparison.shows)
    return None


def _memory(parts: dict[str, ComparisonSummary], first: VariantSummary, second: VariantSummary) -> str:
    """The peak of the part that decides, and the bytes saved for the backward."""
    if first.memory is None or second.memory is None:
        return ""
    sizes = [("peak", first.memory.peak, second.memory.peak)]
    recorded = parts.get("recorded")
    both = [recorded.variant(name) for name in ("first", "against")] if recorded else []
    saved = [each.memory.saved for each in both if each and each.memory and each.memory.saved is not None]
    if len(saved) == 2:
        sizes.append(("saved for the backward", saved[0], saved[1]))
    differ = [
        f"{name} {format.size(mine)} instead of {format.size(its)}"
        for name, mine, its in sizes
        if mine != its
    ]
    return ", ".join(differ) or "same memory"


def _results(each: ComparisonSummary, summary: RunSummary) -> str:
    """Whether the results agree: to the bit, within rounding, or not."""
    if any(fault.kind == "values differ" for fault in summary.results.file_faults):
        return "other results"
    relation = each.comparison.shows
    gradients = "the gradients of x" not in relation or "the gradients of x are equal to the bit" in relation
    if "Their results are equal to the bit" in relation and gradients:
        return "same results"
    return "results that differ by no more than rounding"


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
