"""The characteristics of the methods, and what the other probes saw, for a terminal."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence

from gradbench.analyse.traits import TABLES, answers, characteristics
from gradbench.record.observation import Observation


def as_text(observations: Sequence[Observation], label: Callable[[str], str]) -> str:
    """The tables for a terminal: the characteristics of each method, then what the other probes saw.

    `label` says how a method is shown, by its name.
    """
    from rich.console import Console
    from rich.table import Column, Table

    text = io.StringIO()
    console = Console(file=text, width=110, highlight=False, markup=False)
    rows = characteristics(observations)
    for title, columns in TABLES:
        method = Column("method", overflow="fold")
        table = Table(method, *(head for _, head in columns), title=title, title_justify="left")
        for row in rows:
            table.add_row(label(row.method), *(getattr(row, trait) or "—" for trait, _ in columns))
        if rows:
            console.print(table)
    found = answers(observations)
    if found:
        table = Table("question", "observed", title="Beside the methods", title_justify="left")
        for each in found:
            table.add_row(each.question, "\n".join(each.observed))
        console.print(table)
    return text.getvalue().rstrip()
