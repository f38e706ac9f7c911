"""The part of one tool on the page: its score, its tables and its alarms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Table:
    """A table: its caption, the heads of its columns, and its cells. The first column holds names."""

    caption: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


@dataclass(frozen=True)
class Score:
    """The reports of a tool that were right, and those that were wrong.

    Attributes:
        found, changes: changes that the tool reported where they were made, and all changes.
        alarms, identical: identical pairs of commits with an alarm, and all identical pairs.
    """

    found: int
    changes: int
    alarms: int
    identical: int


@dataclass(frozen=True)
class Point:
    """One pair of commits in the figure.

    Attributes:
        kind: of the second commit: identical or slower.
        ratio: of the figure that the change makes worse: the second commit ÷ the first.
        reported: whether the tool called this figure different.
    """

    kind: str
    ratio: float
    reported: bool


@dataclass(frozen=True)
class Part:
    """A tool's part of the page.

    Attributes:
        name: of its section, and of its data.
        about: how the trials were made, in paragraphs.
        alarms: the tool's report of a change: a title, and lines.
        evidence: how far identical commits differed, in a sentence; empty where that is not known.
        points: the pairs of commits with a known figure of the backward through Square.
    """

    name: str
    title: str
    about: list[str]
    tables: list[Table]
    score: Score
    alarms: list[tuple[str, list[str]]] = field(default_factory=list)
    evidence: str = ""
    points: list[Point] = field(default_factory=list)
