"""asv on commits whose truth is known: identical ones, slower ones, and ones that save more.

A temporary clone gets the commits. `asv run` measures each commit once, in asv's environment. `asv compare`
compares it with the commit before; its verdict is that of `asv continuous`.
"""

from __future__ import annotations

import datetime
import itertools
import json
import math
import statistics
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from gradbench import format
from studies.files import Log, write_json
from studies.regressions.clone import CHANGES, Clone, measure_waits
from studies.regressions.part import Part, Point, Score, Table

FACTOR = 1.03
# asv has to report a change in these benchmarks.
_CHANGED = {"slower": "track_ratio('square.backward/", "larger": "track_saved('square.forward/"}
# The figure of the smallest backward that a slower commit slows.
_FIGURE = "interleaved.Square.track_ratio('square.backward/100', 'function')"


class Comparison(msgspec.Struct, frozen=True):
    """Two commits, one after the other.

    Attributes:
        kind: the change in the second commit: identical, slower, back or larger.
        alarms: the changes that asv reports: mark (+ worse, - better, ! failed), ratio and benchmark.
        before: the tracked figures of the first commit by benchmark and cell; None where one is not known.
        after: the tracked figures of the second commit.
    """

    kind: str
    alarms: list[tuple[str, str, str]]
    before: dict[str, float | None]
    after: dict[str, float | None]

    @property
    def found(self) -> bool:
        """Whether asv reports the change as worse where it was made."""
        return any(mark == "+" and _CHANGED[self.kind] in name for mark, _, name in self.alarms)

    @property
    def lines(self) -> list[str]:
        """The report of asv on the change, and the tracked figures that the change affects."""
        tracked = [
            f"{cell}: {_figure(self.before[cell])}, then {_figure(value)}"
            for cell, value in self.after.items()
            if _CHANGED[self.kind] in cell
        ]
        return [*(" ".join(alarm) for alarm in self.alarms), *tracked]


def _figure(value: float | None) -> str:
    return "not known" if value is None else f"{value:.4g}"


class Trials(msgspec.Struct):
    """All comparisons, and how they were made.

    Attributes:
        bench: the benchmarks of the suite, as a pattern.
        budget: seconds that a run of gradbench may take at each commit.
        waits: by number of elements, the nanoseconds that slower commits wait in Square.backward.
    """

    started: str
    machine: dict[str, str]
    bench: str
    budget: int
    factor: float
    waits: dict[int, int]
    comparisons: list[Comparison]


class Asv:
    """asv in a clone."""

    def __init__(self, clone: Clone) -> None:
        self._clone = clone
        self._results = clone.path / ".asv" / "results"
        self.call("machine", "--yes")

    def call(self, *arguments: str) -> str:
        return self._clone.do(sys.executable, "-m", "asv", *arguments)

    def measure(self, commit: str, bench: str) -> dict[str, float | None]:
        """The figures that asv tracks at a commit."""
        self.call("run", f"{commit}^!", "--bench", bench)
        (path,) = self._results.glob(f"*/{commit[:8]}-*.json")
        return dict(tracked(json.loads(path.read_text())))

    def compare(self, before: str, after: str) -> list[tuple[str, str, str]]:
        """The changes that asv reports."""
        return alarms(self.call("compare", before, after, "--factor", str(FACTOR), "--only-changed"))

    def machine(self) -> dict[str, str]:
        """The machine as asv describes it, without its name."""
        (path,) = self._results.glob("*/machine.json")
        known = json.loads(path.read_text())
        return {name: str(known[name]) for name in ("arch", "cpu", "num_cpu", "os", "ram")}


def tracked(content: dict[str, Any]) -> Iterator[tuple[str, float | None]]:
    """The figures in a results file of asv by benchmark and cell; None where one is not known."""
    for name, columns in content["results"].items():
        row = dict(zip(content["result_columns"], columns, strict=False))
        for cell, value in zip(itertools.product(*row["params"]), row["result"] or [], strict=False):
            known = value is not None and not math.isnan(value)
            yield f"{name}({', '.join(cell)})", value if known else None


def alarms(table: str) -> list[tuple[str, str, str]]:
    """The marked rows of a table of `asv compare`: mark, ratio and benchmark."""
    lines = [line for line in table.splitlines() if line.startswith("|")]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    return [(row[0], row[3], row[4]) for row in rows if row[0] in ("+", "-", "!")]


def study(output: Path, comparisons: int, changed: int, bench: str, budget: int, log: Log) -> None:
    """Make the commits, measure and compare them. It writes asv.json after each commit."""
    with tempfile.TemporaryDirectory() as folder:
        clone = Clone(Path(folder), GRADBENCH_ASV_BUDGET=str(budget))
        asv = Asv(clone)
        waits = measure_waits(log)
        last = clone.commit("identical", waits)
        before = asv.measure(last, bench)
        started = datetime.datetime.now().isoformat(timespec="seconds")
        trials = Trials(started, asv.machine(), bench, budget, FACTOR, waits, [])
        # Each changed commit is between two unchanged ones: no drift of the machine helps to find the change.
        kinds = ["identical"] * comparisons + ["slower", "back"] * changed + ["larger"]
        for number, kind in enumerate(kinds, 1):
            commit = clone.commit(kind, waits)
            after = asv.measure(commit, bench)
            found = Comparison(kind, asv.compare(last, commit), before, after)
            trials.comparisons.append(found)
            write_json(output / "asv.json", trials)
            log(f"{number} of {len(kinds)}, {kind}: {found.alarms or 'nothing'}")
            last, before = commit, after


def part(trials: Trials) -> Part:
    """The part of asv on the page."""
    rows = []
    for kind, change in CHANGES.items():
        chosen = [each for each in trials.comparisons if each.kind == kind]
        if chosen:
            loud = sum(bool(each.alarms) for each in chosen)
            found = str(sum(each.found for each in chosen)) if kind in _CHANGED else ""
            rows.append((change, str(len(chosen)), str(loud), found))
    about = (
        f"Begun {trials.started}, on {trials.machine['cpu']} with {trials.machine['num_cpu']} processors. "
        f"Benchmarks: {trials.bench}. asv run measured each commit; gradbench ran at most {trials.budget} s "
        f"for it. asv compare --factor {trials.factor:g} compared it with the commit before."
    )
    identical = [each for each in trials.comparisons if each.kind == "identical"]
    changed = [each for each in trials.comparisons if each.kind in _CHANGED]
    columns = ("change", "comparisons", "with an alarm", "found")
    return Part(
        "asv",
        "asv",
        [about],
        [
            Table("Alarms, and changes that were found", columns, rows),
            Table(
                "How far identical commits differed",
                ("benchmark", "median", "largest", "known"),
                _apart(identical),
            ),
        ],
        Score(
            found=sum(each.found for each in changed),
            changes=len(changed),
            alarms=sum(bool(each.alarms) for each in identical),
            identical=len(identical),
        ),
        [(CHANGES[each.kind], each.lines) for each in changed],
        points=_points(trials.comparisons),
    )


def _points(comparisons: list[Comparison]) -> list[Point]:
    """The pairs of commits in which the figure that slower commits change is known."""
    found = []
    for each in comparisons:
        before, after = each.before.get(_FIGURE), each.after.get(_FIGURE)
        if each.kind in ("identical", "slower") and before is not None and after is not None:
            reported = any(name == _FIGURE for _, _, name in each.alarms)
            found.append(Point(each.kind, after / before, reported))
    return found


def _apart(identical: list[Comparison]) -> list[tuple[str, ...]]:
    """How far identical commits differed, for each tracked ratio."""
    rows = []
    for cell in sorted({cell for each in identical for cell in each.after if ".track_ratio(" in cell}):
        pairs = [(each.before.get(cell), each.after.get(cell)) for each in identical]
        known = [abs(math.log(b / a)) for a, b in pairs if a is not None and b is not None]
        figures = [f"{statistics.median(known):.2%}", f"{max(known):.2%}"] if known else [format.UNKNOWN] * 2
        rows.append((cell, *figures, f"{len(known)} of {len(pairs)}"))
    return rows
