"""The answer of a comparison of two runs: whether the new run is worse, and which variants changed."""

from __future__ import annotations

from collections.abc import Sequence

from gradbench import format
from gradbench.analyse.compare import Change, Compared
from gradbench.analyse.compare_sentences import grown
from gradbench.analyse.memory_difference import COUNT, in_words, smaller

# A terminal shows at most this many variants that changed; the whole table has the rest.
MOST_SHOWN = 12

# By figure of memory: the words for the bytes that a variant has more of.
_MORE = {
    "left": "each {call} now leaves {size}{more}",
    "peak": "the peak is {size} higher",
    "retained": "the result keeps {size} more",
    "graph": "the graph keeps {size} more",
    "saved": "the backward keeps {size} more",
    "allocated": "a call allocates {size} more",
}


def answer(compared: Compared) -> str:
    """One sentence on whether the new run is worse, and one on the times."""
    changes = compared.changes
    if compared.worse:
        said = f"Worse: {'; '.join(_worse(changes))}."
    else:
        said = f"Not worse: {_better(changes) or 'no variant is shown to be slower, larger or missing'}."
    if all(each.memory is None for each in changes):
        said += " Memory is not known."
    return f"{said} {_times(compared)}".rstrip()


def _worse(changes: Sequence[Change]) -> list[str]:
    slower = [each for each in changes if each.outcome == "slower"]
    said = []
    if slower:
        worst = max(slower, key=lambda each: each.change.mean if each.change else 0.0)
        most = f"{_name(worst)} takes {_times_as_long(worst)}"
        said.append(
            most if len(slower) == 1 else f"{len(slower):,} variants are slower; {most}, the largest change"
        )
    said += _larger([each for each in changes if each.larger])
    counts = {
        "fails now": [each for each in changes if each.outcome == "fails"],
        "fails in some passes": [each for each in changes if each.failing and each.outcome != "fails"],
        "has no time any more": [each for each in changes if each.worse and each.outcome == "not timed"],
        "is not measured any more": [
            each for each in changes if each.worse and each.outcome == "gone" and each.asked
        ],
        "has unknown bytes now": [each for each in changes if each.lost and not each.by_chance],
    }
    for words, found in counts.items():
        if len(found) == 1:
            said.append(f"{_name(found[0])} {words}")
        elif found:
            verb, rest = words.split(" ", 1)
            plural = {"fails": "fail", "has": "have", "is": "are"}[verb]
            said.append(f"{len(found):,} variants {plural} {rest}")
    return said


def _larger(changes: Sequence[Change]) -> list[str]:
    """The figures of memory that grew, by how much, and in how many variants."""
    said = []
    for figure, words in _MORE.items():
        found = [
            (each, one)
            for each in changes
            for one in each.judged or ()
            if one.figure == figure and one.after > one.before
        ]
        if not found:
            continue
        growths = {one.after - one.before for _, one in found}
        ends = dict.fromkeys(format.size(each) for each in (min(growths), max(growths)))
        text = words.format(
            size=" to ".join(ends),
            more=" more" if any(one.before for _, one in found) else "",
            # The calls of the other parts are parts of a step.
            call="step" if any(each.comparison.part == "step" for each, _ in found) else "call",
        )
        where = _name(found[0][0]) if len(found) == 1 else f"{len(found):,} variants"
        said.append(f"{text} ({where})")
    return said


def _better(changes: Sequence[Change]) -> str:
    faster = sum(each.outcome == "faster" for each in changes)
    less = sum(smaller(each.judged) for each in changes)
    said = [
        f"{format.counted(count, 'variant')} {'is' if count == 1 else 'are'} {word}"
        for count, word in ((faster, "faster"), (less, "smaller"))
        if count
    ]
    return ", and ".join(said)


def _times(compared: Compared) -> str:
    """How many variants have each outcome in time; empty where no time was compared."""
    within = f"the same within {format.percent(compared.margin)}"
    words = {"slower": "slower", "faster": "faster", "same": within, "cannot tell": "not decided"}
    said = []
    for outcome, word in words.items():
        count = sum(each.outcome == outcome for each in compared.changes if each.has_outcome)
        if count:
            said.append(f"{count:,} {word}")
    return f"Times: {', '.join(said)}." if said else ""


def changed(compared: Compared) -> list[str]:
    """A line for each variant that changed, the worse ones first: its name, and how it changed."""
    found = [
        each for each in compared.changes if each.worse or each.outcome == "faster" or smaller(each.judged)
    ]
    found.sort(key=lambda each: not each.worse)
    lines = [f"{_name(each)}: {_how(each)}" for each in found[:MOST_SHOWN]]
    if len(found) > MOST_SHOWN:
        lines.append(f"{len(found) - MOST_SHOWN:,} more variants changed; --verbose shows them")
    return lines


def _how(change: Change) -> str:
    said = []
    if change.outcome in ("slower", "faster"):
        said.append(f"{change.outcome}, {_times_as_long(change)}")
    elif change.outcome in _MISSING:
        said.append(_MISSING[change.outcome])
    elif change.failing:
        said.append("fails in some passes")
    if change.larger:
        said.append(f"larger{grown(change)}")
    elif smaller(change.judged):
        said.append(f"smaller, {in_words(each for each in change.judged or () if each.figure != COUNT)}")
    if change.lost:
        said.append(f"bytes not known any more: {', '.join(change.lost)}")
    return "; ".join(said)


_MISSING = {"gone": "gone: not measured any more", "not timed": "no time any more", "fails": "fails now"}


def _times_as_long(change: Change) -> str:
    assert change.change is not None
    mean, ends = format.short_ratio(change.change)
    return f"{mean} times as long as before{ends}"


def _name(change: Change) -> str:
    return f"{change.comparison.id} {change.variant.name}"
