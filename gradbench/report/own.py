"""What a run found of a model of the user's, in sentences made from its figures."""

from __future__ import annotations

from dataclasses import dataclass

from gradbench import format
from gradbench.report import findings
from gradbench.report.findings import Finding
from gradbench.results import Results
from gradbench.stats import Interval
from gradbench.summary import ComparisonSummary, LaneSummary, RunSummary, between, leaders, split
from gradbench.workloads.own import NAME


@dataclass(frozen=True)
class OwnFile:
    """The file whose model was measured: how it is called, and its text as it was run."""

    name: str
    text: str


def own_file(results: Results) -> OwnFile | None:
    """The file of a run of `gradbench model`; None for any other run."""
    comparisons = results.header.plan.comparisons
    if not comparisons or any(each.workload != NAME for each in comparisons):
        return None
    return OwnFile(comparisons[0].title.partition(":")[0], comparisons[0].prepare)


def own_findings(summary: RunSummary) -> list[Finding]:
    """The findings, evaluation first; those whose figures are not there are left out."""
    parts = {each.comparison.part: each for each in summary.comparisons}
    found: list[Finding | None] = []
    if "evaluation" in parts:
        found += [_time(parts["evaluation"]), _memory(parts["evaluation"])]
    found.append(_step(parts))
    found += [findings.ways(parts[name], summary) for name in ("backward", "step") if name in parts]
    found.append(findings.floor(summary))
    return [each for each in found if each is not None]


def _best(each: ComparisonSummary) -> LaneSummary | None:
    """The fastest of the methods that control gradients, among those that none is shown to be faster than."""
    known = [lane for lane in each.methods if lane.lane.name != "tracked" and lane.time is not None]
    return min(leaders(known) or known, key=findings.seconds, default=None)


def _time(each: ComparisonSummary) -> Finding | None:
    """What a forward pass costs recorded, and what the best method gains."""
    tracked, best = each.lane("tracked"), _best(each)
    if tracked is None or tracked.time is None or best is None or best.time is None:
        return None
    ratio = between(each, best.lane.name, "tracked")
    if ratio is None:
        return None
    sentence = (
        f"Recorded, with no control, a forward pass of {_file(each)} takes "
        f"{format.seconds(tracked.time.mean)}. The least time is with {best.lane.label}, "
        f"{format.seconds(best.time.mean)}: {_told(each, best, ratio)}"
    )
    ties = [
        lane.lane.label
        for lane in each.methods
        if lane is not best
        and lane.lane.name != "tracked"
        and lane.rank is not None
        and lane.rank == best.rank
    ]
    if ties and best.rank is not None:
        sentence += f". Not shown to be slower than that: {', '.join(ties)}"
    ratios = [
        (lane.lane.label, found)
        for lane in each.methods
        if lane is not tracked and (found := between(each, lane.lane.name, "tracked")) is not None
    ]
    listed = ", ".join(f"{label} {format.ratio_with_ends(found)}" for label, found in ratios)
    return Finding(f"{sentence}.", f"Times relative to {tracked.lane.label}: {listed}.")


def _told(each: ComparisonSummary, best: LaneSummary, ratio: Interval) -> str:
    """How much less than recording, or more, with its interval; or that no difference is shown."""
    if ratio.low is None or ratio.high is None:
        return f"{format.ratio(ratio)} times as long, of one pass, which shows no difference"
    slower, faster = findings.told_apart([(each, ratio)], best.lane.name, "tracked")
    if not slower and not faster:
        return f"not shown to differ, {format.ratio_with_ends(ratio)} times as long"
    less = [format.percent(abs(1 - value)) for value in (ratio.mean, ratio.low, ratio.high)]
    low, high = sorted((less[1], less[2]), key=lambda text: float(text.split()[0].replace(",", "")))
    return f"{less[0]} {'less' if faster else 'more'} ({low.removesuffix(' %')} to {high})"


def _memory(each: ComparisonSummary) -> Finding | None:
    """What a forward pass holds recorded, and under the methods that hold least."""
    tracked = each.lane("tracked")
    if tracked is None or tracked.memory is None:
        return None
    peaks = {
        lane.lane.label: lane.memory.peak
        for lane in each.methods
        if lane is not tracked and lane.memory is not None
    }
    if not peaks:
        return None
    least, most = min(peaks.values()), tracked.memory.peak
    sentence = (
        f"Recorded, it peaks at {format.size(most)}, beside x and the parameters, and "
        f"{format.size(tracked.memory.graph)} of that stay for a backward until the result is let go of"
    )
    if least < most:
        names = [label for label, peak in peaks.items() if peak == least]
        sentence += (
            f". The least is {format.size(least)}, {format.percent(1 - least / most)} less, with "
            f"{', '.join(names)}"
        )
    else:
        sentence += "; no method peaks lower"
    listed = ", ".join(f"{label} {format.size(peak)}" for label, peak in peaks.items())
    return Finding(f"{sentence}.", f"Peaks: {tracked.lane.label} {format.size(most)}, {listed}.")


def _step(parts: dict[str, ComparisonSummary]) -> Finding | None:
    """What a training step takes, and where its memory goes."""
    step = parts.get("step")
    lane = None if step is None else step.lane(step.comparison.reference.name)
    if step is None or lane is None or lane.time is None:
        return None
    pieces = [
        f"{words} {format.seconds(own.time.mean)}"
        for name, words in (("forward", "forward and loss"), ("backward", "backward"))
        if name in parts
        and (own := parts[name].lane(parts[name].comparison.reference.name)) is not None
        and own.time is not None
    ]
    sentence = f"A training step without its optimizer takes {format.seconds(lane.time.mean)}" + (
        f"; measured alone, {' and '.join(pieces)}" if pieces else ""
    )
    timeline = step.timelines.get(lane.lane.name)
    if timeline is not None:
        live = split(timeline)
        sentence += (
            f". Its forward peaks at {format.size(live.forward)}, {format.size(live.kept)} are kept for the "
            f"backward, and the backward peaks at {format.size(live.backward)}"
        )
    forward = parts.get("forward")
    evidence = f"The step clears gradients with {lane.lane.label}."
    if forward is not None:
        listed = [
            f"{own.lane.label} {format.ratio_with_ends(own.ratio)}"
            + (f", peak {format.size(own.memory.peak)}" if own.memory else "")
            for own in forward.methods
            if own.lane.role == "method" and own.ratio
        ]
        peak = forward.lane("tracked")
        if listed:
            evidence += (
                " For validation, forward and loss relative to the recorded ones"
                + (f" (peak {format.size(peak.memory.peak)})" if peak and peak.memory else "")
                + f": {'; '.join(listed)}."
            )
    return Finding(f"{sentence}.", evidence)


def _file(each: ComparisonSummary) -> str:
    return each.comparison.title.partition(":")[0]
