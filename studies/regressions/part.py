"""The findings on one tool, as the page shows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Table:
    """A table: its caption, the heads of its columns, and its cells; the first column is of names."""

    caption: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


@dataclass(frozen=True)
class Part:
    """A tool's part of the page.

    Attributes:
        name: of its section, and of its data.
        about: paragraphs on the trials.
        alarms: the tool's report on a change: a title, and lines.
    """

    name: str
    title: str
    about: list[str]
    tables: list[Table]
    alarms: list[tuple[str, list[str]]] = field(default_factory=list)
