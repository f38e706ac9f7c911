"""The first screen of a user's model, in a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence

from gradbench import format
from gradbench.analyse.screen import ModelScreen
from gradbench.analyse.screen_savings import Saving

# The column of the names of groups is so wide.
_MARGIN = 13
# The modules that the first screen names, of all.
MODULES = 4
# The changes that it shows.
SAVINGS = 8
# The warnings that it shows.
WARNINGS = 2
# The indent of a row that goes on in the next line.
_INDENT = " " * 6


def first_screen(screen: ModelScreen, width: int, every_module: bool = False) -> str:
    """The screen in lines of this width, of 60 at least; with `every_module` the table of all modules."""
    lines = _head(screen, width)
    lines += _group("Watch out", [each.words for each in screen.faults], width)
    lines += _group("Evaluation", screen.evaluation, width)
    lines += _group("Training", screen.training, width)
    lines += _group("Memory", [*screen.memory, *_largest(screen, every_module)], width)
    lines += _saving_lines(screen, width)
    lines += _group("Batch", screen.batches, width)
    lines += _group("Trust", [screen.trust], width)
    lines += _group("Mind", _warnings(screen), width)
    if every_module:
        lines += ["", *_table(screen, width)]
    return "\n".join(lines)


def _head(screen: ModelScreen, width: int) -> list[str]:
    left, right = f"{screen.name}: {screen.facts}", screen.measured
    if len(left) + len(right) + 2 <= width:
        return [left + right.rjust(width - len(left)), ""]
    return [*textwrap.wrap(f"{left} ({right})", width, subsequent_indent="  "), ""]


def _group(name: str, sentences: Iterable[str], width: int) -> list[str]:
    """Sentences in a column, with the name of the group beside the first."""
    lines: list[str] = []
    for each in sentences:
        lines += textwrap.wrap(each, width - _MARGIN, break_on_hyphens=False)
    heads = [name, *[""] * len(lines)]
    return [f"{head:<{_MARGIN}}{line}" for head, line in zip(heads, lines, strict=False)]


def _warnings(screen: ModelScreen) -> list[str]:
    """The first warnings, and how many more there are."""
    more = len(screen.mind) - WARNINGS
    return [*screen.mind[:WARNINGS], *([f"{more} more in the report."] if more > 0 else [])]


def _largest(screen: ModelScreen, every_module: bool) -> list[str]:
    """The modules that keep most, in a line."""
    known = [each for each in screen.modules if each.activations]
    if not known or every_module:
        return []
    named = " · ".join(f"{each.name}: {format.size(each.activations)}" for each in known[:MODULES])
    more = len(known) - MODULES
    return [named + (f" · … ({more} more: --modules)" if more > 0 else "")]


def _saving_lines(screen: ModelScreen, width: int) -> list[str]:
    """A row for each change; what does not fit beside its label stands below it."""
    rows = screen.savings[:SAVINGS]
    lines = _saving_rows(rows, screen.fit, width) if rows else []
    more = len(screen.savings) - SAVINGS
    if more > 0:
        lines.append(f"    {more} more in the report")
    if screen.left_out:
        names = "; ".join(each.partition(":")[0] for each in screen.left_out)
        unknown = f"not known, for reasons in the report: {names}"
        if rows:
            lines += _indented(unknown, width, " " * 4)
        else:
            lines += _group("Would save", [f"N{unknown[1:]}"], width)
    return lines


def _saving_rows(rows: Sequence[Saving], fit: int | None, width: int) -> list[str]:
    label = max(len(each.label) for each in rows)
    peak = max(len(_peak(each)) for each in rows)
    time = max(len(each.time_in_words) for each in rows)
    head = f"Savings (measured{f', to fit into {format.size(fit)}' if fit is not None else ''})"
    columns = max(label + 4, len(head)), peak, time
    table = sum(columns) + 4 <= width
    if table:
        first = f"{head:<{columns[0]}}  {'peak':<{peak}}  {'step, times':<{time}}  what it changes"
        lines = [first if len(first) <= width else first.removesuffix("  what it changes").rstrip()]
    else:
        lines = textwrap.wrap(f"{head}: peak; step, times; what it changes", width, subsequent_indent="  ")
    for each in rows:
        marked = f"  {each.mark} {each.label}"
        line = f"{marked:<{columns[0]}}  {_peak(each):<{peak}}  {each.time_in_words:<{time}}"
        if table and len(line) + len(each.effect) + 2 <= width:
            lines.append(f"{line}  {each.effect}")
        elif table:
            lines += [line.rstrip(), *_indented(each.effect, width)]
        else:
            lines += textwrap.wrap(marked, width, subsequent_indent=_INDENT, drop_whitespace=True)
            lines += _indented(f"{_peak(each)}; {each.time_in_words}; {each.effect}", width)
    return lines


def _indented(text: str, width: int, indent: str = _INDENT) -> list[str]:
    return textwrap.wrap(text, width, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False)


def _peak(saving: Saving) -> str:
    return f"{format.size(saving.before)} → {format.size(saving.after)}"


def _table(screen: ModelScreen, width: int) -> list[str]:
    """The bytes that each module keeps for the backward; the rows add up to all saved bytes."""
    longest = max([*(len(each.name) for each in screen.modules), 6])
    # Beside the names stand two columns of figures.
    name = min(longest, width - 29)
    rows = [("module", "activations", "there anyway", "largest")]
    for each in screen.modules:
        kept = each.calls[0]
        shape = "×".join(str(length) for length in kept.shape)
        where = f"  {kept.line}" if kept.line else ""
        sizes = format.size(each.activations), format.size(each.others)
        rows.append((_end_of(each.name, name), *sizes, f"{kept.operator} {shape}{where}"))
    activations = sum(each.activations for each in screen.modules)
    rows.append(
        ("all", format.size(activations), format.size(sum(each.others for each in screen.modules)), "")
    )
    beside = all(name + 31 + len(largest) <= width for *_, largest in rows)
    lines = []
    for called, activation, there, largest in rows:
        line = f"{called:<{name}}  {activation:>11}  {there:>12}"
        lines.append(f"{line}  {largest}".rstrip() if beside else line)
        lines += _indented(largest, width, "    ") if not beside else []
    return lines


def _end_of(name: str, width: int) -> str:
    """A name, or its end where it is too long: the end tells modules apart."""
    return name if len(name) <= width else f"…{name[len(name) - width + 1 :]}"
