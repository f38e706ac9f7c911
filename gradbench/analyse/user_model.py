"""The findings of a run on a user's model, in sentences made from the figures."""

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
    """The findings, the gains first; a finding without figures is left out."""
    parts = summary.user_parts
    prices = [each for each in summary.comparisons if each.comparison.workload == PRICE]
    found: list[Finding | None] = []
    # For an operation, `operation_findings` says the same in fewer words.
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
    """Which method to evaluate with and its gain, in the words of the first screen.

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
    """The bytes that a recorded forward keeps, and the peak of each method; None where it keeps nothing."""
    tracked = each.variant("tracked")
    if tracked is None or tracked.memory is None or tracked.memory.graph <= 0:
        return None
    return Finding(
        f"Recorded, its result keeps {format.size(tracked.memory.graph)} alive for a backward, as long as "
        "the result exists.",
        f"{_saved(tracked.memory)} Peak of one evaluation, by method: {peaks(each)}.",
    )


def _saved(memory: Memory) -> str:
    if memory.saved is None:
        return "Bytes saved for backward are not visible: the model works under no saved-tensor hook."
    if not memory.saved:
        return "A saved-tensor hook sees nothing that is saved for backward."
    return (
        f"{format.size(memory.saved)} are saved for backward. That includes x and the parameters, "
        "which exist anyway and count neither as kept nor in a peak."
    )


def _left(parts: dict[str, ComparisonSummary]) -> Finding | None:
    """The bytes that a call leaves behind after its result is freed; None where it leaves none."""
    left = {
        name: max((variant.memory.left or 0 for variant in each.methods if variant.memory), default=0)
        for name, each in parts.items()
    }
    most = max(left, key=lambda name: left[name], default="")
    if not most or left[most] <= 0:
        return None
    listed = "; ".join(f"{name} {format.size(size)}" for name, size in left.items() if size > 0)
    return Finding(
        f"A call of {_file(parts[most])} leaves up to {format.size(left[most])} behind after its result is "
        "freed. A list, a hook or a cache may hold them. Memory grows with every call.",
        f"The most that a call leaves, by part: {listed}. No graph holds these bytes.",
    )


def _threads(parts: dict[str, ComparisonSummary]) -> Finding | None:
    """A warning that other threads work too, and have separate grad modes; None where none does."""
    threaded = [
        name
        for name, each in parts.items()
        if any(variant.memory and (variant.memory.threads or 1) > 1 for variant in each.methods)
    ]
    if not threaded:
        return None
    return Finding(
        f"{_file(parts[threaded[0]])} works in other threads as well, and their bytes count. Every thread "
        "has a separate grad mode: a no_grad() outside reaches it only where the code passes it on.",
        f"Seen in {', '.join(threaded)}. The timing of the threads decides the peak, which may vary.",
    )


_WHAT = {"backward": "A backward", "step": "A whole step"}


def _alternatives(each: ComparisonSummary, what: str, step: ComparisonSummary | None) -> Finding | None:
    """The cost of the alternatives in a part of training, and any gain that the whole step does not show."""
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
        comparison += f". That gain may not last: in a whole step {', '.join(lost)}"
        evidence += (
            " The time of a part leaves out memory that is freed after its end; the time of the step has it."
        )
    return Finding(f"{what}, {comparison}.", evidence)


def _step(parts: dict[str, ComparisonSummary]) -> Finding | None:
    """Where the memory of a training step goes; where that is not known, the time of the step.

    The first screen shows that time as well, so that it need not be here twice.
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
