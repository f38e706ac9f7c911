"""What a table of a report is, wherever it is shown."""

from __future__ import annotations

from dataclasses import dataclass

from gradbench.record.plan import Comparison


@dataclass(frozen=True)
class Table:
    """A table on the page, and in pictures.

    Attributes:
        name: short, for files.
        title: of a table of the guide, as the guide names it.
        columns: their heads; the first is that of the rows' names.
        rows: cells, as many as there are columns.
        note: how to read it.
        places: by column the comparison that it is of, None where it is of none; empty for a table without.
        sizes: by row the class of size that it is of; empty for a table whose rows are methods.
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
        """Whether everything in it belongs to a size: nothing is left where none is wanted."""
        return bool(self.sizes) or (bool(self.places) and None not in self.places[1:])
