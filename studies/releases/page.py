"""The page of the study: from the trials' data to one self-contained HTML file, and a page for each trial."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gradbench import format
from gradbench.record.interval import Interval
from gradbench.report.template import Link, put, render
from gradbench.versus import text
from gradbench.versus.judge import INSTALLATION, Judged, VariantOutcome
from gradbench.versus.page import write_versus
from studies.releases import figures, same
from studies.releases.analysis import Prices, Study, closures, outcome, prices, read

# The sentence that the study was made for: tracking a tiny operation became dearer.
QUESTION = ("elementwise", "tracked", "requires_grad_false")


def write(data: Path, output: Path, site: Sequence[Link] = ()) -> None:
    """Build the page, and beside each trial's data its own; replaces them as a whole."""
    study = read(data)
    comparisons = list(dict.fromkeys(each.comparison.id for each in study.variants))
    output.parent.mkdir(parents=True, exist_ok=True)
    closed = closures(study)
    page = render(
        "releases.html",
        Path(__file__).parent,
        site=site,
        study=study,
        text=text,
        findings=findings(study),
        answers=answers(study),
        figures=[
            (_title(study, id), figures.over_releases(study, id), _words(study, id)) for id in comparisons
        ],
        outcome=outcome,
        closed=closed,
        off=_off([each.product for each in closed]),
        same=same.read(data.parent / "same"),
        installation=INSTALLATION,
        holding=sum(_holds(each.product) for each in closed),
        pages={name: f"data/{name}/index.html" for name in study.trials},
        header=next(iter(study.trials.values())).trial.header,
    )
    # The same site, seen from a folder in the folder of the data.
    back = [Link(each.label, f"../../{each.href}") for each in site]
    for name, judged in study.trials.items():
        write_versus(judged, data / name / "index.html", back)
    put(page, output)


def _off(products: Sequence[Interval]) -> tuple[float | None, float | None]:
    """How far products are from 1, in the median and at most; None where there are none."""
    apart = sorted(abs(each.mean - 1) for each in products)
    return (apart[len(apart) // 2], apart[-1]) if apart else (None, None)


def _holds(interval: Interval) -> bool:
    return interval.low is not None and interval.high is not None and interval.low <= 1 <= interval.high


def _title(study: Study, id: str) -> str:
    comparison = next(each.comparison for each in study.variants if each.comparison.id == id)
    return f"{comparison.name}, {comparison.numel:,} elements"


def _words(study: Study, id: str) -> str:
    """The figure in words."""
    said = []
    for judged in study.against_first:
        variants = [each for each in judged.variants if each.comparison.id == id]
        ratios = ", ".join(f"{each.variant.name} {format.ratio_with_ends(each.ratio)}" for each in variants)
        said.append(f"{judged.trial.header.sides[1].label}: {ratios}")
    return f"Time relative to {study.first}. " + "; ".join(said)


@dataclass(frozen=True)
class Answer:
    """What one trial says of the price of recording.

    Attributes:
        one, other: the labels of the sides.
        tracked, untracked: the operation with a graph, and without, on both sides.
    """

    one: str
    other: str
    prices: Prices
    tracked: VariantOutcome
    untracked: VariantOutcome

    @property
    def sentence(self) -> str:
        """Whether recording became dearer, and which of the two variants moved."""
        change = self.prices.change
        if _holds(change):
            return f"{self.other} against {self.one}: no change of the price of recording is shown."
        word = "dearer" if change.mean > 1 else "cheaper"
        moved = " and ".join(
            f"the operation {how} takes {format.ratio_with_ends(variant.ratio)} times as long"
            for how, variant in (("with a graph", self.tracked), ("without", self.untracked))
        )
        return (
            f"{self.other} against {self.one}: recording became {word} relative to the operation, from "
            f"{format.ratio(self.prices.a)} to {format.ratio(self.prices.b)} times; {moved}."
        )


def answers(study: Study) -> list[Answer]:
    """What each trial says of the price of recording a small operation."""
    found = []
    workload, *names = QUESTION
    for judged in study.trials.values():
        for comparison in judged.trial.header.comparisons:
            known = prices(judged, comparison.id, *names)
            variants = [outcome(judged, comparison.id, name) for name in names]
            if comparison.name == workload and known is not None and variants[0] and variants[1]:
                one, other = (side.label for side in judged.trial.header.sides)
                found.append(Answer(one, other, known, variants[0], variants[1]))
    return found


def findings(study: Study) -> list[str]:
    """What each trial shows, a sentence each."""
    return [_finding(judged) for judged in study.trials.values()]


def _finding(judged: Judged) -> str:
    one, other = (side.label for side in judged.trial.header.sides)
    slower = _listed([each for each in judged.variants if each.outcome == "slower"])
    faster = _listed([each for each in judged.variants if each.outcome == "faster"])
    memory = [
        f"{text.where(each)} ({', '.join(map(str, each.memory))})" for each in judged.variants if each.memory
    ]
    same = sum(each.outcome == "same" for each in judged.variants)
    margin = format.percent(judged.trial.header.options.margin)
    said = [
        f"{other} against {one}: "
        + (f"slower in {slower}; " if slower else "slower in none; ")
        + (f"faster in {faster}; " if faster else "faster in none; ")
        + f"{same} of {len(judged.variants)} variants the same within {margin}."
    ]
    if memory:
        said.append(f"Memory differs in {'; '.join(memory)}.")
    return " ".join(said)


def _listed(variants: Sequence[VariantOutcome]) -> str:
    """How many variants, and the one that moved most."""
    if not variants:
        return ""
    most = max(variants, key=lambda each: abs(each.ratio.mean - 1) if each.ratio else 0.0)
    return f"{len(variants)} variants, most {text.where(most)} at {format.ratio_with_ends(most.ratio)}"
