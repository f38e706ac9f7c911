"""The changes between two runs, for a terminal, for a comment on a change, and for programs."""

from __future__ import annotations

import io
import textwrap
from functools import partial
from typing import Any

import msgspec

from gradbench import format
from gradbench.analyse.compare import OUTCOMES, Change, Compared
from gradbench.analyse.compare_answer import answer, changed
from gradbench.analyse.compare_sentences import limits, sentences
from gradbench.analyse.memory_difference import in_words
from gradbench.record.interval import Interval


def rows(compared: Compared, everything: bool) -> list[tuple[str, ...]]:
    """A row, as COLUMNS says, for each variant that changed, or for every variant."""
    order = {word: place for place, word in enumerate(OUTCOMES)}
    shown = [each for each in compared.changes if each.has_outcome or each.memory or each.worse]
    if not everything:
        shown = [
            each for each in shown if each.outcome not in ("same", "cannot tell") or each.memory or each.worse
        ]
    shown.sort(key=lambda each: (not each.worse, order[each.outcome]))
    return [
        (
            f"{each.comparison.id} {each.variant.name}",
            *_old_and_new(each),
            _percent(each.change),
            each.outcome,
            in_words(each.memory) if not each.lost else f"not known any more: {', '.join(each.lost)}",
        )
        for each in shown
    ]


def _old_and_new(change: Change) -> tuple[str, str]:
    """Seconds or ratios, as what changed is one of these."""
    if change.basis == "ratio":
        return format.ratio(change.old), format.ratio(change.new)
    old, new = (format.seconds(None if each is None else each.mean) for each in change.seconds)
    return old, new


COLUMNS = ("variant", "old", "new", "change (95 %)", "outcome", "memory")


def _percent(change: Interval | None) -> str:
    """A factor as a change in per cent, with its interval: +5.1 % (+3.9 to +6.3)."""
    if change is None or change.low is None or change.high is None:
        return format.UNKNOWN
    mean, low, high = (100 * (end - 1) for end in (change.mean, change.low, change.high))
    return f"{mean:+.1f} % ({low:+.1f} to {high:+.1f})"


def as_text(compared: Compared, width: int, everything: bool) -> str:
    """The answer, and the variants that changed; with `everything` the table of all variants.

    Lines are at most `width` columns long, except where a name is longer: no name is cut.
    """
    wrap = partial(
        textwrap.fill, width=width, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False
    )
    lines = [textwrap.fill(answer(compared), width, break_long_words=False, break_on_hyphens=False)]
    if not everything:
        lines += [wrap(f"  {line}") for line in changed(compared)]
        lines += [wrap(line) for line in limits(compared, short=True)]
        return "\n".join([*lines, "--verbose shows the table of all variants."])
    if found := rows(compared, everything):
        lines.append(_table(found, width))
    return "\n".join([*lines, *(wrap(line) for line in sentences(compared))])


def _table(found: list[tuple[str, ...]], width: int) -> str:
    from rich.console import Console
    from rich.table import Table

    text = io.StringIO()
    table = Table()
    longest = max(len(word) for row in found for word in row[0].split())
    for name in COLUMNS:
        # rich would cut a name that is too long for its column.
        least = min(longest, width // 2) if name == COLUMNS[0] else None
        table.add_column(name, overflow="fold", min_width=least)
    for row in found:
        table.add_row(*row)
    Console(file=text, width=width, highlight=False, markup=False).print(table)
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
                "worse": each.worse,
                "other_code": each.other_code,
                "change_of": each.basis,
                "old_seconds": msgspec.to_builtins(each.seconds[0]),
                "new_seconds": msgspec.to_builtins(each.seconds[1]),
                "moved": each.moved,
                "lost": list(each.lost),
                "asked": each.asked,
                "failing": each.failing,
                "old": msgspec.to_builtins(each.old),
                "new": msgspec.to_builtins(each.new),
                "change": msgspec.to_builtins(each.change),
                "memory": {found.figure: [found.before, found.after] for found in each.memory or ()},
            }
            for each in compared.changes
        ],
    }
