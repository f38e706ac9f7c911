"""The changes between two runs, in sentences made from the comparison."""

from __future__ import annotations

from collections.abc import Sequence

from gradbench import format
from gradbench.analyse.compare import OUTCOMES, Change, Compared
from gradbench.analyse.memory_difference import COUNT, in_words, summed_up
from gradbench.analyse.phrases import span

# A sentence names at most this many variants; the table has the rest.
MOST_NAMED = 4


def sentences(compared: Compared) -> list[str]:
    """The number of variants by outcome, the names of the worse ones, and the limits of the comparison."""
    by_ratio = [each for each in compared.changes if each.basis == "ratio"]
    by_seconds = [each for each in compared.changes if each.basis == "seconds"]
    counted = [
        f"{what}, new against old: {_counted(changes, compared.margin)}"
        for what, changes in (("Ratios to the baseline", by_ratio), ("seconds per call", by_seconds))
        if changes
    ]
    first = "; ".join(counted)
    lines = [f"{first[:1].upper()}{first[1:]}; {_memory(compared.changes)}."]
    return [*lines, *_worse(compared.changes), *limits(compared)]


def limits(compared: Compared, short: bool = False) -> list[str]:
    """Sentences on what limits the comparison; `short` leaves out how undecided times were judged."""
    missed = [(each, "") for each in compared.changes if each.missed and each.by_chance]
    lines = _named({"Not measured this time, perhaps because the budget ended": missed})
    decided = any(each.outcome in ("slower", "faster") for each in compared.changes)
    other_code = _of_other_code(compared.changes)
    lines += other_code if decided or not short else other_code[1:]
    gone = [each for each in compared.changes if each.outcome == "gone" and not each.asked]
    if gone:
        lines.append(
            f"The old run measured {format.counted(len(gone), 'variant')} that the new run's "
            "options leave out, "
            f"such as {gone[0].comparison.id} {gone[0].variant.name}."
        )
    if not short and any(
        each.outcome == "cannot tell" and each.change is not None for each in compared.changes
    ):
        lines.append("More passes in both runs would decide the times that are not decided.")
    moved = _moved(compared.changes)
    if moved:
        lines.append(
            f"In {', '.join(moved)} every variant moved the same way: the baseline may have changed. "
            "`gradbench versus` compares times."
        )
    if compared.differing:
        lines.append(f"Between the runs: {'; '.join(compared.differing)}.")
    if compared.forced:
        lines.append(f"--force compares the runs although these differ: {'; '.join(compared.forced)}.")
    return lines


def _memory(changes: Sequence[Change]) -> str:
    """In how many variants bytes differ; for other code by held and by allocated bytes."""
    both = [each for each in changes if each.outcome not in ("other code", "gone", "new")]
    others = any(each.other_code for each in both)
    text = summed_up([each.judged for each in both], "held memory" if others else "memory")
    passing = sum(each.memory != each.judged for each in both)
    return text + (f"; the bytes allocated in total differ in {passing}" if passing else "")


def _counted(changes: Sequence[Change], margin: float) -> str:
    """The number of variants by outcome."""
    counts = {word: sum(each.outcome == word for each in changes if each.has_outcome) for word in OUTCOMES}
    within = f" within {format.percent(margin)}"
    judged = [word for word in OUTCOMES if counts[word] or word in ("slower", "faster")]
    return ", ".join(f"{counts[word]} {word}" + (within if word == "same" else "") for word in judged)


def _worse(changes: Sequence[Change]) -> list[str]:
    """A sentence for each way in which variants are worse or missing, with their names."""
    ways = {
        "Slower": [
            (each, f", {format.ratio_with_ends(each.change)} times as long as before")
            for each in changes
            if each.outcome == "slower"
        ],
        "Larger": [(each, grown(each)) for each in changes if each.larger],
        "Fails": [(each, "") for each in changes if each.outcome == "fails"],
        "Fails in some passes": [(each, "") for each in changes if each.failing and each.outcome != "fails"],
        "No longer timed": [(each, "") for each in changes if each.worse and each.outcome == "not timed"],
        "No longer measured": [
            (each, "") for each in changes if each.worse and each.outcome == "gone" and each.asked
        ],
        "Bytes no longer known": [
            (each, f" ({', '.join(each.lost)})") for each in changes if each.lost and not each.by_chance
        ],
    }
    return _named(ways)


def _named(ways: dict[str, list[tuple[Change, str]]]) -> list[str]:
    lines = []
    for way, found in ways.items():
        named = [f"{each.comparison.id} {each.variant.name}{figures}" for each, figures in found]
        if named:
            more = f"; and {len(named) - MOST_NAMED} more" if len(named) > MOST_NAMED else ""
            lines.append(f"{way}: {'; '.join(named[:MOST_NAMED])}{more}.")
    return lines


def grown(change: Change) -> str:
    """The figures of bytes that grew; for other code only those of held bytes."""
    found = [each for each in change.judged or () if each.after > each.before and each.figure != COUNT]
    return f", {in_words(found)}"


def _of_other_code(changes: Sequence[Change]) -> list[str]:
    """For code that changed: the work that its seconds are relative to."""
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
            f"The file changed, and its baseline with it: gradbench compares seconds, relative to {relative} "
            "in the new run. Slower and faster are beyond the margin and beyond that factor."
        )
    else:
        lines.append(
            "The file changed, and its baseline with it: gradbench compares seconds in that case, and needs "
            "two passes of both runs."
        )
    lines.append(
        "Times of two runs include the drift of the machine between them. `gradbench model OLD.py NEW.py` "
        "measures both files in turns."
    )
    return lines


def _moved(changes: Sequence[Change]) -> list[str]:
    """The comparisons with several variants in which all variants became slower, or all faster."""
    by_id: dict[str, set[str]] = {}
    counts: dict[str, int] = {}
    for each in changes:
        if each.change is not None and each.basis == "ratio":
            by_id.setdefault(each.comparison.id, set()).add(each.outcome)
            counts[each.comparison.id] = counts.get(each.comparison.id, 0) + 1
    return [id for id, found in by_id.items() if counts[id] > 1 and found in ({"slower"}, {"faster"})]
