"""The result of `gradbench.compare`: a row for every function, a sentence, a table, a plot."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from gradbench import format
from gradbench.guard.calls import in_a_line
from gradbench.guard.interleave import FEWEST_BLOCKS, MOST_EMPTY
from gradbench.library.bytes import FIGURES, Bytes, cells
from gradbench.library.table import Shown, Table, frame
from gradbench.record.interval import Interval

Verdict = Literal["baseline", "faster", "slower", "same", "cannot tell", "failed"]


class Row(msgspec.Struct, frozen=True):
    """One function.

    Attributes:
        seconds: median per call, net of the empty loop, at least 0; None where it raised.
        ratio: its net time ÷ the net time of the baseline, with a 95 % interval that is cut off at 0.
            The ends are None where there were too few rounds for an interval.
            None for the baseline, and for a function that raised.
        verdict: compared with the baseline. `faster` and `slower` differ by more than the margin.
            `same` is within the margin. Both use an interval that is corrected for the number of pairs.
        bytes: of one call; None where they are not known.
        why_no_bytes: the reason; empty where they are known, and where the call did not request them.
        error: the error that it raised; empty where it raised none.
    """

    name: str
    seconds: float | None
    ratio: Interval | None
    verdict: Verdict
    bytes: Bytes | None = None
    why_no_bytes: str = ""
    error: str = ""


NUMBERS = ("seconds", "ratio", "low", "high")
COLUMNS = ("name", *NUMBERS, "verdict", *FIGURES, "error")


class Comparison(Shown, msgspec.Struct, frozen=True):
    """Functions that were timed in turns.

    Attributes:
        rows: in the order in which the functions were given; `comparison["name"]` is one of them.
        baseline: the name of the row in the denominator of the ratios.
        fastest: the name of the row that is shown to be faster than every other; None where none is.
        unbeaten: the names of the rows that no other row is shown to beat.
        margin: a smaller difference counts as none.
        floor: the largest difference that the second measurement of the baseline leaves open for identical
            code, at 95 %; None where there were too few rounds.
        same: the share by which identical code differed; None where it was not timed.
        empty: the share of the baseline's time that the loop and an empty call take; it is subtracted.
        rounds: the number of rounds.
        seconds: wall time of the timing.
        counted: whether bytes were counted.
    """

    rows: tuple[Row, ...]
    baseline: str
    fastest: str | None
    unbeaten: tuple[str, ...]
    margin: float
    floor: float | None
    same: float | None
    empty: float
    rounds: int
    seconds: float
    counted: bool = True

    def __getitem__(self, name: str) -> Row:
        for row in self.rows:
            if row.name == name:
                return row
        names = ", ".join(row.name for row in self.rows)
        raise KeyError(f"expected the name of a row; got {in_a_line(name)}; give one of {names}")

    @property
    def sentence(self) -> str:
        """The result in plain words: what is faster by how much, or that no difference is measurable."""
        said = self._differing() or self._not_differing()
        return " ".join([*said, *(f"{row.name} raised {row.error}." for row in self.rows if row.error)])

    def _with(self, *verdicts: Verdict) -> list[Row]:
        return [row for row in self.rows if row.verdict in verdicts]

    def _differing(self) -> list[str]:
        """Which functions differ from the baseline, and which is the fastest; empty where none differs."""
        rows = self._with("faster", "slower")
        if not rows:
            return []
        first, *others = rows
        clauses = [f"{first.name} takes {_against(first, self.baseline)}"]
        clauses += [f"{row.name} {_against(row)}" for row in others]
        said = [f"{', '.join(clauses)}."]
        same, unclear = self._with("same"), self._with("cannot tell")
        if same:
            said.append(f"{_subject(same, 'takes', 'take')} the same time within {self._margin}.")
        if unclear:
            said.append(f"{_subject(unclear, 'ties', 'tie')} with {self.baseline}.")
        if self.fastest is not None:
            # With two functions the first sentence already says so.
            said += [f"{self.fastest} is the fastest."] if len(rows) + len(same) + len(unclear) > 1 else []
        elif not {*self.unbeaten} <= {self.baseline, *(row.name for row in same)}:
            said.append(
                f"{joined(self.unbeaten)} tie for the fastest."
                if len(self.unbeaten) > 1
                else f"No function is shown to be faster than {self.unbeaten[0]}."
            )
        return said

    def _not_differing(self) -> list[str]:
        """The sentences where no difference is measurable, with the reason."""
        same, unclear = self._with("same"), self._with("cannot tell")
        if not same and not unclear:
            return [f"No comparison: no function besides {self.baseline} could be timed."]
        clauses = []
        if same:
            clauses.append(
                f"{_subject(same, 'takes', 'take')} the same time as {self.baseline} within {self._margin}"
            )
        if unclear:
            ratios = [f"{row.name} {format.ratio_with_ends(row.ratio)}" for row in unclear]
            clauses.append(f"{joined(ratios)} times the time of {self.baseline}")
        said = [f"No difference is measurable: {'; '.join(clauses)}."]
        if unclear:
            said.append(self._why_unclear)
        return said

    @property
    def _why_unclear(self) -> str:
        if self.rounds < FEWEST_BLOCKS:
            return f"Too few calls fit into {self.seconds:.2g} s: allow more time with seconds=."
        if self.empty >= MOST_EMPTY:
            return (
                "The calls are so short that an empty call takes half of their time: do more work in a call."
            )
        return f"{self._identical_code}."

    @property
    def _identical_code(self) -> str:
        """How much identical code differed, and which differences count; empty where that is not known."""
        if self.same is None or self.floor is None:
            return ""
        return (
            f"Identical code differed by {format.percent(abs(self.same))}, and may differ by "
            f"{format.percent(self.floor)}; a difference counts beyond that and {self._margin}"
        )

    @property
    def _margin(self) -> str:
        return f"{100 * self.margin:.3g} %"

    @property
    def table(self) -> Table:
        """A row for every function, with its bytes where they were counted."""
        heads = ["", "time", "ratio (95 %)", "verdict", *(FIGURES if self.counted else ())]
        rows = []
        for row in self.rows:
            counted = cells(row.bytes) if self.counted else ()
            rows.append((row.name, *_time_and_ratio(row), row.verdict, *counted))
        return Table(self.sentence, tuple(heads), tuple(rows), frozenset({0, 3}), tuple(self._notes()))

    def _notes(self) -> list[str]:
        times = f"Times are net of an empty call; {self.rounds:,} rounds in {self.seconds:.2g} s"
        if self._identical_code:
            times += f". {self._identical_code}"
        why: dict[str, list[str]] = {}
        for row in self.rows:
            if row.why_no_bytes:
                why.setdefault(row.why_no_bytes, []).append(row.name)
        leaving = [
            f"A call of {row.name} leaves {format.size(row.bytes.left)} behind."
            for row in self.rows
            if row.bytes is not None and row.bytes.left > 0
        ]
        return [
            f"{times}.",
            *leaving,
            *(f"Bytes of {joined(names)} are not known: {reason}." for reason, names in why.items()),
        ]

    def to_pandas(self) -> Any:
        """A DataFrame with a row for every function: seconds, bytes and ratios, unscaled; needs pandas."""
        rows = [
            {
                "name": row.name,
                "seconds": row.seconds,
                "ratio": row.ratio and row.ratio.mean,
                "low": row.ratio and row.ratio.low,
                "high": row.ratio and row.ratio.high,
                "verdict": row.verdict,
                **(row.bytes.figures if row.bytes else {}),
                "error": row.error or None,
            }
            for row in self.rows
        ]
        return frame(rows, COLUMNS, NUMBERS, FIGURES)

    def plot(self, axes: Any = None) -> Any:
        """Draw the ratios with their intervals; the band shows how much identical code may differ.

        Without `axes` it draws on a new figure of pyplot. Returns the axes; `axes.figure` is the figure.
        """
        from gradbench.library.draw import draw_ratios

        rows = [(row.name, row.ratio, row.verdict) for row in self.rows if row.verdict != "baseline"]
        band = None if self.floor is None else (1 - self.floor, 1 + self.floor)
        return draw_ratios(axes, rows, band, f"time ÷ time of {self.baseline}")


def _time_and_ratio(row: Row) -> tuple[str, str]:
    """The cells of a row; for a time within that of an empty call, a dash and the upper end of the ratio."""
    ratio = row.ratio
    if ratio is None:
        return format.seconds(row.seconds), "1" if row.verdict == "baseline" else format.UNKNOWN
    if row.verdict == "faster" and ratio.low == 0 and ratio.high is not None:
        return format.UNKNOWN, f"at most {format.significant(ratio.high, 2)}"
    return format.seconds(row.seconds), format.ratio_with_ends(ratio)


# Beyond these limits the ratio says more than a share of 100 %.
_LEAST_SHARE, _MOST_SHARE = 0.1, 2.0


def _against(row: Row, baseline: str = "") -> str:
    """How a time differs from the baseline's; without a name it follows a clause that names the baseline."""
    ratio = row.ratio
    assert ratio is not None
    assert ratio.low is not None
    assert ratio.high is not None
    if ratio.low == 0:
        return f"no more time than an empty call{f', and less than {baseline}' if baseline else ''}"
    if not _LEAST_SHARE <= ratio.mean <= _MOST_SHARE:
        times = f"{format.ratio_with_ends(ratio)} times"
        return f"{times} as long as {baseline}" if baseline else f"{times} as long"
    word = "more" if ratio.mean > 1 else "less"
    low, high = (format.percent(end) for end in sorted(abs(1 - end) for end in (ratio.low, ratio.high)))
    share = f"{format.percent(abs(1 - ratio.mean))} {word}"
    ends = f"({low.removesuffix(' %')} to {high})"
    return f"{share} time than {baseline} {ends}" if baseline else f"{share} {ends}"


def joined(names: Any) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else str(last)


def _subject(rows: list[Row], one: str, many: str) -> str:
    return f"{joined([row.name for row in rows])} {one if len(rows) == 1 else many}"
