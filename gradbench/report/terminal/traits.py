"""The characteristics of the methods, and the answers of the other probes, for a terminal."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from gradbench import format
from gradbench.analyse.traits import TABLES, answers, characteristics
from gradbench.record.observation import Observation

if TYPE_CHECKING:
    from rich.table import Table

# Heads and words that are short enough for a line per method, by those of TABLES and RULES.
SHORT = {
    "persistence": "lasts",
    "scope": "reach",
    "reversibility": "undone by",
    "new storage, at 1,000,000 elements": "bytes at 1M",
    "kept by the graph": "graph keeps",
    "additional objects": "new objects",
    "a write through it": "a write through",
    "a result computed under it": "its results",
    "a view made under it": "its views",
    "a graph made before": "earlier graph",
    "used on a result that was recorded": "recorded input",
    "nothing is switched off": "no effect",
    "until grad mode is switched back": "until switched back",
    "until the block is left": "inside its block",
    "as long as the new tensor lives": "with the new tensor",
    "as long as the new tensor lives; the work before it is recorded": "with the new tensor",
    "the new tensor, made of the result": "the result",
    "all operations inside, in this thread": "its thread",
    "all operations inside, in threads started there too": "threads started inside",
    "by requires_grad_(True) on the same tensor": "requires_grad_(True)",
    "by itself; inside by enable_grad()": "itself, enable_grad()",
    "by itself; not inside by enable_grad()": "itself only",
    "x was never cut off; the new tensor only as a leaf of its own": "new tensor: as a leaf",
    "x was never cut off; the result only as a leaf of its own": "result: as a leaf",
    "shows in x; backward refuses": "backward raises",
    "shows in x, unnoticed: wrong gradient": "wrong gradient!",
    "does not reach x": "stays out of x",
    "with history": "recorded",
    "ordinary, without history": "not recorded",
    "inference tensor: no backward, no write, no tracking; its clone can be tracked": "inference tensors",
    "gradient reaches x; refuses a write": "grad, no write",
    "requires_grad, but no gradient reaches x; refuses a write": "no grad, no write",
    "not tracked; a write shows in x": "a write reaches x",
    "not tracked; a write does not reach x": "a write stays out",
    "x gets no gradient from it": "no x.grad",
    "no backward inside": "no backward",
    "accepted; its origin keeps its gradient": "accepted",
}


def as_text(
    observations: Sequence[Observation], label: Callable[[str], str], width: int = 100, verbose: bool = False
) -> str:
    """The characteristics of each method in tables with a line per method.

    `label` says how a method is shown, by its name. `verbose` has the full words, and the answers of the
    probes that concern no method.
    """
    from rich.console import Console
    from rich.table import Column, Table

    text = io.StringIO()
    console = Console(file=text, width=width, highlight=False, markup=False)
    rows, found = characteristics(observations), answers(observations)
    words: Callable[[str], str] = str if verbose else _short
    for title, columns in TABLES:
        method = Column("method", overflow="fold")
        table = _plain(Table(method, *(words(head) for _, head in columns), title=title), verbose)
        for row in rows:
            name = label(row.method)
            # Every label of torch's has room in a line without the name of the module.
            name = name if verbose else name.replace("torch.", "")
            table.add_row(name, *(words(getattr(row, trait) or "—") for trait, _ in columns))
        if rows:
            console.print(table)
    if found and not (rows and not verbose):
        table = _plain(Table("question", "observed", title="Beside the methods"), verbose)
        for each in found:
            table.add_row(each.question, "\n".join(each.observed))
        console.print(table)
    elif found:
        count = format.counted(len(found), "more observation")
        console.print(f"--verbose has the full words, and {count} of no single method.")
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines()).rstrip()


def _plain(table: Table, verbose: bool) -> Table:
    """A table with a line per row and none between columns; with lines where cells have several."""
    table.title_justify = "left"
    if not verbose:
        table.box, table.padding, table.title_style = None, (0, 2, 0, 0), "bold"
    return table


def _short(words: str) -> str:
    """A cell in a few words; the cell as it is where there are none for it."""
    objects = re.fullmatch(r"inside: (.*); kept: (.*)", words)
    if not objects:
        return SHORT.get(words, words)
    inside, kept = objects.groups()
    # The kind of the objects is written once.
    rest = kept.split()[0] if kept.split()[1:] == inside.split()[1:] else kept
    parts = ((inside, "inside"), (rest, "kept"))
    return ", ".join(f"{count} {where}" for count, where in parts if count != "none")
