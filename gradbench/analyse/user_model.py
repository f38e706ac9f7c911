"""What a run found of a model of the user's, in sentences made from its figures."""

from __future__ import annotations

from gradbench import format
from gradbench.analyse.bounds import bounded_finding
from gradbench.analyse.model import ComparisonSummary, Finding, RunSummary
from gradbench.analyse.phrases import (
    VERDICTS,
    against,
    memory_notes,
    peaks,
    ratios,
)
from gradbench.analyse.screen_evaluation import evaluation_sentences
from gradbench.analyse.trust import floor
from gradbench.record.plan import PRICE, USER_MODEL
from gradbench.record.results import Results
from gradbench.record.versions import FileText
from gradbench.record.visits import Memory


def user_file(results: Results) -> FileText | None:
    """The file of a run of `gradbench model`; None for any other run."""
    own = [each for each in results.header.plan.comparisons if each.workload == USER_MODEL]
    return FileText(own[0].title.partition(":")[0], own[0].prepare) if own else None


def user_model_findings(summary: RunSummary) -> list[Finding]:
    """The findings, what is gained first; those whose figures are not there are left out."""
    parts = summary.user_parts
    prices = [each for each in summary.comparisons if each.comparison.workload == PRICE]
    found: list[Finding | None] = []
    # Of an operation the same is found in fewer words.
    if "evaluation" in parts and not parts["evaluation"].comparison.whole:
        evaluation = parts["evaluation"]
        found += [
            evaluation_finding(evaluation, summary.results),
            bounded_finding(evaluation, prices),
            _kept(evaluation),
        ]
    found += [_left(parts), _threads(parts), _step(parts)]
    step = parts.get("step")
    found += [_alternatives(parts[name], what, step) for name, what in _WHAT.items() if name in parts]
    found.append(floor(summary))
    return [each for each in found if each is not None]


def evaluation_finding(each: ComparisonSummary, results: Results) -> Finding | None:
    """Which method to evaluate with and what it gains, in the words of the first screen.

    None where nothing was timed against recording.
    """
    tracked = each.variant("tracked") or each.baseline
    listed = [
        f"{variant.label} {format.ratio_with_ends(found)}"
        for variant in each.methods
        if (found := each.time_ratios.get((variant.name, tracked.name))) is not None
    ]
    if not listed:
        return None
    sentences = evaluation_sentences(each, results.header.request.methods, results.file_faults)
    return Finding(" ".join(sentences), f"Times relative to {tracked.label}: {', '.join(listed)}.")


def _kept(each: ComparisonSummary) -> Finding | None:
    """What a recorded forward keeps, and which methods peak at what; None where it keeps nothing."""
    tracked = each.variant("tracked")
    if tracked is None or tracked.memory is None or tracked.memory.graph <= 0:
        return None
    return Finding(
        f"Recorded, its result keeps {format.size(tracked.memory.graph)} alive for a backward, for as long "
        "as it is held.",
        f"{_saved(tracked.memory)} Peak of one evaluation, by method: {peaks(each)}.",
    )


def _saved(memory: Memory) -> str:
    if memory.saved is None:
        return "What is saved for backward is not seen: the model works under no saved-tensor hook."
    if not memory.saved:
        return "Nothing is saved for backward that a saved-tensor hook sees."
    return (
        f"Saved for backward are {format.size(memory.saved)}: among them x and the parameters, "
        "which are there anyway, and neither in what is kept nor in a peak."
    )


def _left(parts: dict[str, ComparisonSummary]) -> Finding | None:
    """What each call leaves behind when its result has been let go of, where it does."""
    left = {
        name: max((variant.memory.left or 0 for variant in each.methods if variant.memory), default=0)
        for name, each in parts.items()
    }
    most = max(left, key=lambda name: left[name], default="")
    if not most or left[most] <= 0:
        return None
    listed = "; ".join(f"{name} {format.size(size)}" for name, size in left.items() if size > 0)
    return Finding(
        f"Each call of {_file(parts[most])} leaves up to {format.size(left[most])} behind, which stay when "
        "its result is let go of: a list, a hook or a cache may hold them. Memory grows with each call.",
        f"Most that a call leaves, by part: {listed}. It is in no graph.",
    )


def _threads(parts: dict[str, ComparisonSummary]) -> Finding | None:
    """That the work is done in other threads, which have grad modes of their own."""
    threaded = [
        name
        for name, each in parts.items()
        if any(variant.memory and (variant.memory.threads or 1) > 1 for variant in each.methods)
    ]
    if not threaded:
        return None
    return Finding(
        f"{_file(parts[threaded[0]])} works in other threads as well, and their bytes are counted. Each has "
        "a separate grad mode: a no_grad() outside reaches them only where the code passes it on.",
        f"Seen in {', '.join(threaded)}. How threads meet decides the peak, which may be another each time.",
    )


_WHAT = {"backward": "A backward", "step": "A whole step"}


def _alternatives(each: ComparisonSummary, what: str, step: ComparisonSummary | None) -> Finding | None:
    """What the alternatives of a part of training cost, and which gain the whole step does not show."""
    comparison = against(each)
    if not comparison:
        return None
    label = each.comparison.baseline.label
    evidence = f"Times relative to {label}: {ratios(each)}."
    lost = []
    for variant in each.methods if step is not None and step is not each else ():
        whole = None if step is None else step.variant(variant.name)
        if variant.verdict == "faster" and whole is not None and whole.ratio and whole.verdict != "faster":
            lost.append(f"{variant.label} is {VERDICTS.get(whole.verdict, whole.verdict)}")
            evidence += f" A whole step with {whole.label}: {format.ratio_with_ends(whole.ratio)}."
    if lost:
        comparison += f". That is no advice: in a whole step {', '.join(lost)}"
        evidence += (
            " What is freed after a part has ended is outside of its clock, and inside that of the step."
        )
    return Finding(f"{what}, {comparison}.", evidence)


def _step(parts: dict[str, ComparisonSummary]) -> Finding | None:
    """Where the memory of a training step goes, or what the step takes where that is not known.

    What it takes is on the first screen as well, and need not be there twice.
    """
    step = parts.get("step")
    if step is None or step.baseline.time is None:
        return None
    variant = step.baseline
    live = step.splits.get(variant.name)
    if live is not None:
        sentence = (
            f"The forward of a training step peaks at {format.size(live.forward)}, "
            f"{format.size(live.kept)} are kept for the backward, and the backward peaks at "
            f"{format.size(live.backward)}"
        )
    else:
        sentence = f"A training step without its optimizer takes {format.seconds(step.baseline.time.mean)}"
    forward = parts.get("forward")
    evidence = f"The step clears gradients with {variant.label}."
    if by_peak := peaks(step):
        evidence += f" Peak of a step, by how it clears them: {by_peak}."
    if notes := memory_notes(step):
        evidence += f" {notes}"
    if forward is not None:
        listed = [
            f"{own.label} {format.ratio_with_ends(own.ratio)}"
            + (f", peak {format.size(own.memory.peak)}" if own.memory else "")
            for own in forward.methods
            if own.role == "method" and own.ratio
        ]
        peak = forward.variant("tracked")
        if listed:
            evidence += (
                " For validation, forward and loss relative to the recorded ones"
                + (f" (peak {format.size(peak.memory.peak)})" if peak and peak.memory else "")
                + f": {'; '.join(listed)}."
            )
    return Finding(f"{sentence}.", evidence)


def _file(each: ComparisonSummary) -> str:
    return each.comparison.title.partition(":")[0]
