"""The outcome of a trial, for a terminal and for programs."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec

from gradbench import format
from gradbench.analyse.memory_difference import in_words, summed_up
from gradbench.versus.judge import INSTALLATION, Judged, VariantOutcome
from gradbench.versus.records import NAMES, SideFacts


def described(facts: SideFacts) -> str:
    """A side in words: the user's name for it, and its versions."""
    environment = facts.environment
    return (
        f"{facts.label} (torch {environment.torch}, Python {environment.python}, gradbench {facts.gradbench})"
    )


def sentence(judged: Judged) -> str:
    """The outcome in a sentence or two."""
    options = judged.trial.header.options
    timed = [each for each in judged.variants if each.ratio is not None]
    counts = Counter(each.outcome for each in judged.variants)
    said = [f"{counts['slower']} slower", f"{counts['faster']} faster"]
    said.append(f"{counts['same']} the same within {format.percent(options.margin)}")
    said += [f"{counts[word]} {word}" for word in ("cannot tell", "failed") if counts[word]]
    memory = summed_up([each.memory for each in judged.variants])
    of = f"{format.counted(len(timed), 'variant')}, {format.counted(judged.pairs, 'pair')}"
    return f"B against A in {of}: {', '.join(said)}; {memory}."


def control(judged: Judged) -> str:
    """How well the trial compares the same work on both sides."""
    if judged.calibration_task is None:
        return ""
    how = (
        "both processes of a pair ran on one processor"
        if judged.trial.header.pinned
        else "the processes of a pair were not bound to one processor, and ratios are net of the calibration "
        "task"
    )
    task = format.ratio_with_ends(judged.calibration_task)
    said = f"The calibration task, the same work on both sides, has a ratio of {task}: {how}."
    if not judged.trial.header.one_installation:
        said += (
            " The sides are two installations. Identical installations differ by "
            f"{format.percent(INSTALLATION)} (standard deviation). Each interval contains that, and more "
            "pairs do not reduce it."
        )
    return said


def notes(judged: Judged) -> list[str]:
    """Warnings: open and failed variants, and what to do about them."""
    said = []
    open_ = [each for each in judged.variants if each.outcome == "cannot tell"]
    if open_:
        said.append(
            f"{format.counted(len(open_), 'variant')} {'is' if len(open_) == 1 else 'are'} open after "
            f"{format.counted(judged.pairs, 'pair')}. Give more time with --budget, or choose fewer variants "
            "with --workload and --method."
        )
    broken = [where(each) for each in judged.variants if each.broken]
    if broken:
        said.append(f"Fails in B and not in A: {', '.join(broken)}.")
    failed = [each for each in judged.variants if each.failures]
    if failed or judged.lost:
        first = (judged.lost or failed[0].failures)[0]
        said.append(
            f"{format.counted(len(failed), 'variant')} failed, and "
            f"{format.counted(len(judged.lost), 'visit')} {'was' if len(judged.lost) == 1 else 'were'} lost; "
            f"the first, on side {first.side}: "
            f"{first.failure.message}"
        )
    if judged.trial.end is None:
        said.append("The trial was interrupted. The table shows the pairs that it measured.")
    return said


def where(each: VariantOutcome) -> str:
    """The comparison of a variant, and the variant."""
    if not each.comparison.numel:
        return each.variant.name
    return f"{each.comparison.name} {format.count(each.comparison.numel)} {each.variant.name}"


def as_text(judged: Judged, width: int) -> str:
    """The outcome as a table of this many columns, the worse variants first."""
    from rich.console import Console
    from rich.table import Table

    text = io.StringIO()
    console = Console(file=text, width=width, highlight=False, markup=False)
    for name, facts in zip(NAMES, judged.trial.header.sides, strict=True):
        console.print(f"{name}: {described(facts)}")
    table = Table("variant", "A", "B", "B ÷ A (95 %)", "time", "memory")
    for each in ordered(judged.variants):
        table.add_row(
            where(each),
            *(format.seconds(side) for side in each.seconds or (None, None)),
            format.ratio_with_ends(each.ratio),
            each.outcome,
            in_words(each.memory),
        )
    console.print(table)
    for line in (sentence(judged), control(judged), *notes(judged)):
        if line:
            console.print(line)
    return text.getvalue().rstrip()


def ordered(variants: Sequence[VariantOutcome]) -> list[VariantOutcome]:
    """Worse variants first, then better ones, then the rest; in the order of the plan among themselves."""

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
