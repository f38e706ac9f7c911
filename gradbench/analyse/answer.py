"""The answer of a run on one screen: a sentence, a recommendation for every purpose, and its trust."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gradbench import format
from gradbench.analyse.findings import findings
from gradbench.analyse.model import ComparisonSummary, RunSummary
from gradbench.analyse.purposes import FIRST_SCREEN, MATTERS, NO_GRAD_METHODS, PURPOSES
from gradbench.analyse.recommendation import Recommendation, recommend
from gradbench.analyse.trust import Trust, trust
from gradbench.record.interval import Interval

# A call of a model from this on, in seconds, is long enough to speak of real models.
_REAL = 3e-4
# An interval within this of 1 bounds a difference, though it does not show one.
_BOUNDED = 0.05


@dataclass(frozen=True)
class RunAnswer:
    """The first screen of a run of methods.

    Attributes:
        sentence: the answer; one or two short sentences, which name the device where a run has several.
        device: the device with these figures, where a run has several devices; empty otherwise.
        recommendations: those of the first screen, at most four.
        others: the recommendations for all purposes and sizes.
        trust: how far to trust the run.
    """

    sentence: str
    device: str
    recommendations: tuple[Recommendation, ...]
    others: tuple[Recommendation, ...]
    trust: Trust


def answer(summary: RunSummary) -> RunAnswer | None:
    """The answer of a run of methods; None where nothing was timed."""
    if not summary.passes:
        return None
    device = summary.leading_device
    there = summary.by_device.get(device, summary)
    every = tuple(found for each in summary.comparisons if (found := recommend(each, summary)) is not None)
    first = _first_screen([each for each in every if each.comparison.device == device])
    sentence = _of_models(there) or _price(there) or _finding(there) or _of_recommendation(first)
    return RunAnswer(
        sentence=f"On {device}: {sentence}" if summary.by_device else sentence,
        device=device if summary.by_device else "",
        recommendations=tuple(first),
        others=every,
        trust=trust(summary),
    )


def _first_screen(found: Sequence[Recommendation]) -> list[Recommendation]:
    """A recommendation for every first purpose, at the most elements; others fill the gaps."""
    largest: dict[str, Recommendation] = {}
    for each in found:
        known = largest.get(each.purpose)
        if known is None or each.comparison.numel > known.comparison.numel:
            largest[each.purpose] = each
    first = [largest[asks] for name in FIRST_SCREEN if (asks := PURPOSES[name].asks) in largest]
    others = [each for each in largest.values() if each not in first]
    return [*first, *others][: len(FIRST_SCREEN)]


def _of_models(summary: RunSummary) -> str:
    """The answer on evaluating real models; empty where the run timed none."""
    models = [
        each
        for each in summary.comparisons
        if PURPOSES.get(each.comparison.workload) is PURPOSES["inference"]
        and each.baseline.time is not None
        and each.baseline.time.mean >= _REAL
    ]
    times = [each.baseline.time.mean for each in models if each.baseline.time is not None]
    parts = [_apart(models), _recording(models)]
    if not models or not all(parts):
        return ""
    return f"Around a model of {format.seconds(min(times))} or more {parts[0]} {parts[1]}"


def _apart(models: Sequence[ComparisonSummary]) -> str:
    """Whether it matters which of the no-grad methods one uses; empty where that is not known."""
    pairs = [
        (ratio, (one, other) in each.above)
        for each in models
        for one in NO_GRAD_METHODS
        for other in NO_GRAD_METHODS
        if (ratio := each.time_ratios.get((one, other))) is not None and ratio.high is not None
    ]
    if not pairs:
        return ""
    bound = max(ratio.high - 1 for ratio, _ in pairs if ratio.high is not None)
    shown = max((ratio.mean - 1 for ratio, above in pairs if above), default=0.0)
    if bound <= MATTERS:
        return (
            f"it hardly matters which no-grad method you use: they differ by at most {format.percent(bound)}."
        )
    if shown > MATTERS:
        return f"the no-grad methods differ by up to {format.percent(shown)} in time."
    return f"this run shows no difference between no-grad methods; up to {format.percent(bound)} is open."


def _recording(models: Sequence[ComparisonSummary]) -> str:
    """The cost of recording that nobody needs; empty where that is not known."""
    found = [
        (ratio, each)
        for each in models
        if (ratio := each.time_ratios.get(("tracked", "no_grad"))) is not None and ratio.low is not None
    ]
    if not found:
        return ""
    costs = [part for part in (_time_of_recording(found), _memory_of_recording(models)) if part]
    return f"Recording one without need costs {' and '.join(costs)}."


def _time_of_recording(found: Sequence[tuple[Interval, ComparisonSummary]]) -> str:
    slower = [ratio.mean - 1 for ratio, each in found if ("tracked", "no_grad") in each.above]
    bounded = [
        ratio.high - 1
        for ratio, each in found
        if ("tracked", "no_grad") not in each.above and ratio.high is not None and ratio.high <= 1 + _BOUNDED
    ]
    if len(slower) == len(found):
        return f"{_span(slower)} more time"
    if len(slower) + len(bounded) == len(found):
        most = format.percent(max(0.0, *slower, *bounded))
        return f"{'up to' if slower else 'at most'} {most} more time"
    return "time that this run does not decide"


def _memory_of_recording(models: Sequence[ComparisonSummary]) -> str:
    more = [
        recorded.memory.peak / plain.memory.peak - 1
        for each in models
        if (recorded := each.variant("tracked")) is not None
        and (plain := each.variant("no_grad")) is not None
        and recorded.memory is not None
        and plain.memory is not None
        and plain.memory.peak
        and recorded.memory.peak is not None
    ]
    return f"{_span(more)} more memory" if more and min(more) > 0 else ""


def _span(values: Sequence[float]) -> str:
    low, high = (format.significant(100 * value, 2) for value in (min(values), max(values)))
    return f"{low} %" if low == high else f"{low} to {high} %"


def _price(summary: RunSummary) -> str:
    """The time that a no_grad() block adds to the shortest and to the longest work; empty if not known."""
    known = sorted(
        (each.baseline.time.mean, variant.ratio.mean - 1, variant.verdict == "slower", variant.ratio.high - 1)
        for each in summary.comparisons
        if not each.comparison.part
        and not each.comparison.alternatives
        and each.comparison.workload != "control"
        and (variant := each.variant("no_grad")) is not None
        and variant.ratio is not None
        and variant.ratio.high is not None
        and each.baseline.time is not None
    )
    if len(known) < 2:
        return ""
    parts = [
        f"{format.percent(share) if shown else f'at most {format.percent(max(0.0, bound))}'} to "
        f"{format.seconds(work)} of work"
        for work, share, shown, bound in (known[0], known[-1])
    ]
    return f"A no_grad() block adds {' and '.join(parts)}."


def _finding(summary: RunSummary) -> str:
    found = findings(summary)
    return found[0].sentence if found else ""


def _of_recommendation(found: Sequence[Recommendation]) -> str:
    """The first recommendation as a sentence; without one, where the figures are."""
    if not found:
        return "The figures of this run follow; no purpose and no claim is about them."
    return f"{found[0].purpose}: use {found[0].use}{f', {found[0].gain}' if found[0].gain else ''}."
