"""What changed, for a terminal, for a comment on a change, and for programs."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from gradbench import format
from gradbench.analyse.compare import Change, Compared
from gradbench.analyse.memory_difference import COUNT, in_words, summed_up
from gradbench.analyse.phrases import span
from gradbench.record.interval import Interval

# The outcomes of a variant, what matters most first.
OUTCOMES = (
    "slower", "fails", "not timed", "faster", "cannot tell", "same", "other code", "gone", "new",
)  # fmt: skip
# So many that are worse in one way are named; the table has the rest.
MOST_NAMED = 4


def sentences(compared: Compared) -> list[str]:
    """What was found, and what a reader must know before believing it."""
    by_ratio = [each for each in compared.changes if each.basis == "ratio"]
    by_seconds = [each for each in compared.changes if each.basis == "seconds"]
    counted = [
        f"{what}, new against old: {_counted(changes, compared.margin)}"
        for what, changes in (("Ratios to the baseline", by_ratio), ("seconds per call", by_seconds))
        if changes
    ]
    first = "; ".join(counted)
    lines = [f"{first[:1].upper()}{first[1:]}; {_memory(compared.changes)}."]
    lines += _worse(compared.changes)
    lines += _of_other_code(compared.changes)
    gone = [each for each in compared.changes if each.outcome == "gone" and not each.asked]
    if gone:
        lines.append(
            f"{len(gone)} that the old run measured, the new one was not asked for, such as "
            f"{gone[0].comparison.id} {gone[0].variant.name}."
        )
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


def _memory(changes: Sequence[Change]) -> str:
    """In how many the bytes differ that count; of other code what is held, and what is allocated."""
    both = [each for each in changes if each.outcome not in ("other code", "gone", "new")]
    others = any(each.other_code for each in both)
    text = summed_up([each.judged for each in both], "memory that is held" if others else "memory")
    passing = sum(each.memory != each.judged for each in both)
    return text + (f"; what is allocated in all differs in {passing}" if passing else "")


def _counted(changes: Sequence[Change], margin: float) -> str:
    """How many have which outcome."""
    counts = {word: sum(each.outcome == word for each in changes if _has_outcome(each)) for word in OUTCOMES}
    within = f" within {format.percent(margin)}"
    judged = [word for word in OUTCOMES if counts[word] or word in ("slower", "faster")]
    return ", ".join(f"{counts[word]} {word}" + (within if word == "same" else "") for word in judged)


def _worse(changes: Sequence[Change]) -> list[str]:
    """A sentence for each way in which variants are worse or missing, with those that are."""
    ways: tuple[tuple[str, Callable[[Change], bool], Callable[[Change], str]], ...] = (
        ("Slower", lambda each: each.outcome == "slower", _times),
        ("Larger", lambda each: each.larger, _grown),
        ("Fails", lambda each: each.outcome == "fails", lambda each: ""),
        ("Fails in some passes", lambda each: each.failing and each.outcome != "fails", lambda each: ""),
        ("Not timed any more", lambda each: each.worse and each.outcome == "not timed", lambda each: ""),
        (
            "Not measured any more",
            lambda each: each.worse and each.outcome == "gone" and each.asked,
            lambda each: "",
        ),
        (
            "Bytes not known any more",
            lambda each: bool(each.lost) and not each.by_chance,
            lambda each: f" ({', '.join(each.lost)})",
        ),
        (
            "Not measured this time, for which there may have been no time",
            lambda each: each.missed and each.by_chance,
            lambda each: "",
        ),
    )
    lines = []
    for way, is_so, how in ways:
        found = [f"{each.comparison.id} {each.variant.name}{how(each)}" for each in changes if is_so(each)]
        if found:
            more = f"; and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else ""
            lines.append(f"{way}: {'; '.join(found[:MOST_NAMED])}{more}.")
    return lines


def _times(change: Change) -> str:
    return f", {format.ratio_with_ends(change.change)} times as long as before"


def _grown(change: Change) -> str:
    """The figures of bytes that grew; of other code those of what it holds."""
    grown = [each for each in change.judged or () if each.after > each.before and each.figure != COUNT]
    return f", {in_words(grown)}"


def _of_other_code(changes: Sequence[Change]) -> list[str]:
    """What a reader must know of code that is another: what its seconds were taken relative to."""
    by_seconds = [each for each in changes if each.basis == "seconds"]
    if not by_seconds:
        return []
    moved: dict[str, list[float]] = {}
    for each in by_seconds:
        for what, factor in each.moved.items():
            moved.setdefault(what, []).append(factor)
    relative = " and to ".join(
        f"{what}, which took {span(factors)} times as long" for what, factors in moved.items()
    )
    lines = []
    if relative:
        lines.append(
            f"The file changed, and its baseline with it: seconds are compared, relative to {relative} in "
            "the new run. Slower and faster are beyond the margin and beyond that."
        )
    else:
        lines.append(
            "The file changed, and its baseline with it: seconds would be compared, and two passes of both "
            "runs are needed for that."
        )
    lines.append(
        "Times of two runs carry the drift of the machine between them; `gradbench model OLD.py NEW.py` "
        "measures both files in turns."
    )
    return lines


def _has_outcome(change: Change) -> bool:
    """Whether there is an outcome to show: a baseline of the same code has no ratio to have one."""
    return change.variant.role != "baseline" or change.basis == "seconds" or change.outcome != "cannot tell"


def _moved(changes: Sequence[Change]) -> list[str]:
    """The comparisons all of whose variants, and more than one, became slower, or faster."""
    by_id: dict[str, set[str]] = {}
    counts: dict[str, int] = {}
    for each in changes:
        if each.change is not None and each.basis == "ratio":
            by_id.setdefault(each.comparison.id, set()).add(each.outcome)
            counts[each.comparison.id] = counts.get(each.comparison.id, 0) + 1
    return [id for id, found in by_id.items() if counts[id] > 1 and found in ({"slower"}, {"faster"})]


def rows(compared: Compared, everything: bool) -> list[tuple[str, ...]]:
    """A row, as COLUMNS says, for each variant that changed, or for every variant."""
    order = {word: place for place, word in enumerate(OUTCOMES)}
    shown = [each for each in compared.changes if _has_outcome(each) or each.memory or each.worse]
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
