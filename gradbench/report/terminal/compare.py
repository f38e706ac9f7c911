"""What changed, for a terminal, for a comment on a change, and for programs."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import msgspec

from gradbench import format
from gradbench.analyse.compare import Change, Compared
from gradbench.analyse.memory_difference import in_words, summed_up
from gradbench.record.interval import Interval

# The outcomes of a variant, what matters most first.
OUTCOMES = ("slower", "fails", "faster", "cannot tell", "same", "other code", "gone", "new")


def sentences(compared: Compared) -> list[str]:
    """What was found, and what a reader must know before believing it."""
    counts = {
        word: sum(each.outcome == word for each in compared.changes if _has_outcome(each))
        for word in OUTCOMES
    }
    judged = [word for word in OUTCOMES if counts[word] or word in ("slower", "faster")]
    within = f" within {format.percent(compared.margin)}"
    memory = [each.memory for each in compared.changes if each.outcome not in ("other code", "gone", "new")]
    lines = [
        "Ratios to the baseline, new against old: "
        + ", ".join(f"{counts[word]} {word}" + (within if word == "same" else "") for word in judged)
        + f"; {summed_up(memory)}."
    ]
    if any(each.outcome == "cannot tell" and each.change is not None for each in compared.changes):
        lines.append("Where it cannot tell, more passes in both runs would.")
    moved = _moved(compared.changes)
    if moved:
        lines.append(
            f"In {', '.join(moved)} every variant moved the same way: it may be the baseline that changed; "
            "`gradbench versus` compares times."
        )
    if compared.differing:
        lines.append(f"Between the runs: {'; '.join(compared.differing)}.")
    if compared.forced:
        lines.append(f"Compared by force, though these differ: {'; '.join(compared.forced)}.")
    return lines


def _has_outcome(change: Change) -> bool:
    """Whether there is an outcome to show: a baseline that is in both runs has no ratio to have one."""
    return change.variant.role != "baseline" or change.outcome != "cannot tell"


def _moved(changes: Sequence[Change]) -> list[str]:
    """The comparisons all of whose variants, and more than one, became slower, or faster."""
    by_id: dict[str, set[str]] = {}
    counts: dict[str, int] = {}
    for each in changes:
        if each.change is not None:
            by_id.setdefault(each.comparison.id, set()).add(each.outcome)
            counts[each.comparison.id] = counts.get(each.comparison.id, 0) + 1
    return [id for id, found in by_id.items() if counts[id] > 1 and found in ({"slower"}, {"faster"})]


def rows(compared: Compared, everything: bool) -> list[tuple[str, ...]]:
    """A row, as COLUMNS says, for each variant that changed, or for every variant."""
    order = {word: place for place, word in enumerate(OUTCOMES)}
    shown = [each for each in compared.changes if _has_outcome(each) or each.memory]
    if not everything:
        shown = [each for each in shown if each.outcome not in ("same", "cannot tell") or each.memory]
    shown.sort(key=lambda each: (not each.worse, order[each.outcome]))
    return [
        (
            f"{each.comparison.id} {each.variant.name}",
            format.ratio(each.old),
            format.ratio(each.new),
            _percent(each.change),
            each.outcome,
            in_words(each.memory),
        )
        for each in shown
    ]


COLUMNS = ("variant", "old ratio", "new ratio", "change (95 %)", "outcome", "memory")


def _percent(change: Interval | None) -> str:
    """A factor as a change in per cent, with its interval: +5.1 % (+3.9 to +6.3)."""
    if change is None or change.low is None or change.high is None:
        return format.UNKNOWN
    mean, low, high = (100 * (end - 1) for end in (change.mean, change.low, change.high))
    return f"{mean:+.1f} % ({low:+.1f} to {high:+.1f})"


def as_text(compared: Compared, width: int, everything: bool) -> str:
    """The variants that changed (or all) as a table of this many columns, and the sentences."""
    from rich.console import Console
    from rich.table import Table

    text = io.StringIO()
    console = Console(file=text, width=width, highlight=False, markup=False)
    found = rows(compared, everything)
    if found:
        table = Table(*COLUMNS)
        for row in found:
            table.add_row(*row)
        console.print(table)
    for line in sentences(compared):
        console.print(line)
    return text.getvalue().rstrip()


def as_markdown(compared: Compared, everything: bool) -> str:
    """The same for a comment on a change."""
    found = rows(compared, everything)
    lines = []
    if found:
        lines = [COLUMNS, tuple("---" for _ in COLUMNS), *found]
    table = "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in lines)
    return "\n\n".join([*([table] if table else []), *sentences(compared)])


def as_data(compared: Compared) -> dict[str, Any]:
    """The comparison as plain data: ratios with 95 % intervals, changes with theirs, bytes."""
    return {
        "old": str(compared.old.path),
        "new": str(compared.new.path),
        "margin": compared.margin,
        "worse": bool(compared.worse),
        "differing": list(compared.differing),
        "forced": list(compared.forced),
        "variants": [
            {
                "comparison": each.comparison.id,
                "variant": each.variant.name,
                "outcome": each.outcome,
                "old": msgspec.to_builtins(each.old),
                "new": msgspec.to_builtins(each.new),
                "change": msgspec.to_builtins(each.change),
                "memory": {found.figure: [found.before, found.after] for found in each.memory or ()},
            }
            for each in compared.changes
        ],
    }
