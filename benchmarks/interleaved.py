"""What regressions are judged by: ratios from interleaved passes, and exact bytes.

asv measures one benchmark, and one commit, after another, and the speed of a shared machine drifts by more
than what is looked for. So the numbers come from a run of gradbench, by the installed command of the commit
under test and its documented table. A variant and its baseline take turns there every 50 µs, in many
fresh processes.

asv compares such numbers by a factor alone. A run ends once every interval is within ±1 % (at 95 %), which is
a standard deviation of half a per cent; the difference of two runs then has 0.7 %. So 3 % are four standard
deviations, which identical commits should not reach, and 5 % lie nearly three above that. So the command is
`asv continuous --show-stderr --factor 1.03 --bench interleaved`: asv says nothing of a number that is not
known, unless it is to show what benchmarks write to standard error.
"""

from __future__ import annotations

import csv
import io
import itertools
import math
import os
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

from .cells import CONTROLS, CUSTOM, SQUARE, Cells

# Half the width of an interval: what a run goes on for; and the widest that is good enough for a factor of
# 1.03. A ratio that is known less well is given as not known.
WANTED, WIDEST = 0.01, 0.015
BUDGET = os.environ.get("GRADBENCH_ASV_BUDGET", "75")

Table = dict[tuple[str, str, str], dict[str, str]]


def measure(cells: Cells) -> Table:
    """The rows of `gradbench export` by cell, variant and metric, of one run of at most BUDGET seconds."""
    asked = cells.request
    # That of the environment which asv has made for the commit.
    gradbench = Path(sysconfig.get_path("scripts")) / "gradbench"
    with tempfile.TemporaryDirectory() as folder:
        run, table = Path(folder, "run"), Path(folder, "table.csv")
        options = {
            "--preset": "quick",
            "--workload": ",".join(asked.workloads),
            "--method": ",".join(asked.methods),
            "--size": ",".join(asked.sizes),
            "--precision": f"{100 * WANTED:g}",
            "--budget": BUDGET,
            "--output": run,
        }
        for arguments in (
            ["run", "--no-report", *itertools.chain(*options.items())],
            ["export", run, "--to", "csv", "--output", table],
        ):
            subprocess.run([sys.executable, gradbench, *arguments], cwd=folder, check=True)
        return by_cell(table.read_text())


def by_cell(text: str) -> Table:
    """The table of `gradbench export`, by cell, variant and metric."""
    rows = csv.DictReader(io.StringIO(text))
    return {(f"{row['workload']}/{row['numel']}", row["method"], row["metric"]): row for row in rows}


def _number(table: Table, cell: str, variant: str, metric: str, column: str = "value") -> float:
    """What the table says; NaN, which asv shows as not known, where it says nothing."""
    text = table.get((cell, variant, metric), {}).get(column, "")
    return float(text) if text else math.nan


def _ratio(table: Table, cell: str, variant: str) -> tuple[float, float]:
    """The ratio to the comparison's baseline, and half the width of its interval, relative."""
    ratio, low, high = (
        _number(table, cell, variant, "time", column) for column in ("ratio", "ratio_low", "ratio_high")
    )
    return ratio, (high - low) / 2 / ratio


class _Interleaved:
    param_names = ("cell", "variant")
    cells: Cells

    def track_ratio(self, table: Table, cell: str, variant: str) -> float:
        """Time relative to the baseline; NaN, which is told, where its interval is too wide to find 5 %."""
        (ratio, width), (against, other) = (
            _ratio(table, cell, name) for name in (variant, self.cells.against)
        )
        # Either may be the comparison's baseline, whose interval has no width.
        reach = math.hypot(width, other)
        if not reach <= WIDEST:
            lacks = (
                "it was not measured"
                if math.isnan(reach)
                else f"±{100 * reach:.1f} % after {BUDGET} s, where ±{100 * WIDEST:g} % is wanted; "
                "set GRADBENCH_ASV_BUDGET to more"
            )
            print(f"{cell} {variant}: ratio not known, and so not compared: {lacks}", file=sys.stderr)
            return math.nan
        return ratio / against

    def track_allocated(self, table: Table, cell: str, variant: str) -> float:
        """Bytes allocated in all by one call."""
        return _number(table, cell, variant, "allocated")

    def track_peak(self, table: Table, cell: str, variant: str) -> float:
        """Most bytes live at once during one call, above what was live before."""
        return _number(table, cell, variant, "peak")

    def track_graph(self, table: Table, cell: str, variant: str) -> float:
        """Bytes that the graph holds after one call, beside its result; NaN for a backward."""
        return _number(table, cell, variant, "graph")

    def track_saved(self, table: Table, cell: str, variant: str) -> float:
        """Bytes of the storages that one call saves for its backward."""
        return _number(table, cell, variant, "saved")

    track_ratio.unit = "ratio"  # type: ignore[attr-defined]
    for _bytes in (track_allocated, track_peak, track_graph, track_saved):
        _bytes.unit = "bytes"  # type: ignore[attr-defined]


# asv knows a setup_cache by its line, so each class has to have its own.
class Square(_Interleaved):
    """x² as a Function of this project."""

    cells = SQUARE
    params = SQUARE.params

    def setup_cache(self) -> Table:
        return measure(SQUARE)

    setup_cache.timeout = 600  # type: ignore[attr-defined]


class Custom(_Interleaved):
    """exp(sin(x²)) by Functions of this project."""

    cells = CUSTOM
    params = CUSTOM.params

    def setup_cache(self) -> Table:
        return measure(CUSTOM)

    setup_cache.timeout = 600  # type: ignore[attr-defined]


class Controls(_Interleaved):
    """torch's own ways to control gradients."""

    cells = CONTROLS
    params = CONTROLS.params

    def setup_cache(self) -> Table:
        return measure(CONTROLS)

    setup_cache.timeout = 600  # type: ignore[attr-defined]
