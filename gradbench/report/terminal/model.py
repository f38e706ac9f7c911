"""The first screen of a user's model, in a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

from gradbench import format
from gradbench.analyse.screen import ModelScreen
from gradbench.analyse.screen_savings import Saving

# Left of what is told stands what it is about.
_MARGIN = 13
# The modules that the first screen names, of all.
MODULES = 4
# The changes that it shows.
SAVINGS = 8


def first_screen(screen: ModelScreen, width: int, every_module: bool = False) -> str:
    """The screen in lines of this width; with `every_module` the whole table of what modules keep."""
    lines = _head(screen, width)
    lines += _group("Watch out", [_fault(each.sentence, each.line) for each in screen.faults], width)
    lines += _group("Evaluation", screen.evaluation, width)
    lines += _group("Training", screen.training, width)
    lines += _group("Memory", [*screen.memory, *_largest(screen, every_module)], width)
    if screen.savings:
        lines += _saving_lines(screen, width)
    lines += _group("Batch", screen.batches, width)
    lines += _group("Trust", [screen.trust], width)
    if every_module:
        lines += ["", *_table(screen)]
    return "\n".join(lines)


def _head(screen: ModelScreen, width: int) -> list[str]:
    left, right = f"{screen.name}: {screen.facts}", screen.measured
    if len(left) + len(right) + 2 <= width:
        return [left + right.rjust(width - len(left)), ""]
    return [*textwrap.wrap(f"{left} ({right})", width, subsequent_indent="  "), ""]


def _group(name: str, sentences: Iterable[str], width: int) -> list[str]:
    """Sentences in a column of their own, the name beside the first."""
    lines: list[str] = []
    for each in sentences:
        lines += textwrap.wrap(each, width - _MARGIN, break_on_hyphens=False)
    heads = [name, *[""] * len(lines)]
    return [f"{head:<{_MARGIN}}{line}" for head, line in zip(heads, lines, strict=False)]


def _fault(sentence: str, line: str) -> str:
    return f"{line + ': ' if line else ''}{sentence[:1] if line else sentence[:1].upper()}{sentence[1:]}."


def _largest(screen: ModelScreen, every_module: bool) -> list[str]:
    """The modules that keep most, in a line."""
    known = [each for each in screen.modules if each.activations]
    if not known or every_module:
        return []
    named = " · ".join(f"{each.name}: {format.size(each.activations)}" for each in known[:MODULES])
    more = len(known) - MODULES
    return [named + (f" · … ({more} more: --modules)" if more > 0 else "")]


def _saving_lines(screen: ModelScreen, width: int) -> list[str]:
    fit = f", to fit into {format.size(screen.fit)}" if screen.fit is not None else ""
    rows = screen.savings[:SAVINGS]
    label = max(len(each.label) for each in rows)
    peak = max(len(_peak(each)) for each in rows)
    time = max(len(each.time_in_words) for each in rows)
    head = f"What would save (measured{fit})"
    lines = [f"{head:<{label + 4}}  {'peak':<{peak}}  {'step, times':<{time}}  what it changes"]
    for each in rows:
        line = f"  {each.mark} {each.label:<{label}}  {_peak(each):<{peak}}  {each.time_in_words:<{time}}"
        if len(line) + len(each.effect) + 2 <= width:
            lines.append(f"{line}  {each.effect}")
        else:
            lines += [
                line.rstrip(),
                *textwrap.wrap(each.effect, width, initial_indent=" " * 6, subsequent_indent=" " * 6),
            ]
    more = len(screen.savings) - SAVINGS
    if more > 0:
        lines.append(f"    {more} more in the report")
    if screen.left_out:
        names = "; ".join(each.partition(":")[0] for each in screen.left_out)
        lines += textwrap.wrap(
            f"not measured, for reasons that the report has: {names}",
            width,
            initial_indent="    ",
            subsequent_indent="    ",
        )
    return lines


def _peak(saving: Saving) -> str:
    return f"{format.size(saving.before)} → {format.size(saving.after)}"


def _table(screen: ModelScreen) -> list[str]:
    """What each module keeps for the backward; the rows add up to what is saved."""
    name = max((len(each.name) for each in screen.modules), default=6)
    lines = [f"{'module':<{name}}  {'activations':>11}  {'there anyway':>12}  largest"]
    for each in screen.modules:
        largest = each.calls[0]
        shape = "×".join(str(length) for length in largest.shape)
        where = f"  {largest.line}" if largest.line else ""
        lines.append(
            f"{each.name:<{name}}  {format.size(each.activations):>11}  {format.size(each.others):>12}  "
            f"{largest.operator} {shape}{where}"
        )
    return [*lines, f"{'all':<{name}}  {format.size(screen.kept):>11}, activations and what is there anyway"]
