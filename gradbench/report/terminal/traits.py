"""The characteristics of the methods, and what the other probes saw, for a terminal."""

from __future__ import annotations

import io
from collections.abc import Sequence

from gradbench.analyse.traits import TABLES, characteristics, in_words
from gradbench.record.observation import Observation


def as_text(observations: Sequence[Observation]) -> str:
    """The tables for a terminal: the characteristics of each method, then what the other probes saw."""
    from rich.console import Console
    from rich.table import Column, Table

    text = io.StringIO()
    console = Console(file=text, width=110, highlight=False, markup=False)
    rows = characteristics(observations)
    labels = {each.method: each.label or each.method for each in observations}
    for title, columns in TABLES:
        method = Column("method", overflow="fold")
        table = Table(method, *(head for _, head in columns), title=title, title_justify="left")
        for row in rows:
            table.add_row(labels[row.method], *(getattr(row, trait) or "—" for trait, _ in columns))
        if rows:
            console.print(table)
    general = [each for each in observations if not each.method]
    if general:
        table = Table("question", "observed", title="Beside the methods", title_justify="left")
        for each in general:
            table.add_row(each.question, each.error or "\n".join(in_words(each)))
        console.print(table)
    return text.getvalue().rstrip()
