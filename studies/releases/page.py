"""The page of the study: from the trials' data to one self-contained HTML file, and a page for each trial."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gradbench import format
from gradbench.report.template import Link, put, render
from gradbench.versus import text
from gradbench.versus.judge import INSTALLATION, Judged, VariantOutcome
from gradbench.versus.page import write_versus
from studies.releases import figures, same
from studies.releases.analysis import Prices, Study, closures, holds_one, labels_of, outcome, prices, read

# The claim that the study was made for: tracking a tiny operation became slower.
QUESTION = ("elementwise", "tracked", "requires_grad_false")


def write(data: Path, output: Path, site: Sequence[Link] = ()) -> None:
    """Build the page, and the page of each trial beside its data; replaces them as a whole."""
    study = read(data)
    output.parent.mkdir(parents=True, exist_ok=True)
    products = [product for _, product in closures(study)]
    apart = sorted(abs(each.mean - 1) for each in products)
    page = render(
        "releases.html",
        Path(__file__).parent,
        site=site,
        study=study,
        text=text,
        findings=[_finding(judged) for judged in study.trials.values()],
        answers=answers(study),
        figures=_figures(study),
        labels_of=labels_of,
        outcome=outcome,
        products=products,
        off=(apart[len(apart) // 2], apart[-1]) if apart else None,
        holding=sum(map(holds_one, products)),
        same=same.read(data.parent / "same"),
        installation=INSTALLATION,
        header=next(iter(study.trials.values())).trial.header,
    )
    # The same site, from a folder in the folder of the data.
    back = [Link(each.label, f"../../{each.href}") for each in site]
    for name, judged in study.trials.items():
        write_versus(judged, data / name / "index.html", back)
    put(page, output)


def _figures(study: Study) -> list[tuple[str, str, str]]:
    """For each comparison its title, its figure, and the figure in words."""
    found = []
    for comparison in {each.comparison.id: each.comparison for each in study.variants}.values():
        words = []
        for judged in study.against_first:
            ratios = (
                f"{each.name} {format.ratio_with_ends(each.ratio)}"
                for each in judged.variants
                if each.comparison.id == comparison.id
            )
            words.append(f"{labels_of(judged)[1]}: {', '.join(ratios)}")
        found.append(
            (
                f"{comparison.name}, {comparison.numel:,} elements",
                figures.over_releases(study, comparison.id),
                f"Time relative to {study.first}. " + "; ".join(words),
            )
        )
    return found


@dataclass(frozen=True)
class Answer:
    """The finding of one trial on the price of recording.

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
        """Whether recording became slower, and which of the two variants moved."""
        change = self.prices.change
        if holds_one(change):
            return f"{self.other} against {self.one}: no change of the price of recording is shown."
        word = "dearer" if change.mean > 1 else "cheaper"
        return (
            f"{self.other} against {self.one}: recording became {word} relative to the operation, from "
            f"{format.ratio(self.prices.a)} to {format.ratio(self.prices.b)} times. The operation with a "
            f"graph takes {format.ratio_with_ends(self.tracked.ratio)} times as long, the operation "
            f"without one {format.ratio_with_ends(self.untracked.ratio)} times."
        )


def answers(study: Study) -> list[Answer]:
    """The finding of each trial on the price of recording a small operation."""
    found = []
    workload, *names = QUESTION
    for judged in study.trials.values():
        for comparison in judged.trial.header.comparisons:
            known = prices(judged, comparison.id, *names)
            tracked, untracked = (outcome(judged, comparison.id, name) for name in names)
            if comparison.name == workload and known and tracked and untracked:
                found.append(Answer(*labels_of(judged), known, tracked, untracked))
    return found


def _finding(judged: Judged) -> str:
    """The finding of a trial, in a sentence or two."""
    one, other = labels_of(judged)
    moved = "; ".join(
        f"{word} in {_listed([each for each in judged.variants if each.outcome == word])}"
        for word in ("slower", "faster")
    )
    same = sum(each.outcome == "same" for each in judged.variants)
    margin = format.percent(judged.trial.header.options.margin)
    memory = [
        f"{text.where(each)} ({', '.join(map(str, each.memory))})" for each in judged.variants if each.memory
    ]
    return (
        f"{other} against {one}: {moved}; {same} of {len(judged.variants)} variants the same within {margin}."
        + (f" Memory differs in {'; '.join(memory)}." if memory else "")
    )


def _listed(variants: Sequence[VariantOutcome]) -> str:
    """How many variants, and the one that moved most."""
    if not variants:
        return "none"
    most = max(variants, key=lambda each: abs(each.ratio.mean - 1) if each.ratio else 0.0)
    return f"{len(variants)} variants, most {text.where(most)} at {format.ratio_with_ends(most.ratio)}"
