"""A table for a reader: as text, as HTML for a notebook, and as a DataFrame of pandas."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

# A table sets no colours, so that it reads on light and on dark paper. On a page without a doctype a table
# inherits a colour only with `color: inherit`.
_LINE = "1px solid rgba(128, 128, 128, 0.45)"
_CELL = "padding: 0.2em 0.8em; background: transparent; color: inherit;"


class Table(msgspec.Struct, frozen=True):
    """Rows of cells under their heads.

    Attributes:
        title: the result in a sentence; empty for none.
        heads: of the columns; the first column has the rows' names.
        rows: of cells, as many as there are heads.
        words: places of the columns with words, which begin at the left; figures end at the right.
        notes: sentences under the table that a reader needs.
    """

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: frozenset[int] = frozenset({0})
    notes: tuple[str, ...] = ()

    def as_text(self) -> str:
        """The table in columns, without colours."""
        lines = [self.heads, *self.rows]
        widths = [max(len(line[column]) for line in lines) for column in range(len(self.heads))]
        text = [
            "  ".join(
                cell.ljust(width) if column in self.words else cell.rjust(width)
                for column, (cell, width) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
            for line in lines
        ]
        return "\n".join([*filter(None, [self.title]), *text, *self.notes])

    def as_html(self) -> str:
        """The table as HTML, in the colours of its page."""
        head = "".join(
            f'<th scope="col" style="{self._style(column)} border-bottom: {_LINE};">{html.escape(each)}</th>'
            for column, each in enumerate(self.heads)
        )
        body = "".join(
            "<tr>"
            + "".join(f'<td style="{self._style(column)}">{html.escape(each)}</td>'
                      for column, each in enumerate(row))
            + "</tr>"
            for row in self.rows
        )  # fmt: skip
        notes = "".join(f"<br>{html.escape(each)}" for each in self.notes).removeprefix("<br>")
        return (
            '<div style="color: inherit;">'
            + (f"<p>{html.escape(self.title)}</p>" if self.title else "")
            + f'<table style="color: inherit; border-collapse: collapse; border-bottom: {_LINE};">'
            + f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
            + (f'<p style="font-size: 85%; opacity: 0.8;">{notes}</p>' if notes else "")
            + "</div>"
        )

    def _style(self, column: int) -> str:
        return f"{_CELL} text-align: {'left' if column in self.words else 'right'};"


class Shown:
    """A result with a `table`: a notebook shows it as HTML, a terminal as text."""

    __slots__ = ()

    @property
    def table(self) -> Table:
        raise NotImplementedError

    def __str__(self) -> str:
        return self.table.as_text()

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return self.table.as_html()


def frame(
    rows: Sequence[Mapping[str, object]],
    columns: Sequence[str],
    numbers: Sequence[str] = (),
    whole: Sequence[str] = (),
) -> Any:
    """A DataFrame of pandas with these columns; `numbers` and `whole` name those with numbers.

    Raises ImportError, in one line, where pandas is not installed.
    """
    try:
        import pandas
    except ImportError:
        raise ImportError("to_pandas() needs pandas, which is not installed: pip install pandas") from None
    made = pandas.DataFrame([dict(row) for row in rows], columns=list(columns))
    # pandas would make floats of a column with gaps, and objects of an empty column.
    return made.astype({**dict.fromkeys(numbers, "float64"), **dict.fromkeys(whole, "Int64")})
