"""Measured savings of changes to a user's training: the rows of the first screen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from gradbench.analyse.model import ComparisonSummary, VariantSummary
from gradbench.analyse.screen_evaluation import known, ratio_in_words, ratio_of
from gradbench.record.anatomy import Anatomy
from gradbench.record.interval import Interval

# Less than this part of the peak is no saving.
WORTH_SAVING = 0.01

# A tick fits, or saves and is not shown to be slower. A tilde saves at a price, or not enough to fit.
# A cross saves nothing. For a question mark the bytes were not counted.
Mark = Literal["✓", "~", "✗", "?"]


@dataclass(frozen=True)
class Saving:
    """The measured saving of a change to the training step.

    Attributes:
        before, after: the peak of a step, in bytes, with the memory in use before it; None where not counted.
        time: of a step, relative to the step without the change; None where it was not timed.
        time_in_words: that ratio, or why it is not known.
        code: the lines to write; empty where the change is one call, which the label shows.
    """

    mark: Mark
    label: str
    before: int | None
    after: int | None
    time: Interval | None
    time_in_words: str
    effect: str
    code: str


def saving_rows(step: ComparisonSummary, anatomy: Anatomy | None) -> tuple[Saving, ...]:
    """The changes of a step whose bytes or time are known, the smallest peak first."""
    fit = anatomy.fit if anatomy else None
    before = _highest(anatomy, step.baseline)
    rows = []
    for variant in step.methods:
        if variant.role != "method" or variant.failure is not None:
            continue
        after = _highest(anatomy, variant)
        ratio = ratio_of(step, variant, step.baseline)
        if after is None and not known(ratio):
            continue
        rows.append(
            Saving(
                mark=_mark(before, after, fit, (variant.name, step.baseline.name) in step.above),
                label=variant.label,
                before=before,
                after=after,
                time=ratio if known(ratio) else None,
                time_in_words=_step_time(ratio),
                effect=variant.definition.effect[:1].lower() + variant.definition.effect[1:].rstrip("."),
                code=_code_of(variant, step),
            )
        )
    return tuple(sorted(rows, key=lambda each: each.after if each.after is not None else float("inf")))


def not_measured(step: ComparisonSummary, rows: Sequence[Saving]) -> list[str]:
    """The changes of a step without a row, with the reason."""
    shown = {each.label for each in rows}
    return [
        f"{variant.label}: {_why_no_row(step, variant)}"
        for variant in step.methods
        if variant.role == "method" and variant.label not in shown
    ]


def _why_no_row(step: ComparisonSummary, variant: VariantSummary) -> str:
    if variant.failure is not None:
        return f"failed: {variant.failure.message.rstrip('.')}"
    if ratio_of(step, variant, step.baseline) is not None:
        return "its time is not known yet, and the run did not count its bytes"
    return "not measured"


def _highest(anatomy: Anatomy | None, variant: VariantSummary) -> int | None:
    """The most bytes live at once while training with a variant of the step; None where not counted."""
    if variant.memory is None:
        return None
    peak = variant.memory.peak
    return anatomy.highest(peak, variant.name) if anatomy else peak


def _mark(before: int | None, after: int | None, fit: int | None, slower: bool) -> Mark:
    if before is None or after is None:
        return "?"
    # With `>=` a peak of 0 B, where a change can save no bytes, gets no tick.
    if after >= before * (1 - WORTH_SAVING):
        return "✗"
    if fit is not None:
        return "✓" if after <= fit else "~"
    return "~" if slower else "✓"


def _step_time(ratio: Interval | None) -> str:
    if ratio is not None and known(ratio):
        return ratio_in_words(ratio)
    return "not timed" if ratio is None else "not known yet"


def _code_of(variant: VariantSummary, step: ComparisonSummary) -> str:
    """The lines that make a change: those that its setup has and the setup of the baseline has not."""
    shared = step.baseline.definition.setup.split("\n")
    lines = variant.definition.setup.split("\n")
    while shared and lines and shared[0] == lines[0]:
        shared, lines = shared[1:], lines[1:]
    return "\n".join(lines)
