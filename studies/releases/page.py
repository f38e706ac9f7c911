"""The page of the study: from the trials' data to one self-contained HTML file, and a page for each trial."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gradbench import format
from gradbench.analyse.model import Finding
from gradbench.report.template import Link, put, render
from gradbench.versus import text
from gradbench.versus.judge import INSTALLATION, Judged, VariantOutcome
from gradbench.versus.page import write_versus
from studies.files import STUDIES
from studies.releases import figures, same
from studies.releases.analysis import Prices, Study, closures, holds_one, labels_of, outcome, prices, read

# The study was made for one claim: recording a tiny operation became more expensive.
QUESTION = ("elementwise", "tracked", "requires_grad_false")


def write(data: Path, output: Path, site: Sequence[Link] = ()) -> str:
    """Build the page, and the page of each trial beside its data; return the answer in one sentence.

    The pages replace the old ones.
    """
    study = read(data)
    found = answer(study)
    recorded = answers(study)
    output.parent.mkdir(parents=True, exist_ok=True)
    products = [product for _, product in closures(study)]
    apart = sorted(abs(each.mean - 1) for each in products)
    page = render(
        "releases.html",
        Path(__file__).parent,
        STUDIES,
        site=site,
        study=study,
        text=text,
        answer=found,
        findings=[*(_finding(judged) for judged in study.trials.values()), *_recording(recorded)],
        answers=recorded,
        first=_first(study),
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
    # The page of a trial lies two folders deeper.
    back = [Link(each.label, f"../../{each.href}") for each in site]
    for name, judged in study.trials.items():
        write_versus(judged, data / name / "index.html", back)
    put(page, output)
    return found


def answer(study: Study) -> str:
    """How many variants changed from the first release to the last, in one sentence."""
    last = study.against_first[-1]
    faster, slower = (sum(each.outcome == word for each in last.variants) for word in ("faster", "slower"))
    one, other = (label.removeprefix("torch-") for label in labels_of(last))
    return (
        f"From PyTorch {one} to {other}, {faster} of {len(last.variants)} variants became faster and "
        f"{slower} "
        "became slower."
    )


def _first(study: Study) -> tuple[str, str, str, str] | None:
    """The first figure, of the workload that the study was made for: its title, wide, narrow, in words."""
    for comparison in study.comparisons:
        if comparison.name == QUESTION[0]:
            wide, narrow = (figures.over_releases(study, comparison.id, wide) for wide in (True, False))
            title = f"Time of a small operation in each release ÷ its time in {study.first}"
            return title, wide, narrow, _words(study, comparison.id)
    return None


def _words(study: Study, comparison: str) -> str:
    """The figure of a comparison in words."""
    said = []
    for judged in study.against_first:
        ratios = (
            f"{each.name} {format.ratio_with_ends(each.ratio)}"
            for each in judged.variants
            if each.comparison.id == comparison
        )
        said.append(f"{labels_of(judged)[1]}: {', '.join(ratios)}")
    return f"Time relative to {study.first}. " + "; ".join(said)


def _figures(study: Study) -> list[tuple[str, str, str]]:
    """For each comparison its title, its figure, and the figure in words."""
    return [
        (
            f"{comparison.name}, {comparison.numel:,} elements",
            figures.over_releases(study, comparison.id),
            _words(study, comparison.id),
        )
        for comparison in study.comparisons
    ]


@dataclass(frozen=True)
class Answer:
    """The price of recording in one trial.

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
        """Whether the price of recording changed."""
        change = self.prices.change
        if holds_one(change):
            return f"{self.other} against {self.one}: no change of the price of recording is shown."
        word = "more expensive" if change.mean > 1 else "cheaper"
        return f"{self.other} against {self.one}: recording became {word} relative to the operation."

    @property
    def evidence(self) -> str:
        """The prices, and which of the two variants changed."""
        return (
            f"The price of recording went from {format.ratio(self.prices.a)} to "
            f"{format.ratio(self.prices.b)} times. The operation with a graph takes "
            f"{format.ratio_with_ends(self.tracked.ratio)} times as long in {self.other}. The operation "
            f"without a graph takes {format.ratio_with_ends(self.untracked.ratio)} times as long."
        )


def _recording(found: Sequence[Answer]) -> list[Finding]:
    """The findings on the price of recording."""
    return [
        Finding(each.sentence, each.evidence, f"price × {format.ratio(each.prices.change)}", "question")
        for each in found
    ]


def answers(study: Study) -> list[Answer]:
    """The price of recording a small operation, in each trial."""
    found = []
    workload, *names = QUESTION
    for judged in study.trials.values():
        for comparison in judged.trial.header.comparisons:
            known = prices(judged, comparison.id, *names)
            tracked, untracked = (outcome(judged, comparison.id, name) for name in names)
            if comparison.name == workload and known and tracked and untracked:
                found.append(Answer(*labels_of(judged), known, tracked, untracked))
    return found


def _finding(judged: Judged) -> Finding:
    """The variants that a trial shows to be slower, faster or the same."""
    one, other = labels_of(judged)
    moved = {
        word: [each for each in judged.variants if each.outcome == word] for word in ("slower", "faster")
    }
    same = sum(each.outcome == "same" for each in judged.variants)
    counts = ", ".join(f"{len(found)} {word}" for word, found in moved.items())
    margin = format.percent(judged.trial.header.options.margin)
    memory = [
        f"{text.where(each)} ({', '.join(map(str, each.memory))})" for each in judged.variants if each.memory
    ]
    largest = " ".join(f"{word.capitalize()}: {_listed(found)}." for word, found in moved.items())
    differs = f" Memory differs in {'; '.join(memory)}." if memory else ""
    return Finding(
        f"{other} against {one}: {sum(map(len, moved.values()))} of {len(judged.variants)} variants changed.",
        f"{largest} The same means within {margin}.{differs}",
        f"{counts}, {same} the same" + (", memory differs" if memory else ""),
        "variants",
    )


def _listed(variants: Sequence[VariantOutcome]) -> str:
    """How many variants there are, and the one that changed most."""
    if not variants:
        return "no variant"
    most = max(variants, key=lambda each: abs(each.ratio.mean - 1) if each.ratio else 0.0)
    return (
        f"{len(variants)} variant{'' if len(variants) == 1 else 's'}, most of all {text.where(most)} at "
        f"{format.ratio_with_ends(most.ratio)}"
    )
