"""A table of a report, for the page and for pictures."""

from __future__ import annotations

from dataclasses import dataclass

from gradbench.record.plan import Comparison


@dataclass(frozen=True)
class Table:
    """A table on the page, and in pictures.

    Attributes:
        name: short, for files.
        title: for a table of the guide, the guide's name for it.
        columns: their heads; the first column has the rows' names.
        rows: cells, as many as there are columns.
        note: how to read it.
        places: by column its comparison, None where it has none; empty for a table without comparisons.
        sizes: by row its class of size; empty for a table whose rows are methods.
    """

    name: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str
    places: tuple[Comparison | None, ...] = ()
    sizes: tuple[str, ...] = ()

    @property
    def by_size(self) -> bool:
        """Whether every figure belongs to a size: without sizes nothing is left to show."""
        return bool(self.sizes) or (bool(self.places) and None not in self.places[1:])
