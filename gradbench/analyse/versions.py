"""The findings of a run on versions of a user's file, in sentences made from the figures."""

from __future__ import annotations

from gradbench import format
from gradbench.analyse.model import ComparisonSummary, Finding, RunSummary, VariantSummary
from gradbench.analyse.screen_evaluation import beyond_in_words
from gradbench.analyse.trust import floor
from gradbench.record.plan import VERSIONS
from gradbench.record.results import Results
from gradbench.record.versions import Agreement, FileText
from gradbench.record.visits import Memory

# By part: the beginning of its sentence, and its bytes (the figure, the words before it and after it).
_PARTS = {
    "evaluation": ("Evaluated under torch.no_grad()", ("peak", "it peaks at", "")),
    "recorded": ("Recorded", ("saved", "it saves", " for backward")),
    "step": ("In a training step without an optimizer", ("peak", "it peaks at", "")),
}


def version_files(results: Results) -> tuple[FileText, ...]:
    """The files of a run that compares versions, the baseline first; none for another run."""
    found = [each for each in results.header.plan.comparisons if each.workload == VERSIONS]
    if not found:
        return ()
    first = found[0]
    if first.files:
        return first.files
    return (FileText(first.title.partition(":")[0], first.prepare),)


def versions_findings(summary: RunSummary) -> list[Finding]:
    """A finding for each part, and how far to trust them; a part without figures is left out."""
    agreements = {(each.comparison, each.variant): each for each in summary.results.agreements}
    found = [
        _finding(each, agreements) for each in summary.comparisons if each.comparison.workload == VERSIONS
    ]
    return [each for each in (*found, floor(summary)) if each is not None]


def _finding(each: ComparisonSummary, agreements: dict[tuple[str, str], Agreement]) -> Finding | None:
    baseline = each.baseline
    others = [variant for variant in each.methods if variant.role == "method"]
    if not (each.passes or any(variant.memory for variant in each.methods)):
        return None
    begins, figure = _PARTS[each.comparison.part]
    parts = [
        _against(variant, baseline, figure, each, agreements.get((each.comparison.id, variant.name)))
        for variant in others
    ]
    listed = "; ".join(
        f"{variant.label} {format.seconds(variant.time.mean) if variant.time else 'not timed'}"
        + (f", {_all_bytes(variant.memory)}" if variant.memory else "")
        for variant in each.methods
    )
    return Finding(f"{begins}, {'. And '.join(parts)}.", f"A call: {listed}.")


def _against(
    variant: VariantSummary,
    baseline: VariantSummary,
    figure: tuple[str, str, str],
    each: ComparisonSummary,
    agreement: Agreement | None,
) -> str:
    """How one version differs from the baseline: time, bytes, results."""
    said = [f"{variant.label} {_time(variant, baseline, each)}"]
    name, before, after = figure
    one, other = (getattr(side.memory, name, None) for side in (variant, baseline))
    if one is not None and other is not None:
        sizes = [format.size(each) for each in (one, other)]
        if one != other and sizes[0] == sizes[1]:
            # Three digits do not show the difference.
            sizes = [f"{each:,} B" for each in (one, other)]
        against = "as much as" if one == other else f"against {sizes[1]} of"
        said.append(f"{before} {sizes[0]}{after}, {against} {baseline.label}")
    elif one is None:
        said.append("its bytes are not known")
    if agreement is not None:
        said.append(
            _agrees(
                agreement,
                each.comparison.tolerance,
                "losses" if each.comparison.part == "step" else "results",
            )
        )
    return "; ".join(said)


def _time(variant: VariantSummary, baseline: VariantSummary, each: ComparisonSummary) -> str:
    if variant.time is None or variant.ratio is None:
        if variant.failure is not None:
            return f"failed ({variant.failure.message.rstrip('.')})"
        if variant.verdict == "no time of its own":
            return "takes no measurable time: it is as fast as an empty loop"
        if variant.time is not None:
            # The baseline has no time.
            why = (
                f" failed ({baseline.failure.message.rstrip('.')})" if baseline.failure else " was not timed"
            )
            return f"takes {format.seconds(variant.time.mean)}, and {baseline.label}{why}"
        return "was not timed"
    ratio = format.ratio_with_ends(variant.ratio)
    assert baseline.time is not None
    seconds = f"{format.seconds(variant.time.mean)} against {format.seconds(baseline.time.mean)}"
    times = f"takes {ratio} times as long as {baseline.label}, {seconds}"
    if variant.ratio.low is None:
        return f"{times}, in one pass, which shows nothing"
    if variant.verdict in ("slower", "faster"):
        return times
    if variant.verdict == "same":
        return f"{times}: the same within 1 %"
    return f"{times}: no difference is measurable{beyond_in_words(variant.ratio)}"


def _agrees(agreement: Agreement, tolerance: float, what: str) -> str:
    if agreement.shapes is not None:
        one, other = (" × ".join(map(str, shape)) or "a single number" for shape in agreement.shapes)
        said = f"their {what} differ in shape, {one} against {other}"
    elif agreement.error is None:
        said = f"the difference of their {what} is not known, because they hold NaN or infinity"
    elif agreement.error == 0:
        said = f"their {what} are equal to the bit"
    elif agreement.error <= tolerance:
        said = f"their {what} agree except for rounding, {format.percent(agreement.error)} of the norm"
    else:
        apart = (
            f"{format.percent(agreement.error)} of"
            if agreement.error < 1
            else f"{format.significant(agreement.error, 2)} times"
        )
        said = f"their {what} differ, by {apart} the norm"
    return said if agreement.same_x else f"{said}, and their x have different values"


def _all_bytes(memory: Memory) -> str:
    return (
        f"peak {memory.peak:,} B, retained {memory.retained:,} B, "
        f"saved for backward {'not visible' if memory.saved is None else f'{memory.saved:,} B'}"
    )
