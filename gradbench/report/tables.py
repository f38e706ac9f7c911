"""A table as a picture: columns fit their cells, long cells have several lines, nothing is clipped."""

from __future__ import annotations

import functools
import itertools
import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from gradbench.format import UNKNOWN
from gradbench.report.drawing import Theme

# Multiples of the size of the text: from line to line, between columns, and above and below a row.
_LEADING, _GAP, _PAD = 1.3, 1.3, 0.5
# The largest and the smallest text, as multiples of the theme's text, and the step between sizes.
_LARGEST, _SMALLEST, _STEP = 1.35, 0.5, 0.95
# A cell has at most this many lines.
_MOST = 12
# Spaces that keep a line together: a number and its unit, an interval, an operand.
_GLUED = re.compile(r"(?<=\d) (?=(?:[nµm]?s|[kMGT]?B)\b)|(?<=to) (?=\d)| (?=\*)|(?<=\*) ")
_TIE = "\N{NO-BREAK SPACE}"

Measure = Callable[[str, bool], float]
Lines = tuple[str, ...]


@dataclass(frozen=True)
class _Set:
    """A table with its layout: its cells in lines, the widths of its columns and the heights of its rows."""

    cells: list[list[Lines]]
    widths: list[float]
    heights: list[float]


def draw_table(
    figure: Figure, box: tuple[float, float, float, float], columns: Sequence[str],
    rows: Sequence[Sequence[str]], theme: Theme,
) -> None:  # fmt: skip
    """Draw a table into a box of the figure (left, bottom, width, height in points), as large as fits.

    An empty cell is a dash. Raises ValueError where even the smallest text does not fit.
    """
    left, bottom, width, height = box
    cells = [list(columns), *([row[0], *(cell or UNKNOWN for cell in row[1:])] for row in rows)]
    cells = [[_GLUED.sub(_TIE, cell) for cell in row] for row in cells]
    measure = _measure(figure)
    for text, apart, most in _sizes(theme):
        found = _fit(cells, measure, text, width, apart, most)
        if found is not None and sum(found.heights) <= height:
            break
    else:
        raise ValueError(f"a table of {len(rows)} rows and {len(columns)} columns does not fit")
    _draw(figure, found, text, (left, bottom + height, width), theme)


def _measure(figure: Figure) -> Measure:
    """The width of a text in points, for one point of its size; slightly more, as letters are on dots."""
    renderer = FigureCanvasAgg(figure).get_renderer()
    size = 40.0

    @functools.cache
    def measure(words: str, bold: bool) -> float:
        font = FontProperties(size=size, weight="bold" if bold else "normal")
        dots: float = renderer.get_text_width_height_descent(words, font, False)[0]
        return 1.01 * dots * 72 / figure.dpi / size

    return measure


def _sizes(theme: Theme) -> Iterator[tuple[float, bool, int]]:
    """Layouts to try, the best first: size of text, whether a call may break at a bracket, most lines."""
    count = math.ceil(math.log(_SMALLEST / _LARGEST, _STEP))
    sizes = [theme.text * _LARGEST * _STEP**step for step in range(count + 1)]
    # Long cells and broken calls are better than small text.
    yield from ((size, False, 3) for size in sizes if size >= theme.text)
    yield from ((size, True, 3) for size in sizes if size >= theme.text)
    yield from ((size, True, _MOST) for size in sizes)


def _fit(
    cells: list[list[str]], measure: Measure, text: float, width: float, apart: bool, most: int
) -> _Set | None:
    """The table with text of this size in this width; None where a cell takes more lines than `most`."""
    count = len(cells[0])
    room = width - _GAP * text * count
    pieces = [[_pieces(cell, apart) for cell in row] for row in cells]

    def lines(row: int, column: int, width: float) -> Lines:
        bold = row == 0 or column == 0
        return _break(pieces[row][column], width, lambda line: text * measure(line, bold))

    def narrowest(column: int, most: int) -> float:
        """The least width in which no cell of the column takes more lines than this."""
        low, high = 0.0, text * max(measure(row[column], True) for row in cells)
        while high - low > 1:
            middle = (low + high) / 2
            fits = all(
                len(found := lines(row, column, middle)) <= most
                and all(text * measure(line, row == 0 or column == 0) <= middle for line in found)
                for row in range(len(cells))
            )
            low, high = (low, middle) if fits else (middle, high)
        return high

    for limit in range(1, most + 1):
        widths = [narrowest(column, limit) for column in range(count)]
        if sum(widths) <= room:
            broken = [
                [lines(row, column, widths[column]) for column in range(count)] for row in range(len(cells))
            ]
            heights = [(max(map(len, row)) * _LEADING + 2 * _PAD) * text for row in broken]
            spare = (room - sum(widths)) / count
            return _Set(broken, [each + _GAP * text + spare for each in widths], heights)
    return None


def _pieces(cell: str, apart: bool) -> list[str]:
    """The pieces between which a cell may break. A piece that begins a word has a space before it."""
    words = [f" {word}" for word in cell.split(" ")]
    if not apart:
        return words
    return [piece for word in words for piece in re.split(r"(?<=[a-z_]{6})(?=\(\w)", word)]


def _break(pieces: list[str], width: float, measure: Callable[[str], float]) -> Lines:
    """The pieces in lines that are no wider than this, where that is possible."""
    lines: list[str] = []
    for piece in pieces:
        longer = lines[-1] + piece if lines else piece.lstrip(" ")
        if lines and measure(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(piece.lstrip(" "))
    return tuple(lines)


def _draw(figure: Figure, table: _Set, text: float, place: tuple[float, float, float], theme: Theme) -> None:
    left, top, width = place
    across, up = figure.get_figwidth() * 72, figure.get_figheight() * 72

    def add(artist: Any) -> None:
        artist.set_transform(figure.transFigure)
        figure.add_artist(artist)

    starts = [left + 0.5 * _GAP * text + each for each in itertools.accumulate([0.0, *table.widths[:-1]])]
    y = top
    for number, (row, height) in enumerate(zip(table.cells, table.heights, strict=True)):
        if number and number % 2 == 0:
            add(Rectangle((left / across, (y - height) / up), width / across, height / up,
                          facecolor=theme["sheet"], linewidth=0, zorder=0))  # fmt: skip
        for column, (x, lines) in enumerate(zip(starts, row, strict=True)):
            for line, words in enumerate(lines):
                figure.text(
                    x / across, (y - (_PAD + (line + 0.5) * _LEADING) * text) / up, words,
                    ha="left", va="center_baseline", fontsize=text,
                    fontweight="bold" if number == 0 or column == 0 else "normal",
                    color=theme["faint" if number == 0 else "ink"],
                )  # fmt: skip
        y -= height
        paint, thick = ("faint", 1.5) if number == 0 else ("rule", 0.8)
        ends = [left / across, (left + width) / across]
        add(Line2D(ends, [y / up, y / up], color=theme[paint], linewidth=thick))
