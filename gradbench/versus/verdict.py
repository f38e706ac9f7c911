"""The answer of a trial on a terminal: whether B is worse, by how much, and whether the trial was fair."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from gradbench import format
from gradbench.versus.judge import INSTALLATION, Judged, VariantOutcome

# Longer code has no place in a sentence.
_MOST_CODE = 60
# By figure of memory, the one that matters most first: the words for more bytes of it.
_MORE = {
    "left": "leaves {} more after every call",
    "peak": "has a peak {} higher",
    "saved": "keeps {} more for the backward",
    "graph": "keeps {} more in its graph",
    "retained": "keeps {} more with its result",
    "allocated": "allocates {} more",
}


def verdict(judged: Judged) -> str:
    """Whether B is slower, larger or broken, and what is the same or not decided where it is not."""
    timed = [each for each in judged.variants if each.ratio is not None]
    slower = [each for each in judged.variants if each.outcome == "slower"]
    larger = [each for each in judged.variants if each.larger]
    broken = [each for each in judged.variants if each.broken]
    if slower:
        return f"Slower: {_slower(slower, larger, len(judged.variants))}{_fails(broken)}."
    open_ = [each for each in timed if each.outcome == "cannot tell"]
    times = _times(judged, timed, open_)
    if timed:
        times = f"{'Not decided' if open_ else 'Not slower'}: {times}"
    if broken:
        return f"Worse: B fails in {_named(broken)}, where A does not. {times}"
    if larger:
        return f"Larger: {_larger(larger)}. {times}"
    return times


def _slower(slower: Sequence[VariantOutcome], larger: Sequence[VariantOutcome], of: int) -> str:
    worst = max(slower, key=lambda each: each.ratio.mean if each.ratio else 0.0)
    said = f"{_name(worst)} takes {_times_as_long(worst)}"
    if len(slower) > 1:
        said = f"{len(slower):,} of {format.counted(of, 'variant')}; {said}, the largest difference"
    others = [each for each in larger if each is not worst]
    if worst.larger:
        said += f", and {_grown(worst)}"
    if others:
        said += f"; B also has more bytes in {_named(others)}"
    return said


def _larger(larger: Sequence[VariantOutcome]) -> str:
    if len(larger) == 1:
        return f"{_name(larger[0])} {_grown(larger[0])} in B"
    return f"B has more bytes in {_named(larger)}"


def _fails(broken: Sequence[VariantOutcome]) -> str:
    return f"; B fails in {_named(broken)}, where A does not" if broken else ""


def _times(judged: Judged, timed: Sequence[VariantOutcome], open_: Sequence[VariantOutcome]) -> str:
    """The times of a trial in which no variant is slower."""
    if not timed:
        return "No variant was timed on both sides."
    if len(timed) == 1:
        return f"{_name(timed[0])} takes {_times_as_long(timed[0])}."
    margin = format.percent(judged.trial.header.options.margin)
    counts = {
        "is faster in B": sum(each.outcome == "faster" for each in timed),
        f"takes as long in B as in A, within {margin}": sum(each.outcome == "same" for each in timed),
        "is open": len(open_),
    }
    said = []
    for words, count in counts.items():
        if count:
            verb, rest = words.split(" ", 1)
            verb = verb if count == 1 else {"is": "are", "takes": "take"}[verb]
            said.append(f"{format.counted(count, 'variant')} {verb} {rest}")
    return f"{'; '.join(said)}."


def _times_as_long(each: VariantOutcome) -> str:
    ratio = each.ratio
    assert ratio is not None
    mean, ends = format.short_ratio(ratio)
    ends = ends or f" ({format.counted(ratio.count, 'pair')}, no interval)"
    return f"{mean} times as long in B as in A{ends}"


def _grown(each: VariantOutcome) -> str:
    """By how many bytes B is larger, in the two figures that matter most."""
    grown = {one.figure: one.after - one.before for one in each.memory or () if one.after > one.before}
    said = [words.format(format.size(grown[figure])) for figure, words in _MORE.items() if figure in grown]
    return " and ".join(said[:2])


def _named(found: Sequence[VariantOutcome]) -> str:
    return _name(found[0]) if len(found) == 1 else format.counted(len(found), "variant")


def _name(each: VariantOutcome) -> str:
    """The name of a variant, or the code of the user's statement."""
    if each.comparison.numel:
        return where(each)
    code = each.variant.statement.strip()
    return code if "\n" not in code and len(code) <= _MOST_CODE else "the statement"


def where(each: VariantOutcome) -> str:
    """The names of a comparison and its variant."""
    if not each.comparison.numel:
        return each.variant.name
    return f"{each.comparison.name} {format.count(each.comparison.numel)} {each.variant.name}"


def longer(judged: Judged) -> str:
    """The command that measures the same sides again for twice the time; empty where nothing is open."""
    header = judged.trial.header
    try:
        words = shlex.split(header.command)
    except ValueError:
        return ""
    if words[:2] != ["gradbench", "versus"] or all(each.outcome != "cannot tell" for each in judged.variants):
        return ""
    kept: list[str] = []
    rest = iter(words)
    for word in rest:
        option, equals, _ = word.partition("=")
        # A trial needs a new folder.
        if option in ("--output", "--budget"):
            if not equals:
                next(rest, None)
        else:
            kept.append(word)
    twice = ["--budget", f"{2 * header.options.budget:g}"]
    return shlex.join([*kept[:2], *twice, *kept[2:]])


def fairness(judged: Judged) -> str:
    """A sentence on the calibration task; empty where it was not timed."""
    task = judged.calibration_task
    if task is None:
        return ""
    said = f"Control: the same work took {format.ratio_with_ends(task)} times as long on B as on A"
    if not judged.trial.header.pinned:
        said += (
            ". The two processes of a pair were not bound to one processor, so the ratios above are relative "
            "to that control."
        )
    elif task.low is None or task.high is None:
        said += ". One pair shows no interval."
    elif task.low <= 1 <= task.high:
        said += ", so the machine favoured neither side."
    else:
        said += ", so the machine or the installation favoured one side by so much."
    return said + installations(judged)


def installations(judged: Judged) -> str:
    """A sentence on the difference of identical installations; empty where both sides are one."""
    if judged.trial.header.one_installation:
        return ""
    return (
        " The sides are two installations. Identical installations differ by "
        f"{format.percent(INSTALLATION)} (standard deviation). Every interval includes this difference, "
        "and more pairs do not lessen it."
    )
