"""The outcome of a trial in words and as data: for its page, a terminal and programs."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec

from gradbench import format
from gradbench.analyse.memory_difference import in_words, summed_up
from gradbench.versus.judge import Judged, VariantOutcome
from gradbench.versus.records import NAMES, SideFacts
from gradbench.versus.verdict import fairness, installations, verdict
from gradbench.versus.verdict import where as where


def described(facts: SideFacts) -> str:
    """A side in words: its label, and the versions of torch, Python and gradbench."""
    environment = facts.environment
    return (
        f"{facts.label} (torch {environment.torch}, Python {environment.python}, gradbench {facts.gradbench})"
    )


def answer(judged: Judged) -> str:
    """The answer of a trial: whether B is slower than A, has more bytes, or fails."""
    counts = Counter(each.outcome for each in judged.variants)
    timed = [each for each in judged.variants if each.ratio is not None]
    moved = [f"{word} in {counts[word]}" for word in ("slower", "faster") if counts[word]]
    if moved:
        said = [f"B is {' and '.join(moved)} of {_variants(len(judged.variants))}."]
    elif not timed:
        said = ["No variant was timed on both sides."]
    elif counts["same"] == len(timed):
        margin = format.percent(judged.trial.header.options.margin)
        said = [f"B takes as long as A, within {margin}, in {_variants(len(timed))}."]
    else:
        said = [f"B is not shown to be slower or faster than A in {_variants(len(timed))}."]
    larger = sum(each.larger for each in judged.variants)
    broken = sum(each.broken for each in judged.variants)
    if larger:
        said.append(f"It has more bytes in {_variants(larger)}.")
    if broken:
        said.append(f"It fails in {_variants(broken)}.")
    return " ".join(said)


def _variants(count: int) -> str:
    return format.counted(count, "variant")


def sentence(judged: Judged) -> str:
    """How many variants have each outcome, and how their memory differs."""
    options = judged.trial.header.options
    timed = [each for each in judged.variants if each.ratio is not None]
    counts = Counter(each.outcome for each in judged.variants)
    said = [f"{counts['slower']} slower", f"{counts['faster']} faster"]
    said.append(f"{counts['same']} the same within {format.percent(options.margin)}")
    said += [f"{counts[word]} {word}" for word in ("cannot tell", "failed") if counts[word]]
    memory = summed_up([each.memory for each in judged.variants])
    pairs = format.counted(judged.pairs, "pair")
    return f"B against A in {_variants(len(timed))}, {pairs}: {', '.join(said)}; {memory}."


def control(judged: Judged) -> str:
    """How far the calibration task shows the trial to be fair; empty where it was not timed."""
    if judged.calibration_task is None:
        return ""
    how = (
        "both processes of a pair ran on one processor"
        if judged.trial.header.pinned
        else "the processes of a pair were not bound to one processor, so ratios are relative to the ratio "
        "of the calibration task"
    )
    task = format.ratio_with_ends(judged.calibration_task)
    said = f"The ratio of the calibration task, the same work on both sides, is {task}: {how}."
    return said + installations(judged)


def notes(judged: Judged) -> list[str]:
    """Warnings: the limits of the trial, and how to fix them."""
    said = []
    open_ = [each for each in judged.variants if each.outcome == "cannot tell"]
    if open_:
        said.append(
            f"{_variants(len(open_))} {'is' if len(open_) == 1 else 'are'} open after "
            f"{format.counted(judged.pairs, 'pair')}. Give more time with --budget, or fewer variants with "
            "--workload and --method."
        )
    broken = [where(each) for each in judged.variants if each.broken]
    if broken:
        said.append(f"{'Fails' if len(broken) == 1 else 'Fail'} in B and not in A: {', '.join(broken)}.")
    failed = [each for each in judged.variants if each.failures]
    if failed or judged.lost:
        first = (judged.lost or failed[0].failures)[0]
        said.append(
            f"{_variants(len(failed))} failed, and {len(judged.lost)} "
            f"visit{' was' if len(judged.lost) == 1 else 's were'} lost. "
            f"The first failure, on side {first.side}: {first.failure.message}"
        )
    if judged.trial.end is None:
        said.append("The trial was interrupted; its figures are of the pairs before.")
    return said


def as_text(judged: Judged, width: int) -> str:
    """The answer, then a table as wide as this many characters; variants that differ come first."""
    from rich.console import Console
    from rich.table import Table

    text = io.StringIO()
    console = Console(file=text, width=width, highlight=False, markup=False)
    console.print(verdict(judged))
    for name, facts in zip(NAMES, judged.trial.header.sides, strict=True):
        console.print(f"{name}: {described(facts)}")
    table = Table()
    for column in ("variant", "A", "B", "B ÷ A (95 %)", "time", "memory"):
        # rich would cut a name that is too long for its column.
        table.add_column(column, overflow="fold")
    for each in ordered(judged.variants):
        table.add_row(
            where(each),
            *(format.seconds(side) for side in each.seconds or (None, None)),
            format.ratio_with_ends(each.ratio),
            each.outcome,
            in_words(each.memory),
        )
    console.print(table)
    for line in (sentence(judged), fairness(judged), *notes(judged)):
        if line:
            console.print(line)
    return text.getvalue().rstrip()


def ordered(variants: Sequence[VariantOutcome]) -> list[VariantOutcome]:
    """Worse variants first, then better ones, then the rest. Equals keep the order of the plan."""

    def place(each: VariantOutcome) -> int:
        if each.worse:
            return 0
        if each.outcome == "faster" or each.memory:
            return 1
        return 2 if each.outcome in ("failed", "cannot tell") else 3

    return sorted(variants, key=place)


def as_data(judged: Judged) -> dict[str, Any]:
    """The outcome as plain data: seconds, bytes, and ratios with their 95 % intervals."""
    header = judged.trial.header
    return {
        "sides": [
            {"name": name, "label": facts.label, "torch": facts.environment.torch,
             "python": facts.environment.python, "gradbench": facts.gradbench}
            for name, facts in zip(NAMES, header.sides, strict=True)
        ],
        "processor": header.sides[0].environment.processor,
        "margin": header.options.margin,
        "pairs": judged.pairs,
        "ended": judged.trial.end.reason if judged.trial.end else None,
        "worse": bool(judged.worse),
        "calibration_task": msgspec.to_builtins(judged.calibration_task),
        "variants": [
            {
                "comparison": each.comparison.id,
                "variant": each.variant.name,
                "outcome": each.outcome,
                "ratio": msgspec.to_builtins(each.ratio),
                "seconds": each.seconds,
                "memory": {growth.figure: [growth.before, growth.after] for growth in each.memory or ()},
                "failures": sorted({f"{one.side}: {one.failure.message}" for one in each.failures}),
            }
            for each in judged.variants
        ],
        "lost": [f"{one.side}: {one.failure.message}" for one in judged.lost],
    }  # fmt: skip
