"""The page of the study: from the trials' data to one self-contained HTML file, and a page for each trial."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gradbench import format
from gradbench.report.template import Link, put, render
from gradbench.report.versus import write_versus
from gradbench.stats import Interval
from gradbench.versus import text
from gradbench.versus.judge import Judged, LaneOutcome
from studies.releases import figures
from studies.releases.analysis import Prices, Study, closures, outcome, prices, read

# The sentence that the study was made for: tracking a tiny operation became dearer.
QUESTION = ("elementwise", "tracked", "requires_grad_false")


def write(data: Path, output: Path, site: Sequence[Link] = ()) -> None:
    """Build the page, and beside each trial's data its own; replaces them as a whole."""
    study = read(data)
    comparisons = list(dict.fromkeys(each.comparison.id for each in study.lanes))
    output.parent.mkdir(parents=True, exist_ok=True)
    closed = closures(study)
    page = render(
        "releases.html",
        Path(__file__).parent,
        site=site,
        study=study,
        text=text,
        findings=findings(study),
        question=question(study),
        figures=[
            (_title(study, id), figures.over_releases(study, id), _words(study, id)) for id in comparisons
        ],
        outcome=outcome,
        closed=closed,
        holding=sum(_holds(each.product) for each in closed),
        pages={name: f"data/{name}/index.html" for name in study.trials},
        header=next(iter(study.trials.values())).trial.header,
    )
    for name, judged in study.trials.items():
        write_versus(judged, data / name / "index.html")
    put(page, output)


def _holds(interval: Interval) -> bool:
    return interval.low is not None and interval.high is not None and interval.low <= 1 <= interval.high


def _title(study: Study, id: str) -> str:
    comparison = next(each.comparison for each in study.lanes if each.comparison.id == id)
    return f"{comparison.name}, {comparison.numel:,} elements"


def _words(study: Study, id: str) -> str:
    """The figure in words."""
    said = []
    for judged in study.against_first:
        lanes = [each for each in judged.lanes if each.comparison.id == id]
        ratios = ", ".join(f"{each.lane.name} {format.ratio_with_ends(each.ratio)}" for each in lanes)
        said.append(f"{judged.trial.header.sides[1].label}: {ratios}")
    return f"Time relative to {study.first}. " + "; ".join(said)


def question(study: Study) -> list[tuple[str, str, Prices]]:
    """Of each trial the labels of its sides, and what the tracked operation costs on each."""
    found = []
    for judged in study.trials.values():
        workload, lane, reference = QUESTION
        for comparison in judged.trial.header.comparisons:
            if comparison.name == workload:
                known = prices(judged, comparison.id, lane, reference)
                if known is not None:
                    one, other = (side.label for side in judged.trial.header.sides)
                    found.append((one, other, known))
    return found


def findings(study: Study) -> list[str]:
    """What each trial shows, a sentence each."""
    return [_finding(judged) for judged in study.trials.values()]


def _finding(judged: Judged) -> str:
    one, other = (side.label for side in judged.trial.header.sides)
    slower = _listed([each for each in judged.lanes if each.outcome == "slower"])
    faster = _listed([each for each in judged.lanes if each.outcome == "faster"])
    grown = [f"{text.where(each)} ({', '.join(map(str, each.grown))})" for each in judged.lanes if each.grown]
    same = sum(each.outcome == "same" for each in judged.lanes)
    margin = format.percent(judged.trial.header.options.margin)
    said = [
        f"{other} against {one}: "
        + (f"slower in {slower}; " if slower else "slower in none; ")
        + (f"faster in {faster}; " if faster else "faster in none; ")
        + f"{same} of {len(judged.lanes)} lanes the same within {margin}."
    ]
    if grown:
        said.append(f"Memory differs in {'; '.join(grown)}.")
    return " ".join(said)


def _listed(lanes: Sequence[LaneOutcome]) -> str:
    """How many lanes, and the one that moved most."""
    if not lanes:
        return ""
    most = max(lanes, key=lambda each: abs(each.ratio.mean - 1) if each.ratio else 0.0)
    return f"{len(lanes)} lanes, most {text.where(most)} at {format.ratio_with_ends(most.ratio)}"
